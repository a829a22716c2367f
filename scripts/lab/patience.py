"""How long a machine may take, measured in time in which the host lets it work.

On a busy host a machine waits for a CPU most of the time. That time says nothing about the kernel in it, and is not counted: a
limit that is right on an idle host is right beside forty other processes, too.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import NamedTuple

from . import Trouble

_DEFAULT_S = 30.0
_LAST_RESORT = 40.0     # of a limit, and at least so many seconds of wall time: then nobody waits any longer
_LAST_RESORT_S = 300.0
_LOOK_S = 0.25
_TURN_S = 0.02          # after which a thread that runs has run for longer than it had, by the clock that counts it


def limit_s() -> float:
    """SHRIMPY_LIMIT: how long, in its own time, a machine may take until it prints what is waited for."""
    said = os.environ.get("SHRIMPY_LIMIT") or str(_DEFAULT_S)
    try:
        limit = float(said)
    except ValueError:
        limit = 0.0
    if not 0 < limit < 1e6:
        raise Trouble(f"SHRIMPY_LIMIT={said}: expected a number of seconds above 0, such as {_DEFAULT_S:g}")
    return limit


_USUAL_RAM = 128 << 20  # bytes


def point_s(ram_bytes: int = _USUAL_RAM) -> float:
    """The same for a point of check's own scenarios, of which some fill the machine's memory: on an idle host and in as much of it
    as most kernels have, all come within a third of a second."""
    return limit_s() / 6 * max(1, ram_bytes / _USUAL_RAM)


class Times(NamedTuple):
    """Of a thread, in ns: how long it ran, and how long it waited for a CPU."""

    ran: int
    waited: int


_NONE = Times(0, 0)


class Patience:
    """A limit, in seconds, of the time that some processes had for a piece of work.

    Time passes for them as on the wall, but for what their threads, and ours, waited for a CPU: they take turns, and each turn has
    its wait. (A process that sleeps waits for none: its time passes.) Where many wait side by side that would be too little: what
    one thread alone ran has passed in any case. As a last resort the limit is one of wall time, in minutes.
    """

    def __init__(self, limit: float | None, *pids: int) -> None:
        """limit: in seconds; None: limit_s()."""
        self.limit_s = limit_s() if limit is None else limit
        self._begun = time.monotonic()
        self._before = {pid: _times(pid) for pid in (os.getpid(), *pids)}
        self._earliest = self._begun + self.limit_s
        self._runnable: dict[tuple[int, str], int] | None = None   # at the last look that found nothing left: how long each had run

    @property
    def _last(self) -> float:
        """By time.monotonic(): the last resort."""
        return self._begun + max(_LAST_RESORT_S, _LAST_RESORT * self.limit_s)

    @property
    def left_s(self) -> float:
        """How much of it is left; 0 or less when it is over, but for what a thread waits just now: that is counted when it runs."""
        now = time.monotonic()
        wall = now - self._begun
        more = [(ran - before.get(thread, _NONE).ran, waited - before.get(thread, _NONE).waited)
                for pid, before in self._before.items() for thread, (ran, waited) in _times(pid).items()]
        longest, waited = max((ran for ran, _ in more), default=0) / 1e9, sum(waited for _, waited in more) / 1e9
        return min(self.limit_s - max(wall - waited, longest), self._last - now)

    @property
    def is_over(self) -> bool:
        """Cheap: what waits for a CPU makes the end later, never earlier, so that nobody is asked before."""
        if time.monotonic() < self._earliest:
            return False
        left_s, now = self.left_s, time.monotonic()
        if left_s > 0:
            self._earliest, self._runnable = now + left_s, None
        elif now < self._last and self._waits():
            self._earliest = now + _TURN_S
            return False
        return left_s <= 0

    def _waits(self) -> bool:
        """Whether a thread waits for a CPU, or may: it could run, and has not since the look before."""
        before, self._runnable = self._runnable, {(pid, thread): ran for pid in self._before for thread, ran in _runnable(pid).items()}
        return any(before is None or before.get(thread, ran) == ran for thread, ran in self._runnable.items())

    @property
    def look_s(self) -> float:
        """When to look again whether it is over, in seconds of wall time from now."""
        return max(0.0, min(self._earliest - time.monotonic(), _LOOK_S))


def share() -> float:
    """The part of a CPU that a process gets just now: 1 on an idle host, 1/20 where forty share two.

    For limits of what has many processes, which come and go: see "loadavg" in proc(5).
    """
    try:
        running = int(Path("/proc/loadavg").read_text().split()[3].partition("/")[0])
    except (OSError, IndexError, ValueError):
        return 1.0
    return max(1 / _LAST_RESORT, min(1.0, len(os.sched_getaffinity(0)) / max(1, running)))


def _times(pid: int) -> dict[str, Times]:
    """What each thread of a process has had since its start; nothing where it has ended."""
    times = {}
    for thread in _threads(pid):
        try:
            times[thread.name] = _had(thread)
        except (OSError, ValueError):  # it has ended, or this system does not say
            continue
    return times


def _runnable(pid: int) -> dict[str, int]:
    """How long each thread of a process that runs or waits for a CPU, other than the one that asks, has run, in ns."""
    runnable = {}
    for thread in _threads(pid):
        try:
            is_runnable = Path(thread, "stat").read_text().rpartition(")")[2].split()[0] == "R"
            ran = _had(thread).ran if is_runnable else 0
        except (OSError, ValueError, IndexError):
            continue
        if ran and int(thread.name) != threading.get_native_id():
            runnable[thread.name] = ran
    return runnable


def _had(thread: os.DirEntry[str]) -> Times:
    """See "schedstat" in proc(5) and the kernel's Documentation/scheduler/sched-stats. Raises OSError, or ValueError where this system
    does not say."""
    ran, waited, _ = Path(thread, "schedstat").read_text().split()
    return Times(int(ran), int(waited))


def _threads(pid: int) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(f"/proc/{pid}/task"))
    except OSError:
        return []

"""Limits of a control group (cgroups(7), version 2): of all that a command starts, together, which setrlimit(2) does not know.

Where the host lets us: in a group beside our own, when that may be made there and has the controllers, as below a systemd that
delegates, or for root. Nothing is changed in groups of others.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import time
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_OWN = Path("/proc/self/cgroup")
_NUMBERS = itertools.count()
_CONTROLLERS = frozenset(("memory", "pids"))
_END_S, _LOOK_S = 1.0, 0.01


class Group:
    """A group with limits; commands that begin with words() are in it. end() removes it."""

    def __init__(self, place: Path, memory: int, processes: int) -> None:
        self._place = place
        self._memory, self._processes = memory, processes
        place.mkdir()
        try:
            self._write("memory.max", memory)
            self._write("pids.max", processes)
            self._write("memory.oom.group", 1)
            with contextlib.suppress(OSError):  # a kernel without swap has no such limit
                self._write("memory.swap.max", 0)
        except OSError:
            self.end()
            raise

    def words(self) -> list[str]:
        """What stands before a command's words, so that it is in the group."""
        return ["sh", "-c", '{ echo 0 >"$0/cgroup.procs"; } 2>/dev/null; exec "$@"', str(self._place)]

    @property
    def overrun(self) -> str | None:
        """The limit that was reached, in words."""
        if self._events("memory.events").get("oom_kill"):
            return f"used more than {self._memory >> 20} MiB of memory"
        if self._events("pids.events").get("max"):
            return f"ran more than {self._processes} processes at a time"
        return None

    def end(self) -> None:
        """Ends whoever is left in it, and removes it."""
        with contextlib.suppress(OSError):
            self._write("cgroup.kill", 1)
        until = time.monotonic() + _END_S
        while self._events("cgroup.events").get("populated") and time.monotonic() < until:
            time.sleep(_LOOK_S)
        with contextlib.suppress(OSError):
            self._place.rmdir()

    def _write(self, name: str, value: int) -> None:
        (self._place / name).write_text(f"{value}\n")

    def _events(self, name: str) -> dict[str, int]:
        try:
            return {word: int(n) for word, n in (line.split() for line in (self._place / name).read_text().splitlines())}
        except (OSError, ValueError):
            return {}


def make(memory: int, processes: int) -> Group | None:
    """A new group, of so many bytes and processes; None where there can be none."""
    place = _parent()
    if place is None:
        return None
    try:
        return Group(place / f"shrimpy-{os.getpid()}-{next(_NUMBERS)}", memory, processes)
    except OSError:
        return None


def _parent() -> Path | None:
    """The group that ours is in, when it gives its members limits and we may make another."""
    try:
        own = next(line.partition("::")[2] for line in _OWN.read_text().splitlines() if line.startswith("0::"))
        group = _ROOT / own.lstrip("/")
        parent = group if group == _ROOT else group.parent
        there = set((parent / "cgroup.subtree_control").read_text().split())
    except (OSError, StopIteration):
        return None
    may = os.access(parent, os.W_OK) and os.access(parent / "cgroup.procs", os.W_OK)
    return parent if may and there >= _CONTROLLERS else None

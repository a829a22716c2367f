"""Who else uses a frame, from the snapshot's list of frames in use."""
from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from .snapshot_json import Frame, Mapping, Process, Run, Snapshot, User

LISTED_PIDS = 8
_PURPOSE = {"table": "a page table", "kstack": "a kernel stack", "kernel-table": "a table of the kernel"}


class Others(NamedTuple):
    """Of a mapped stretch of memory: `shared` holds (how, pid), "FRY" or "SHRIMP" or "same page" or an
    address; `wrong` a line for each thing that its frames must not be."""
    shared: tuple[tuple[str, int], ...]
    wrong: tuple[str, ...]


class FrameUsers:
    """Answers who else uses what a process maps."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._layout = snapshot.layout
        self._frames: list[Frame] = sorted([*snapshot.frames, *_outside_ram(snapshot)], key=lambda f: f.pa)
        self._starts = [f.pa for f in self._frames]
        self._free: list[Run] = sorted(snapshot.free.runs, key=lambda r: r.pa)
        self._free_starts = [r.pa for r in self._free]

    def others(self, process: Process, mapping: Mapping) -> Others:
        """The users of `mapping`'s frames that are not this mapping of this process."""
        layout = self._layout
        end = mapping.pa + mapping.n_pages * layout.page_size
        shared, wrong = set(), set()
        for frame in _within(self._frames, self._starts, mapping.pa, end, layout.page_size):
            for user in frame.users:
                if (user.kind, user.pid, mapping.region) == ("trapframe", process.pid, "trapframe"):
                    continue
                if user.kind != "user":
                    wrong.add(f"also {purpose(user)}")
                elif user.pid is not None and user.va is not None:
                    va = mapping.va + frame.pa - mapping.pa
                    if (user.pid, user.va) != (process.pid, va):
                        shared.add((self._how(user.va, va), user.pid))
        if _within(self._free, self._free_starts, mapping.pa, end, layout.page_size):
            wrong.add("on the free list, yet mapped")
        if not layout.ram_base <= mapping.pa <= end <= layout.ram_end:
            wrong.add("outside RAM")
        return Others(tuple(sorted(shared)), tuple(sorted(wrong)))

    def at(self, pa: int) -> list[User]:
        """Every user of the frame at `pa`."""
        size = self._layout.page_size
        return [u for f in _within(self._frames, self._starts, pa, pa + size, size) for u in f.users]

    def _how(self, theirs: int, ours: int) -> str:
        if theirs == self._layout.fry:
            return "FRY"
        if theirs == self._layout.shrimp:
            return "SHRIMP"
        return "same page" if theirs == ours else "another page"


def _outside_ram(snapshot: Snapshot) -> list[Frame]:
    """Frames that a snapshot does not list, since no allocator has them: a wrong kernel may share them all the same."""
    layout = snapshot.layout
    users: dict[tuple[int, int], list[User]] = {}
    for p in snapshot.processes:
        for m in p.mappings:
            if not layout.ram_base <= m.pa < layout.ram_end:
                users.setdefault((m.pa, m.n_pages), []).append(User("user", p.pid, m.va, None))
    return [Frame(pa, n_pages, tuple(found)) for (pa, n_pages), found in users.items()]


def _within(runs: Sequence, starts: Sequence[int], pa: int, end: int, page_size: int) -> list:
    """Those of `runs`, which have pa and n_pages, that overlap [pa, end)."""
    found = []
    for i in range(max(bisect_right(starts, pa) - 1, 0), len(runs)):
        if runs[i].pa >= end:
            break
        if runs[i].pa + runs[i].n_pages * page_size > pa:
            found.append(runs[i])
    return found


def purpose(user: User) -> str:
    """What a user that is no page of a program has the frame for."""
    of = f" of pid {user.pid}" if user.pid is not None else ""
    return _PURPOSE.get(user.kind, user.kind) + of


def pids(numbers: Sequence[int]) -> str:
    """ "3, 4, 5" ; of many the first, and how many more."""
    listed = ", ".join(map(str, numbers[:LISTED_PIDS]))
    return listed + (f" and {len(numbers) - LISTED_PIDS} more" if len(numbers) > LISTED_PIDS else "")


def shared_words(others: Others) -> str:
    """ "FRY of 3, SHRIMP of 4, 5"; empty when nobody shares it."""
    by_how: dict[str, list[int]] = {}
    for how, pid in others.shared:
        by_how.setdefault(how, []).append(pid)
    return ", ".join(f"{how} of {pids(sorted(set(found)))}" for how, found in by_how.items())

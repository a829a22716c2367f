"""One snapshot, made ready for questions: the leaf at an address, the users of a frame, whether it is free or lost.

Facts alone: who is at rest, and what is wrong, the rules say.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Dict, Generic, Iterable, List, Optional, Tuple, TypeVar

from ..memory.readers import PAGE
from ..memory.sv39 import soft_of
from ..records import Runs
from .frames import Frame, User
from .model import Mapping, Process, Snapshot

T = TypeVar("T")

FRY, SHRIMP, TRAPFRAME, TRAMPOLINE = "FRY", "SHRIMP", "TRAPFRAME", "TRAMPOLINE"


class Ranges(Generic[T]):
    """Things that have a range of addresses each, [first, end), found by halves; no two share an address."""

    def __init__(self, items: Iterable[Tuple[int, int, T]]) -> None:
        """items: (first, end, thing), in any order."""
        self._items = sorted(items, key=lambda item: item[0])
        self._firsts = [first for first, _, _ in self._items]

    def at(self, address: int) -> Optional[T]:
        """The thing that has `address`, or None."""
        i = bisect_right(self._firsts, address) - 1
        if i < 0:
            return None
        _, past, thing = self._items[i]
        return thing if address < past else None

    def within(self, first: int, end: int) -> List[T]:
        """The things that have an address of [first, end), ascending."""
        found = []
        for i in range(max(bisect_right(self._firsts, first) - 1, 0), len(self._items)):
            start, past, thing = self._items[i]
            if start >= end:
                break
            if past > first:
                found.append(thing)
        return found


class Index:
    """Answers about one snapshot. Of processes with one pid, which no sound kernel has, the first is meant."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.layout = layout = snapshot.layout
        self.processes = snapshot.processes
        self._by_pid = {p.pid: p for p in reversed(snapshot.processes)}
        self._leaves: Dict[int, Ranges[Mapping]] = {}
        self._frames = Ranges((f.pa, f.pa + f.n_pages * PAGE, f) for f in snapshot.frames)
        self._free, self._lost = _frames_of(snapshot.free.runs), _frames_of(snapshot.lost)
        self._counts = dict(snapshot.counts.values) if snapshot.counts else None
        self._special = {va: name for va, name in (
            (layout.trampoline, TRAMPOLINE), (layout.trapframe, TRAPFRAME), (layout.shrimp, SHRIMP), (layout.fry, FRY))
            if va is not None}

    # Virtual memory

    def process(self, pid: Optional[int]) -> Optional[Process]:
        """The process with this pid, or None."""
        return None if pid is None else self._by_pid.get(pid)

    def leaf(self, process: Process, va: Optional[int]) -> Optional[Mapping]:
        """The leaf that translates `va` in a process of this snapshot, or None."""
        if va is None:
            return None
        if process.slot not in self._leaves:
            self._leaves[process.slot] = Ranges((m.va, m.va + m.n_pages * PAGE, m) for m in process.mappings)
        return self._leaves[process.slot].at(va)

    def phys(self, process: Process, va: Optional[int]) -> Optional[int]:
        """PHY(process, va), or None."""
        leaf = self.leaf(process, va)
        return None if leaf is None or va is None else leaf.pa + va - leaf.va

    def soft(self, pte: Optional[int]) -> Tuple[str, ...]:
        """This kernel's names of the bits for software that are set in an entry."""
        return () if pte is None else soft_of(pte, self.layout.rsw)

    def special(self, va: Optional[int]) -> Optional[str]:
        """"FRY", "SHRIMP", "TRAPFRAME" or "TRAMPOLINE" where the page at `va` is that in every process; else None."""
        return None if va is None else self._special.get(va)

    def shared(self, va: Optional[int]) -> Optional[str]:
        """"FRY" or "SHRIMP" where the page at `va` is that; else None."""
        name = self.special(va)
        return name if name in (FRY, SHRIMP) else None

    # Frames

    def frame(self, pa: int) -> Optional[Frame]:
        """The item of `frames` that has `pa`, or None."""
        return self._frames.at(pa)

    def frames(self, pa: int, n_pages: int) -> List[Frame]:
        """The items of `frames` that have one of the frames from `pa`."""
        return self._frames.within(pa, pa + n_pages * PAGE)

    def users(self, pa: int) -> Tuple[User, ...]:
        """Every user of the frame at `pa`; of one in a superpage, at its own virtual address."""
        frame = self.frame(pa)
        offset = pa - frame.pa & -PAGE if frame else 0
        if frame is None or not offset:
            return frame.users if frame else ()
        return tuple(User(u.kind, u.pid, None if u.va is None else u.va + offset, u.name) for u in frame.users)

    def is_free(self, pa: int, n_pages: int = 1) -> bool:
        """Whether one of the frames from `pa` is on a free list."""
        return bool(self._free.within(pa, pa + n_pages * PAGE))

    def is_lost(self, pa: int, n_pages: int = 1) -> bool:
        """Whether nobody accounts for one of the frames from `pa`."""
        return bool(self._lost.within(pa, pa + n_pages * PAGE))

    def count(self, pa: int) -> Optional[int]:
        """The kernel's own count of a frame's users; None where it keeps none."""
        return None if self._counts is None else self._counts.get(pa, 0)


def _frames_of(runs: Runs) -> Ranges[None]:
    return Ranges((pa, pa + n_pages * PAGE, None) for pa, n_pages in runs)

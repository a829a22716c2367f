"""Who uses each frame of RAM, and which frames nobody accounts for."""

from __future__ import annotations

from collections import defaultdict
from typing import DefaultDict, Dict, Iterable, Iterator, List, Optional, Tuple

from ..memory.readers import PAGE
from ..records import Runs, address, many, record


@record
class User:
    """One user of a frame.

    kind: "user" "table" "trapframe" "kstack" "pipe" "kernel-table" "driver"
    (a device's rings), "segment" (of shared memory, which outlives processes), or "kernel": something of the kernel's own points to
    it, and `name` says what: a variable, or a field of pid's struct proc.
    """

    kind: str
    pid: Optional[int] = None
    va: Optional[int] = address(default=None)
    name: Optional[str] = None


@record
class Frame:
    """`n_pages` frames from `pa` that something uses, and its every user."""

    pa: int = address()
    n_pages: int = 1
    users: Tuple[User, ...] = many(User)


class Accounts:
    """The users of the allocator's frames, [lowest, end), and which are free.

    free: one byte for each frame of RAM from ram_base, 1 when it is free.
    """

    def __init__(self, ram_base: int, lowest: int, end: int, free: bytearray) -> None:
        self.ram_base = ram_base
        self.lowest = lowest
        self.end = end
        self.free = free
        self._users: DefaultDict[int, List[User]] = defaultdict(list)
        self._large: DefaultDict[Tuple[int, int], List[User]] = defaultdict(list)

    def add(self, pa: int, user: User, n_pages: int = 1) -> None:
        """Note that `user` uses `n_pages` frames from `pa`; what is not the
        allocator's, or not aligned to its size, is left out."""
        if self.lowest <= pa <= self.end - n_pages * PAGE and not pa & n_pages * PAGE - 1:
            if n_pages == 1:
                self._users[pa].append(user)
            else:
                self._large[pa, n_pages].append(user)

    def add_each(self, uses: Iterable[Tuple[int, User, int]]) -> None:
        """The same for many: (pa, user, pages)."""
        lowest, last, users = self.lowest, self.end - PAGE, self._users
        for pa, user, n_pages in uses:
            if n_pages != 1:
                self.add(pa, user, n_pages)
            elif lowest <= pa <= last and not pa & PAGE - 1:
                users[pa].append(user)

    def add_block(self, pa: int, user: User, n_pages: int) -> None:
        """Note that `user` has a block of the allocator's frames; it need not be aligned to its size."""
        if n_pages == 1:
            self._users[pa].append(user)
        else:
            self._large[pa, n_pages].append(user)

    def copy(self) -> "Accounts":
        """The same, to be added to."""
        other = Accounts(self.ram_base, self.lowest, self.end, self.free)
        for pa, users in self._users.items():
            other._users[pa] = users[:]
        for place, users in self._large.items():
            other._large[place] = users[:]
        return other

    def frames(self) -> Tuple[Frame, ...]:
        """Every frame in use, by address. A superpage is one item unless some of its frames have users of their
        own."""
        users: Dict[Tuple[int, int], List[User]] = {(pa, 1): u for pa, u in self._users.items()}
        for (pa, n_pages), their in self._large.items():
            parts = range(pa, pa + n_pages * PAGE, PAGE)
            if self._users.keys().isdisjoint(parts) and self._is_alone(pa, n_pages):
                users[pa, n_pages] = their
            else:
                for part in parts:
                    users[part, 1] = users.get((part, 1), []) + their
        return tuple(Frame(*place, tuple(users[place])) for place in sorted(users))

    def lost(self) -> Runs:
        """The allocator's frames that are neither free nor used."""
        taken = bytearray(self.free)
        taken.extend(bytes(max(0, (self.end - self.ram_base) // PAGE - len(taken))))
        for pa in self._users:
            taken[pa - self.ram_base >> 12] = 1
        for pa, n_pages in self._large:
            first = pa - self.ram_base >> 12
            taken[first:first + n_pages] = b"\1" * n_pages
        return runs_of(taken, 0, self.ram_base, self.lowest, self.end)

    def _is_alone(self, pa: int, n_pages: int) -> bool:
        return not any(other < pa + n_pages * PAGE and pa < other + n * PAGE
                       for other, n in self._large if (other, n) != (pa, n_pages))


def runs_of(marks: bytearray, mark: int, ram_base: int, lowest: int, end: int) -> Runs:
    """The frames of [lowest, end) whose byte in `marks` is `mark`, as runs."""
    runs: List[Tuple[int, int]] = []
    wanted, other = bytes((mark,)), bytes((1 - mark,))
    at, stop = lowest - ram_base >> 12, end - ram_base >> 12
    while True:
        at = marks.find(wanted, at, stop)
        if at < 0:
            return tuple(runs)
        past = marks.find(other, at, stop)
        past = stop if past < 0 else past
        runs.append((ram_base + at * PAGE, past - at))
        at = past


def pages_of(runs: Runs) -> Iterator[int]:
    """The address of each page of some runs."""
    for pa, n_pages in runs:
        yield from range(pa, pa + n_pages * PAGE, PAGE)

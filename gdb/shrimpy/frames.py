"""Who uses each frame of RAM, and which frames nobody accounts for."""

from __future__ import annotations

from collections import defaultdict
from typing import DefaultDict, Dict, Iterable, Iterator, List, Optional, Set, Tuple

from .kernel import Kernel, Proc
from .readers import PAGE
from .records import Runs, address, many, record
from .sv39 import R, V, W, X, pa_of


@record
class User:
    """One user of a frame.

    kind: "user" "table" "trapframe" "kstack" "pipe" "kernel-table" "driver"
    (a device's rings), or "kernel": something of the kernel's own points to
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

    def frames(self) -> Tuple[Frame, ...]:
        """Every frame in use, by address. A superpage is one item unless some
        of its frames have users of their own."""
        users: Dict[Tuple[int, int], List[User]] = {(pa, 1): u for pa, u in self._users.items()}
        for (pa, n_pages), their in self._large.items():
            parts = range(pa, pa + n_pages * PAGE, PAGE)
            if self._users.keys().isdisjoint(parts) and self._is_alone(pa, n_pages):
                users[pa, n_pages] = their
            else:
                for part in parts:
                    users[part, 1] = users.get((part, 1), []) + their
        return tuple(Frame(pa, n_pages, tuple(users[pa, n_pages])) for pa, n_pages in sorted(users))

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
    runs = []
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


def claim(accounts: Accounts, kernel: Kernel, processes: Iterable[Proc]) -> None:
    """Look for an owner of each frame that is neither free nor used.

    A kernel may keep frames in ways this kit has no name for: network buffers,
    a second page table of a process. A frame is the kernel's when a variable,
    or a field of a living process, holds its address, or when a frame so held
    points to it, or maps it elsewhere than at its own address. Variables that
    keep old addresses of things that are gone do not count.
    """
    lost = set(pages_of(accounts.lost()))
    if not lost:
        return
    held: List[Tuple[int, User]] = []
    for process in processes:
        held.extend((word, User("kernel", process.pid, None, f"proc.{field}"))
                    for field, word in kernel.proc_words(process) if word in lost)
    for at, words in kernel.data_words():
        if not lost.isdisjoint(words):
            held.extend((word, User("kernel", None, None, name))
                        for i, word in enumerate(words) if word in lost
                        for name in [kernel.variable_at(at + 8 * i)] if name)
    found = [(pa, user, 2, 0) for pa, user in held]
    while found:
        pa, user, level, va = found.pop()
        if pa in lost:
            lost.discard(pa)
            accounts.add(pa, user)
            if level >= 0:
                found.extend((target, user, *place) for target, *place in
                             _targets(kernel.reader.page(pa), lost, level, va))


def _targets(page: bytes, lost: Set[int], level: int, va: int) -> Iterator[Tuple[int, int, int]]:
    """The frames of `lost` that a page points to, as addresses, or as a page
    table of that level for addresses from va: (frame, level, va). Level -1 is
    for what a table maps, which points to nothing."""
    words = memoryview(page).cast("Q").tolist()
    for word in sorted(lost.intersection(words)):
        yield word, 2, 0
    for i, word in enumerate(words):
        if word & V and not word >> 54 and pa_of(word) in lost:
            at = va + (i << 12 + 9 * level)
            if not word & (R | W | X):
                yield pa_of(word), level - 1, at
            elif level == 0 and pa_of(word) != at:      # a table that maps all of RAM owns none
                yield pa_of(word), -1, 0

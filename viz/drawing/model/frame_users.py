"""Who else uses a frame, from the snapshot's list of frames in use."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from .kit import PAGE, Frame, Index, Mapping, Process, Ranges, User

LISTED_PIDS = 8
_PURPOSE = {"table": "a page table", "kstack": "a kernel stack", "kernel-table": "a table of the kernel"}


class Others(NamedTuple):
    """Of a mapped stretch of memory: `shared` holds (how, pid), "FRY" or "SHRIMP" or "same page" or an
    address; `wrong` a line for each thing that its frames must not be."""
    shared: tuple[tuple[str, int], ...]
    wrong: tuple[str, ...]


class FrameUsers:
    """Answers who else uses what a process maps: frames outside RAM, too, which no list has since no allocator does,
    and which a wrong kernel may share all the same."""

    def __init__(self, index: Index) -> None:
        self.index = index
        layout = index.layout
        users: dict[tuple[int, int], list[User]] = {}
        for p in index.processes:
            for m in p.mappings:
                if not layout.ram_base <= m.pa < layout.ram_end:
                    users.setdefault((m.pa, m.n_pages), []).append(User("user", p.pid, m.va))
        self._outside = Ranges((pa, pa + n_pages * PAGE, Frame(pa, n_pages, tuple(found)))
                               for (pa, n_pages), found in users.items())

    def others(self, process: Process, mapping: Mapping) -> Others:
        """The users of `mapping`'s frames that are not this mapping of this process."""
        layout = self.index.layout
        shared, wrong = set(), set()
        for frame in self._frames(mapping.pa, mapping.n_pages):
            for user in frame.users:
                if (user.kind, user.pid, mapping.region) == ("trapframe", process.pid, "trapframe"):
                    continue
                if user.kind == "segment" and mapping.region.startswith("shm:"):
                    continue
                if user.kind != "user":
                    wrong.add(f"also {purpose(user)}")
                elif user.pid is not None and user.va is not None:
                    va = mapping.va + frame.pa - mapping.pa
                    if (user.pid, user.va) != (process.pid, va):
                        how = self.index.shared(user.va) or ("same page" if user.va == va else "another page")
                        shared.add((how, user.pid))
        if self.index.is_free(mapping.pa, mapping.n_pages):
            wrong.add("on the free list, yet mapped")
        if not layout.ram_base <= mapping.pa <= mapping.pa + mapping.n_pages * PAGE <= layout.ram_end:
            wrong.add("outside RAM")
        return Others(tuple(sorted(shared)), tuple(sorted(wrong)))

    def at(self, pa: int) -> dict[str, list[int]]:
        """The pids of who uses the frame at `pa`, as by_how gives them."""
        return by_how((self.index.shared(u.va) or "a page" if u.kind == "user" else u.kind, u.pid)
                      for f in self._frames(pa, 1) for u in f.users if u.pid is not None)

    def _frames(self, pa: int, n_pages: int) -> list[Frame]:
        return self.index.frames(pa, n_pages) + self._outside.within(pa, pa + n_pages * PAGE)


def called(index: Index, user: User) -> str:
    """A user in words: "FRY of pid 3", "page 0x1000 of pid 5", "a page table of pid 4"."""
    if user.kind == "user" and user.va is not None:
        return f"{index.shared(user.va) or f'page {user.va:#x}'} of pid {user.pid}"
    return purpose(user)


def purpose(user: User) -> str:
    """What a user that is no page of a program has the frame for."""
    of = f" of pid {user.pid}" if user.pid is not None else ""
    return _PURPOSE.get(user.kind, user.kind) + of


def pids(numbers: Sequence[int]) -> str:
    """ "3, 4, 5" ; of many the first, and how many more."""
    listed = ", ".join(map(str, numbers[:LISTED_PIDS]))
    return listed + (f" and {len(numbers) - LISTED_PIDS} more" if len(numbers) > LISTED_PIDS else "")


def by_how(users: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    """The pids of `users`, which are (how, pid), by how they use a frame: "FRY", "a page", "table"."""
    found: dict[str, set[int]] = {}
    for how, pid in sorted(users):
        found.setdefault(how, set()).add(pid)
    return {how: sorted(numbers) for how, numbers in found.items()}


def shared_words(others: Others) -> str:
    """ "FRY of 3, SHRIMP of 4, 5"; empty when nobody shares it."""
    return ", ".join(f"{how} of {pids(found)}" for how, found in by_how(others.shared).items())

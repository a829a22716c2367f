"""What in the kernel still points to a frame that no page table and no free list knows.

Looks as conservative garbage collectors do: a word that could be the address of such a frame is taken for
one, unless its type says that it is none. Bounded: each frame is looked into once.
"""

from __future__ import annotations

import bisect
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..kernel import Kernel, Proc
from ..kernel.debuginfo import DebugInfo, Type
from ..memory.readers import PAGE
from ..memory.sv39 import R, V, W, X, pa_of
from .frames import Accounts, User, pages_of

StackAt = Callable[[int], Optional[Tuple[int, int]]]
"""Where a kernel virtual address is: (pa, bytes mapped there and after), or None."""

_SAVED = frozenset(("context", "trapframe"))
"""Structs of saved registers: what they hold may be of no use to anybody."""

_STALE = ("stack0",)
"""Variables with old addresses, whatever their types."""

_COPIES = ("bcache", "cons", "log", "pr", "uart_tx_buf")
"""Variables that have copies of data of programs: without their types nothing in them is an address."""

_HOLDERS_OF_NOTHING = frozenset((
    "swtch", "sched", "sleep", "yield", "usertrap", "forkret", "syscall", "sys_wait", "wait", "kwait", "sys_sleep",
    "sys_pause", "sys_read", "sys_write", "fileread", "filewrite", "piperead", "pipewrite", "consoleread",
    "sys_exit", "exit", "kexit"))
"""Functions in which a process waits without a frame that only its own variables know."""

_TABLE_WORDS = ("pagetable", "pgtbl", "pgdir")
_UNKNOWN = Type("other")
_MAX_STACK = 4 * PAGE


class Held(NamedTuple):
    """A word that points into a frame: `pa` where to, `user` whose it is, `target` what it says is there.

    in_table: an entry of a page table, and then the level of the table at pa, or -1 for a page, and the first
    virtual address that it covers; whole: whether a block that begins there may have more pages.
    """

    pa: int
    user: User
    target: Type
    in_table: Optional[Tuple[int, int]] = None
    whole: bool = True


def claim(accounts: Accounts, kernel: Kernel, processes: Sequence[Proc], stack_at: StackAt) -> None:
    """Look for an owner of each frame that is neither free nor used.

    A kernel may keep frames in ways this kit has no name for: buffers, lists and slabs of structs, a second
    page table of a process. A frame is the kernel's when a variable, a slot of proc[] (one that is not in use
    may keep a frame for its next process), or the kernel stack of a process that waits has an address in it,
    or when a frame that the kernel has does, or maps it elsewhere than at its own address. Of a block of
    several pages the kernel may keep one address: see _claim_blocks.
    """
    lost = set(pages_of(accounts.lost()))
    if lost:
        _Search(accounts, kernel, lost).run(processes, stack_at)


class _Search:
    """The search for who holds the frames of `lost`."""

    def __init__(self, accounts: Accounts, kernel: Kernel, lost: Set[int]) -> None:
        self._accounts = accounts
        self._kernel = kernel
        self._info = kernel.info
        self._lost = lost
        self._blocks: Dict[int, User] = {}      # frames that may begin a block of unknown size
        self._variables = sorted((s.address, name) for name, s in self._info.symbols.items() if s.type.size)

    def run(self, processes: Sequence[Proc], stack_at: StackAt) -> None:
        pid_at = {p.address: p.pid for p in processes}
        for at, words in self._kernel.data_words():
            self._trace(self._in_variables(at, words, pid_at))
        for process in processes:
            self._trace(self._in_struct(process))
        for pa, user, target in self._kernels_own():
            self._trace(self._in_page(pa, user, target, 0))
        for process in processes:
            self._trace(self._on_stack(process, stack_at))
        self._claim_blocks()

    def _trace(self, found: Iterable[Held]) -> None:
        """Note the frames that words point into, and those that these frames point into."""
        left = list(found)
        while left:
            held = left.pop()
            frame = held.pa & -PAGE
            if frame not in self._lost:
                continue
            n_pages = max(1, (held.target.size + PAGE - 1) // PAGE) if held.pa == frame else 1
            is_block = held.whole and held.pa == frame and not held.in_table and self._may_be_long(held, frame)
            for pa in range(frame, frame + n_pages * PAGE, PAGE):
                if pa in self._lost:
                    self._lost.discard(pa)
                    if not is_block:
                        self._accounts.add(pa, held.user)
            if is_block:
                self._blocks[frame] = held.user
            if held.in_table and held.in_table[0] < 0:
                continue
            if held.in_table:
                left += self._in_table(frame, held.user, *held.in_table)
            else:
                left += self._in_page(frame, held.user, held.target, held.pa - frame)

    # Where words are

    def _in_variables(self, at: int, words: Sequence[int], pid_at: Dict[int, int]) -> Iterator[Held]:
        for i in self._hits(words):
            place = at + 8 * i
            name = self._info.object_at(place)
            if name in _STALE:
                continue
            found = self._typed(place)
            if found is None:
                if name not in _COPIES:
                    yield from self._pointed(words[i], User("kernel", None, None, name or f"variable at {place:#x}"),
                                             _UNKNOWN, None)
                continue
            path, inside, base, leaf = found
            if leaf is not None and not (inside == "file" and path.endswith(".pipe")):  # Kernel.pipes has those in use
                pid = pid_at.get(base) if inside == "proc" else None
                user = User("kernel", None, None, path) if pid is None else \
                    User("kernel", pid, None, "proc." + path.rpartition(".")[2])
                yield from self._pointed(words[i], user, _target(leaf), leaf)

    def _in_struct(self, process: Proc) -> Iterator[Held]:
        """In a living process's struct proc, wherever that is."""
        for field, word in self._kernel.proc_words(process):
            if word & -PAGE in self._lost:
                found = self._info.field("proc", field)
                yield from self._pointed(word, User("kernel", process.pid, None, f"proc.{field}"),
                                         _target(found.type) if found else _UNKNOWN, None)

    def _kernels_own(self) -> Iterator[Tuple[int, User, Type]]:
        """The frames that the kernel is known to have, and what is there."""
        size = self._info.struct_sizes.get("pipe", 0)
        for pa in self._kernel.pipes():
            yield pa, User("pipe"), Type("struct", size, "pipe")
        for pa, name in self._kernel.driver_frames():
            yield pa, User("driver", None, None, name), _UNKNOWN

    def _on_stack(self, process: Proc, stack_at: StackAt) -> Iterator[Held]:
        """In the saved registers and on the kernel stack of a process that is not running."""
        if process.state not in ("SLEEPING", "RUNNABLE", "USED"):
            return
        calls = self._kernel.calls(process, stack_at)
        if calls is not None and _HOLDERS_OF_NOTHING.issuperset(calls):
            return          # what else is there is left from earlier calls
        words = list(process.context)
        place = stack_at(process.context[1]) if len(process.context) > 1 else None
        if place is not None and not place[0] & 7:
            page_left = min(place[1], _MAX_STACK) & -8
            words += self._kernel.words(place[0], page_left)
        user = User("kernel", process.pid, None, "kernel stack")
        for i in self._hits(words):
            for held in self._pointed(words[i], user, _UNKNOWN, None):
                yield held._replace(whole=False)

    def _in_page(self, pa: int, user: User, target: Type, offset: int) -> List[Held]:
        """In a frame at whose `offset` there is a `target`."""
        if not self._lost or target.size == 1:
            return []               # bytes: a copy of somebody's data
        is_struct = target.kind == "struct" and target.size
        if offset == 0 and is_struct and target.size <= PAGE:
            words = self._kernel.words(pa, target.size & -8)
            return [held for i in self._hits(words)
                    for held in self._pointed_in(target, 8 * i, words[i], user)]
        words = self._kernel.words(pa, PAGE)
        found = [held for i in self._hits(words) for held in self._pointed(words[i], user, _UNKNOWN, None)]
        return found if offset or is_struct else found + self._in_table(pa, user, 2, 0)

    def _pointed_in(self, struct: Type, offset: int, word: int, user: User) -> Iterator[Held]:
        if not self._info.structs.get(struct.name):
            yield from self._pointed(word, user, _UNKNOWN, None)
            return
        _, _, leaf = _resolve(self._info, struct, offset)
        if leaf is not None:
            yield from self._pointed(word, user, _target(leaf), leaf)

    def _in_table(self, pa: int, user: User, level: int, va: int) -> List[Held]:
        """In a page table of that level, for addresses from va."""
        found = []
        for i, word in enumerate(self._kernel.words(pa, PAGE)):
            if word & V and not word >> 54 and pa_of(word) in self._lost:
                at = va + (i << 12 + 9 * level)
                if not word & (R | W | X):
                    found.append(Held(pa_of(word), user, _UNKNOWN, (level - 1, at)))
                elif level == 0 and pa_of(word) != at:      # a table that maps all of RAM owns none
                    found.append(Held(pa_of(word), user, _UNKNOWN, (-1, 0)))
        return found

    # What a word says

    def _hits(self, words: Sequence[int]) -> List[int]:
        """Which of the words could be addresses in lost frames, or two numbers of such frames."""
        lost = self._lost
        return [i for i, word in enumerate(words) if word and (
            word & -PAGE in lost or word << 12 in lost or (word & 0xFFFFFFFF) << 12 in lost
            or (word >> 32) << 12 in lost)]

    def _pointed(self, word: int, user: User, target: Type, leaf: Optional[Type]) -> Iterator[Held]:
        """leaf: the word's own type, where it is known."""
        size = 8 if leaf is None else leaf.size
        if size == 8 and word & -PAGE in self._lost:
            yield Held(word, user, target)
        elif size == 8 and word << 12 in self._lost:
            yield Held(word << 12, user, _UNKNOWN)
        elif leaf is not None and size == 4:        # a frame's number: two of them in a word
            for number in (word & 0xFFFFFFFF, word >> 32):
                if number << 12 in self._lost:
                    yield Held(number << 12, user, _UNKNOWN)

    def _typed(self, place: int) -> Optional[Tuple[str, str, int, Optional[Type]]]:
        """What the variable at `place` has there: (path, the innermost struct's name, where that begins, its type
        or None for no address); None when its type is not known."""
        i = bisect.bisect_right(self._variables, (place, "\U0010ffff")) - 1
        if i < 0:
            return None
        start, name = self._variables[i]
        kind = self._info.symbols[name].type
        if place >= start + kind.size or kind.kind == "other":
            return None
        path, inside, leaf = _resolve(self._info, kind, place - start)
        return name + path, inside[0], start + inside[1], leaf

    # Blocks

    def _may_be_long(self, held: Held, frame: int) -> bool:
        """Whether nothing says that the block which begins at `frame` is one page."""
        if held.target.kind == "struct" and held.target.size:
            return False
        if any(word in (held.user.name or "").lower() for word in _TABLE_WORDS):
            return False
        entries = [word for word in self._kernel.words(frame, PAGE) if word]
        base, end = self._kernel.reader.ram
        return not entries or not all(word & V and not word >> 54 for word in entries)

    def _claim_blocks(self) -> None:
        """Give the frames beside one whose block's size nobody knows to that block."""
        for frame, user in sorted(self._blocks.items()):
            start, end = frame, frame + PAGE
            while start - PAGE in self._lost:
                start -= PAGE
            while end in self._lost:
                end += PAGE
            self._lost.difference_update(range(start, end, PAGE))
            self._accounts.add_block(start, user, (end - start) // PAGE)


def _target(leaf: Type) -> Type:
    """What a word of that type points to."""
    return leaf.element if leaf.kind == "ptr" and leaf.element is not None else _UNKNOWN


def _resolve(info: DebugInfo, kind: Type, offset: int) -> Tuple[str, Tuple[str, int], Optional[Type]]:
    """What is at `offset` of a `kind`: (path, the innermost struct and where it begins, its type). The type is None
    where no address can be: bytes, saved registers, padding; one of no kind where the struct's parts are not known."""
    path, inside, start = "", ("", 0), 0
    while True:
        if kind.kind == "array" and kind.element is not None and kind.element.size:
            i = (offset - start) // kind.element.size
            path, start, kind = f"{path}[{i}]", start + i * kind.element.size, kind.element
        elif kind.kind == "struct":
            if kind.name in _SAVED:
                return path, inside, None
            fields = info.structs.get(kind.name)
            if not fields:
                return path, inside, _UNKNOWN_WORD
            inside = (kind.name, start)
            there = [(f.type.kind == "ptr", name, f) for name, f in fields.items()
                     if f.offset <= offset - start < f.offset + max(f.type.size, 1)]
            if not there:
                return path, inside, None
            _, name, field = max(there, key=lambda one: one[:2])     # of a union's the pointer
            path, start, kind = f"{path}.{name}", start + field.offset, field.type
        else:
            is_word = kind.size == 8 or kind.size == 4 and kind.kind in ("int", "uint")
            return path, inside, kind if is_word else None


_UNKNOWN_WORD = Type("other", 8)

"""Sv39: three-level page tables (RISC-V Privileged, 4.3.1 and 4.4).

Pure: memory comes through a Reader, results are plain data. Nothing that
memory holds makes a walk long or deep: a table is descended once, levels are
three, tables and leaves have a budget.
"""

from __future__ import annotations

import struct
from itertools import compress
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..records import address, record
from ..words import findings as said
from .readers import PAGE, Reader, ReadError

V, R, W, X, U, G, A, D = (1 << bit for bit in range(8))
"""Flag bits of an entry (Privileged, figure 4.19)."""

RESERVED = 0x3FF << 54
"""Bits 63 to 54: N, PBMT and reserved, zero on a machine without Svnapot and
Svpbmt, as xv6 assumes (Privileged, 4.4.1)."""

RSW = (8, 9)
"""The bits of an entry that are for software: hardware ignores them (Privileged, 4.4.1)."""

RSW_NAMES = ("RSW0", "RSW1")
"""What they are called where the kernel has no name for them."""

MAXVA = 1 << 38
"""xv6's end of virtual addresses: half of Sv39's, so that none needs its sign
extended."""

_PPN_MASK = (1 << 44) - 1
_WORD_MASK = (1 << 64) - 1

FLAGS = tuple("".join(letter if value >> bit & 1 else "-" for bit, letter in enumerate("VRWXUGAD"))
              for value in range(256))
"""An entry's low byte as letters in bit order, "-" for a clear bit."""


@record
class Finding:
    """Something in memory that cannot be right, or that could not be read.

    kind: a short fixed word; at: the physical address of the evidence, or None; text: a sentence for people, of
    words.findings; va, pte: of the entry, where it is one; list: the free list that it is about; n: how
    many more, of kind "more".
    """

    kind: str
    at: Optional[int] = address(default=None)
    text: str = ""
    va: Optional[int] = address(default=None)
    pte: Optional[int] = address(default=None)
    list: Optional[str] = None
    n: Optional[int] = None


@record
class Table:
    """A page table: a frame of 512 entries."""

    pa: int = address()
    level: int = 0                      # 2 is the root
    entry: Optional[int] = address(default=None)    # pa of the PTE that points here
    va: int = address(default=0)        # first virtual address it covers
    pte: Optional[int] = address(default=None)      # that PTE's value


class Leaf(NamedTuple):
    """`n_pages` pages mapped at `va`: one leaf entry, or in a walk for runs
    several with pa - va constant and equal flags but for A and D."""

    va: int
    pa: int
    level: int
    n_pages: int
    pte: int
    pte_at: int


class Walk(NamedTuple):
    """Everything reachable from a root, in order of virtual address.
    `complete` is False when the budget ended before the tables did."""

    root: int
    tables: List[Table]
    leaves: List[Leaf]
    findings: List[Finding]
    complete: bool


class Budget:
    """How many tables and leaves may still be visited, for one walk or for all
    the walks of a snapshot together."""

    def __init__(self, n_tables: int, n_leaves: int) -> None:
        self.n_tables = n_tables
        self.n_leaves = n_leaves


class Step(NamedTuple):
    """One level of a translation: which entry was read and what it says."""

    level: int
    index: int  # type: ignore[assignment]  # of the entry in its table; hides the tuple's method
    table: int                          # physical address
    pte_at: int                         # physical address
    pte: int
    text: str


class Translation(NamedTuple):
    """How `va` translates: the steps, then pa and the leaf's entry, or `fault`,
    a sentence that says why there is none."""

    va: int
    root: int
    steps: Tuple[Step, ...]
    pa: Optional[int]
    level: Optional[int]
    pte: Optional[int]
    fault: Optional[str]


def pa_of(pte: int) -> int:
    """The physical address of the frame an entry points to."""
    return (pte >> 10 & _PPN_MASK) << 12


def flags_of(pte: int) -> str:
    """An entry's flags, "VRWXUGAD" with - for a clear bit."""
    return FLAGS[pte & 0xFF]


def soft_of(pte: int, names: Sequence[str] = RSW_NAMES) -> Tuple[str, ...]:
    """The names of the software's bits that are set in an entry."""
    return tuple(name for bit, name in zip(RSW, names) if pte >> bit & 1)


def span(level: int) -> int:
    """Bytes that one entry of a table at `level` covers."""
    return PAGE << 9 * level


def indices(va: int) -> Tuple[int, int, int, int]:
    """(VPN[2], VPN[1], VPN[0], offset) of a virtual address."""
    return va >> 30 & 511, va >> 21 & 511, va >> 12 & 511, va & PAGE - 1


def canonical(va: int) -> int:
    """The 39 low bits of `va` with bit 38 copied upward, unsigned 64 bits."""
    va &= (1 << 39) - 1
    return va | _WORD_MASK ^ (1 << 39) - 1 if va >> 38 else va


def walk(reader: Reader, root: int, *, devices: bool = False, runs: bool = False,
         budget: Optional[Budget] = None) -> Walk:
    """All tables and leaves under `root`, a physical address.

    devices: leaves outside RAM are device registers, not findings.
    runs: join neighbouring leaves; a table that is one run is seen at once.
    budget: shared between walks; None allows this walk one visit to each
    frame of RAM.

    Findings instead of exceptions: "root-outside-ram", "table-outside-ram",
    "leaf-outside-ram", "table-repeated" (a cycle, or one table under two
    entries), "pointer-at-level-0", "misaligned-superpage", "reserved-bits",
    "write-without-read", "pointer-flags", "unreadable", "truncated", "more".
    """
    walker = _Walker(reader, devices, runs, budget or _whole_ram(reader))
    walker.start(root)
    return Walk(root, walker.tables, walker.leaves, walker.all_findings(), walker.complete)


def root_of(satp: Optional[int]) -> Optional[int]:
    """The root table that a satp holds (Privileged 4.1.11: MODE 8 is Sv39); None where
    there is no paging, or another."""
    return (satp & (1 << 44) - 1) << 12 if satp is not None and satp >> 60 == 8 else None


def first_place(reader: Reader, roots: Iterable[Optional[int]], va: int) -> Optional[Tuple[int, int]]:
    """(the physical address, the bytes from there to the end of its page) of a va by the first of these tables that maps it.

    roots: of tables; None is none. Some kernels have a table for each process, and its kernel stack in no other.
    """
    pas = (translate(reader, root, va).pa for root in roots if root)
    return next(((pa, PAGE - va % PAGE) for pa in pas if pa is not None), None)


def translate(reader: Reader, root: int, va: int, rsw: Sequence[str] = RSW_NAMES) -> Translation:
    """How the tables under `root` translate `va`, step by step. rsw: the kernel's names of bits 8 and 9.

    Sv39's algorithm (Privileged, 4.3.2) without the checks of permission,
    which `refusal` makes. Never raises for what memory holds.
    """
    steps: List[Step] = []

    def fault(why: str) -> Translation:
        return Translation(va, root, tuple(steps), None, None, None, why)

    if canonical(va) != va & _WORD_MASK:
        return fault(f"bits 63 to 39 of {va:#x} do not all equal bit 38: no such Sv39 address")
    table = root
    for level in (2, 1, 0):
        index = va >> 12 + 9 * level & 511
        pte_at = table + 8 * index
        try:
            pte = int.from_bytes(reader.read(pte_at, 8), "little")
        except ReadError as error:
            return fault(f"level {level}: the table cannot be read: {error}")
        steps.append(Step(level, index, table, pte_at, pte, describe(pte, level, rsw)))
        if not pte & V:
            return fault(f"level {level}: V is clear in entry {index}")
        if pte & RESERVED:
            return fault(f"level {level}: reserved bits are set in entry {index}")
        if pte & (R | W) == W:
            return fault(f"level {level}: W without R in entry {index}")
        if pte & (R | X):
            offset = va & span(level) - 1
            frame = pa_of(pte)
            if frame & span(level) - 1:
                return fault(f"level {level}: a superpage that is not aligned to {span(level):#x}")
            return Translation(va, root, tuple(steps), frame + offset, level, pte, None)
        table = pa_of(pte)
    return fault("level 0: a pointer (R, W and X are clear) where only a leaf may be")


def leaf(word: Callable[[int], int], root: int, va: int) -> Optional[Tuple[int, int]]:
    """(physical address of va, its entry) where translate() ends well, else None: for who asks thousands of times.

    word: the 64-bit word at a physical address; raises ReadError where there is none.
    """
    if canonical(va) != va & _WORD_MASK:
        return None
    table = root
    for level in (2, 1, 0):
        try:
            pte = word(table + 8 * (va >> 12 + 9 * level & 511))
        except ReadError:
            return None
        if not pte & V or pte & RESERVED or pte & (R | W) == W:
            return None
        if pte & (R | X):
            within = span(level) - 1
            return None if pa_of(pte) & within else (pa_of(pte) + (va & within), pte)
        table = pa_of(pte)
    return None


def describe(pte: int, level: int, rsw: Sequence[str] = RSW_NAMES) -> str:
    """What an entry at `level` says, in words: "leaf VRW-U-AD PTE_COW -> 0x87f00000"."""
    if not pte & V:
        return "empty" if pte == 0 else f"not valid ({pte:#x})"
    flags = " ".join((flags_of(pte), *soft_of(pte, rsw)))
    if pte & (R | W | X):
        what = "leaf" if level == 0 else f"leaf, superpage of {span(level) >> 20} MiB,"
        return f"{what} {flags} -> {pa_of(pte):#x}"
    return f"pointer {flags} -> table {pa_of(pte):#x}"


def refusal(pte: int, access: str, user: bool, sum_set: bool = False,
            mxr_set: bool = False) -> Optional[str]:
    """Why a leaf refuses an access, or None when it allows it.

    access: "read" "write" "execute"; user: from U-mode, else S-mode with
    sstatus.SUM and MXR as given (xv6 runs with both clear).
    """
    if user and not pte & U:
        return "U is clear: not for user mode"
    if not user and pte & U:
        if access == "execute":
            return "U is set: the supervisor never executes user pages"
        if not sum_set:
            return "U is set and sstatus.SUM is clear: not for the supervisor"
    need, letter = {"read": (R, "R"), "write": (W, "W"), "execute": (X, "X")}[access]
    if access == "read" and mxr_set:
        need = R | X
    return None if pte & need else f"{letter} is clear"


def entries(page: bytes) -> Iterator[Tuple[int, int]]:
    """(index, value) of every entry of a table that is not 0, ascending.

    Compares 64 entries at a time with zero first: most tables are empty.
    """
    for start in range(0, PAGE, _CHUNK_BYTES):
        chunk = page[start:start + _CHUNK_BYTES]
        if chunk != _ZERO_CHUNK:
            values = _CHUNK.unpack(chunk)
            for index in compress(_CHUNK_INDICES, values):
                yield index + (start >> 3), values[index]


_V_R = V | R

_CHUNK = struct.Struct("<64Q")
_CHUNK_BYTES = _CHUNK.size
_CHUNK_INDICES = range(_CHUNK_BYTES // 8)
_ZERO_CHUNK = bytes(_CHUNK_BYTES)

# A table as one number, 64 bits an entry: a table that is one run equals its
# first entry in every place plus a step that grows by one frame an entry.
_ONES = sum(1 << 64 * i for i in range(512))
_NOT_A_D = _ONES * (_WORD_MASK ^ (A | D))
_STEPS = tuple(sum((span(level) >> 2) * i << 64 * i for i in range(512)) for level in range(3))

_MAX_FINDINGS = 32
"""Findings that one walk tells in full; a table of noise would tell 512."""


def _whole_ram(reader: Reader) -> Budget:
    n_frames = (reader.ram[1] - reader.ram[0]) // PAGE
    return Budget(n_frames, 4 * n_frames)


class _Walker:
    """The state of one walk."""

    def __init__(self, reader: Reader, devices: bool, runs: bool, budget: Budget) -> None:
        self.reader, self.page = reader, reader.page
        self.ram_base, self.ram_end = reader.ram
        self.devices = devices
        self.runs = runs
        self.budget = budget
        self.tables: List[Table] = []
        self.leaves: List[Leaf] = []
        self.complete = True
        self.seen: Dict[int, Optional[int]] = {}    # table -> the entry that led to it
        self.findings: List[Finding] = []
        self.n_untold = 0

    def start(self, root: int) -> None:
        if not self.ram_base <= root <= self.ram_end - PAGE or root % PAGE:
            self.find("root-outside-ram", root, said.root_outside(root))
            self.complete = False
        else:
            self.table(root, 2, 0, None, None)

    def all_findings(self) -> List[Finding]:
        if self.n_untold:
            self.findings.append(Finding("more", self.findings[-1].at, said.more(self.n_untold), n=self.n_untold))
        return self.findings

    def find(self, kind: str, at: int, text: str, va: Optional[int] = None,
             pte: Optional[int] = None) -> None:
        self.budget.n_leaves -= 1       # noise costs what pages cost
        if len(self.findings) < _MAX_FINDINGS:
            self.findings.append(Finding(kind, at, text, va, pte))
        else:
            self.n_untold += 1

    def table(self, pa: int, level: int, va: int, entry: Optional[int],
              pte: Optional[int]) -> None:
        """Visit the table at `pa`, known to be a frame of RAM."""
        if self.budget.n_tables <= 0 or self.budget.n_leaves <= 0:
            if self.complete:
                self.find("truncated", pa, said.truncated(), va)
            self.complete = False
            return
        self.budget.n_tables -= 1
        self.seen[pa] = entry
        self.tables.append(Table(pa, level, entry, va, pte))
        try:
            page, plain = self.reader.remembered((pa, va), lambda: self.plain(pa, va)) if level == 0 else (self.page(pa), None)
        except ReadError as error:
            self.find("unreadable", pa, said.table_unreadable(pa, error), va)
            self.complete = False
            return
        if self.runs and level < 2 and self.whole_run(page, pa, level, va):
            return
        if plain is not None:
            return self.take(plain)
        shift = 12 + 9 * level
        for index, pte in entries(page):
            if pte & V:
                first = va + (index << shift)
                self.entry(pte, pa + 8 * index, level, canonical(first) if level == 2 else first)

    def plain(self, pa: int, va: int) -> Tuple[bytes, Optional[List[Leaf]]]:
        """A table of level 0, and its leaves where it has nothing else, and nothing that would be a finding."""
        page = self.page(pa)
        ram_base, last, found = self.ram_base, self.ram_end - PAGE, []
        for index, pte in entries(page):
            frame = pte >> 10 << 12
            if pte & _V_R == _V_R and ram_base <= frame <= last:
                found.append(Leaf(va + (index << 12), frame, 0, 1, pte, pa + 8 * index))
            elif pte & V:
                return page, None
        return page, found

    def take(self, leaves: List[Leaf]) -> None:
        """Leaves of one table that are as they should be."""
        if self.runs:
            for leaf in leaves:
                self.add(leaf)
        else:
            self.budget.n_leaves -= len(leaves)
            self.leaves += leaves

    def entry(self, pte: int, at: int, level: int, va: int) -> None:
        if pte & RESERVED:
            self.find("reserved-bits", at, said.reserved_bits(pte), va, pte)
        if pte & (R | W | X):
            self.leaf(pte, at, level, va)
        elif level == 0:
            self.find("pointer-at-level-0", at, said.pointer_at_level_0(pte), va, pte)
        else:
            self.pointer(pte, at, level, va)

    def leaf(self, pte: int, at: int, level: int, va: int) -> None:
        pa = (pte >> 10 & _PPN_MASK) << 12
        if pte & (R | W) == W:
            self.find("write-without-read", at, said.write_without_read(pte), va, pte)
        if level and pa & span(level) - 1:
            self.find("misaligned-superpage", at, said.misaligned_superpage(pa, span(level)), va, pte)
        if not self.devices and not self.ram_base <= pa <= self.ram_end - span(level):
            self.find("leaf-outside-ram", at, said.leaf_outside(pa, (self.ram_base, self.ram_end)), va, pte)
        self.add(Leaf(va, pa, level, 1 << 9 * level, pte, at))

    def pointer(self, pte: int, at: int, level: int, va: int) -> None:
        if pte & (U | A | D):
            self.find("pointer-flags", at, said.pointer_flags(pte), va, pte)
        pa = (pte >> 10 & _PPN_MASK) << 12
        if not self.ram_base <= pa <= self.ram_end - PAGE:
            self.find("table-outside-ram", at, said.table_outside(pa, (self.ram_base, self.ram_end)), va, pte)
            self.complete = False
        elif pa in self.seen:
            self.find("table-repeated", at, said.table_repeated(pa, self.seen[pa]), va, pte)
        else:
            self.table(pa, level - 1, va, at, pte)

    def whole_run(self, page: bytes, pa: int, level: int, va: int) -> bool:
        """Take a table whose 512 leaves are one run; False when it is not."""
        first = int.from_bytes(page[:8], "little") & ~(A | D)
        if not first & V or not first & (R | X) or first >> 54:
            return False
        whole = int.from_bytes(page, "little") & _NOT_A_D
        if whole != first * _ONES + _STEPS[level] or pa_of(first) & span(level) - 1:
            return False
        self.add(Leaf(va, pa_of(first), level, 512 << 9 * level, first, pa))
        return True

    def add(self, leaf: Leaf) -> None:
        self.budget.n_leaves -= 1
        if self.runs and self.leaves:
            last = self.leaves[-1]
            if (leaf.va - last.va == leaf.pa - last.pa == last.n_pages * PAGE
                    and leaf.level == last.level and not (leaf.pte ^ last.pte) & 0x3F):
                self.leaves[-1] = Leaf(last.va, last.pa, last.level, last.n_pages + leaf.n_pages,
                                       last.pte, last.pte_at)
                return
        self.leaves.append(leaf)

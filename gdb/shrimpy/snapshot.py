"""The whole of a stopped machine as plain data: Snapshot, JSON v1.

docs/architecture.md has the schema. Addresses are numbers here and hex strings
in JSON; everything is sorted, so the same memory gives the same bytes.
"""

from __future__ import annotations

import json
from typing import Optional, Tuple

from .debuginfo import DebugInfo
from .readers import Reader
from .records import Runs, address, decode, encode, many, names, one, pairs, record

SCHEMA = "shrimpy-snapshot"
VERSION = 1


@record
class Finding:
    """Something in memory that cannot be right, or that could not be read.

    kind: a short fixed word; at: the physical address of the evidence, or
    None; text: a sentence for people; va, pte: of the entry, where it is one.
    """

    kind: str
    at: Optional[int] = address(default=None)
    text: str = ""
    va: Optional[int] = address(default=None)
    pte: Optional[int] = address(default=None)


@record
class Layout:
    """The constants of this kernel. None is "not known here"."""

    page_size: int = 4096
    maxva: int = address(default=1 << 38)
    ram_base: int = address(default=0x80000000)     # RAM is [base, end)
    ram_end: int = address(default=0x88000000)
    kernel_base: Optional[int] = address(default=None)  # its image is [base, end)
    kernel_end: Optional[int] = address(default=None)
    alloc_end: Optional[int] = address(default=None)
    # the allocator's frames are [kernel_end rounded up, alloc_end): PHYSTOP
    trampoline: Optional[int] = address(default=None)   # virtual
    trapframe: Optional[int] = address(default=None)    # virtual
    fry: Optional[int] = address(default=None)          # virtual
    shrimp: Optional[int] = address(default=None)       # virtual
    fry_from: Optional[str] = None  # "parameter" "macro" "memlayout.h"
    nproc: Optional[int] = None


@record
class Stop:
    """Where the machine is stopped: the selected hart."""

    hart: int = 0
    privilege: Optional[str] = None     # "U" "S" "M"
    satp: Optional[int] = address(default=None)
    pid: Optional[int] = None           # of the process on this hart
    pc: Optional[int] = address(default=None)
    function: Optional[str] = None
    file: Optional[str] = None
    line: Optional[int] = None
    panicked: bool = False


@record
class Hart:
    """One hart at the stop. GDB knows privilege, satp, pc and function;
    `take` fills pid and interrupt_depth (push_off's) from cpus[]."""

    hart: int
    pid: Optional[int] = None
    privilege: Optional[str] = None
    satp: Optional[int] = address(default=None)
    pc: Optional[int] = address(default=None)
    function: Optional[str] = None
    interrupt_depth: Optional[int] = None


@record
class Lock:
    """A spinlock that guards what the rules read."""

    name: str
    held: bool
    hart: Optional[int] = None


@record
class Table:
    """A page table: a frame of 512 entries."""

    pa: int = address()
    level: int = 0                      # 2 is the root
    entry: Optional[int] = address(default=None)    # pa of the PTE that points here
    va: int = address(default=0)        # first virtual address it covers


@record
class Mapping:
    """A leaf entry; in the kernel's table, a run of them with pa - va constant,
    and then pte and pte_at are the first's and A and D are left out of flags."""

    va: int = address()
    pa: int = address()
    level: int = 0
    n_pages: int = 1                    # of 4096 bytes
    flags: str = "--------"             # "VRWXUGAD", - for a clear bit
    pte: int = address(default=0)
    pte_at: int = address(default=0)
    region: str = "other"


@record
class Process:
    """A slot of proc[] that is not UNUSED."""

    slot: int
    pid: int
    parent: Optional[int]               # pid
    name: str
    state: str
    sz: int                             # bytes
    proc: int = address()               # address of the struct proc
    root: Optional[int] = address(default=None)         # physical
    trapframe: Optional[int] = address(default=None)    # physical
    kstack: Optional[int] = address(default=None)       # virtual
    lock_held: bool = False             # p->lock
    killed: bool = False
    chan: Optional[int] = address(default=None)
    calls: Optional[Tuple[str, ...]] = None
    # functions on its kernel stack, innermost first; None while it runs or
    # where the stack could not be followed
    fry_content: Optional[str] = None
    # the last bytes of its FRY page: "zero", "junk" (the allocator's filling), "data"
    tables: Tuple[Table, ...] = many(Table)
    mappings: Tuple[Mapping, ...] = many(Mapping)
    findings: Tuple[Finding, ...] = many(Finding)


@record
class KernelTable:
    """The kernel's own page table."""

    root: Optional[int] = address(default=None)
    tables: Tuple[Table, ...] = many(Table)
    mappings: Tuple[Mapping, ...] = many(Mapping)
    findings: Tuple[Finding, ...] = many(Finding)


@record
class FreeList:
    """One list of the allocator: its C name and its nodes, in frames."""

    name: str
    count: int


@record
class Free:
    """The allocator's free frames. `complete` is False when the lists could
    not be walked to their ends; then `why` says what stood in the way."""

    count: int = 0
    runs: Runs = pairs()
    complete: bool = False
    why: Optional[str] = None
    lists: Tuple[FreeList, ...] = many(FreeList)
    findings: Tuple[Finding, ...] = many(Finding)


@record
class Counts:
    """The kernel's own count of each frame's users, where it is not 0."""

    name: str
    values: Runs = pairs()


@record
class User:
    """One user of a frame. kind: "user" "table" "trapframe" "kstack" "pipe"
    "kernel-table" "driver" (disk rings) "kernel" (a variable or a frame of the
    kernel points to it: `name` says which)."""

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


@record
class Snapshot:
    """The whole. `functions` gives the names that this kernel uses for "fork",
    "exec", "exit", "wait" and others where they differ by tree."""

    source: str
    kernel: str
    layout: Layout = one(Layout)
    stop: Stop = one(Stop)
    harts: Tuple[Hart, ...] = many(Hart)
    locks: Tuple[Lock, ...] = many(Lock)
    processes: Tuple[Process, ...] = many(Process)
    kernel_table: KernelTable = one(KernelTable, default=KernelTable())
    free: Free = one(Free, default=Free())
    counts: Optional[Counts] = one(Counts, default=None)
    frames: Tuple[Frame, ...] = many(Frame)
    lost: Runs = pairs()                # frames nobody accounts for; empty unless free.complete
    functions: Tuple[Tuple[str, str], ...] = names()
    findings: Tuple[Finding, ...] = many(Finding)

    def process(self, pid: int) -> Optional[Process]:
        """The process with this pid, or None."""
        return next((p for p in self.processes if p.pid == pid), None)

    def to_json(self) -> str:
        """JSON v1, one line, with a newline at its end."""
        data = {"schema": SCHEMA, "version": VERSION}
        data.update(encode(self))
        return json.dumps(data, separators=(",", ":")) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Snapshot":
        """The snapshot that `to_json` wrote. Raises ValueError on anything else."""
        data = json.loads(text)
        if not isinstance(data, dict) or data.get("schema") != SCHEMA:
            raise ValueError(f"not a {SCHEMA} file")
        if data.get("version") != VERSION:
            raise ValueError(f"{SCHEMA} version {data.get('version')}, expected {VERSION}")
        return decode(cls, data)


def take(reader: Reader, info: DebugInfo, stop: Optional[Stop] = None,
         harts: Tuple[Hart, ...] = (), *, fry: Optional[int] = None,
         shrimp: Optional[int] = None, fry_from: Optional[str] = None,
         walk_free: bool = True) -> Snapshot:
    """Everything there is to see in `reader`'s memory, by `info`.

    stop, harts: what only a debugger knows (registers); without them
    privileges are None. fry, shrimp: virtual addresses, None when this kernel
    has none; fry_from: where they came from. walk_free: False leaves the
    allocator's lists alone (free.complete is then False). With a reader that
    is not random_access and has no first_words the lists are walked a read
    per node.

    Never raises for what is in memory: that becomes findings. Raises
    ReadError only when the source itself fails.
    """
    raise NotImplementedError

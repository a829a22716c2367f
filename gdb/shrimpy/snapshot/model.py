"""The whole of a stopped machine as plain data: Snapshot, JSON v1.

docs/architecture.md has the schema. Addresses are numbers here and hex strings
in JSON; everything is sorted, so the same memory gives the same bytes.
"""

from __future__ import annotations

import dataclasses
import json
from typing import Dict, Optional, Tuple

from ..kernel import guard_of
from ..kernel.panic import Panic
from ..memory import sv39
from ..memory.sv39 import Finding, Table
from ..reasons import Kind
from ..records import Document, Runs, address, decode, encode, many, names, one, pairs, plain, pte_flags, record
from .frames import Frame

DOCUMENT = Document("shrimpy-snapshot", 1, "take the snapshot again with xv6-snapshot")


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
    rsw: Tuple[str, ...] = plain(default=sv39.RSW_NAMES, later=True)    # what this kernel calls bits 8 and 9 of an entry


AROUND = 3
"""Lines of source that are told before a line and after it."""


@record
class Place:
    """A line of the kernel's source. None where it is not known."""

    function: Optional[str] = None
    file: Optional[str] = None
    line: Optional[int] = None
    source: Optional[str] = None        # the line's text
    around: Tuple[str, ...] = plain(default=(), later=True)     # it and up to AROUND lines before and after it, as they are in the file


@record
class Stop:
    """Where the machine is stopped: the selected hart."""

    hart: Optional[int] = 0
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
    """One hart at the stop. GDB knows privilege, satp, pc and function; `take` fills
    pid and interrupt_depth (push_off's) from cpus[], and calls of one that has
    panicked: panic and its callers, innermost first."""

    hart: int
    pid: Optional[int] = None
    privilege: Optional[str] = None
    satp: Optional[int] = address(default=None)
    pc: Optional[int] = address(default=None)
    function: Optional[str] = None
    interrupt_depth: Optional[int] = None
    calls: Optional[Tuple[str, ...]] = None


@record
class Lock:
    """A spinlock that guards what the rules read."""

    name: str
    held: bool
    hart: Optional[int] = None


@record
class Mapping:
    """A leaf entry; in the kernel's table, a run of them with pa - va constant,
    and then pte and pte_at are the first's and A and D are left out of flags."""

    va: int = address()
    pa: int = address()
    level: int = 0
    n_pages: int = 1                    # of 4096 bytes
    flags: str = pte_flags(default="--------")      # "VRWXUGAD", - for a clear bit
    pte: int = address(default=0)
    pte_at: int = address(default=0)
    region: str = "other"


@record
class Attachment:
    """A segment that a process has attached, as the kernel keeps it.

    name: the segment's variable. segment: its id; None: it is not in use. writes: whether the process may write there; None:
    the kernel does not say.
    """

    va: int = address()
    name: str = ""
    segment: Optional[int] = None
    writes: Optional[bool] = None


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
    attachments: Tuple[Attachment, ...] = many(Attachment, later=True)


@record
class KernelTable:
    """The kernel's own page table."""

    root: Optional[int] = address(default=None)
    tables: Tuple[Table, ...] = many(Table)
    mappings: Tuple[Mapping, ...] = many(Mapping)
    findings: Tuple[Finding, ...] = many(Finding)


@record
class FreeList:
    """One list of the allocator: its C name, its nodes in frames, how many of them a node is, and the lock that guards it."""

    name: str
    count: int
    n_pages: int = plain(default=1, later=True)
    lock: Optional[str] = None


@record
class Free:
    """The allocator's free frames. `complete` is False when the lists could not be walked to their ends; then
    `hindrance`, of reasons.Kind, is what stood in the way, and `why` the same in words."""

    count: int = 0
    runs: Runs = pairs()
    complete: bool = False
    why: Optional[str] = None
    hindrance: Optional[str] = None
    lists: Tuple[FreeList, ...] = many(FreeList)
    findings: Tuple[Finding, ...] = many(Finding)


@record
class Counts:
    """The kernel's own count of each frame's users, where it is not 0.

    idle: (frame, how many) of the pointers to counted frames in slots of proc[] that are not in use."""

    name: str
    values: Runs = pairs()
    idle: Runs = pairs(later=True)


@record
class Segment:
    """A segment of shared memory, as the kernel keeps it; None: it does not say.

    id: as the regions of what is attached have it, "shm:ID". name: the variable. size: bytes. frames: in order.
    mode: shmctl's bits. removed: it goes with its last attachment. counted: what the kernel calls n_attached.
    """

    id: int
    name: str
    key: Optional[int] = None
    size: Optional[int] = None
    n_attached: Optional[int] = None
    mode: Optional[int] = None
    removed: bool = False
    frames: Runs = pairs()
    counted: Optional[str] = plain(default=None, later=True)


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
    panic: Optional[Panic] = one(Panic, default=None)
    next_pid: Optional[int] = None      # the pid that the next process gets
    segments: Tuple[Segment, ...] = many(Segment, later=True)
    segment_tables: Tuple[str, ...] = plain(default=(), later=True)     # the variables that segments are in, used or not
    lost: Runs = pairs()                # frames nobody accounts for; empty unless free.complete
    functions: Tuple[Tuple[str, str], ...] = names()
    findings: Tuple[Finding, ...] = many(Finding)

    def process(self, pid: Optional[int]) -> Optional[Process]:
        """The process with this pid, or None."""
        return None if pid is None else next((p for p in self.processes if p.pid == pid), None)

    def finding(self, *kinds: str) -> Optional[Finding]:
        """The first finding of such a kind about the kernel as a whole, or None."""
        return next((one for one in self.findings if one.kind in kinds), None)

    def to_json(self) -> str:
        """JSON v1, one line, with a newline at its end."""
        return json.dumps(self.to_data(), separators=(",", ":")) + "\n"

    def to_data(self) -> Dict[str, object]:
        """JSON v1 as the object that `json.dumps` takes."""
        return {"schema": DOCUMENT.schema, "version": DOCUMENT.version, **encode(self)}

    @classmethod
    def from_json(cls, text: str) -> "Snapshot":
        """The snapshot that `to_json` wrote. Raises records.Unfit, a ValueError, on anything else."""
        return DOCUMENT.parse(text, cls.from_data)

    @classmethod
    def from_data(cls, data: object) -> "Snapshot":
        """The snapshot that `to_data` gave, inside another document too. Raises records.Unfit."""
        DOCUMENT.check(data)
        return _completed(decode(cls, data))


_EARLIER = {"the free list was not walked": Kind.FREE_LIST_NOT_WALKED, "no free list is known in this kernel": Kind.NO_FREE_LIST,
            "a free list could not be walked to its end": Kind.FREE_LIST_BROKEN}
"""Why the free lists are not complete, as files of version 1.0 and older say it."""


def _completed(read: Snapshot) -> Snapshot:
    """A snapshot with what files of earlier versions do not have: which lock guards a free list, which list a finding is
    about, and why the lists are not complete."""
    locks = [lock.name for lock in read.locks]
    lists = tuple(one if one.lock else dataclasses.replace(one, lock=guard_of(one.name, locks)) for one in read.free.lists)
    names = [one.name for one in lists]
    findings = tuple(f if f.list else dataclasses.replace(f, list=next((n for n in names if f.text.startswith(f"{n}: ")), None))
                     for f in read.free.findings)
    known = _EARLIER.get(read.free.why or "")
    hindrance = read.free.hindrance or (known.value if known else None)
    return dataclasses.replace(read, free=dataclasses.replace(read.free, lists=lists, findings=findings, hindrance=hindrance))

"""A made-up machine: RAM with a proc table, page tables and a free list.

`Machine` hands out frames as a kernel would and writes what a kernel would
have written; a test then breaks what it likes and takes a snapshot.
"""

from __future__ import annotations

import struct
from typing import Any, Dict, List, Optional

from shrimpy.kernel.debuginfo import DebugInfo, Field, Symbol, Type
from shrimpy.memory.elf import Range
from shrimpy.memory.readers import PAGE, BytesReader
from shrimpy.memory.sv39 import MAXVA, R, U, V, W, X
from shrimpy.snapshot import Hart, Snapshot, Stop, take

BASE = 0x80000000
ETEXT = BASE + 2 * PAGE

TRAMPOLINE = MAXVA - PAGE
TRAPFRAME = TRAMPOLINE - PAGE
FRY = TRAPFRAME - PAGE
SHRIMP = FRY - PAGE

STATES = {"UNUSED": 0, "USED": 1, "SLEEPING": 2, "RUNNABLE": 3, "RUNNING": 4, "ZOMBIE": 5}

# Where the made-up kernel has its variables; kmem, whose counts grow with RAM,
# follows proc[], and the image ends after it.
CPUS, FTABLE, INITPROC, KERNEL_ROOT, PANICKED, DISK, KEPT = (
    ETEXT, *range(ETEXT + PAGE, ETEXT + 7 * 512 + PAGE, 512))[:7]
PROC, PROC_SIZE = ETEXT + 2 * PAGE, 256


def kmem_at(nproc: int) -> int:
    return PROC + nproc * PROC_SIZE


def image_end(n_frames: int, nproc: int) -> int:
    return kmem_at(nproc) + 32 + 2 * n_frames + PAGE - 1 & -PAGE


# Addresses inside made-up functions, for kernel stacks.
FUNCTIONS = {name: BASE + 0x100 * i for i, name in enumerate(
    ("usertrap", "forkret", "sched", "yield", "sleep", "syscall", "sys_wait", "wait", "sys_exec",
     "exec", "readi", "bread", "kerneltrap", "fork", "exit", "sys_pause", "kalloc", "kfree",
     "uvmunmap", "freewalk", "scheduler", "swtch"), 1)}

INT, UINT, CHAR, WORD = Type("int", 4), Type("uint", 4), Type("char", 1), Type("uint", 8)
SPINLOCK = Type("struct", 24, "spinlock")


def pointer(name: str = "") -> Type:
    """A pointer to struct `name`."""
    return Type("ptr", 8, "", 0, Type("struct", 0, name) if name else None)


def array(element: Type, count: int) -> Type:
    return Type("array", element.size * count, "", count, element)


def fields(*members) -> Dict[str, Field]:
    """Fields from (name, offset, type)."""
    return {name: Field(offset, t) for name, offset, t in members}


def debuginfo(n_frames: int, nproc: int) -> DebugInfo:
    """The debug info of the made-up kernel."""
    structs = {
        "spinlock": fields(("locked", 0, UINT), ("name", 8, pointer()), ("cpu", 16, pointer("cpu"))),
        "run": fields(("next", 0, pointer("run"))),
        "context": fields(("ra", 0, WORD), ("sp", 8, WORD), ("s0", 16, WORD)),
        "cpu": fields(("proc", 0, pointer("proc")), ("noff", 120, INT)),
        "kmem": fields(("lock", 0, SPINLOCK), ("freelist", 24, pointer("run")),
                       ("refs", 32, array(Type("uint", 2), n_frames))),
        "file": fields(("type", 0, Type("enum", 4)), ("ref", 4, INT), ("pipe", 16, pointer("pipe"))),
        "ftable": fields(("lock", 0, SPINLOCK), ("file", 24, array(Type("struct", 40, "file"), 10))),
        "disk": fields(("desc", 0, pointer("virtq_desc")), ("avail", 8, pointer("virtq_avail")),
                       ("used", 16, pointer("virtq_used"))),
        "proc": fields(("lock", 0, SPINLOCK), ("state", 24, Type("enum", 4, "procstate")),
                       ("chan", 32, pointer()), ("killed", 40, INT), ("xstate", 44, INT),
                       ("pid", 48, INT), ("parent", 56, pointer("proc")), ("kstack", 64, WORD),
                       ("sz", 72, WORD), ("pagetable", 80, pointer()),
                       ("trapframe", 88, pointer("trapframe")), ("fry", 96, pointer()),
                       ("shrimp", 104, pointer()),
                       ("context", 112, Type("struct", 24, "context")),
                       ("name", 136, array(CHAR, 16))),
    }
    sizes = {"spinlock": 24, "run": 8, "context": 24, "cpu": 128, "kmem": 32 + 2 * n_frames,
             "file": 40, "ftable": 24 + 400, "disk": 24, "proc": PROC_SIZE}
    kept = ("proc", PROC, nproc * PROC_SIZE), ("kept", KEPT, 64)
    return DebugInfo(
        kernel="made-up",
        symbols={
            "proc": Symbol(PROC, array(Type("struct", PROC_SIZE, "proc"), nproc)),
            "cpus": Symbol(CPUS, array(Type("struct", 128, "cpu"), 8)),
            "kmem": Symbol(kmem_at(nproc), Type("struct", sizes["kmem"], "kmem")),
            "initproc": Symbol(INITPROC, pointer("proc")),
            "kernel_pagetable": Symbol(KERNEL_ROOT, pointer()),
            "ftable": Symbol(FTABLE, Type("struct", 424, "ftable")),
            "disk": Symbol(DISK, Type("struct", 24, "disk")),
            "panicked": Symbol(PANICKED, INT),
            "end": Symbol(image_end(n_frames, nproc), Type("other")), "etext": Symbol(ETEXT, Type("other")),
        },
        structs=structs, struct_sizes=sizes, enums={**STATES, "FD_NONE": 0, "FD_PIPE": 1},
        macros={"FRY": FRY, "SHRIMP": SHRIMP, "PHYSTOP": BASE + n_frames * PAGE},
        functions=tuple(Range(at, 0x100, name) for name, at in FUNCTIONS.items()),
        objects=tuple(Range(at, size, name) for name, at, size in kept))


class Process:
    """A process of the made-up machine: what a test needs to break it."""

    def __init__(self, slot: int, pid: int) -> None:
        self.slot, self.pid = slot, pid
        self.address = PROC + slot * PROC_SIZE
        self.root = self.trapframe = self.kstack = self.stack_frame = 0
        self.fry = self.shrimp = 0
        self.pages: Dict[int, int] = {}     # va -> frame, below sz


class Machine:
    """RAM of `n_frames` frames with a kernel in it and no process yet."""

    def __init__(self, n_frames: int = 512, nproc: int = 64) -> None:
        self.n_frames, self.nproc = n_frames, nproc
        self.ram = bytearray(n_frames * PAGE)
        self.lowest, self.end = image_end(n_frames, nproc), BASE + n_frames * PAGE     # of the frames that can be had
        self.kmem = kmem_at(nproc)
        self.info = debuginfo(n_frames, nproc)
        self.available: List[int] = list(
            range(self.lowest, self.end, PAGE))  # the last is the next
        self.refs: Dict[int, int] = {}
        self.processes: Dict[int, Process] = {}
        self.kernel_root = self.alloc()
        self.put(KERNEL_ROOT, self.kernel_root)
        for pa in range(BASE, self.end, PAGE):
            self.map(self.kernel_root, pa, pa, R | (X if pa < ETEXT else W))
        self.map(self.kernel_root, TRAMPOLINE, BASE + PAGE, R | X)
        self.map(self.kernel_root, 0x10000000, 0x10000000, R | W)       # the UART

    # Memory

    def put(self, pa: int, value: int, size: int = 8) -> None:
        """Write a number of `size` bytes."""
        self.ram[pa - BASE:pa - BASE + size] = value.to_bytes(size, "little")

    def get(self, pa: int, size: int = 8) -> int:
        return int.from_bytes(self.ram[pa - BASE:pa - BASE + size], "little")

    def alloc(self) -> int:
        """A zeroed frame, counted once."""
        pa = self.available.pop()
        self.ram[pa - BASE:pa - BASE + PAGE] = bytes(PAGE)
        self.refs[pa] = 1
        return pa

    def free(self, pa: int) -> None:
        """One user less; the last one frees the frame."""
        self.refs[pa] -= 1
        if not self.refs[pa]:
            self.available.append(pa)

    # Page tables

    def pte_at(self, root: int, va: int, make: bool = True) -> int:
        """The address of the level-0 entry for `va`; tables are made on the way."""
        table = root
        for level in (2, 1):
            at = table + 8 * (va >> 12 + 9 * level & 511)
            if not self.get(at) & V:
                if not make:
                    return 0
                self.put(at, self.alloc() >> 2 | V)
            table = self.get(at) >> 10 << 12
        return table + 8 * (va >> 12 & 511)

    def map(self, root: int, va: int, pa: int, flags: int) -> int:
        """Map a page and return its entry's address."""
        at = self.pte_at(root, va)
        self.put(at, pa >> 2 | flags | V)
        return at

    def renew_fry(self, p: Process) -> int:
        """Map another frame at a process's FRY and free the one it had; returns the new one. p.fry is left alone."""
        new = self.alloc()
        self.free(self.unmap(p.root, FRY))
        self.map(p.root, FRY, new, R | W | U)
        return new

    def unmap(self, root: int, va: int) -> int:
        """Clear the entry of `va`; returns the frame it had."""
        at = self.pte_at(root, va)
        pa = self.get(at) >> 10 << 12
        self.put(at, 0)
        return pa

    # Processes

    def map_superpage(self, root: int, va: int, pa: int, flags: int) -> None:
        """Map 512 frames, none of which is in use, by one entry of level 1."""
        self.available = [one for one in self.available if not pa <= one < pa + 512 * PAGE]
        unused = self.pte_at(root, va) & -PAGE      # the table of level 0 that the entry would lead to
        middle = self.get(root + 8 * (va >> 30 & 511)) >> 10 << 12
        self.put(middle + 8 * (va >> 21 & 511), pa >> 2 | flags | V)
        self.available.append(unused)

    def process(self, pid: int, parent: Optional[Process] = None, name: str = "sh",
                state: str = "SLEEPING", n_pages: int = 4) -> Process:
        """A complete process: text, data, guard, stack, and from the fifth
        page on heap; its FRY; the parent's FRY as SHRIMP when it has one."""
        slot = next(s for s in range(self.nproc)
                    if all(p.slot != s for p in self.processes.values()))
        p = Process(slot, pid)
        self.processes[pid] = p
        p.root, p.trapframe, p.fry = self.alloc(), self.alloc(), self.alloc()
        p.kstack = TRAMPOLINE - (slot + 1) * 2 * PAGE
        p.stack_frame = self.alloc()
        self.map(self.kernel_root, p.kstack, p.stack_frame, R | W)
        self.map(p.root, TRAMPOLINE, BASE + PAGE, R | X)
        self.map(p.root, TRAPFRAME, p.trapframe, R | W)
        self.map(p.root, FRY, p.fry, R | W | U)
        if parent is not None:
            p.shrimp = parent.fry
            self.refs[p.shrimp] += 1
            self.map(p.root, SHRIMP, p.shrimp, R | W | U)
        for i in range(n_pages):
            p.pages[i * PAGE] = self.alloc()
            flags = (R | X | U, R | W | U, R | W)[i] if i < 3 else R | W | U
            self.map(p.root, i * PAGE, p.pages[i * PAGE], flags)
        self.field(p, "pid", pid)
        self.field(p, "parent", parent.address if parent else 0)
        self.field(p, "kstack", p.kstack)
        self.field(p, "sz", n_pages * PAGE)
        self.field(p, "pagetable", p.root)
        self.field(p, "trapframe", p.trapframe)
        at = p.address + self.info.field("proc", "name").offset
        self.ram[at - BASE:at - BASE + 16] = name.encode().ljust(16, b"\0")
        self.state(p, state)
        if parent is None:
            self.put(INITPROC, p.address)
        return p

    def field(self, p: Process, name: str, value: int) -> None:
        """Write a field of the struct proc."""
        place = self.info.field("proc", name)
        self.put(p.address + place.offset, value, place.type.size)

    def state(self, p: Process, state: str, calls: Optional[List[str]] = None) -> None:
        """Set the state; `calls` are on its kernel stack, innermost first."""
        self.field(p, "state", STATES[state])
        usual = {"SLEEPING": ["sched", "sleep", "wait", "sys_wait", "syscall", "usertrap"],
                 "ZOMBIE": ["sched", "exit", "syscall", "usertrap"]}
        self.calls(p, calls if calls else usual.get(state or "", ["sched", "yield", "usertrap"]))

    def calls(self, p: Process, calls: List[str]) -> None:
        """Write a kernel stack with these calls, innermost first."""
        registers = p.address + self.info.field("proc", "context").offset
        top = p.kstack + PAGE
        fp = top - 32 * (len(calls) - 1)
        self.put(registers, FUNCTIONS[calls[0]] + 8)
        self.put(registers + 8, fp - 32)
        self.put(registers + 16, fp)
        for caller in calls[1:]:
            at = p.stack_frame + fp - p.kstack
            self.put(at - 8, FUNCTIONS[caller] + 8)
            self.put(at - 16, fp + 32)
            fp += 32

    def exits(self, p: Process) -> None:
        """exit and wait together: everything is given back, children go to pid 1."""
        init = self.processes[1]
        for other in self.processes.values():
            if self.get(other.address + self.info.field("proc", "parent").offset) == p.address:
                self.field(other, "parent", init.address)
        for frame in [*p.pages.values(), p.trapframe, p.fry] + ([p.shrimp] if p.shrimp else []):
            self.free(frame)
        for frame in self.tables(p.root):
            self.free(frame)
        self.unmap(self.kernel_root, p.kstack)
        self.free(p.stack_frame)
        self.field(p, "pagetable", 0)
        self.field(p, "state", STATES["UNUSED"])
        del self.processes[p.pid]

    def tables(self, root: int) -> List[int]:
        """The frames of a process's page tables."""
        found = [root]
        for i in range(512):
            entry = self.get(root + 8 * i)
            if entry & V:
                middle = entry >> 10 << 12
                found.append(middle)
                found.extend(e >> 10 << 12 for e in struct.unpack_from("<512Q", self.ram, middle - BASE)
                             if e & V)
        return found

    # Snapshots

    def write_free_list(self) -> None:
        """Thread the frames not handed out into kmem.freelist, and kmem.refs."""
        below = 0
        for pa in self.available:
            self.put(pa, below)
            below = pa
        self.put(self.kmem + 24, below)
        for i in range(self.n_frames):
            self.put(self.kmem + 32 + 2 * i, self.refs.get(BASE + i * PAGE, 0), 2)

    def reader(self) -> BytesReader:
        return BytesReader(bytes(self.ram), BASE)

    def look(self, harts: Optional[List[Hart]] = None, **options: Any) -> Snapshot:
        """A snapshot of memory as it is; harts idle unless given."""
        harts = harts if harts is not None else [Hart(0, None, "S", None, None, "scheduler")]
        constants: Dict[str, Any] = {"fry": FRY, "shrimp": SHRIMP, "fry_from": "macro", **options}
        return take(self.reader(), self.info, Stop(hart=0, privilege="S"), harts, **constants)

    def snapshot(self, harts: Optional[List[Hart]] = None, **options) -> Snapshot:
        """Write the free list and the counts, then look."""
        self.write_free_list()
        return self.look(harts, **options)


def family(**options) -> Machine:
    """init, its shell, the shell's child and two grandchildren."""
    m = Machine(**options)
    init = m.process(1, None, "init")
    sh = m.process(2, init, "sh")
    parent = m.process(3, sh, "shrimpdemo")
    m.process(4, parent, "shrimpdemo")
    m.process(5, parent, "shrimpdemo")
    return m

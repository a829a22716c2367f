"""What the kernel's memory says, read past the kit: to count from outside, and to judge the kit's excuses."""

from __future__ import annotations

import json
import mmap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from lab.machines import debugger
from lab.machines.machine import Machine

RAM = 0x80000000        # hw/riscv/virt.c of QEMU, "virt_memmap"
PAGE = 4096
LIVING = ("SLEEPING", "RUNNABLE", "RUNNING")

# GDB without a machine: where things are, by the kernel's DWARF alone.
_ASK = r"""python
import json
def array(expression):
    value = gdb.parse_and_eval(expression)
    return [int(value.address), value.type.range()[1] + 1, value.type.target().sizeof]
def code(name):
    block = gdb.block_for_pc(int(gdb.parse_and_eval("(unsigned long)&" + name)))
    while block.function is None:
        block = block.superblock
    return [block.start, block.end]
print('@@' + json.dumps({
    'arrays': {name: array(name) for name in ('proc', 'cpus', 'ftable.file', 'itable.inode', 'asleep', 'shm.segments')},
    'at': {name: int(gdb.parse_and_eval('(unsigned long)&' + name)) for name in LOCKS + ('kernel_pagetable',)},
    'fields': {tag: {f.name: f.bitpos // 8 for f in gdb.lookup_type('struct ' + tag).fields()}
               for tag in ('proc', 'cpu', 'spinlock', 'file', 'inode', 'context', 'segment')},
    'shm_mode': int(gdb.parse_and_eval('(unsigned long)&((struct segment *)0)->ds.shm_perm.mode')),
    'states': [f.name for f in sorted(gdb.lookup_type('enum procstate').fields(), key=lambda f: f.enumval)],
    'macros': {name: int(gdb.parse_and_eval(name)) for name in ('FRY', 'SHRIMP', 'TRAMPOLINE')},
    'code': {name: code(name) for name in FUNCTIONS}}))
end"""
_LOCKS = ("kmem.lock", "wait_lock", "slots.lock", "ready.lock", "ftable.lock", "itable.lock", "cache.lock", "log.lock",
          "tickslock")
_FUNCTIONS = ("kerneltrap", "scheduler", "forkret", "exec", "sys_exec", "fork", "sys_fork", "exit", "wait", "kalloc",
              "kzalloc", "kfree", "kdup", "memset", "uvmunmap", "sched", "swtch")


@dataclass(frozen=True)
class Proc:
    """A slot of proc[] that is not UNUSED; parent: a pid, or 0; ra, sp: where it was switched away from; n_attached: segments."""

    pid: int
    state: str
    parent: int
    locked: bool
    root: int
    kstack: int
    ra: int
    sp: int
    n_attached: int


@dataclass(frozen=True)
class Registers:
    """One hart's, as GDB has them."""

    pc: int
    priv: int           # 0 user, 1 supervisor, 3 machine


class Facts:
    """One kernel's places; memory(machine) reads them. The machine must stand still, or do nothing meanwhile."""

    def __init__(self, elf: Path) -> None:
        ask = _ASK.replace("LOCKS", repr(_LOCKS)).replace("FUNCTIONS", repr(_FUNCTIONS))
        said = debugger.checked(elf, ["list proc.c:1,2", ask], kit=False)
        self.places = json.loads(said.partition("@@")[2].splitlines()[0])

    def memory(self, machine: Machine) -> Memory:
        return Memory(self.places, machine.ram_file)


class Memory:
    """A machine's physical memory, as the kernel's own structs."""

    def __init__(self, places: dict, ram_file: Path) -> None:
        self._places = places
        self._fields = places["fields"]
        with ram_file.open("rb") as file:
            self._ram = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        self.macros: dict[str, int] = places["macros"]

    def close(self) -> None:
        self._ram.close()

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def number(self, pa: int, size: int = 8) -> int:
        return int.from_bytes(self._ram[pa - RAM:pa - RAM + size], "little")

    def physical(self, root: int, va: int) -> int | None:
        """What a root table gives for va, by Privileged 4.4; None when it is not mapped."""
        table = root
        for level in (2, 1, 0):
            entry = self.number(table + (va >> 12 + 9 * level & 511) * 8) if table else 0
            table = entry >> 10 << 12
            if not entry & 1:
                return None
            if entry & 14:
                return table + va % (PAGE << 9 * level)
        return None

    def _each(self, array: str) -> Iterable[int]:
        start, n, size = self._places["arrays"][array]
        return range(start, start + n * size, size)

    def _locked(self, lock: int) -> bool:
        return self.number(lock + self._fields["spinlock"]["locked"], 4) != 0

    def procs(self) -> dict[int, Proc]:
        """By pid."""
        at, context = self._fields["proc"], self._fields["context"]
        found = {}
        for one in self._each("proc"):
            state = self.number(one + at["state"], 4)
            states = self._places["states"]
            if state == states.index("UNUSED"):
                continue
            parent = self.number(one + at["parent"])
            pid = self.number(one + at["pid"], 4)
            found[pid] = Proc(pid, states[state], self.number(parent + at["pid"], 4) if parent else 0,
                              self._locked(one + at["lock"]), self.number(one + at["pagetable"]),
                              self.number(one + at["kstack"]), self.number(one + at["context"] + context["ra"]),
                              self.number(one + at["context"] + context["sp"]), self.number(one + at["nshm"], 4))
        return found

    def segments(self) -> list[int]:
        """The modes of the segments of shared memory that are in use."""
        return [self.number(one + self._places["shm_mode"], 4) for one in self._each("shm.segments")
                if self.number(one + self._fields["segment"]["frames"])]

    def running(self, hart: int) -> int:
        """The pid of cpus[hart].proc, or 0."""
        start, _, size = self._places["arrays"]["cpus"]
        proc = self.number(start + hart * size + self._fields["cpu"]["proc"])
        return self.number(proc + self._fields["proc"]["pid"], 4) if proc else 0

    def held(self, name: str) -> bool:
        """Whether a lock that the kernel calls so is held: kmem is kmem.lock."""
        at = self._places["at"]
        return self._locked(at[name] if name in at else at[name + ".lock"])

    def any_held(self) -> bool:
        """Whether one of the kernel's locks is: the named ones, those of processes, of sleep queues."""
        return (any(self.held(name) for name in _LOCKS) or any(p.locked for p in self.procs().values())
                or any(self._locked(queue) for queue in self._each("asleep")))

    def is_in(self, pc: int, function: str) -> bool:
        start, end = self._places["code"][function]
        return start <= pc < end

    def is_called(self, proc: Proc, function: str) -> bool:
        """Whether a return address into the function lies on the kernel stack of a process that is switched away."""
        root = self.number(self._places["at"]["kernel_pagetable"])
        stack = self.physical(root, proc.kstack)
        words = [self.number(stack + proc.sp % PAGE + i, 8)
                 for i in range(0, PAGE - proc.sp % PAGE, 8)] if proc.sp & -PAGE == proc.kstack else []
        return any(self.is_in(word, function) for word in (proc.ra, *words))

    def knows(self, function: str) -> bool:
        return function in self._places["code"]

    def open_files(self) -> int:
        """Entries of ftable with references."""
        return sum(self.number(one + self._fields["file"]["ref"], 4) > 0 for one in self._each("ftable.file"))

    def inodes(self) -> int:
        """Entries of itable with references."""
        return sum(self.number(one + self._fields["inode"]["ref"], 4) > 0 for one in self._each("itable.inode"))

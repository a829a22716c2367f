"""The processes of a kernel, as its memory has them, and what its harts run."""

from __future__ import annotations

import struct
from collections import Counter
from functools import cached_property
from typing import Callable, List, NamedTuple, Optional, Sequence, Tuple

from ..memory.readers import PAGE, Reader
from ..memory.sv39 import root_of
from ..records import Runs
from ..words import findings as said
from . import processes
from .processes import Shape
from .debuginfo import DebugInfo, Type
from .stacks import FP, RA, SP, Stack, StackAt, Unwinder
from .variables import Variables, of_memory, word

_NUMBERS = ("pid", "parent", "sz", "root", "trapframe", "kstack", "killed", "chan")


class Proc(NamedTuple):
    """A slot of proc[], as it is in memory."""

    slot: int
    address: int
    pid: int
    parent: int                         # address of a struct proc, or 0
    name: str
    state: str
    sz: int                             # bytes
    root: int                           # pagetable; 0 when it has none
    trapframe: int
    kstack: int                         # virtual
    lock_held: bool
    killed: bool
    chan: int
    context: Tuple[int, ...]            # ra, sp, s0 to s11, as far as it has them
    data: bytes                         # the whole struct


class Slots(Variables):
    """Every process, what it waits in, and which hart runs it."""

    @of_memory
    def processes(self) -> List[Proc]:
        """Every process, by slot: of an array, that of its place; else its address,
        in units of 16 bytes from RAM's base."""
        kind = self.shape
        if kind is None:
            return []
        table = processes.table(self.info, kind)
        if table is None:
            found = processes.Search(self.reader, self.info, kind).addresses()
            base = self.reader.ram[0]
            slots = [(at - base >> 4, at, self._bytes(at, kind.size, f"a struct {kind.struct}") or b"") for at in found]
        else:
            data = self._bytes(table.address, kind.size * table.count, f"{table.variable}[]") or b""
            slots = [(i, table.address + i * kind.size, data[i * kind.size:(i + 1) * kind.size])
                     for i in range(len(data) // kind.size)]
        read, unused = self._read_proc
        state = kind.direct("state")
        if state is not None and table is not None:     # most slots are not in use
            at, end = state.offset, state.offset + state.type.size
            free = unused.to_bytes(state.type.size, "little")
            slots = [one for one in slots if one[2][at:end] != free]
        known = (self.reader.remembered(one[1], lambda one=one: read(*one), one) for one in slots)    # type: ignore[misc]
        return [p for p in known if p.state != "UNUSED"]

    def process_at(self, address: int) -> Optional[Proc]:
        """The one of processes() whose struct proc is at an address, or None: of an array no other is read."""
        kind = self.shape
        table = processes.table(self.info, kind) if kind else None
        if kind is None or table is None:
            return next((p for p in self.processes() if p.address == address), None)
        slot, beside = divmod(address - table.address, kind.size)
        data = self._in_ram(address, kind.size) if not beside and 0 <= slot < table.count else None
        found = self._read_proc[0](slot, address, data) if data else None
        return found if found and found.state != "UNUSED" else None

    def running(self, hart: int) -> Optional[Proc]:
        """The process that a hart runs, or None."""
        cpus = self.cpus()
        return self.process_at(cpus[hart][0]) if hart < len(cpus) else None

    @cached_property
    def _read_proc(self) -> Tuple[Callable[[int, int, bytes], Proc], int]:
        """What makes a Proc of a slot's number, its address and its bytes; and the number of the state UNUSED."""
        kind = processes.shape(self.info)
        assert kind is not None, "whoever reads a process knows its shape"
        unused = next((n for n, name in processes.states(self.info).items() if name == "UNUSED"), 0)
        return _proc_reader(self.reader, self.info, kind), unused

    @property
    def shape(self) -> Optional[Shape]:
        """The struct of this kernel's processes; None, and a finding, when no type is like one."""
        kind = processes.shape(self.info)
        if kind is None:
            self._find("no-proc-table", None, self.info.undescribed_why("struct proc") or said.no_process_type())
        return kind

    def has_processes(self) -> bool:
        """Whether a type of this kernel is like a struct proc."""
        return processes.shape(self.info) is not None

    def note_undescribed(self) -> None:
        """A finding that debugging information is missing, where processes are known anyway."""
        why = self.info.undescribed_why("what it keeps")
        if why is not None:
            self._find("no-debug-info", None, why)

    def note_unseen(self, roots: Sequence[int], n_found: int) -> None:
        """A finding that there are processes that were not found; roots: tables of theirs."""
        self._find("no-proc-table", roots[0] if roots else None, said.processes_unseen(n_found, len(roots)))

    def idle_pointers(self, used: Sequence[Proc]) -> Runs:
        """(frame, how many) of the pointers in slots of proc[] that are not of those in use: such a slot may keep a page, and its
        reference to it, for its next process."""
        return self._idle_pointers([p.address for p in used])

    @of_memory
    def _idle_pointers(self, taken: Sequence[int]) -> Runs:
        kind = processes.shape(self.info)
        table = processes.table(self.info, kind) if kind else None
        if kind is None or table is None:
            return ()
        data = self._bytes(table.address, kind.size * table.count, f"{table.variable}[]") or b""
        pointers = [f.offset for f in self.info.structs.get(kind.struct, {}).values() if f.type.kind == "ptr"]
        return tuple(sorted(Counter(
            pointer & -PAGE for at in range(0, len(data), kind.size) if table.address + at not in taken
            for offset in pointers for pointer in [word(data, at + offset, 8)] if pointer).items()))

    def n_slots(self) -> int:
        """Slots in proc[]: NPROC; 0 where the kernel has no such array."""
        kind = processes.shape(self.info)
        table = processes.table(self.info, kind) if kind else None
        return table.count if table else 0

    def proc_words(self, process: Proc) -> List[Tuple[str, int]]:
        """(field's name, word) of each aligned word of a struct proc, but for
        the saved registers, which may be stale."""
        return [(name, value) for name, _, value in self.words_of_proc(process.address)]

    def tables_beside(self, process: Proc) -> List[int]:
        """Page tables that a process has beside its program's: some kernels have one of their own for each."""
        kind = processes.shape(self.info)
        root = kind.direct("root") if kind else None
        if kind is None or root is None or root.type.kind != "ptr":
            return []
        return [word(process.data, f.offset, 8) for f in self.info.structs.get(kind.struct, {}).values()
                if f.type == root.type and f.offset != root.offset]

    def words_of_proc(self, address: int) -> List[Tuple[str, int, int]]:
        """(field's name, where it is, what it is) of the same words."""
        kind = processes.shape(self.info)
        if kind is None:
            return []
        fields = sorted((f.offset, name, f.type)
                        for name, f in self.info.structs.get(kind.struct, {}).items())
        data = self._bytes(address, kind.size, f"struct {kind.struct}")
        if data is None:
            return []
        words = []
        for offset, name, t in fields:
            if t.name != "context":
                for at in range(offset + 7 & ~7, min(offset + t.size, kind.size) - 7, 8):
                    words.append((name, address + at, int.from_bytes(data[at:at + 8], "little")))
        return words

    @of_memory
    def cpus(self) -> List[Tuple[int, int]]:
        """(address of the struct proc running there or 0, depth of push_off) by hart."""
        symbol = self.info.symbol("cpus", "cpu")
        kind = processes.shape(self.info)
        if symbol is None or kind is None:
            return []
        one = symbol.type.element if symbol.type.kind == "array" else symbol.type
        if one is None or one.kind != "struct" or not one.size:
            return []
        running = _running(self.info, one.name, kind)
        depth = self.info.field(one.name, "noff", "ncli")
        if running is None:
            return []
        offset, through = running
        number = min(symbol.type.count, 64) if symbol.type.kind == "array" else 1
        data = self._bytes(symbol.address, one.size * number, "cpus[]")
        if data is None:
            return []
        found = []
        for at in range(0, one.size * number, one.size):
            process = word(data, at + offset, 8)
            if process and through is not None:
                process = self._pointer(process + through)
            found.append((process, word(data, at + depth.offset, depth.type.size) if depth else 0))
        return found

    def calls(self, process: Proc, stack_at: StackAt) -> Optional[Tuple[str, ...]]:
        """The functions on the kernel stack of a process that is not running,
        innermost first; None when it cannot be followed to its top."""
        stack = self.stack(process, stack_at)
        return stack.names if stack.whole else None

    def stack(self, process: Proc, stack_at: StackAt) -> Stack:
        """The kernel stack of a process that is not running, from where swtch left it."""
        ra, sp, fp = process.context[:3]
        function = self.info.function_range(ra)
        registers = dict(zip((RA, SP, FP, 9, *range(18, 28)), process.context))
        return Unwinder(self.reader, self.info, stack_at).follow(
            ra, registers, function is not None and function.address == ra,
            process.kstack + PAGE if process.kstack else None)


def _proc_reader(reader: Reader, info: DebugInfo, kind: processes.Shape) -> Callable[[int, int, bytes], Proc]:
    """What makes a Proc of a slot's number, its address and its bytes."""
    def place(name: str) -> Callable[[int, bytes], int]:
        found = kind.fields.get(name)
        if found is None:
            return lambda address, data: 0
        if found.through is not None:
            known: processes.Place = found
            return lambda address, data: processes.value(reader, address, known) or 0
        at, n = found.offset, min(found.type.size, 8)
        return lambda address, data: int.from_bytes(data[at:at + n], "little")

    numbers = [place(name) for name in _NUMBERS]
    state, states = place("state"), processes.states(info)
    name = kind.direct("name")
    lock, locked = kind.direct("lock"), info.field("spinlock", "locked", "lock")
    lock_at = (lock.offset + locked.offset, locked.type.size) if lock and locked else (0, 0)
    context = kind.fields.get("context")
    registers = [] if context is None else [
        processes.Place(context.offset + at, Type("uint", 8), context.through) for at in _saved_registers(info, context.type.name)]
    in_a_row = bool(registers) and all(one.through is None and one.offset == registers[0].offset + 8 * n for n, one in enumerate(registers))
    row = struct.Struct(f"<{len(registers)}Q")

    def saved(address: int, data: bytes) -> Tuple[int, ...]:
        if in_a_row and len(data) >= registers[0].offset + row.size:    # of most kernels, and many times as fast
            return row.unpack_from(data, registers[0].offset)
        return tuple(word(data, one.offset, 8) if one.through is None else processes.value(reader, address, one) or 0 for one in registers)

    def read(slot: int, address: int, data: bytes) -> Proc:
        pid, parent, sz, root, trapframe, kstack, killed, chan = (number(address, data) for number in numbers)
        number = state(address, data)
        text = data[name.offset:name.offset + name.type.size] if name else b""
        root = root_of(root) or root
        known = states.get(number, f"?{number}")
        if known == "USED" and kind.threads is not None:
            known = kind.threads.liveliest(data)
        return Proc(slot, address, pid, parent, _printable(text), known,
                    sz, root, trapframe, kstack, bool(word(data, *lock_at)), bool(killed), chan,
                    saved(address, data), data)

    return read


def _running(info: DebugInfo, cpu: str, kind: processes.Shape) -> Optional[Tuple[int, Optional[int]]]:
    """Where struct cpu has a pointer to its process, and where that has one, if the
    first is to a thread; None where it has none."""
    fields = info.structs.get(cpu, {})
    pointers = [(name, f.offset, f.type.element.name) for name, f in fields.items()
                if f.type.kind == "ptr" and f.type.element is not None]
    pointers.sort(key=lambda one: not any(w in one[0].lower() for w in ("proc", "cur", "thread", "task")))
    for _, offset, target in pointers:
        if target == kind.struct:
            return offset, None
    for _, offset, target in pointers:
        for inner in info.structs.get(target, {}).values():
            if inner.type.kind == "ptr" and inner.type.element is not None and inner.type.element.name == kind.struct:
                return offset, inner.offset
    return None


def _saved_registers(info: DebugInfo, context: str) -> List[int]:
    """Offsets in struct context of ra, sp, s0 to s11."""
    ra, sp = info.field(context, "ra"), info.field(context, "sp")
    if ra is None or sp is None:
        return []
    found = [ra.offset, sp.offset]
    several = info.field(context, "s")
    if several is not None and several.type.kind == "array":
        return found + [several.offset + 8 * i for i in range(min(several.type.count, 12))]
    for i in range(12):
        one = info.field(context, f"s{i}", *(("fp",) if i == 0 else ()))
        if one is None:
            break
        found.append(one.offset)
    return found


def _printable(text: bytes) -> str:
    text = text.split(b"\0", 1)[0]
    if text.isalnum():
        return text.decode()
    return "".join(chr(c) if 32 <= c < 127 else f"\\x{c:02x}" for c in text)

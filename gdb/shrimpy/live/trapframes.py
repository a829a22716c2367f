"""`bt` through a trap: GDB knows neither the trampoline, which runs where it was
not linked, nor where a trap saved the registers of what it interrupted.

A frame is looked at only by its pc, which GDB has: nothing is read from the
machine but for the frames of the trap handlers, and for the user program's
behind them. No packet of our own may be sent here: that makes GDB forget the
frames that it is about to find. So memory is read as GDB reads it, through the
kernel's page table, in which all of RAM is where it is.
"""

from __future__ import annotations

import bisect
import functools
from collections.abc import Iterator
from pathlib import Path

import gdb
import gdb.unwinder
from gdb.FrameDecorator import FrameDecorator

from ..kernel import Kernel, Proc, gdbinfo, stacks, trapframe, unwind
from ..kernel.debuginfo import DebugInfo
from ..memory.elf import Range
from ..memory import elf, sv39
from ..memory.program import Program
from ..memory.readers import PAGE, Reader, ReadError
from . import stop
from .programs import program_file
from .session import session

_WORD = (1 << 64) - 1
_STACK_BYTES = 2 * PAGE         # of a kernel stack and the gap above it
_USER = 1 << 40                 # what frame ids of user frames are above: GDB holds that a caller's stack is higher
_MOST_FRAMES = 64               # of a user program
_REGISTERS = ("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "fp", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
              "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6")
_HANDLERS = ("usertrap",)
_FIRST = ("forkret",)           # returns to nobody: where a process begins in the kernel

_TROUBLE = (gdb.error, gdb.MemoryError, gdbinfo.NoKernel, stop.NotStopped, ReadError, elf.ElfError, OSError)


class _FrameId:
    """What tells a frame from others: its stack pointer and its function."""

    def __init__(self, sp: int, pc: int) -> None:
        self.sp, self.pc = gdb.Value(sp), gdb.Value(pc)


class _Places:
    """Where a kernel's trap handlers are."""

    def __init__(self, info: DebugInfo) -> None:
        base, code = gdbinfo.code(info)
        linked = info.symbol("trampoline")
        self.info = info
        self.trampoline = info.macros.get("TRAMPOLINE", sv39.MAXVA - PAGE)
        self.linked = linked.address if linked else None
        self.after_call: int | None = None          # in the trampoline, as it is mapped
        self.handlers: list[Range] = []
        self.vectors: list[Range] = []
        self.machine: list[Range] = []              # entered by traps to machine mode
        self.first: list[Range] = []
        self._base, self._code = base, code
        self._starts = [function.address for function in info.functions]
        # A compiler may leave out what tells a debugger how to unwind, or the linker script drop it.
        self.silent = not {".debug_frame", ".eh_frame"} & elf.section_names(info.kernel)
        for function in info.functions:
            if self.linked is not None and self.linked <= function.address < self.linked + PAGE:
                continue
            body = self.body(function)
            if function.name in _HANDLERS:
                self.handlers.append(function)
            elif function.name in _FIRST:
                self.first.append(function)
            elif unwind.has_sret(body, 0, len(body)):
                self.vectors.append(function)
            elif unwind.is_machine_vector(body):
                self.machine.append(function)
        if self.linked is not None:
            page = code[self.linked - base:self.linked - base + PAGE]
            after = unwind.after_jump(page, self.trampoline)
            self.after_call = after

    def function(self, pc: int) -> Range | None:
        at = bisect.bisect_right(self._starts, pc) - 1
        found = self.info.functions[at] if at >= 0 else None
        return found if found and pc < found.address + max(found.size, 1) else None

    def body(self, function: Range) -> bytes:
        at = function.address - self._base
        return self._code[at:at + function.size] if at >= 0 else b""

    def name_in_trampoline(self, pc: int) -> str | None:
        """Of two labels at the page's first address, the function's."""
        name = None if self.linked is None else self.info.function_at(self.linked + pc % PAGE)
        return "uservec" if name == "trampoline" else name


class _User:
    """A frame of a user program. exact: its pc is the next instruction, not where a call returns to."""

    def __init__(self, process: Proc | None, program: Program | None, reader: Reader | None, exact: bool, depth: int) -> None:
        self.process, self.program, self.reader, self.exact, self.depth = process, program, reader, exact, depth

    @property
    def name(self) -> str:
        """What stands for a function that nobody can name."""
        return self.process.name or f"pid {self.process.pid}" if self.process else "user"

    def function(self, pc: int) -> Range | None:
        return self.program.function(pc if self.exact else pc - 1) if self.program else None


class TrapUnwinder(gdb.unwinder.Unwinder):
    """Goes from a trap to what it interrupted."""

    def __init__(self) -> None:
        super().__init__("shrimpy")
        self._busy = False
        self._known: _Places | None = None
        self._looked = False
        self._users: dict[tuple[int, int], _User] = {}
        self._interrupted: set[tuple[int, int]] = set()     # (pc, sp) of what a trap to machine mode came into
        self._callers: dict[tuple[int, int], tuple[_FrameId, dict[str, int]]] = {}  # of the kernel's frames below that
        self._programs: dict[Path, Program] = {}
        for name in ("new_objfile", "clear_objfiles"):
            getattr(gdb.events, name).connect(self._forget)
        self._n_resumes = 0                                 # of the session, when the three were found

    def _forget_what_ran(self) -> None:
        self._n_resumes = session.n_resumes
        self._users.clear()
        self._interrupted.clear()
        self._callers.clear()

    def _forget(self, _event: object) -> None:
        self._looked, self._known = False, None
        self._programs.clear()

    def places(self) -> _Places | None:
        """Of the kernel that is loaded, found once."""
        if not self._looked:
            self._looked = True
            try:
                self._known = _Places(session.debuginfo()[0])
            except _TROUBLE:
                self._known = None
        return self._known

    def user(self, pc: int, sp: int) -> _User | None:
        """The user frame with these registers, if one has been found since the machine stopped."""
        return self._users.get((pc, sp))

    def is_interrupted(self, pc: int, sp: int) -> bool:
        """Whether a trap to machine mode came there since the machine stopped."""
        return (pc, sp) in self._interrupted

    def __call__(self, pending: gdb.PendingFrame) -> object | None:
        if self._busy:              # what we read may ask for a frame
            return None
        self._busy = True
        try:
            if self._n_resumes != session.n_resumes:
                self._forget_what_ran()
            return self._unwind(pending)
        except Exception:  # noqa: BLE001  whatever a stranger's memory holds: GDB knows another way, or ends the list there
            return None
        finally:
            self._busy = False

    def _unwind(self, pending: gdb.PendingFrame) -> object | None:
        places = self.places()
        if places is None:
            return None
        pc = _register(pending, "pc")
        if places.trampoline <= pc < places.trampoline + PAGE:
            return self._trampoline(pending, pc, places)
        known = self._callers.get((pc, _register(pending, "sp", 0))) if self._callers else None
        if known is not None:
            return _returning(pending, *known)
        if (function := _in(places.handlers, pc)) is not None:
            return self._handler(pending, function, places)
        if (function := _in(places.vectors, pc)) is not None:
            return self._vector(pending, function, pc, places)
        if (function := _in(places.machine, pc)) is not None:
            return self._machine(pending, function, places)
        if (function := _in(places.first, pc)) is not None:
            return _returning(pending, _FrameId(_register(pending, "sp"), function.address), {"pc": 0})
        user = self.user(pc, _register(pending, "sp")) if self._users else None
        if user:
            return self._user_frame(pending, pc, user)
        return self._plain(pending, pc, places) if places.silent else None

    def _plain(self, pending: gdb.PendingFrame, pc: int, places: _Places) -> object | None:
        """A function of a kernel whose file does not say how to unwind."""
        function = places.function(pc if pending.level() == 0 else pc - 1)
        if function is None:
            return None
        body, sp = places.body(function), _register(pending, "sp")
        found = unwind.caller(body, function.address, pc, _register(pending, "ra", 0), sp, _register(pending, "fp"), _kernel_word)
        if found is None or found.sp < sp:
            return None
        size, saved, _ = unwind.made(body, function.address, pc)
        if places.function(found.pc - 1) is None and not places.trampoline <= found.pc < places.trampoline + PAGE:
            found = found._replace(pc=0)
        kept = {} if _in(places.vectors, found.pc) is None else {"sepc": _register(pending, "sepc", -1)}
        kept |= {name: _kernel_word(found.sp - size + saved[number]) if number in saved else _register(pending, name, -1)
                for number, name in enumerate(_REGISTERS) if name[0] == "s" and name != "sp"}
        return _returning(pending, _FrameId(found.sp, function.address), {
            **{name: value for name, value in kept.items() if value != -1}, "pc": found.pc, "sp": found.sp, "fp": found.fp})

    def _handler(self, pending: gdb.PendingFrame, function: Range, places: _Places) -> object | None:
        """usertrap was called by the trampoline, with the process's kernel stack still empty; many a trampoline jumps
        there, and ra is the user's."""
        if places.after_call is None:
            return None
        top = _register(pending, "sp") + PAGE - 1 & -PAGE
        found = {"pc": places.after_call, "sp": top}
        read = unwind.reads_sepc(places.body(function), function.address)
        sepc = _register(pending, "sepc", -1)
        if read is not None and sepc != -1 and _register(pending, "pc") <= read + 8:
            found["sepc"] = sepc        # it is not in the trapframe yet; what is inlined or called there has it too
        return _returning(pending, _FrameId(top, function.address), found)

    def _vector(self, pending: gdb.PendingFrame, function: Range, pc: int, places: _Places) -> object | None:
        """kernelvec has saved registers on the stack that was in use; sepc is what it interrupted."""
        body = places.body(function)
        sp = _register(pending, "sp")
        size, saved, _ = unwind.made(body, function.address, pc)
        copy = unwind.copy_of_sepc(body, function.address, pc)
        if not unwind.taken(body, function.address, pc):    # nothing saved yet, or all back where it was
            size, saved, copy = 0, {}, None
        found = {name: _kernel_word(sp + saved[number]) for number, name in enumerate(_REGISTERS)
                 if number in saved and number not in (0, unwind.SP)}
        # Where it has not kept sepc, the register still has it: kerneltrap puts it back after it has let others run.
        at = _kernel_word(sp + copy) if copy is not None else _register(pending, "sepc", 0)
        if places.info.function_at(at) is None:
            at = 0
        kept = {name: value for name in _REGISTERS[1:] if (value := _register(pending, name, -1)) != -1}
        return _returning(pending, _FrameId(sp + size, function.address), {**kept, **found, "pc": at, "sp": sp + size})

    def _machine(self, pending: gdb.PendingFrame, function: Range, places: _Places) -> object | None:
        """A trap to machine mode came into whatever ran: mepc is where, and what a callee must keep it has left alone."""
        pc, sp = _register(pending, "mepc"), _register(pending, "sp")
        registers = {name: _register(pending, name) for name in ("ra", "sp", "gp", "tp", "fp", "s1", *_REGISTERS[18:28], "sepc")}
        self._interrupted.add((pc, sp))
        reader = session.quiet_reader(places.info)
        if places.info.function_at(pc) is not None:
            if reader is not None:
                self._follow(pc, registers, reader, places, sv39.root_of(_register(pending, "satp", 0)))
        elif not places.trampoline <= pc < places.trampoline + PAGE:
            process = Kernel(reader, places.info).running(_hart(pending)) if reader is not None else None
            self._users[pc, sp] = _User(process, process and self._program(process), reader, True, 0)
        return _returning(pending, _FrameId(sp, function.address), {**registers, "pc": pc})

    def _follow(self, pc: int, registers: dict[str, int], reader: Reader, places: _Places, used: int | None) -> None:
        """Notes who called whom in the kernel: GDB reads physical memory in machine mode, and a kernel's stacks may be mapped
        elsewhere. used: the table that satp leads to, or None."""
        root = Kernel(reader, places.info).root()

        def stack_at(va: int) -> tuple[int, int] | None:
            return (va, PAGE - va % PAGE) if root is None else sv39.first_place(reader, (root, used), va)
        numbered = {number: registers[name] for number, name in stacks.REGISTERS.items() if name in registers}
        frames = stacks.Unwinder(reader, places.info, stack_at).follow(pc, numbered, True).frames
        for frame, caller in zip(frames, frames[1:]):
            found = {name: caller.registers[number] for number, name in stacks.REGISTERS.items()
                     if number in caller.registers and (number < stacks.CSR or name == "sepc")}
            if stacks.SP in frame.registers and "sp" in found:
                self._callers[frame.pc, frame.registers[stacks.SP]] = (
                    _FrameId(found["sp"], frame.start), {**found, "pc": caller.pc})

    def _is_innermost(self, pending: gdb.PendingFrame) -> bool:
        """Whether nothing has been called from there: it runs, or was interrupted by a trap to machine mode."""
        return pending.level() == 0 or (_register(pending, "pc"), _register(pending, "sp", 0)) in self._interrupted

    def _trampoline(self, pending: gdb.PendingFrame, pc: int, places: _Places) -> object | None:
        """Between a user program and the kernel: the program's registers are in its trapframe, but for those that
        uservec has not saved yet."""
        sp = _register(pending, "sp")
        innermost = self._is_innermost(pending)
        reader = session.quiet_reader(places.info)
        process = None
        if reader is not None:
            kernel = Kernel(reader, places.info)
            process = _on_stack(kernel, sp) or kernel.running(_hart(pending))
            if process is None or not process.trapframe:
                return None
            page = reader.read(process.trapframe, trapframe.BYTES)
        else:                       # on the program's page table, which has its trapframe too
            at = places.info.macros.get("TRAPFRAME", places.trampoline - PAGE)
            page = bytes(gdb.selected_inferior().read_memory(at, trapframe.BYTES))
        registers = _saved_registers(page, places.info)
        arriving = innermost and (places.after_call is None or pc < places.after_call)
        on_kernel_stack = process is not None and process.kstack < sp <= process.kstack + _STACK_BYTES
        if arriving and not on_kernel_stack:
            registers.update({name: _register(pending, name) for name in ("sp", "ra", "fp")})
        if arriving or not innermost:
            registers["pc"] = _register(pending, "sepc", registers["pc"])
        self._users[registers["pc"], registers["sp"]] = _User(process, process and self._program(process), reader, True, 0)
        own = sp if on_kernel_stack else _USER + sp
        return _returning(pending, _FrameId(own, places.trampoline), registers)

    def _user_frame(self, pending: gdb.PendingFrame, pc: int, user: _User) -> object | None:
        sp, function = _register(pending, "sp"), user.function(pc)
        own = _FrameId(_USER + sp, function.address if function else pc)
        found = self._caller(pending, pc, sp, user, function)
        if found is None:
            return _returning(pending, own, {"pc": 0})
        self._users[found.pc, found.sp] = _User(user.process, user.program, user.reader, False, user.depth + 1)
        return _returning(pending, own, {"pc": found.pc, "sp": found.sp, "fp": found.fp})

    def _caller(self, pending: gdb.PendingFrame, pc: int, sp: int, user: _User, function: Range | None) -> unwind.Caller | None:
        """None: it is the program's first function, or nobody can say."""
        program, reader, process = user.program, user.reader, user.process
        if function is None or program is None or reader is None or process is None or user.depth >= _MOST_FRAMES \
                or program.function(program.entry) == function:
            return None
        word = functools.partial(_user_word, reader, process.root)
        found = unwind.caller(program.body(function), function.address, pc, _register(pending, "ra", pc), sp,
                              _register(pending, "fp"), word)
        if found is None or found.sp < sp or program.function(found.pc - 1) is None:
            return None
        return found

    def _program(self, process: Proc) -> Program | None:
        try:
            path = program_file(Path(gdbinfo.kernel_objfile().filename), process.name)
            if path is not None and path not in self._programs:
                self._programs[path] = Program(path)
        except _TROUBLE:
            return None
        return self._programs[path] if path is not None else None


def _returning(pending: gdb.PendingFrame, own: _FrameId, registers: dict[str, int]) -> object:
    """To a caller with these registers; its others are not known."""
    info = pending.create_unwind_info(own)
    for name, value in registers.items():
        info.add_saved_register(name, gdb.Value(value & _WORD).cast(pending.read_register(name).type))
    return info


def _register(pending: gdb.PendingFrame, name: str, default: int | None = None) -> int:
    try:
        return int(pending.read_register(name)) & _WORD
    except gdb.error:               # of a caller, where nobody saved it
        if default is None:
            raise
        return default


def _hart(pending: gdb.PendingFrame) -> int:
    thread = gdb.selected_thread()
    return _register(pending, "mhartid", thread.num - 1 if thread is not None else 0)


def _in(ranges: list[Range], pc: int) -> Range | None:
    return next((one for one in ranges if one.address <= pc < one.address + max(one.size, 1)), None)


def _on_stack(kernel: Kernel, sp: int) -> Proc | None:
    return next((p for p in kernel.processes() if p.kstack and p.kstack < sp <= p.kstack + _STACK_BYTES), None)


def _saved_registers(page: bytes, info: DebugInfo) -> dict[str, int]:
    """What a trapframe holds, by GDB's names: pc is its epc."""
    pc, saved = trapframe.registers(page, info)
    return {**{name: saved[number] for number, name in enumerate(_REGISTERS) if number}, "pc": pc}


def _user_word(reader: Reader, root: int, va: int) -> int | None:
    at = sv39.translate(reader, root, va).pa
    try:
        return None if at is None or va % 8 else int.from_bytes(reader.read(at, 8), "little")
    except ReadError:
        return None


def _kernel_word(va: int) -> int:
    return int.from_bytes(bytes(gdb.selected_inferior().read_memory(va, 8)), "little")


class _Named(FrameDecorator):
    """A frame whose function GDB does not know, or takes for another program's."""

    def __init__(self, base: FrameDecorator, name: str, source: tuple[str, int] | None = None) -> None:
        super().__init__(base)
        self._name, self._source = name, source

    def function(self) -> str:
        return self._name

    def filename(self) -> str | None:
        return self._source and self._source[0]

    def line(self) -> int | None:
        return self._source and self._source[1]

    def frame_args(self) -> None:
        return None

    frame_locals = frame_args


class Names:
    """The frame filter: names for the trampoline's frames and the user program's, and an end where there is no caller."""

    name, priority, enabled = "shrimpy", 100, True

    def __init__(self, unwinder: TrapUnwinder) -> None:
        self._unwinder = unwinder
        gdb.frame_filters[self.name] = self

    def filter(self, frames: Iterator[FrameDecorator]) -> Iterator[FrameDecorator]:
        newer = None
        for one in frames:
            frame = one.inferior_frame()
            if self._is_of_another_program(frame):
                continue
            if newer is not None and (frame.pc() == 0 or frame.pc() == _start(newer)):
                return              # who began here returns to nobody
            yield self._named(one, frame)
            newer = frame

    def _is_of_another_program(self, frame: gdb.Frame) -> bool:
        """Whether GDB has made this frame of a call that is inlined at that address, but in another program than runs there."""
        if frame.type() != gdb.INLINE_FRAME:
            return False
        pc = frame.pc() & _WORD
        user = self._unwinder.user(pc, int(frame.read_register("sp")) & _WORD)
        return user is not None and _line(user, pc) is None

    def _named(self, one: FrameDecorator, frame: gdb.Frame) -> FrameDecorator:
        places = self._unwinder.places()
        pc = frame.pc() & _WORD
        if places is None:
            return one
        if places.trampoline <= pc < places.trampoline + PAGE:
            name = places.name_in_trampoline(pc if frame.level() == 0 else pc - 1)
            return _Named(one, name) if name else one
        sp = int(frame.read_register("sp")) & _WORD
        if self._unwinder.is_interrupted(pc, sp) and frame.type() != gdb.INLINE_FRAME:
            # GDB looks for a caller's function before its pc, and what was interrupted may be at its first instruction.
            function = places.function(pc)
            if function is not None and function.address == pc:
                place = gdb.find_pc_line(pc)
                return _Named(one, function.name, (place.symtab.filename, place.line) if place.symtab else None)
        user = self._unwinder.user(pc, sp)
        if user is None:            # GDB's word for what it cannot name, which a filter would leave out
            return one if isinstance(one.function(), str) else _Named(one, "??")
        function, line = user.function(pc), _line(user, pc)
        known = one.function() if line else None        # of an inlined call too
        return _Named(one, str(known) if known else function.name if function else user.name, line)


def _start(frame: gdb.Frame) -> int | None:
    """Where a frame's function begins; None of an inlined one, whose caller has the same pc."""
    function = frame.function() if frame.type() != gdb.INLINE_FRAME else None
    return int(function.value().address) & _WORD if function is not None else None


def _line(user: _User, pc: int) -> tuple[str, int] | None:
    """The source line, where GDB has that program's symbols."""
    place = gdb.find_pc_line(pc if user.exact else pc - 1)
    if user.program is None or place.symtab is None or not place.line \
            or place.symtab.objfile.filename != str(user.program.path):
        return None
    return place.symtab.filename, place.line


def register() -> None:
    unwinder = TrapUnwinder()
    gdb.unwinder.register_unwinder(None, unwinder, replace=True)
    Names(unwinder)

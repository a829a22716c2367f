"""Every hart's calls, of its registers and memory alone: so of a core and of a recording too, and GDB's selection stays."""

from __future__ import annotations

from pathlib import Path

from ..kernel import backtrace, trapframe
from ..kernel.backtrace import Calls
from ..kernel.cnames import FROM_USER, OUTERMOST
from ..kernel.stacks import SEPC, Registers, Unwinder
from ..memory import sv39
from ..memory.elf import ElfError
from ..memory.program import Program
from ..memory.readers import PAGE, Reader, ReadError
from ..snapshot import Hart, Process, Snapshot
from ..snapshot.taking import stack_at
from . import stop
from .programs import program_file
from .session import session

_TRAMPOLINE = ("uservec", "userret", "trampoline")


def of_harts(taken: Snapshot) -> list[Calls]:
    """By hart. Raises what session.memory() raises."""
    registers = stop.registers()
    with session.memory() as reader:
        return [_of_hart(taken, hart, registers.get(hart.hart, {}), reader) for hart in taken.harts]


def _of_hart(taken: Snapshot, hart: Hart, registers: Registers, reader: Reader) -> Calls:
    process, info = taken.process(hart.pid), session.debuginfo()[0]
    if hart.pc is None:
        return Calls(hart.hart, hart.pid, (), False)
    if hart.privilege == "U":
        names, whole = _of_program(process, hart.pc, registers, reader) if process else (("user", f"{hart.pc:#x}"), False)
        return Calls(hart.hart, hart.pid, names, whole)
    if hart.function in _TRAMPOLINE and process is not None:
        names, _ = _of_program(process, registers.get(SEPC, 0), registers, reader)
        return Calls(hart.hart, hart.pid, (*names[:1], *names[-1:], hart.function or "uservec"), True)
    top = process.kstack + PAGE if process and process.kstack else None
    stack = Unwinder(reader, info, stack_at(taken.kernel_table, reader, [sv39.root_of(hart.satp)])).follow(hart.pc, registers, True, top)
    names = backtrace.of_kernel(stack, stop.inlined) or (f"{hart.pc:#x}",)      # before the kernel's first instruction
    if not stack.whole or process is None or process.trapframe is None or names[0] in OUTERMOST - {FROM_USER}:
        return Calls(hart.hart, hart.pid, names, stack.whole)
    pc, saved = trapframe.registers(reader.read(process.trapframe, trapframe.BYTES), info)
    before, whole = _of_program(process, pc, saved, reader)
    return Calls(hart.hart, hart.pid, (*before, "uservec", *names), whole)


def _of_program(process: Process, pc: int, registers: Registers, reader: Reader) -> tuple[tuple[str, ...], bool]:
    def word(va: int) -> int | None:
        at = sv39.translate(reader, process.root or 0, va).pa
        try:
            return None if at is None or va % 8 else int.from_bytes(reader.read(at, 8), "little")
        except ReadError:
            return None
    try:
        path = program_file(Path(session.debuginfo()[0].kernel), process.name)
        program = None if path is None else Program(path)
    except (OSError, ElfError):
        program = None
    return backtrace.of_program(program, process.name, word, pc, registers)

"""The trap that a hart or a process is in, of what GDB and memory know of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ..kernel import trapframe
from ..kernel.debuginfo import DebugInfo
from ..kernel.stacks import SCAUSE, SEPC, STVAL, Frame, Registers, Unwinder
from ..memory import sv39
from ..memory.elf import ElfError
from ..memory.readers import PAGE, Reader
from ..snapshot import Hart, Process, Snapshot
from ..snapshot.fault import ECALL, INTERRUPT, Fault, Trap, examine
from ..snapshot.model import Place
from ..snapshot.taking import stack_at
from . import callstack, stop
from .programs import place_in, program_file
from .session import session

Found = tuple[Fault, "sv39.Translation | None"]


class NoTrap(Exception):
    """Nothing has trapped there; says what has been looked at, in a line."""


def anywhere(taken: Snapshot) -> Found:
    """Of the hart that GDB has selected: the trap from the kernel that it is in, else its process's. Where nothing has faulted
    there, of the first other hart where something has. Raises NoTrap."""
    seen: list[Found] = []
    said: list[NoTrap] = []
    registers = stop.registers()
    for hart in sorted(taken.harts, key=lambda one: (one.hart != taken.stop.hart, one.hart)):
        try:
            seen.append(_on_hart(taken, hart, registers.get(hart.hart, {})))
        except NoTrap as error:
            said.append(error)
    found = next((one for one in seen if one[0].cause not in (None, ECALL)), None)
    if found is None and said and (not seen or seen[0][0].pid != taken.stop.pid):
        raise said[0]
    if found is None and not seen:
        raise NoTrap("no hart is known")
    return found or seen[0]


def _on_hart(taken: Snapshot, hart: Hart, registers: Registers) -> Found:
    info = session.debuginfo()[0]
    with session.memory() as reader:
        inside = _in_kernel(taken, hart, registers, reader, info)
        if inside is not None:
            return inside
        process = taken.process(hart.pid)
        if process is None:
            raise NoTrap(f"no process runs on hart {hart.hart}, and nothing has faulted{_others(taken)}")
        return _of_user(taken, process, hart, registers, reader, info)


def of_process(taken: Snapshot, process: Process) -> Found:
    """Of a process: of the hart that runs it, else of what its trapframe has. Raises NoTrap."""
    hart = next((h for h in taken.harts if h.pid == process.pid), None)
    if hart is not None:
        return _on_hart(taken, hart, stop.registers().get(hart.hart, {}))
    with session.memory() as reader:
        return _of_user(taken, process, None, {}, reader, session.debuginfo()[0])


def _in_kernel(taken: Snapshot, hart: Hart, registers: Registers, reader: Reader, info: DebugInfo) -> Found | None:
    """The exception that interrupted the kernel on that hart, if one did."""
    if hart.privilege == "U" or hart.pc is None:
        return None
    cause = registers.get(SCAUSE)
    if cause is None and not taken.stop.panicked or cause is not None and cause & INTERRUPT:
        return None
    places = stack_at(taken.kernel_table, reader, [sv39.root_of(hart.satp)])
    frames = Unwinder(reader, info, places).follow(hart.pc, registers, True, _top(taken, hart)).frames
    interrupted = next((frame for frame in frames[1:] if frame.exact), None)
    if interrupted is None:
        return None
    trap = Trap(False, interrupted.pc, interrupted.registers, cause, registers.get(STVAL) if cause is not None else None)
    root = sv39.root_of(hart.satp) or taken.kernel_table.root
    fault, walk = examine(reader, taken, None, trap, root)
    return dataclasses.replace(fault, pid=hart.pid, place=_kernel_place(interrupted)), walk


def _top(taken: Snapshot, hart: Hart) -> int | None:
    process = taken.process(hart.pid)
    return process.kstack + PAGE if process and process.kstack else None


def _kernel_place(frame: Frame) -> Place:
    places = callstack.place_at(frame.pc)
    return places[0] if places else Place(frame.name)


def _of_user(taken: Snapshot, process: Process, hart: Hart | None, registers: Registers, reader: Reader, info: DebugInfo) -> Found:
    who = f"pid {process.pid} ({process.name})"
    if hart is not None and hart.privilege == "U":
        raise NoTrap(f"{who} runs in user mode on hart {hart.hart}: nothing has faulted there{_others(taken)}")
    if process.trapframe is None or process.root is None:
        raise NoTrap(f"{who} has no trapframe: it has not been in user mode, or has been cleaned up{_others(taken)}")
    pc, saved = trapframe.registers(reader.read(process.trapframe, trapframe.BYTES), info)
    if hart is not None and hart.function in ("uservec", "trampoline"):
        pc = registers.get(SEPC, pc)            # the trapframe has that of the trap before
    kept = hart is not None and registers.get(SEPC) == pc and not registers.get(SCAUSE, INTERRUPT) & INTERRUPT
    cause, value = (registers.get(SCAUSE), registers.get(STVAL)) if kept else (None, None)
    fault, walk = examine(reader, taken, process, Trap(True, pc, saved, cause, value), process.root)
    caller = Place() if fault.ra is None else _user_place(process, fault.ra - 1, info)
    return dataclasses.replace(fault, place=_user_place(process, pc, info), caller=caller), walk


def _user_place(process: Process, pc: int, info: DebugInfo) -> Place:
    path = program_file(Path(info.kernel), process.name)
    try:
        return Place() if path is None else place_in(path, pc)
    except (OSError, ElfError):
        return Place()


def _others(taken: Snapshot) -> str:
    """Whom to ask about instead."""
    killed = [str(p.pid) for p in taken.processes if p.killed or p.state == "ZOMBIE"]
    return f"; killed or ended: PID {', '.join(killed)}" if killed else ""

"""Where the machine is stopped: every hart's registers, as `Stop` and `Hart`.

Works at any stop and on a core. The user's selected thread and frame are as
they were when this is done.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gdb

from ..kernel.debuginfo import DebugInfo
from ..kernel.stacks import MEPC, MSCRATCH, REGISTERS, SCAUSE, STVAL, Registers
from ..snapshot import Hart, Stop

# RISC-V Privileged, table 1.1: QEMU shows the mode as a register, "priv".
_PRIVILEGES = {0: "U", 1: "S", 3: "M"}

# Kernel functions that run in machine mode; elsewhere in the kernel it is S.
_MACHINE_MODE = frozenset(("_entry", "start", "timerinit", "timervec", "mtimervec"))

_MAXVA = 1 << 38
_PAGE = 4096


class NotStopped(Exception):
    """There is no machine, or it is running."""


def require_stopped() -> list[gdb.InferiorThread]:
    """The threads, one for each hart. Raises NotStopped, which says what to do,
    unless their registers can be read."""
    selected = gdb.selected_thread()
    if selected is None:
        raise NotStopped("no machine: expected a QEMU or a core; try: make qemu-gdb in one terminal, "
                         "then make gdb in another")
    # Asking for the other threads sends a packet, so the selected one first.
    threads = [] if selected.is_running() else list(gdb.selected_inferior().threads())
    if not threads or any(t.is_running() for t in threads):
        raise NotStopped("the machine is running; stop it first: Ctrl-C, or `interrupt`")
    return threads


@contextmanager
def selection_kept() -> Iterator[None]:
    """The user's thread and frame, selected again however the block ends."""
    thread = gdb.selected_thread()
    frame = None
    try:
        frame = gdb.selected_frame()
    except gdb.error:
        pass
    try:
        yield
    finally:
        if thread is not None and thread.is_valid():
            if gdb.selected_thread() != thread:
                thread.switch()
            if frame is not None and frame.is_valid() \
                    and frame != gdb.selected_frame():
                frame.select()


def where(info: DebugInfo, threads: list[gdb.InferiorThread]
          ) -> tuple[Stop, tuple[Hart, ...], dict[int, Registers]]:
    """The selected hart's stop, all harts by number, and the registers of those
    that are in the kernel, of the threads that `require_stopped` gave (at the
    price of some packets)."""
    selected = gdb.selected_thread()
    harts = []
    registers = {}
    stop = Stop()
    for index, thread in _each(threads):
        hart = _hart(index, info)
        harts.append(hart)
        if hart.privilege != "U":
            registers[hart.hart] = _registers(hart.privilege)
        if thread == selected:
            file, line = _line(hart)
            stop = Stop(hart=hart.hart, privilege=hart.privilege, satp=hart.satp,
                        pc=hart.pc, function=hart.function, file=file, line=line)
    return stop, tuple(sorted(harts, key=lambda h: h.hart)), registers


def registers() -> dict[int, Registers]:
    """Every hart's registers, with scause and stval where there are such: a core has neither. Raises NotStopped."""
    found = {}
    for index, _ in _each(require_stopped()):
        causes = {key: _register(name) for key, name in ((SCAUSE, "scause"), (STVAL, "stval"))}
        found[_number(index)] = {**_registers(None), **{key: value for key, value in causes.items() if value is not None}}
    return found


def inlined(pc: int) -> tuple[str, ...]:
    """The functions whose code is at `pc` because they were inlined there, innermost
    first. Reads symbols only."""
    names = []
    block = gdb.block_for_pc(pc)
    while block is not None and not block.is_static and not block.is_global:
        if block.function is not None:
            names.append(block.function.name)
        block = block.superblock
    return tuple(names[:-1])


def _each(threads: list[gdb.InferiorThread]) -> Iterator[tuple[int, gdb.InferiorThread]]:
    """The threads by number, each selected in its turn; afterwards the user's is again."""
    with selection_kept():
        for index, thread in enumerate(sorted(threads, key=lambda t: t.num)):
            if gdb.selected_thread() != thread:
                thread.switch()
            yield index, thread


def selected_hart(info: DebugInfo) -> Hart:
    """The selected thread's hart."""
    thread = gdb.selected_thread()
    return _hart(thread.num - 1 if thread else 0, info)


def _hart(index: int, info: DebugInfo) -> Hart:
    """The selected thread's hart; `index` is its number where no register says."""
    pc = _register("pc")
    mode = _register("priv")
    privilege = _PRIVILEGES.get(mode) if mode is not None else _inferred(pc, info)
    return Hart(hart=_number(index), privilege=privilege,
                satp=_register("satp"), pc=pc, function=_function(pc, privilege, info))


def _number(index: int) -> int:
    """The selected thread's hart, or `index` where no register says."""
    number = _register("mhartid")
    return index if number is None else number


def _registers(privilege: str | None) -> Registers:
    """What the selected thread's stack is followed with. The trap's registers are
    those of its mode, and below machine mode's the supervisor's."""
    machine = (MEPC, MSCRATCH)
    found = {key: _register(name) for key, name in REGISTERS.items() if key not in machine or privilege != "S"}
    return {key: value for key, value in found.items() if value is not None}


def _register(name: str) -> int | None:
    """A register of the selected thread as a number; None where there is none."""
    try:
        value = gdb.newest_frame().read_register(name)
        return int(value) & (1 << 64) - 1
    except (gdb.error, ValueError, TypeError):
        return None


def _inferred(pc: int | None, info: DebugInfo) -> str | None:
    if pc is None:
        return None
    function = info.function_at(pc)
    if function is not None:
        return "M" if function in _MACHINE_MODE else "S"
    return "S" if pc >= _MAXVA - _PAGE else "U"


def _function(pc: int | None, privilege: str | None, info: DebugInfo) -> str | None:
    """The kernel's function at `pc`; on the trampoline, by where it was linked.
    A user program's addresses mean nothing in the kernel's symbol table."""
    if pc is None:
        return None
    linked = info.symbol("trampoline")
    if linked is not None and _MAXVA - _PAGE <= pc < _MAXVA:
        return info.function_at(linked.address + pc % _PAGE)
    return None if privilege == "U" else info.function_at(pc)


def _line(hart: Hart) -> tuple[str | None, int | None]:
    """The source line of the selected thread, where GDB knows one."""
    if hart.pc is None or hart.privilege == "U" or hart.pc >= _MAXVA - _PAGE:
        return None, None
    place = gdb.find_pc_line(hart.pc)
    if place.symtab is None or not place.line:
        return None, None
    return place.symtab.filename, place.line

"""What runs on the selected thread: its registers, the functions on its kernel
stack and their variables, and the lines of source where they are."""

from __future__ import annotations

import linecache
from collections.abc import Iterator

import gdb

from .kernel import FUNCTION_NAMES
from .readers import PAGE
from .story import Place

MAX_FRAMES = 24
"""How far a stack is followed."""

STACK_BYTES = 2 * PAGE
"""Of a kernel stack and the gap above it, as trees lay them out."""

_OUTERMOST = {name for usual in ("fork", "exec", "exit", "wait") for name in FUNCTION_NAMES[usual]}

WORD = (1 << 64) - 1
"""Keeps a register's 64 bits of what GDB gives as a signed number."""


def register(name: str) -> int:
    """A register of the innermost frame, unsigned."""
    return int(gdb.newest_frame().read_register(name)) & WORD


def signed(value: int) -> int:
    """A register's value as a C long."""
    return value - (1 << 64) if value >> 63 else value


def as_int(value: int) -> int:
    """A register's value as the C int that a function returned in it."""
    value &= 0xffffffff
    return value - (1 << 32) if value >> 31 else value


def is_on(stack: int) -> bool:
    """Whether the thread runs on the kernel stack that begins at that address."""
    return 0 < register("sp") - stack <= STACK_BYTES


def string(address: int) -> str:
    """The C string at an address, cut to 40 characters; "" where memory cannot be read."""
    try:
        return gdb.Value(address).cast(gdb.lookup_type("char").pointer()).string("ascii", "replace", length=-1)[:40]
    except gdb.error:
        return ""


def callers(address: int | None) -> tuple[tuple[str, ...], Place]:
    """(the functions from the system call's down to the caller of the one
    at `address`, the line of the caller that is in another file). Without
    an address: down to the present function, and its line."""
    names: list[str] = []
    at = None
    frame = gdb.newest_frame()
    file = None
    if address is not None:
        file = _file(frame)
        frame = frame.older()
    for _ in range(MAX_FRAMES):
        name = frame.name() if frame is not None else None
        if name is None:
            break
        if at is None and (_file(frame) != file or name in _OUTERMOST):
            at = place(frame)
            names.clear()
        names.append(name)
        if name in _OUTERMOST:
            break
        frame = frame.older()
        if frame is not None and frame.name() == "syscall":
            break
    return tuple(reversed(names)), at or Place()


def place(frame: gdb.Frame, before: bool = False) -> Place:
    """A frame's line. before: that of the instruction before the pc, which
    has just been executed."""
    sal = gdb.find_pc_line(frame.pc() - 1) if before else frame.find_sal()
    if sal.symtab is None or not sal.line:
        return Place(frame.name())
    text = linecache.getline(sal.symtab.fullname(), sal.line).strip()
    return Place(frame.name(), sal.symtab.filename, sal.line, text or None)


def select_frame(function: str | None) -> None:
    """The frame whose line the step tells of, for the person who looks around."""
    frame = gdb.newest_frame()
    for _ in range(MAX_FRAMES):
        if frame is None or frame.name() == function:
            break
        frame = frame.older()
    if frame is not None:
        frame.select()
        # Without this the TUI's source window stays as it was, or empty.
        gdb.execute("frame", to_string=True)


def line_starts(function: gdb.Symbol) -> list[int]:
    """Where each statement of a function begins."""
    start = int(function.value().address)
    block = gdb.block_for_pc(start)
    while block.function is None:
        block = block.superblock
    return sorted({entry.pc for entry in function.symtab.linetable()
                   if block.start < entry.pc < block.end})


def variables(frame: gdb.Frame) -> Iterator[gdb.Symbol]:
    """The variables that can be seen from a frame's line, in its function."""
    try:
        block = frame.block()
    except RuntimeError:
        return
    while block is not None:
        yield from (symbol for symbol in block if symbol.is_variable and symbol.addr_class != gdb.SYMBOL_LOC_OPTIMIZED_OUT)
        if block.function is not None:
            return
        block = block.superblock


def _file(frame: gdb.Frame) -> str | None:
    symtab = frame.find_sal().symtab
    return symtab.filename if symtab else None

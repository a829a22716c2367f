"""What runs on the selected thread: its registers, the functions on its kernel
stack and their variables, and the lines of source where they are."""

from __future__ import annotations

import linecache
from collections.abc import Iterator
from typing import NamedTuple

import gdb

from ..kernel import FUNCTION_NAMES
from ..memory.readers import PAGE
from ..snapshot.model import AROUND, Place

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
    file = None
    links = _calls(entered=address is not None)
    if address is not None:
        file = _file(links[0].sal) if links else None
        links = links[1:]
    for name, sal in links:
        if at is None and (_file(sal) != file or name in _OUTERMOST):
            at = _place(name, sal)
            names.clear()
        names.append(name)
    return tuple(reversed(names)), at or Place()


class _Link(NamedTuple):
    """A function on a stack, and the line where it is."""

    name: str
    sal: gdb.Symtab_and_line


def _calls(entered: bool) -> list[_Link]:
    """The functions on the kernel stack, innermost first, out to the system call's. entered: the machine is at the first
    instruction of the innermost, which is not counted for the system call's own."""
    found, whole = _out_to_the_system_call(_calls_by_frames(), entered)
    if not whole:
        # A kernel may have no table of where its frames are (.debug_frame): that depends on its compiler's habits.
        followed, whole = _out_to_the_system_call(_calls_by_frame_pointers(entered), entered)
        found = followed if whole else found
    return found


def _out_to_the_system_call(links: Iterator[_Link], entered: bool) -> tuple[list[_Link], bool]:
    """The first of these, and whether the end is among them, or `syscall` after it."""
    found: list[_Link] = []
    for link in links:
        if link.name == "syscall":
            return found, True
        found.append(link)
        if link.name in _OUTERMOST and not (entered and len(found) == 1):
            return found, True
        if len(found) == MAX_FRAMES:
            break
    return found, False


def _calls_by_frames() -> Iterator[_Link]:
    """As far as GDB knows."""
    frame: gdb.Frame | None = gdb.newest_frame()
    while frame is not None and (name := frame.name()) is not None:
        yield _Link(name, frame.find_sal())
        frame = frame.older()


def _calls_by_frame_pointers(entered: bool) -> Iterator[_Link]:
    """By what the ELF psABI puts on a stack: a return address at fp - 8, the caller's fp at fp - 16."""
    pc, ra, fp = register("pc"), register("ra"), register("fp")
    yield from (_Link(name, gdb.find_pc_line(pc)) for name in _functions_at(pc))
    pc, fp = (ra, fp) if entered else _caller(fp, ra)
    while functions := _functions_at(pc - 1):
        yield from (_Link(name, gdb.find_pc_line(pc - 1)) for name in functions)
        pc, fp = _caller(fp, 0)


def _caller(fp: int, ra: int) -> tuple[int, int]:
    """(pc, fp) of who called the function whose frame pointer that is; (0, 0) when memory does not say. ra: where a
    function that calls none returns to, which saves its caller's fp alone, at fp - 8."""
    try:
        memory = bytes(gdb.selected_inferior().read_memory(fp - 16 & WORD, 16))
    except gdb.MemoryError:
        return 0, 0
    below, saved = (int.from_bytes(memory[at:at + 8], "little") for at in (0, 8))
    if _functions_at(saved - 1):
        return saved, below
    return ra, saved


def _functions_at(pc: int) -> list[str]:
    """The names of the functions whose code is at an address, innermost first: one, and those inlined in it there."""
    found = []
    block = gdb.block_for_pc(pc) if 0 < pc <= WORD else None
    while block is not None and not block.is_static:
        if block.function is not None:
            found.append(block.function.name)
        block = block.superblock
    return found


def place(frame: gdb.Frame, before: bool = False) -> Place:
    """A frame's line. before: that of the instruction before the pc, which
    has just been executed."""
    return _place(frame.name(), gdb.find_pc_line(frame.pc() - 1) if before else frame.find_sal())


def _place(function: str | None, sal: gdb.Symtab_and_line) -> Place:
    if sal.symtab is None or not sal.line:
        return Place(function)
    path = sal.symtab.fullname()
    text = linecache.getline(path, sal.line).strip()
    around = linecache.getlines(path)[max(0, sal.line - 1 - AROUND):sal.line + AROUND] if text else []
    return Place(function, sal.symtab.filename, sal.line, text or None, tuple(line.rstrip() for line in around))


def select_frame(function: str | None) -> None:
    """The frame whose line the step tells of, for the person who looks around."""
    frame: gdb.Frame | None = gdb.newest_frame()
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
    while block is not None and block.function is None:
        block = block.superblock
    if block is None:
        return []
    return sorted({entry.pc for entry in function.symtab.linetable()
                   if block.start < entry.pc < block.end})


def place_at(pc: int) -> tuple[Place, ...]:
    """The functions whose code is at an address, innermost first, with the line of the innermost: the others were inlined
    around it, and their line is where it begins."""
    names = _functions_at(pc)
    return tuple(_place(name, gdb.find_pc_line(pc)) if at == 0 else Place(name) for at, name in enumerate(names))


def variables(frame: gdb.Frame) -> Iterator[gdb.Symbol]:
    """The variables that can be seen from a frame's line, in its function."""
    try:
        block: gdb.Block | None = frame.block()
    except RuntimeError:
        return
    while block is not None:
        yield from (symbol for symbol in block if symbol.is_variable and symbol.addr_class != gdb.SYMBOL_LOC_OPTIMIZED_OUT)
        if block.function is not None:
            return
        block = block.superblock


def _file(sal: gdb.Symtab_and_line) -> str | None:
    return sal.symtab.filename if sal.symtab else None

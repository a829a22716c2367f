"""The allocator's calls while the shell runs a line: breakpoints that count and do not stop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gdb

from ..kernel import FUNCTION_NAMES, gdbinfo
from ..kernel.debuginfo import DebugInfo
from ..live import recording, typing
from ..live.callstack import is_on, register
from ..live.session import session
from ..memory.elf import Range
from ..snapshot import Snapshot
from ..snapshot.allocations import Event, returns
from .runner import Interrupted, quiet

_MOST_CALLERS = 3


class _Counting(gdb.Breakpoint):
    """At an instruction where a0 is a frame that has come ("+") or is to go ("-")."""

    def __init__(self, at: int, kind: str, events: list[Event]) -> None:
        super().__init__(f"*{at:#x}", internal=True)
        self.silent = True
        self._kind, self._events = kind, events

    def stop(self) -> bool:
        pa = register("a0")
        if pa:                          # kalloc gives 0 where there is none
            self._events.append(Event(self._kind, pa, tuple(_callers())))
        return False


def _callers() -> Iterator[str]:
    frame = gdb.newest_frame().older()
    for _ in range(_MOST_CALLERS):
        name = frame.name() if frame is not None else None
        if frame is None or name is None:
            return
        yield name
        frame = frame.older()


class _Here(gdb.Breakpoint):
    """Stops at an instruction; on one kernel stack only, where that is given."""

    def __init__(self, at: int, stack: int | None = None) -> None:
        super().__init__(f"*{at:#x}", internal=True)
        self.silent = True
        self._stack = stack

    def stop(self) -> bool:
        return self._stack is None or is_on(self._stack)


_TAKES_A_KEY = "consoleintr"     # by which the feeding of a long line knows that there is room again


def type_line(line: str) -> None:
    """Types a line at the machine's console; the machine runs only while a long one is taken. Raises StubError, Interrupted, LookupError
    for a long line where the function that takes a key is not known."""
    info, _ = session.debuginfo()
    left = (line + "\n").encode("utf-8")
    if len(left) <= typing.FIFO_BYTES:
        return typing.keys(info, left)
    takes = next((one for one in info.functions if one.name == _TAKES_A_KEY), None)
    if takes is None:
        raise LookupError(f"a line of {len(left) - 1} bytes is longer than the UART's {typing.FIFO_BYTES}, and this kernel has no "
                          f"function {_TAKES_A_KEY}, to know when there is room")
    typing.keys(info, left[:1])
    for at in range(1, len(left)):
        _run_to([takes.address])
        typing.keys(info, left[at:at + 1])


def of_line() -> tuple[list[Event], Snapshot, Snapshot]:
    """(the calls, the machine before and after) from the next fork until who forked has waited for a child. Raises Interrupted,
    LookupError for a function that this kernel does not have, and what a snapshot raises."""
    info, _ = session.debuginfo()
    places = {usual: _function(info, usual) for usual in ("kalloc", "kfree", "fork", "wait")}
    ends = {usual: _returns(info, places[usual]) for usual in ("kalloc", "wait")}
    _run_to([places["fork"].address])
    before = session.snapshot()
    parent = before.process(before.stop.pid)
    if parent is None or not parent.kstack:
        raise Interrupted("who forks is not known")
    events: list[Event] = []
    with _armed([(at, "+") for at in ends["kalloc"]] + [(places["kfree"].address, "-")], events):
        _run_to(ends["wait"], parent.kstack)
    return events, before, session.snapshot()


def _function(info: DebugInfo, usual: str) -> Range:
    name = info.has_function(*FUNCTION_NAMES[usual])
    if name is None:
        raise LookupError(f"this kernel has no function {usual}")
    return next(one for one in info.functions if one.name == name)


def _returns(info: DebugInfo, function: Range) -> list[int]:
    base, code = gdbinfo.code(info)
    first = function.address - base
    found = [function.address + at for at in returns(code[first:first + function.size])]
    if not found:
        raise LookupError(f"{function.name} has no return: it ends in a jump to another function")
    return found


@contextmanager
def _armed(places: list[tuple[int, str]], events: list[Event]) -> Iterator[None]:
    points = [_Counting(at, kind, events) for at, kind in places]
    try:
        yield
    finally:
        for point in points:
            if point.is_valid():
                point.delete()


def _run_to(places: list[int], stack: int | None = None) -> None:
    points: list[gdb.Breakpoint] = [_Here(at, stack) for at in places]
    try:
        with quiet():
            gdb.execute("continue", to_string=True)
        if gdb.selected_thread() is None:
            raise Interrupted("the machine ended")
        if register("pc") not in places:
            if session.is_recording and len({*recording.when()}) == 1:
                raise Interrupted("the recording ends before the shell has run another line; try xv6-goto to go back")
            raise Interrupted("stopped by Ctrl-C or a breakpoint of yours before the line was done")
    finally:
        for point in points:
            if point.is_valid():
                point.delete()

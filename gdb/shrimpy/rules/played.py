"""The rule that the specification is kept, operation by operation: see shrimpy.spec."""

from __future__ import annotations

from typing import Iterator, Optional

from ..reasons import KERNEL, Kind, Reason
from ..spec import Cell, Differs, Divergence, Do
from .verdict import Bench, Rule, Verdict

_DOES = {
    "fork": (Do.FORK, Do.FORK_HUNGRY, Do.CROWD, Do.CHAIN), "exec": (Do.EXEC, Do.EXEC_HUNGRY, Do.EXEC_FAILS),
    "exit": (Do.EXIT, Do.FORSAKE),
    "wait": (Do.WAIT, Do.WAIT_BADLY, Do.DISPERSE), "growproc": (Do.SBRK,), "copyout": (Do.READ, Do.READ_BOTH),
    "copyin": (Do.WRITE, Do.WRITE_BOTH)}
_DEEP = (Do.READ, Do.WRITE, Do.READ_BOTH, Do.WRITE_BOTH, Do.READ_OVER, Do.WRITE_OVER, Do.READ_FILE, Do.WRITE_FILE,
         Do.READ_CONSOLE, Do.WRITE_CONSOLE, Do.CALLS, Do.FORK_HUNGRY, Do.EXEC_HUNGRY)
"""Operations of which any function that is called may be what fails."""

_OF_TABLES = (Differs.MISSING, Differs.FLAGS, Differs.NOT_SHARED, Differs.SHARED)
_MAKES = {do: function for function, several in _DOES.items() for do in several}


def specification(bench: Bench) -> Iterator[Verdict]:
    """Judges the kernel by what came of playing the specification against it."""
    played = bench.view.known.played
    if played is None:
        yield bench.skipped(KERNEL, Reason(Kind.NOT_PLAYED))
        return
    for one in played.differences:
        yield bench.failed(KERNEL, Reason(Kind.DIVERGED, played=one), _to_look_at(one), beyond=one.beyond is not None)
    if played.divergence is None:
        yield bench.passed(KERNEL)


def _to_look_at(one: Divergence) -> Optional[str]:
    """The function that does the last operation, where the mistake must be in that: all before it are forks, which the story
    needs for its processes, or of its kind. Any other may have left behind what shows now: then nobody is accused. Of a new
    process's own page it is the function that makes it. Nor is anybody accused where what is done has other parts: an exit after
    an exit, as the first process may bury one of the two; a fault, which a trap handles
    before the process ends; a system call that fails, or exec of a path in one of the two pages; what frees all frames in the end; and of
    tables that were there before the first operation; nor where user code sees something else than memory holds, by other tables
    than are walked or by old entries, but for the system call that has read it."""
    if one.what is Differs.SATP:
        return "usertrapret"
    if not one.ops:
        return None
    *before, last = one.ops
    if one.what is Differs.SEEN and last.do not in _DEEP:
        return None
    function = _MAKES.get(last.do)
    makes = (Do.FORK, Do.CROWD) if last.do is Do.FORSAKE else (Do.FORK,)
    if any(op.do not in makes and _MAKES.get(op.do) != function for op in before):
        return None
    if function == "exit" and any(_MAKES.get(op.do) == function for op in before) or one.what is Differs.LEAK and last.do not in (
            Do.EXEC, Do.EXEC_FAILS) or one.what is Differs.ANSWER and (last.do in _DEEP or last.do is Do.EXEC and last.n):
        return None
    if not before and one.what in _OF_TABLES and one.cell is not None and one.cell.process < last.n:
        return None
    if last.do is Do.FORK and one.cell == Cell(last.n, "FRY"):
        if one.what is Differs.FLAGS:
            return "proc_pagetable"
        if one.what in (Differs.MISSING, Differs.SHARED) or one.what is Differs.CONTENT and not one.written:
            return "allocproc"
    return function


RULES = (Rule("specification", specification, needs_fry=True),)

"""What differs from the specification, in words: the operations as a story, and what was expected and seen after the last."""

from __future__ import annotations

from itertools import groupby
from typing import Callable, Mapping, Optional, Sequence

from ..spec import AT_ONCE, SEGMENTS, Cell, Differs, Divergence, Do, Op

_TIMES = {2: "twice"}
_FIRST = "the player"       # process 0


def story(ops: Sequence[Op]) -> str:
    """"the player forks 2; 2 forks 3; 3 execs 3 times; 3 exits"."""
    told = []
    for op, group in groupby(ops):
        n = len(list(group))
        told.append(_DOES[op.do](op) + (f" {_TIMES.get(n, f'{n} times')}" if n > 1 else ""))
    return "; ".join(told)


def who(number: int) -> str:
    return _FIRST if number == 0 else f"the player's child {number}" if number == 1 else str(number)


_VAIN = ("a file that is not there", "with more arguments than fit", "with an argument that is nowhere", "a directory",
         "with more arguments than any kernel takes", "a path that is nowhere", "with arguments that are nowhere",
         "a program whose last segment has more bytes in the file than in memory")
_NAMED = ("", " by a path that stands in its FRY", " by a path that stands in its SHRIMP", " by a path that stands across the two pages")

_FAULTS = ("loads from where nothing is mapped", "stores to where nothing is mapped", "executes what is no instruction",
           "executes an instruction in its FRY")

_DOES: Mapping[Do, Callable[[Op], str]] = {
    Do.FORK: lambda op: f"{who(op.actor)} forks {op.n}",
    Do.FORK_AND_EXIT: lambda op: f"{who(op.actor)} forks {op.n} and exits before that has run",
    Do.EXEC: lambda op: f"{who(op.actor)} execs" + _NAMED[op.n],
    Do.EXEC_FAILS: lambda op: f"{who(op.actor)} tries to exec {_VAIN[op.n]}",
    Do.FORK_HUNGRY: lambda op: f"with all memory taken {who(op.actor)} tries to fork {op.n}, a frame is given back, and so on until it can",
    Do.EXEC_HUNGRY: lambda op: f"with all memory taken {who(op.actor)} tries to exec, a frame is given back, and so on until it can",
    Do.FAULT: lambda op: f"{who(op.actor)} {_FAULTS[op.n]}",
    Do.EXIT: lambda op: f"{who(op.actor)} exits" + (f" with status {op.n}" if op.n else ""),
    Do.EXIT_AWAITED: lambda op: f"{who(op.actor)} exits" + (f" with status {op.n}" if op.n else "") + ", and its parent waits",
    Do.WAIT: lambda op: f"{who(op.actor)} waits" + (f", with word {op.n} of its {op.page} for the status" if op.page else ""),
    Do.KILL: lambda op: f"{who(op.actor)} kills {op.n}",
    Do.KILL_WAITING: lambda op: f"{who(op.actor)} kills {op.n}, which waits for a child",
    Do.KILL_SLEEPING: lambda op: f"{who(op.actor)} kills {op.n}, which sleeps for a time",
    Do.READ_CONSOLE: lambda op: f"{who(op.actor)} reads a line from the console into word {op.n} of {op.page}",
    Do.WRITE_CONSOLE: lambda op: f"{who(op.actor)} writes word {op.n} of {op.page} to the console",
    Do.KILL_RUNNING: lambda op: f"{who(op.actor)} kills {op.n}, which runs in user mode",
    Do.LOAD: lambda op: f"{who(op.actor)} loads word {op.n} of {op.page}",
    Do.STORE: lambda op: f"{who(op.actor)} stores to word {op.n} of {op.page}",
    Do.READ: lambda op: f"{who(op.actor)} reads from a pipe into word {op.n} of {op.page}",
    Do.WRITE: lambda op: f"{who(op.actor)} writes word {op.n} of {op.page} to a pipe",
    Do.KILL_SELF: lambda op: f"{who(op.actor)} kills itself",
    Do.READ_FILE: lambda op: f"{who(op.actor)} reads a page of a file into {op.page}" if op.page else
                             f"{who(op.actor)} reads two pages of a file into both pages",
    Do.WRITE_FILE: lambda op: f"{who(op.actor)} writes {op.page or 'both pages'} to a file",
    Do.READ_OVER: lambda op: f"{who(op.actor)} reads from a pipe across the end of the upper page",
    Do.WRITE_OVER: lambda op: f"{who(op.actor)} writes to a pipe from across the end of the upper page",
    Do.CALLS: lambda op: f"{who(op.actor)} calls fstat and pipe with a place in {op.page}, and each call that needs none",
    Do.READ_BOTH: lambda op: f"{who(op.actor)} reads from a pipe across the two pages",
    Do.WRITE_BOTH: lambda op: f"{who(op.actor)} writes to a pipe from across the two pages",
    Do.WAIT_BADLY: lambda op: f"{who(op.actor)} waits, with an address for the status that is none",
    Do.SBRK: lambda op: f"{who(op.actor)} calls sbrk({op.n})",
    Do.SBRK_LAZY: lambda op: f"{who(op.actor)} calls sbrk({op.n}) for pages that may come later, and touches each second",
    Do.CROWD: lambda op: f"{who(op.actor)} forks {op.n} children that stand still, or as many as it can",
    Do.CHAIN: lambda op: f"{who(op.actor)} forks a child, which forks a child, and so on, {op.n} generations",
    Do.DISPERSE: lambda op: f"{who(op.actor)} has them exit, and waits for them",
    Do.FORSAKE: lambda op: f"{who(op.actor)} exits, and they stay",
    Do.GATHER: lambda op: "the orphans exit",
    Do.CHURN: lambda op: f"{who(op.actor)} forks {op.n} children that look at both pages, each once the last has been waited for",
    Do.BARE: lambda op: f"{who(op.actor)} forks {op.n} children, each of which closes one file more than the last and forks one that "
                        f"looks at both pages",
    Do.SHM_GET: lambda op: f"{who(op.actor)} makes segment {op.n}",
    Do.SHM_FIND: lambda op: f"{who(op.actor)} looks for segment {op.n} by its key",
    Do.SHM_ATTACH: lambda op: f"{who(op.actor)} attaches segment {op.n}",
    Do.SHM_ATTACH_READ: lambda op: f"{who(op.actor)} attaches segment {op.n} for reading only",
    Do.SHM_DETACH: lambda op: f"{who(op.actor)} detaches segment {op.n}",
    Do.SHM_DETACH_INSIDE: lambda op: f"{who(op.actor)} calls shmdt with the address of the second page of segment {op.n}",
    Do.SHM_REMOVE: lambda op: f"{who(op.actor)} removes segment {op.n}",
    Do.SHM_READ: lambda op: f"{who(op.actor)} reads from a pipe into segment {op.n}",
    Do.SHM_WRITE: lambda op: f"{who(op.actor)} writes a word of segment {op.n} to a pipe",
    Do.SHM_VIOLATE: lambda op: f"{who(op.actor)} stores to segment {op.n}, which it has for reading only",
}


def page(cell: Cell) -> str:
    """"SHRIMP of 3", "page 1 of segment 2 in 3"."""
    if cell.segment is not None:
        return f"page {cell.nth} of segment {cell.segment} in {who(cell.process)}"
    return f"{cell.page} of {who(cell.process)}" if cell.page else who(cell.process)


def _cell(one: Divergence) -> str:
    return page(one.cell) if one.cell else "a process"


def _number(value: object) -> str:
    return hex(value) if isinstance(value, int) and abs(value) > 4095 else str(value)


_ANSWERS = {
    Do.CHURN: "a child of {} does not find its parent's page, or is not waited for",
    Do.BARE: "a child of {} that has closed {n} of its files has one that does not find its page, or is not waited for",
    Do.WRITE_FILE: "not all bytes that {} writes are in the file",
    Do.WRITE_CONSOLE: "what {} writes to the console does not come there",
    Do.CALLS: "{} does not find in its page what fstat says",
    Do.READ_OVER: "a read of {} goes beyond the page",
    Do.WRITE_OVER: "a write of {} goes beyond the page",
}

_WHAT: Mapping[Differs, Callable[[Divergence], str]] = {
    Differs.PANICKED: lambda d: "the kernel panics",
    Differs.HANGS: lambda d: "the machine gives no answer" if d.cell is None else f"{_cell(d)} does not come to rest",
    Differs.DIED: lambda d: f"{_cell(d)} is not alive any more",
    Differs.LIVES: lambda d: f"{_cell(d)} lives on" if d.cell else "there is a process more than there should be",
    Differs.PARENT: lambda d: f"{_kin(d)} has another parent",
    Differs.ANSWER: lambda d: _ANSWERS.get(d.ops[-1].do, "the system call of {} returns something else").format(_cell(d), n=d.seen),
    Differs.STATUS: lambda d: f"{_cell(d)} is told another status than its child exited with",
    Differs.SEEN: lambda d: f"{_cell(d)} is not what user code sees there",
    Differs.SATP: lambda d: f"the hart that runs {who(d.cell.process) if d.cell else 'it'} walks other tables than its struct proc names",
    Differs.MISSING: lambda d: f"{_cell(d)} is not mapped" + (" before it is touched" if d.beyond == AT_ONCE else ""),
    Differs.FLAGS: lambda d: (f"{d.cell.page if d.cell else ''} of {_kin(d)}" if d.pid else _cell(d)) + " is mapped with other rights",
    Differs.NOT_SHARED: lambda d: f"{_cell(d)} is not {page(d.other)}" if d.other else f"{_cell(d)} is not its parent's FRY",
    Differs.SHARED: lambda d: f"{_cell(d)} is {page(d.other)}, too" if d.other else f"{_cell(d)} is shared",
    Differs.MAPPED: lambda d: f"{_cell(d)} is still mapped, though it was detached",
    Differs.MISCOUNTED: lambda d: f"the kernel's count of attachments of segment {d.cell.segment if d.cell else '?'} is wrong",
    Differs.MOVED: lambda d: f"{_cell(d)} is in another frame than before",
    Differs.CONTENT: lambda d: f"word {d.index} of {_cell(d)} is " + (
        "not zero, and nobody has written it" if not d.written else f"in {page(d.other)} instead" if d.other else "lost"),
    Differs.CROWD: lambda d: _of_crowd(d),
    Differs.LEAK: lambda d: "each time frames are lost",
}


def _kin(d: Divergence) -> str:
    return f"pid {d.pid}, which {who(d.cell.process) if d.cell else 'a process'} has forked," if d.pid else _cell(d)


def _of_crowd(d: Divergence) -> str:
    kin = "descendants" if d.ops and d.ops[-1].do is Do.CHAIN else "children"
    first = f"of the {kin} of {who(d.cell.process) if d.cell else 'a process'} one, pid {d.pid}, "
    if d.index is not None:
        return first + f"has something in word {d.index} of FRY, and nobody has written it"
    return first + ("does not share its FRY" if kin == "children" else "does not share its parent's FRY")


def _answer(expected: Optional[int], of_segment: bool) -> str:
    """Of calls about segments POSIX says that they fail; with which number less than 0, kernels say in their own way."""
    if of_segment and (expected is None or expected < 0):
        return "that it succeeds" if expected is None else "that it fails"
    return "its answer" if expected is None else f"{expected}"


_EXPECTED: Mapping[Differs, Callable[[Divergence], str]] = {
    Differs.PANICKED: lambda d: "a kernel that goes on",
    Differs.HANGS: lambda d: "an answer",
    Differs.DIED: lambda d: "that it lives",
    Differs.LIVES: lambda d: "that it has ended",
    Differs.PARENT: lambda d: "the process that forked it, or the first process once that has exited",
    Differs.SATP: lambda d: f"satp with root {d.expected:#x}",
    Differs.MISSING: lambda d: "a page",
    Differs.FLAGS: lambda d: "the rights of its attachment: V R U, and W unless it is for reading only"
                             if d.cell and d.cell.segment is not None else "V R W U, A and D ignored",
    Differs.MAPPED: lambda d: "no entry",
    Differs.SHARED: lambda d: "two frames",
    Differs.LEAK: lambda d: "as many free frames as before",
    Differs.CROWD: lambda d: "0" if d.index is not None else "SHRIMP in its parent's FRY frame" + (
        f", {d.expected:#x}," if d.expected else "") + " and a FRY frame of its own",
    Differs.ANSWER: lambda d: _answer(d.expected, d.beyond == SEGMENTS),
    Differs.NOT_SHARED: lambda d: f"frame {d.expected:#x}",
    Differs.MOVED: lambda d: f"frame {d.expected:#x}",
}

_SEEN: Mapping[Differs, Callable[[Divergence], str]] = {
    Differs.PANICKED: lambda d: f"panic: {d.text}",
    Differs.HANGS: lambda d: "none within the limit",
    Differs.DIED: lambda d: "it has ended",
    Differs.LIVES: lambda d: "it is there" if d.seen is None else f"pid {d.seen}",
    Differs.PARENT: lambda d: f"pid {d.seen}",
    Differs.SATP: lambda d: f"root {d.seen:#x}",
    Differs.MISSING: lambda d: "no entry",
    Differs.FLAGS: lambda d: f"an entry whose low byte is {d.seen:#x}",
    Differs.SHARED: lambda d: f"frame {d.seen:#x} for both",
    Differs.MAPPED: lambda d: f"frame {d.seen:#x}",
    Differs.LEAK: lambda d: f"{d.seen} fewer, three times running",
    Differs.CROWD: lambda d: _number(d.seen) if d.index is not None else f"frame {d.seen:#x}" if d.seen else "no entry",
    Differs.NOT_SHARED: lambda d: f"frame {d.seen:#x}",
    Differs.MOVED: lambda d: f"frame {d.seen:#x}",
}


def why(one: Divergence) -> str:
    """What differs, after which operations."""
    return f"{story(one.ops)}: {_WHAT[one.what](one)}"


def expected(one: Divergence) -> str:
    return _EXPECTED[one.what](one) if one.what in _EXPECTED else _number(one.expected)


def actual(one: Divergence) -> str:
    return _SEEN[one.what](one) if one.what in _SEEN else _number(one.seen)


_BEYOND = {None: "", "zeroed": " That a new page is zero goes beyond the handout.",
           "exec": " That exec keeps both pages goes beyond the handout.",
           "orphan": " That an orphan keeps its SHRIMP goes beyond the handout.",
           SEGMENTS: " That segments of shared memory are as POSIX has them goes beyond the handout.",
           AT_ONCE: " That both pages are mapped before they are touched goes beyond the handout."}


def explanation(one: Divergence) -> str:
    """How to see it again, and what of it goes beyond the handout."""
    return f"The operations run one at a time; the difference appears after the last. No shorter sequence was found.{_BEYOND[one.beyond]}"

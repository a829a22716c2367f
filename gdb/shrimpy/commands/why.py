"""xv6-why: the stores that made an entry, or a variable, what it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import gdb

from .. import rules, words
from ..kernel import rsw_names
from ..live import recording
from ..live.session import session
from ..memory import sv39
from ..origins import Origin, What
from ..records import encode
from ..replay import questions, stores, tracing
from ..replay.questions import Asked, Question
from ..replay.stores import Bytes, History, Store
from ..rules import causes, culprits
from ..show import stores as show
from ..snapshot import Process
from . import check
from .base import Arg, Bad, Command, Opt, number, painter, process, virtual, write_json

_SIZES = (1, 2, 4, 8)


class _Bytes(NamedTuple):
    """what: the bytes; title: what they are called; describe: what says what a value of them means."""

    what: Bytes
    title: str
    describe: Callable[[int], str] | None = None


class Xv6Why(Command):
    """Tell who stored a page table entry, or a variable, as it is now.

    WHAT is the address of an entry or of any 8 bytes of memory, a variable
    (kmem.refs[5], proc[2].pagetable), or, with PID, a virtual address or the
    name of a region, whose entry is meant. After a shrimp-check that failed at
    this stop nothing need be said: it is what its first failure is about, the
    field of a struct proc, the entry, the count or the frame. The machine must be
    a recording: it is run again beside this one, which stays where it is. The
    last store is told, with -all each one, newest first: the number of the
    instruction, for xv6-goto, the value before and after, the line, who called,
    the process and its system call. A store of the value that was there is left
    out.
    """

    name = "xv6-why"
    live = True
    args = (Arg("WHAT", "pid or va", optional=True), Arg("PID", "pid", optional=True))
    opts = (Opt("-all"), Opt("-json"))

    def run(self, given):
        now = recording.when().at
        find = stores.all_of if "-all" in given else stores.last
        if "WHAT" in given:
            asked = meant(given["WHAT"], given.get("PID"))
            history = find(asked.what, session.debuginfo()[0], now)
            if "-json" in given:
                write_json(_json(asked.what, history))
            else:
                _tell(asked, history)
            return
        if "-all" in given:
            raise Bad("expected WHAT: -all tells each store of some bytes")
        verdict, asked = _failed()
        told = tracing.answers([Asked(now, asked)], session.debuginfo()[0])[0]
        if "-json" in given:
            write_json({"rule": verdict.rule, "subject": verdict.subject, "why": verdict.why, "origins": [encode(one) for one in told]})
            return
        gdb.write(f"{verdict.rule}: {verdict.subject}: {verdict.why}\n")
        for one in told:
            _tell_origin(one)
        if not told:
            gdb.write("no store of the kernel made it so\n")


def _failed() -> tuple[rules.Verdict, tuple[Question, ...]]:
    """The first failure of a shrimp-check at this stop, and what is to be asked about it. Raises Bad."""
    failed = check.failures()
    if not failed:
        raise Bad("expected WHAT, or a shrimp-check that failed at this stop")
    verdict = causes.blocks(failed)[0].cause.example
    culprit = culprits.of(verdict, session.snapshot())
    with session.memory() as reader:
        asked = questions.about(culprit, reader, session.debuginfo()[0]) if culprit else ()
    if not asked:
        raise Bad(f"{verdict.rule} names nothing in memory that a store could have made wrong; say WHAT")
    return verdict, asked


def _tell_origin(one: Origin) -> None:
    names = rsw_names(session.debuginfo()[0])
    describe = (lambda pte: sv39.describe(pte, 0, names)) if one.what in (What.ENTRY, What.UNMAPPED) else None
    old, new = (show.value(each, one.size, describe) for each in (one.old, one.new))
    said = show.store(one.instruction, old, new, one.calls[one.look or 0:], show.who(one.pid, one.name, one.system_call), painter())
    gdb.write(f"{words.origins.what(one)}\n{said}")


def _tell(asked: _Bytes, history: History) -> None:
    paint = painter()
    gdb.write(f"{asked.title}\n")
    for one in stores.newest_first(history):
        if isinstance(one, Store):
            old, new = (show.value(each, asked.what.size, asked.describe) for each in (one.old, one.new))
            gdb.write(show.store(one.at, old, new, one.calls, show.who(one.pid, one.name, one.system_call), paint))
        else:
            gdb.write(show.unseen(*one))
    if not history.stores and not history.unseen:
        gdb.write("the kernel has stored nothing else there since the start\n")


def meant(word: str, pid: str | None) -> _Bytes:
    """The bytes that WHAT and PID name. Raises Bad."""
    if pid is not None:
        taken = session.snapshot()
        owner = process(pid, taken)
        return _entry(virtual(word, taken, owner), owner)
    what = _variable(word) or Bytes(number(word, "an address, or a variable in memory"), 8)
    with session.memory() as reader:
        base, end = reader.ram
        if not base <= what.pa <= end - what.size:
            raise Bad(f"{what.pa:#x} is no physical address of RAM, [{base:#x}, {end:#x}); for a virtual one, give a PID")
        value = what.value(reader)
    return _Bytes(what, f"{word}, {what.size} bytes at {what.pa:#x}: {value:#x}")


def _entry(va: int, owner: Process) -> _Bytes:
    """The entry that a virtual address of a process has, or at which the walk ends. Raises Bad."""
    if owner.root is None:
        raise Bad(f"pid {owner.pid} has no page table")
    with session.memory() as reader:
        found = sv39.translate(reader, owner.root, va, session.snapshot().layout.rsw)
    if not found.steps:
        raise Bad(f"{va:#x}: {found.fault}")
    step = found.steps[-1]
    return _of_entry(step.pte_at, step.level, f"pid {owner.pid} ({owner.name}), {va:#x}: the entry of level {step.level} at "
                     f"{step.pte_at:#x} is {step.pte:#x} ({step.text})")


def _of_entry(pte_at: int, level: int, title: str) -> _Bytes:
    names = rsw_names(session.debuginfo()[0])
    return _Bytes(Bytes(pte_at, 8), title, lambda pte: sv39.describe(pte, level, names))


def _variable(word: str) -> Bytes | None:
    """A variable's bytes; None for a number that is none's."""
    try:
        value = gdb.parse_and_eval(word)
    except gdb.error:
        return None
    if value.address is None or value.type.strip_typedefs().code == gdb.TYPE_CODE_FUNC:
        return None
    size = value.type.sizeof
    if size not in _SIZES:
        raise Bad(f"{word} has {size} bytes: expected a number or a pointer; name one field or element of it")
    return Bytes(int(value.address), size)


def _json(what: Bytes, history: stores.History) -> dict[str, object]:
    return {"at": hex(what.pa), "size": what.size,
            "stores": [{"instruction": one.at, "old": hex(one.old), "new": hex(one.new), "pid": one.pid, "name": one.name,
                        "system_call": one.system_call,
                        "calls": [{"function": call.function, "file": call.file, "line": call.line} for call in one.calls]}
                       for one in reversed(history.stores)],
            "unseen": [{"after": after, "before": before} for after, before in history.unseen]}


def register() -> None:
    Xv6Why()

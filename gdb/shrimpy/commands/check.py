"""shrimp-check: the rules' verdicts on the machine as it is."""

from __future__ import annotations

import gdb

from .. import rules
from ..live.session import session
from ..show import reports, text
from .base import Arg, Command, Opt, number, painter, width, with_pid

_UNJUDGED = 2

_failures: tuple[int, list[rules.Verdict]] = (-1, [])     # of the last shrimp-check, and the count of moves then


def failures() -> list[rules.Verdict]:
    """What failed in a shrimp-check at this very stop."""
    moves, found = _failures
    return found if moves == session.moves() else []


class ShrimpCheck(Command):
    """Judge every process's page table, and every frame, by the rules.

    Each failure names the process, the page table entry, what was expected,
    what is there, and the kernel function to look at. With -v every verdict is
    listed, with -json all of them as one JSON object. With PID only what is
    about that process is told, and decides. shrimp-explain RULE says what a
    rule means. A pass is one of this stop: `make check` plays what brings
    mistakes to light. Afterwards $shrimp_status
    is 0 when all that was judged passed, 1 when a rule failed, 2 when the
    machine or its Shrimpy pages could not be judged; $shrimp_held is how many
    verdicts were held back because what they are about may be in the middle of
    a change at this stop.
    """

    name = "shrimp-check"
    opts = (Opt("-v"), Opt("-json"))
    args = (Arg("PID", "pid", optional=True),)

    def run(self, given):
        gdb.set_convenience_variable("shrimp_status", _UNJUDGED)
        gdb.set_convenience_variable("shrimp_held", 0)
        snapshot = session.snapshot()
        one = with_pid(number(given["PID"], "a pid"), snapshot) if "PID" in given else None
        verdicts = rules.evaluate(snapshot, session.previous)
        if one is not None:
            verdicts = [v for v in verdicts if v.is_about(one.pid)]
        session.previous = snapshot
        global _failures
        _failures = session.moves(), [v for v in verdicts if v.status == rules.FAIL]
        gdb.set_convenience_variable("shrimp_status", rules.status(verdicts))
        gdb.set_convenience_variable("shrimp_held", rules.held_back(verdicts))
        if "-json" in given:
            gdb.write(text.verdicts_json(snapshot, verdicts))
        else:
            gdb.write(text.verdicts(snapshot, verdicts, reports.where(snapshot), "-v" in given, painter(), width()))


def register() -> None:
    ShrimpCheck()

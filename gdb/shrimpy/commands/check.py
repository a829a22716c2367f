"""shrimp-check: the rules' verdicts on the machine as it is."""

from __future__ import annotations

import gdb

from .. import rules, text, views
from ..session import session
from .base import Command, Opt, painter, width

_UNJUDGED = 2


class ShrimpCheck(Command):
    """Judge every process's page table, and every frame, by the rules.

    Each failure names the process, the page table entry, what was expected,
    what is there, and the kernel function to look at. With -v every verdict is
    listed, with -json all of them as one JSON object. Afterwards $shrimp_status
    is 0 when all that was judged passed, 1 when a rule failed, 2 when the
    machine or its Shrimpy pages could not be judged; $shrimp_held is how many
    verdicts were held back because what they are about may be in the middle of
    a change at this stop.
    """

    name = "shrimp-check"
    opts = (Opt("-v"), Opt("-json"))

    def run(self, given):
        gdb.set_convenience_variable("shrimp_status", _UNJUDGED)
        gdb.set_convenience_variable("shrimp_held", 0)
        snapshot = session.snapshot()
        verdicts = rules.evaluate(snapshot, session.previous)
        session.previous = snapshot
        gdb.set_convenience_variable("shrimp_status", rules.status(verdicts))
        gdb.set_convenience_variable("shrimp_held", rules.held_back(verdicts))
        if "-json" in given:
            gdb.write(text.verdicts_json(snapshot, verdicts))
        else:
            gdb.write(text.verdicts(snapshot, verdicts, views.where(snapshot), "-v" in given, painter(), width()))


def register() -> None:
    ShrimpCheck()

"""xv6-when, xv6-goto, xv6-back, xv6-back-continue: a recorded run in both directions."""

from __future__ import annotations

import gdb

from ..live import recording
from ..replay import travel
from ..step import current
from .base import Arg, Bad, Command, Opt, number
from .step import show


class Xv6When(Command):
    """Tell where in its recording the run stands, in instructions from its start."""

    name = "xv6-when"
    kind = gdb.COMMAND_DATA

    def run(self, given):
        now = recording.when()
        gdb.write(f"instruction {now.at:,} of {now.end:,}\n")


class Xv6Goto(Command):
    """Go to any place of the recording: an instruction's number, START or END.

    xv6-when tells the number. Breakpoints and symbols stay.
    """

    name = "xv6-goto"
    kind = gdb.COMMAND_RUNNING
    live = True
    args = (Arg("N|START|END", "place"),)

    def run(self, given):
        end = recording.when().end
        word = given["N|START|END"]
        count = {"START": 0, "END": end}.get(word.upper())
        if count is None:
            count = number(word.replace(",", ""), "an instruction's number, START or END")
        if count > end:
            raise Bad(f"expected an instruction from 0 to {end}, found {count}")
        travel.goto(count)
        gdb.execute("frame")


class Xv6Back(Command):
    """Go one step back: of shrimp-step where that is under way, else a source line.

    -stepi    one instruction
    GDB's own reverse-step, reverse-next and reverse-finish work, too.
    """

    name = "xv6-back"
    kind = gdb.COMMAND_RUNNING
    live = True
    repeats = True
    opts = (Opt("-stepi"),)

    def run(self, given):
        recording.when()
        stepping = current.at_step()
        if "-stepi" in given:
            gdb.execute("reverse-stepi")
        elif stepping is None:
            gdb.execute("reverse-step")
        elif stepping.n_steps < 2:
            raise Bad("this is the first step of shrimp-step; for what was before, try: reverse-step")
        else:
            show(travel.step_back(stepping))


class Xv6BackContinue(Command):
    """Go back to the last time that a breakpoint or watchpoint was hit."""

    name = "xv6-back-continue"
    kind = gdb.COMMAND_RUNNING
    live = True
    repeats = True

    def run(self, given):
        recording.when()
        gdb.execute("reverse-continue")


def register() -> None:
    Xv6When()
    Xv6Goto()
    Xv6Back()
    Xv6BackContinue()

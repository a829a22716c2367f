"""The headless check: what is run on a kernel, where it is looked at, and what came of it, as data for whoever reports it.

check() boots, plays and judges; a Report is all that any form of telling needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from . import Trouble, exits, scene, verdict
from .machine import LIMIT_S, Endless, Gone, Machine, Panicked, Silent
from .tree import Kernel
from .verdict import FAIL, PASS, UNJUDGED, Judgement

_ATTEMPTS = 5


@dataclass(frozen=True)
class Hindrance:
    """Why a scenario did not come to its end.

    kind  "panicked" (the kernel), "hung" (what should come did not within the limit), "printed without end", "ended" (QEMU), "did not run"
          (the program), "unjudged" (nothing could be read)
    text  a line for a person, and the console's last lines after it
    """

    kind: str
    text: str

    @property
    def line(self) -> str:
        return self.text.partition("\n")[0]


@dataclass(frozen=True)
class Outcome:
    """What came of one scenario.

    name        "family"
    looks_at    what it brings about, a phrase
    judgements  one for each point where the machine was stopped, in their order
    hindrance   why there are not more of them, or None
    console     all that the console printed
    """

    name: str
    looks_at: str
    judgements: tuple[Judgement, ...]
    hindrance: Hindrance | None
    console: str

    @property
    def told(self) -> Judgement | None:
        """The judgement that tells most: see verdict.worst()."""
        return verdict.worst(self.judgements) if self.judgements else None

    @property
    def status(self) -> int:
        """FAIL when a rule failed at any point; PASS when it came to its end and all that was judged passed; else UNJUDGED."""
        if self.told is None or self.told.status == FAIL:
            return UNJUDGED if self.told is None else FAIL
        # A kernel that panicked has not passed, whatever its page tables are like.
        return UNJUDGED if self.hindrance else self.told.status


@dataclass(frozen=True)
class Report:
    """What check() found out about a kernel."""

    kernel: Kernel
    cpus: int
    outcomes: tuple[Outcome, ...]

    @property
    def status(self) -> int:
        """FAIL when a scenario failed; PASS when all passed; else UNJUDGED."""
        found = {one.status for one in self.outcomes}
        return FAIL if FAIL in found else PASS if found == {PASS} else UNJUDGED

    @property
    def told(self) -> tuple[Outcome, Judgement] | None:
        """The stop that is told of where only one can be: the first that failed, or the one that saw most."""
        judged = [one for one in self.outcomes if one.told]
        if not judged:
            return None
        worst = verdict.worst([one.told for one in judged])
        return next(one for one in judged if one.told is worst), worst


def check(kernel: Kernel, cpus: int, *, program: str = "", ready: str = "") -> Report:
    """Runs program, or what any kernel is checked with, and judges the machine where it matters.

    program  a command line; it is judged at each exit of a process until the prompt is back
    ready    a regular expression: what the program prints when there is something to see; it is judged then

    What a kernel does wrong is in the report. Raises Trouble for what keeps any kernel from being checked: no QEMU, a
    number of harts out of range.
    """
    return Report(kernel, cpus, (_check_program(kernel, cpus, program, ready),))


def _check_program(kernel: Kernel, cpus: int, program: str, ready: str) -> Outcome:
    judgements: list[Judgement] = []
    hindrance: Trouble | None = None
    what = program or "the family"
    with Machine(kernel, cpus) as machine:
        try:
            machine.boot()
            if program and not ready and not program.rstrip().endswith("&"):
                judgements += exits.judge(machine, program, LIMIT_S)
                times = "once" if len(judgements) == 1 else f"{len(judgements)} times"
                what = f"{program}, stopped {times}"
            else:
                what = _play(machine, program, ready)
        except (Panicked, Silent, Gone) as error:
            hindrance = error
        try:
            judgements.append(_judge_settled(machine, alone=not judgements))
            machine.check(last_chance=True)
        except Trouble as error:  # a panic in what it did after the scene was set
            hindrance = hindrance or error
        told = verdict.worst(judgements) if judgements else None
        if not hindrance and told and told.status == PASS and not told.saw_a_program:
            hindrance = _DidNotRun(_nothing_ran(program or what, ready, told) + machine.tail())
        return Outcome("program" if program else "family", what, tuple(judgements),
                       hindrance and Hindrance(_KINDS.get(type(hindrance), "unjudged"), str(hindrance)), machine.console)


class _DidNotRun(Trouble):
    """init and the shell were all there was to judge."""


_KINDS = {Panicked: "panicked", Silent: "hung", Endless: "printed without end", Gone: "ended", _DidNotRun: "did not run"}


def _nothing_ran(program: str, ready: str, judgement: Judgement) -> str:
    hint = "; say with READY= what it prints when there is something to see" if program.endswith("&") and not ready else ""
    return f"{program} did not run, or had ended: there was only {judgement.who}{hint}"


def _play(machine: Machine, program: str, ready: str) -> str:
    """scene.play(); to a family that leaves no orphan, one is added."""
    played = scene.play(machine, program, ready)
    return f"{played}, {scene.orphan(machine)}" if played == "shrimpdemo" else played


def _judge_settled(machine: Machine, alone: bool) -> Judgement:
    """The verdict at the first stop that allows all of it: a process half made at one is whole at the next.

    alone: it is the only one, so it must have a program to judge.
    """
    for _ in range(_ATTEMPTS):
        judgement = verdict.judge(machine.kernel.elf, target=machine.gdb_target)
        if judgement.settled and (judgement.saw_a_program or not alone):
            break
    return judgement

"""A Report as marks: a case for each rule in each scenario, points for each rule, one word for the whole."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from shrimpy import rules, text
from shrimpy.rules import RULES
from shrimpy.snapshot import Snapshot

from . import printable
from .checking import Outcome, Report
from .machine import Gone
from .points import BUILDS, RUNS, STATEMENTS
from .tree import Kernel, NotBuilt
from .verdict import FAIL, PASS

PASSED, FAILED, SKIPPED = rules.PASS, rules.FAIL, rules.SKIPPED
# How a scenario's hindrance reads as the word for a kernel. One that ran nothing was not judged.
_WORDS = {"panicked": "panics", "hung": "hangs", "printed without end": "prints without end", "ended": "ends QEMU"}
_MOST_FAILURES = 12


@dataclass(frozen=True)
class Case:
    """One rule in one scenario.

    status  "pass" "fail" "skipped"
    kind    of a failure: "rule", or what came in the way
    line    why it is not passed, one line; details: all of it
    """

    scenario: str
    rule: str
    status: str
    kind: str = ""
    line: str = ""
    details: str = ""


@dataclass(frozen=True)
class Mark:
    """One rule over all scenarios: points out of most."""

    rule: str
    passed: bool
    points: float
    most: float
    output: str

    @property
    def statement(self) -> str:
        return STATEMENTS[self.rule]


@dataclass(frozen=True)
class Marks:
    """All that is told of a submission.

    status      "pass" "fail" "does not build" "panics" "hangs" "prints without end" "ends QEMU" "not judged"
    line        why, one line
    seconds     what building and checking took
    notes       what was found out about the tree
    snapshot    the stop that is told of; stopped: where and with whom that was
    console     of each scenario, by name
    """

    name: str
    status: str
    line: str
    cases: tuple[Case, ...]
    marks: tuple[Mark, ...]
    seconds: float
    notes: tuple[str, ...]
    snapshot: Snapshot | None
    stopped: str
    console: tuple[tuple[str, str], ...]
    build_log: str

    @property
    def points(self) -> float:
        return sum(one.points for one in self.marks)

    @property
    def most(self) -> float:
        return sum(one.most for one in self.marks)

    @property
    def failed(self) -> tuple[str, ...]:
        """The rules that failed, in their order."""
        found = {case.rule for case in self.cases if case.status == FAILED}
        return tuple(name for name in STATEMENTS if name in found)


def never_ran(name: str, why: NotBuilt | Gone, points: Mapping[str, float], seconds: float) -> Marks:
    """Marks for a tree of which no kernel came, or whose kernel QEMU does not even start."""
    line, _, _ = str(why).partition("\n")
    if isinstance(why, NotBuilt):
        status, case = "does not build", Case("build", BUILDS, FAILED, "does not build", printable(line), printable(str(why)))
    else:
        status, case = _WORDS["ended"], Case("boot", RUNS, FAILED, "ended", printable(line), printable(str(why)))
    return Marks(name, status, printable(line), (case,), tuple(_marks([case], points, f"it {status}")), seconds, (), None, "", (),
                 getattr(why, "log", ""))


def of(report: Report, points: Mapping[str, float], seconds: float) -> Marks:
    """Marks for a kernel that was checked."""
    build = _build_case(report.kernel)
    cases = [build, *(case for one in report.outcomes for case in _cases(one))]
    hindered = [one for one in report.outcomes if one.hindrance]
    told = report.told
    if hindered:
        status, line = _WORDS.get(hindered[0].hindrance.kind, "not judged"), hindered[0].hindrance.line
    elif report.status == FAIL:
        status, line = "fail", next(case.line for case in cases if case.status == FAILED)
    else:
        status = "pass" if report.status == PASS else "not judged"
        line = told[1].line if told else ""
    if hindered and status == "not judged" and report.status == FAIL:
        status = "fail"
    if status == "pass" and build.status == FAILED:
        status, line = "fail", build.line
    return Marks(report.kernel.name, status, printable(line), tuple(cases), tuple(_marks(cases, points, "no scenario shows it")),
                 seconds, (*report.kernel.notes, *(f"{one.name}: {note}" for one in report.outcomes for note in one.notes)),
                 told[1].snapshot if told else None, f"{told[0].name}, stopped at {told[1].where}; {told[1].who}" if told else "",
                 tuple((one.name, one.console) for one in report.outcomes), report.kernel.log)


def _build_case(kernel: Kernel) -> Case:
    """What does not build costs this case, and nothing else: the kernel is judged."""
    if not kernel.unbuilt:
        return Case("build", BUILDS, PASSED)
    lines = [printable(f"{one.name} does not build: {one.why}") for one in kernel.unbuilt]
    more = f", and {len(lines) - 1} other files" if len(lines) > 1 else ""
    return Case("build", BUILDS, FAILED, "does not build", lines[0] + more, "\n".join(lines))


def _cases(outcome: Outcome) -> Iterator[Case]:
    name, stopped = outcome.name, outcome.hindrance
    if stopped:
        yield Case(name, RUNS, FAILED, stopped.kind, printable(stopped.line), printable(stopped.text))
    else:
        yield Case(name, RUNS, PASSED)
    for rule in RULES:
        judged = [(judgement.point, verdict) for judgement in outcome.judgements for verdict in judgement.verdicts
                  if verdict.rule == rule.id]
        failures = [(point, one) for point, one in judged if one.status == rules.FAIL]
        if failures:
            details = [(f"{point}: " if point else "") + text.failure(one) for point, one in failures[:_MOST_FAILURES]]
            if len(failures) > _MOST_FAILURES:
                details.append(f"and {len(failures) - _MOST_FAILURES} more\n")
            one = failures[0][1]
            yield Case(name, rule.id, FAILED, "rule", printable(f"{rule.id}: {one.subject}: {one.why}"), printable("\n".join(details)))
        elif any(one.status == rules.PASS for _, one in judged) and not stopped:
            yield Case(name, rule.id, PASSED)
        else:
            why = stopped.line if stopped else judged[0][1].why if judged else "nothing was judged"
            yield Case(name, rule.id, SKIPPED, "", printable(why), "")


def _marks(cases: Sequence[Case], points: Mapping[str, float], unseen: str) -> Iterator[Mark]:
    """A rule has its points when it passed in a scenario that came to its end, and failed in none."""
    for rule, most in points.items():
        mine = [case for case in cases if case.rule == rule]
        failed = [case for case in mine if case.status == FAILED]
        passed = not failed and any(case.status == PASSED for case in mine)
        if passed:
            output = STATEMENTS[rule]
        elif failed:
            output = "\n\n".join(f"{case.scenario}: {case.details}" for case in failed)
        else:
            output = "not judged: " + ("; ".join(dict.fromkeys(case.line for case in mine)) or unseen)
        yield Mark(rule, passed, most if passed else 0.0, most, output)

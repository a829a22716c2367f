"""A Report as marks: a case for each rule in each scenario, points for each rule, one word for the whole.

What has one cause is told once, in the case of its example, with the points that it costs. Other cases that it breaks refer to
that one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from shrimpy import rules, words
from shrimpy.origins import OfVerdict, Traced
from shrimpy.reasons import Kind
from shrimpy.rules import RULES, Verdict
from shrimpy.rules.causes import Block
from shrimpy.show import text
from shrimpy.snapshot import Snapshot

from .. import printable
from ..judging import scenarios
from ..judging.checking import PLAY, Failure, Outcome, Report, key
from ..judging.points import BUILDS, RUNS, STATEMENTS
from ..judging.verdict import FAIL, PASS
from ..kernels.tree import Kernel, NotBuilt
from ..machines.qmp import Gone
from ..replay.archive import Checkpoint

PASSED, FAILED, SKIPPED, WARNED = rules.PASS, rules.FAIL, rules.SKIPPED, rules.WARNING
# How a scenario's hindrance reads as the word for a kernel. One that ran nothing was not judged.
_WORDS = {"panicked": "panics", "hung": "hangs", "printed without end": "prints without end", "ended": "ends QEMU"}
ENDS = frozenset(_WORDS.values())
"""Words for a kernel that did not come to its end, of which the console tells more."""
_SAME_WAY = {"not played": "hung"}  # what was not played, others that hung kept from it
_PLAYED = {*scenarios.NAMES, PLAY}  # what ONLY= takes
_THEIR_TREE = "..."  # in what to type next: the path is another where that is read
FILM = "film"   # what the story of the specification is called where the marks are
MANY = 4  # rules that could not be judged, which are counted, not named


@dataclass(frozen=True)
class Case:
    """One rule in one scenario.

    status  PASSED, FAILED, SKIPPED or WARNED
    kind    of a failure: "rule", or what came in the way
    line    why it is not passed, one line; details: its cause in full, or where that is told
    """

    scenario: str
    rule: str
    status: str
    kind: str = ""
    line: str = ""
    details: str = ""


@dataclass(frozen=True)
class Mark:
    """One rule over all scenarios: points out of most.

    status  PASSED, FAILED, SKIPPED; or WARNED, which costs nothing
    """

    rule: str
    status: str
    points: float
    most: float
    output: str

    @property
    def passed(self) -> bool:
        return self.status in (PASSED, WARNED)

    @property
    def statement(self) -> str:
        return STATEMENTS[self.rule]


@dataclass(frozen=True)
class Cause:
    """One cause of failures, of warnings, or of a scenario's early end.

    status    FAILED or WARNED
    kind      of the example's reason; or what came in the way, as Hindrance has it
    rule, scenario  whose case tells it
    line      the example in one line; text: the example in full, who else, what it explains, what it costs
    rules     those whose points it takes, each by one cause only
    unjudged  those of them that could not be judged because of it
    points    what all of them are worth
    traced    where what is wrong was written, or why that is not known; None where nobody asked
    to_type   what to type in a shell next, where there is something
    """

    status: str
    kind: str
    rule: str
    scenario: str
    line: str
    text: str
    rules: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()
    points: float = 0.0
    traced: Traced | None = None
    to_type: tuple[str, ...] = ()


@dataclass(frozen=True)
class Marks:
    """All that is told of a submission.

    status      "pass" "fail" "does not build" "panics" "hangs" "prints without end" "ends QEMU" "not judged"
    line        why, one line
    seconds     what building and checking took
    notes       what was detected in the tree
    snapshot    the stop that is told of; stopped: where and with whom that was
    console     of each scenario, by name
    causes      of all that did not pass, the first of which explain the others
    film        of what differs from the specification, as a file; "" for none
    origins     where failures were written: what the fault figure is told
    checkpoint  the machine where a rule failed first
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
    causes: tuple[Cause, ...]
    film: str = ""
    origins: tuple[OfVerdict, ...] = ()
    checkpoint: Checkpoint | None = None

    @property
    def points(self) -> float:
        return sum(one.points for one in self.marks)

    @property
    def most(self) -> float:
        return sum(one.most for one in self.marks)

    @property
    def failed(self) -> tuple[str, ...]:
        """The rules that failed, in their order."""
        return self._having(FAILED)

    @property
    def warned(self) -> tuple[str, ...]:
        """The rules that fail only beyond what decides, in their order."""
        return tuple(name for name in self._having(WARNED) if name not in self.failed)

    def _having(self, status: str) -> tuple[str, ...]:
        found = {case.rule for case in self.cases if case.status == status}
        return tuple(name for name in STATEMENTS if name in found)


def never_ran(name: str, why: NotBuilt | Gone, points: Mapping[str, float], seconds: float) -> Marks:
    """Marks for a tree of which no kernel came, or whose kernel QEMU does not even start."""
    line, said = printable(str(why).partition("\n")[0]), printable(str(why))
    if isinstance(why, NotBuilt):
        status, case = "does not build", Case("build", BUILDS, FAILED, "does not build", line, said)
    else:
        status, case = _WORDS["ended"], Case("boot", RUNS, FAILED, "ended", line, said)
    found = _with_costs([_in_case(case, stops=True)], [case], points)
    return Marks(name, status, line, (case,), tuple(_marks([case], points, found, f"it {status}")), seconds, (), None, "", (),
                 getattr(why, "log", ""), tuple(one.cause for one in found))


def of(report: Report, points: Mapping[str, float], seconds: float, film: str = "") -> Marks:
    """Marks for a kernel that was checked. film: see Marks."""
    build = _build_case(report.kernel)
    found = [*([_in_case(build)] if build.status == FAILED else []), *_found(report, bool(film))]
    cases = [build, *(case for one in report.outcomes for case in _cases(one, found))]
    found = _with_costs(found, cases, points, _unjudged_by(report))
    cases = [replace(case, details=_details(case, found)) for case in cases]
    hindered = [one.hindrance for one in report.outcomes if one.hindrance]
    told = report.told
    if hindered:
        status, line = _WORDS.get(hindered[0].kind, "not judged"), hindered[0].line
    else:
        status = "pass" if report.status == PASS else "not judged"
        line = told[1].line if told else ""
    if status == "pass" and build.status == FAILED or status == "not judged" and report.status == FAIL:
        status, line = "fail", next(one.cause.line for one in found if one.cause.status == FAILED)
    elif status in ("pass", "not judged") and not hindered and (unjudged := report.unjudged(points)):
        status, line = "not judged", f"never judged: {', '.join(unjudged)}"
    return Marks(report.kernel.name, status, printable(line), tuple(cases),
                 tuple(_marks(cases, points, found, "no scenario shows it")), seconds,
                 (*report.kernel.notes, *(f"{one.name}: {note}" for one in report.outcomes for note in one.notes)),
                 told[1].snapshot if told else None, f"{told[0].name}, stopped at {told[1].where}; {told[1].who}" if told else "",
                 tuple((one.name, one.console) for one in report.outcomes), report.kernel.log, tuple(one.cause for one in found), film,
                 report.told_origins)


def _build_case(kernel: Kernel) -> Case:
    """What does not build costs this case, and nothing else: the kernel is judged."""
    if not kernel.unbuilt:
        return Case("build", BUILDS, PASSED)
    lines = [printable(f"{one.name} does not build: {one.why}") for one in kernel.unbuilt]
    more = f", and {len(lines) - 1} other files" if len(lines) > 1 else ""
    return Case("build", BUILDS, FAILED, "does not build", lines[0] + more, "\n".join(lines))


def _cases(outcome: Outcome, found: Sequence[_Found]) -> Iterator[Case]:
    """All but their details."""
    name, stopped = outcome.name, outcome.hindrance
    way = next((one for one in found if one.stops and (name, RUNS) in one.shows), None)
    if stopped:
        yield Case(name, RUNS, FAILED, stopped.kind, printable(stopped.line))
    else:
        yield Case(name, RUNS, PASSED)
    for rule in RULES:
        judged = [verdict for judgement in outcome.judgements for verdict in judgement.verdicts if verdict.rule == rule.id]
        first = {status: next((one for one in judged if one.status == status), None) for status in (FAILED, WARNED)}
        if one := first[FAILED]:
            yield Case(name, rule.id, FAILED, "rule", printable(f"{rule.id}: {one.subject}: {one.why}"))
        elif way:
            yield Case(name, rule.id, SKIPPED, "", way.place)
        elif one := first[WARNED]:
            yield Case(name, rule.id, WARNED, "rule", printable(f"{rule.id}: {one.subject}: {one.why}"))
        elif any(one.status == rules.PASS for one in judged):
            yield Case(name, rule.id, PASSED)
        else:
            yield Case(name, rule.id, SKIPPED, "", printable(judged[0].why if judged else "nothing was judged"))


def _status(rule: str, cases: Sequence[Case]) -> str:
    """A rule has passed when it passed, or only warned, in a scenario that came to its end, and failed in none."""
    there = {case.status for case in cases if case.rule == rule}
    return next((status for status in (FAILED, WARNED, PASSED) if status in there), SKIPPED)


def _marks(cases: Sequence[Case], points: Mapping[str, float], found: Sequence[_Found], unseen: str) -> Iterator[Mark]:
    for rule, most in points.items():
        status = _status(rule, cases)
        if status == PASSED:
            output = STATEMENTS[rule]
        elif status in (FAILED, WARNED):
            output = "\n\n".join(one.of_rule(rule) for one in found if one.breaks(rule))
        else:
            way = next((one.place for one in found if rule in one.cause.unjudged), "")
            reasons = dict.fromkeys(case.line for case in cases if case.rule == rule)
            output = "not judged: " + (way or "; ".join(reasons) or unseen)
        yield Mark(rule, status, 0.0 if status in (FAILED, SKIPPED) else most, most, output)


# Causes

@dataclass(frozen=True)
class _Found:
    """A cause, and a line for each case in which it shows, by its scenario and rule.

    fails: the rules that fail because of it; stops: whether it ended a scenario.
    """

    cause: Cause
    shows: Mapping[tuple[str, str], str]
    fails: frozenset[str]
    stops: bool = False

    @property
    def place(self) -> str:
        """Where it is told, for a person."""
        return f"see {self.cause.rule}, in {self.cause.scenario}"

    def breaks(self, rule: str) -> bool:
        return any(rule == broken for _, broken in self.shows)

    def of_rule(self, rule: str) -> str:
        """What is told of it where a rule is: all of it, or its first line there and where all of it is."""
        return self.cause.text if rule == self.cause.rule else self.of_case(*next(case for case in self.shows if case[1] == rule))

    def of_case(self, scenario: str, rule: str) -> str:
        """The same, where a case is."""
        if (scenario, rule) == (self.cause.scenario, self.cause.rule):
            return self.cause.text
        return f"{self.shows[scenario, rule]}\n  one cause: {self.place}\n"


def _stops(report: Report) -> Iterator[tuple]:
    """(outcome, judgement, verdict) of all that failed or warned."""
    for outcome in report.outcomes:
        for judgement in outcome.judgements:
            for one in judgement.verdicts:
                if one.status in (FAILED, WARNED):
                    yield outcome, judgement, one


def _key(one: Verdict) -> tuple:
    """What is the same at several stops."""
    return one.status, one.rule, one.subject, one.va


def _in_case(case: Case, stops: bool = False) -> _Found:
    """What is a cause by itself, and has a case with all its details."""
    cause = Cause(FAILED, case.kind, case.rule, case.scenario, case.line, f"FAIL {case.rule}: {case.details.rstrip()}\n")
    return _Found(cause, {(case.scenario, case.rule): case.line}, frozenset((case.rule,)), stops)


def _found(report: Report, has_film: bool) -> list[_Found]:
    """The causes in a report: by their data those of failures, then what ended a scenario and is not one of them."""
    told = report.blocks
    at = {_key(one): n for n, (block, _) in enumerate(told) for one in block.verdicts}
    shows: list[dict[tuple[str, str], str]] = [{} for _ in told]
    panics: dict[str, int] = {}     # by scenario: which of the causes is its panic
    for outcome, _, one in sorted(_stops(report), key=lambda stop: stop[2].status == WARNED):
        shows[at[_key(one)]].setdefault((outcome.name, one.rule), _head(one))
        if one.reason and one.reason.kind == Kind.PANICKED:
            panics[outcome.name] = at[_key(one)]
    ways: dict[object, list[Outcome]] = {}
    for outcome in report.outcomes:
        if (why := outcome.hindrance) is not None:
            panic = panics.get(outcome.name) if why.kind == "panicked" else None
            ways.setdefault((_SAME_WAY.get(why.kind, why.kind), why.words) if panic is None else panic, []).append(outcome)
    found = [_of_block(block, failure, shows[n], ways.pop(n, []), has_film, report.traces.get(key(failure.verdict)))
             for n, (block, failure) in enumerate(told)]
    return found + [_of_ends(ended) for ended in ways.values()]


def _head(one: Verdict) -> str:
    word = "WARNING" if one.status == WARNED else "FAIL"
    return printable(f"{word} {one.rule}: {one.subject}: {one.why}" + (f"\n  look at   {one.function}()" if one.function else ""))


def _of_block(block: Block, first: Failure, shows: Mapping[tuple[str, str], str], ended: Sequence[Outcome],
              has_film: bool, traced: Traced | None) -> _Found:
    """ended: the scenarios whose end is the panic that the block is of."""
    one = first.verdict
    to_type = _to_type(one.rule, first.outcome.name, has_film)
    said = text.block(block, to_type=to_type, seen=seen(first), traced=traced)
    fails = frozenset(each.rule for each in block.verdicts if each.status == FAILED)
    if not ended:
        assert one.reason is not None, "each failure has one"
        cause = Cause(one.status, one.reason.kind.value, one.rule, first.outcome.name, printable(f"{one.rule}: {one.subject}: {one.why}"),
                      printable(said), traced=traced, to_type=to_type)
        return _Found(cause, shows, fails)
    console = "".join(f"{line}\n" for line in _why(ended[0]).partition("\n")[2].splitlines())
    found = _of_ends(ended, f"{said}{console}")
    cause = replace(found.cause, traced=traced, to_type=to_type)
    return replace(found, cause=cause, shows={**found.shows, **shows}, fails=found.fails | fails)


def _of_ends(ended: Sequence[Outcome], said: str = "") -> _Found:
    """Scenarios that came to one kind of end. said: all that is known of the first."""
    first, *others = ended
    assert first.hindrance is not None
    as_well = f"  as well   in {', '.join(one.name for one in others)}\n" if others else ""
    to_type = _to_type("no-panic", first.name) if first.name in _PLAYED else ()
    to_say = f"  next      {';  '.join(to_type)}\n" if to_type and not said else ""
    said = (said or f"FAIL {RUNS}, in {first.name}: {_why(first).rstrip()}\n") + as_well + to_say
    cause = Cause(FAILED, first.hindrance.kind, RUNS, first.name, printable(first.hindrance.line), printable(said), to_type=to_type)
    return _Found(cause, {(one.name, RUNS): printable(_why(one).partition("\n")[0]) for one in ended}, frozenset((RUNS,)), True)


def _why(outcome: Outcome) -> str:
    return outcome.hindrance.text if outcome.hindrance else ""


def seen(one: Failure) -> str:
    """Where a failure was seen first, and how often besides."""
    again = f", and at {one.n_stops - 1} later stops" if one.n_stops > 2 else ", and once more" if one.n_stops == 2 else ""
    point = f": {one.judgement.point}" if one.judgement.point else ""
    return f"in {one.outcome.name}{point}{again}"


def _to_type(rule: str, scenario: str, has_film: bool = False) -> tuple[str, ...]:
    """What to type in a shell next: where this is read, the tree has another path than here."""
    return words.explain.targets(rule, _THEIR_TREE, scenario if scenario in _PLAYED else "", f"{FILM}.html" if has_film else "")


def _details(case: Case, found: Sequence[_Found]) -> str:
    if case.status not in (FAILED, WARNED):
        return ""
    return "\n".join(one.of_case(case.scenario, case.rule) for one in found if (case.scenario, case.rule) in one.shows)


_SEE = {Kind.OTHERS_LOST: "frames-conserved", Kind.NO_FRY: "fry-flags", Kind.PARENT_WITHOUT_FRY: "fry-flags", Kind.NO_SHRIMP: "shrimp-pair",
        Kind.FIRSTS_PAGE: "exec-keeps", Kind.FREE_LIST_BROKEN: "free-list-sound", Kind.FREE_LIST_NOT_WALKED: "free-list-sound",
        Kind.TABLES_NOT_FOLLOWED: "frame-in-ram"}


def _unjudged_by(report: Report) -> dict[str, set[str]]:
    """The rules whose failures keep others from being judged, by those others: so their reasons say."""
    found: dict[str, set[str]] = {}
    for outcome in report.outcomes:
        for judgement in outcome.judgements:
            for one in judgement.verdicts:
                if one.status == SKIPPED and one.reason and one.reason.kind in _SEE:
                    found.setdefault(one.rule, set()).add(_SEE[one.reason.kind])
    return found


def _with_costs(found: Sequence[_Found], cases: Sequence[Case], points: Mapping[str, float],
                unjudged_by: Mapping[str, set[str]] = {}) -> list[_Found]:
    """The same, each with the rules whose points it takes: of several causes the first has them."""
    taken: list[list[str]] = [[] for _ in found]
    unjudged: list[list[str]] = [[] for _ in found]
    for rule in points:
        status = _status(rule, cases)
        see = unjudged_by.get(rule, set())
        at = next((n for n, one in enumerate(found) if (
            rule in one.fails if status == FAILED else status == SKIPPED and (one.stops or one.fails & see))), None)
        if at is not None:
            (unjudged if status == SKIPPED else taken)[at].append(rule)
    return [replace(one, cause=_with_cost(one.cause, tuple(mine), tuple(lost), points))
            for one, mine, lost in zip(found, taken, unjudged)]


def _with_cost(cause: Cause, failed: tuple[str, ...], unjudged: tuple[str, ...], points: Mapping[str, float]) -> Cause:
    cost = sum(points[rule] for rule in (*failed, *unjudged))
    worth = [rule for rule in failed if points[rule]]
    lost = [rule for rule in unjudged if points[rule]]
    if lost:
        worth.append(f"{len(lost)} rules that could not be judged" if len(lost) >= MANY else f"not judged: {', '.join(lost)}")
    said = f"  costs     {cost:g} point{'s' * (cost != 1)}: {', '.join(worth)}\n" if cost else \
        "  costs     nothing: it is beyond the handout\n" if cause.status == WARNED else ""
    return replace(cause, text=cause.text + said, rules=(*failed, *unjudged), unjudged=unjudged, points=cost)

"""A class in numbers, made of the results.json files that check leaves: no file is read here and nothing is drawn."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..judging.points import STATEMENTS
from .marking import FAILED, PASSED, SKIPPED, WARNED

Told = Mapping[str, Any]

_MOST_BINS = 10


@dataclass(frozen=True)
class OfRule:
    """How many submissions a rule failed in, warned in, was not judged in, and passed in; and the points that were lost by it."""

    rule: str
    statement: str
    failed: int
    warned: int
    unjudged: int
    passed: int
    lost: float


@dataclass(frozen=True)
class OfCause:
    """A kind of cause: the rule that tells it, its kind (an id), the submissions that have it, and the points that it cost."""

    rule: str
    kind: str
    submissions: tuple[str, ...]
    points: float


@dataclass(frozen=True)
class Unjudged:
    """Why rules were not judged: the cause that kept them from it, by its rule and kind, or, where there is none, in words."""

    rule: str
    kind: str
    words: str
    rules: tuple[str, ...]
    submissions: tuple[str, ...]


@dataclass(frozen=True)
class Bin:
    """How many submissions have at least `low` points, and fewer than `high`; the last bin has those with `high`, too."""

    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Times:
    """Seconds that building and checking took: of all, the median, and of the slowest submission."""

    total: float
    median: float
    most: float
    slowest: str


@dataclass(frozen=True)
class Summary:
    """A class.

    statuses   how many submissions have each status, the most frequent first; "not checked" is not among them
    unchecked  submissions without marks, and why
    rules      all rules that are worth points, or that failed or warned; those that failed most often first
    causes     the most frequent first
    unjudged   in as many submissions, then of as many rules, first
    points     a histogram of the points; mean and median of them, and the most that there are; of no submission: 0
    """

    n: int
    statuses: tuple[tuple[str, int], ...]
    unchecked: tuple[tuple[str, str], ...]
    rules: tuple[OfRule, ...]
    causes: tuple[OfCause, ...]
    unjudged: tuple[Unjudged, ...]
    points: tuple[Bin, ...]
    mean: float
    median: float
    most: float
    times: Times | None


def of(told: Mapping[str, Told], unchecked: Mapping[str, str]) -> Summary:
    """told: results.json by submission; unchecked: why the others have none."""
    scores = [one["score"] for one in told.values()]
    most = max((one["extra_data"]["max_score"] for one in told.values()), default=0.0)
    statuses = Counter(one["extra_data"]["status"] for one in told.values())
    return Summary(len(told) + len(unchecked), tuple(statuses.most_common()), tuple(unchecked.items()), tuple(_rules(told)),
                   tuple(_causes(told)), tuple(_unjudged(told)), histogram(scores, most), statistics.mean(scores) if scores else 0.0,
                   statistics.median(scores) if scores else 0.0, most, _times(told))


def histogram(scores: list[float], most: float) -> tuple[Bin, ...]:
    """At most ten bins of one width, which is a whole number where the points are more than a few."""
    if not scores or most <= 0:
        return ()
    width = math.ceil(most / _MOST_BINS) if most > 1 else most
    n_bins = math.ceil(most / width)
    counts = Counter(min(int(score / width), n_bins - 1) for score in scores)
    return tuple(Bin(i * width, min((i + 1) * width, most), counts[i]) for i in range(n_bins))


def verdict(test: Told, more: Told) -> str:
    """What became of the rule of a test: FAILED, WARNED, SKIPPED (not judged) or PASSED. more: extra_data."""
    rule = rule_of(test)
    if rule in more["failed"]:
        return FAILED
    if test["status"] != "passed":
        return SKIPPED
    return WARNED if rule in more.get("warned", ()) else PASSED


def rule_of(test: Told) -> str:
    """The id of the rule that a test of results.json is of."""
    return str(test["name"]).partition(":")[0]


def _tests(told: Mapping[str, Told]) -> Iterator[tuple[str, str, str, Told, Told]]:
    """(submission, rule, verdict, test, extra_data) of all."""
    for name, one in told.items():
        for test in one["tests"]:
            yield name, rule_of(test), verdict(test, one["extra_data"]), test, one["extra_data"]


def _rules(told: Mapping[str, Told]) -> list[OfRule]:
    counts: dict[str, Counter[str]] = {}
    lost: Counter[str] = Counter()
    worth: set[str] = set()
    for _, rule, became, test, _ in _tests(told):
        counts.setdefault(rule, Counter())[became] += 1
        lost[rule] += test["max_score"] - test["score"]
        if test["max_score"]:
            worth.add(rule)
    found = [OfRule(rule, STATEMENTS.get(rule, ""), count[FAILED], count[WARNED], count[SKIPPED], count[PASSED], lost[rule])
             for rule, count in counts.items() if rule in worth or count[FAILED] or count[WARNED]]
    return sorted(found, key=lambda one: (-one.failed, -one.warned, -one.unjudged))


def _causes(told: Mapping[str, Told]) -> list[OfCause]:
    names: dict[tuple[str, str], dict[str, None]] = {}
    cost: Counter[tuple[str, str]] = Counter()
    for name, one in told.items():
        for cause in one["extra_data"].get("causes", ()):
            key = cause["rule"], cause["kind"]
            names.setdefault(key, {})[name] = None
            cost[key] += cause["points"]
    found = [OfCause(rule, kind, tuple(some), cost[rule, kind]) for (rule, kind), some in names.items()]
    return sorted(found, key=lambda one: (-len(one.submissions), -one.points))


def _unjudged(told: Mapping[str, Told]) -> list[Unjudged]:
    found: dict[tuple[str, str, str], tuple[dict[str, None], dict[str, None]]] = {}
    for name, rule, became, test, more in _tests(told):
        if became == SKIPPED:
            cause = next((one for one in more.get("causes", ()) if rule in one["unjudged"]), None)
            key = (cause["rule"], cause["kind"], "") if cause else ("", "", test["output"].partition("\n")[0])
            rules, names = found.setdefault(key, ({}, {}))
            rules[rule] = names[name] = None
    return sorted((Unjudged(*key, tuple(rules), tuple(names)) for key, (rules, names) in found.items()),
                  key=lambda one: (-len(one.submissions), -len(one.rules)))


def _times(told: Mapping[str, Told]) -> Times | None:
    if not told:
        return None
    seconds = {name: one["extra_data"]["seconds"] for name, one in told.items()}
    slowest = max(seconds, key=lambda name: seconds[name])
    return Times(sum(seconds.values()), statistics.median(seconds.values()), seconds[slowest], slowest)

"""What the tests of the rules ask of verdicts."""

from __future__ import annotations

from typing import Iterator, List, Optional, Set

from shrimpy.reasons import Kind, Reason
from shrimpy.rules import FAIL, Verdict, evaluate
from shrimpy.snapshot import Snapshot


def failures(snapshot: Snapshot, previous: Optional[Snapshot] = None) -> List[Verdict]:
    return [v for v in evaluate(snapshot, previous) if v.status == FAIL]


def failed_rules(snapshot: Snapshot, previous: Optional[Snapshot] = None) -> Set[str]:
    return {v.rule for v in failures(snapshot, previous)}


def failure(snapshot: Snapshot, rule: str, previous: Optional[Snapshot] = None) -> Verdict:
    """The first failure of `rule`; there must be one."""
    found = [v for v in failures(snapshot, previous) if v.rule == rule]
    assert found, f"{rule} did not fail; failed: {sorted(failed_rules(snapshot, previous))}"
    return found[0]


def statuses(snapshot: Snapshot, rule: str, previous: Optional[Snapshot] = None) -> List[str]:
    return [v.status for v in evaluate(snapshot, previous) if v.rule == rule]


def reasons(snapshot: Snapshot, rule: str, previous: Optional[Snapshot] = None) -> List[Reason]:
    """Why verdicts of `rule` are what they are, each reason followed by those that it rests on."""
    return [each for v in evaluate(snapshot, previous) if v.rule == rule for each in parts(v.reason)]


def kinds(snapshot: Snapshot, rule: str, previous: Optional[Snapshot] = None) -> Set[Kind]:
    return {each.kind for each in reasons(snapshot, rule, previous)}


def parts(reason: Optional[Reason]) -> Iterator[Reason]:
    """A reason, and those that it rests on."""
    if reason is not None:
        yield reason
        yield from parts(reason.because)
        yield from parts(reason.stands)

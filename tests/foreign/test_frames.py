"""Kernels that keep and count frames in ways of their own: no right one is accused, and a wrong one is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import pytest

from lab.judging import checking, scenarios
from lab.kernels import tree
from shrimpy.rules import FAIL, PASS, SKIPPED

import frames
import trees

# All scenarios are played on each; the specification where it is asked for.
pytestmark = pytest.mark.limit(300)

RIGHT = {
    "each-in-its-own-way": (trees.imitate, (frames.BUFFERS, frames.BLOCKS, frames.COUNTED_TWICE, frames.COUNTED_BEHIND)),
    "pool": (trees.plain, (frames.POOL,)),
    "kept-fry": (trees.imitate, (frames.KEPT_FRY, frames.COUNTED_BY_POINTER)),
    "bump-and-lazy-buffers": (trees.imitate, (frames.BUMP, frames.LAZY_BUFFERS)),
    "fry-below-shrimp": (trees.imitate, (frames.FRY_BELOW,)),
}
LONG = pytest.mark.soak  # another of its kind is always tried


@pytest.fixture
def checked(lab: Path) -> Iterator[Callable[..., checking.Report]]:
    """checked(make, edits, only=...): what check finds of a tree."""
    def run(make: Callable[..., Path], *edits: list[trees.Edit], only: Collection[str] = scenarios.NAMES, **how: object) -> checking.Report:
        return checking.check(tree.prepare(str(trees.again(lab, *edits, make=make, **how))), 3, only=only)
    yield run


def statuses(report: checking.Report, rule: str) -> set[str]:
    return {one.status for outcome in report.outcomes for stop in outcome.judgements for one in stop.verdicts if one.rule == rule}


@pytest.mark.parametrize("name", [
    "each-in-its-own-way", "pool", "kept-fry", pytest.param("bump-and-lazy-buffers", marks=LONG),
    pytest.param("fry-below-shrimp", marks=LONG)])
def test_a_right_kernel_is_not_accused_and_its_frames_are_judged(checked, name):
    make, edits = RIGHT[name]
    report = checked(make, *edits)
    assert [(one.verdict.rule, one.verdict.subject) for one in report.failures] == []
    assert [one.hindrance for one in report.outcomes if one.hindrance] == []
    for rule in ("frames-conserved", "frames-return", "count-matches"):
        assert PASS in statuses(report, rule), rule
    if name == "pool":      # of the frames that no list had it is said that they are not judged
        assert {one.because for outcome in report.outcomes for stop in outcome.judgements for one in stop.verdicts
                if one.rule == "frames-conserved" and one.status == SKIPPED and one.about.n_pages == 3520} == {"unknown"}


@pytest.mark.parametrize("edits", [pytest.param(frames.BUFFERS, marks=LONG), pytest.param(frames.KEPT_FRY, marks=LONG), pytest.param(frames.BUMP, marks=LONG)])
def test_a_leak_is_found_in_such_a_kernel(checked, edits):
    report = checked(trees.imitate, edits, only=(), patches=["zoo/exec-leaks-the-old.patch"])
    assert {one.verdict.rule for one in report.failures} == {"frames-conserved", "specification"}


@pytest.mark.parametrize("edits,page,function", [
    pytest.param(frames.UNBOUNDED, "shrimp", "sys_sbrk", id="lazy-without-a-bound"),
    pytest.param(frames.BOUND_AT_SHRIMP, "fry", "sys_sbrk", id="bounded-by-the-higher-page"),
])
def test_a_missing_bound_is_found_where_the_kernel_has_it(checked, edits, page, function):
    report = checked(trees.imitate, edits, only=["heap"])
    # A program that ends at the bound of a kernel whose bound is too high has it map the lower page twice.
    assert {one.hindrance.kind for one in report.outcomes if one.hindrance} <= ({"panicked"} if page == "fry" else set())
    found = [one for one in report.failures if one.outcome.name == "heap" and ("grown", one.verdict.pid) in one.judgement.roles]
    assert [(one.verdict.rule, one.verdict.va, one.verdict.function) for one in found] == [
        ("heap-below-shrimp", getattr(found[0].judgement.snapshot.layout, page), function)]
    assert FAIL not in {status for rule in ("frames-conserved", "count-matches", "shrimp-pair") for status in statuses(report, rule)}

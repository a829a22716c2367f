"""The most instructive mistakes, each found by make check's own scenarios as its patch says; make zoo examines all."""

from __future__ import annotations

import json

import pytest

import mistakes
from lab import checking
from lab.scenarios import POINTS
from lab.verdict import PASS

ALWAYS = ("two-frames", "parent-first", "orphan-gets-inits", "fry-without-u", "heap-reaches-shrimp", "count-not-locked")


@pytest.mark.limit(300)  # a mistake may hang each scenario
@pytest.mark.parametrize("name", ALWAYS)
def test_the_mistake_is_found_by_the_right_rule_with_the_right_subject(name):
    finding = mistakes.examine(mistakes.read(mistakes.HERE / f"{name}.patch"))
    assert (finding.missed, finding.wrong) == ((), ())


@pytest.mark.parametrize("harts", [1, 3])
def test_the_unbroken_kernel_raises_nothing_in_any_scenario(kernel, harts):
    report = checking.check(kernel, harts)
    assert report.status == PASS, [one.verdict for one in report.failures]
    judged = {one.rule for outcome in report.outcomes for stop in outcome.judgements for one in stop.verdicts if one.status == "pass"}
    assert judged == {rule.id for rule in mistakes.RULES}
    assert all(stop.settled for outcome in report.outcomes for stop in outcome.judgements if stop.point != POINTS["can-run"])
    ended = [outcome.judgements[-1] for outcome in report.outcomes if outcome.judgements[-1].known.before]
    assert len(ended) == len(report.outcomes) - 1
    assert {one.status for stop in ended for one in stop.verdicts if one.rule == "frames-return"} == {"pass"}


def test_every_patch_says_what_must_be_found_and_no_two_are_the_same():
    known = mistakes.all_mistakes()
    assert len(known) >= 30
    changes = [one.patch.read_text().partition("\n--- ")[2] for one in known]
    assert len(set(changes)) == len(changes)


@pytest.mark.parametrize("line,said", [
    ("fails: shrimp-pear on sh at SHRIMP in family", "there is no rule shrimp-pear"),
    ("fails: shrimp-pair on sh", "found 'shrimp-pair on sh'"),
    ("fayls: x", "found 'fayls'"),
])
def test_a_header_that_says_it_wrongly_is_refused(tmp_path, line, said):
    patch = tmp_path / "odd.patch"
    patch.write_text(f"mistake: m\nseen: s\n{line}\nalso: nothing\n--- a/x\n")
    with pytest.raises(mistakes.Trouble, match=said):
        mistakes.read(patch)


def test_what_is_missed_or_must_not_fail_is_told(kernel):
    """An unbroken kernel misses what every patch expects, and a broken one fails what an empty header allows."""
    mistake = mistakes.read(mistakes.HERE / "two-frames.patch")
    finding = mistakes.compare(mistake, checking.Report(kernel, 1, ()))
    assert finding.missed == tuple(str(one) for one in mistake.fails) and not finding.wrong
    assert mistakes.tell([mistake], {mistake.name: finding}) == 1
    assert mistakes.tell([mistake], {mistake.name: None}) == 1


def test_results_are_kept_and_a_line_that_was_cut_off_is_none(tmp_path, monkeypatch):
    monkeypatch.setattr(mistakes, "RESULTS", tmp_path / "results.jsonl")
    line = json.dumps({"name": "a", "recipe": "1", "missed": [], "wrong": [], "fired": ["shrimp-pair"], "shown": "x"})
    mistakes.RESULTS.write_text(f"{line}\n{line[:30]}")
    assert mistakes._results() == {("a", "1"): mistakes.Finding((), (), ("shrimp-pair",), "x")}

"""The most instructive mistakes, each found by make check's own scenarios as its patch says; make zoo examines all."""

from __future__ import annotations

import dataclasses
import json
import re
import subprocess
from pathlib import Path

import pytest

import callgraph
import mistakes
from lab.judging import checking
from lab.judging.checking import Outcome, Report
from lab.judging.scenarios import POINTS, SCENARIOS
from lab.judging.verdict import PASS, Judgement
from lab.judging.watch import Watch
from lab.kernels.tree import Kernel
from machine import SHRIMP, R, U, W, family

ALWAYS = ("satp-of-a-copy", "two-frames", "parent-first", "orphan-gets-inits", "fry-without-u", "heap-reaches-shrimp", "count-not-locked")


@pytest.mark.limit(300)  # a mistake may hang each scenario
@pytest.mark.parametrize("name", ALWAYS)
def test_the_mistake_is_found_by_the_right_rule_with_the_right_subject(name):
    finding = mistakes.examine(mistakes.read(mistakes.HERE / f"{name}.patch"))
    assert (finding.missed, finding.wrong, finding.astray) == ((), (), ())


def test_the_moment_of_two_harts_comes_where_the_likeliest_hart_has_nothing_to_do(monkeypatch):
    """Another has just taken from the queue who would come to kfree."""
    alone, likeliest, came = Watch.run_alone, [], []

    def the_other_first(watch, hart, *told):
        likeliest.append(hart)
        came.append(alone(watch, likeliest[0] if came else 3 - watch.hart - hart, *told))  # of three harts one is held
        return came[-1]
    monkeypatch.setattr(Watch, "run_alone", the_other_first)
    report = checking.check(mistakes.build(mistakes.read(mistakes.HERE / "count-not-locked.patch")), 3, only=("count",))
    assert came[-1] and "count-matches" in {one.verdict.rule for one in report.failures}


@pytest.mark.parametrize("name", ["shm-frees-when-removed", "shm-detaches-one-page"])
def test_a_mistake_with_segments_is_found_by_the_scenario_that_uses_them(name):
    mistake = mistakes.read(mistakes.HERE / f"{name}.patch")
    report = checking.check(mistakes.build(mistake), 3, only=("segments",))
    finding = mistakes.compare(mistake, report)
    assert (finding.missed, finding.wrong, mistakes.astray(mistake, report)) == ((), (), ())


def test_what_is_beyond_the_handout_is_a_warning_where_the_handout_decides():
    """The parent's exit frees the page that an orphan maps: the handout's simplest answer does so."""
    kernel = mistakes.build(mistakes.read(mistakes.HERE / "parent-first.patch"))
    for profile, status, word in (("strict", 1, "FAIL"), ("handout", 0, "WARNING")):
        done = subprocess.run(["make", "check", f"KERNEL={kernel.elf}", "ONLY=orphan", f"PROFILE={profile}"], cwd=mistakes.ROOT,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr
        assert re.search(rf"^{word} orphan-alive: pid \d+ \(shrimpscene\): its SHRIMP frame is on the free list", done.stdout, re.M)
        assert re.search(r"^  next .*make check KERNEL=.* ONLY=orphan OUT=marks$", done.stdout, re.M)


@pytest.mark.parametrize("harts", [1, 3])
def test_the_unbroken_kernel_raises_nothing_in_any_scenario(kernel, harts):
    report = checking.check(kernel, harts)
    assert report.status == PASS, [one.verdict for one in report.failures]
    judged = {one.rule for outcome in report.outcomes for stop in outcome.judgements for one in stop.verdicts if one.status == "pass"}
    assert judged == {rule.id for rule in mistakes.RULES}
    assert all(stop.settled for outcome in report.outcomes for stop in outcome.judgements if stop.point != POINTS["can-run"])
    ended = [outcome.judgements[-1] for outcome in report.outcomes if outcome.judgements[-1].known.before]
    assert len(ended) == len([one for one in SCENARIOS if not one.ends_shell]) - 1
    assert {one.status for stop in ended for one in stop.verdicts if one.rule == "frames-return"} == {"pass"}


def test_every_patch_says_what_must_be_found_and_no_two_are_the_same():
    known = mistakes.all_mistakes()
    assert len(known) >= 30
    changes = [one.patch.read_text().partition("\n--- ")[2] for one in known]
    assert len(set(changes)) == len(changes)


@pytest.mark.parametrize("name,touches,looks", [
    ("two-frames", {"sharefry"}, {"fork", "kdup", "mappages"}), ("parent-first", {"freeproc", "sharefry"}, {"kfree", "fork"}),
    ("exit-frees-early", {"exit"}, {"kfree", "reparent"}), ("heap-reaches-shrimp", {"growlazily"}, {"sys_sbrk"}),
    ("kinit-one-too-many", {"kinit"}, {"setfree", "initmachine"})])
def test_what_a_patch_touches_and_who_is_near_are_read_from_the_sources(name, touches, looks):
    patch = (mistakes.HERE / f"{name}.patch").read_text()
    assert callgraph.touched(patch, mistakes.ROOT) == touches
    found = callgraph.to_look_at(patch, mistakes.ROOT)
    assert touches | looks <= found and "console" not in found and len(found) < 25


def test_every_patch_touches_a_function_and_the_call_graph_has_every_function_of_the_kernel():
    calls = callgraph.graph(mistakes.ROOT / "xv6/kernel")
    for one in mistakes.all_mistakes():
        assert callgraph.touched(one.patch.read_text(), mistakes.ROOT) & calls.keys(), one.name
    assert "sharefry" in calls["fork"] and "reparent" in calls["exit"] and "kfree" not in calls["fork"]
    assert {"main", "kerneltrap", "kalloc", "uvmcopy", "sharefry"} <= calls.keys()


def test_a_function_that_has_nothing_to_do_with_a_mistake_is_said_to_be_astray():
    """A verdict as a check makes it of a family in which each child has a page of its own."""
    m = family()
    for pid in (4, 5):
        m.map(m.processes[pid].root, SHRIMP, m.alloc(), R | W | U)
    outcome = Outcome("family", "a family", (Judgement("", m.snapshot()),), None, "")
    report = Report(Kernel("ours", Path("kernel"), ()), 3, (outcome,))
    fails = (mistakes.Expected("shrimp-pair", "shrimpdemo", "SHRIMP", "family"),)
    right, wrong = (dataclasses.replace(mistakes.read(mistakes.HERE / f"{name}.patch"), fails=fails)
                    for name in ("two-frames", "guard-open"))
    assert mistakes.astray(right, report) == ()
    assert mistakes.astray(wrong, report) == ("shrimp-pair names fork", "shrimp-siblings names fork")


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
    line = json.dumps({"name": "a", "recipe": "1", "missed": [], "wrong": [], "fired": ["shrimp-pair"], "shown": "x",
                       "astray": []})
    mistakes.RESULTS.write_text(f"{line}\n{line[:30]}")
    assert mistakes._results() == {("a", "1"): mistakes.Finding((), (), ("shrimp-pair",), "x")}

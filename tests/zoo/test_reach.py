"""The line that check names is near the mistake; reach.py asks it of the whole zoo."""

from __future__ import annotations

import errno
from dataclasses import replace
from types import SimpleNamespace

import pytest

import reach
from lab import Trouble
from lab.judging import checking, tracing
from lab.judging.keeping import Keeper
from lab.kernels import variant
from shrimpy.memory.readers import ReadError
from shrimpy.origins import Traced, Untold, What
from shrimpy.replay.questions import Asked


@pytest.mark.parametrize("name", ["kill-clears-fry", *(pytest.param(one, marks=pytest.mark.soak) for one in (
    "exec-drops-shrimp", "exec-swaps-the-pages", "dropped-twice", "tables-shared", "not-unmapped"))])
def test_the_line_is_near_the_mistake_and_the_machine_is_kept(monkeypatch, name):
    monkeypatch.delenv("KEEP", raising=False)
    with Keeper() as keeper:
        found = reach.examine(name, reach.patches()[name], keeper=keeper)
        assert keeper.made or name == "not-unmapped", keeper.notes  # which has no prompt
    assert found.get("near"), found


@pytest.mark.parametrize("name,told", [
    ("fry-leaks", [(What.FIELD, "freeproc"), (What.UNMAPPED, "proc_freepagetable"), (What.FRAME, "allocproc")]),
    *(pytest.param(name, told, marks=pytest.mark.soak) for name, told in (
        ("buried-by-init-leaks", [(What.FIELD, "bury"), (What.UNMAPPED, "proc_freepagetable"), (What.FRAME, "allocproc")]),
        ("reparent-changes-only-the-struct", [(What.FIELD, "reparent"), (What.ENTRY, "proc_pagetable")]),
        ("orphans-go-to-the-grandparent", [(What.FIELD, "reparent")]),
        ("orphan-looks-at-the-slot", [(What.FIELD, "exec"), (What.ENTRY, "exec")]),
        ("files-go-to-fry", [(What.WORD, "copy_run")]),
        ("exec-segment-leaks-a-frame", [(What.FRAME, "loadpage")])))])
def test_what_is_told_of_a_leak_and_of_a_page_or_value_that_came_elsewhere(name, told):
    report = reach.checked(name, reach.patches()[name])
    first = next(one for one in tracing.trace(report).traces.values() if one.origins)
    assert [(one.what, one.place.function) for one in first.origins] == told


@pytest.mark.parametrize("program, ready", [("shrimpdemo &", "shrimpdemo: ready"), pytest.param("ls | cat", "", marks=pytest.mark.soak)])
def test_a_program_that_is_run_instead_is_asked_and_its_machine_is_kept(monkeypatch, program, ready):
    monkeypatch.delenv("KEEP", raising=False)
    with Keeper() as keeper:
        report = checking.check(variant.build("zoo-two-frames", [reach.patches()["two-frames"]]), 3, program=program, ready=ready,
                                keeper=keeper)
        assert keeper.made, keeper.notes
    told = tracing.trace(report)
    first, *_ = next(one for one in told.traces.values() if one.origins).origins
    assert first.place.function == "sharefry" and (told.status, told.outcomes) == (report.status, report.outcomes)


@pytest.mark.soak
def test_the_answer_is_the_same_20_times():
    found = reach.examine("kill-drops-a-reference", reach.patches()["kill-drops-a-reference"], 20)
    assert found.get("near") and found["others"] == 0, found


def test_causes_are_asked_about_on_as_few_recordings_as_show_them():
    def asked(found, again):
        played = []

        def ask(name, wanted):
            played.append((name, len(wanted)))
            for one in wanted:
                one.asked = again.get(name)
                one.traced = None if one.asked else Traced(untold=Untold.NOT_AGAIN.value)
        tracing._ask_each(SimpleNamespace(ask=ask), found)
        return played

    def three():
        return [tracing._Wanted(None, None, shown) for shown in (["fork", "exec"], ["exec"], ["orphan", "exec", "fork"])]
    answer = Asked(1)
    assert asked(three(), {"exec": answer}) == [("exec", 3)]
    assert asked(three(), {"fork": answer, "orphan": answer}) == [("exec", 3), ("fork", 1), ("orphan", 1)]


def test_what_does_not_come_again_or_cannot_be_recorded_is_told_and_changes_nothing(monkeypatch):
    report = checking.check(variant.build("zoo-two-frames", [reach.patches()["two-frames"]]), 3, only=["family"])
    [outcome] = report.outcomes
    judgement = next(one for one in outcome.judgements if one.failures)
    forged = replace(judgement, snapshot=judgement.snapshot)
    wrong = tuple(replace(one, rule="fry-flags") if one.status == "fail" else one for one in judgement.verdicts)
    forged.__dict__["verdicts"] = wrong     # what no run of the kernel shows
    strange = replace(report, outcomes=(replace(outcome, judgements=(forged,)),))
    again = tracing.trace(strange)
    assert {one.untold for one in again.traces.values()} == {Untold.NOT_AGAIN} and again.status == strange.status

    # Before the machine is started, and while it is recorded.
    for place, failed in (("of_run", OSError(errno.ENOSPC, "it is full")), ("of_run", ReadError("it is no RAM")),
                          ("need_recordable", Trouble("it cannot be recorded"))):
        def refuse(*_, failed=failed):
            raise failed
        monkeypatch.setattr(tracing.recording, place, refuse)
        told = tracing.trace(report)
        assert {(one.untold, one.detail) for one in told.traces.values()} == {(Untold.NOT_RECORDED, str(failed))}
        assert (told.status, told.outcomes) == (report.status, report.outcomes)

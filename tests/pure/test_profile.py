"""What the lab handout asks for, and what is beyond it: a rule's mark, a verdict's mark, and what they decide."""

import json

import pytest
from judging import failure, statuses
from machine import FRY, PAGE, SHRIMP, TRAPFRAME, R, U, W, family
from shrimpy.reasons import Kind
from shrimpy.rules import FAIL, HANDOUT, PASS, RULES, WARNING, evaluate, status

# The handout's first requirement

@pytest.mark.parametrize("fry, shrimp", [(FRY, SHRIMP), (SHRIMP, FRY)])
def test_fry_and_shrimp_may_be_in_either_order(fry, shrimp):
    assert statuses(family().snapshot(fry=fry, shrimp=shrimp), "below-trapframe") == [PASS]


@pytest.mark.parametrize("fry, shrimp, pages", [
    (FRY - 8 * PAGE, SHRIMP, ["FRY"]), (FRY, SHRIMP - PAGE, ["SHRIMP"]), (FRY + 8, SHRIMP, ["FRY"]), (FRY, FRY, ["SHRIMP"]),
    (TRAPFRAME, FRY, ["FRY"]), (0, PAGE, ["FRY", "SHRIMP"])])
def test_a_page_in_any_other_place_fails(fry, shrimp, pages):
    found = [v for v in evaluate(family().snapshot(fry=fry, shrimp=shrimp)) if v.rule == "below-trapframe"]
    assert [(v.status, v.reason.kind, v.reason.page) for v in found] == [(FAIL, Kind.MISPLACED, page) for page in pages]
    assert all(v.function is None and "memlayout.h" in v.explanation and not v.beyond_handout for v in found)


# Profiles

def naive():
    """What the handout's simplest answer does: the parent's exit frees the page that an orphan still maps."""
    m = family()
    parent = m.processes[3]
    m.refs[parent.fry] = 1
    m.exits(parent)
    return m.snapshot()


def two_frames(pid):
    """pid has a SHRIMP of its own."""
    m = family()
    m.map(m.processes[pid].root, SHRIMP, m.alloc(), R | W | U)
    return m.snapshot()


def test_an_orphan_that_loses_its_page_is_a_warning_where_the_handout_decides():
    assert status(evaluate(naive())) == 1
    verdicts = evaluate(naive(), profile=HANDOUT)
    assert status(verdicts) == 0
    warned = {v.rule for v in verdicts if v.status == WARNING}
    assert warned == {"orphan-alive", "not-on-free-list", "count-matches"}
    assert all(v.reason and v.why and v.beyond_handout for v in verdicts if v.status == WARNING)


def test_what_the_handout_asks_for_fails_in_both():
    for profile in (HANDOUT, "strict"):
        assert {v.pid for v in evaluate(two_frames(4), profile=profile) if v.status == FAIL and v.rule == "shrimp-pair"} == {4}


def test_what_exec_has_dropped_is_beyond_the_handout_where_the_names_show_that_it_ran():
    m = family()
    for pid in (2, 4):
        m.free(m.unmap(m.processes[pid].root, SHRIMP))
    found = {v.pid: v.beyond_handout for v in evaluate(m.snapshot()) if v.status == FAIL and v.rule == "shrimp-pair"}
    assert found == {2: True, 4: False}     # sh is not what init was, a forked shrimpdemo is a shrimpdemo


def test_the_rules_that_are_beyond_are_marked_and_json_has_it_of_each_verdict():
    assert {rule.id for rule in RULES if rule.beyond_handout} == {"orphan-alive", "fry-zeroed", "exec-keeps"} | {
        rule.id for rule in RULES if rule.id.startswith("segment-")}
    assert json.loads(json.dumps(failure(naive(), "orphan-alive").to_data()))["beyond_handout"] is True
    assert failure(two_frames(4), "shrimp-pair").to_data()["beyond_handout"] is False

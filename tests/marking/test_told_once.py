"""Marks tell what has one cause once, with the points that it costs, in all their forms; and warnings, which cost none."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as xml
from dataclasses import replace
from pathlib import Path

import pytest

from lab.judging import points
from lab.judging.checking import Hindrance, Outcome, Report
from lab.judging.verdict import Judgement
from lab.kernels.building import Unbuilt
from lab.kernels.tree import Kernel, NotBuilt
from lab.marks import classes, marking, results
from lab.marks.marking import FAILED, PASSED, SKIPPED, WARNED, Marks
from machine import PANICKED, SHRIMP, R, U, W, family
from shrimpy.rules import HANDOUT, STRICT, Known

KERNEL = Kernel("lab", Path("kernel"), ())
PANIC = Hindrance("panicked", "the kernel panicked: out of luck\nthe console's last lines:\n  | panic: out of luck", "out of luck")
HANG = Hindrance("hung", "waited 10 s for the next point, which did not come\nthe console's last lines:\n  | $ x family")


def outcome(machine, name: str = "family", hindrance: Hindrance | None = None, profile: str = STRICT, point: str = "") -> Outcome:
    return Outcome(name, "a family", (Judgement(point, machine.snapshot(), profile=profile),), hindrance, "")


def marks(*outcomes: Outcome, worth=points.DEFAULT, kernel: Kernel = KERNEL) -> Marks:
    return marking.of(Report(kernel, 3, outcomes), worth, 12.34)


def one_wrong_fork():
    """A family in which each child's SHRIMP is a frame of its own."""
    m = family()
    for pid in (2, 3, 4, 5):
        m.map(m.processes[pid].root, SHRIMP, m.alloc(), R | W | U)
    return m


def parent_first():
    """A family whose orphan's page is free."""
    m = family()
    parent = m.processes[3]
    m.refs[parent.fry] = 1
    m.exits(parent)
    return m


def test_one_cause_is_told_once_with_one_example_and_the_others_named():
    told = marks(outcome(one_wrong_fork(), "family"), outcome(one_wrong_fork(), "fork"))
    first = told.causes[0]
    assert (first.rule, first.scenario, first.status) == ("shrimp-pair", "family", FAILED)
    assert "shrimp-siblings" in first.rules and first.line.startswith("shrimp-pair: pid 2 ")
    said = results.text(told, [])
    assert len(re.findall(r"^FAIL shrimp-pair", said, re.M)) == 1 and said.count("expected  frame") == len(told.causes)
    assert said.index("FAIL shrimp-pair") < said.index("FAIL shrimp-siblings")


def test_what_a_cause_explains_refers_to_it_where_it_has_a_case_of_its_own():
    told = marks(outcome(one_wrong_fork(), "family"), outcome(one_wrong_fork(), "fork"))
    details = {(case.scenario, case.rule): case.details for case in told.cases if case.status == FAILED}
    assert [case for case, said in details.items() if "expected" in said and "shrimp-pair" in said] == [("family", "shrimp-pair")]
    for case in (("fork", "shrimp-pair"), ("family", "shrimp-siblings"), ("fork", "shrimp-siblings")):
        assert details[case].startswith(f"FAIL {case[1]}: ") and len(details[case].splitlines()) == 3
        assert "shrimp-pair, in family" in details[case].splitlines()[2]
    tests = {one["name"].partition(":")[0]: one["output"] for one in results.gradescope(told)["tests"]}
    assert tests["shrimp-pair"].count("FAIL shrimp-pair") == 1 and "shrimp-pair, in family" in tests["shrimp-siblings"]


def test_a_panic_is_told_once_with_the_points_that_it_cost():
    told = marks(outcome(family(), hindrance=PANIC))
    [cause] = told.causes
    assert (cause.rule, cause.kind) == ("runs", "panicked") and "luck" in cause.line
    assert cause.points == told.most and cause.rules == ("runs", *cause.unjudged)
    said = results.text(told, [])
    assert said.count("luck") == 3          # the first lines, and the cause with the console's
    assert said.count("not judged") == 1


def test_a_panic_that_a_rule_saw_is_one_cause_with_it():
    """no-panic knows who called panic; what came in the way knows the console."""
    m = family()
    m.put(PANICKED, 1, 4)
    told = marks(outcome(m, "exec", PANIC, point="where the kernel panicked"))
    [cause] = [one for one in told.causes if {"runs", "no-panic"} & {one.rule, *one.rules}]
    assert cause.rule == "runs" and "FAIL no-panic: kernel" in cause.text and cause.text.count("panicked") == 2
    [case] = [case for case in told.cases if case.rule == "no-panic"]
    assert "runs, in exec" in case.details.splitlines()[-1]


def test_scenarios_that_end_alike_are_one_cause_and_what_was_not_played_is_of_the_hang():
    not_played = Hindrance("not played", "not played: 3 scenarios before it hang")
    told = marks(outcome(family(), "family", HANG), outcome(family(), "exec", PANIC), outcome(family(), "fork", HANG),
                 outcome(family(), "kill", not_played))
    assert [(one.kind, one.scenario) for one in told.causes] == [("hung", "family"), ("panicked", "exec")]
    assert "in fork, kill" in told.causes[0].text
    assert [case.details.count("  | ") for case in told.cases if case.rule == "runs"] == [1, 1, 0, 0]
    assert told.causes[0].points == told.most and told.causes[1].points == 0


@pytest.mark.parametrize("outcomes", [
    lambda: [outcome(one_wrong_fork())], lambda: [outcome(family(), hindrance=PANIC)], lambda: [outcome(parent_first(), hindrance=HANG)],
    lambda: [outcome(parent_first(), "orphan"), outcome(one_wrong_fork(), "fork"), outcome(family(), "exec", PANIC)]])
def test_each_lost_point_is_lost_by_one_cause_but_for_rules_that_nothing_showed(outcomes):
    told = marks(*outcomes())
    unseen = sum(one.most for one in told.marks if one.status == SKIPPED and not any(one.rule in cause.rules for cause in told.causes))
    assert sum(cause.points for cause in told.causes) + unseen == told.most - told.points
    ruled = [rule for cause in told.causes for rule in cause.rules]
    assert len(ruled) == len(set(ruled)) and {*told.failed} <= {*ruled}


def test_a_rule_that_a_failure_keeps_from_being_judged_costs_where_that_is_told():
    """After a leak nobody can tell whether the other frames came back."""
    m = family()
    before = m.snapshot()
    m.unmap(m.processes[5].root, 0)
    stop = Judgement("all of it has ended", m.snapshot(), before, known=Known(before=before))
    told = marks(Outcome("family", "a family", (stop,), None, ""))
    assert told.causes[0].rule == "frames-conserved" and told.causes[0].unjudged == ("frames-return",)
    assert "not judged: frames-return" in told.causes[0].text


def test_a_film_that_lies_beside_the_marks_is_named_and_no_other_is_asked_for():
    for film, said in (("", "make film KERNEL=..."), ("{}", "open film.html")):
        told = marking.of(Report(KERNEL, 3, (outcome(one_wrong_fork()),)), points.DEFAULT, 1, film)
        assert f"  next      {said};" in told.causes[0].text and told.film == film


def test_what_does_not_build_is_a_cause_that_costs_all():
    told = marking.never_ran("lab", NotBuilt("lab does not build: kernel/vm.c:1:1: error: bad\n  | more", "log"), points.DEFAULT, 1)
    assert [(one.rule, one.points) for one in told.causes] == [("builds", told.most)]
    assert results.text(told, []).count("not judged") == 1
    told = marks(outcome(one_wrong_fork()), kernel=replace(KERNEL, unbuilt=(Unbuilt("user/_grep", "bad"),)))
    assert [one.rule for one in told.causes][:2] == ["builds", "shrimp-pair"]


def test_programs_find_the_causes_in_results_json_and_the_table_of_a_class_has_them(tmp_path):
    told = marks(outcome(one_wrong_fork()), outcome(family(), "exec", PANIC))
    causes = json.loads(json.dumps(results.gradescope(told)))["extra_data"]["causes"]
    assert [one["rule"] for one in causes][:1] == ["shrimp-pair"] and causes[0]["points"] == told.causes[0].points
    results.write(tmp_path / "marks/one", told)
    path = classes.table(tmp_path, [classes._marked(tmp_path / "marks", "one", True)])
    assert re.search(r"shrimp-pair \d.*runs \(panicked\) \d+\"?$", path.read_text().splitlines()[1])


def test_what_marks_say_is_as_the_golden_file_has_it(golden):
    seen_by_a_rule = family()
    seen_by_a_rule.put(PANICKED, 1, 4)
    told = {"one wrong fork in two scenarios": marks(outcome(one_wrong_fork(), "family"), outcome(one_wrong_fork(), "fork")),
            "a panic": marks(outcome(family(), hindrance=PANIC)),
            "a panic that a rule saw": marks(outcome(seen_by_a_rule, "exec", PANIC, point="where the kernel panicked")),
            "a hang, twice": marks(outcome(family(), "family", HANG), outcome(family(), "fork", HANG)),
            "a warning": marks(outcome(parent_first(), "orphan", profile=HANDOUT), worth=points.read("", STRICT))}
    golden("marks.txt", "".join(f"== {what}\n{results.text(one, [])}\n" for what, one in told.items()))


# Warnings

def test_what_fails_only_beyond_the_handout_is_a_warning_that_costs_nothing():
    worth = points.read("", STRICT)     # even where the rule is worth something
    told = marks(outcome(parent_first(), "orphan", profile=HANDOUT), worth=worth)
    assert {*told.warned} == {"not-on-free-list", "orphan-alive", "count-matches"}
    assert not told.failed and told.status != "fail"
    by_rule = {one.rule: one for one in told.marks}
    assert all((by_rule[rule].status, by_rule[rule].points) == (WARNED, by_rule[rule].most) for rule in told.warned)
    assert by_rule["orphan-alive"].most == 1 and not any(cause.points for cause in told.causes)
    strict = marks(outcome(parent_first(), "orphan"), worth=worth)
    assert {*strict.failed} == {*told.warned} and strict.points == told.points - 2


def test_a_warning_has_its_sentence_in_each_form_and_is_no_failure():
    told = marks(outcome(parent_first(), "orphan", profile=HANDOUT))
    sentence = "its SHRIMP frame is on the free list: its parent's exit freed it"
    said = results.text(told, [])
    assert said.count(sentence) == 1 and "WARNING orphan-alive: pid 4" in said and "FAIL" not in said
    assert re.search(r"^warn      1/1     orphan-alive ", said, re.M)
    suite, = results.junit(told)
    case = next(one for one in suite.findall("testcase") if one.get("name") == "orphan-alive")
    assert [element.tag for element in case] == ["system-out"] and sentence in xml.tostring(case, "unicode").replace("&apos;", "'")
    assert suite.get("failures") == "0"
    tests = {one["name"].partition(":")[0]: one for one in results.gradescope(told)["tests"]}
    assert sentence in tests["orphan-alive"]["output"] and tests["orphan-alive"]["status"] == "passed"
    assert [*results.gradescope(told)["extra_data"]["warned"]] == [*told.warned]


def test_a_rule_that_fails_in_one_scenario_and_warns_in_another_has_failed():
    told = marks(outcome(parent_first(), "orphan", profile=HANDOUT), outcome(parent_first(), "exec"))
    assert "orphan-alive" in told.failed and "orphan-alive" not in told.warned
    assert FAILED in {one.status for one in told.causes}
    [mark] = [one for one in told.marks if one.rule == "orphan-alive"]
    assert (mark.status, mark.points) == (FAILED, 0) and mark.output.startswith("FAIL orphan-alive")


def test_a_warning_of_a_scenario_that_did_not_end_earns_nothing():
    told = marks(outcome(parent_first(), "orphan", HANG, HANDOUT))
    [mark] = [one for one in told.marks if one.rule == "orphan-alive"]
    assert (mark.status, mark.points) == (SKIPPED, 0) and PASSED not in {one.status for one in told.marks if one.rule == "runs"}
    assert [one.status for one in told.causes].count(WARNED) == 1

"""Marks of a report: points, and the three forms they are told in."""

from __future__ import annotations

import dataclasses
import json
import re
import xml.etree.ElementTree as xml
from pathlib import Path

import pytest

from lab import ROOT, Trouble
from lab.judging import points
from lab.judging.checking import Hindrance, Outcome, Report
from lab.judging.verdict import Judgement
from lab.kernels.building import Unbuilt
from lab.kernels.tree import Kernel, NotBuilt
from lab.marks import classes, marking, results
from lab.marks.marking import Marks
from lab.pictures import figures
from machine import SHRIMP, R, U, W, family
from shrimpy.rules import HANDOUT, RULES

KERNEL = Kernel("lab", Path("kernel"), (), log="make: done\n")
RULE_COUNT = len(RULES)
WORTH = len([rule for rule in RULES if not rule.id.startswith("segment-")]) - 1
"""That it runs has a point; count-matches, no-panic and the rules about segments have none."""


def outcome(machine, name: str = "family", hindrance: Hindrance | None = None, console: str = "booting\n$ ") -> Outcome:
    return Outcome(name, "a family", (Judgement("", machine.snapshot()),), hindrance, console)


def marks(*outcomes: Outcome, worth=points.DEFAULT) -> Marks:
    return marking.of(Report(KERNEL, 3, outcomes), worth, 12.34)


@pytest.fixture
def wrong():
    """A family in which the SHRIMP of each of two children is a frame of its own."""
    machine = family()
    for pid in (4, 5):
        machine.map(machine.processes[pid].root, SHRIMP, machine.alloc(), R | W | U)
    return machine


def points_of(told: Marks) -> dict[str, tuple[float, float]]:
    return {one.rule: (one.points, one.most) for one in told.marks}


def test_what_passes_has_its_points_and_what_no_stop_shows_has_none():
    told = marks(outcome(family()))
    assert told.status == "not judged" and told.line.startswith("never judged: ") and "exec-keeps" in told.line
    assert points_of(told)["shrimp-pair"] == (1, 1)
    assert points_of(told)["exec-keeps"] == (0, 1)  # it takes two stops
    assert points_of(told)["count-matches"][1] == 0
    assert told.most == WORTH
    told = marks(outcome(family()), worth={"shrimp-pair": 1.0, "fry-flags": 1.0, "exec-keeps": 0.0})
    assert told.status == "pass" and told.line.startswith("PASS: ")


def test_a_rule_that_fails_in_one_scenario_has_no_points_whatever_the_others_say(wrong):
    told = marks(outcome(family()), outcome(wrong, "orphans"))
    assert told.status == "fail" and told.line.startswith("shrimp-pair: pid 4 (shrimpdemo): its SHRIMP is not")
    assert points_of(told)["shrimp-pair"] == (0, 1) and points_of(told)["fry-flags"] == (1, 1)
    assert "shrimp-pair" in told.failed


@pytest.mark.parametrize("kind,status", [("panicked", "panics"), ("hung", "hangs"), ("printed without end", "prints without end"),
                                         ("ended", "ends QEMU"), ("did not run", "not judged"), ("unjudged", "not judged")])
def test_what_came_in_the_way_is_the_result(kind, status):
    told = marks(outcome(family(), hindrance=Hindrance(kind, "the kernel panicked: out of luck\nthe console's last lines:\n  | a")))
    assert (told.status, told.points, told.line) == (status, 0, "the kernel panicked: out of luck")
    assert "runs" in told.failed
    told = marks(outcome(family()), outcome(family(), "orphans", Hindrance(kind, "it stopped")))
    assert points_of(told)["shrimp-pair"] == (1, 1) and points_of(told)["runs"] == (0, 1)


def test_what_does_not_build_has_that_as_its_result():
    told = marking.never_ran("lab", NotBuilt("lab does not build: kernel/vm.c:1:1: error: \x1b[31mbad\n  | more", "log"),
                             points.DEFAULT, 1)
    assert (told.status, told.points, told.most) == ("does not build", 0, WORTH)
    assert told.line == "lab does not build: kernel/vm.c:1:1: error: ?[31mbad"


def test_a_program_that_does_not_build_costs_the_case_builds_and_nothing_else():
    kernel = dataclasses.replace(KERNEL, unbuilt=(Unbuilt("user/_grep", "user/grep.c:1:1: error: bad"), Unbuilt("user/_wc", "no rule")))
    told = marking.of(Report(kernel, 3, (outcome(family()),)), {**points.DEFAULT, "builds": 5.0}, 1)
    whole = marking.of(Report(KERNEL, 3, (outcome(family()),)), {**points.DEFAULT, "builds": 5.0}, 1)
    assert (told.status, told.failed, whole.points - told.points) == ("fail", ("builds",), 5)
    assert told.line.startswith("user/_grep does not build: user/grep.c:1:1: error: bad")


def test_junit_is_what_its_readers_ask_for(wrong):
    top = xml.fromstring(xml.tostring(results.junit(marks(outcome(family(), console="a\x00\x1b[31m\ud800]]>&<"),
                                                          outcome(wrong, "orphans")))))
    assert top.tag == "testsuites"
    suite, = top
    assert [element.tag for element in suite][:1] + [element.tag for element in suite][-2:] == ["properties", "system-out", "system-err"]
    cases = suite.findall("testcase")
    assert all(case.get("name") and case.get("classname") and float(case.get("time")) >= 0 for case in cases)
    assert len({(case.get("classname"), case.get("name")) for case in cases}) == len(cases) == 2 * (RULE_COUNT + 1) + 1
    for element in (top, suite):
        assert element.get("name") and float(element.get("time")) == 12.34
        assert int(element.get("tests")) == len(cases)
        assert int(element.get("failures")) == len(suite.findall("testcase/failure")) > 0
        assert int(element.get("skipped")) == len(suite.findall("testcase/skipped")) > 0
        assert element.get("errors") == "0"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", suite.get("timestamp")) and suite.get("hostname")
    failure = next(case for case in cases if case.get("classname") == "shrimpy.orphans" and case.get("name") == "shrimp-pair")[0]
    assert failure.get("type") == "rule" and "its SHRIMP is not" in failure.get("message") and "look at   fork()" in failure.text
    assert "\ufffd[31m" in suite.find("system-out").text


def test_gradescope_s_results_are_as_it_specifies(wrong):
    told = json.loads(json.dumps(results.gradescope(marks(outcome(wrong)))))
    assert told["score"] == sum(one["score"] for one in told["tests"]) and isinstance(told["execution_time"], int)
    assert told["visibility"] in ("hidden", "after_due_date", "after_published", "visible")
    for number, one in enumerate(told["tests"], 1):
        assert one["status"] == ("passed" if one["score"] == one["max_score"] and one["status"] == "passed" else "failed")
        assert 0 <= one["score"] <= one["max_score"] and one["number"] == str(number)
        assert one["output_format"] == "text" and one["output"]
    pair = next(one for one in told["tests"] if one["name"].startswith("shrimp-pair: PHY"))
    assert (pair["score"], pair["max_score"], pair["status"]) == (0, 1, "failed") and "expected  frame" in pair["output"]


# Points

def points_file(folder: Path, text: str) -> str:
    (folder / "points.tsv").write_text(text)
    return str(folder / "points.tsv")


def test_points_are_the_marker_s(tmp_path):
    worth = points.read(points_file(tmp_path, "# the lab\nshrimp-pair\t10\n\nruns 2.5  # no panic\n"))
    told = marks(outcome(family()), worth=worth)
    assert (told.points, told.most) == (12.5, 12.5)
    assert points_of(told)["fry-flags"] == (0, 0)


@pytest.mark.parametrize("text,said", [
    ("shrimp-pair ten\n", "line 1: expected a rule and its points, 0 to 1000, found 'shrimp-pair ten'"),
    ("\nshrimp-pair -1\n", "line 2: expected a rule"),
    ("shrimp-pair 1 2\n", "line 1: expected a rule"),
    ("shrimp-pair 1e9\n", "line 1: expected a rule"),
    ("shrimp 1\n", "line 1: there is no rule 'shrimp'; there are builds, runs, below-trapframe,"),
    ("runs 1\nruns 2\n", "line 2: runs has"),
    ("# nothing\n", "no rule"),
])
def test_a_bad_entry_is_told_in_one_line(tmp_path, text, said):
    with pytest.raises(Trouble) as caught:
        points.read(points_file(tmp_path, text))
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_the_handout_s_points_are_for_what_the_handout_asks_for():
    worth = points.read(str(ROOT / "scripts/handout.points"))
    beyond = {rule.id for rule in RULES if rule.beyond_handout}
    assert sum(worth.values()) == 16 and not any(worth[name] for name in beyond)
    assert worth["below-trapframe"] and worth["shrimp-pair"] and worth["fry-private"]
    assert marks(outcome(family()), worth=worth).points == 16


def test_what_is_beyond_the_handout_has_no_points_where_that_decides():
    strict, handout = points.read(""), points.read("", HANDOUT)
    assert {name for name in strict if strict[name] != handout[name]} == {"orphan-alive", "fry-zeroed", "exec-keeps"}


def test_a_points_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(Trouble, match="cannot be read: No such file"):
        points.read(str(tmp_path / "none"))


# The folder

def test_the_folder_is_whole_and_replaced_whole(tmp_path, wrong, monkeypatch):
    out = tmp_path / "out"
    results.write(out, marks(outcome(wrong)))
    names = {path.name for path in out.iterdir()}
    assert names >= {"results.txt", "results.xml", "results.json", "snapshot.json", "console.log", "build.log"}
    assert names >= {f"fault.{kind}" for kind in ("svg", "pdf", "png", "dot")}
    assert (out / "console.log").read_text() == "== family\nbooting\n$ \n" and (out / "build.log").read_text() == "make: done\n"
    assert json.loads((out / "snapshot.json").read_text())["schema"] == "shrimpy-snapshot"
    results.write(out, marking.never_ran("lab", NotBuilt("lab does not build: x", "log"), points.DEFAULT, 1))
    assert {path.name for path in out.iterdir()} == {"results.txt", "results.xml", "results.json", "console.log", "build.log"}
    before = (out / "results.json").read_bytes()

    def fails(*_: object) -> None:
        raise OSError(28, "No space left on device")
    monkeypatch.setattr(results, "junit", fails)
    with pytest.raises(Trouble, match="cannot be written: No space left"):
        results.write(out, marks(outcome(family())))
    assert (out / "results.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_where_no_diagram_can_be_drawn_the_rest_is_there_and_that_is_said(tmp_path, wrong, monkeypatch):
    def fails(*_: object, **__: object) -> None:
        raise Trouble("dot not found")
    monkeypatch.setattr(figures, "draw", fails)
    results.write(tmp_path / "out", marks(outcome(wrong)))
    assert "note: no fault diagram: dot not found\n" in (tmp_path / "out/results.txt").read_text()
    assert (tmp_path / "out/results.json").is_file()


def test_text_says_each_thing_once(wrong, tmp_path):
    told = results.text(marks(outcome(wrong)), ["a note"])
    assert told.splitlines()[0] == f"lab: fail, {results._number(marks(outcome(wrong)).points)} of {WORTH} points"
    assert told.count("FAIL shrimp-pair: pid 4") == 1 and "note: a note" in told
    assert "snapshot.json is of the stop that tells most: family, stopped at" in told


def test_somebody_else_s_folder_is_refused_and_not_emptied(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(Trouble, match="contains thesis.tex"):
        results.claim(tmp_path)
    with pytest.raises(Trouble):
        results.write(tmp_path, marks(outcome(family())))
    assert (tmp_path / "thesis.tex").read_text() == "precious"
    (tmp_path / "file").write_text("")
    with pytest.raises(Trouble, match="not a folder"):
        results.claim(tmp_path / "file")


# The table

def test_a_stranger_s_words_are_no_formula(tmp_path):
    path = classes.table(tmp_path, [classes.Marked("=cmd|' /C calc'!A0", "fail", 1, 2, "runs", '@SUM(1)\n"quoted", and more', 3.5)])
    assert path.read_text().splitlines()[1].startswith("'=cmd|' /C calc'!A0,fail,1,2,runs,\"'@SUM(1)")
    assert [one.name for one in tmp_path.iterdir()] == ["marks.csv"]

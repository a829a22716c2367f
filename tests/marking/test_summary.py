"""A class in numbers and on pages, of results.json files that are made up; and what must be marked again. No machine runs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from lab.courses import forms, pages
from lab.marks import classes, due, results, summary
from lab.marks.due import Basis, Why

HOSTILE = "<script>alert(1)</script>\x1b[2J\n</pre><img src=x>"


def told(status: str = "pass", failed: tuple[str, ...] = (), unjudged: tuple[str, ...] = (), kind: str = "", seconds: float = 10.0,
         line: str = "", **worth: float) -> dict:
    """results.json: rules by their points (_ for -). The first that failed is the cause of all that was not judged, if there is a kind."""
    points = {rule.replace("_", "-"): most for rule, most in worth.items()}
    tests = [{"name": f"{rule}: what it demands", "score": most * (rule not in failed + unjudged), "max_score": most,
              "status": "failed" if rule in failed + unjudged else "passed", "output": "not judged: no scenario shows it\nmore"}
             for rule, most in points.items()]
    causes = [{"status": "fail", "kind": kind, "rule": rule, "scenario": "family", "line": f"{rule}: {line}",
               "text": f"FAIL {rule}: {line}", "unjudged": unjudged if rule == failed[0] else (), "points": points[rule], "traced": None,
               "to_type": [f"make check ONLY={rule}"]}
              for rule in failed if kind]
    return {"score": sum(one["score"] for one in tests), "tests": tests,
            "extra_data": {"status": status, "line": line, "max_score": sum(points.values()), "failed": list(failed),
                           "warned": ["fry-flags"], "seconds": seconds, "causes": causes}}


def a_class() -> summary.Summary:
    worth: dict[str, Any] = {"shrimp_pair": 4, "fry_flags": 2, "runs": 4, "count_matches": 0}
    return summary.of({"ann": told(**worth), "bob": told("fail", ("shrimp-pair",), kind="other", seconds=30, **worth),
                       "cy": told("fail", ("shrimp-pair",), ("count-matches",), kind="other", **worth),
                       "dee": told("panics", ("runs",), ("shrimp-pair", "fry-flags"), kind="panicked", seconds=50, **worth),
                       "eve": told("not judged", (), ("fry-flags",), seconds=10, **worth)}, {"fay": "no xv6 tree"})


def test_rules_are_counted_by_what_became_of_them():
    rules = {one.rule: (one.failed, one.warned, one.unjudged, one.passed, one.lost) for one in a_class().rules}
    assert rules == {"shrimp-pair": (2, 0, 1, 2, 12), "runs": (1, 0, 0, 4, 4), "fry-flags": (0, 3, 2, 0, 4)}
    assert [one.rule for one in a_class().rules] == ["shrimp-pair", "runs", "fry-flags"]


def test_causes_are_counted_by_their_kinds():
    assert [(one.rule, one.kind, one.submissions, one.points) for one in a_class().causes] == [
        ("shrimp-pair", "other", ("bob", "cy"), 8), ("runs", "panicked", ("dee",), 4)]


def test_what_was_not_judged_has_its_cause_or_else_the_words():
    assert {(one.rule, one.kind, one.words, one.rules, one.submissions) for one in a_class().unjudged} == {
        ("runs", "panicked", "", ("shrimp-pair", "fry-flags"), ("dee",)), ("shrimp-pair", "other", "", ("count-matches",), ("cy",)),
        ("", "", "not judged: no scenario shows it", ("fry-flags",), ("eve",))}


def test_points_and_times_are_of_those_that_have_marks():
    one = a_class()
    assert (one.n, one.most, one.mean, one.median, one.unchecked) == (6, 10, 6, 6, (("fay", "no xv6 tree"),))
    assert {(each.low, each.n) for each in one.points if each.n} == {(0, 1), (6, 2), (8, 1), (9, 1)}
    assert one.times == summary.Times(110, 10, 50, "dee") and dict(one.statuses)["fail"] == 2


@pytest.mark.parametrize("scores, most, bins", [
    ([0, 1], 1, [(0, 1, 2)]), ([0.5, 0.5], 0.5, [(0, 0.5, 2)]), ([], 5, []), ([0], 0, []),
    ([0, 3, 20.5, 21], 21, [(0, 3, 1), (3, 6, 1), (6, 9, 0), (9, 12, 0), (12, 15, 0), (15, 18, 0), (18, 21, 2)])])
def test_a_histogram_has_each_submission_once(scores, most, bins):
    assert [(one.low, one.high, one.n) for one in summary.histogram(scores, most)] == bins


def test_a_class_without_marks_has_a_summary():
    one = summary.of({}, {"fay": "why"})
    assert (one.n, one.points, one.times, one.rules) == (1, (), None, ())
    assert "why" in pages.of_class("lab", one, [classes.Marked("fay", classes.NOT_CHECKED, first_line="why")])


# Pages and mails

def put(out: Path, name: str, content: dict) -> None:
    (out / name).mkdir(parents=True)
    (out / name / results.GRADESCOPE).write_text(json.dumps(content))


def test_a_strangers_words_are_no_html(tmp_path):
    name = "<b>x&\"onload=1"
    put(tmp_path, name, told("panics", ("runs", "shrimp-pair"), kind=HOSTILE, line=HOSTILE, runs=1, shrimp_pair=1))
    (tmp_path / name / results.CONSOLE).write_text(HOSTILE)
    (tmp_path / ".none.why").write_text(HOSTILE)
    marked = [classes._marked(tmp_path, one, True) for one in (name, "none")]
    summed = pages.write_all(tmp_path, marked).read_text()
    for page in (summed, (tmp_path / name / results.PAGE).read_text(), (tmp_path / "none" / results.PAGE).read_text()):
        assert "&lt;script&gt;" in page and not any(bad in page for bad in ("<script", "<img", "\x1b", "<b>x", "http://", "https://"))
    assert 'href="%3Cb%3Ex%26%22onload%3D1/page.html"' in summed
    assert "\x1b" not in (tmp_path / name / results.MAIL).read_text()


def test_pages_of_marks_that_have_not_changed_stay(tmp_path):
    put(tmp_path, "ann", told(runs=1))
    pages.write_all(tmp_path, [classes._marked(tmp_path, "ann", False)])
    (tmp_path / "ann" / results.PAGE).write_text("this one")
    pages.write_all(tmp_path, [classes._marked(tmp_path, "ann", False)])
    assert (tmp_path / "ann" / results.PAGE).read_text() == "this one"
    results.claim(tmp_path / "ann")


def test_names_that_are_no_text_and_results_that_are_none_are_told(tmp_path):
    name = "\udcff"
    put(tmp_path, name, told(runs=1))
    put(tmp_path, "bob", {"extra_data": []})
    put(tmp_path, "cy", {"score": 1, "tests": [], "extra_data": {"status": "pass"}})
    marked = [classes._marked(tmp_path, one, False) for one in (name, "bob", "cy")]
    assert [one.status for one in marked] == ["pass", classes.NOT_CHECKED, classes.NOT_CHECKED]
    assert b"\xff,pass" in classes.table(tmp_path, marked).read_bytes()
    assert 'href="%FF/page.html">?<' in pages.write_all(tmp_path, marked).read_text()


def test_a_mail_has_the_first_cause_a_figure_and_what_to_type():
    two = told("fail", ("shrimp-pair", "runs"), kind="x", line="pid 4", shrimp_pair=4, runs=1)
    lines = forms.mail(two, "a\nSubject: b", "fault.png").splitlines()
    assert "shrimp-pair: pid 4" in lines and "    make check ONLY=shrimp-pair" in lines and any("fault.png" in line for line in lines)
    assert not any("ONLY=runs" in line or line.startswith("Subject") for line in lines) and max(map(len, lines)) <= 76
    assert lines[-1].endswith("1 more cause.")
    assert "pid 4" in forms.mail(told(line="pid 4", runs=1), "a", "")


# What must be marked

WORTH = {"runs": 1.0}


@pytest.fixture
def source(tmp_path) -> Path:
    """A submission that has its marks."""
    folder = tmp_path / "in/ann"
    (folder / "kernel").mkdir(parents=True)
    (folder / "kernel/vm.c").write_text("int x;")
    put(tmp_path / "out", "ann", told(runs=1))
    due.note(tmp_path / "out", "ann", Basis(due.digest(folder), ("--cpus", "2"), due.kit()))
    return folder


def why(source: Path, worth: dict = WORTH, options: tuple[str, ...] = ("--cpus", "2")) -> Why | None:
    return due.why(source, source.parent.parent / "out", "ann", worth, options)


def test_marks_are_kept_while_nothing_changes_but_times(source):
    os.utime(source / "kernel/vm.c", (1, 1))
    (source / "kernel/new").write_text("")
    (source / "kernel/new").unlink()
    assert why(source) is None


def changed(name: str):
    def change(source: Path) -> None:
        path = source / "kernel/vm.c"
        if name == "content":
            path.write_text("int y;")
        elif name == "path":
            path.rename(path.with_name("proc.c"))
        elif name == "kind":
            path.unlink()
            path.symlink_to("/etc/passwd")
        elif name == "more":
            os.mkfifo(source / "pipe")
    return change


@pytest.mark.parametrize("how", ["content", "path", "kind", "more"])
def test_what_has_changed_is_marked_again(source, how):
    changed(how)(source)
    assert why(source) is Why.CHANGED


def test_other_points_and_options_are_told_apart(source, tmp_path):
    assert why(source, worth={"runs": 2.0}) is Why.POINTS and why(source, options=()) is Why.OPTIONS
    due.note(tmp_path / "out", "ann", None)
    assert why(source) is Why.UNMARKED


def test_marks_of_another_kit_are_made_again(source, tmp_path):
    due.note(tmp_path / "out", "ann", Basis(due.digest(source), ("--cpus", "2"), "another"))
    assert why(source) is Why.KIT


def test_a_kit_is_its_files_but_for_what_python_compiles(tmp_path):
    def kit(compiled: str, text: str, name: str) -> str:
        shutil.rmtree(tmp_path / "kit", ignore_errors=True)
        (tmp_path / "kit/gdb/__pycache__").mkdir(parents=True)
        (tmp_path / "kit/gdb/__pycache__/load.pyc").write_text(compiled)
        (tmp_path / "kit/gdb" / name).write_text(text)
        due.kit.cache_clear()
        return due.kit(tmp_path / "kit")
    first = kit("1", "x", "load.py")
    assert kit("2", "x", "load.py") == first and first not in (kit("1", "y", "load.py"), kit("1", "x", "run.py"))


def test_a_file_of_any_size_can_be_compared(tmp_path):
    with (tmp_path / "huge").open("wb") as file:
        file.truncate(1 << 40)
    before = due.digest(tmp_path)
    os.utime(tmp_path / "huge", (1, 1))
    assert due.digest(tmp_path) != before


def test_a_folder_with_a_persons_own_file_is_not_emptied(tmp_path):
    (tmp_path / "in/ann").mkdir(parents=True)
    put(tmp_path / "out", "ann", told(runs=1))
    (tmp_path / "out/ann/remarks.txt").write_text("precious")
    assert classes.check_one(tmp_path / "in", "ann", tmp_path / "out", [], "") == 2
    assert (tmp_path / "out/ann/remarks.txt").read_text() == "precious"
    assert classes.told(tmp_path / "out", "ann") is None and "remarks.txt" in classes.why(tmp_path / "out", "ann")

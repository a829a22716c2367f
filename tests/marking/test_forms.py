"""Marks as other graders tell them."""

from __future__ import annotations

import datetime
import json
import re
import subprocess
from pathlib import Path

import pytest

from lab import ROOT
from lab.courses import forms, pages, shown
from lab.kernels import variant

CALLS = [{"function": "mappages", "file": "kernel/vm.c", "line": 129, "source": None},
         {"function": "fork", "file": "kernel/proc.c", "line": 180, "source": None}]
TRACED = {"origins": [{"what": "entry", "pa": "0x8", "size": 8, "instruction": 1, "old": "0x0", "new": "0x1", "calls": CALLS, "pid": 1,
                       "name": "init", "system_call": None, "label": None, "look": 1, "caller": None}], "untold": None, "detail": ""}


def rated(rule: str, status: str, score: float, most: float, output: str = "why\nand more") -> dict:
    return {"name": f"{rule}: what it demands", "score": score, "max_score": most, "status": status, "output": output}


def cause(rule: str, **how) -> dict:
    return {"status": "fail", "kind": "rule", "rule": rule, "line": f"{rule}: 50% wrong", "text": f"FAIL {rule}", "traced": None, **how}


def told(status: str = "fail", *causes: dict) -> dict:
    rules = [rated("shrimp-pair", "failed", 0, 2), rated("fry-private", "passed", 3.5, 3.5), rated("builds", "passed", 0, 0)]
    return {"score": 3.5, "tests": rules,
            "extra_data": {"status": status, "line": "why", "max_score": 5.5, "causes": list(causes)}}


def test_gradelibs_form_has_what_is_worth_points():
    assert forms.gradelib(told()) == ("== Test shrimp-pair == \nshrimp-pair: FAIL\n    why\n    and more\n"
                                      "== Test fry-private == \nfry-private: OK\nScore: 3.5/5.5\n")


def test_a_cause_is_annotated_where_it_was_written():
    lines = list(forms.annotated(told("fail", cause("shrimp-pair", traced=TRACED), cause("runs"), cause("orphan-alive", status="warning"))))
    assert lines == ["::error file=kernel/proc.c,line=180,title=shrimp-pair::shrimp-pair: 50%25 wrong",
                     "::error title=runs::runs: 50%25 wrong"]


def test_the_compilers_first_error_is_annotated():
    log = "kernel/vm.c:7:1: warning: x\nkernel/vm.c:12:5: error: 'a', no\nkernel/vm.c:13:5: error: b\n"
    assert list(forms.annotated(told("does not build", cause("builds")), log)) == [
        "::error file=kernel/vm.c,line=12,title=does not build::'a', no"]
    assert list(forms.annotated(told("does not build", cause("builds")), "no line")) == ["::error title=builds::builds: 50%25 wrong"]


@pytest.mark.parametrize("text", ["x\n::stop-commands::y", "100%\r\n"])
def test_a_strangers_words_are_one_line_of_a_workflow(text):
    line, = forms.annotated(told("fail", cause("a,b:c", line=text)))
    assert "\n" not in line and "\r" not in line and line.startswith("::error title=a%2Cb%3Ac::")


def test_the_summary_is_a_table_and_its_fence_holds():
    text = forms.summary(told("fail", cause("runs", text="````\n<b>")))
    assert "## 3.5 of 5.5 points: fail" in text and "| shrimp-pair | failed | 0 / 2 |" in text and text.count("`````") == 2


def test_classroom_50_has_its_schema():
    now = datetime.datetime(2026, 6, 1, 16, 33, 11, tzinfo=datetime.timezone(datetime.timedelta(hours=2)))
    environment = {"CLASSROOM": "os", "ASSIGNMENT": "fry", "SUBMISSION_TAG": "submit/1", "COMMIT_URL": "c", "RELEASE_URL": "r"}
    made = forms.classroom50(told(), environment, now)
    assert {name: made[name] for name in made if name != "tests"} == {
        "schema": "classroom50/result/v1", "classroom": "os", "assignment": "fry", "submission": "submit/1", "commit": "c", "release": "r",
        "review": "c", "datetime": "2026-06-01T14:33:11Z", "score": 3.5, "max-score": 5.5}
    assert [(one["test-name"], one["passed"], one["score"], one["max-score"]) for one in made["tests"]] == [
        ("shrimp-pair", False, 0, 2), ("fry-private", True, 3.5, 3.5)]


@pytest.mark.parametrize("one", [cause("builds"), cause("runs"), cause("shrimp-pair", to_type=["make film"])], ids=lambda one: one["rule"])
def test_a_page_has_the_steps_that_the_mail_has(tmp_path, one):
    of, steps = told("fail", one), forms.next_steps(one)
    of["extra_data"] |= {"failed": [one["rule"]], "warned": [], "skipped": []}
    assert steps and all(step in forms.mail(of, "ann", "") and shown.in_html(step) in pages.of_one("ann", of, tmp_path) for step in steps)


@pytest.mark.limit(240)
def test_a_tree_is_graded(tmp_path):
    elf = variant.build("zoo-two-frames", [ROOT / "tests/zoo/two-frames.patch"]).elf
    (tmp_path / "points").write_text("shrimp-pair 3\nfry-private 2\n")
    done = grade("--kernel", elf, "--points", tmp_path / "points", "--only", "family", "--github", "--out", tmp_path / "marks",
                 "--classroom50", tmp_path / "result.json")
    assert done.returncode == 1, done.stderr
    assert re.findall(r"^[\w-]+: (?:OK|FAIL)$|^Score: .*$|^::error title=shrimp-pair::|^::stop-commands::", done.stdout, re.M) == [
        "::stop-commands::", "shrimp-pair: FAIL", "fry-private: OK", "Score: 2/5", "::error title=shrimp-pair::"]
    token = re.match("::stop-commands::(.*)\n", done.stdout)[1]
    assert done.stdout.index(f"\n::{token}::\n") > done.stdout.index("Score: ")
    assert json.loads((tmp_path / "result.json").read_text())["score"] == 2 and (tmp_path / "marks/results.txt").is_file()


def test_what_cannot_be_marked_has_no_score(tmp_path):
    done = grade("--kernel", tmp_path / "nowhere", "--classroom50", tmp_path / "result.json")
    assert (done.returncode, done.stdout) == (2, "") and "no such file" in done.stderr and not list(tmp_path.iterdir())


def test_points_that_classroom_50_would_refuse_are_told_before_the_check(tmp_path):
    (tmp_path / "points").write_text("runs 1\nshrimp-pair 2.5\n")
    done = grade("--kernel", tmp_path / "nowhere", "--points", tmp_path / "points", "--classroom50", tmp_path / "result.json")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1) and "2.5 for shrimp-pair" in done.stderr
    assert not (tmp_path / "result.json").exists()


def grade(*words: object) -> subprocess.CompletedProcess:
    return subprocess.run([str(ROOT / "scripts/grade-lab-shrimpy"), *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)


def test_the_workflow_runs_what_is_there():
    text = (ROOT / "scripts/course/github.yml").read_text()
    words = re.search(r"grade-lab-shrimpy (.*)$", text, re.M)[1].split()
    usage = subprocess.run([str(ROOT / "scripts/grade-lab-shrimpy"), "--help"], capture_output=True, text=True).stdout
    assert all(word in usage for word in words if word.startswith("--")) and Path(ROOT, "scripts/handout.points").is_file()

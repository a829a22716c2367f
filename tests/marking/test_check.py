"""make check OUT=: what its status is, and what it leaves."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from lab.judging import checking

ROOT = Path(__file__).resolve().parents[2]


def check(*words: str, **environment: str) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(["make", "check", *words], cwd=ROOT, env={**clean, **environment}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)


def told(out: Path) -> dict:
    return json.loads((out / "results.json").read_text())


@pytest.mark.parametrize("words,said", [
    (["ONLY=exec,orfan"], "ONLY=exec,orfan: "),
    (["ONLY=exec", "PROGRAM=ls"], "ONLY=exec cannot be combined"),
    (["PROFILE=lax"], "PROFILE=lax: expected handout or strict"),
    (["POINTS=points"], "POINTS=points needs OUT="),
    (["OUT=marks", "CORE=core"], "OUT=marks cannot be combined"),
    (["OUT=scripts"], "OUT=scripts contains "),
    (["OUT=Makefile"], "OUT=Makefile exists"),
    (["OUT=build/new", "POINTS=Makefile"], "POINTS=Makefile, line 3: expected a rule and its points"),
    (["OUT=build/new", "KERNEL=/nowhere"], "KERNEL=/nowhere: no such file or folder"),
    (["SANDBOX=off", "KERNEL=xv6"], "SANDBOX=off: expected none"),
])
def test_what_keeps_any_kernel_from_being_checked_is_2_and_a_line(words, said):
    done = check(*words)
    assert done.returncode == 2
    assert said in next(line for line in done.stderr.splitlines() if line.startswith("check: "))
    assert not (ROOT / "build/new").exists()


def test_a_kernel_that_prints_without_end_has_that_as_its_result(build, tmp_path):
    out = tmp_path / "marks"
    done = check(f"KERNEL={build('endless.S')}", f"OUT={out}", SHRIMPY_LIMIT="1")
    assert done.returncode == 1, done.stderr
    assert f"{tmp_path}/kernel: prints without end, 0 of " in done.stdout
    assert told(out)["extra_data"]["status"] == "prints without end"
    assert "x" * 200 in (out / "console.log").read_text()


def test_a_tree_with_which_qemu_does_not_start_has_that_as_its_result(build, tmp_path):
    elf = build("endless.S")
    (tmp_path / "Makefile").write_text("QEMUOPTS = -machine virt -cpu nosuch -kernel kernel\nall:\n")
    done = check(f"KERNEL={elf}", f"OUT={tmp_path / 'marks'}")
    assert done.returncode == 1, done.stderr
    assert told(tmp_path / "marks")["extra_data"]["status"] == "ends QEMU"
    assert "nosuch" in told(tmp_path / "marks")["extra_data"]["line"]


def test_what_our_own_kernel_is_worth(tmp_path):
    (tmp_path / "points").write_text("shrimp-pair 3\nexec-keeps 2\n")
    done = check(f"OUT={tmp_path / 'marks'}", f"POINTS={tmp_path / 'points'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("the Shrimpy kernel: pass, 5 of 5 points")
    assert [one["name"] for one in told(tmp_path / "marks")["tests"] if one["max_score"]] == [
        one["name"] for one in told(tmp_path / "marks")["tests"] if one["name"].startswith(("shrimp-pair", "exec-keeps"))]


@pytest.mark.parametrize("before", ["usertrap\n\x1b[0m", "hello w"])
def test_a_point_is_seen_behind_what_a_kernel_has_printed_before_it(before):
    said = re.search(checking._SAID % "5eed", f"{before}@5eed point killed parent=3\n")
    assert said and said.groups() == ("point", "killed parent=3")

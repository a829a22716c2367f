"""scripts/survey on imitated trees: each is booted by its own make qemu, judged, and told with its reviews."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest

from lab import Trouble, tools
from lab.marks import survey
from lab.marks.survey import Judged, Known, Own
from trees import ROOT, plain

pytestmark = pytest.mark.limit(400)
_PANICS = [("kernel/main.c", r"( *)userinit\(\);", r'\1panic("nobody is home");')]
_NO_C = [("kernel/main.c", r"\A", "not a declaration\n")]


def told(folder: Path, out: Path, *options: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(ROOT / "scripts/survey"), str(folder), "--out", str(out), *options],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)


@pytest.fixture(scope="module")
def three(tmp_path_factory) -> tuple[Path, Path]:
    """A folder of three trees, and where their results go."""
    top = tmp_path_factory.mktemp("survey")
    plain(top / "trees/ada/good")
    plain(top / "trees/ada/panics", _PANICS)
    plain(top / "trees/bob/labs/broken", _NO_C)
    return top / "trees", top / "out"


@pytest.fixture(scope="module")
def surveyed(three: tuple[Path, Path]) -> dict[str, dict]:
    """What the survey of them says, by name."""
    folder, out = three
    reviews = folder.parent / "reviews.tsv"
    reviews.write_text("# a comment\n"
                       "ada/good\t-\t-\t-\tthe plain one\n"
                       "ada/panics\t-\tno-panic\ttrue\tmain() calls panic()\n")
    done = told(folder, out, "--reviews", str(reviews), "--table", str(folder.parent / "table.md"))
    assert done.returncode == 0, done.stderr
    return {one["name"]: one for one in json.loads((out / "trees.json").read_text())["trees"]}


@pytest.mark.soak
def test_a_tree_that_boots_by_its_own_means_is_judged_without_a_word_against_it(surveyed):
    good = surveyed["ada/good"]
    assert good["own"]["boots"] and good["said"] == []
    assert good["judged"]["status"] == "not judged"  # it has no FRY
    assert good["judged"]["rules"]["frames-conserved"].get("fail", 0) == 0 < good["judged"]["rules"]["frames-conserved"]["pass"]


@pytest.mark.soak
def test_what_panics_does_so_by_its_own_means_too(surveyed):
    panics = surveyed["ada/panics"]
    assert not panics["own"]["boots"] and "nobody is home" in panics["own"]["line"]
    assert panics["judged"]["status"] == "panics"
    assert panics["said"] and panics["judged"]["rules"]["runs"]["fail"] >= 1


@pytest.mark.soak
def test_what_does_not_build_by_its_own_means_either_is_no_report(surveyed):
    broken = surveyed["bob/labs/broken"]
    assert not broken["own"]["boots"] and "main.c" in broken["own"]["line"]
    assert broken["judged"]["status"] == "does not build" and broken["said"] == []


@pytest.mark.soak
def test_what_is_finished_is_kept(surveyed, three):
    folder, out = three
    before = {path: path.stat().st_mtime_ns for path in out.glob("*+*.json")}
    assert len(before) == 3
    assert told(folder, out, "--only", "ada/good", "--only", "ada/panics").returncode == 0
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.soak
def test_the_table_has_a_row_for_each_tree(surveyed, three):
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in (three[0].parent / "table.md").read_text().splitlines() if line.startswith(("| ada", "| bob"))]
    assert [row[0] for row in rows] == ["ada/good", "ada/panics", "bob/labs/broken"]
    assert [row[2] for row in rows] == ["the plain one", "-", "-"] and [row[3] for row in rows] == ["yes", "no", "no"]


@pytest.mark.soak
def test_nothing_of_a_survey_is_left(surveyed):
    assert not list(survey.BUILD.glob("survey-*"))


# Without a machine

def known(boots: bool, status: str, *failures: tuple[str, str, str]) -> Known:
    return Known("ada/lab", "0123abcd", Own(boots, "" if boots else "it hangs", 1.0),
                 Judged("feedc0de", 3, status, "a line", 2.0, {rule: {"fail": 1} for rule, *_ in failures} | {"builds": {"pass": 1}},
                        [list(one) for one in failures], []))


def test_a_rule_that_fails_is_said_once():
    one = known(True, "fail", ("frames-conserved", "frame 1", ""), ("frames-conserved", "frame 2", ""))
    assert one.said == ["frames-conserved"]


def test_a_hang_is_said_as_such():
    assert known(True, "hangs", ("runs", "waited in vain", "")).said == ["hangs"]


def test_a_tree_that_builds_by_its_own_means_only_is_a_report():
    assert known(True, "does not build", ("builds", "no rule", "")).said == ["does not build"]
    assert known(False, "does not build", ("builds", "no rule", "")).said == []


def test_what_a_kit_that_moves_on_meanwhile_has_judged_is_kept(tmp_path, monkeypatch):
    def judge(command, names, out, jobs, limit_s):
        survey.write(survey.kept(out, names[0]), json.dumps(dataclasses.asdict(dataclasses.replace(known(True, "pass"), name="a", commit="-"))))
    monkeypatch.setattr(survey.classes, "in_parallel", judge)
    survey.run(tmp_path, tmp_path / "out", ["a", "b"], [], "1", 1)
    assert [survey.read(tmp_path / "out", name, "-").judged.status for name in ("a", "b")] == ["pass", "not checked"]


@pytest.mark.parametrize("line", ["ada/lab\t0123abcd\tfry-flags\ttrue", "ada/lab\t0123abcd\tfry-flags\tmaybe\twords"])
def test_a_review_that_says_nothing_clear_is_refused(tmp_path, line):
    (tmp_path / "reviews.tsv").write_text(line + "\n")
    with pytest.raises(Trouble, match="line 1"):
        survey.reviews(tmp_path / "reviews.tsv")


def test_a_review_is_of_one_commit_only(tmp_path):
    (tmp_path / "reviews.tsv").write_text("ada/lab\t76543210\tfry-flags\tfalse\twords\n")
    found = survey.reviews(tmp_path / "reviews.tsv")
    told = json.loads(survey.as_json([known(True, "fail", ("fry-flags", "", ""))], found))
    assert told["trees"][0]["reviews"] == {}


def test_trees_in_trees_and_links_are_no_trees_of_their_own(tmp_path):
    for name in ("a/b", "a/b/inner", "c@main"):
        (tmp_path / name / "kernel").mkdir(parents=True)
        (tmp_path / name / "Makefile").touch()
    (tmp_path / "link").symlink_to(tmp_path / "a/b")
    assert survey.trees(tmp_path) == ["a/b", "c@main"]


def test_a_makefile_that_asks_for_qemus_version_is_answered(tmp_path):
    told = tmp_path / "told"
    done = subprocess.run([sys.executable, str(ROOT / "scripts/lab/marks/own_qemu.py"), "--version"], capture_output=True, text=True,
                          env={"OWN_QEMU": tools.qemu(), "OWN_QEMU_TOLD": str(told)})
    assert done.stdout.startswith("QEMU emulator version") and not told.exists()


def test_a_folder_without_trees_is_one_line(tmp_path):
    done = told(tmp_path, tmp_path / "out")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1

"""The story of what differs from the specification, as a film: a picture of the family after each operation."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from lab import Trouble
from lab.judging import playing, points
from lab.judging.checking import Outcome, Report
from lab.judging.verdict import Judgement
from lab.kernels import variant
from lab.kernels.tree import Kernel
from lab.marks import marking, results
from lab.pictures import filming
from machine import FRY, SHRIMP, R, U, W, family
from shrimpy.spec import Cell, Differs, Divergence, Do, Op

ROOT = Path(__file__).resolve().parents[2]
OPS = (Op(0, Do.FORK, 2), Op(2, Do.EXEC))
MOVED = Divergence(Differs.MOVED, OPS, Cell(2, "FRY"), expected=0x80001000, seen=0x80002000)


def told(divergence: Divergence, change) -> dict:
    """The film of a made-up machine: process 3 is the player, 5 the child that it forks; change: what the last operation does."""
    m = family()
    m.processes[3].name = "odd"
    before = m.snapshot()
    change(m)
    after = m.snapshot()
    taken = [(None, before), *((op, before) for op in divergence.ops[:-1]), (divergence.ops[-1], after)]
    return json.loads(filming.story_file(divergence, taken, {-1: 1, 0: 3, 2: 5}))


def renews(m) -> None:
    m.unmap(m.processes[5].root, FRY)
    m.map(m.processes[5].root, FRY, m.alloc(), R | W | U)


def test_each_operation_is_a_step_and_the_last_says_what_differs():
    film = told(MOVED, renews)
    assert (film["function"], film["parent"], film["child"]) == ("exec", 3, 5)
    assert [step["title"] for step in film["steps"]] == [
        "the family before the first operation", "the player forks 2", "2 execs: FRY of 2 is in another frame than before"]
    last = film["steps"][-1]
    assert last["caption"] == "Expected frame 0x80001000; found frame 0x80002000. In the story the player is pid 3, 2 is pid 5."
    assert last["phase"] == "exec" and [step["changes"] for step in film["steps"][:-1]] == [[], []]
    assert [(one["what"], one["pid"], one["va"]) for one in last["changes"] if one["pid"]] == [("pte", 5, hex(FRY))]


def test_the_pair_is_of_the_process_that_something_differs_of():
    def loses(m) -> None:
        m.unmap(m.processes[5].root, SHRIMP)
    film = told(Divergence(Differs.MISSING, OPS[:1], Cell(2, "SHRIMP")), loses)
    assert [step["pairing"]["state"] for step in film["steps"]] == ["holds", "broken"]
    film = told(Divergence(Differs.ANSWER, OPS[:1], Cell(0), seen=-1), loses)   # a fork that differs: its child is looked at
    assert (film["parent"], film["child"]) == (3, 5)


def test_of_a_leak_the_last_picture_is_when_all_have_exited_compared_with_the_first():
    m = family()
    before = m.snapshot()
    m.alloc()
    film = json.loads(filming.story_file(Divergence(Differs.LEAK, OPS[:1], seen=1), [(None, before), (OPS[0], before), (None, m.snapshot())],
                                         {-1: 1, 0: 3, 2: 5}))
    assert [step["phase"] for step in film["steps"]] == ["start", "state", "end"]
    assert film["steps"][-1]["title"] == "all have exited, and are waited for" and "1 fewer, three times running" in film["steps"][-1]["caption"]
    assert [one["what"] for one in film["steps"][-1]["changes"]] == ["free"]


def test_a_long_title_is_cut_and_said_in_full_below():
    hungry = (Op(0, Do.FORK, 2), Op(0, Do.FORK_HUNGRY, 2))
    last = told(Divergence(Differs.PANICKED, hungry, text="out of luck"), lambda m: None)["steps"][-1]
    assert len(last["title"]) == 60 and last["title"].endswith("...")
    assert last["caption"].startswith("with all memory taken the player tries to fork 2, ") and "panic: out of luck" in last["caption"]


def test_the_folder_of_marks_has_the_film(tmp_path):
    m = family()
    told_by = marking.of(Report(Kernel("lab", Path("kernel"), ()), 3, (Outcome("family", "", (Judgement("", m.snapshot()),), None, ""),)),
                         points.DEFAULT, 1)
    film = json.dumps(told(MOVED, renews))
    results.write(tmp_path / "marks", replace(told_by, film=film))
    assert json.loads((tmp_path / "marks/film.json").read_text())["function"] == "exec"
    assert "FRY of 2 is in another frame than before" in (tmp_path / "marks/film.html").read_text()
    assert "film.html shows the story" in (tmp_path / "marks/results.txt").read_text()
    results.write(tmp_path / "marks", told_by)
    assert not list((tmp_path / "marks").glob("film.*"))


def test_what_a_kernel_does_is_played_once_more_and_filmed():
    patch = ROOT / "tests/zoo/orphan-loses-the-page.patch"
    wrong = variant.build("zoo-orphan-loses-the-page", [patch])
    ops = (Op(0, Do.FORK, 2), Op(2, Do.FORK, 3), Op(2, Do.EXIT))
    film = json.loads(filming.story(wrong, Divergence(Differs.MISSING, ops, Cell(3, "SHRIMP"))))
    assert [len(film["steps"]), film["function"]] == [4, "exit"]
    assert [step["pairing"]["state"] for step in film["steps"][2:]] == ["holds", "none"]
    changes = [(one["kind"], one["what"], one["va"]) for one in film["steps"][-1]["changes"] if one["pid"] == film["child"]]
    assert ("~", "parent", None) in changes and any(va for _, what, va in changes if what == "pte")
    names = {one["name"] for step in film["steps"] for one in step["snapshot"]["processes"]}
    assert names == {"init", "sh", "player"}


def test_what_does_not_come_again_is_no_story(kernel, monkeypatch):
    def differs(_, known, ops, seen, **__):
        return Divergence(Differs.PANICKED, ops, text="out of luck")
    monkeypatch.setattr(playing, "again", differs)
    with pytest.raises(Trouble, match="the kernel panics"):
        filming.story(kernel, MOVED)

"""What the patches of further mistakes say that the player finds: read, compared with a check's report, and near the mistake."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import callgraph
import mistakes
from further import FURTHER
from lab.judging.checking import PLAY, Outcome, Report
from lab.judging.verdict import Judgement
from lab.kernels.tree import Kernel
from machine import family
from mistakes import Plays
from shrimpy.rules import Known
from shrimpy.spec import Cell, Differs, Divergence, Do, Op, Played

EXEC = Divergence(Differs.MOVED, (Op(0, Do.FORK, 2), Op(2, Do.EXEC)), Cell(2, "FRY"), "exec", expected=0x80001000, seen=0x80002000)
SAID = Plays("exec", "moved", "FRY", "exec", "exec")


def report(*found: Divergence) -> Report:
    """Of a check in which the player found that."""
    stops = [Judgement("", family().snapshot(), known=Known(played=Played(1, 2, one))) for one in found]
    return Report(Kernel("ours", Path("kernel"), ()), 1, (Outcome(PLAY, "", tuple(stops), None, ""),))


def header(folder: Path, *lines: str) -> mistakes.Mistake:
    (folder / "odd.patch").write_text("\n".join(["mistake: m", "seen: s", *lines, "also: nothing", "--- a/x", ""]))
    return mistakes.read(folder / "odd.patch")


@pytest.mark.parametrize("line,said", [
    ("exec shows moved of FRY beyond exec, look at exec", SAID), ("wait shows panicked", Plays("wait", "panicked")),
    ("exit shows leak, look at freeproc", Plays("exit", "leak", function="freeproc")),
    ("exit shows not-mapped of SHRIMP beyond orphan", Plays("exit", "not-mapped", "SHRIMP", "orphan"))])
def test_a_header_says_what_is_found_after_which_operation(tmp_path, line, said):
    read = header(tmp_path, f"plays: {line}")
    assert read.plays == (said,) and str(said) == line


def test_a_player_that_agrees_is_said_to_find_nothing(tmp_path):
    assert header(tmp_path, "plays: nothing").plays == ()


@pytest.mark.parametrize("line,said", [
    ("plays: exec", "found 'exec'"), ("plays: dance shows moved of FRY", "no operation shows 'dance'"),
    ("plays: exec shows magic", "no operation shows 'magic'"), ("plays: exec shows moved of HEAP", "found 'exec shows moved of HEAP'")])
def test_a_header_that_says_it_wrongly_is_refused(tmp_path, line, said):
    with pytest.raises(mistakes.Trouble, match=said):
        header(tmp_path, line)


def test_what_the_player_finds_is_compared(tmp_path):
    read = header(tmp_path, f"plays: {SAID}")
    assert mistakes.compare(read, report(EXEC)).missed == mistakes.compare(read, report(EXEC)).wrong == ()
    for other in (replace(EXEC, ops=EXEC.ops[:1]), replace(EXEC, what=Differs.MISSING), replace(EXEC, cell=Cell(2, "SHRIMP")),
                  replace(EXEC, beyond=None)):
        assert mistakes.compare(read, report(other)).missed == (str(SAID),), other
    assert mistakes.compare(header(tmp_path, "plays: nothing"), report(EXEC)).wrong == ("specification on kernel in play",)


# Found by a scenario's rules, by one that needs no operation, or because what a program waits for never comes.
NOT_BY_PLAYING = ("failed-fork-keeps-files-open", "shrimp-apart-from-fry")


@pytest.mark.parametrize("mistake", FURTHER, ids=lambda one: one.name)
def test_each_further_mistake_says_what_the_player_finds(mistake):
    assert "\nplays: " in mistake.patch.read_text().partition("\n--- ")[0]
    read = mistakes.read(mistake.patch)
    assert bool(read.plays or read.fails) == (mistake.name not in NOT_BY_PLAYING)
    # What is visible only beyond the handout, and nothing else, is told as beyond it.
    assert not read.plays or mistake.beyond == all(one.beyond for one in read.plays)


@pytest.mark.parametrize("mistake", FURTHER, ids=lambda one: one.name)
def test_the_function_that_a_story_names_is_near_the_mistake(mistake):
    """It is one that the patch touches, or that calls it or is called by it."""
    named = {one.function for one in mistakes.read(mistake.patch).plays if one.function}
    assert named <= callgraph.to_look_at(mistake.patch.read_text(), mistakes.ROOT)

"""The TUI window's lines: whatever the size, they fit, and what does not is counted."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from machine import family
from shrimpy import window
from shrimpy.changes import Change
from shrimpy.text import Painter

LINES = [("title", "FRY of the child is mapped"), ("", ""), ("title", "family")] + [("", f"line {n} " + "x" * 60) for n in range(20)]


@pytest.mark.parametrize("width, height", [(1, 1), (30, 13), (47, 25), (200, 100)])
@pytest.mark.parametrize("top", [0, 5])
def test_any_size_is_kept_and_what_is_left_out_is_counted(width, height, top):
    shown = window.view(LINES, width, height, top, Painter()).split("\n")
    assert len(shown) <= height and all(len(line) <= width for line in shown)
    below = len(LINES) - top - height
    if below > 0 and width > 20:
        assert shown[-1] == f"... {below + 1} more"


def test_headings_and_blanks_go_first_where_there_is_no_room():
    assert window.fitted(LINES, 100) == LINES
    assert [text for _, text in window.fitted(LINES, 10)][:2] == ["FRY of the child is mapped", LINES[3][1]]


def test_frames_of_who_changed_come_first():
    snapshot = family().snapshot()
    pid = max(p.pid for p in snapshot.processes)
    step = SimpleNamespace(title="SHRIMP of the child is mapped", changes=(Change("~", "state", pid, before="USED", after="RUNNABLE"),),
                           more_changes=0, pairing=SimpleNamespace(state="holds", text=f"SHRIMP of pid {pid} is FRY of pid 3"))
    lines = [text for _, text in window.content(snapshot, step, 200)]
    frames = lines[lines.index("frames") + 1:]
    mine = [f"{pid} " in line.partition(": ")[2] for line in frames]
    assert mine == sorted(mine, reverse=True) and 0 < sum(mine) < len(mine)
    assert f"pairing holds: SHRIMP of pid {pid} is FRY of pid 3" in lines

"""The TUI window's lines: whatever the size, they fit, and what does not is counted."""

from __future__ import annotations

import pytest

from shrimpy import window
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

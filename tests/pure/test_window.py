"""The TUI window's lines: whatever the size, they fit, who plays is there, and what is not is counted."""

from __future__ import annotations

import dataclasses
import re

import pytest
from machine import FRY, PAGE, SHRIMP, family
from shrimpy.show import story, window
from shrimpy.show.text import Painter, in_ascii
from shrimpy.show.window import Line
from shrimpy.snapshot.changes import Change, between
from shrimpy.step.events import Cast, Event

PARENT, CHILD = 3, 9


def stepped(*, others: int = 0, name: str = "shrimpdemo", wrong: bool = False):
    """(step, cast): what is told when the youngest child of pid 3 gets its SHRIMP, in a family with more children of
    pid 3, or, when `wrong`, a frame of its own there."""
    m = family(n_frames=2048)
    parent = m.processes[PARENT]
    for pid in range(10, 10 + others):
        m.process(pid, parent, name)
    child = m.process(CHILD, parent, name, "USED")
    shared = m.unmap(child.root, SHRIMP)
    before = m.snapshot()
    m.map(child.root, SHRIMP, m.alloc() if wrong else shared, 0xd6)
    after = m.snapshot()
    cast = Cast(PARENT, CHILD)
    event = Event("mappages", "mappages", args=(child.root, SHRIMP, PAGE, shared, 0x16), result=0)
    return story.tell(event, cast, before, after, between(before, after)), cast


def shown(step, cast, width: int, height: int, top: int = 0) -> list[str]:
    lines = window.content(step.snapshot, step, cast, width, height)
    return window.view(lines, width, height, top, Painter()).split("\n")


@pytest.mark.parametrize("width, height", [(1, 1), (12, 5), (32, 13), (49, 22), (84, 28), (200, 100)])
@pytest.mark.parametrize("top", [0, 5])
def test_any_size_is_kept(width, height, top):
    step, cast = stepped(others=12)
    lines = shown(step, cast, width, height, top)
    assert len(lines) <= height and all(len(line) <= width for line in lines)


@pytest.mark.parametrize("name", ["sh", "a-name-of-15-by"])
@pytest.mark.parametrize("others", [0, 50])
def test_parent_child_their_frame_and_the_change_are_there_at_once_however_large_the_family(others, name):
    step, cast = stepped(others=others, name=name)
    lines = shown(step, cast, 32, 13)
    fry = next(m.pa for m in step.snapshot.process(PARENT).mappings if m.va == FRY)
    assert lines[:2] == ["SHRIMP of the child is mapped", "pairing holds"]
    assert re.fullmatch(r"3 shrimpdemo SLEEPING \(parent\)", lines[2])
    assert re.fullmatch(r"  9 (sh|a-name-of-15-by) USED \(child\)", lines[3])
    assert " ".join(line.strip() for line in lines[4:6]) == f"{fry:#x}: 3 FRY, 9 SHRIMP, and {2 + others} more"
    assert f"+ pid 9 {SHRIMP:#x} level 0:" in lines[:12]


def test_what_is_below_and_above_is_counted_in_processes_and_frames():
    step, cast = stepped(others=50)
    lines = window.content(step.snapshot, step, cast, 60, 20)
    screen = window.view(lines, 60, 20, 0, Painter()).split("\n")
    # The cast is there twice: before everybody else, and in its place in the family.
    seen = [line for line in screen if re.match(r"\W*\d+ \S+ (SLEEPING|USED)", line)]
    n_frames = sum(line.of == "frame" for line in lines)
    assert screen[-1] == f"below: {56 - (len(seen) - 2)} processes, {n_frames} frames"
    end = window.view(lines, 60, 20, len(lines) - 20, Painter()).split("\n")
    assert re.fullmatch(r"above: 56 processes, \d+ frames, 1 change", end[0]) and end[-1] == lines[-1].text


def test_a_line_that_only_goes_on_is_no_second_frame():
    lines = [Line("", "title"), Line("", "0x1: 1 FRY", "frame"), Line("", "  2 SHRIMP"), Line("", "  3 SHRIMP")]
    assert window.view(lines, 20, 3, 0, Painter()).split("\n")[-1] == "below: 2 lines"
    assert window.view(lines, 20, 2, 0, Painter()).split("\n")[-1] == "below: 1 frame"


def test_a_long_name_gives_way_and_not_the_state():
    step, cast = stepped(name="a-name-of-15-by")
    people = [line for line in shown(step, cast, 24, 40) if "name" in line or "~" in line]
    assert people and all(re.search("(SLEEPING|USED)( |$)", line) for line in people)
    assert any("~ USED (child)" in line for line in people)


def test_branches_give_way_when_there_is_no_name_left():
    m = family()
    above = m.processes[5]
    for pid in range(6, 20):
        above = m.process(pid, above, "sh")
    lines = window.view(window.content(m.snapshot(), None, None, 32, 60), 32, 60, 0, Painter()).split("\n")
    deepest = next(line for line in lines if re.search(r"\b19 ", line))
    assert len(deepest) == 32 and deepest.startswith("~ ") and deepest.endswith("└─ 19 ~ SLEEPING")


def test_where_there_is_room_it_is_set_in_parts_and_the_pairing_has_its_reason():
    step, cast = stepped()
    lines = shown(step, cast, 100, 40)
    assert lines[1].startswith("pairing holds: SHRIMP of pid 9 is FRY of pid 3: frame 0x")
    assert lines.count("") == 2 and lines.index("family") < lines.index("frames")
    assert lines[lines.index("family") - 1] == lines[lines.index("frames") - 1] == ""
    assert sum("(child)" in line for line in lines) == 1
    without = shown(step, cast, 100, len(lines) - 1)
    assert "" not in without and "family" not in without and sum("(child)" in line for line in without) == 1


def test_tables_that_were_missing_on_the_way_come_after_what_they_are_for():
    step, cast = stepped()
    leaf, = step.changes
    table = Change("+", "table", CHILD, SHRIMP, leaf.pte_at & -PAGE, 1, 0, leaf.pte_at >> 2 | 1, "", "level 0 table")
    lines = shown(dataclasses.replace(step, changes=(table, leaf)), cast, 32, 40)
    assert [line for line in lines if line.startswith("+")] == [f"+ pid 9 {SHRIMP:#x} level {n}:" for n in (0, 1)]


def test_why_a_pairing_is_broken_is_said_in_any_size():
    step, cast = stepped(wrong=True, others=20)
    said = " ".join(shown(step, cast, 32, 13))
    assert "pairing broken: SHRIMP of pid 9 is frame 0x" in said and "but FRY of pid 3 is frame 0x" in said
    assert "(parent)" in said and "(child)" in said


def test_without_a_step_it_is_the_family_and_its_frames():
    lines = window.view(window.content(family().snapshot(), None, None, 32, 13), 32, 13, 0, Painter()).split("\n")
    assert lines[:2] == ["1 init SLEEPING", "└─ 2 sh SLEEPING"]
    assert any(re.fullmatch(r"0x\w+: 1 FRY, 2 SHRIMP", line) for line in lines[5:])


def test_in_ascii_every_character_has_one_in_its_place():
    assert in_ascii("│  ├─ 4 sh\n   └─ 5 sé") == "|  |- 4 sh\n   `- 5 s?"

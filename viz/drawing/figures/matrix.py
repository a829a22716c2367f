"""The matrix: who shares what with whom, for many.

A row for each process, in the order of a family tree; a column for each shared frame, in the order of
its owners: so a family is a block. F and S say that the frame is the process's FRY or its SHRIMP. Where columns are too
narrow for addresses they are numbered, because Graphviz cannot turn text; a key below says which frame each number is.
"""
from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

from ..model import words
from ..model.kit import Index
from ..model.sharing import ATTACHED, Placed, SharedFrame, Sharing, expected_frames, family_order, select, sharing
from ..scene import elements, style
from ..scene.elements import MARGIN_PT
from ..scene.shapes import Scene
from ..scene.text import shorten, text_width
from . import Drawing

LIMIT = 64
TITLE = "Who shares what with whom: processes and frames"

_ROW = 10.4
_INDENT, _INDENTS = 7.0, 7          # deeper ones stand as deep as this
_LEAST_COLUMN, _MOST_COLUMN = 11.5, 110.0
_NAME_CHARS = 16
_HEADER_PT = 9.0
_KEY_W, _KEY_PT = 79.0, 11.0
_READS = "a"            # attached for reading only
_OF_SEGMENTS = (ATTACHED, _READS)
_KINDS = {"user": "U", "table": "T", "trapframe": "R", "kstack": "K"}
_MEANINGS = {"F": "FRY", "S": "SHRIMP", "B": "both, FRY and SHRIMP", "U": "other user memory", "T": "page table",
             "A": "attached segment", _READS: "attached for reading only", "R": "trapframe", "K": "kernel stack", "O": "something else"}


def draw(index: Index, pids: Optional[Sequence[int]] = None) -> Drawing:
    """The matrix of a snapshot, of the processes `pids` or of those with most to show.

    Raises VizError: no Shrimpy layout, a pid that is not there, more than LIMIT of them.
    """
    model = sharing(index)
    rows = family_order(model, select(model, LIMIT, pids))
    drawn = {p.slot for p in rows}
    label_w = max([_label_width(model, p) for p in rows], default=60.0) + 8
    room = elements.WIDTH_PT - 2 * MARGIN_PT - label_w
    frames = _columns(model, rows, int(room / _LEAST_COLUMN))
    column_w = min(_MOST_COLUMN, room / max(1, len(frames)))
    cells = _cells(index, rows, model, frames)
    here = {f.pa for f in frames}
    notes = (words.left_out(index, model, drawn, here) + words.cautions(index) + words.held_back(model)
             + _wrong_notes(index, model, rows, frames))
    scene = Scene()
    y = elements.heading(scene, TITLE, [words.stop_line(index)])
    x = MARGIN_PT + label_w
    grid = y + _ROW + 2
    _grid(scene, model, rows, frames, cells, x, grid, column_w)
    y = _header(scene, index, frames, x, y, column_w, grid + _ROW * len(rows) + 8)
    y = _legend(scene, index, {letter for letter, _ in cells.values()}, y + 10)
    y = elements.notes(scene, y, notes if frames else ["no frame here is shared", *notes])
    return Drawing(TITLE, _description(index, model, rows, frames, notes),
                   scene.sized(elements.WIDTH_PT, y + MARGIN_PT))


def _label(model: Sharing, place: Placed) -> str:
    m = model.members[place.slot]
    return f"{m.process.pid} {shorten(m.process.name, _NAME_CHARS) or '(no name)'}" + (" orphan" if m.orphan else "")


def _label_width(model: Sharing, place: Placed) -> float:
    return 10 + _INDENT * min(place.depth, _INDENTS) + text_width(len(_label(model, place)))


def _columns(model: Sharing, rows: Sequence[Placed], at_most: int) -> list[SharedFrame]:
    """The frames worth a column, in the order of the rows that own or first use them. When they are too many,
    those with something odd about them stay, and those with most users."""
    order = {p.slot: i for i, p in enumerate(rows)}
    expected = expected_frames(model, order)
    found = [f for f in model.frames.values()
             if (f.worth_drawing or f.pa in expected) and order.keys() & set(f.users)]
    found.sort(key=lambda f: (not f.odd, f.pa not in expected, -len(f.users), f.pa))
    return sorted(found[:at_most], key=lambda f: (
        min(order[s] for s in (set(f.fry_of) & order.keys() or set(f.users) & order.keys())), f.pa))


def _cells(index: Index, rows: Sequence[Placed], model: Sharing,
           frames: Sequence[SharedFrame]) -> dict[tuple[int, int], tuple[str, str]]:
    """By slot and frame: the letter, and the tooltip."""
    here = {f.pa: f for f in frames}
    slots = {model.members[p.slot].process.pid: p.slot for p in reversed(rows)}
    cells: dict[tuple[int, int], tuple[str, str]] = {}
    for frame in frames:
        for user in index.users(frame.pa):
            if user.pid in slots:
                cells[slots[user.pid], frame.pa] = (
                    _KINDS.get(user.kind, "O"), f"frame {frame.pa:#x} is {_MEANINGS[_KINDS.get(user.kind, 'O')]} of "
                    f"pid {user.pid}" + ("" if user.va is None else f" at {user.va:#x}"))
    for p in rows:
        m = model.members[p.slot]
        for letter in "FS":
            own = m.page(letter)
            if own is not None and own.pa in here:
                tip = f"{words.PAGE[letter]} of {words.name(m.process)}, {words.pte(own)}"
                other = m.shrimp if letter == "F" else m.fry
                if other is not None and other.pa == own.pa:
                    fry, shrimp = (own, other) if letter == "F" else (other, own)
                    tip = f"FRY and SHRIMP of {words.name(m.process)}, {words.pte(fry)}; {words.pte(shrimp)}"
                    letter = "B"
                cells[p.slot, own.pa] = (letter, tip)
        for own in m.attached:
            if own.pa in here and here[own.pa].segment is not None:
                letter = _READS if p.slot in here[own.pa].read_only else ATTACHED
                cells[p.slot, own.pa] = (letter, f"{words.page_of(ATTACHED, own)} of {words.name(m.process)}, {words.pte(own)}")
    return cells


def _header(scene: Scene, index: Index, frames: Sequence[SharedFrame], x: float, y: float, column_w: float,
            key_y: float) -> float:
    """Of each frame its address, or the number of its column, and below the grid, from key_y, which frame that is; returns
    the y below the key."""
    per_row = int((elements.WIDTH_PT - 2 * MARGIN_PT) / _KEY_W)
    has_key = column_w < _KEY_W     # else there is room for what it would say
    for i, f in enumerate(frames):
        middle, (title, refs) = x + column_w * (i + 0.5), words.heading(index, f)
        key_x, at = MARGIN_PT + _KEY_W * (i % per_row), key_y + _KEY_PT * (i // per_row + 0.5)
        ink = style.PAPER if f.is_wrong else style.INK
        with scene.group(f"frame-{f.pa:#x}", title + (f", {refs}" if refs else "")
                         + "".join(f"; {'wrong: ' * f.is_wrong}{words.oddity(index, w)}" for w in f.odd)):
            if f.is_wrong:
                scene.box(middle - column_w / 2 + 0.5, y, column_w - 1, _ROW, style.ALARM)
                if has_key:
                    scene.box(key_x, at - _KEY_PT / 2 + 0.5, _KEY_W - 6, _KEY_PT - 1, style.ALARM)
            if not has_key:
                scene.text(middle, y + _ROW / 2, title.replace("frame ", ""), _HEADER_PT, "middle", ink, bold=f.is_wrong)
                continue
            scene.text(middle, y + _ROW / 2, str(i + 1), _HEADER_PT, "middle", ink, bold=f.is_wrong)
            scene.text(key_x + text_width(2, _HEADER_PT) + 3, at, str(i + 1), _HEADER_PT, "end", ink, bold=True)
            scene.text(key_x + text_width(2, _HEADER_PT) + 8, at, title.replace("frame ", ""), _HEADER_PT, ink=ink, bold=f.is_wrong)
    if frames:
        scene.text(x - 8, y + _ROW / 2, "frame", style.SMALL_PT, "end", style.QUIET)
    return key_y + _KEY_PT * ((len(frames) + per_row - 1) // per_row) * has_key


def _grid(scene: Scene, model: Sharing, rows: Sequence[Placed], frames: Sequence[SharedFrame],
          cells: Mapping[tuple[int, int], tuple[str, str]], x: float, y: float, column_w: float) -> None:
    right = x + column_w * len(frames)
    for i in range(0, len(rows), 2):        # stripes lead the eye along a row
        scene.box(MARGIN_PT, y + _ROW * i, right - MARGIN_PT, _ROW, "#F3F6F8")
    for j, f in enumerate(frames):          # a family hangs together
        at = [i for i, p in enumerate(rows) if cells.get((p.slot, f.pa), ("", ""))[0] in ("F", "S", "B", *_OF_SEGMENTS)]
        middle = x + column_w * (j + 0.5)
        if at:
            scene.line([(middle, y), (middle, y + _ROW * (at[0] + 0.5))], style.HAIRLINE, stroke_width=0.5, dash=(1, 2))
        if len(at) > 1:
            scene.line([(middle, y + _ROW * (at[0] + 0.5)), (middle, y + _ROW * (at[-1] + 0.5))], _line(f),
                       stroke_width=1.2)
    for i, p in enumerate(rows):
        middle = y + _ROW * (i + 0.5)
        m = model.members[p.slot]
        with scene.group(f"process-{p.slot}", f"process {words.name(m.process)}"
                          + "".join(f"; wrong: {words.accusation(w)}" for w in m.wrong)):
            if m.wrong:
                scene.box(MARGIN_PT, y + _ROW * i + 0.5, 8, _ROW - 1, style.ALARM, rounded=True)
                scene.text(MARGIN_PT + 4, middle, "!", style.SMALL_PT, "middle", style.PAPER, bold=True)
            scene.text(MARGIN_PT + 10 + _INDENT * min(p.depth, _INDENTS), middle, _label(model, p),
                       bold=bool(m.wrong), italic=m.orphan)
            for j, f in enumerate(frames):
                if (p.slot, f.pa) in cells:
                    letter, tip = cells[p.slot, f.pa]
                    wrong = letter in m.wrong_pages or letter == "B" and bool(m.wrong_pages)
                    _cell(scene, letter, tip, wrong, x + column_w * (j + 0.5), middle, min(column_w, _ROW + 1))


def _line(frame: SharedFrame) -> str:
    return style.LINE[ATTACHED if frame.segment else "S"]


def _cell(scene: Scene, letter: str, tip: str, wrong: bool, x: float, y: float, width: float) -> None:
    dark = wrong or letter == "F"
    fill = style.ALARM if wrong else style.LINE_FRY if letter == "F" else style.PAPER
    ink = style.PAPER if dark else style.LINE_SHRIMP if letter in "SB" else style.LETTER[ATTACHED] if letter in _OF_SEGMENTS else style.INK
    with scene.group(None, tip):
        scene.box(x - width / 2 + 0.5, y - _ROW / 2 + 0.6, width - 1, _ROW - 1.2, fill, fill if dark else ink, rounded=True,
                  stroke_width=0.8, dash=None if wrong else (2.2, 1.1) if letter == "S" else (1.0, 1.0) if letter in _OF_SEGMENTS else None)
        scene.text(x, y, letter, style.SMALL_PT, "middle", ink, bold=True)


def _legend(scene: Scene, index: Index, letters: set[str], y: float) -> float:
    elements.rule(scene, y - 4)
    layout = index.layout
    told = dict(_MEANINGS, F=f"FRY {layout.fry:#x}, its own page", S=f"SHRIMP {layout.shrimp:#x}, its parent's FRY")
    x, y = MARGIN_PT + 6.0, y + 8
    with scene.group("legend"):
        for letter in ["F", "S", *(a for a in _MEANINGS if a in letters - {"F", "S"})]:
            width = 26 + text_width(len(told[letter]), style.SMALL_PT)
            if x + width > elements.WIDTH_PT - MARGIN_PT:
                x, y = MARGIN_PT + 6.0, y + 14
            _cell(scene, letter, told[letter], False, x, y, _ROW + 1)
            scene.text(x + 10, y, told[letter], style.SMALL_PT)
            x += width
    return y + 12


def _wrong_notes(index: Index, model: Sharing, rows: Sequence[Placed], frames: Sequence[SharedFrame]) -> list[str]:
    """What is wrong, in words: the first few."""
    told = [f"! pid {m.process.pid}: {words.accusation(w)}" for p in rows for m in [model.members[p.slot]] for w in m.wrong]
    told += [f"{'!' if f.is_wrong else '?'} frame {f.pa:#x}: {words.oddity(index, w)}" for f in frames for w in f.odd]
    return told[:8] + ([f"! and {len(told) - 8} more: see the fault figure"] if len(told) > 8 else [])


def _description(index: Index, model: Sharing, rows: Sequence[Placed], frames: Sequence[SharedFrame],
                 notes: Sequence[str]) -> str:
    lines = [words.stop_line(index) + ".", f"{words.count(len(rows), 'process', 'processes')}, "
             f"{words.count(len(frames), 'frame')}."]
    drawn = {p.slot for p in rows}
    for f in frames:
        lines.append(f"{words.heading(index, f)[0].capitalize()}: {'; '.join(w for _, w in words.frame_words(model, f, drawn))}.")
    return " ".join([*lines, *(f"{note.rstrip('.')}." for note in notes)])

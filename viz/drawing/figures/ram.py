"""The RAM map: who owns each frame?

All of RAM as one strip, to scale; below it, magnified, the parts that are in use, a cell for each frame
(or, where these are too many, for a few: the figure says for how many). Long runs are one bar.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Optional

from ..model import words
from ..model.kit import Index, Layout
from ..model.ram_map import PURPOSES, Piece, RamMap, ram_map
from ..scene import elements, style
from ..scene.elements import MARGIN_PT
from ..scene.shapes import Hatch, Scene
from ..scene.text import fitting_chars, text_width
from . import Drawing

TITLE = "Who owns each frame of RAM"

MAX_ROWS = 36
_COLUMNS = 32
_LABEL_W = 68.0
_CELL_W = (elements.WIDTH_PT - 2 * MARGIN_PT - _LABEL_W) / _COLUMNS
_CELL_H = 14.0
_ROW_GAP = 2.0
_STRIP_H = 24.0
_LONG = 2 * _COLUMNS    # cells of one kind that become a bar

_FILLS = {"I": "#D3D9DE", "K": "#E7E1F2", "T": "#CDE4F4", "R": "#F8E0CF", "U": "#DCEFDD", "F": style.PALE_FRAME,
          "S": "#FFCF33", "O": "#ECECEC", "X": style.PAPER, "L": style.PAPER, "?": style.PAPER, "-": style.PAPER}
_HATCHES = {"I": Hatch("#C2CAD1", 5, 1.2), "?": Hatch(style.HAIRLINE, 4, 0.8)}
DARK = {"#D3D9DE": "#3f464d", "#C2CAD1": "#565f68", "#E7E1F2": "#40364f", "#CDE4F4": "#24425a", "#F8E0CF": "#553c2a", "#DCEFDD": "#2b4a2d",
        "#FFCF33": "#7a6000", "#ECECEC": "#3b3b3b", "#F3F6F8": "#262a31"}
"""What those are in the dark, on a page; the matrix's stripes, too."""

_LEAST_PT = 1.2         # of something in the strip


@dataclass(frozen=True)
class _Bar:
    """A row that is one long run."""
    piece: Piece


@dataclass(frozen=True)
class _Cells:
    """A row of cells: its address, the bytes of a cell, and for each what its frames are, as (piece, frames of it)."""
    pa: int
    cell_bytes: int
    cells: tuple[tuple[tuple[Piece, int], ...], ...]


def draw(index: Index) -> Drawing:
    """The RAM map of a snapshot."""
    ram = ram_map(index)
    return _drawn(ram, index.layout, words.stop_line(index), tuple(_notes(index, ram)))


@lru_cache(maxsize=1)       # of a page that follows a machine RAM is often what it was
def _drawn(ram: RamMap, layout: Layout, stop: str, notes: tuple[str, ...]) -> Drawing:
    per_cell, rows = _rows(ram.pieces, layout.page_size)
    scene = Scene()
    y = elements.heading(scene, TITLE, [stop])
    y = _strip(scene, layout, ram, y)
    y = elements.notes(scene, y - 4, [_scale(per_cell)]) + 5
    with scene.group("zoom"):
        for row in rows:
            _bar(scene, row, ram, y) if isinstance(row, _Bar) else _cells(scene, row, ram, y)
            y += _CELL_H + _ROW_GAP
    y = _legend(scene, ram, y + 12)
    y = elements.notes(scene, y + 4, notes)
    return Drawing(TITLE, _description(layout, stop, ram, notes), scene.sized(elements.WIDTH_PT, y + MARGIN_PT))


def _scale(per_cell: int) -> str:
    if per_cell == 1:
        return "magnified: one cell is one frame, with a letter and its owner's pid; equal neighbours are joined"
    return f"magnified: one cell is {per_cell} frames, filled in proportion; its letter is what most of those in use are"


# The rows of the magnified part

def _rows(pieces: Sequence[Piece], page_size: int) -> tuple[int, list[_Bar | _Cells]]:
    """Frames to a cell, the least with which the rows are few enough; and the rows."""
    per_cell = 1
    while True:
        rows = list(_rows_at(pieces, per_cell, page_size))
        if len(rows) <= MAX_ROWS or len(rows) <= 1:
            return per_cell, rows
        per_cell *= 2


def _rows_at(pieces: Sequence[Piece], per_cell: int, page_size: int) -> Iterator[_Bar | _Cells]:
    short: list[Piece] = []
    for piece in pieces:
        if piece.n_frames >= _LONG * per_cell:
            yield from _short_rows(short, per_cell, page_size)
            short = []
            yield _Bar(piece)
        else:
            short.append(piece)
    yield from _short_rows(short, per_cell, page_size)


def _short_rows(pieces: Sequence[Piece], per_cell: int, page_size: int) -> Iterator[_Cells]:
    cells: list[tuple[tuple[Piece, int], ...]] = []
    cell: list[tuple[Piece, int]] = []
    room = per_cell
    for piece in pieces:
        left = piece.n_frames
        while left:
            n = min(left, room)
            cell.append((piece, n))
            left, room = left - n, room - n
            if not room:
                cells.append(tuple(cell))
                cell, room = [], per_cell
    if cell:
        cells.append(tuple(cell))
    for i in range(0, len(cells), _COLUMNS):
        yield _Cells(pieces[0].pa + i * per_cell * page_size, per_cell * page_size, tuple(cells[i:i + _COLUMNS]))


# What is drawn

def _fill(letter: str, ram: RamMap) -> str:
    return style.ALARM if letter in ram.wrong else _FILLS[letter]


def _hatch(letter: str, ram: RamMap) -> Optional[Hatch]:
    return None if letter in ram.wrong else _HATCHES.get(letter)


def _ink(letter: str, ram: RamMap) -> str:
    return style.PAPER if letter in ram.wrong else style.QUIET if letter == "-" else style.INK


def _box(scene: Scene, x: float, y: float, width: float, letter: str, ram: RamMap, tip: Optional[str] = None,
         height: float = _CELL_H) -> None:
    strong = letter in ("S", "X", "L")
    if letter == "-":
        scene.box(x + 0.3, y + 0.3, width - 0.6, height - 0.6, style.PAPER, style.STRIPE, tip, stroke_width=0.6)
    else:
        scene.box(x + 0.5, y + 0.5, width - 1, height - 1, _fill(letter, ram),
                  style.ALARM if letter in ram.wrong else style.EDGE_FRAME if letter == "S" else style.QUIET, tip,
                  stroke_width=1.4 if strong else 0.5, hatch=_hatch(letter, ram),
                  dash=(2, 1.5) if strong and letter != "S" and letter not in ram.wrong else None)


def _cells(scene: Scene, row: _Cells, ram: RamMap, y: float) -> None:
    scene.text(MARGIN_PT, y + _CELL_H / 2, f"{row.pa:#x}", ink=style.QUIET, size=style.SMALL_PT)
    x0, i = MARGIN_PT + _LABEL_W, 0
    while i < len(row.cells):
        cell = row.cells[i]
        x = x0 + i * _CELL_W
        name = f"at-{row.pa + i * row.cell_bytes:#x}"
        if len(cell) > 1:
            with scene.group(name):
                _mixed(scene, cell, ram, x, y)
            i += 1
            continue
        piece, n = cell[0][0], 1
        while i + n < len(row.cells) and len(row.cells[i + n]) == 1 and row.cells[i + n][0][0] is piece:
            n += 1
        with scene.group(name):
            _box(scene, x, y, n * _CELL_W, piece.letter, ram, piece.tip)
            if piece.letter != "-":
                scene.text(x + n * _CELL_W / 2, y + _CELL_H / 2, _tag(piece, n * _CELL_W), size=style.SMALL_PT,
                           anchor="middle", ink=_ink(piece.letter, ram), bold=piece.letter in "SXL")
        i += n


def _tag(piece: Piece, width: float) -> str:
    """The letter, and the pid where there is room for it."""
    full = piece.letter if piece.pid is None else f"{piece.letter}{piece.pid}"
    return full if len(full) <= fitting_chars(width - 2, style.SMALL_PT) else piece.letter


def _mixed(scene: Scene, cell: Sequence[tuple[Piece, int]], ram: RamMap, x: float, y: float) -> None:
    """A cell of several kinds: their shares, side by side, sorted so that what is in use is at the left."""
    shares: dict[str, int] = {}
    for piece, n in cell:
        shares[piece.letter] = shares.get(piece.letter, 0) + n
    order = sorted(shares, key=lambda letter: (letter == "-", letter not in ram.wrong, -shares[letter], letter))
    tip = "; ".join(piece.tip for piece, _ in cell if piece.letter != "-")
    total = sum(shares.values())
    with scene.group(None, tip):
        at = x
        for letter in order:
            width = _CELL_W * shares[letter] / total
            scene.box(at, y + 0.5, width, _CELL_H - 1, _fill(letter, ram), hatch=_hatch(letter, ram))
            at += width
        scene.box(x + 0.5, y + 0.5, _CELL_W - 1, _CELL_H - 1, stroke=style.HAIRLINE, stroke_width=0.5)
        scene.text(x + 2, y + _CELL_H / 2, order[0], size=style.SMALL_PT, ink=_ink(order[0], ram))


def _bar(scene: Scene, row: _Bar, ram: RamMap, y: float) -> None:
    piece = row.piece
    scene.text(MARGIN_PT, y + _CELL_H / 2, f"{piece.pa:#x}", ink=style.QUIET, size=style.SMALL_PT)
    x, width = MARGIN_PT + _LABEL_W, _COLUMNS * _CELL_W
    _box(scene, x, y, width, piece.letter, ram, piece.tip)
    of = f" of pid {piece.pid}" if piece.pid is not None else ""
    said = f"{PURPOSES[piece.letter]}{of}: {frames(piece.n_frames)}, {size(piece.n_frames)}"
    middle, half = x + width / 2, text_width(len(said) + 2, style.SMALL_PT) / 2
    if piece.letter not in ram.wrong:
        scene.box(middle - half, y + 1.5, 2 * half, _CELL_H - 3, style.PAPER)
    scene.text(middle, y + _CELL_H / 2, said, size=style.SMALL_PT, anchor="middle", ink=_ink(piece.letter, ram))


def _strip(scene: Scene, layout: Layout, ram: RamMap, y: float) -> float:
    """All of RAM to scale; returns the y where the magnified part begins."""
    n_frames = sum(p.n_frames for p in ram.pieces)
    x, width = float(MARGIN_PT), elements.WIDTH_PT - 2.0 * MARGIN_PT
    scale = width / n_frames
    with scene.group("strip"):
        scene.box(x, y, width, _STRIP_H, style.PAPER)
        for letter, first, n, tip in _columns(ram, max(1, round(_LEAST_PT / scale))):
            if letter != "-":
                scene.box(x + first * scale, y, n * scale, _STRIP_H, _fill(letter, ram), tip=tip, hatch=_hatch(letter, ram))
        scene.box(x, y, width, _STRIP_H, stroke=style.QUIET, stroke_width=0.9)
        longest = max((p for p in ram.pieces if p.letter == "-"), key=lambda p: p.n_frames, default=None)
        if longest is not None and longest.n_frames * scale > 140:
            first = (longest.pa - layout.ram_base) // layout.page_size
            scene.text(x + (first + longest.n_frames / 2) * scale, y + _STRIP_H / 2,
                        f"free: {frames(longest.n_frames)}, {size(longest.n_frames)}", style.SMALL_PT,
                       "middle", style.QUIET)
        for piece in ram.pieces:
            if piece.letter in ram.wrong:
                at = x + (piece.pa - layout.ram_base) / layout.page_size * scale
                with scene.group(None, piece.tip):
                    scene.line([(at, y - 9), (at, y - 1)], style.ALARM, arrow=7)
    y += _STRIP_H + 8
    scene.text(x, y, f"{layout.ram_base:#x}", style.SMALL_PT, ink=style.QUIET)
    scene.text(x + width / 2, y, f"all of RAM, to scale: {frames(n_frames)}, {size(n_frames)}",
                style.SMALL_PT, "middle", style.QUIET)
    scene.text(x + width, y, f"{layout.ram_end:#x}", style.SMALL_PT, "end", style.QUIET)
    return y + 16


def _columns(ram: RamMap, per_column: int) -> Iterator[tuple[str, int, int, str]]:
    """The strip as columns of a few frames each, equal neighbours joined: (letter, first frame, frames, tip).
    A column is what is wrong in it, else shared, else what most of it is that is not free."""
    column: dict[str, int] = {}
    at = start = 0
    found: list[tuple[str, int, int]] = []

    def close(end: int) -> None:
        nonlocal column, start
        letter = min(column, key=lambda c: (c not in ram.wrong, c == "-", -column[c], c))
        if found and found[-1][0] == letter:
            found[-1] = (letter, found[-1][1], found[-1][2] + end - start)
        else:
            found.append((letter, start, end - start))
        column, start = {}, end
    for piece in ram.pieces:
        left = piece.n_frames
        while left:
            whole = left // per_column * per_column if at == start else 0
            n = whole or min(left, per_column - (at - start))
            column[piece.letter] = column.get(piece.letter, 0) + n
            at, left = at + n, left - n
            if at - start >= per_column:
                close(at)
    if column:
        close(at)
    for letter, first, n in found:
        yield letter, first, n, PURPOSES[letter]


def frames(n: int) -> str:
    return f"{n:,} frame{'' if n == 1 else 's'}"


def size(n_frames: int) -> str:
    """ "4 KiB", "1.5 MiB": of frames of 4096 bytes, to a tenth."""
    kib = 4 * n_frames
    for unit, name in ((1 << 20, "GiB"), (1 << 10, "MiB")):
        if kib >= unit:
            return f"{kib / unit:.1f}".removesuffix(".0") + f" {name}"
    return f"{kib} KiB"


def _legend(scene: Scene, ram: RamMap, y: float) -> float:
    """Letters, what they mean, and how much of RAM each is: all of it, summed. Returns the y below."""
    elements.rule(scene, y - 6)
    counts = ram.counts()
    entries = list(counts.items())
    half = (len(entries) + 1) // 2
    column_w = (elements.WIDTH_PT - 2 * MARGIN_PT) / 2
    top = y + 6
    with scene.group("legend"):
        for i, (letter, n) in enumerate(entries):
            x, at = MARGIN_PT + column_w * (i // half), top + 15.0 * (i % half)
            _box(scene, x, at - 6, _CELL_W, letter, ram, height=12)
            if letter != "-":
                scene.text(x + _CELL_W / 2, at, letter, style.SMALL_PT, "middle", _ink(letter, ram),
                            bold=letter in "SXL")
            scene.text(x + _CELL_W + 6, at, _meaning(letter, ram), style.SMALL_PT, bold=letter in ram.wrong)
            scene.text(x + column_w - 64, at, f"{n:,}", style.SMALL_PT, "end")
            scene.text(x + column_w - 10, at, size(n), style.SMALL_PT, "end", style.QUIET)
        y = top + 15 * half + 2
        total = sum(counts.values())
        x = MARGIN_PT + column_w
        scene.line([(x, y - 6), (x + column_w - 10, y - 6)], style.HAIRLINE, stroke_width=0.6)
        scene.text(x + _CELL_W + 6, y + 2, "all of RAM, frames", style.SMALL_PT, bold=True)
        scene.text(x + column_w - 64, y + 2, f"{total:,}", style.SMALL_PT, "end", bold=True)
        scene.text(x + column_w - 10, y + 2, size(total), style.SMALL_PT, "end", bold=True)
    return y + 10


def _meaning(letter: str, ram: RamMap) -> str:
    if letter == "L" and letter not in ram.wrong:
        return "no owner seen; not judged"
    return ("! " if letter in ram.wrong else "") + PURPOSES[letter]


def _notes(index: Index, ram: RamMap) -> list[str]:
    notes = []
    for letter, what in (("L", "lost"), ("X", "in use twice over")):
        pieces = [p for p in ram.pieces if p.letter == letter]
        if pieces:
            more = f", and {words.count(len(pieces) - 6, 'more run')}" if len(pieces) > 6 else ""
            sign = "! " if letter in ram.wrong else "as it stands, "
            notes.append(f"{sign}{what}: " + ", ".join(
                f"{p.pa:#x}" + (f" ({p.n_frames} frames)" if p.n_frames > 1 else "") for p in pieces[:6]) + more)
    notes += [f"not judged: {why}" for why in ram.why_not_judged]
    return notes + words.cautions(index)


def _description(layout: Layout, stop: str, ram: RamMap, notes: Sequence[str]) -> str:
    counts = ram.counts()
    lines = [stop + ".",
             f"RAM from {layout.ram_base:#x} to {layout.ram_end:#x}: "
             f"{words.count(sum(counts.values()), 'frame')}."]
    lines += [f"{'Wrong, ' if letter in ram.wrong else ''}{_meaning(letter, ram).removeprefix('! ')}: {words.count(n, 'frame')}."
              for letter, n in counts.items()]
    return " ".join([*lines, *(f"{note.rstrip('.')}." for note in notes)])

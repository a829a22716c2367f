"""Figures that are tables of cells with lines between them: what a cell says, and the cards that rows make."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Optional, Union

from . import elements, style
from .shapes import Band, Box, Dash, Line, Point, Scene, Text, shapes
from .text import text_width, wrap

ROW_PT = 18             # the height of a row of one line, and what a second line adds
LINE_PT = 11
CELL_PAD_PT = 8         # what a cell adds to its text
_LEADING = 1.16         # of the size of text: from line to line
_CORNER, _ARROW = 4.0, 7.0
_DASHES: dict[str, Optional[Dash]] = {"solid": None, "dashed": (4.0, 2.5), "dotted": (1.2, 2.2)}


@dataclass(frozen=True)
class Span:
    """Text of one look."""
    said: str
    size: float = style.FONT_PT
    bold: bool = False
    ink: str = style.INK


@dataclass(frozen=True)
class Said:
    """Lines of spans. a + b goes on in a's last line, a / b begins b on a line of its own."""
    lines: tuple[tuple[Span, ...], ...] = ()

    def __add__(self, other: Said) -> Said:
        if not self.lines or not other.lines:
            return self if self.lines else other
        return Said((*self.lines[:-1], self.lines[-1] + other.lines[0], *other.lines[1:]))

    def __truediv__(self, other: Said) -> Said:
        return Said(self.lines + other.lines)


def plain(said: Union[str, Sequence[str]], ink: str = style.INK, bold: bool = False, size: float = style.FONT_PT) -> Said:
    """A line of text, or several. What is empty says nothing."""
    lines = [said] if isinstance(said, str) else said
    return Said(tuple((Span(line, size, bold, ink),) for line in lines if line))


def strong(said: str, ink: str = style.INK) -> Said:
    return plain(said, ink, True)


def small(said: Union[str, Sequence[str]], ink: str = style.INK, bold: bool = False) -> Said:
    return plain(said, ink, bold, style.SMALL_PT)


def width_pt(n_chars: int) -> int:
    """The width of a cell that holds `n_chars` characters."""
    return CELL_PAD_PT + ceil(text_width(n_chars))


def n_chars(width: float, size_pt: float = style.FONT_PT) -> int:
    """How many characters of `size_pt` a cell of `width` points holds."""
    return int((width - CELL_PAD_PT) / text_width(1, size_pt))


@dataclass(frozen=True)
class Cell:
    """A cell of `width` points. fill: its ground; id and tip: what it is called, and its tooltip; divided: whether a line
    parts it from the next cell."""
    width: float
    said: Said
    align: str = "start"
    fill: Optional[str] = None
    id: Optional[str] = None
    tip: Optional[str] = None
    divided: bool = False


@dataclass(frozen=True)
class Row:
    height: float
    cells: Sequence[Cell]


@dataclass
class Grid:
    """Collects cards and lines; y may begin anywhere, finished() puts the heading above."""
    scene: Scene = field(default_factory=Scene)

    def card(self, name: str, x: float, y: float, rows: Sequence[Row], tip: str) -> float:
        """Rows in a border, their upper left corner at (x, y); all are as wide. Returns the y of the lower edge."""
        width, height = sum(c.width for c in rows[0].cells), sum(r.height for r in rows)
        first, last = (_ground(row) for row in (rows[0], rows[-1]))
        with self.scene.group(name, tip, "card"):
            self.scene.box(x, y, width, height, style.PAPER, rounded=True, head=Band(rows[0].height, first) if first else None,
                           foot=Band(rows[-1].height, last) if last and len(rows) > 1 else None)
            self._rows(x, y, rows, (first is not None, last is not None and len(rows) > 1))
            self.scene.box(x, y, width, height, stroke=style.QUIET, rounded=True, stroke_width=0.9)
        return y + height

    def row(self, name: str, x: float, y: float, cells: Sequence[Cell], tip: Optional[str] = None, height: float = ROW_PT) -> float:
        """Cells without a border; returns the y of their lower edge."""
        with self.scene.group(name, tip):
            self._cells(x, y, Row(height, cells))
        return y + height

    def line(self, points: Sequence[Point], tip: str, ink: str = style.INK, dash: str = "solid", width: float = 1.0,
             id_: Optional[str] = None) -> None:
        """An arrow along `points`."""
        with self.scene.group(id_, tip, "line"):
            self.scene.line(points, ink, stroke_width=width, radius=_CORNER, dash=_DASHES[dash], arrow=_ARROW)

    def legend(self, x: float, y: float, width: float, signs: Sequence[Said], notes: Sequence[str]) -> float:
        """A line for each of `signs`, then `notes`, wrapped; returns the y of its lower edge."""
        said = [*signs, *(small(line) for note in notes for line in wrap(note, n_chars(width, style.SMALL_PT)))]
        with self.scene.group("legend"):
            for one in said:
                _write(self.scene, one, x, y, width, elements.LINE_PT, "start")
                y += elements.LINE_PT
        return y

    def finished(self, title: str, below_title: Sequence[str]) -> Scene:
        """The whole, below its heading."""
        left, top, right, bottom = _bounds(self.scene)
        width = max(right - left, text_width(len(title), style.TITLE_PT)) + 2 * elements.MARGIN_PT
        scene = Scene()
        y = elements.heading(scene, title, below_title, width)
        scene.place(self.scene, elements.MARGIN_PT - left, y - top)
        return scene.sized(width, y + bottom - top + elements.MARGIN_PT)

    def _rows(self, x: float, y: float, rows: Sequence[Row], is_filled: tuple[bool, bool]) -> None:
        width = sum(c.width for c in rows[0].cells)
        for i, row in enumerate(rows):
            at = x
            for cell in row.cells:
                if cell.fill and not (i == 0 and is_filled[0]) and not (i == len(rows) - 1 and is_filled[1]):
                    self.scene.box(at, y, cell.width, row.height, cell.fill)
                at += cell.width
            if i:
                self.scene.line([(x, y), (x + width, y)], style.HAIRLINE, stroke_width=0.6)
            self._cells(x, y, row)
            y += row.height

    def _cells(self, x: float, y: float, row: Row) -> None:
        for cell in row.cells:
            if cell.id or cell.tip:
                with self.scene.group(cell.id, cell.tip):
                    _write(self.scene, cell.said, x, y, cell.width, row.height, cell.align)
            else:
                _write(self.scene, cell.said, x, y, cell.width, row.height, cell.align)
            x += cell.width
            if cell.divided:
                self.scene.line([(x, y), (x, y + row.height)], style.HAIRLINE, stroke_width=0.6)


def _ground(row: Row) -> Optional[str]:
    """The fill of a row, where all of its cells have the same."""
    fills = {cell.fill for cell in row.cells}
    return fills.pop() if len(fills) == 1 else None


def _write(scene: Scene, said: Said, x: float, y: float, width: float, height: float, align: str) -> None:
    """Lines in the middle of a space of that height."""
    sizes = [max(span.size for span in line) * _LEADING for line in said.lines]
    y += (height - sum(sizes)) / 2
    for line, size in zip(said.lines, sizes):
        length = sum(text_width(len(span.said), span.size) for span in line)
        at = x + {"start": CELL_PAD_PT / 2, "middle": (width - length) / 2, "end": width - CELL_PAD_PT / 2 - length}[align]
        for span in line:
            scene.text(at, y + size / 2, span.said, span.size, ink=span.ink, bold=span.bold)
            at += text_width(len(span.said), span.size)
        y += size


def _bounds(scene: Scene) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of all that is drawn."""
    xs, ys = [], []
    for shape in shapes(scene.parts):
        if isinstance(shape, Box):
            xs += [shape.x, shape.x + shape.width]
            ys += [shape.y, shape.y + shape.height]
        elif isinstance(shape, Line):
            xs += [x for x, _ in shape.points]
            ys += [y for _, y in shape.points]
        elif isinstance(shape, Text):
            width = text_width(len(shape.said), shape.size)
            xs += [shape.x, shape.x + width]
            ys += [shape.middle - shape.size / 2, shape.middle + shape.size / 2]
    return min(xs), min(ys), max(xs), max(ys)

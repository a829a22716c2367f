"""Figures whose places we choose: a grid of tables and lines with corners, drawn by dot as it is told.

x goes right and y down, in points. Graphviz's nop2 lays nothing out, so such a figure is as
quick as it is large.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .dot import quoted
from .label import cell, graph, legend_lines, node, small

ROW_PT = 18             # the height of a row of one line, and what a second line adds
LINE_PT = 11
CORNER_PT = 4
ARROW_PT = 7            # an arrow head's length

Point = tuple[float, float]


@dataclass(frozen=True)
class Cell:
    """A cell of `width` points; `attributes` are those of dot's <TD>."""
    width: int
    markup: str
    attributes: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Row:
    height: int
    cells: Sequence[Cell]


def left(width: int, markup: str, **attributes: object) -> Cell:
    return Cell(width, markup, {"ALIGN": "LEFT", "BALIGN": "LEFT", **attributes})


def told(name: str, tip: str) -> dict[str, str]:
    """What a cell needs to keep its tooltip: a name, and a link, here to itself."""
    return {"TOOLTIP": tip, "ID": name, "HREF": f"#a_{name}"}


class Canvas:
    """Collects boxes and lines, in the order in which they are drawn."""

    def __init__(self) -> None:
        self._body: list[str] = []

    def table(self, name: str, x: float, y: float, rows: Sequence[Row], tip: str) -> float:
        """A table whose top left corner is at (x, y); returns the y of its lower edge. All rows are as wide."""
        width, height = sum(c.width for c in rows[0].cells), sum(r.height for r in rows)
        made = ["".join(cell(c.markup, FIXEDSIZE="TRUE", WIDTH=c.width, HEIGHT=r.height,
                             **{"CELLPADDING": 2, **c.attributes}) for c in r.cells) for r in rows]
        self._body.append(node(name, made, tip, {"pos": f"{x + width / 2:g},{-(y + height / 2):g}",
                                                 "width": f"{width / 72:.4f}", "height": f"{height / 72:.4f}"}))
        return y + height

    def words(self, name: str, x: float, y: float, width: int, markup: str, tip: str, n_lines: int = 1,
              **attributes: object) -> float:
        """Text without a border; returns the y of its lower edge."""
        height = ROW_PT + (n_lines - 1) * LINE_PT
        return self.table(name, x, y, [Row(height, [left(width, markup, BORDER=0, **attributes)])], tip)

    def line(self, tail: str, head: str, points: Sequence[Point], tip: str, arrow: bool = True,
             **attributes: object) -> None:
        """A line through `points`, its corners rounded; `tail` and `head` name the boxes it joins."""
        settings = "".join(f", {key}={quoted(str(value))}" for key, value in attributes.items())
        self._body.append(f'{quoted(tail)} -> {quoted(head)} [pos="{_spline(points, arrow)}", '
                          f'tooltip={quoted(tip)}{"" if arrow else ", dir=none"}{settings}];')

    def legend(self, x: float, y: float, width: int, signs: Sequence[str], notes: Sequence[str]) -> float:
        """A line of markup for each of `signs`, then `notes`, wrapped; returns the y of its lower edge."""
        made = legend_lines(signs, notes, width)
        return self.words("legend", x, y, width,
                          small("".join(made)), "legend", len(made))

    def dot(self, name: str, title: str, below_title: Sequence[str]) -> str:
        return graph(name, title, below_title, self._body, layout="nop2", outputorder="edgesfirst")


def _spline(points: Sequence[Point], arrow: bool) -> str:
    """The points of dot's piecewise Bezier curve: straight pieces, and a bend at each corner."""
    ends = list(points)
    tip = ends[-1]
    if arrow:
        ends[-1] = _towards(tip, ends[-2], ARROW_PT)
    made = [ends[0]]
    for before, corner, after in zip(ends, ends[1:], ends[2:]):
        entry, leave = _towards(corner, before, CORNER_PT), _towards(corner, after, CORNER_PT)
        made += [made[-1], entry, entry, corner, corner, leave]
    made += [made[-1], ends[-1], ends[-1]]
    text = " ".join(f"{x:g},{-y:g}" for x, y in made)
    return f"e,{tip[0]:g},{-tip[1]:g} {text}" if arrow else text


def _towards(a: Point, b: Point, distance: float) -> Point:
    """The point at `distance` from `a` on the way to `b`, at most half way."""
    length = ((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) ** 0.5
    part = min(distance / length, 0.5) if length else 0
    return a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part

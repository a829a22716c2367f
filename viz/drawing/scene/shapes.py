"""What a figure shows, at places that the figure chooses: boxes, lines, discs and text, in pt.

x grows to the right and y downwards, from the page's upper left corner. Things are drawn in the order in which
they were added. Every character of the font is as wide as every other, so the width of text is known. A scene is
written as DOT (dot.py), from which Graphviz makes files, or as SVG at once (svg.py), for pages that draw many pictures.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Optional, Union

from . import style

Point = tuple[float, float]
Dash = tuple[float, float]      # lengths of ink and of gap

RADIUS = 4.0


@dataclass(frozen=True)
class Hatch:
    """Parallel lines at 45 degrees, on top of a fill. step: from line to line."""
    ink: str
    step: float
    width: float


@dataclass(frozen=True)
class Band:
    """The head or the foot of a box, in a colour of its own."""
    height: float
    fill: str


@dataclass(frozen=True)
class Box:
    """A rectangle. Corners that are rounded have RADIUS, as Graphviz's have, or less in a small box. No stroke, no border."""
    x: float
    y: float
    width: float
    height: float
    fill: Optional[str] = None
    stroke: Optional[str] = None
    stroke_width: float = 1.0
    rounded: bool = False
    dash: Optional[Dash] = None
    head: Optional[Band] = None
    foot: Optional[Band] = None
    hatch: Optional[Hatch] = None


@dataclass(frozen=True)
class Line:
    """A line along points; its corners are rounded where its legs are horizontal or vertical. arrow: the length of the
    head at its last point, or 0. Dashes are counted from its first point."""
    points: tuple[Point, ...]
    stroke: str
    stroke_width: float = 1.0
    radius: float = 0.0
    dash: Optional[Dash] = None
    arrow: float = 0.0


@dataclass(frozen=True)
class Disc:
    x: float
    y: float
    radius: float
    fill: str
    stroke: str
    stroke_width: float = 1.0
    dash: Optional[Dash] = None


@dataclass(frozen=True)
class Text:
    """One line of text. x: its left end, its middle or its right end, as `anchor` says ("start", "middle", "end");
    middle: the y of the middle of the line."""
    x: float
    middle: float
    said: str
    size: float = style.FONT_PT
    anchor: str = "start"
    ink: str = style.INK
    bold: bool = False
    italic: bool = False


@dataclass(frozen=True)
class Group:
    """Things that belong together. id: unique in the scene, or None; tip: a tooltip; kind: what sort of thing it is."""
    id: Optional[str]
    tip: Optional[str]
    kind: Optional[str]
    parts: tuple[Part, ...]


Shape = Union[Box, Line, Disc, Text]
Part = Union[Shape, Group]


class Scene:
    """Collects what is drawn. `parts` are in the order of drawing."""

    def __init__(self) -> None:
        self.parts: list[Part] = []
        self.width = self.height = 0.0

    def sized(self, width: float, height: float) -> Scene:
        """This scene, on white paper of that size in pt."""
        self.width, self.height = float(width), float(height)
        return self

    @contextmanager
    def group(self, id_: Optional[str] = None, tip: Optional[str] = None, kind: Optional[str] = None) -> Iterator[None]:
        """What is added inside belongs together, has an id and a tooltip."""
        outside, self.parts = self.parts, []
        try:
            yield
        finally:
            inside, self.parts = self.parts, outside
            self.parts.append(Group(id_, tip, kind, tuple(inside)))

    def box(self, x: float, y: float, width: float, height: float, fill: Optional[str] = None, stroke: Optional[str] = None,
            tip: Optional[str] = None, *, stroke_width: float = 1.0, rounded: bool = False, dash: Optional[Dash] = None,
            head: Optional[Band] = None, foot: Optional[Band] = None, hatch: Optional[Hatch] = None) -> None:
        """See Box. tip: a tooltip of its own."""
        made = Box(x, y, width, height, fill, stroke, stroke_width, rounded, dash, head, foot, hatch)
        self.parts.append(made if tip is None else Group(None, tip, None, (made,)))

    def line(self, points: Sequence[Point], stroke: str, *, stroke_width: float = 1.0, radius: float = 0.0,
             dash: Optional[Dash] = None, arrow: float = 0.0) -> None:
        """See Line."""
        self.parts.append(Line(tuple(points), stroke, stroke_width, radius, dash, arrow))

    def disc(self, x: float, y: float, radius: float, fill: str, stroke: str, *, stroke_width: float = 1.0,
             dash: Optional[Dash] = None) -> None:
        """See Disc."""
        self.parts.append(Disc(x, y, radius, fill, stroke, stroke_width, dash))

    def text(self, x: float, middle: float, said: str, size: float = style.FONT_PT, anchor: str = "start",
             ink: str = style.INK, *, bold: bool = False, italic: bool = False) -> None:
        """See Text. What is empty is not drawn."""
        if said:
            self.parts.append(Text(x, middle, said, size, anchor, ink, bold, italic))

    def place(self, other: Scene, x: float, y: float, scale: float = 1.0, prefix: str = "") -> None:
        """The parts of another scene, its upper left corner at (x, y); its ids begin with prefix."""
        self.parts += [_moved(part, x, y, scale, prefix) for part in other.parts]


def shapes(parts: Sequence[Part]) -> Iterator[Shape]:
    """The shapes of `parts` and of the groups among them, in the order of drawing."""
    for part in parts:
        if isinstance(part, Group):
            yield from shapes(part.parts)
        else:
            yield part


def _moved(part: Part, dx: float, dy: float, k: float, prefix: str) -> Part:
    if isinstance(part, Group):
        return Group(part.id and prefix + part.id, part.tip, part.kind,
                     tuple(_moved(inner, dx, dy, k, prefix) for inner in part.parts))
    if isinstance(part, Text):
        return replace(part, x=dx + k * part.x, middle=dy + k * part.middle, size=k * part.size)
    stroke_width, dash = k * part.stroke_width, part.dash and (k * part.dash[0], k * part.dash[1])
    if isinstance(part, Line):
        return replace(part, points=tuple((dx + k * x, dy + k * y) for x, y in part.points), arrow=k * part.arrow,
                       radius=k * part.radius, stroke_width=stroke_width, dash=dash)
    x, y = dx + k * part.x, dy + k * part.y
    if isinstance(part, Disc):
        return replace(part, x=x, y=y, radius=k * part.radius, stroke_width=stroke_width, dash=dash)
    hatch = part.hatch and replace(part.hatch, step=k * part.hatch.step, width=k * part.hatch.width)
    return replace(part, x=x, y=y, width=k * part.width, height=k * part.height, stroke_width=stroke_width, dash=dash,
                   hatch=hatch, head=_band(part.head, k), foot=_band(part.foot, k))


def _band(band: Optional[Band], k: float) -> Optional[Band]:
    return band and replace(band, height=k * band.height)

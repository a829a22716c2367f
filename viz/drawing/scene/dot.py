"""A scene as DOT, every place given: Graphviz's nop2 lays nothing out, and renders it as SVG, PDF and PNG.

A shape is one statement or a few. A line is an edge from a hidden node to itself, since `outputorder=breadthfirst`
draws statements in their order: a node, then its edges. All is drawn three times as large and scaled back by `size`:
Graphviz rounds corners by 12 units, whatever the size. `style=dashed` differs between SVG and PDF, so dashes are drawn
piece by piece.
"""
from __future__ import annotations

import unicodedata
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from typing import Optional

from . import outline, style, svg
from .outline import Curve
from .shapes import RADIUS, Box, Disc, Group, Line, Part, Point, Scene, Shape, Text, shapes
from .svg import number
from .text import in_dot, quoted, text_width

SCALE = 3
FAMILY = style.SVG_FONTS.replace("'", "")
_FONTS = {(bold, italic): FAMILY + " Bold" * bold + " Oblique" * italic for bold in (False, True) for italic in (False, True)}
_LINE_HEIGHT = 1.4      # of the size of text: less, and Graphviz warns
_BASELINE = 0.25        # of the size of text: where Graphviz puts the baseline of one line, below the middle of its node
_SVG = "{http://www.w3.org/2000/svg}"
_DRAWN = {_SVG + name for name in ("path", "polygon", "polyline", "ellipse", "text", "defs")}


def write(scene: Scene, title: str) -> str:
    """The whole as DOT."""
    writer = _Writer(scene.height)
    body = "\n".join(writer.statements(scene.parts, None))
    size = f"{scene.width / 72:.6f},{scene.height / 72:.6f}"
    paper = _settings(shape="box", style="filled", fillcolor=style.PAPER, penwidth=0, **writer.place(0, 0, scene.width, scene.height))
    return f"""digraph {quoted(title)} {{
graph [layout=nop2, outputorder=breadthfirst, bgcolor="{style.PAPER}", pad=0, margin=0, size="{size}"];
node [label="", fixedsize=true, margin=0, style="", fontname="{FAMILY}", fontsize={number(style.FONT_PT * SCALE)}];
edge [dir=none];
paper [{paper}];
{body}
}}
"""


class _Writer:
    """Shapes as statements; every shape has a number, and its statements' ids begin with it."""

    def __init__(self, height: float) -> None:
        self._height = height
        self._n = 0

    def statements(self, parts: Sequence[Part], within: Optional[Group]) -> Iterator[str]:
        for part in parts:
            if isinstance(part, Group):
                yield from self.statements(part.parts, part if part.tip is not None or within is None else within)
                continue
            self._n += 1
            what = (within.tip or within.id or within.kind) if within else None
            for i, (name, settings) in enumerate(self._shape(part)):
                about = {"id": f"s{self._n}.{i}", "tooltip": what or "\u200b"}
                node = quoted(f"{what or 'figure'} {self._n}.{i}")
                if name == "node":
                    yield f"{node} [{_settings(**settings, **about)}];"
                else:
                    yield f"{node} [shape=point, style=invis, width=0, height=0, pos=\"0,0\"]; " \
                          f"{node} -> {node} [{_settings(**settings, **about)}];"

    def place(self, x: float, y: float, width: float, height: float) -> dict[str, str]:
        """Where a node of that upper left corner and size is."""
        return {"pos": self._point((x + width / 2, y + height / 2)), "width": f"{width * SCALE / 72:.5f}",
                "height": f"{height * SCALE / 72:.5f}"}

    def _point(self, point: Point) -> str:
        return f"{number(point[0] * SCALE)},{number((self._height - point[1]) * SCALE)}"

    def _shape(self, shape: Shape) -> Iterator[tuple[str, dict[str, object]]]:
        if isinstance(shape, Box):
            return self._box(shape)
        if isinstance(shape, Line):
            return self._line(shape)
        return self._disc(shape) if isinstance(shape, Disc) else self._text(shape)

    def _box(self, box: Box) -> Iterator[tuple[str, dict[str, object]]]:
        apart = bool(box.dash or box.foot or box.hatch)     # the border is drawn after what lies on the fill
        looks = ["rounded"] * box.rounded
        pen = {"color": box.stroke, "penwidth": box.stroke_width * SCALE} if box.stroke else {"penwidth": 0}
        if box.fill or box.head:
            fill = box.fill or style.PAPER
            if box.head:
                fill = f"{box.head.fill};{box.head.height / box.height:.4f}:{fill}"
            yield "node", {"shape": "box", "style": ",".join([*looks, "filled"]), "fillcolor": fill,
                           "gradientangle": 270 if box.head else None,
                           **({"penwidth": 0} if apart else pen), **self.place(box.x, box.y, box.width, box.height)}
        if box.hatch and (hatching := outline.hatching(box)):   # a small box has no room for any
            yield "edge", {"pos": self._pieces([list(ends) for ends in hatching]), "color": box.hatch.ink,
                           "penwidth": box.hatch.width * SCALE}
        if box.foot:
            # Corners as round as the box's, and only at the foot, where no hatch would be covered.
            height = min(box.height, box.foot.height + (0 if box.hatch else 2 * RADIUS))
            meet = box.head is not None and box.head.height + box.foot.height > box.height - 0.5
            above = box.head.fill if box.head and meet else box.fill or style.PAPER
            fill = f"{above};{1 - box.foot.height / height:.4f}:{box.foot.fill}" if height > box.foot.height else box.foot.fill
            yield "node", {"shape": "box", "style": ",".join([*looks, "filled"]), "fillcolor": fill, "gradientangle": 270, "penwidth": 0,
                           **self.place(box.x, box.y + box.height - height, box.width, height)}
        if box.stroke and box.dash:
            yield "edge", {"pos": self._pieces(outline.dashes(outline.of_box(box), box.dash)), **pen}
        elif box.stroke and (apart or not (box.fill or box.head)):
            yield "node", {"shape": "box", "style": ",".join(looks), **pen, **self.place(box.x, box.y, box.width, box.height)}

    def _line(self, line: Line) -> Iterator[tuple[str, dict[str, object]]]:
        pen = {"color": line.stroke, "penwidth": line.stroke_width * SCALE}
        curves = outline.of_line(line)
        if line.dash:
            yield "edge", {"pos": self._pieces(outline.dashes(curves, line.dash)), **pen}
        else:
            yield "edge", {"pos": self._spline(curves), **pen}
        if line.arrow:
            base, tip = outline.arrow_base(line), line.points[-1]
            short = (base[0] * 1.01 - tip[0] * 0.01, base[1] * 1.01 - tip[1] * 0.01)
            yield "edge", {"pos": f"e,{self._point(tip)} " + self._spline([outline.straight(short, base)]), "dir": "forward",
                           "arrowsize": line.arrow * SCALE / 10, "color": line.stroke, "penwidth": SCALE}

    def _disc(self, disc: Disc) -> Iterator[tuple[str, dict[str, object]]]:
        pen = {"color": disc.stroke, "penwidth": disc.stroke_width * SCALE}
        yield "node", {"shape": "circle", "style": "filled", "fillcolor": disc.fill, **({"penwidth": 0} if disc.dash else pen),
                       **self.place(disc.x - disc.radius, disc.y - disc.radius, 2 * disc.radius, 2 * disc.radius)}
        if disc.dash:
            yield "edge", {"pos": self._pieces(outline.dashes(outline.of_disc(disc), disc.dash)), **pen}

    def _text(self, said: Text) -> Iterator[tuple[str, dict[str, object]]]:
        width = text_width(_n_cells(said.said), said.size) * 1.02 + 2       # too narrow, and Graphviz moves it
        x = said.x - {"start": 0, "middle": width / 2, "end": width}[said.anchor]
        font = _FONTS[said.bold, said.italic]
        height = _LINE_HEIGHT * said.size
        y = said.middle + (svg.BASELINE - _BASELINE) * said.size - height / 2
        yield "node", {"shape": "none", "label": _Label(said.said, {"start": "\\l", "middle": "", "end": "\\r"}[said.anchor]),
                       "fontsize": said.size * SCALE, "fontname": None if font == FAMILY else font,
                       "fontcolor": None if said.ink == style.INK else said.ink, **self.place(x, y, width, height)}

    def _pieces(self, pieces: Sequence[Sequence[Point]]) -> str:
        return ";".join(self._spline([outline.straight(a, b) for a, b in zip(piece, piece[1:])]) for piece in pieces)

    def _spline(self, curves: Sequence[Curve]) -> str:
        return " ".join([self._point(curves[0].start), *(self._point(p) for c in curves for p in c[1:])])


class _Label(str):
    """A label's text and how its line ends, escaped once."""

    def __new__(cls, said: str, end: str) -> "_Label":
        return super().__new__(cls, f'"{in_dot(said)}{end}"')


def _settings(**settings: object) -> str:
    return ", ".join(f"{key}={_value(value)}" for key, value in settings.items() if value is not None)


def _value(value: object) -> str:
    if isinstance(value, _Label):
        return value
    return number(value) if isinstance(value, (int, float)) else quoted(str(value))


def _n_cells(said: str) -> int:
    """The width of a text in characters of the font; those of East Asian scripts have two (Unicode, UAX #11)."""
    return sum(1 + (unicodedata.east_asian_width(c) in "WF") for c in said)


def finished(rendered: bytes, scene: Scene) -> ET.Element:
    """Graphviz's SVG of a scene, its parts in the scene's own groups, under the root that scene_svg makes."""
    source = ET.fromstring(rendered)
    drawn: dict[int, list[ET.Element]] = {}
    for group in source.iter(_SVG + "g"):
        name = group.get("id", "")
        if name.startswith("s") and name[1:].partition(".")[0].isdigit():
            drawn.setdefault(int(name[1:].partition(".")[0]), []).extend(_plain(e) for e in group.iter() if e.tag in _DRAWN)
    root = svg.write(Scene().sized(scene.width, scene.height))
    inside = ET.SubElement(root, "g", transform=f"translate(0 {number(scene.height)}) scale({1 / SCALE:.6f})")
    _regroup(inside, scene.parts, drawn, iter(range(1, 1 + sum(1 for _ in shapes(scene.parts)))))
    return root


def _regroup(parent: ET.Element, parts: Sequence[Part], drawn: dict[int, list[ET.Element]], numbers: Iterator[int]) -> None:
    for part in parts:
        if isinstance(part, Group):
            _regroup(svg.group_element(parent, part), part.parts, drawn, numbers)
        else:
            parent.extend(drawn.get(next(numbers), []))


def _plain(element: ET.Element) -> ET.Element:
    """Without its namespace, and what scene_svg says in another way said in its."""
    for e in element.iter():
        e.tag = e.tag.removeprefix(_SVG)
        e.tail = None
        if e.get("stroke") == "transparent":    # SVG 1.1 does not know it
            e.set("stroke", "none")
    font = element.attrib.pop("font-family", None)
    if font is not None:
        element.text = svg.spaced((element.text or "").replace("\xa0", " "))
        for style_, attribute, value in (("Bold", "font-weight", "bold"), ("Oblique", "font-style", "italic")):
            if style_ in font.removeprefix(FAMILY):
                element.set(attribute, value)
        if element.get("text-anchor") == "start":
            del element.attrib["text-anchor"]
    return element

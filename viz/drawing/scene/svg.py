"""A scene as SVG at once, without Graphviz: for pages that hold, or draw, many pictures."""
from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Optional

from . import outline, style
from .outline import Curve
from .shapes import Box, Disc, Group, Line, Part, Scene, Shape, Text
from .text import printable

BASELINE = 0.36         # of the size of text, from the middle of its line down to its baseline
HEAD = 0.35             # of an arrow head's length: half its width, as in Graphviz


def write(scene: Scene) -> ET.Element:
    """The root of an SVG document, in no XML namespace."""
    root = ET.Element("svg", width=f"{number(scene.width)}pt", height=f"{number(scene.height)}pt",
                      viewBox=f"0 0 {number(scene.width)} {number(scene.height)}")
    root.set("font-family", style.SVG_FONTS)
    root.set("font-size", str(style.FONT_PT))
    ET.SubElement(root, "rect", width=number(scene.width), height=number(scene.height), fill=style.PAPER)
    _write(root, scene.parts)
    return root


def standing_alone(root: ET.Element, title: str, description: str) -> bytes:
    """The document whose root write() or dot.finished() made, titled and described for screen readers (SVG-AAM 1.0)."""
    root.set("xmlns", "http://www.w3.org/2000/svg")
    root[:0] = [_said("title", "title", title), _said("desc", "description", description)]
    root.attrib.update({"role": "img", "aria-labelledby": "title description"})
    made: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return made + b"\n"


def inlined(scene: Scene, description: str, prefix: str, label: str) -> ET.Element:
    """The scene as a part of a page, in no XML namespace; its ids begin with `prefix`, `label` is its name."""
    root = write(scene)
    for element in root.iter():
        if name := element.get("id"):
            element.set("id", prefix + name)
    _describe(root, description, prefix, label)
    return root


def text(scene: Scene, description: str, prefix: str, label: str) -> str:
    """What inlined() makes, written out. What was drawn in the same place before is not written again: of one picture after the
    other most is the same."""
    root = write(Scene().sized(scene.width, scene.height))
    _describe(root, description, prefix, label)
    return ET.tostring(root, encoding="unicode").removesuffix("</svg>") + "".join(_texts(scene.parts, prefix)) + "</svg>"


def _describe(root: ET.Element, description: str, prefix: str, label: str) -> None:
    name = f"{prefix}description"
    root.insert(0, _said("desc", name, description))
    root.attrib.update({"role": "img", "aria-label": label, "aria-describedby": name})


def _texts(parts: Sequence[Part], prefix: str) -> Iterator[str]:
    for part in parts:
        if isinstance(part, Group):
            yield _group_text(part.id and prefix + part.id, part.tip, part.kind)
            yield from _texts(part.parts, prefix)
            yield "</g>"
        else:
            yield _shape_text(part)


@lru_cache(maxsize=1 << 13)
def _group_text(id_: Optional[str], tip: Optional[str], kind: Optional[str]) -> str:
    """A group's element as far as what is in it."""
    made = group_element(ET.Element("g"), Group(id_, tip, kind, ()))
    return ET.tostring(made, encoding="unicode", short_empty_elements=False).removesuffix("</g>")


@lru_cache(maxsize=1 << 14)
def _shape_text(shape: Shape) -> str:
    above = ET.Element("g")
    _write(above, [shape])
    return "".join(ET.tostring(one, encoding="unicode") for one in above)


def _said(tag: str, name: str, said: str) -> ET.Element:
    made = ET.Element(tag, id=name)
    made.text = printable(said)
    return made


@lru_cache(maxsize=4096)    # a page draws the same places again and again
def number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def group_element(parent: ET.Element, group: Group) -> ET.Element:
    """The element of a group, with its tooltip."""
    made = ET.SubElement(parent, "g", _given(id=group.id, class_=group.kind))
    if group.tip is not None:
        ET.SubElement(made, "title").text = printable(group.tip)
    return made


def spaced(said: str) -> str:
    """Text whose blanks no reader of SVG joins or drops."""
    return re.sub("^ +| {2,}| +$", lambda m: "\xa0" * len(m[0]), printable(said))


def _write(parent: ET.Element, parts: Sequence[Part]) -> None:
    for part in parts:
        if isinstance(part, Group):
            _write(group_element(parent, part), part.parts)
        elif isinstance(part, Box):
            _box(parent, part)
        elif isinstance(part, Line):
            _line(parent, part)
        elif isinstance(part, Disc):
            _disc(parent, part)
        else:
            _text(parent, part)


def _box(parent: ET.Element, box: Box) -> None:
    bottom = box.y + box.height
    bands = [(band, y) for band, y in ((box.head, box.y), (box.foot, bottom - (box.foot.height if box.foot else 0))) if band]
    if not bands and not box.hatch:
        _rect(parent, box, box.fill, **_pen(box))
        return
    _rect(parent, box, box.fill)
    if box.hatch and (hatching := outline.hatching(box)):
        d = "".join(_path([outline.straight(*ends)]) for ends in hatching)
        _element(parent, "path", d=d, fill="none", stroke=box.hatch.ink, stroke_width=number(box.hatch.width))
    for band, y in bands:
        _element(parent, "path", d=_path(outline.of_band(box, y, band.height), True), fill=band.fill)
    if box.stroke:
        _rect(parent, box, None, **_pen(box))


def _rect(parent: ET.Element, box: Box, fill: Optional[str], **pen: object) -> None:
    _element(parent, "rect", x=number(box.x), y=number(box.y), width=number(box.width), height=number(box.height),
             rx=number(outline.corner_radius(box)) if box.rounded else None, fill=fill or "none", **pen)


def _line(parent: ET.Element, line: Line) -> None:
    _element(parent, "path", d=_path(outline.of_line(line)), fill="none", **_pen(line))
    if line.arrow:
        (bx, by), (tx, ty) = outline.arrow_base(line), line.points[-1]
        across = ((ty - by) * HEAD, (bx - tx) * HEAD)
        points = [(bx + across[0], by + across[1]), (tx, ty), (bx - across[0], by - across[1])]
        _element(parent, "polygon", points=" ".join(f"{number(x)},{number(y)}" for x, y in points), fill=line.stroke, stroke=line.stroke)


def _disc(parent: ET.Element, disc: Disc) -> None:
    _element(parent, "circle", cx=number(disc.x), cy=number(disc.y), r=number(disc.radius), fill=disc.fill, **_pen(disc))


def _text(parent: ET.Element, text: Text) -> None:
    made = _element(parent, "text", x=number(text.x), y=number(text.middle + BASELINE * text.size), font_size=number(text.size),
                    text_anchor=None if text.anchor == "start" else text.anchor, fill=None if text.ink == style.INK else text.ink,
                    font_weight="bold" if text.bold else None, font_style="italic" if text.italic else None)
    made.text = spaced(text.said)


def _pen(shape: Box | Line | Disc) -> dict[str, object]:
    if not shape.stroke:
        return {}
    return {"stroke": shape.stroke, "stroke_width": number(shape.stroke_width),
            "stroke_dasharray": shape.dash and " ".join(map(number, shape.dash))}


def _path(curves: Sequence[Curve], closed: bool = False) -> str:
    d = "M{} {}".format(*map(number, curves[0].start))
    for c in curves:
        d += "L{} {}".format(*map(number, c.end)) if c.is_straight else \
            "C{} {} {} {} {} {}".format(*(number(v) for point in c[1:] for v in point))
    return d + ("Z" if closed else "")


def _element(parent: ET.Element, name: str, **settings: object) -> ET.Element:
    return ET.SubElement(parent, name, _given(**settings))


def _given(**settings: object) -> dict[str, str]:
    return {key.rstrip("_").replace("_", "-"): printable(str(value)) for key, value in settings.items() if value is not None}

"""Reads SVG of our own back as a person would: what is written where, what is cut, what lies on what."""
from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "viz"))

from drawing.figures import Drawing             # noqa: E402
from drawing.scene import shapes, style, svg    # noqa: E402

SVG = "{http://www.w3.org/2000/svg}"
CHAR = 0.602            # of a text's size: the advance of DejaVu Sans Mono
LEAST_PT = 8.7          # at style.MAX_WIDTH_PT, which 16 cm of paper shrink to 7 pt


@dataclass(frozen=True)
class Text:
    """A line of text and the box that its characters fill, in pt."""
    said: str
    left: float
    top: float
    right: float
    bottom: float
    size: float


def svg_of(one: Drawing) -> bytes:
    """The figure as SVG at once: test_scene.py shows that Graphviz's has the same words at the same places."""
    return svg.standing_alone(svg.write(one.scene), one.title, one.description)


def _said(text: ET.Element) -> str:
    return (text.text or "").replace("\xa0", " ")


def root_of(svg: bytes | str) -> ET.Element:
    return ET.fromstring(svg)


def page_size(svg: bytes | str) -> tuple[float, float]:
    root = root_of(svg)
    return float(root.get("width").removesuffix("pt")), float(root.get("height").removesuffix("pt"))


def texts(svg: bytes | str) -> list[Text]:
    """Every line of text, upright ones too."""
    return list(_texts(root_of(svg), 10.0))


def _texts(element: ET.Element, size: float) -> Iterator[Text]:
    size = float(element.get("font-size", size))
    moved = re.fullmatch(r"translate\(0 (\S+)\) scale\((\S+)\)", element.get("transform", ""))
    if moved:       # Graphviz has the origin at the lower left, and is told a larger scale
        dy, k = float(moved[1]), float(moved[2])
        for child in element:
            for t in _texts(child, size):
                yield Text(t.said, k * t.left, k * t.top + dy, k * t.right, k * t.bottom + dy, k * t.size)
        return
    if element.tag == SVG + "text":
        x, y = float(element.attrib["x"]), float(element.attrib["y"])
        width = len(_said(element)) * CHAR * size
        left = x - {"end": width, "middle": width / 2}.get(element.get("text-anchor", "start"), 0)
        box = (left, y - 0.73 * size, left + width, y + 0.2 * size)
        yield Text(_said(element), *box, size)
    for child in element:
        yield from _texts(child, size)


def assert_readable(svg: bytes | str, max_width: float) -> None:
    """Nothing is cut by the page's edge, no text lies on other text, and none is too small."""
    width, height = page_size(svg)
    assert width <= max_width
    found = texts(svg)
    assert found
    for t in found:
        assert t.left >= 0 and t.right <= width + 0.5 and t.top >= 0 and t.bottom <= height, f"cut: {t}"
        assert t.size >= LEAST_PT, f"small: {t}"
    found.sort(key=lambda t: t.top)
    for i, a in enumerate(found):
        for b in found[i + 1:]:
            if b.top >= a.bottom - 0.5:
                break
            assert a.right <= b.left + 0.5 or b.right <= a.left + 0.5, f"{a} lies on {b}"


def groups(svg: bytes | str) -> dict[str, str]:
    """By id, the lines of text of each group that has one; "notes": the lines below the figure."""
    found: dict[str, list[str]] = {}
    for g in root_of(svg).iter(SVG + "g"):
        name = g.get("id") or ("notes" if g.get("class") == "notes" else None)
        if name:
            found.setdefault(name, []).extend(_said(t) for t in g.iter(SVG + "text"))
    return {name: "\n".join(said) for name, said in found.items()}


def tips(svg: bytes | str) -> dict[str, str]:
    """By id, each group's tooltip."""
    return {g.attrib["id"]: g[0].text or "" for g in root_of(svg).iter(SVG + "g")
            if g.get("id") and len(g) and g[0].tag == SVG + "title"}


def numbers(said: str) -> list[int]:
    """The decimal numbers that a text has."""
    return [int(n) for n in re.findall(r"(?<![\w.])\d+(?!\w)", said)]


def sentences(one: Drawing) -> list[str]:
    return re.split(r"(?<=\.) ", one.description)


def told(figures: Mapping[str, Drawing], without: tuple[str, ...] = ()) -> str:
    """All that each of `figures` says, for a golden file: its title and description, sentence by sentence, and what
    stands in the picture, a line to each group whose name does not begin with one of `without`. What a figure before it said is left out."""
    said: dict[str, None] = {}
    for name, one in figures.items():
        said.update(dict.fromkeys([f"\n# {name}", one.title, *sentences(one)]))
        for part in one.scene.parts:
            called = (part.id or part.kind) if isinstance(part, shapes.Group) else None
            if isinstance(part, shapes.Group) and called and not called.startswith(without):
                texts = [shape.said for shape in shapes.shapes(part.parts) if isinstance(shape, shapes.Text)]
                said.update({f"{called}: {' | '.join(texts)}": None} if texts else {})
    return "\n".join(said) + "\n"


def rects(svg: bytes | str) -> dict[str, tuple[float, float, float, float]]:
    """By id, (x, y, width, height) of the first rectangle of each group."""
    found = {}
    for g in root_of(svg).iter(SVG + "g"):
        rect = g.find(SVG + "rect")
        if g.get("id") and rect is not None:
            x, y, width, height = (float(rect.attrib[k]) for k in ("x", "y", "width", "height"))
            found[g.attrib["id"]] = (x, y, width, height)
    return found


def all_texts(one: shapes.Scene) -> list[shapes.Text]:
    return [shape for shape in shapes.shapes(one.parts) if isinstance(shape, shapes.Text)]


def lines(one: shapes.Scene) -> list[tuple[str, shapes.Line]]:
    """Every line inside a group that has a tooltip, with it."""
    found: list[tuple[str, shapes.Line]] = []

    def look(parts: tuple, tip: str) -> None:
        for part in parts:
            if isinstance(part, shapes.Group):
                look(part.parts, part.tip or tip)
            elif isinstance(part, shapes.Line) and part.arrow and tip:
                found.append((tip, part))
    look(tuple(one.parts), "")
    return found


def places(one: shapes.Scene) -> dict[str, tuple[float, float]]:
    """By id of a group, x and y of the first text in it."""
    found: dict[str, tuple[float, float]] = {}

    def look(parts: tuple) -> None:
        for part in parts:
            if isinstance(part, shapes.Group):
                first = next((s for s in shapes.shapes(part.parts) if isinstance(s, shapes.Text)), None)
                if part.id and first:
                    found[part.id] = (first.x, first.middle)
                look(part.parts)
    look(tuple(one.parts))
    return found


def ground(one: shapes.Scene, x: float, y: float) -> str:
    """The fill that lies on top at a place."""
    found = style.PAPER
    for shape in shapes.shapes(one.parts):
        if isinstance(shape, shapes.Box) and shape.x <= x <= shape.x + shape.width and shape.y <= y <= shape.y + shape.height:
            if shape.head and y < shape.y + shape.head.height:
                found = shape.head.fill
            elif shape.foot and y > shape.y + shape.height - shape.foot.height:
                found = shape.foot.fill
            elif shape.fill:
                found = shape.fill
    return found

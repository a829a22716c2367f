"""Reads SVG of our own back as a person would: what is written where, what is cut, what lies on what."""
from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import dataclass
from typing import Iterator

SVG = "{http://www.w3.org/2000/svg}"
CHAR = 0.602            # of a text's size: the advance of DejaVu Sans Mono
LEAST_PT = 8            # at style.MAX_WIDTH_PT


@dataclass(frozen=True)
class Text:
    """A line of text and the box that its characters fill, in pt."""
    said: str
    left: float
    top: float
    right: float
    bottom: float
    size: float


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
    moved = re.fullmatch(r"scale\(1 1\) rotate\(0\) translate\((\S+) (\S+)\)", element.get("transform", ""))
    if moved:       # dot's own way to put the origin at the lower left
        for child in element:
            for t in _texts(child, size):
                dx, dy, line = float(moved[1]), float(moved[2]), t.said.replace("\xa0", " ")
                blank = (len(line) - len(line.lstrip())) * CHAR * t.size    # between two styles in one line
                if line.strip():
                    yield Text(line.strip(), t.left + dx + blank, t.top + dy,
                               t.left + dx + len(line.rstrip()) * CHAR * t.size, t.bottom + dy, t.size)
        return
    if element.tag == SVG + "text":
        x, y = float(element.get("x")), float(element.get("y"))
        width = len(element.text or "") * CHAR * size
        left = x - {"end": width, "middle": width / 2}.get(element.get("text-anchor"), 0)
        box = (left, y - 0.73 * size, left + width, y + 0.2 * size)
        turned = re.fullmatch(r"translate\((\S+) (\S+)\) rotate\(-90\)", element.get("transform", ""))
        if turned:
            tx, ty = float(turned[1]), float(turned[2])
            box = (tx + box[1], ty - box[2], tx + box[3], ty - box[0])
        yield Text(element.text or "", *box, size)
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
            found.setdefault(name, []).extend(t.text or "" for t in g.iter(SVG + "text"))
    return {name: "\n".join(said) for name, said in found.items()}


def tips(svg: bytes | str) -> dict[str, str]:
    """By id, each group's tooltip."""
    return {g.get("id"): g[0].text for g in root_of(svg).iter(SVG + "g")
            if g.get("id") and len(g) and g[0].tag == SVG + "title"}


def rects(svg: bytes | str) -> dict[str, tuple[float, float, float, float]]:
    """By id, (x, y, width, height) of the first rectangle of each group."""
    found = {}
    for g in root_of(svg).iter(SVG + "g"):
        rect = g.find(SVG + "rect")
        if g.get("id") and rect is not None:
            found[g.get("id")] = tuple(float(rect.get(k)) for k in ("x", "y", "width", "height"))
    return found

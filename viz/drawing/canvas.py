"""SVG of our own, for figures whose places are known without a search: shapes and text on a page, in pt.

y grows downwards. Every character of the font is as wide as every other, so the width of text is known.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Optional

from . import style
from .dot import printable

_BASELINE = 0.36        # of the size of text, from the middle of its line down to its baseline


def text_width(n_chars: int, size: float = style.FONT_PT) -> float:
    """The width of `n_chars` characters."""
    return n_chars * style.CHAR_PT * size / style.FONT_PT


def fitting_chars(width: float, size: float = style.FONT_PT) -> int:
    """How many characters `width` holds."""
    return int(width / (style.CHAR_PT * size / style.FONT_PT))


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _attributes(**settings: object) -> str:
    return "".join(f' {key.rstrip("_").replace("_", "-")}="'
                   f'{_number(value) if isinstance(value, float) else escape(printable(str(value)))}"'
                   for key, value in settings.items() if value is not None)


class Canvas:
    """Collects what is drawn; `svg` gives the whole."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._definitions: dict[str, str] = {}

    @contextmanager
    def group(self, id_: Optional[str] = None, tip: Optional[str] = None, **settings: object) -> Iterator[None]:
        """What is drawn inside belongs together, has an id and a tooltip."""
        self._parts.append(f"<g{_attributes(id=id_, **settings)}>")
        if tip is not None:
            self._parts.append(f"<title>{escape(printable(tip))}</title>")
        yield
        self._parts.append("</g>")

    def rect(self, x: float, y: float, width: float, height: float, fill: str = "none",
             stroke: Optional[str] = None, tip: Optional[str] = None, **settings: object) -> None:
        settings = dict(x=float(x), y=float(y), width=float(width), height=float(height), fill=fill, stroke=stroke,
                        **settings)
        self._element("rect", settings, tip)

    def path(self, d: str, stroke: Optional[str] = None, fill: str = "none", tip: Optional[str] = None,
             **settings: object) -> None:
        self._element("path", dict(d=d, fill=fill, stroke=stroke, **settings), tip)

    def line(self, x1: float, y1: float, x2: float, y2: float, stroke: str, **settings: object) -> None:
        self.path(f"M{_number(x1)} {_number(y1)}L{_number(x2)} {_number(y2)}", stroke, **settings)

    def circle(self, x: float, y: float, r: float, fill: str, stroke: Optional[str] = None, **settings: object) -> None:
        self._element("circle", dict(cx=float(x), cy=float(y), r=float(r), fill=fill, stroke=stroke, **settings), None)

    def text(self, x: float, middle: float, s: str, size: float = style.FONT_PT, anchor: Optional[str] = None,
             fill: str = style.INK, bold: bool = False, **settings: object) -> None:
        """`s` on one line whose middle is at y `middle`; anchor: "end" or "middle", what of it is at x."""
        settings = dict(x=float(x), y=float(middle + _BASELINE * size),
                        font_size=float(size) if size != style.FONT_PT else None, text_anchor=anchor,
                        fill=fill if fill != style.INK else None, font_weight="bold" if bold else None, **settings)
        self._parts.append(f"<text{_attributes(**settings)}>{escape(printable(s))}</text>")

    def picture(self, svg: str) -> None:
        """A figure in markup of its own."""
        self._parts.append(svg)

    def define(self, id_: str, markup: str) -> str:
        """A pattern or such, written once; returns how fill= names it."""
        self._definitions[id_] = markup
        return f"url(#{id_})"

    def stripes(self, id_: str, ink: str, paper: str, step: float, width: float, degrees: int = 45) -> str:
        """A fill of parallel lines."""
        step_, width_ = _number(step), _number(width)
        return self.define(id_, f'<pattern id="{id_}" width="{step_}" height="{step_}" patternUnits="userSpaceOnUse" '
                           f'patternTransform="rotate({degrees})"><rect width="{step_}" height="{step_}" fill="{paper}"/>'
                           f'<rect width="{width_}" height="{step_}" fill="{ink}"/></pattern>')

    def svg(self, width: float, height: float) -> str:
        """The whole, on white paper of that size in pt."""
        w, h = _number(width), _number(height)
        definitions = "".join(self._definitions.values())
        return "\n".join([
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{w}pt" height="{h}pt" viewBox="0 0 {w} {h}" '
            f'font-family="{style.SVG_FONTS}" font-size="{style.FONT_PT}" xml:space="preserve">',
            *([f"<defs>{definitions}</defs>"] if definitions else []),
            f'<rect width="{w}" height="{h}" fill="{style.PAPER}"/>',
            *self._parts, "</svg>", ""])

    def _element(self, name: str, settings: dict, tip: Optional[str]) -> None:
        inside = f"><title>{escape(printable(tip))}</title></{name}>" if tip is not None else "/>"
        self._parts.append(f"<{name}{_attributes(**settings)}{inside}")


def corners(points: Sequence[tuple[float, float]], radius: float) -> str:
    """A path along `points`, its corners rounded; legs are horizontal or vertical."""
    d = f"M{_number(points[0][0])} {_number(points[0][1])}"
    for (ax, ay), (bx, by), (cx, cy) in zip(points, points[1:], points[2:]):
        before, after = abs(ax - bx) + abs(ay - by), abs(cx - bx) + abs(cy - by)
        r = min(radius, before / 2, after / 2)
        if r <= 0:
            continue
        d += (f"L{_number(bx + r * (ax - bx) / before)} {_number(by + r * (ay - by) / before)}"
              f"Q{_number(bx)} {_number(by)} {_number(bx + r * (cx - bx) / after)} {_number(by + r * (cy - by) / after)}")
    return d + f"L{_number(points[-1][0])} {_number(points[-1][1])}"

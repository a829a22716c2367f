"""The curves of a scene's shapes: lines with rounded corners, borders, dashes, hatching. Plain geometry, in pt."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import hypot
from typing import NamedTuple

from .shapes import RADIUS, Box, Dash, Disc, Line, Point

_CHORDS = 6             # straight pieces that stand for a bend where it is cut into dashes
_QUARTER = 0.5523       # of the radius: where the control points of a quarter circle's cubic are


class Curve(NamedTuple):
    """A cubic Bezier curve; one that is straight has its control points at its ends."""
    start: Point
    near_start: Point
    near_end: Point
    end: Point

    @property
    def is_straight(self) -> bool:
        return self.near_start == self.start and self.near_end == self.end


def straight(a: Point, b: Point) -> Curve:
    return Curve(a, a, b, b)


def of_line(line: Line) -> list[Curve]:
    """A line, up to where its arrow's head begins."""
    points = list(line.points)
    if line.arrow:
        points[-1] = arrow_base(line)
    return _rounded(points, line.radius)


def arrow_base(line: Line) -> Point:
    """The middle of the base of a line's arrow head."""
    (ax, ay), (bx, by) = line.points[-2:]
    length = hypot(bx - ax, by - ay) or 1.0
    return bx - line.arrow * (bx - ax) / length, by - line.arrow * (by - ay) / length


def _rounded(points: Sequence[Point], radius: float) -> list[Curve]:
    made: list[Curve] = []
    at = points[0]
    for before, corner, after in zip(points, points[1:], points[2:]):
        r = min(radius, _distance(before, corner) / 2, _distance(corner, after) / 2)
        if r <= 0:
            made.append(straight(at, corner))
            at = corner
            continue
        entry, leave = _towards(corner, before, r), _towards(corner, after, r)
        made += [straight(at, entry), _bend(entry, corner, leave)]
        at = leave
    made.append(straight(at, points[-1]))
    return [c for c in made if c.start != c.end]


def corner_radius(box: Box) -> float:
    """As Graphviz rounds: a third of a small box's side at most."""
    return min(RADIUS, box.width / 3, box.height / 3) if box.rounded else 0.0


def of_box(box: Box) -> list[Curve]:
    """A box's border, clockwise from the upper left corner."""
    return of_band(box, box.y, box.height)


def of_band(box: Box, y: float, height: float) -> list[Curve]:
    """The border of a band across a box, from y down: rounded where it meets the box's corners."""
    x, right, bottom, r = box.x, box.x + box.width, y + height, corner_radius(box)
    top_r, bottom_r = (r if abs(y - box.y) < 0.01 else 0.0), (r if abs(bottom - box.y - box.height) < 0.01 else 0.0)
    corners = [((x, y), top_r), ((right, y), top_r), ((right, bottom), bottom_r), ((x, bottom), bottom_r)]
    made = []
    for i, (corner, near) in enumerate(corners):
        (after, far), (later, _) = corners[(i + 1) % 4], corners[(i + 2) % 4]
        made.append(straight(_towards(corner, after, near), _towards(after, corner, far)))
        if far:
            made.append(_bend(_towards(after, corner, far), after, _towards(after, later, far)))
    return made


def of_disc(disc: Disc) -> list[Curve]:
    """A circle, clockwise from its right."""
    x, y, r, c = disc.x, disc.y, disc.radius, disc.radius * _QUARTER
    ends = [(x + r, y), (x, y + r), (x - r, y), (x, y - r), (x + r, y)]
    towards = [(0, c), (-c, 0), (0, -c), (c, 0), (0, c)]
    return [Curve(a, (a[0] + ta[0], a[1] + ta[1]), (b[0] - tb[0], b[1] - tb[1]), b)
            for a, b, ta, tb in zip(ends, ends[1:], towards, towards[1:])]


def dashes(curves: Sequence[Curve], dash: Dash) -> list[list[Point]]:
    """The pieces of ink along `curves`, each as the points of straight strokes."""
    pieces: list[list[Point]] = []
    inked, left = True, dash[0]
    piece: list[Point] = []
    for a, b in _strokes(curves):
        length, done = _distance(a, b), 0.0
        if inked and not piece:
            piece = [a]
        while length - done > left:
            done += left
            at = (a[0] + (b[0] - a[0]) * done / length, a[1] + (b[1] - a[1]) * done / length)
            if inked:
                pieces.append([*piece, at])
            piece = [] if inked else [at]
            inked = not inked
            left = dash[0] if inked else dash[1]
        left -= length - done
        if inked:
            piece.append(b)
    return [*pieces, piece] if len(piece) > 1 else pieces


def hatching(box: Box) -> list[tuple[Point, Point]]:
    """The lines of a box's hatch, from lower left to upper right, inside its corners."""
    assert box.hatch is not None
    inset = box.hatch.width / 2
    x, y, right, bottom = box.x + inset, box.y + inset, box.x + box.width - inset, box.y + box.height - inset
    cut = corner_radius(box) * (2 - 2 ** 0.5)   # a corner's tangent at 45 degrees cuts this much off both sides
    step = box.hatch.step * 2 ** 0.5
    made = []
    total = x + y + cut + step / 2              # of both coordinates, along one line
    while total < right + bottom - cut:
        x1, x2 = max(x, total - bottom, (total + x - bottom + cut) / 2), min(right, total - y, (total + right - y - cut) / 2)
        if x1 < x2:
            made.append(((x1, total - x1), (x2, total - x2)))
        total += step
    return made


def _strokes(curves: Sequence[Curve]) -> Iterator[tuple[Point, Point]]:
    for c in curves:
        before = c.start
        n = 1 if c.is_straight else _CHORDS
        for i in range(1, n + 1):
            at = c.end if i == n else _at(c, i / n)
            yield before, at
            before = at


def _at(c: Curve, t: float) -> Point:
    u = 1 - t
    weights = (u ** 3, 3 * u * u * t, 3 * u * t * t, t ** 3)
    return sum(w * p[0] for w, p in zip(weights, c)), sum(w * p[1] for w, p in zip(weights, c))


def _bend(entry: Point, corner: Point, leave: Point) -> Curve:
    return Curve(entry, _between(entry, corner, _QUARTER), _between(leave, corner, _QUARTER), leave)


def _between(a: Point, b: Point, part: float) -> Point:
    return a[0] + (b[0] - a[0]) * part, a[1] + (b[1] - a[1]) * part


def _towards(a: Point, b: Point, distance: float) -> Point:
    length = _distance(a, b)
    return _between(a, b, distance / length) if length else a


def _distance(a: Point, b: Point) -> float:
    return hypot(b[0] - a[0], b[1] - a[1])

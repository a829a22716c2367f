"""The family diagram: who shares what with whom.

Processes stand on the left as a family tree, frames on the right, each beside its owner and above its
owner's children. A solid line leads from a process's FRY to the frame that is its own; a dashed one from
each child's SHRIMP to the same frame; a dotted one from each attachment to the segment, which is one box. A
family is an outline, so where things stand is arithmetic: no layout is searched for, and the same boxes can
stand still while a fork builds them (draw_steps).
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Optional

from ..model import words
from ..model.kit import Index
from ..model.sharing import (ATTACHED, Member, Odd, Placed, SharedFrame, Sharing, expected_frames, family_order, has_pages,
                             relations, select, sharing)
from ..scene import elements, style
from ..scene.elements import MARGIN_PT
from ..scene.shapes import Band, Hatch, Point, Scene
from ..scene.text import fitting_chars, shorten, text_width, wrap
from . import Drawing

LIMIT = 8
TITLE = "Who shares what with whom"

_HEAD, _ROW, _GAP = 19.0, 15.0, 14.0
_FRAME_HEAD, _FRAME_LINE = 18.0, 12.5
_FRAME_GAP = 9.0
CHANGED = "\u25a0 beside what this step changed"
_LETTERS = ("S", "F")   # top down in a process: towards its parent, towards its children
_MEMORY = ("T", "M")    # what stands there in a kernel without the two pages: its page table, its memory
_TRACK = 10.0           # between two vertical lines
_ALARMED, _ARROW = 22.0, 14.0       # what a line keeps straight at its two ends
_LEAST_LANE = 64.0      # between processes and frames
_FRAME_W = 188.0
_NAME_W = 8             # characters, in a row
_PAD = 8.0
_LABEL_W = 46.0
_LEAST_NAME = 9         # characters
_CORNER = 6.0
DASH = {"F": None, "S": (5.0, 3.0), ATTACHED: (1.2, 2.2)}


@dataclass(frozen=True)
class _Step:
    """One snapshot, and its part of what is drawn."""
    index: Index
    model: Sharing
    placed: dict[int, Placed]           # by slot
    frames: dict[int, SharedFrame]      # those that are drawn, by address
    changed: frozenset[str] = frozenset()       # ids of what is marked
    is_past: bool = False               # places are kept for its processes, and that is all

    @cached_property
    def drawn(self) -> set[int]:
        return set(self.placed)

    @cached_property
    def rows(self) -> dict[int, list[tuple[str, list[str]]]]:
        """The letter and the lines of each row of each frame, without what is odd."""
        n = fitting_chars(_FRAME_W - 30, style.SMALL_PT)
        return {pa: [(letter, wrap(what, n)) for letter, what in words.frame_words(self.model, frame, self.drawn)]
                for pa, frame in self.frames.items()}


@dataclass(frozen=True)
class _Box:
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class _Layout:
    """Where everything stands, in pt; the same for every step."""
    processes: dict[int, _Box]
    frames: dict[int, _Box]
    tracks: dict[tuple[int, str], float]    # x of a frame's vertical line for F, or for S; none where it is straight
    card_end: float
    indent: float
    top: float
    bottom: float
    has_heading: bool
    has_legend: bool


def draw(index: Index, pids: Optional[Sequence[int]] = None) -> Drawing:
    """The family diagram of a snapshot, of the processes `pids` or of those with most to show.

    Raises VizError: no Shrimpy layout, a pid that is not there, more than LIMIT of them.
    """
    model = sharing(index)
    placed = {p.slot: p for p in family_order(model, select(model, LIMIT, pids))}
    frames = {pa: f for pa, f in model.frames.items()
              if pa in expected_frames(model, placed) or f.worth_drawing and placed.keys() & set(f.users)}
    step = _Step(index, model, placed, frames)
    return _drawing(step, _lay_out([step], list(placed.values())), _notes(step))


def draw_steps(indexes: Sequence[Index], pids: Optional[Sequence[int]] = None,
               changed: Sequence[frozenset[str]] = (), has_legend: bool = True) -> list[Drawing]:
    """A family diagram of each snapshot, all with the same boxes at the same places, without a heading.

    What is not there in one step, or no longer, is a faint outline in it. Of the processes, those of
    `pids` or of the last snapshot are drawn, with all their frames. Elements keep their ids from step
    to step: process-SLOT, page-F-SLOT, page-S-SLOT, frame-PA, edge-F-SLOT, edge-S-SLOT, parent-SLOT; in
    a kernel without FRY and SHRIMP page-T-SLOT and page-M-SLOT, a process's page table and its memory.
    changed: of each snapshot, ids of the processes, pages and frames to mark. has_legend: whether
    what the signs mean, and what is not drawn, stands below each.
    Raises VizError for a pid that is nowhere, and for more than LIMIT of them.
    """
    models = [relations(s) for s in indexes]
    union: dict[int, Member] = {}
    for model in models:
        for slot, m in model.members.items():
            if (pids is None or m.process.pid in pids) and not _is_without_parent(m, union.get(slot)):
                union[slot] = m
    whole = replace(models[-1], members=union)
    slots = select(whole, LIMIT, pids)
    order = family_order(whole, slots)
    steps = []
    for index, model, marked in zip(indexes, models, changed or [frozenset()] * len(models)):
        placed = {p.slot: p for p in order if p.slot in model.members}
        frames = {pa: f for pa, f in model.frames.items() if placed.keys() & set(f.users)}
        steps.append(_Step(index, model, placed, frames, marked))
    layout = _lay_out(steps, order, False, has_legend)
    signs = [CHANGED] if any(changed) else []
    notes = [[*signs, *_notes(step)] for step in steps]
    n_lines = max(len(elements.wrapped(lines, elements.WIDTH_PT - 2 * MARGIN_PT)) for lines in notes)
    return [_drawing(step, layout, lines, n_lines) for step, lines in zip(steps, notes)]


class Standing:
    """The family at one snapshot after the other, each drawn before the next is known: who stays keeps its place, and the place
    of one that is gone is kept for who has its slot next. Elements have the ids of draw_steps."""

    def __init__(self) -> None:
        self._last: dict[int, _Step] = {}       # by slot, as it was last drawn; who was drawn last comes last
        self._card = 0.0

    def draw(self, index: Index) -> Drawing:
        """The family of the next snapshot, without a heading."""
        model = relations(index)
        alive = self._chosen(model)
        room = LIMIT - len(alive)
        gone = [slot for slot in self._last if slot not in model.members][-room:] if room else []
        union = {slot: self._last[slot].model.members[slot] for slot in gone}
        for slot in alive:
            before, now = self._last.get(slot), model.members[slot]
            kept = before and before.model.members[slot]
            union[slot] = kept if kept and _is_without_parent(now, kept) else now
        order = family_order(replace(model, members=union), list(union))
        step = _Step(index, model, {p.slot: p for p in order if p.slot in alive},
                     {pa: f for pa, f in model.frames.items() if set(alive) & set(f.users)})
        ghosts = [replace(self._last[slot], placed={slot: p}, frames={}, is_past=True) for p in order for slot in [p.slot] if slot in gone]
        layout = _lay_out([*ghosts, step], order, False, True, self._card)
        self._card = layout.card_end - MARGIN_PT
        self._last = {slot: self._last[slot] for slot in gone} | {slot: step for slot in alive}
        return _drawing(step, layout, _notes(step))

    def _chosen(self, model: Sharing) -> list[int]:
        """Whom to draw: who is drawn already, unless others show something wrong."""
        best = select(model, LIMIT)
        known = [slot for slot in self._last if slot in model.members]
        if any(model.members[slot].wrong for slot in best if slot not in known):
            return best
        return list(dict.fromkeys([*known[-LIMIT:], *best]))[:LIMIT]


def _is_without_parent(now: Member, before: Optional[Member]) -> bool:
    """Whether a process that has lost its parent is seen: it is being taken apart, and keeps its place."""
    return before is not None and before.process.pid == now.process.pid and now.process.parent is None


def _notes(step: _Step) -> list[str]:
    return (words.left_out(step.index, step.model, step.drawn, set(step.frames))
            + [note for f in step.frames.values() if (note := words.count_on_its_way(step.index, f))]
            + (words.refs_meaning(step.index) if step.frames else []) + words.cautions(step.index) + words.held_back(step.model))


def _drawing(step: _Step, layout: _Layout, notes: Sequence[str], n_lines: int = 0) -> Drawing:
    """n_lines: room for so many lines of notes, where several drawings are to be as high."""
    return Drawing(TITLE, words.description(step.index, step.model, list(step.placed.values()),
                                            list(step.frames.values()), [words.stop_line(step.index), *notes]),
                   _picture(step, layout, notes, n_lines))


# Where things stand

def _lay_out(steps: Sequence[_Step], order: Sequence[Placed], has_heading: bool = True,
             has_legend: bool = True, least_card: float = 0.0) -> _Layout:
    card_end = MARGIN_PT + max(least_card, _card_width(steps, order))
    indent = _indent(order)
    top = float(MARGIN_PT)
    if has_heading:
        top = max(elements.heading(Scene(), TITLE, [words.stop_line(s.index)]) for s in steps)
    y, processes = top, {}
    for p in order:
        x = MARGIN_PT + indent * p.depth
        n_rows = max(len(_rows(s, s.model.members[p.slot])) for s in steps if p.slot in s.placed)
        height = _HEAD + n_rows * _ROW + 2 + max(elements.alarm_height(elements.alarm_lines(
            _accused(s.model.members[p.slot]), card_end - x)) for s in steps if p.slot in s.placed)
        processes[p.slot] = _Box(x, y, card_end - x, height)
        y += height + _GAP
    frames = _place_frames(steps, processes)
    ends = {(pa, letter): (_sources(steps, processes, pa, letter), _port(steps, frames, pa, letter))
            for pa in frames for letter in (*_LETTERS, ATTACHED)}
    tracks, n_tracks = _tracks({net: (source, port) for net, (source, port) in ends.items() if source})
    frame_x = elements.WIDTH_PT - MARGIN_PT - _FRAME_W
    low, high = card_end + _ALARMED, frame_x - _ARROW
    step_x = min(_TRACK, (high - low) / max(1, n_tracks - 1))
    at = {net: (low + high) / 2 + step_x * (i - (n_tracks - 1) / 2) for net, i in tracks.items()}
    frames = {pa: replace(box, x=frame_x) for pa, box in frames.items()}
    bottom = max([b.y + b.height for b in (*processes.values(), *frames.values())], default=top)
    return _Layout(processes, frames, at, card_end, indent, top, bottom, has_heading, has_legend)


def _indent(order: Sequence[Placed]) -> float:
    return 20.0 if max((p.depth for p in order), default=0) <= 4 else 12.0


def _card_width(steps: Sequence[_Step], order: Sequence[Placed]) -> float:
    """Room for the widest line of every process at its depth; what is left goes to the lines."""
    indent, widest = _indent(order), 0.0
    for step in (step for step in steps if not step.is_past):
        for p in step.placed.values():
            m = step.model.members[p.slot]
            head = (text_width(len(words.name(m.process)))
                    + text_width(len(words.role(step.index, m, _is_below_parent(step, p))), style.SMALL_PT) + 3 * _PAD)
            rows = [_PAD + _LABEL_W + text_width(len(address) + 1.5) + text_width(len(remark) + 1, style.SMALL_PT) + _PAD
                    for letter in _rows(step, m) for address, remark in [_row_words(step, m, letter)]]
            widest = max(widest, indent * p.depth + max(head, *rows))
    return min(max(widest, 250.0), elements.WIDTH_PT - 2 * MARGIN_PT - _FRAME_W - _LEAST_LANE)


def _is_below_parent(step: _Step, place: Placed) -> bool:
    """Whether it stands below who is its parent in this step: before that is set, and after it is gone, it has a place
    but no line."""
    parent = step.model.members.get(place.parent) if place.parent in step.placed else None
    return parent is not None and step.model.members[place.slot].process.parent == parent.process.pid


def _head(step: _Step, place: Placed, width: float) -> tuple[str, str]:
    """A process's name and role, shortened as far as its card needs it: the name first, down to a few characters."""
    m = step.model.members[place.slot]
    name, role = words.name(m.process), words.role(step.index, m, _is_below_parent(step, place))
    room = width - 3 * _PAD
    name = shorten(name, max(_LEAST_NAME, fitting_chars(room - text_width(len(role), style.SMALL_PT))))
    return name, shorten(role, fitting_chars(room - text_width(len(name)), style.SMALL_PT))


def _rows(step: _Step, member: Member) -> tuple[str, ...]:
    """A process's rows, top down."""
    return (_LETTERS if has_pages(step.index) else _MEMORY) + member.attached_rows


def _row_words(step: _Step, member: Member, letter: str) -> tuple[str, str]:
    """What a row says after its label: an address or a size, and a remark."""
    if letter in _MEMORY:
        return words.memory_words(member.process, letter, step.index.layout.page_size)
    own = member.page(letter)
    return words.page_words(step.index, member, own, letter, own is not None and own.pa in step.frames)


def _row_name(member: Member, row: str) -> str:
    page = member.page(row) if row.startswith(ATTACHED) else None
    return shorten(words.region(page.mapping.region), _NAME_W) if page else words.ROW[row]


def _row_y(box: _Box, row: str) -> float:
    """The middle of a process's row."""
    place = 2 + int(row[len(ATTACHED):]) if row.startswith(ATTACHED) else (_MEMORY if row in _MEMORY else _LETTERS).index(row)
    return box.y + _HEAD + _ROW * (place + 0.5) + 1


def _accused(member: Member) -> list[str]:
    return [words.accusation(one) for one in member.wrong]


def _frame_alarms(step: _Step, frame: SharedFrame) -> list[str]:
    return elements.alarm_lines([words.oddity(step.index, one) for one in frame.odd], _FRAME_W, "! " if frame.is_wrong else "? ")


def _frame_height(step: _Step, frame: SharedFrame) -> float:
    return (_FRAME_HEAD + sum(_FRAME_LINE * len(lines) + 2 for _, lines in step.rows[frame.pa]) + 3
            + elements.alarm_height(_frame_alarms(step, frame)))


def _place_frames(steps: Sequence[_Step], processes: dict[int, _Box]) -> dict[int, _Box]:
    """Each frame level with its owner, or with its first user; pushed down where another stands."""
    wanted = []
    for pa in sorted({pa for s in steps for pa in s.frames}):
        height = max(_frame_height(s, s.frames[pa]) for s in steps if pa in s.frames)
        owners = {slot for s in steps if pa in s.frames for slot in s.frames[pa].fry_of if slot in processes}
        others = _sources(steps, processes, pa, "S") or _sources(steps, processes, pa, ATTACHED) or [0.0]
        if owners:      # its F row level with its owner's FRY
            y = min(_row_y(processes[slot], "F") for slot in owners) - _FRAME_HEAD - _FRAME_LINE / 2
        else:
            y = others[0] - _FRAME_HEAD - _FRAME_LINE / 2
            y -= _FRAME_LINE + 2 if any(s.frames[pa].segment is None and (s.frames[pa].creator_gone or s.frames[pa].fry_of)
                                        for s in steps if pa in s.frames) else 0
        wanted.append((y, pa, height))
    placed, free_from = {}, min((box.y for box in processes.values()), default=0)
    for y, pa, height in sorted(wanted):
        y = max(y, free_from)
        placed[pa] = _Box(0.0, y, _FRAME_W, height)
        free_from = y + height + _FRAME_GAP
    return placed


def _sources(steps: Sequence[_Step], processes: dict[int, _Box], pa: int, letter: str) -> list[float]:
    """Where lines to a frame begin, top down."""
    rows = {(slot, row) for s in steps if pa in s.frames for slot, m in s.model.members.items() if slot in processes
            for row in _LETTERS + m.attached_rows if row[0] == letter for page in [m.page(row)] if page and page.pa == pa}
    return sorted(_row_y(processes[slot], row) for slot, row in rows)


def _port(steps: Sequence[_Step], frames: dict[int, _Box], pa: int, letter: str) -> float:
    """Where lines to a frame end: the middle of the first line of that letter's row, in the last step that has it."""
    found = frames[pa].y + _FRAME_HEAD
    for s in steps:
        y = frames[pa].y + _FRAME_HEAD
        for row, lines in s.rows.get(pa, ()):
            if row == letter:
                found = y + _FRAME_LINE / 2
            y += _FRAME_LINE * len(lines) + 2
    return found


def _tracks(nets: dict[tuple[int, str], tuple[list[float], float]]) -> tuple[dict[tuple[int, str], int], int]:
    """A track for each net that is not one straight line, so that no two vertical lines touch; and how many
    tracks there are. Long ones come first, next to the processes."""
    spans = {net: (min(*ys, port), max(*ys, port)) for net, (ys, port) in nets.items()
             if any(abs(y - port) > 0.5 for y in ys)}
    tracks: list[list[tuple[float, float]]] = []
    found = {}
    for net, (low, high) in sorted(spans.items(), key=lambda item: (item[1][0] - item[1][1], item)):
        i = next((i for i, track in enumerate(tracks)
                  if all(high + 4 < a or b + 4 < low for a, b in track)), len(tracks))
        if i == len(tracks):
            tracks.append([])
        tracks[i].append((low, high))
        found[net] = i
    return found, len(tracks)


# What is drawn there

def _picture(step: _Step, layout: _Layout, notes: Sequence[str], n_lines: int) -> Scene:
    scene = Scene()
    if layout.has_heading:
        elements.heading(scene, TITLE, [words.stop_line(step.index)])
    for slot, box in layout.processes.items():
        if slot not in step.placed:
            _ghost(scene, box)
    for pa, box in layout.frames.items():
        if pa not in step.frames:
            _ghost(scene, box)
    for p in step.placed.values():
        if _is_below_parent(step, p):
            _tree_line(scene, step, layout, p)
    for letter in (ATTACHED, *_LETTERS):    # the solid one last: where lines cross, it passes over
        edges = [_Edge.of(step, layout, p.slot, row) for p in step.placed.values()
                 for row in (*_LETTERS, *step.model.members[p.slot].attached_rows) if row[0] == letter]
        for pa in step.frames:  # lines of one frame run into each other, those of two do not
            net = [e for e in edges if e is not None and e.pa == pa]
            for e in net:
                scene.line(e.points, style.PAPER, stroke_width=5, radius=_CORNER)
            for e in net:
                _edge(scene, e)
    for pa, frame in step.frames.items():
        _frame(scene, step, frame, layout.frames[pa])
    for p in step.placed.values():
        _process(scene, step, p, layout.processes[p.slot])
    y = layout.bottom
    if layout.has_legend:
        y = legend(scene, step.index, y + 18, any(f.segment for f in step.frames.values()))
        y = max(elements.notes(scene, y, notes), y + elements.LINE_PT * n_lines)
    return scene.sized(elements.WIDTH_PT, y + MARGIN_PT)


def _ghost(scene: Scene, box: _Box) -> None:
    scene.box(box.x, box.y, box.width, box.height, stroke=style.HAIRLINE, rounded=True, stroke_width=0.6, dash=(1, 3))


def _mark(scene: Scene, step: _Step, id_: str, x: float, middle: float, height: float) -> None:
    """A bar at the left of what has changed."""
    if id_ in step.changed:
        with scene.group(None, "changed", "changed"):
            scene.box(x - 4, middle - height / 2, 8, height, style.INK)


def _tree_line(scene: Scene, step: _Step, layout: _Layout, place: Placed) -> None:
    assert place.parent is not None
    child, parent = layout.processes[place.slot], layout.processes[place.parent]
    m, above = step.model.members[place.slot], step.model.members[place.parent]
    adopted = m.orphan
    tip = (f"{words.name(above.process)} has adopted {words.name(m.process)}" if adopted else
           f"{words.name(above.process)} is the parent of {words.name(m.process)}")
    x, y = parent.x + layout.indent / 2, child.y + _HEAD / 2
    # from below the parent's card; a line that other children's lines lie on is drawn once more, as it is
    with scene.group(f"parent-{place.slot}", tip):
        scene.line([(x, parent.y + parent.height), (x, y), (child.x, y)], style.HAIRLINE, stroke_width=1.2, radius=5,
                   dash=(2, 2.5) if adopted else None)


@dataclass(frozen=True)
class _Edge:
    """A line from a process's page to a frame. Its path begins at the frame, so that dashes of lines that run
    into each other fall on each other."""
    pa: int
    slot: int
    row: str
    letter: str
    tip: str
    is_wrong: bool
    points: tuple[Point, ...]
    x: float
    y: float
    end_x: float
    end_y: float

    @classmethod
    def of(cls, step: _Step, layout: _Layout, slot: int, row: str) -> Optional[_Edge]:
        m = step.model.members[slot]
        own, letter = m.page(row), row[0]
        if own is None or own.pa not in step.frames:
            return None
        y, x = _row_y(layout.processes[slot], row), layout.card_end + elements.BADGE_R
        port, end_x = _port([step], layout.frames, own.pa, letter), layout.frames[own.pa].x
        track = layout.tracks.get((own.pa, letter))
        start = end_x - 6
        points = [(start, y), (x, y)] if track is None else [(start, port), (track, port), (track, y), (x, y)]
        return cls(own.pa, slot, row, letter, f"{words.page_of(row, own)} of {words.name(m.process)}, {words.pte(own)}",
                   letter in m.wrong_pages, tuple(points), x, y, end_x, points[0][1])


def _edge(scene: Scene, e: _Edge) -> None:
    with scene.group(f"edge-{e.row}-{e.slot}", e.tip):
        scene.line(e.points, style.LINE[e.letter], stroke_width=2.6 if e.is_wrong else 1.6, radius=_CORNER,
                   dash=DASH[e.letter])
        elements.arrow_head(scene, e.end_x, e.end_y, style.LINE[e.letter])
        if e.is_wrong:
            scene.box(e.x + 4, e.y - 6, 9, 12, style.ALARM, rounded=True)
            scene.text(e.x + 8.5, e.y, "!", style.FONT_PT, "middle", style.PAPER, bold=True)


def _process(scene: Scene, step: _Step, place: Placed, box: _Box) -> None:
    m = step.model.members[place.slot]
    name, role = _head(step, place, box.width)
    alarms = elements.alarm_lines(_accused(m), box.width)
    with scene.group(f"process-{place.slot}", f"process {words.name(m.process)}", "process"):
        scene.box(box.x, box.y, box.width, box.height, style.PAPER, style.ALARM if alarms else style.QUIET, rounded=True,
                  stroke_width=1.8 if alarms else 0.9, head=Band(_HEAD, style.PALE_PROCESS), foot=elements.alarm_band(alarms))
        scene.text(box.x + _PAD, box.y + _HEAD / 2, name, bold=True)
        scene.text(box.x + box.width - _PAD, box.y + _HEAD / 2, role, style.SMALL_PT, "end",
                   style.INK if m.orphan else style.QUIET, italic=m.orphan)
        for letter in _rows(step, m):
            _page_row(scene, step, m, letter, box)
        elements.alarm(scene, box.x, box.y + box.height - elements.alarm_height(alarms), alarms)
        _mark(scene, step, f"process-{place.slot}", box.x, box.y + _HEAD / 2, _HEAD - 3)
        for row in (*_LETTERS, *m.attached_rows):
            own = m.page(row)
            if own is not None and own.pa in step.frames:
                elements.badge(scene, box.x + box.width, _row_y(box, row), row[0])


def _page_row(scene: Scene, step: _Step, member: Member, letter: str, box: _Box) -> None:
    own = None if letter in _MEMORY else member.page(letter)
    address, remark = _row_words(step, member, letter)
    y, x = _row_y(box, letter), box.x + _PAD
    name = f"page-{letter}-{member.process.slot}"
    with scene.group(name, None if own is None else words.pte(own)):
        _mark(scene, step, name, box.x, y, _ROW - 3)
        scene.text(x, y, _row_name(member, letter), style.SMALL_PT, ink=style.QUIET)
        scene.text(x + _LABEL_W, y, address, ink=style.INK if own or letter in _MEMORY else style.QUIET)
        scene.text(x + _LABEL_W + text_width(len(address) + 1.5), y, remark, style.SMALL_PT, ink=style.QUIET)


def _frame(scene: Scene, step: _Step, frame: SharedFrame, box: _Box) -> None:
    alarms = _frame_alarms(step, frame)
    free = any(one.kind is Odd.FREE for one in frame.odd)
    height = _frame_height(step, frame)
    title, refs = words.heading(step.index, frame)
    with scene.group(f"frame-{frame.pa:#x}", title, "frame"):
        scene.box(box.x, box.y, box.width, height, style.PAPER if free else style.PALE_FRAME,
                  style.ALARM if frame.is_wrong else style.EDGE_FRAME, rounded=True, stroke_width=2.4 if frame.is_wrong else 1.8,
                  dash=(6, 3) if frame.creator_gone or free else None, hatch=Hatch(style.STRIPE, 7, 2) if free else None,
                  foot=elements.alarm_band(alarms))
        scene.text(box.x + _PAD, box.y + _FRAME_HEAD / 2 + 1, title, bold=True)
        scene.text(box.x + box.width - _PAD, box.y + _FRAME_HEAD / 2 + 1, refs,
                   style.SMALL_PT, "end", style.INK)
        y = box.y + _FRAME_HEAD
        for letter, lines in step.rows[frame.pa]:
            scene.text(box.x + _PAD, y + _FRAME_LINE / 2, letter, style.SMALL_PT, bold=True, ink=style.LETTER[letter])
            for line in lines:
                scene.text(box.x + _PAD + 14, y + _FRAME_LINE / 2, line, style.SMALL_PT)
                y += _FRAME_LINE
            y += 2
        elements.alarm(scene, box.x, box.y + height - elements.alarm_height(alarms), alarms)
        _mark(scene, step, f"frame-{frame.pa:#x}", box.x, box.y + _FRAME_HEAD / 2 + 1, _FRAME_HEAD - 4)


def legend(scene: Scene, index: Index, y: float, has_segments: bool = False) -> float:
    """Signs and what they mean, in one row; returns the y where notes may begin."""
    layout = index.layout
    elements.rule(scene, y)
    y += 14
    x = MARGIN_PT + elements.BADGE_R
    signs = [("F", f"FRY {layout.fry:#x}, my own page"), ("S", f"SHRIMP {layout.shrimp:#x}, my parent's FRY")] \
        if has_pages(index) else []
    with scene.group("legend"):
        for letter, what in signs:
            x = _sign(scene, x, y, letter, what)
        scene.line([(x, y - 8), (x, y), (x + 12, y)], style.HAIRLINE, stroke_width=1.2, radius=5)
        scene.text(x + 16, y, "child", style.SMALL_PT)
        if has_segments:
            y += 15
            _sign(scene, MARGIN_PT + elements.BADGE_R, y, ATTACHED,
                  "a segment of shared memory, attached at this address; R W X U: with these rights")
    return y + 13


def _sign(scene: Scene, x: float, y: float, letter: str, what: str) -> float:
    """A badge with its line, and what it means; returns the x where the next may begin."""
    elements.badge(scene, x, y, letter)
    scene.line([(x + elements.BADGE_R, y), (x + 24, y)], style.LINE[letter], stroke_width=1.6, dash=DASH[letter])
    elements.arrow_head(scene, x + 31, y, style.LINE[letter])
    scene.text(x + 36, y, what, style.SMALL_PT)
    return x + 36 + text_width(len(what), style.SMALL_PT) + 16

"""The fault diagram: what is wrong?

A card for each cause: the entry as it is, where it leads, where it should lead, the entry of the parent that leads there,
the function to look at, where it was written, and who else and what else fails because of it. What the rules hold back is never
drawn as wrong.
"""
from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..model import kit, words
from ..model.kit import Index
from ..scene import elements, style
from ..scene.elements import LINE_PT, MARGIN_PT
from ..scene.shapes import Band, Scene
from ..scene.text import fitting_chars, shorten
from . import Drawing

LIMIT = 6
TITLE = "What is wrong"

_HEAD = 18.0
_PAD = 9.0
_LEFT_W, _RIGHT_W = 208.0, 246.0
_WIDTH = elements.WIDTH_PT - 2 * MARGIN_PT
_GAP = 8.0
_STRAIGHT = 18.0        # a way that needs no corner: it begins within its box all the same
_PALE_ALARM = "#FBE9E2"
_REASONS = 12           # lines of why verdicts were skipped
_MANY_RULES = 4         # skipped for one reason are one line
_ALSO = 3               # further rules that one cause breaks


@dataclass(frozen=True)
class _Fault:
    """One cause with what it explains, and where that was written, if it is known."""
    block: kit.Block
    traced: kit.Traced | None = None

    @property
    def verdict(self) -> kit.Verdict:
        """The one that is told in full."""
        return self.block.cause.example


def draw(index: Index, origins: Sequence[kit.OfVerdict] = ()) -> Drawing:
    """What the rules say is wrong in a snapshot, the first LIMIT things of it; or that nothing is. origins: where that was
    written, as far as it is known."""
    judgement = kit.judgement(index)
    faults = _faults(judgement.failures, {(one.rule, one.about, one.va): one.traced for one in origins})
    summary = _summary(judgement)
    if not faults:
        return _calm(index, judgement, summary)
    shown, left_out = faults[:LIMIT], faults[LIMIT:]
    notes = [summary, *_left_out(left_out), *words.cautions(index)]
    scene = Scene()
    y = elements.heading(scene, TITLE, [words.stop_line(index)])
    for i, fault in enumerate(shown):
        y = _card(scene, index, fault, i, y) + 12
    elements.rule(scene, y)
    y = elements.notes(scene, y + 6, notes)
    lines = [_sentence(index, f) for f in shown]
    return Drawing(TITLE, " ".join([words.stop_line(index) + ".", *lines, *(f"{n.rstrip('.')}." for n in notes)]),
                   scene.sized(elements.WIDTH_PT, y + MARGIN_PT))


def _faults(failures: Sequence[kit.Verdict], traces: Mapping[object, kit.Traced]) -> list[_Fault]:
    """The failures by cause, causes before what they explain."""
    return [_Fault(block, next((traces[key] for v in block.verdicts if (key := (v.rule, v.about, v.va)) in traces), None))
            for block in kit.blocks(failures)]


def _summary(judgement: kit.Judgement) -> str:
    held = judgement.n_held_back
    n = len(judgement.failures)
    return (f"{words.count(n, 'verdict') if n else 'no verdict'} failed, {judgement.count('pass')} passed, "
            f"{judgement.count('skipped')} skipped" + (f", {held} of them for what the machine is in the middle of"
                                                       if held else ""))


def _left_out(faults: Sequence[_Fault]) -> list[str]:
    if not faults:
        return []
    rules = Counter(v.rule for f in faults for v in f.block.verdicts)
    return [f"! left out: {words.count(len(faults), 'more cause')}: " + ", ".join(f"{rule} {n}" for rule, n in sorted(rules.items()))]


def _place(index: Index, v: kit.Verdict) -> list[str]:
    """What is accused: whose, which page, and the entry with its value."""
    lines = [v.subject]
    if v.va is not None:
        name = index.shared(v.va) or (index.special(v.va) or "").lower()
        whose = f" of pid {v.pid}" if v.pid is not None and v.about.kind != "process" else ""
        lines.append(f"{name + ' ' if name else ''}VA {v.va:#x}{whose}")
    return lines + ([] if v.pte_at is None else _entry(index, v.pte_at, v.pte))


def _entry(index: Index, at: int, pte: int | None) -> list[str]:
    flags = "not valid" if pte is None or not pte & kit.sv39.V else " ".join((kit.sv39.flags_of(pte), *index.soft(pte)))
    return [f"PTE at {at:#x}"] + ([] if pte is None else [f"  = {pte:#x}, {flags}"])


def _right_place(index: Index, v: kit.Verdict) -> list[str]:
    """The parent's entry, which leads where the accused one should; nothing where there is none."""
    process, layout = index.process(v.pid), index.layout
    parent = index.process(process.parent) if process else None
    leaf = index.leaf(parent, layout.fry) if parent else None
    if v.rule != "shrimp-pair" or leaf is None or parent is None or layout.fry is None or v.va != layout.shrimp:
        return []
    whose = f"pid {parent.pid} ({shorten(parent.name, words.NAME_CHARS)})"
    return [whose, f"FRY VA {layout.fry:#x}", *_entry(index, leaf.pte_at, leaf.pte)]


def _wrap(lines: Sequence[str], width: float) -> list[str]:
    return elements.wrapped(lines, width - 2 * _PAD)


def _card(scene: Scene, index: Index, fault: _Fault, i: int, y: float) -> float:
    """Draws one fault from y down; returns the y of its lower edge."""
    v = fault.verdict
    x = float(MARGIN_PT)
    why = elements.wrapped([f"{v.subject}: {v.why}"], _WIDTH - 2 * _PAD, style.FONT_PT)
    left = [_Box([shorten(first, fitting_chars(_LEFT_W - 2 * _PAD, style.SMALL_PT)), *elements.wrapped(rest, _LEFT_W - 2 * _PAD)])
            for first, *rest in filter(None, (_place(index, v), _right_place(index, v)))]
    right = [_Box([name, *_wrap([said or "?"], _RIGHT_W - 16)]) for name, said in (("is", v.actual), ("should be", v.expected))]
    advice = elements.wrapped([v.explanation or "", *_written(fault), *_also(fault)], _WIDTH - 2 * _PAD)
    middle = max(_height(left), _height(right))
    height = _HEAD + 13 * len(why) + 10 + middle + 8 + LINE_PT * len(advice) + 6
    with scene.group(f"fault-{i}", f"{v.rule}: {v.statement}"):
        scene.box(x, y, _WIDTH, height, style.PAPER, style.ALARM, rounded=True, stroke_width=1.2, head=Band(_HEAD, style.ALARM))
        scene.text(x + _PAD, y + _HEAD / 2, f"! {v.rule}", ink=style.PAPER, bold=True)
        scene.text(x + _WIDTH - _PAD, y + _HEAD / 2, f"look at {v.function}()" if v.function else "", ink=style.PAPER, bold=True,
                   anchor="end")
        at = y + _HEAD + 5
        for line in why:
            scene.text(x + _PAD, at + 6.5, line, bold=True)
            at += 13
        _ways(scene, left, right, at + 6, middle)
        at += middle + 14
        for line in advice:
            scene.text(x + _PAD, at + LINE_PT / 2, line, style.SMALL_PT, ink=style.QUIET)
            at += LINE_PT
    return y + height


@dataclass(frozen=True)
class _Box:
    """An entry, or what one leads to. The first line is bold."""
    lines: list[str]

    @property
    def height(self) -> float:
        return LINE_PT * len(self.lines) + 8


def _height(boxes: Sequence[_Box]) -> float:
    return sum(box.height for box in boxes) + _GAP * (len(boxes) - 1)


def _ways(scene: Scene, left: Sequence[_Box], right: Sequence[_Box], y: float, height: float) -> None:
    """The accused entry, and below it one that is right; what the first is, and should be; the ways from one to the other."""
    xs = MARGIN_PT + _PAD, MARGIN_PT + _WIDTH - _PAD - _RIGHT_W
    middles = [_stacked(scene, boxes, xs[k], width, y + (height - _height(boxes)) / 2, bool(k))
               for k, (boxes, width) in enumerate(((left, _LEFT_W), (right, _RIGHT_W)))]
    (accused, *others), (found, expected) = middles
    start = xs[0] + _LEFT_W
    _leads_to(scene, start, accused - 6, xs[1], found, True, -8)
    _leads_to(scene, start, accused + 6, xs[1], expected - 5 * bool(others), False, -8)
    for other in others:
        near = abs(other - expected) < _STRAIGHT
        bend = [] if near else [(start, other), (start + 8, other)]
        scene.line([*bend, (start if near else start + 8, expected + 5), (xs[1], expected + 5)], style.INK, stroke_width=1.4,
                   radius=6, arrow=8)


def _stacked(scene: Scene, boxes: Sequence[_Box], x: float, width: float, y: float, leads: bool) -> list[float]:
    """Draws boxes from y down; returns the y of the middle of each."""
    middles = []
    for j, box in enumerate(boxes):
        wrong, ink = leads and j == 0, (style.INK if leads else style.QUIET)
        scene.box(x, y, width, box.height, style.PAPER if leads and not wrong else _PALE_ALARM if wrong else style.PALE_PROCESS,
                  style.ALARM if wrong else ink, rounded=True, stroke_width=2.0 if wrong else 1.2 if leads else 0.9,
                  dash=(4, 3) if leads and not wrong else None)
        for n, line in enumerate(box.lines):
            scene.text(x + _PAD, y + 4 + LINE_PT * (n + 0.5), line, style.SMALL_PT, bold=n == 0,
                       ink=style.ALARM if wrong and n == 0 else style.INK)
        middles.append(y + box.height / 2)
        y += box.height + _GAP
    return middles


def _leads_to(scene: Scene, x0: float, y0: float, x1: float, y1: float, wrong: bool, bend: float) -> None:
    """The line from an entry to what it is, solid, or should be, dashed."""
    turn = (x0 + x1) / 2 + bend
    scene.line([(x0, y0), (turn, y0), (turn, y1), (x1, y1)], style.ALARM if wrong else style.INK, stroke_width=2.2 if wrong else 1.4,
               radius=6, dash=None if wrong else (4, 3), arrow=8)


def _written(fault: _Fault) -> list[str]:
    """Where it was written; nothing where that is not known."""
    if fault.traced is None or fault.traced.untold:
        return []
    return [f"written here: {line}" for line in kit.said_of_origins(fault.traced)]


def _also(fault: _Fault) -> list[str]:
    """Who fails in the same way, and what else fails because of it."""
    block = fault.block
    lines = [f"as well: {_others(block.cause)}"] if len(block.cause.verdicts) > 1 else []
    for alike in block.symptoms[:_ALSO]:
        others = f" (as well: {_others(alike)})" if len(alike.verdicts) > 1 else ""
        lines.append(f"and so {alike.example.rule}: {alike.example.subject}: {alike.example.why}{others}")
    more = len(block.symptoms) - _ALSO
    return lines + ([f"and {words.count(more, 'more rule')}"] if more > 0 else [])


def _others(alike: kit.Alike) -> str:
    return kit.others([(v.about, v.va) for v in alike.verdicts])


def _sentence(index: Index, fault: _Fault) -> str:
    v = fault.verdict
    at = ", ".join(line.strip() for line in _place(index, v)[1:])
    also = "".join(f" {line}." for line in (*_written(fault), *_also(fault)))
    return (f"{v.rule}, {v.subject}: {v.why}{f' ({at})' if at else ''}; is {v.actual}; should be {v.expected}"
            + (f"; look at {v.function}()" if v.function else "") + f".{also}")


def _calm(index: Index, judgement: kit.Judgement, summary: str) -> Drawing:
    """Nothing failed: how much passed, what was skipped, and why."""
    said = "Nothing is wrong" if judgement.status == 0 else "Nothing failed, and too little could be judged"
    skipped = [v for v in judgement.verdicts if v.status == "skipped"]
    rules = Counter(why for _, why in {(v.rule, v.why) for v in skipped})
    reasons = Counter((v.rule if rules[v.why] < _MANY_RULES else f"{rules[v.why]} rules", v.why) for v in skipped)
    lines = [f"skipped {n}: {rule}: {why}" for (rule, why), n in reasons.items()]
    if len(lines) > _REASONS:
        rest = sum(list(reasons.values())[_REASONS:])
        lines[_REASONS:] = [f"and {rest} more"]
    notes = [*lines, *words.cautions(index)]
    scene = Scene()
    y = elements.heading(scene, said, [words.stop_line(index)])
    scene.box(MARGIN_PT, y, _WIDTH, 30, style.PALE_PROCESS, style.QUIET, rounded=True, stroke_width=0.9)
    scene.text(MARGIN_PT + _PAD + 3, y + 15, summary, bold=True)
    y = elements.notes(scene, y + 40, notes)
    return Drawing(said, " ".join([words.stop_line(index) + ".", summary + ".", *(f"{n.rstrip('.')}." for n in notes)]),
                   scene.sized(elements.WIDTH_PT, y + MARGIN_PT))


"""The fault diagram: what is wrong?

A card for each thing that breaks a rule: the entry as it is, where it leads, where it should lead, and the
function to look at. What the rules hold back is never drawn as wrong.
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
_REASONS = 12           # lines of why verdicts were skipped
_ALSO = 3               # further rules that one thing breaks
_CAUSES = ("frame-in-ram", "pte-legal", "table-private")    # an entry that is no entry makes other rules fail too


@dataclass(frozen=True)
class _Fault:
    """One thing that is wrong: the verdict that tells most, and what else fails because of it."""
    verdict: kit.Verdict
    also: tuple[kit.Verdict, ...]
    traced: kit.Traced | None = None


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
    """Failures that accuse the same entry, or the same subject, are one; causes first, then in the rules' order."""
    by_thing: dict[object, list[kit.Verdict]] = {}
    for v in sorted(failures, key=lambda v: v.rule not in _CAUSES):
        by_thing.setdefault((v.pid, v.va) if v.va is not None else v.subject, []).append(v)
    return [_Fault(first, tuple(also), next((traces[key] for v in (first, *also) if (key := (v.rule, v.about, v.va)) in traces), None))
            for first, *also in by_thing.values()]


def _summary(judgement: kit.Judgement) -> str:
    held = judgement.n_held_back
    n = len(judgement.failures)
    return (f"{words.count(n, 'verdict') if n else 'no verdict'} failed, {judgement.count('pass')} passed, "
            f"{judgement.count('skipped')} skipped" + (f", {held} of them for what the machine is in the middle of"
                                                       if held else ""))


def _left_out(faults: Sequence[_Fault]) -> list[str]:
    if not faults:
        return []
    rules = Counter(f.verdict.rule for f in faults)
    return [f"! left out: {words.count(len(faults), 'more thing')} wrong: "
            + ", ".join(f"{rule} {n}" for rule, n in sorted(rules.items()))]


def _place(index: Index, v: kit.Verdict) -> list[str]:
    """What is accused: whose, which page, and the entry with its value."""
    lines = [v.subject]
    if v.va is not None:
        name = index.shared(v.va) or (index.special(v.va) or "").lower()
        whose = f" of pid {v.pid}" if v.pid is not None and v.about.kind != "process" else ""
        lines.append(f"{name + ' ' if name else ''}VA {v.va:#x}{whose}")
    if v.pte_at is not None:
        lines.append(f"PTE at {v.pte_at:#x}")
        if v.pte is not None:
            lines.append(f"  = {v.pte:#x}, " + (
                " ".join((kit.sv39.flags_of(v.pte), *index.soft(v.pte))) if v.pte & kit.sv39.V else "not valid"))
    return lines


def _wrap(lines: Sequence[str], width: float) -> list[str]:
    return elements.wrapped(lines, width - 2 * _PAD)


def _card(scene: Scene, index: Index, fault: _Fault, i: int, y: float) -> float:
    """Draws one fault from y down; returns the y of its lower edge."""
    v = fault.verdict
    x = float(MARGIN_PT)
    look = f"look at {v.function}()" if v.function else ""
    why = elements.wrapped([f"{v.subject}: {v.why}"], _WIDTH - 2 * _PAD, style.FONT_PT)
    place = _place(index, v)
    left = [shorten(place[0], fitting_chars(_LEFT_W - 2 * _PAD, style.SMALL_PT)),
            *elements.wrapped(place[1:], _LEFT_W - 2 * _PAD)]
    found, expected = (_wrap([said or "?"], _RIGHT_W - 16) for said in (v.actual, v.expected))
    advice = elements.wrapped([v.explanation or "", *_written(fault), *_also(fault)], _WIDTH - 2 * _PAD)
    box_h = [LINE_PT * (len(lines) + 1) + 6 for lines in (found, expected)]
    left_h = LINE_PT * len(left) + 10
    middle_h = max(sum(box_h) + 8, left_h)
    height = _HEAD + 13 * len(why) + 10 + middle_h + 8 + LINE_PT * len(advice) + 6
    with scene.group(f"fault-{i}", f"{v.rule}: {v.statement}"):
        scene.box(x, y, _WIDTH, height, style.PAPER, style.ALARM, rounded=True, stroke_width=1.2, head=Band(_HEAD, style.ALARM))
        scene.text(x + _PAD, y + _HEAD / 2, f"! {v.rule}", ink=style.PAPER, bold=True)
        scene.text(x + _WIDTH - _PAD, y + _HEAD / 2, look, ink=style.PAPER, bold=True, anchor="end")
        at = y + _HEAD + 5
        for line in why:
            scene.text(x + _PAD, at + 6.5, line, bold=True)
            at += 13
        at += 6
        lx, rx = x + _PAD, x + _WIDTH - _PAD - _RIGHT_W
        ly = at + (middle_h - left_h) / 2
        scene.box(lx, ly, _LEFT_W, left_h, style.PALE_PROCESS, style.QUIET, rounded=True, stroke_width=0.9)
        for j, line in enumerate(left):
            scene.text(lx + _PAD, ly + 5 + LINE_PT * (j + 0.5), line, style.SMALL_PT, bold=j == 0)
        by = at + (middle_h - sum(box_h) - 8) / 2
        for name, lines, h, wrong in (("is", found, box_h[0], True), ("should be", expected, box_h[1], False)):
            _leads_to(scene, (lx + _LEFT_W, ly + left_h / 2 + (-6 if wrong else 6)), rx, by, h, name, lines, wrong)
            by += h + 8
        at += middle_h + 8
        for line in advice:
            scene.text(x + _PAD, at + LINE_PT / 2, line, style.SMALL_PT, ink=style.QUIET)
            at += LINE_PT
    return y + height


def _leads_to(scene: Scene, start: tuple[float, float], x: float, y: float, height: float, name: str,
              lines: Sequence[str], wrong: bool) -> None:
    """The line from an entry to what it is, solid, or should be, dashed; and that."""
    ink = style.ALARM if wrong else style.INK
    end = y + height / 2
    turn = (start[0] + x) / 2 - 8
    scene.line([start, (turn, start[1]), (turn, end), (x, end)], ink, stroke_width=2.2 if wrong else 1.4, radius=6,
               dash=None if wrong else (4, 3), arrow=8)
    scene.box(x, y, _RIGHT_W, height, style.PAPER if not wrong else "#FBE9E2", ink, rounded=True,
              stroke_width=2.0 if wrong else 1.2, dash=None if wrong else (4, 3))
    scene.text(x + _PAD, y + 3 + LINE_PT / 2, name, style.SMALL_PT, ink=ink, bold=True)
    for j, line in enumerate(lines):
        scene.text(x + _PAD, y + 3 + LINE_PT * (j + 1.5), line, style.SMALL_PT)


def _written(fault: _Fault) -> list[str]:
    """Where it was written; nothing where that is not known."""
    if fault.traced is None or fault.traced.untold:
        return []
    return [f"written here: {line}" for line in kit.said_of_origins(fault.traced)]


def _also(fault: _Fault) -> list[str]:
    lines = [f"also {v.rule}: {v.why}" for v in fault.also[:_ALSO]]
    more = len(fault.also) - _ALSO
    return lines + ([f"and {words.count(more, 'more rule')}"] if more > 0 else [])


def _sentence(index: Index, fault: _Fault) -> str:
    v = fault.verdict
    at = ", ".join(line.strip() for line in _place(index, v)[1:])
    also = "".join(f" {line}." for line in (*_written(fault), *_also(fault)))
    return (f"{v.rule}, {v.subject}: {v.why}{f' ({at})' if at else ''}; is {v.actual}; should be {v.expected}"
            + (f"; look at {v.function}()" if v.function else "") + f".{also}")


def _calm(index: Index, judgement: kit.Judgement, summary: str) -> Drawing:
    """Nothing failed: how much passed, what was skipped, and why."""
    said = "Nothing is wrong" if judgement.status == 0 else "Nothing failed, and too little could be judged"
    reasons = Counter((v.rule, v.why) for v in judgement.verdicts if v.status == "skipped")
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


"""The film on paper: panels of the steps that tell the story, one below the other on sheets of A4."""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..figures import family
from ..model import words
from ..model.sharing import has_pages, relations
from ..scene import elements, style
from ..scene.shapes import Scene
from ..scene.text import fitting_chars, shorten
from . import phrases
from .document import Film, Step

SHEET_PT = (595.28, 841.89)     # A4
N_PANELS = 12

_MARGIN = 40.0                  # more than any printer needs
_WIDTH = SHEET_PT[0] - 2 * _MARGIN
_TOP = _MARGIN + 34             # below the sheet's heading
_BOTTOM = SHEET_PT[1] - _MARGIN - 58    # above its legend and notes
_HEAD, _LINE, _GAP = 18.0, 11.5, 12.0
_FINE_PT = 8.5
_LEGEND_SCALE = _WIDTH / (elements.WIDTH_PT - 2 * elements.MARGIN_PT)
N_CHANGES = 4           # of a panel


def telling(film: Film) -> list[int]:
    """Indices of the steps that say most, N_PANELS at most: the first and the last, where the pairing's
    state changes, where FRY and SHRIMP are mapped, a process's state changes, memory is copied, exec
    takes its new table, and the first of each phase."""
    first = {step.phase: i for i, step in reversed(list(enumerate(film.steps)))}

    def rank(i: int) -> int:
        step, before = film.steps[i], film.steps[max(i - 1, 0)]
        kinds, is_first = {change.what for change in step.changes}, first[step.phase] == i
        reasons = (i in (0, len(film.steps) - 1),
                   step.pairing.state != before.pairing.state,
                   is_first and step.phase in ("fry", "shrimp"),
                   "state" in kinds,
                   is_first and step.phase == "copy" or step.phase == "exec" and "root" in kinds,
                   is_first)
        return reasons.index(True) if True in reasons else len(film.steps)
    ranked = sorted((rank(i), i) for i in range(len(film.steps)))
    return sorted(i for why, i in ranked[:N_PANELS] if why < len(film.steps))


def sheets(film: Film, title: str, which: Sequence[int], pictures: Sequence[Scene], on_a4: bool) -> list[Scene]:
    """Each sheet of A4, else of one that is as long as need be; `pictures` are those of the steps
    `which`, one to each of `which`."""
    stacks: list[list[_Panel]] = [[]]
    y = _TOP
    for i, picture in zip(which, pictures):
        panel = _Panel.of(i + 1, film.steps[i], picture)
        if on_a4 and stacks[-1] and y + panel.height > _BOTTOM:
            stacks.append([])
            y = _TOP
        stacks[-1].append(panel)
        y += panel.height + _GAP
    notes = list(_notes(film, which))
    kernel = words.kernel(film.kernel)
    return [_sheet(title, kernel + (f", sheet {n} of {len(stacks)}" if len(stacks) > 1 else ""), film, stack, notes,
                   on_a4) for n, stack in enumerate(stacks, 1)]


@dataclass(frozen=True)
class _Panel:
    """One step; lines are (text, size) below its title."""
    number: int
    title: str
    place: str
    lines: tuple[tuple[str, float], ...]
    picture: Scene
    width: float
    picture_height: float

    @classmethod
    def of(cls, number: int, step: Step, picture: Scene) -> _Panel:
        place = phrases.place(step.at)
        n = fitting_chars(_WIDTH, style.FONT_PT) - len(place) - 2
        sign, pairing = phrases.PAIRINGS[step.pairing.state]
        n_more = len(step.changes) - N_CHANGES + step.more_changes
        pair = [f"{sign} {pairing}: {step.pairing.text}"] if has_pages(step.index) else []
        fine = [*pair, *map(phrases.line, step.changes[:N_CHANGES]),
                *([f"and {words.count(n_more, 'change')} more"] if n_more > 0 else [])]
        lines = tuple((line, size) for plain, size in (([step.caption], style.SMALL_PT), (fine, _FINE_PT))
                      for line in elements.wrapped(plain, _WIDTH, size))
        width, height = picture.width, picture.height
        room = _BOTTOM - _TOP - _HEAD - _LINE * len(lines)
        scale = min(_WIDTH / width, room / height)
        return cls(number, shorten(f"{number}. {step.title}", n), place, lines, picture, scale * width, scale * height)

    @property
    def height(self) -> float:
        return _HEAD + _LINE * len(self.lines) + self.picture_height

    def draw(self, scene: Scene, y: float) -> None:
        scene.line([(_MARGIN, y), (_MARGIN + _WIDTH, y)], style.HAIRLINE, stroke_width=0.6)
        scene.text(_MARGIN, y + _HEAD / 2 + 1, self.title, bold=True)
        scene.text(_MARGIN + _WIDTH, y + _HEAD / 2 + 1, self.place, _FINE_PT, "end", style.QUIET)
        y += _HEAD
        for line, size in self.lines:
            scene.text(_MARGIN, y + _LINE / 2, line, size, ink=style.INK if size > _FINE_PT else style.QUIET)
            y += _LINE
        with scene.group(f"panel-{self.number}", kind="panel"):
            scene.place(self.picture, _MARGIN, y, self.width / self.picture.width, f"{self.number}-")


def _sheet(title: str, below: str, film: Film, stack: Sequence[_Panel], notes: Sequence[str],
           on_a4: bool) -> Scene:
    scene = Scene()
    scene.text(_MARGIN, _MARGIN + 6, title, style.TITLE_PT, bold=True)
    scene.text(_MARGIN, _MARGIN + 21, below, style.SMALL_PT, ink=style.QUIET)
    y = _TOP
    for panel in stack:
        panel.draw(scene, y)
        y += panel.height + _GAP
    bottom = _BOTTOM if on_a4 else y
    below_all = Scene()
    has_segments = any(step.index.snapshot.segments for step in film.steps)
    elements.notes(below_all, family.legend(below_all, film.steps[0].index, 0, has_segments), notes)
    scene.place(below_all, _MARGIN - elements.MARGIN_PT * _LEGEND_SCALE, bottom + 6, _LEGEND_SCALE)
    width, height = SHEET_PT[0], SHEET_PT[1] - _BOTTOM + bottom
    if on_a4:
        return scene.sized(width, height)
    figure, cut = Scene(), _MARGIN - elements.MARGIN_PT     # nobody prints it as it is
    figure.place(scene, -cut, -cut)
    return figure.sized(width - 2 * cut, height - 2 * cut)


def _notes(film: Film, which: Sequence[int]) -> Iterator[str]:
    yield family.CHANGED
    n_steps = len(film.steps) - len(which)
    frames = sorted(_n_other_frames(film.steps[i]) for i in which)
    span = words.count(frames[0], "frame") if frames[0] == frames[-1] else f"{frames[0]} to {frames[-1]} frames"
    left_out = [f"{words.count(n_steps, 'step')} of {len(film.steps)}"] if n_steps else []
    if frames[-1]:
        left_out += [f"of each step, {span}" + (" that nobody has at FRY or SHRIMP" if has_pages(film.steps[0].index) else "")]
    if left_out:
        yield "left out: " + "; ".join(left_out)


def _n_other_frames(step: Step) -> int:
    shared = relations(step.index).frames
    return sum(f.n_pages for f in step.index.snapshot.frames if f.pa not in shared)

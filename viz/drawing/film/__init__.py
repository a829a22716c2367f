"""The film: how a process is made, lives and ends, one picture of the family to a step.

One HTML file to show, or a strip of panels for paper.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Callable, Optional

from ..figures import Drawing, family
from ..model import words
from ..model.errors import VizError
from ..model.sharing import ATTACHED, attached, has_pages
from ..scene import dot, svg
from ..scene.shapes import Scene
from . import page, strip
from .document import Film, Step


@dataclass(frozen=True)
class Reel:
    """The film before it is rendered: html, a page that stands alone; sheets, given True, a scene for each sheet of A4,
    else one that is as long as need be. They are large, so they are made when asked for."""
    title: str
    description: str
    html: Callable[[], str]
    sheets: Callable[[bool], Sequence[Scene]]


def draw(film: Film, steps: Optional[Sequence[int]] = None) -> Reel:
    """The film as a page of all its steps, and as a strip of `steps`, counted from 1, or of those that tell most.

    Raises VizError for a step that is not there.
    """
    missing = [n for n in steps or () if not 1 <= n <= len(film.steps)]
    if missing:
        raise VizError(f"--steps: expected 1 to {len(film.steps)}, found {missing[0]}")
    which = sorted({n - 1 for n in steps}) if steps else strip.telling(film)
    cast = _cast(film)
    title = _title(film)
    first, last = (words.stop_line(s.index) for s in (film.steps[0], film.steps[-1]))
    return Reel(title, f"{len(film.steps)} steps, from {first} to {last}.",
                html=lambda: _page(film, title, _drawings(film, cast)),
                sheets=lambda on_a4: strip.sheets(film, title, which, [
                    one.scene for one in map(_drawings(film, cast, has_legend=False).__getitem__, which)], on_a4))


def _page(film: Film, title: str, drawings: Sequence[Drawing]) -> str:
    named = [(f"{one.title}, step {n}", one) for n, one in enumerate(drawings, 1)]
    return page.page(film, title, [svg.inlined(one.scene, one.description, f"s{n}-", name) for n, (name, one) in enumerate(named, 1)],
                     [dot.write(one.scene, name) for name, one in named])


def _title(film: Film) -> str:
    parent = film.steps[0].index.process(film.parent)
    who = f"pid {film.parent}" + (f" ({parent.name})" if parent and parent.name else "")
    if film.child is None:
        return f"{film.function}: {who} gets no child"
    return f"{_what(film)}: {who} and its child, pid {film.child}{_with_segments(film)}"


def _what(film: Film) -> str:
    """What the film shows: fork, and what comes after it of exec, exit and wait."""
    return ", ".join(dict.fromkeys([film.function, *(step.phase for step in film.steps if step.phase in _AFTER_FORK)]))


_AFTER_FORK = ("exec", "exit", "wait")


def _with_segments(film: Film) -> str:
    """What of shared memory the two have attached in some step."""
    ids = sorted({page.mapping.region for step in film.steps for pid in (film.parent, film.child)
                  for p in [step.index.process(pid)] if p for page in attached(step.index, p)})
    if not ids:
        return ""
    return f", with segment {words.region(ids[0])}" if len(ids) == 1 else f", with {len(ids)} segments"


def _cast(film: Film) -> list[int]:
    """The pids in the picture: parent and child, whose frames the parent shares, and who shares theirs.

    Where two had the same slot, one after the other, the first of these: it is a place in the picture.
    """
    parents: dict[int, Optional[int]] = {}
    slots: dict[int, int] = {}
    for step in film.steps:
        for p in step.index.processes:
            parents.setdefault(p.pid, p.parent)
            slots.setdefault(p.pid, p.slot)
    pair = [pid for pid in (film.parent, film.child) if pid is not None]
    wanted = [*pair]
    up = parents.get(film.parent)
    while up is not None and up not in wanted:
        wanted.append(up)
        up = parents.get(up)
    wanted += sorted(pid for pid, parent in parents.items() if parent in pair)
    cast = {slots[pid]: pid for pid in reversed(wanted) if pid in slots}
    return sorted([pid for pid in dict.fromkeys(wanted) if pid in cast.values()][:family.LIMIT])


def _drawings(film: Film, cast: Sequence[int], has_legend: bool = True) -> list[Drawing]:
    """The family at each step, in one layout for all."""
    return family.draw_steps([s.index for s in film.steps], cast, [_changed(s) for s in film.steps], has_legend)


_ROWS = {"pte": "T", "table": "T", "root": "T", "sz": "M"}
"""The row that a change is in, in the picture of a kernel without FRY and SHRIMP."""


def _changed(step: Step) -> frozenset[str]:
    """Ids in the picture of what the step changed."""
    index, found = step.index, set()
    for change in step.changes:
        process, page = index.process(change.pid), index.shared(change.va)
        if process:
            if change.what != "pte":
                found.add(f"process-{process.slot}")
            elif page and has_pages(index):
                found.add(f"page-{words.LETTER[page]}-{process.slot}")
            elif has_pages(index):
                found |= {f"page-{ATTACHED}{n}-{process.slot}" for n, one in enumerate(attached(index, process)) if one.va == change.va}
            if not has_pages(index) and change.what in _ROWS:
                found.add(f"page-{_ROWS[change.what]}-{process.slot}")
    return frozenset(found)

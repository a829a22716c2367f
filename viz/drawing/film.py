"""The film: how a process is made, lives and ends, one picture of the family to a step.

One HTML file to show, or a strip of panels for paper.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

from . import family, film_page, strip, svg, words
from .drawing import Drawing
from .errors import VizError
from .film_json import Film, Step
from .sharing import has_pages


def draw(film: Film, steps: Optional[Sequence[int]] = None) -> Drawing:
    """The film as a page of all its steps, and as a strip of `steps`, counted from 1, or of those that tell most.

    Raises VizError for a step that is not there.
    """
    missing = [n for n in steps or () if not 1 <= n <= len(film.steps)]
    if missing:
        raise VizError(f"--steps: expected 1 to {len(film.steps)}, found {missing[0]}")
    which = sorted({n - 1 for n in steps}) if steps else strip.telling(film)
    cast = _cast(film)
    title = _title(film)
    first, last = (words.stop_line(s.snapshot) for s in (film.steps[0], film.steps[-1]))
    return Drawing(title, f"{len(film.steps)} steps, from {first} to {last}.",
                   html=lambda: film_page.page(film, title, [
                       svg.inlined(one, f"s{n}-", f"{one.title}, step {n}") for n, one in enumerate(_drawings(film, cast), 1)]),
                   sheets=lambda on_a4: strip.sheets(film, title, which, [
                       one.scene for one in map(_drawings(film, cast, has_legend=False).__getitem__, which)], on_a4))


def _title(film: Film) -> str:
    names = [p.name for p in film.steps[0].snapshot.processes if p.pid == film.parent]
    who = f"pid {film.parent}" + (f" ({names[0]})" if names and names[0] else "")
    if film.child is None:
        return f"{film.function}: {who} gets no child"
    return f"{film.function}: {who} and its child, pid {film.child}"


def _cast(film: Film) -> list[int]:
    """The pids in the picture: parent and child, whose frames the parent shares, and who shares theirs.

    Where two had the same slot, one after the other, the first of these: it is a place in the picture.
    """
    parents: dict[int, Optional[int]] = {}
    slots: dict[int, int] = {}
    for step in film.steps:
        for p in step.snapshot.processes:
            parents.setdefault(p.pid, p.parent)
            slots.setdefault(p.pid, p.slot)
    wanted = [film.parent, film.child]
    up = parents.get(film.parent)
    while up is not None and up not in wanted:
        wanted.append(up)
        up = parents.get(up)
    wanted += sorted(pid for pid, parent in parents.items() if parent in wanted[:2] and parent is not None)
    cast = {slots[pid]: pid for pid in reversed(wanted) if pid in slots}
    return sorted([pid for pid in dict.fromkeys(wanted) if pid in cast.values()][:family.LIMIT])


def _drawings(film: Film, cast: Sequence[int], has_legend: bool = True) -> list[Drawing]:
    """The family at each step, in one layout for all."""
    return family.draw_steps([s.snapshot for s in film.steps], cast, [_changed(s) for s in film.steps], has_legend)


_ROWS = {"pte": "T", "table": "T", "root": "T", "sz": "M"}
"""The row that a change is in, in the picture of a kernel without FRY and SHRIMP."""


def _changed(step: Step) -> frozenset[str]:
    """Ids in the picture of what the step changed."""
    layout, found = step.snapshot.layout, set()
    slots = {p.pid: p.slot for p in step.snapshot.processes}
    letters = {layout.fry: "F", layout.shrimp: "S"} if has_pages(step.snapshot) else {}
    for change in step.changes:
        if change.pid in slots:
            if change.what != "pte":
                found.add(f"process-{slots[change.pid]}")
            elif change.va in letters:
                found.add(f"page-{letters[change.va]}-{slots[change.pid]}")
            if not has_pages(step.snapshot) and change.what in _ROWS:
                found.add(f"page-{_ROWS[change.what]}-{slots[change.pid]}")
    return frozenset(found)

"""The film: how a process is made, lives and ends, one picture of the family to a step.

One HTML file to show, or a strip of panels for paper.
"""
from __future__ import annotations

from collections.abc import Sequence
from typing import Optional
from xml.etree.ElementTree import Element

from . import family, film_page, svg, words
from .drawing import Drawing
from .film_json import Film, Step


def draw(film: Film) -> Drawing:
    """The film, as a page."""
    cast = _cast(film)
    title = _title(film)
    first, last = (words.stop_line(s.snapshot) for s in (film.steps[0], film.steps[-1]))
    return Drawing(title, f"{len(film.steps)} steps, from {first} to {last}.",
                   html=lambda: film_page.page(film, title, _pictures(film, cast, range(len(film.steps)))))


def _title(film: Film) -> str:
    names = [p.name for p in film.steps[0].snapshot.processes if p.pid == film.parent]
    who = f"pid {film.parent}" + (f" ({names[0]})" if names and names[0] else "")
    if film.child is None:
        return f"{film.function}: {who} gets no child"
    return f"{film.function}: {who} and its child, pid {film.child}"


def _cast(film: Film) -> list[int]:
    """The pids in the picture: parent and child, whose frames the parent shares, and who shares theirs."""
    parents: dict[int, Optional[int]] = {}
    for step in film.steps:
        for p in step.snapshot.processes:
            parents.setdefault(p.pid, p.parent)
    cast = [film.parent] + [film.child] * (film.child in parents)
    up = parents.get(film.parent)
    while up in parents and up not in cast:
        cast.append(up)
        up = parents[up]
    cast += sorted(pid for pid, parent in parents.items() if parent in (film.parent, film.child) and pid not in cast)
    return sorted(cast[:family.LIMIT])


def _pictures(film: Film, cast: Sequence[int], which: Sequence[int]) -> list[Element]:
    """The family at each of the steps `which`, in one layout for all."""
    drawings = family.draw_steps([s.snapshot for s in film.steps], cast, [_changed(s) for s in film.steps])
    pictures = [svg.inlined(drawings[i], f"s{i + 1}-", f"{drawings[i].title}, step {i + 1}") for i in which]
    # notes below differ in length; with one size, nothing moves from step to step
    width, height = (max(float(p.get(side).removesuffix("pt")) for p in pictures) for side in ("width", "height"))
    for picture in pictures:
        picture.attrib.update(height=f"{height:g}pt", viewBox=f"0 0 {width:g} {height:g}")
    return pictures


def _changed(step: Step) -> frozenset[str]:
    """Ids in the picture of what the step changed."""
    layout, found = step.snapshot.layout, set()
    slots = {p.pid: p.slot for p in step.snapshot.processes}
    letters = {layout.fry: "F", layout.shrimp: "S"}
    for change in step.changes:
        if change.pid in slots:
            if change.what != "pte":
                found.add(f"process-{slots[change.pid]}")
            elif change.va in letters:
                found.add(f"page-{letters[change.va]}-{slots[change.pid]}")
    return frozenset(found)

"""The film: how a process is made, lives and ends, one picture of the family to a step.

One HTML file to show, or a strip of panels for paper.
"""
from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Optional
from xml.etree.ElementTree import Element

from . import family, film_page, render, svg, words
from .drawing import Drawing
from .errors import VizError
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
    drawings = _family(film.steps, cast)

    def picture(i: int) -> Element:
        figure = render.render(drawings[i], ["svg"]).figures[0].decode("utf-8")
        return svg.inlined(figure, f"s{i + 1}-", f"{drawings[i].title}, step {i + 1}")
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(picture, which))


def _family(steps: Sequence[Step], cast: Sequence[int]) -> list[Drawing]:
    try:
        return [family.draw(s.snapshot, [p.pid for p in s.snapshot.processes if p.pid in cast], heading=False)
                for s in steps]
    except VizError as e:
        raise VizError(f"steps: {e}") from None

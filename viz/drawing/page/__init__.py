"""One page of a machine: figures and tables to be clicked through, of a snapshot, of a film's steps, or of a machine that runs.

What the page shows is a state: parts by name. Of a state that follows another only the parts that changed are written, or sent.
"""
from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..film import document as films
from ..film.document import Film
from ..model import documents, words
from ..model.kit import Index
from . import parts
from .parts import Change, Scribe
from .sheet import html


@dataclass(frozen=True)
class Page:
    """A page before it is written. html: all of it, one file that stands alone."""
    title: str
    description: str
    html: Callable[[], str]


def draw(name: str) -> Page:
    """The page of a snapshot's file, or of a film's; "-" is standard input. Raises VizError."""
    document = documents.load(name, _parse)
    scribe = Scribe()
    if isinstance(document, Index):
        first, tape, dots = document, [parts.change({}, scribe.parts(document), "snapshot")], parts.dots(scribe.drawn)
    else:
        first, (tape, dots) = document.steps[0].index, _tape(document, scribe)
    return Page(title(first), words.stop_line(first), lambda: html(title(first), tape, dots=dots))


def title(index: Index) -> str:
    """What the page of a machine is called."""
    return f"Shrimpy: {words.kernel(index.snapshot.kernel)}"


def _parse(text: str) -> Index | Film:
    return films.parse(text) if films.KIND.is_meant(text) else documents.parse(text)


def _tape(film: Film, scribe: Scribe) -> tuple[list[Change], list[str]]:
    """A state for each step, and the figures of each as DOT."""
    tape: list[Change] = []
    dots: list[str] = []
    before: dict[str, str] = {}
    for n, step in enumerate(film.steps, 1):
        now = scribe.parts(step.index) | {"step": parts.told_step(step)}
        tape.append(parts.change(before, now, f"step {n} of {len(film.steps)}"))
        dots += parts.dots(scribe.drawn)
        before = now
    return tape, dots

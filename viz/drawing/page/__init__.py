"""One page of a machine: figures and tables to be clicked through, of a snapshot, of a film's steps, or of a machine that runs.

What the page shows is a state: parts by name. Of a state that follows another only the parts that changed are written, or sent.
"""
from __future__ import annotations

from collections.abc import Callable, Sequence
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
    tape, first = ([_first(document)], document) if isinstance(document, Index) else (_tape(document), document.steps[0].index)
    return Page(title(first), words.stop_line(first), lambda: html(title(first), tape))


def title(index: Index) -> str:
    """What the page of a machine is called."""
    return f"Shrimpy: {words.kernel(index.snapshot.kernel)}"


def _parse(text: str) -> Index | Film:
    return films.parse(text) if films.KIND.is_meant(text) else documents.parse(text)


def _first(index: Index) -> Change:
    return parts.change({}, Scribe().parts(index), "snapshot")


def _tape(film: Film) -> Sequence[Change]:
    """A state for each step; who is to come has a place from the beginning."""
    scribe = Scribe()
    tape: list[Change] = []
    before: dict[str, str] = {}
    for n, step in enumerate(film.steps, 1):
        now = scribe.parts(step.index) | {"step": parts.told_step(step)}
        tape.append(parts.change(before, now, f"step {n} of {len(film.steps)}"))
        before = now
    return tape

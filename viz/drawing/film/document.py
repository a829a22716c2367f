"""Loads a film, JSON v1 (docs/architecture.md): the steps of one fork, each with its snapshot.

What is not in the schema is ignored, so that a later version 1 writer may add keys.
"""
from __future__ import annotations

from typing import Any, Optional

from ..model import documents
from ..model.kit import Index, records

KIND = records.Document("shrimpy-film", 1, "record the film again with shrimp-step -record")


@records.record
class Place:
    """A line of the kernel's source, and its text; None where it is not known. around: it and lines before and after it."""
    function: Optional[str] = None
    file: Optional[str] = None
    line: Optional[int] = None
    source: Optional[str] = None
    around: tuple[str, ...] = records.plain(default=(), later=True)


@records.record
class Change:
    """One thing that a step changed: kind "+" appeared, "-" went, "~" became different.

    Of a page-table entry: its physical address, the level of the table it is in, and its value
    before and after, None where that table was not there. before and after are words for people.
    """
    what: str
    before: str
    after: str
    kind: str = records.word("+", "-", "~")
    pid: Optional[int] = None
    va: Optional[int] = records.address(default=None)
    pte_at: Optional[int] = records.address(default=None)
    level: Optional[int] = None
    pte_before: Optional[int] = records.address(default=None)
    pte_after: Optional[int] = records.address(default=None)


@records.record
class Pairing:
    """Whether the child's SHRIMP is its parent's FRY: "none" "pending" "holds" or "broken", and why."""
    text: str
    state: str = records.word("none", "pending", "holds", "broken")


@records.record
class Step:
    """What happened, and the machine after it. more_changes: how many like those in `changes` are not in it."""
    title: str
    caption: str
    phase: str
    more_changes: int
    at: Place = records.one(Place)
    pairing: Pairing = records.one(Pairing)
    index: Index = records.nested("snapshot", documents.snapshot_of)
    changes: tuple[Change, ...] = records.many(Change)


@records.record
class Film:
    """`function` is what this kernel calls fork; `child` is None when none was made."""
    kernel: str
    function: str
    parent: int
    child: Optional[int]
    steps: tuple[Step, ...] = records.many(Step)


def _film(data: Any) -> Film:
    film = records.decode(Film, data)
    if not film.steps:
        raise records.Unfit("at least one step", "[]", "steps")
    return film


def parse(text: str) -> Film:
    """The film in `text`. Raises VizError."""
    return documents.decoded(KIND, text, _film)


def load(name: str) -> Film:
    """The film in the file `name`, or on standard input when it is "-". Raises VizError."""
    return documents.load(name, parse)

"""Loads a film, JSON v1 (docs/architecture.md): the steps of one fork, each with its snapshot.

What is not in the schema is ignored, so that a later version 1 writer may add keys.
"""
from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Optional

from . import json_node, snapshot_json
from .json_node import Kind, Node
from .snapshot_json import Snapshot

KIND = Kind("shrimpy-film", 1, "record the film again with shrimp-step -record")
_SNAPSHOT = replace(snapshot_json.KIND, again=KIND.again)


@dataclass(frozen=True)
class Place:
    """A line of the kernel's source, and its text; None where it is not known."""
    function: Optional[str]
    file: Optional[str]
    line: Optional[int]
    source: Optional[str]


@dataclass(frozen=True)
class Change:
    """One thing that a step changed: kind "+" appeared, "-" went, "~" became different.

    Of a page-table entry: its physical address, the level of the table it is in, and its value
    before and after, None where that table was not there. before and after are words for people.
    """
    kind: str
    what: str
    pid: Optional[int]
    va: Optional[int]
    pte_at: Optional[int]
    level: Optional[int]
    pte_before: Optional[int]
    pte_after: Optional[int]
    before: str
    after: str


@dataclass(frozen=True)
class Pairing:
    """Whether the child's SHRIMP is its parent's FRY: "none" "pending" "holds" or "broken", and why."""
    state: str
    text: str


@dataclass(frozen=True)
class Step:
    """What happened, and the machine after it. more_changes: how many like those in `changes` are not in it."""
    title: str
    caption: str
    at: Place
    phase: str
    changes: tuple[Change, ...]
    more_changes: int
    pairing: Pairing
    snapshot: Snapshot


@dataclass(frozen=True)
class Film:
    """`function` is what this kernel calls fork; `child` is None when none was made."""
    kernel: str
    function: str
    parent: int
    child: Optional[int]
    steps: tuple[Step, ...]


def _place(n: Node) -> Place:
    return Place(n.at("function").maybe(Node.text), n.at("file").maybe(Node.text), n.at("line").maybe(Node.number),
                 n.at("source").maybe(Node.text))


def _change(n: Node) -> Change:
    return Change(n.at("kind").word("+", "-", "~"), n.at("what").text(), n.at("pid").maybe(Node.number),
                  n.at("va").maybe(Node.hex), n.at("pte_at").maybe(Node.hex), n.at("level").maybe(Node.number),
                  n.at("pte_before").maybe(Node.hex), n.at("pte_after").maybe(Node.hex),
                  n.at("before").text(), n.at("after").text())


def _pairing(n: Node) -> Pairing:
    return Pairing(n.at("state").word("none", "pending", "holds", "broken"), n.at("text").text())


def _snapshot(n: Node) -> Snapshot:
    return snapshot_json.read(n, json.dumps(n.value), _SNAPSHOT)


def _step(n: Node) -> Step:
    return Step(n.at("title").text(), n.at("caption").text(), _place(n.at("at")), n.at("phase").text(),
                n.at("changes").each(_change), n.at("more_changes").number(), _pairing(n.at("pairing")),
                _snapshot(n.at("snapshot")))


def parse(text: str) -> Film:
    """The film that `text` holds. Raises VizError."""
    root = json_node.parse(text, KIND)
    steps = root.at("steps")
    film = Film(root.at("kernel").text(), root.at("function").text(), root.at("parent").number(),
                root.at("child").maybe(Node.number), steps.each(_step))
    if not film.steps:
        raise steps.wrong("at least one step")
    return film


def load(name: str) -> Film:
    """The film in the file `name`, or on standard input when it is "-". Raises VizError."""
    return json_node.load(name, parse)

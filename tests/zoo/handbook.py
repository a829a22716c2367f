"""docs/mistakes.md: what a student sees of each mistake of the zoo, which rule finds it, and where it is made."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import callgraph
from mistakes import ROOT, Mistake
from shrimpy.rules import RULES

PAGE = ROOT / "docs/mistakes.md"

_HEAD = """# Known mistakes

Each of these is a patch to our kernel in `tests/zoo`, and `make zoo` holds `make check` to finding it. Find what you see, and
look at the functions named; [symptoms.md](symptoms.md) begins from what a broken kernel prints. Made from the headers of the
patches by `make golden`.
"""


def markdown(mistakes: Iterable[Mistake]) -> str:
    """The page: a section for each rule that finds mistakes, in the order of the rules; the specification's by operation."""
    found: dict[str, list[Mistake]] = defaultdict(list)
    for one in mistakes:
        found[_rule(one)].append(one)
    order = [rule.id for rule in RULES]
    sections = (line for rule in sorted(found, key=order.index) for line in _section(rule, found[rule]))
    return _HEAD + "\n".join(["", *sections]) + "\n"


def _rule(one: Mistake) -> str:
    return one.fails[0].rule if one.fails else "specification" if one.plays else "no-panic"


def _section(rule: str, mistakes: list[Mistake]) -> Iterator[str]:
    yield from (f"## {rule}", "", f"What it demands: [rules.md](rules.md#{rule}).", "")
    if rule == "specification":
        yield from ("| what you see | after which operation | the mistake | functions |", "| --- | --- | --- | --- |")
        yield from (_row(one.seen, ", ".join(dict.fromkeys(each.last for each in one.plays)), one.mistake, _places(one.patch))
                    for one in sorted(mistakes, key=lambda one: one.plays[0].last))
    else:
        yield from ("| what you see | the mistake | functions |", "| --- | --- | --- |")
        yield from (_row(one.seen, one.mistake, _places(one.patch)) for one in mistakes)
    yield ""


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _places(patch: Path) -> str:
    names = sorted(callgraph.touched(patch.read_text(), ROOT))
    return ", ".join(f"`{name}`" for name in names) or "a header"

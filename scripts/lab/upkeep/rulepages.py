"""A page for each rule: what docs/rules.md explains, the figure of it, and the mistakes of docs/mistakes.md that it finds.

Both are made by `make golden`, of shrimp-explain's words and of the zoo's headers, so that a page says what they say.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from pathlib import Path

RULES, MISTAKES = "docs/rules.md", "docs/mistakes.md"
FIGURES = "docs/rules"  # in the site: a figure for each rule

_STORIES = {"specification": "gallery/film-step.svg"}    # what no snapshot breaks


def path(rule: str) -> str:
    """The Markdown file that a rule's page would be."""
    return f"docs/rule-{rule}.md"


def split(texts: Mapping[str, str], drawn: Set[str]) -> dict[str, str]:
    """The handbook's pages with docs/rules.md cut into a page for each rule, and all that leads to a rule leading there.

    texts: Markdown by file; drawn: the rules of which there is a figure
    """
    head, rules = _sections(texts[RULES])
    _, mistakes = _sections(texts[MISTAKES])
    figures = {**_STORIES, **{rule: f"{FIGURES.removeprefix('docs/')}/{rule}.svg" for rule in drawn}}
    made = {**texts, RULES: head.replace("](#", "](rules.md#"),
            **{path(rule): _page(rule, said, mistakes.get(rule, ""), figures.get(rule)) for rule, said in rules.items()}}
    return {source: _led(text, rules) for source, text in made.items()}


def _sections(text: str) -> tuple[str, dict[str, str]]:
    """What stands before the first heading of level 2, and what is below each."""
    head, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    return head, {heading: said.strip() for heading, _, said in (part.partition("\n") for part in parts)}


def _page(rule: str, said: str, mistakes: str, figure: str | None) -> str:
    shown = f"\n\n![A kernel that breaks {rule}]({figure})" if figure else ""
    table = "\n".join(line for line in mistakes.splitlines() if line.startswith("|"))
    known = f"\n\n## Mistakes that it finds\n\n{table}" if table else ""
    return f"# {rule}\n\n{said}{shown}{known}\n\n[All rules](rules.md)\n"


def _led(text: str, rules: Mapping[str, str]) -> str:
    """Links to a section of docs/rules.md lead to that rule's page."""
    return re.sub(r"\]\(([\w./]*/)?rules\.md#([\w-]+)\)",
                  lambda link: f"]({link[1] or ''}{Path(path(link[2])).name})" if link[2] in rules else link[0], text)

"""README.md and docs/: what they lead to, and the commands that they tell people to type, are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab import ROOT
from lab.judging import checking, scenarios
from shrimpy.rules import RULES

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_TYPED = re.compile(r"`([^`\n]+)`|^    (.+)$", re.M)


def anchors(page: Path) -> set[str]:
    """The headings of a page as links have them."""
    heads = re.findall(r"(?m)^#+ (.+)$", page.read_text(encoding="utf-8"))
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def dead(page: Path) -> list[str]:
    """The links of a page that lead nowhere in this repository; those to elsewhere are not followed."""
    links = [link for link in _LINK.findall(page.read_text(encoding="utf-8")) if "://" not in link and not link.startswith("mailto:")]
    found = []
    for link in links:
        path, _, anchor = link.partition("#")
        there = page.parent / path if path else page
        if not there.exists() or anchor and anchor not in anchors(there):
            found.append(link)
    return found


def typed(page: Path) -> str:
    """All that a page sets as code."""
    return "\n".join(a or b for a, b in _TYPED.findall(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_link_leads_to_a_page_and_a_heading_that_is_there(page):
    assert dead(page) == []


def test_a_dead_link_is_found(tmp_path):
    (tmp_path / "a.md").write_text("# One, two: three\n[x](#one-two-three) [y](a.md#one) [z](b.md) [w](https://example.org/b.md)\n")
    assert dead(tmp_path / "a.md") == ["a.md#one", "b.md"]


COMMANDS = set(re.findall(r'^    name = "([\w-]+)"', "\n".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "gdb/shrimpy/commands").glob("*.py")), re.M))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.M)[1].split())
SCENARIOS = {checking.PLAY, *(one.name for one in scenarios.SCENARIOS)}
_NO_COMMANDS = {rule.id for rule in RULES} | {"xv6-riscv", "xv6-labs"} | {
    patch.stem for patch in (ROOT / "tests/zoo").glob("*.patch")}   # what begins as commands do


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in ("CHANGELOG.md", "trees.md")], ids=lambda page: page.name)
def test_each_command_that_a_page_has_is_there(page):
    said = typed(page)
    assert set(re.findall(r"\b((?:xv6|shrimp)-[a-z]+(?:-[a-z]+)*)\b(?=[ `;,.]|$)", said)) - COMMANDS - _NO_COMMANDS == set()
    targets = {word for line in re.findall(r"(?m)(?:^|[`$] ?)make ([a-z](?:[a-z-]+ ?)*)", said) for word in line.split()[:1]}
    assert targets - TARGETS == set()
    named = {name for names in re.findall(r"\bONLY=([a-z][\w,-]*)", said) for name in names.split(",") if name} - {"name"}
    assert named - SCENARIOS == set()


def test_the_reference_has_every_target_and_every_variable():
    reference = (ROOT / "docs/reference.md").read_text(encoding="utf-8")
    helped = "\n".join(re.findall(r"^\techo '(.+)'$", MAKEFILE, re.M))
    assert {name for name in TARGETS - {"judged"} if not re.search(rf"`make {name}\b", reference)} == set()
    variables = {*re.findall(r"\b([A-Z][A-Z_]+)=", helped), *re.findall(r"(?m)^([A-Z]+) \?=", MAKEFILE)}
    assert len(variables) > 30
    assert {name for name in variables if not re.search(rf"^\|.*`{name}=.*\|", reference.partition("## Variables")[2], re.M)} == set()


@pytest.mark.parametrize("system, column", [("fedora", 3), ("arch", 4), ("macos", 5)])
def test_a_page_about_installing_names_the_packages_that_set_up_names(system, column):
    page = (ROOT / f"docs/install-{system}.md").read_text(encoding="utf-8")
    named = set(re.search(r"(?m)^    (?:sudo dnf install|sudo pacman -S|brew install) (.+)$", page)[1].split())
    lines = (ROOT / "scripts/tools.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if line.startswith(("run", "debug", "draw"))]
    assert named <= {package for row in rows for package in row[column].split()}
    assert {row[column] for row in rows if row[1] in ("qemu-system-riscv64", "dot")} <= named

"""The modules' imports: no circle, and every module is told in docs/architecture.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab import ROOT
from lab.upkeep import imports

ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()


@pytest.fixture(scope="module")
def graph():
    return imports.read()


def test_nothing_is_imported_in_a_circle(graph):
    assert imports.circles(graph) == []


def test_a_circle_is_found():
    assert imports.circles({"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("b")}) == [("b", "c", "b")]


def test_only_what_says_so_imports_gdb(graph):
    """A module that is marked (gdb), or is in a package that is."""
    marked = set(re.findall(r"`([\w/]+)(?:\.py)?` \(gdb\)", ARCHITECTURE))
    for name in (one for one, found in graph.items() if "gdb" in found and one.startswith("shrimpy.")):
        path = name.partition(".")[2].replace(".", "/")
        assert {path, path.partition("/")[0] + "/"} & marked, f"{name} imports gdb"


def test_every_module_is_in_the_architecture(graph):
    told = set(re.findall(r"`([\w/]+)\.py`", ARCHITECTURE))
    missing = [name for name in graph if name.count(".") and not (ROOT / _folder(name)).is_dir()
               and not {name.rpartition(".")[2], "/".join(name.split(".")[1:])} & told]
    assert not missing


def test_every_module_of_the_figures_that_the_architecture_names_is_there():
    told = ARCHITECTURE.partition("## The figures' modules")[2].partition("\n## ")[0]
    assert [name for name in re.findall(r"`([\w/]+\.py)`", told)
            if not (ROOT / "viz/drawing" / name).is_file() and not (ROOT / name).is_file()] == []


def _folder(name: str) -> Path:
    package, *rest = name.split(".")
    return Path({"shrimpy": "gdb/shrimpy", "drawing": "viz/drawing", "lab": "scripts/lab"}[package], *rest)

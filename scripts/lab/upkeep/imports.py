"""Which of this project's modules import which, read from their source."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

from .. import ROOT

_PACKAGES = {"shrimpy": "gdb/shrimpy", "drawing": "viz/drawing", "lab": "scripts/lab"}
"""The name of each package in imports, and its folder."""

Graph = Mapping[str, frozenset[str]]
"""What each module imports when it is imported, by their dotted names: "shrimpy.memory.sv39"; "gdb" is one of them."""


def read() -> Graph:
    """All modules of the project. Imports inside functions, which run later, are left out."""
    paths = {_name(package, folder, path): path for package, folder in _PACKAGES.items()
             for path in sorted((ROOT / folder).rglob("*.py"))}
    return {name: frozenset(_imported(name, path, paths)) for name, path in paths.items()}


def circles(graph: Graph) -> list[tuple[str, ...]]:
    """Circles of imports, each once, its first module at both ends."""
    found: dict[frozenset[str], tuple[str, ...]] = {}
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> None:
        if name in way:
            circle = way[way.index(name):]
            found.setdefault(frozenset(circle), (*circle, name))
        elif name not in done:
            for other in sorted(graph.get(name, ())):
                visit(other, [*way, name])
            done.add(name)

    for name in sorted(graph):
        visit(name, [])
    return list(found.values())


def dot(graph: Graph) -> str:
    """The packages with their modules, and arrows from each to what it imports, in Graphviz's language."""
    members: dict[str, list[str]] = {}
    for name in sorted(graph):
        members.setdefault(_package(name), []).append(name)
    lines = ["digraph modules {", '  graph [rankdir=BT, nodesep=0.3, ranksep=0.5, bgcolor=white]',
             '  node [shape=box, style="rounded,filled", fillcolor=white, fontname="DejaVu Sans Mono", fontsize=9, margin="0.1,0.06"]',
             '  edge [color="#555555", arrowsize=0.6]']
    for package, names in members.items():
        short = sorted(name.rsplit(".", 1)[1] for name in names if name != package and name.count("."))
        rows = [" ".join(short[i:i + _A_ROW]) for i in range(0, len(short), _A_ROW)]
        fill = ', fillcolor="#E6F0FA"' if any("gdb" in graph[name] for name in names) else ""
        label = "\\n".join([_folder(package), *rows])
        lines.append(f'  "{package}" [label="{label}"{fill}]')
    arrows = {(_package(name), _package(other)) for name in graph for other in graph[name] if other in graph}
    lines += [f'  "{a}" -> "{b}"' for a, b in sorted(arrows) if a != b]
    return "\n".join([*lines, "}"]) + "\n"


_A_ROW = 5      # names of modules in a row of a box


def _name(package: str, folder: str, path: Path) -> str:
    parts = [package, *path.relative_to(ROOT / folder).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _package(name: str) -> str:
    """The package that a module is in; a package itself is its own."""
    path = ROOT / _folder(name)
    return name if path.is_dir() else name.rpartition(".")[0]


def _folder(name: str) -> str:
    package, _, rest = name.partition(".")
    return "/".join([_PACKAGES[package], *filter(None, rest.split("."))])


def _imported(name: str, path: Path, known: Mapping[str, Path]) -> Iterator[str]:
    inside = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        for part in [node, *getattr(node, "body", [])] if isinstance(node, (ast.Try, ast.If)) else [node]:
            if isinstance(part, ast.Import):
                yield from (alias.name for alias in part.names if alias.name in known or alias.name == "gdb")
            elif isinstance(part, ast.ImportFrom):
                yield from _from(part, inside, known, name)


def _from(node: ast.ImportFrom, inside: str, known: Mapping[str, Path], importer: str) -> Iterator[str]:
    base = node.module or ""
    if node.level:
        above = inside.rsplit(".", node.level - 1)[0] if node.level > 1 else inside
        base = f"{above}.{base}" if base else above
    for alias in node.names:
        module = f"{base}.{alias.name}"
        target = module if module in known else base
        if target == "gdb" or target in known and target != importer:
            yield target

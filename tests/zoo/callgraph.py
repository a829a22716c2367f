"""Which functions of our kernel a patch touches, and who calls whom, both by the sources.

Not by the kernel's machine code: a static function is inlined there, and what a patch touches is often one. Functions are found
by the layout that make lint holds: a definition begins and ends in the first column.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

_BEGINS = re.compile(r"^[A-Za-z_].*?\b(\w+)\([^;]*\)\s*(?:__attribute__\(.*\)\s*)?\{$")
_CALLS = re.compile(r"\b([A-Za-z_]\w*)\s*\(")
_HUNK = re.compile(r"@@ -(\d+)(?:,\d+)? \+\d+(?:,\d+)? @@")


class Function(NamedTuple):
    """A definition: its name, its lines [first, last], counted from 1, and what it mentions like a call."""

    name: str
    first: int
    last: int
    mentions: frozenset[str]


def functions(source: str) -> list[Function]:
    """The functions that a file of C defines, in their order."""
    found, name, first, lines = [], "", 0, source.splitlines()
    for number, line in enumerate(lines, 1):
        if not name and (match := _BEGINS.match(line)):
            name, first = match[1], number
        elif name and line == "}":
            body = "\n".join(lines[first:number])
            found.append(Function(name, first, number, frozenset(_CALLS.findall(body))))
            name = ""
    return found


def graph(kernel: Path) -> Mapping[str, frozenset[str]]:
    """Whom each function of the kernel calls, those in assembly left out. A macro counts as nobody."""
    all_of_them = [one for path in sorted(kernel.glob("*.c")) for one in functions(path.read_text())]
    names = {one.name for one in all_of_them}
    return {one.name: one.mentions & names for one in all_of_them}


def touched(patch: str, root: Path) -> set[str]:
    """The functions in which a patch changes lines, and those that it adds. A hunk is where its old lines are, nearest to where
    it says: the file may have grown above it since."""
    found: set[str] = set()
    for file, hunks in _files(patch):
        source = (root / file).read_text()
        lines, there = source.splitlines(), functions(source)
        for start, hunk in hunks:
            old = [line[1:] for line in hunk if not line.startswith("+")]
            at = min((abs(n + 1 - start), n + 1) for n in range(len(lines)) if lines[n:n + len(old)] == old)[1]
            for line in hunk:
                inside = next((one.name for one in there if one.first <= at <= one.last), None)
                if line.startswith(("-", "+")):
                    match = _BEGINS.match(line[1:])
                    found.update([inside] if inside else [match[1]] if match else [])
                at += not line.startswith("+")
    return found


def _files(patch: str) -> Iterator[tuple[str, list[tuple[int, list[str]]]]]:
    """Each file that a patch changes, with its hunks: the first old line's number, and the lines, each with its mark."""
    file = ""
    hunks: list[tuple[int, list[str]]] = []
    for line in patch.splitlines():
        if line.startswith("--- a/"):
            if file:
                yield file, hunks
            file, hunks = line[6:], []
        elif match := _HUNK.match(line):
            hunks.append((int(match[1]), []))
        elif hunks and line[:1] in ("-", "+", " ", ""):
            hunks[-1][1].append(line or " ")
    if file:
        yield file, hunks


def near(names: Iterable[str], calls: Mapping[str, frozenset[str]]) -> set[str]:
    """These functions, those that they call, and those that call them."""
    names = set(names)
    return names | {callee for name in names for callee in calls.get(name, ())} | {
        caller for caller, callees in calls.items() if callees & names}


def to_look_at(patch: str, root: Path) -> set[str]:
    """The functions that a hint about a patched kernel may name: near what is touched, and called by what is new."""
    calls = graph(root / "xv6" / "kernel")
    new = {name for line in patch.splitlines() if line.startswith("+") and not line.startswith("+++") for name in _CALLS.findall(line)}
    return near(touched(patch, root), calls) | new & calls.keys()

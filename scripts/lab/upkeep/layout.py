"""Whether C is laid out as .clang-format says, as far as that is not the author's to choose.

Where a line is broken, and where the comments behind lines stand, is: clang-format knows one place for each. So is all in
a macro. What is left is what stands between two words of a line, and how far a statement is indented.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

_BEHIND = re.compile(r"[ \t]+// .*$", re.MULTILINE)
_DIRECTIVE = re.compile(r"^[ \t]*#(?:.*\\\n)*.*$", re.MULTILINE)
_GAP = re.compile(r"(\s*)(\S)")


def findings(program: str, root: Path, names: Sequence[str]) -> Iterator[str]:
    """A line for each place where a file differs. program: clang-format."""
    for name in names:
        text = _DIRECTIVE.sub(_blank, _BEHIND.sub("", (root / name).read_text()))
        done = subprocess.run([program, f"--assume-filename={name}"], cwd=root, input=text, stdout=subprocess.PIPE, text=True)
        before = ";"
        for ours, theirs in zip(_GAP.finditer(text), _GAP.finditer(done.stdout)):
            if _differs(ours[1], theirs[1], before):
                yield f"{name}:{text.count(chr(10), 0, ours.start(2)) + 1}: expected {_said(theirs[1])} before " \
                      f"{ours[2]!r}, found {_said(ours[1])}\n"
            before = ours[2]


def _blank(directive: re.Match[str]) -> str:
    """As many lines, and nothing in them."""
    return "\n" * directive[0].count("\n")


def _differs(ours: str, theirs: str, before: str) -> bool:
    if "\n" not in ours + theirs:
        return ours != theirs
    both = "\n" in ours and "\n" in theirs
    return both and before in ";}" and ours.rpartition("\n")[2] != theirs.rpartition("\n")[2]


def _said(gap: str) -> str:
    return f"{len(gap.rpartition(chr(10))[2])} blanks"

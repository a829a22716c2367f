"""What each rule is worth: by default, or as a file of the marker's says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from shrimpy.rules import HANDOUT, RULES, STRICT

from .. import Trouble

BUILDS, RUNS = "builds", "runs"
STATEMENTS: Mapping[str, str] = {
    BUILDS: "a kernel comes of the tree, and a disk with all its programs",
    RUNS: "every scenario comes to its end: no panic, no hang",
    **{rule.id: rule.statement for rule in RULES}}

# That it builds is worth nothing by itself; a kernel need not keep counts, nor have segments; and one that panics has lost RUNS.
DEFAULT: Mapping[str, float] = {name: 0.0 if name in (BUILDS, "count-matches", "no-panic") or name.startswith("segment-") else 1.0
                                for name in STATEMENTS}
_MOST = 1000


def read(path: str, profile: str = STRICT) -> Mapping[str, float]:
    """Points by rule: DEFAULT when path is empty, without what is beyond the handout where that decides; else the file's, and
    0 for what it does not name.

    A line is a rule and its points, parted by blanks or a tab; # begins a comment.
    """
    if not path:
        beyond = {rule.id for rule in RULES if rule.beyond_handout} if profile == HANDOUT else ()
        return {name: 0.0 if name in beyond else points for name, points in DEFAULT.items()}
    try:
        lines = Path(path).read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Trouble(f"POINTS={path} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}") from None
    points: dict[str, float] = {}
    for number, line in enumerate(lines, 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        at = f"POINTS={path}, line {number}:"
        if len(words) != 2 or not re.fullmatch(r"\d+(\.\d+)?", words[1]) or float(words[1]) > _MOST:
            raise Trouble(f"{at} expected a rule and its points, 0 to {_MOST}, found {line.strip()!r}")
        if words[0] not in STATEMENTS:
            raise Trouble(f"{at} there is no rule {words[0]!r}; there are {', '.join(STATEMENTS)}")
        if words[0] in points:
            raise Trouble(f"{at} {words[0]} has points already, in a line above")
        points[words[0]] = float(words[1])
    if not any(points.values()):
        raise Trouble(f"POINTS={path}: no rule in it is worth a point")
    return {name: points.get(name, 0.0) for name in STATEMENTS}

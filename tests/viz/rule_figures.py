"""Draws the figure of each rule's page in the handbook, of a made-up machine that breaks it.

usage: rule_figures.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "gdb"), str(ROOT / "tests/pure"), str(ROOT / "viz")]

from broken import BROKEN, Broken  # noqa: E402
from drawing import output, render  # noqa: E402
from drawing.figures import Drawing, address_space, diff, fault  # noqa: E402
from drawing.model.kit import Index  # noqa: E402


OF_TWO = ("exec-keeps", "frames-return", "segment-exec")
"""Rules that one snapshot alone does not break."""


def drawing_of(rule: str) -> Drawing:
    """What is wrong; for a rule that takes two snapshots what changed between them, or what is mapped that should not be."""
    broken: Broken = BROKEN[rule]()
    after = Index(broken.after)
    if rule == "segment-exec":
        return address_space.draw(after, next(p for p in after.snapshot.processes if p.attachments))
    return diff.draw(Index(broken.before), after) if rule in OF_TWO and broken.before else fault.draw(after)


def main(folder: Path) -> None:
    output.folder(folder)
    for rule in BROKEN:
        output.write(folder / f"{rule}.svg", render.render(drawing_of(rule), ["svg"])[0])


if __name__ == "__main__":
    main(Path(sys.argv[1]))

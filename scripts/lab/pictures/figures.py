"""Figures of a snapshot and films of a fork, drawn by viz/."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from .. import BUILD, ROOT, Trouble, cli, typed
from ..kernels.tree import copy_of

FORMATS = ("svg", "pdf", "png", "dot")
FOLDER = BUILD / "diagrams"
_LIMIT_S = 600  # the programs that it runs have limits of their own


def folder_of(kernel: str) -> Path:
    """Where the figures of a kernel go: of one that a path names, into a folder of its own, so that no page shows two."""
    return FOLDER / copy_of(typed(kernel).resolve()).name if kernel else FOLDER


def draw(figure: str, source: Path, *options: str, formats: tuple[str, ...] = FORMATS, folder: Path = FOLDER) -> list[Path]:
    """Draws a figure of a snapshot or a film into folder in each format; returns the files. Raises Trouble."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [word for suffix in formats for word in ("-o", str(folder / f"{figure}.{suffix}"))]
    return _viz(figure, str(source), *options, *wanted)


def draw_all(snapshot: Path, folder: Path, *options: str) -> list[Path]:
    """Draws every figure into a folder, and a page that shows them; returns the files. Raises Trouble.

    How long that takes goes with the processes that are drawn: each run of dot has viz's own limit.
    """
    return _viz("all", str(snapshot), "-o", str(folder), *options, limit_s=None)


def _viz(figure: str, *arguments: str, limit_s: float | None = _LIMIT_S) -> list[Path]:
    try:
        done = subprocess.run([sys.executable, str(ROOT / "viz"), figure, *arguments], capture_output=True, text=True,
                              timeout=limit_s, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Trouble(f"drawing {figure} took more than {limit_s} s") from None
    said = [line.removeprefix("viz: ") for line in done.stderr.strip().splitlines()]
    if done.returncode:
        raise Trouble((said or [f"drawing {figure} failed"])[-1])
    for note in said:
        cli.say(note)
    return [Path(line) for line in done.stdout.splitlines()]

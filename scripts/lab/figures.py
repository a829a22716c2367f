"""Figures of a snapshot, drawn by viz/."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from . import BUILD, ROOT, Trouble

FORMATS = ("svg", "pdf", "png")
_LIMIT_S = 60


def draw(figure: str, snapshot: Path, *options: str, folder: Path = BUILD / "diagrams",
         formats: Sequence[str] = FORMATS) -> list[Path]:
    """Draws a figure into folder in these formats; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    outputs = [folder / f"{figure}.{suffix}" for suffix in formats]
    command = [sys.executable, str(ROOT / "viz"), figure, str(snapshot), *options]
    for path in outputs:
        command += ["-o", str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Trouble(f"drawing {figure} took more than {_LIMIT_S} s") from None
    if done.returncode:
        raise Trouble((done.stderr.strip().splitlines() or [f"drawing {figure} failed"])[-1])
    return outputs


def film(recorded: Path) -> Path:
    """Makes the page that plays a film file, beside it; returns the page."""
    page = recorded.with_suffix(".html")
    try:
        done = subprocess.run([sys.executable, str(ROOT / "viz"), "film", str(recorded), "-o", str(page)],
                              capture_output=True, text=True, timeout=_LIMIT_S, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        raise Trouble(f"making the film took more than {_LIMIT_S} s") from None
    if done.returncode:
        raise Trouble((done.stderr.strip().splitlines() or ["making the film failed"])[-1])
    return page

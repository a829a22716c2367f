"""shrimp-draw: figures of the machine as it is."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import gdb

from ..session import session
from .base import Arg, Bad, Command, Opt

_VIZ = Path(__file__).resolve().parents[3] / "viz"

# Debian's Python: the first one on PATH may be another.
_PYTHON = "/usr/bin/python3"

_LIMIT_SECONDS = 60

_FIGURES = ("family",)


class ShrimpDraw(Command):
    """Draw who shares what with whom, from the machine's page tables.

    FIGURE is family, the only one so far. FILE ends in .svg, .pdf, .png or .dot,
    and is shrimpy-FIGURE.svg here when not given. -pids 3,4,5 draws these
    processes only.
    """

    name = "shrimp-draw"
    args = (Arg("FIGURE", "word", optional=True, choices=_FIGURES),)
    opts = (Opt("-o", "FILE"), Opt("-pids", "PID,..."))

    def run(self, given):
        figure = given.get("FIGURE", "family")
        out = os.path.expanduser(given.get("-o", f"shrimpy-{figure}.svg"))
        extra = ["--pids", given["-pids"]] if "-pids" in given else []
        draw(figure, session.snapshot().to_json(), out, extra)
        gdb.write(f"{out}\n")


def draw(figure: str, snapshot_json: str, out: str, extra: list[str]) -> None:
    """Has viz/ write `figure` of a snapshot to `out`. Raises Bad."""
    with tempfile.NamedTemporaryFile("w", suffix=".json", prefix="shrimpy-") as file:
        file.write(snapshot_json)
        file.flush()
        command = [_PYTHON, str(_VIZ), figure, file.name, "-o", out, *extra]
        try:
            done = subprocess.run(command, capture_output=True, text=True,
                                  timeout=_LIMIT_SECONDS, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            raise Bad(f"drawing {figure} took more than {_LIMIT_SECONDS} s; "
                      "try fewer processes: -pids PID,...") from None
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["the drawing failed and did not say why"])[-1]
        raise Bad(said.removeprefix("viz: ").partition("; try viz")[0])


def register() -> None:
    ShrimpDraw()

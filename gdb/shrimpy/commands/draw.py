"""shrimp-draw: figures of the machine as it is."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

import gdb

from ..live.session import session
from ..snapshot import Snapshot
from .base import Arg, Bad, Command, Opt, process, virtual

_CHECKOUT = Path(__file__).resolve().parents[3]
_VIZ = _CHECKOUT / "viz"
_PYTHON = str(_CHECKOUT / "scripts" / "python")

_LIMIT_SECONDS = 60

_OF_MANY = ("family", "matrix")
_OF_A_PROCESS = ("address-space", "table")
_FIGURES = (*_OF_MANY, "ram", "fault", *_OF_A_PROCESS, "walk", "diff")


class ShrimpDraw(Command):
    """Draw a figure of the machine's page tables.

    FIGURE is one of
      family           who shares what with whom; drawn when no FIGURE is given
      matrix           the same, for many processes
      ram              who owns each frame of RAM
      fault            what is wrong: the entries and frames that rules fail on
      address-space    what is mapped where in the process with PID WHAT
      table            what the page table of the process with PID WHAT looks like
      walk             how the address WHAT translates in process PID; WHAT is an
                       expression or a region, FRY and SHRIMP when not given
      diff             what has changed since the last snapshot, as for xv6-diff
    Without PID it is the process that the selected hart runs, or else the
    youngest. FILE ends in .svg, .pdf, .png or .dot, and is shrimpy-FIGURE.svg
    here when not given. -pids 3,4,5 draws these processes only.
    """

    name = "shrimp-draw"
    args = (Arg("FIGURE", "word", optional=True, choices=_FIGURES), Arg("WHAT", "pid or va", optional=True),
            Arg("PID", "pid", optional=True))
    opts = (Opt("-o", "FILE"), Opt("-pids", "PID,..."))

    def run(self, given):
        figure = given.get("FIGURE", "family")
        out = os.path.expanduser(given.get("-o", f"shrimpy-{figure}.svg"))
        taken = session.snapshot()
        shown = [taken]
        if figure == "diff":
            if session.previous is None:
                raise Bad("expected an earlier snapshot to compare with, found none; try: "
                          "xv6-snapshot FILE, run on, and ask again")
            shown.insert(0, session.previous)
        draw(figure, shown, out, _options(figure, given, taken))
        gdb.write(f"drawn: {os.path.abspath(out)}\n")


def _options(figure: str, given: dict[str, str], taken: Snapshot) -> list[str]:
    """viz's options for what was typed after the figure's name. Raises Bad."""
    what, pid = given.get("WHAT"), given.get("PID")
    if "-pids" in given and figure not in _OF_MANY:
        raise Bad(f"expected -pids with {' or '.join(_OF_MANY)} only; for one process: shrimp-draw {figure} PID")
    if figure in _OF_A_PROCESS:
        if pid is not None:
            raise Bad(f"expected one PID after {figure}, found {what!r} and {pid!r}")
        return ["--pid", str(process(what, taken).pid)] if what is not None else []
    if figure == "walk":
        owner = process(pid, taken) if pid is not None or (what and taken.stop.pid is not None) else None
        if what is not None and owner is None:
            owner = max(taken.processes, key=lambda p: p.pid) if taken.processes else None
        options = ["--pid", str(owner.pid)] if owner is not None else []
        return options + (["--va", hex(virtual(what, taken, owner))] if what is not None else [])
    if what is not None:
        raise Bad(f"expected nothing after {figure}, found {what!r}; to choose processes: -pids PID,...")
    return ["--pids", given["-pids"]] if "-pids" in given else []


def draw(figure: str, snapshots: list[Snapshot], out: str, extra: list[str]) -> None:
    """Has viz/ write `figure` of one snapshot, or of two, to `out`. Raises Bad."""
    with tempfile.TemporaryDirectory(prefix="shrimpy-") as folder:
        files = [Path(folder, f"snapshot-{n}.json") for n in range(len(snapshots))]
        for file, snapshot in zip(files, snapshots):
            file.write_text(snapshot.to_json(), encoding="utf-8")
        command = [_PYTHON, str(_VIZ), figure, *map(str, files), "-o", out, *extra]
        try:
            done = subprocess.run(command, capture_output=True, text=True,
                                  timeout=_LIMIT_SECONDS, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            raise Bad(f"drawing {figure} took more than {_LIMIT_SECONDS} s; "
                      "try fewer processes: -pids PID,...") from None
    said = [line.removeprefix("viz: ").partition("; try viz")[0] for line in done.stderr.strip().splitlines()]
    if done.returncode:
        raise Bad((said or ["the drawing failed and did not say why"])[-1])
    for note in said:
        gdb.write(f"{note}\n")


def register() -> None:
    ShrimpDraw()

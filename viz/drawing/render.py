"""Drawings into files' bytes: dot runs Graphviz, SVG of our own goes through rsvg-convert."""
from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from . import style, svg
from .drawing import Drawing
from .errors import VizError
from .plain import in_words

TIMEOUT_SECONDS = 20    # of a CPU's time for one run of a program; what is drawn in good time takes one
_LAST_RESORT = 15       # times that, of wall time: a busy host gives it no CPU


class TookTooLong(VizError):
    """The program did not finish within its limit."""


@dataclass(frozen=True)
class Rendered:
    """The figure in each kind that was asked for, and what a person should be told of it."""
    figures: list[bytes]
    notes: list[str]


def render(drawing: Drawing, kinds: Sequence[str]) -> Rendered:
    """The figure as each of `kinds`: "dot", "svg", "pdf", "png" or "html"; all in the same layout. Raises VizError."""
    try:
        return Rendered([_one(drawing, kind) for kind in kinds], [])
    except TookTooLong as e:
        if drawing.svg is not None:
            raise
        return Rendered(render(in_words(drawing, str(e)), kinds).figures, [f"{e}; drawn in words only"])


def _one(drawing: Drawing, kind: str) -> bytes:
    if kind == "html":
        return drawing.html().encode("utf-8")
    if drawing.sheets is not None:
        return _from_sheets(drawing, kind)
    if drawing.svg is not None and (kind != "dot" or drawing.dot is None):
        return _from_svg(drawing, kind)
    if kind == "dot":
        return drawing.dot.encode("utf-8")
    arguments = ["-T" + kind] + ([f"-Gdpi={style.PNG_DPI}"] if kind == "png" else [])
    data = run("dot", arguments, drawing.dot, "graphviz", "a .dot file")
    return svg.finish_dots(data.decode("utf-8"), drawing).encode("utf-8") if kind == "svg" else data


def _from_svg(drawing: Drawing, kind: str) -> bytes:
    if kind == "dot":
        raise VizError(f"{drawing.title!r} is drawn without dot; ask for .svg, .pdf or .png")
    data = svg.describe(drawing.svg, drawing)
    return data.encode("utf-8") if kind == "svg" else _convert(kind, data)


def _from_sheets(drawing: Drawing, kind: str) -> bytes:
    """PDF has pages, the others are one image."""
    sheets = drawing.sheets(kind == "pdf")
    if kind != "pdf":
        return _from_svg(replace(drawing, svg=sheets[0]), kind)
    with tempfile.TemporaryDirectory(prefix="shrimpy-") as folder:
        files = [Path(folder) / f"{i:04}.svg" for i in range(len(sheets))]
        for file, sheet in zip(files, sheets):
            file.write_text(sheet, encoding="utf-8")
        return _convert(kind, "", *map(str, files))


def _convert(kind: str, source: str, *files: str) -> bytes:
    # sizes are in pt, which rsvg-convert takes to be 1/72 inch at any resolution
    return run("rsvg-convert", ["-f", kind, "-d", str(style.PNG_DPI), "-p", str(style.PNG_DPI), *files], source,
               "librsvg2-bin", "an .svg file")


def _limited() -> None:
    """In the program's process: it ends by SIGXCPU at its limit."""
    resource.setrlimit(resource.RLIMIT_CPU, (TIMEOUT_SECONDS, TIMEOUT_SECONDS + 1))


def _too_long(name: str) -> TookTooLong:
    return TookTooLong(f"{name}: expected a figure within {TIMEOUT_SECONDS} s, found it still busy; try fewer processes")


def run(name: str, arguments: list[str], source: str, package: str, instead: str) -> bytes:
    """What the program prints, given `source`. Raises VizError; TookTooLong at its limit."""
    program = shutil.which(name)
    if program is None:
        raise VizError(f"{name}: expected on PATH, found nothing; try apt install {package}, or ask for {instead}")
    try:
        done = subprocess.run([program, *arguments], input=source.encode("utf-8"), capture_output=True,
                              timeout=_LAST_RESORT * TIMEOUT_SECONDS, preexec_fn=_limited)
    except subprocess.TimeoutExpired:
        raise _too_long(name) from None
    except OSError as e:
        raise VizError(f"{program}: cannot be run: {e.strerror}") from None
    if done.returncode == -signal.SIGXCPU:
        raise _too_long(name)
    if done.returncode != 0 or not done.stdout:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["nothing"]
        raise VizError(f"{name} {' '.join(arguments)}: expected a figure, found status "
                       f"{done.returncode}, and it said: {said[0]}")
    return done.stdout

"""Drawings into files' bytes, by Graphviz."""
from __future__ import annotations

import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Union

from .figures import Drawing
from .film import Reel
from .model.errors import VizError
from .page import Page
from .scene import dot, style, svg

Drawable = Union[Drawing, Reel, Page]

TIMEOUT_SECONDS = 20    # of a CPU's time for one run of a program; what is drawn in good time takes one
_LAST_RESORT = 15       # times that, of wall time: a busy host gives it no CPU


def render(drawing: Drawable, kinds: Sequence[str]) -> list[bytes]:
    """The figure as each of `kinds`: "dot", "svg", "pdf", "png" or "html"; all in the same layout. Raises VizError."""
    if isinstance(drawing, Page):
        return [drawing.html().encode("utf-8")] * len(kinds)
    return [_of_film(drawing, kind) if isinstance(drawing, Reel) else _of_scene(drawing, kind) for kind in kinds]


def _of_film(reel: Reel, kind: str) -> bytes:
    if kind == "html":
        return reel.html().encode("utf-8")
    sheets = [_of_scene(Drawing(reel.title, reel.description, scene), kind) for scene in reel.sheets(kind == "pdf")]
    return sheets[0] if len(sheets) == 1 else _joined(sheets)


def _of_scene(drawing: Drawing, kind: str) -> bytes:
    source = dot.write(drawing.scene, drawing.title)
    if kind == "dot":
        return source.encode("utf-8")
    arguments = ["-T" + kind] + ([f"-Gdpi={style.PNG_DPI}"] if kind == "png" else [])
    data = run("dot", arguments, source, "graphviz", "a .dot file")
    return svg.standing_alone(dot.finished(data, drawing.scene), drawing.title, drawing.description) if kind == "svg" else data


def _joined(pages: Sequence[bytes]) -> bytes:
    """One PDF of several."""
    with tempfile.TemporaryDirectory(prefix="shrimpy-") as folder:
        files = [Path(folder) / f"{i:04}.pdf" for i in range(len(pages))]
        for file, data in zip(files, pages):
            file.write_bytes(data)
        return run("pdfunite", [*map(str, files), "/dev/stdout"], "", "poppler-utils", "an .svg file")


def _limited() -> None:
    """In the program's process: it ends by SIGXCPU at its limit."""
    resource.setrlimit(resource.RLIMIT_CPU, (TIMEOUT_SECONDS, TIMEOUT_SECONDS + 1))


def _too_long(name: str) -> VizError:
    return VizError(f"{name}: expected a figure within {TIMEOUT_SECONDS} s, found it still busy; try fewer processes")


def run(name: str, arguments: list[str], source: str, package: str, instead: str) -> bytes:
    """What the program prints, given `source`. Raises VizError, at its limit too."""
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

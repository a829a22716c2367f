"""Graphviz: escaping for its HTML-like labels, running dot, finishing its SVG."""
from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from html import escape

from . import style
from .errors import VizError

TIMEOUT_SECONDS = 30


@dataclass(frozen=True)
class Drawing:
    """A figure before dot has seen it; title and description are for who cannot see it."""
    dot: str
    title: str
    description: str


def printable(s: str) -> str:
    """`s` with what XML or a terminal could choke on replaced, one character for one."""
    return "".join(c if c.isprintable() else "\ufffd" for c in s)


def _plain(s: str) -> str:
    """`s` printable, its backslashes replaced by the sign for set minus, which looks the same.

    dot 2.43 substitutes \\N, \\G and others even in HTML-like text, and a doubled backslash
    stops it only in some places.
    """
    return printable(s).replace("\\", "\u2216")


def text(s: str) -> str:
    """`s` as text inside an HTML-like label."""
    return escape(_plain(s))


def quoted(s: str) -> str:
    """`s` in double quotes, as the value of an attribute of DOT or of an HTML-like label."""
    return f'"{text(s)}"'


def shorten(s: str, n_chars: int) -> str:
    return s if len(s) <= n_chars else s[:n_chars - 1] + "…"


def render(drawing: Drawing, kind: str) -> bytes:
    """The figure as "dot", "svg", "pdf" or "png". Raises VizError."""
    if kind == "dot":
        return drawing.dot.encode("utf-8")
    data = _run(drawing.dot, ["-T" + kind] + ([f"-Gdpi={style.PNG_DPI}"] if kind == "png" else []))
    return _finish_svg(data.decode("utf-8"), drawing).encode("utf-8") if kind == "svg" else data


def _run(source: str, arguments: list[str]) -> bytes:
    program = shutil.which("dot")
    if program is None:
        raise VizError("dot: expected on PATH, found nothing; try apt install graphviz, "
                       "or ask for a .dot file")
    try:
        done = subprocess.run([program, *arguments], input=source.encode("utf-8"),
                              capture_output=True, timeout=TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        raise VizError(f"dot: expected a figure within {TIMEOUT_SECONDS} s, found it still busy; "
                       "try fewer processes with --pids") from None
    except OSError as e:
        raise VizError(f"{program}: cannot be run: {e.strerror}") from None
    if done.returncode != 0 or not done.stdout:
        said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["nothing"]
        raise VizError(f"dot {' '.join(arguments)}: expected a figure, found status "
                       f"{done.returncode}, and it said: {said[0]}")
    return done.stdout


def _finish_svg(svg: str, drawing: Drawing) -> str:
    """dot's SVG made to stand alone.

    No document type to fetch, no colour that SVG 1.1 does not know, fonts to fall back on, a
    title and a description for screen readers, and each tooltip also as the <title> that
    browsers show.
    """
    svg = svg.replace('stroke="transparent"', 'stroke="none"')
    svg = re.sub(r"<!DOCTYPE[^>]*>\s*", "", svg)
    svg = svg.replace(f'font-family="{style.FONT}"', f'font-family="{style.SVG_FONTS}"')
    svg = re.sub(r'<a [^>]*xlink:title="([^"]*)"[^>]*>', r"\g<0><title>\1</title>", svg)
    return re.sub(r"<svg ([^>]*)>",
                  lambda m: f'<svg role="img" aria-labelledby="title description" {m[1]}>\n'
                            f'<title id="title">{text(drawing.title)}</title>\n'
                            f'<desc id="description">{text(drawing.description)}</desc>',
                  svg, count=1)

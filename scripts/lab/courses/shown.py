"""Marks as Gradescope shows them: what check wrote, and on top, as HTML, why, with the figures and the story."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .. import Trouble, printable
from ..marks import marking, results
from ..pictures import figures

_MOST_PICTURES = 2 << 20    # bytes of all together, as they are in the text
_MOST_CONSOLE = 4_000       # characters of its end
_KINDS = {".png": "image/png", ".svg": "image/svg+xml"}


def in_html(said: str) -> str:
    """A stranger's words as text of a page."""
    return html.escape(printable(said))


def unmarked(why: str, by_the_submission: bool = False) -> dict[str, Any]:
    """results.json where there are no marks. why: one line, then details, for a person.

    by_the_submission: it is the submission's own fault
    """
    said = why if by_the_submission else f"not marked: {why}\n\nThe submission need not be at fault. Please tell the course's staff."
    return {"score": 0, "output": f"<pre>{in_html(said)}</pre>", "output_format": "html", "visibility": "visible",
            "stdout_visibility": "hidden", "tests": [], "extra_data": {"status": "not checked", "line": why.partition("\n")[0]}}


def marked(told: Mapping[str, Any], folder: Path, notes: Sequence[str]) -> dict[str, Any]:
    """results.json of a check. told: as check wrote it; folder: where check left the rest; notes: what else is to be said."""
    has_end = told["extra_data"]["status"] in marking.ENDS
    return {**told, "output": "\n".join(parts(told, folder, notes) + (console(folder) if has_end else [])), "output_format": "html"}


def parts(told: Mapping[str, Any], folder: Path, notes: Sequence[str] = ()) -> list[str]:
    """HTML of what a check said: the verdict, the first cause, the figures."""
    more = told["extra_data"]
    return [f"<p><b>{in_html(more['status'])}</b>: {in_html(more['line'])}</p>" if more["line"] else
            f"<p><b>{in_html(more['status'])}</b></p>",
            *(f"<p>note: {in_html(note)}</p>" for note in notes), *_causes(more.get("causes", ())), *_pictures(folder)]


def console(folder: Path) -> list[str]:
    """HTML of the console's end, where there is any."""
    try:
        said = (folder / results.CONSOLE).read_text(errors="replace")[-_MOST_CONSOLE:]
    except OSError:
        return []
    return [f"<p>The end of the console:</p><pre>{in_html(said)}</pre>"] if said else []


def _causes(some: Sequence[Mapping[str, Any]]) -> list[str]:
    """The first cause in full, which is what to look at next; the others, and their tests, have theirs below."""
    more = [f"<p>{len(some) - 1} more below, with the rules that they break.</p>"] if len(some) > 1 else []
    return [f"<pre>{in_html(one['text'])}</pre>" for one in some[:1]] + more


def _pictures(folder: Path) -> list[str]:
    """The figure of what is wrong, and the story's; those that are too large are named."""
    found, left, room = [], [], _MOST_PICTURES
    for path, about in ((folder / f"{results.FAULT}.png", "What is wrong, where an entry leads and where it should"),
                        (_story(folder), "The story of the specification, operation by operation")):
        if path is None or not path.is_file():
            continue
        data = base64.b64encode(path.read_bytes()).decode()
        room -= len(data)
        if room < 0:
            left.append(f"<p>{in_html(path.name)} is too large to be shown here.</p>")
        else:
            found.append(f'<p><img alt="{about}" style="max-width:100%" src="data:{_KINDS[path.suffix]};base64,{data}"></p>')
    return found + left


def _story(folder: Path) -> Path | None:
    """The film as a strip of panels, drawn for this."""
    film = folder / f"{marking.FILM}.json"
    try:
        return figures.draw(marking.FILM, film, folder=folder, formats=("svg",))[0] if film.is_file() else None
    except Trouble:
        return None


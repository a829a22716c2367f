"""A page that shows a set of figures, and links to their files."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from .drawing import Drawing
from .web import text as _text


@dataclass(frozen=True)
class Shown:
    """A figure that was written: `stem` with each of `kinds` as its suffix; notes for a person."""
    question: str
    stem: str
    kinds: Sequence[str]
    drawing: Drawing
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Missing:
    """A figure that could not be drawn, and why."""
    question: str
    name: str
    why: str


_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --rule: #ccc; --quiet: #595959; --link: #0b57a4; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #eaeaea; --paper: #161616; --rule: #444; --quiet: #ababab; --link: #8cc2ff; } }
body { margin: 0 auto; padding: 1.5rem; max-width: 62rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.2rem; margin: 0 0 .3rem; }
p { margin: .2rem 0; } .quiet, figcaption { color: var(--quiet); } a { color: var(--link); }
section { border-top: 1px solid var(--rule); margin-top: 1.5rem; padding-top: 1rem; break-inside: avoid; }
figure { margin: 0; } figure > a { display: block; background: #fff; padding: .8rem; border-radius: 6px; margin: .6rem 0; }
img { display: block; max-width: 100%; height: auto; margin: 0 auto; } figcaption { font-size: .85rem; }
nav ul { columns: 2; padding-left: 1.2rem; margin: .6rem 0; }
@media print { nav { display: none; } :root { --ink: #000; --paper: #fff; } }
"""


def page(title: str, about: str, shown: Sequence[Shown | Missing], links: Sequence[tuple[str, str]]) -> str:
    """HTML of the whole page. `about` is one line below the title; `links` are (file, what it is)."""
    entries = "".join(f'<li><a href="#{_id(one)}">{_text(one.question)}</a></li>' for one in shown)
    more = "".join(f'<li><a href="{escape(file)}">{_text(what)}</a></li>' for file, what in links)
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{_text(title)}</title>\n'
            f"<style>{_STYLE}</style>\n</head>\n<body>\n<header><h1>{_text(title)}</h1>\n"
            f'<p class="quiet">{_text(about)}</p></header>\n<nav aria-label="Figures"><ul>{entries}{more}</ul></nav>\n'
            f"<main>\n{''.join(map(_section, shown))}</main>\n</body>\n</html>\n")


def _id(one: Shown | Missing) -> str:
    return escape(one.stem if isinstance(one, Shown) else one.name)


def _section(one: Shown | Missing) -> str:
    head = f'<section id="{_id(one)}"><h2>{_text(one.question)}</h2>\n'
    if isinstance(one, Missing):
        return f'{head}<p>{_text(one.name)} is not drawn: {_text(one.why)}</p></section>\n'
    files = " · ".join(f'<a href="{escape(one.stem)}.{kind}">{kind.upper()}</a>' for kind in one.kinds)
    notes = "".join(f"<p>{_text(note)}</p>" for note in one.notes)
    return (f'{head}<p class="quiet">{files}</p>{notes}<figure><a href="{escape(one.stem)}.svg">'
            f'<img src="{escape(one.stem)}.svg" alt="{_text(one.drawing.title)}"></a>'
            f"<figcaption>{_text(one.drawing.description)}</figcaption></figure></section>\n")

"""All figures of a snapshot, and the page that shows them and links to their files."""
from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Callable, NoReturn, Optional, Union

from . import film, render
from .figures import Drawing, address_space, diff, family, fault, matrix, ram, table, walk
from .film.document import Film
from .model import words
from .model.errors import VizError
from .model.kit import Index, Process
from .model.sharing import has_pages, sharing
from .render import Drawable
from .scene.text import in_html

INDEX = "index.html"

_KINDS = ("svg", "pdf", "png", "dot")
_STEP = "-step"         # ends the stem of a film's picture


@dataclass(frozen=True)
class Figure:
    """A figure to draw: its files are called `stem`, and `kinds`, after it, are their suffixes. The page shows the
    SVG; of a film it shows `step`, one of its pictures, which has files of its own."""
    stem: str
    question: str
    draw: Callable[[], Drawable]
    kinds: tuple[str, ...] = _KINDS
    step: Optional[Callable[[], Drawable]] = None


@dataclass(frozen=True)
class Shown:
    """A figure that was rendered, and what a person should be told of it."""
    figure: Figure
    drawing: Drawable
    files: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Missing:
    """A figure that could not be drawn, and why."""
    figure: Figure
    why: str


def figures(index: Index, processes: Sequence[Process], reel: Optional[Film]) -> list[Figure]:
    """What there is to draw of a snapshot, each figure of one process for each of `processes`; with a film,
    what its fork changed, and the film itself."""
    def of_each(stem: str, question: str, draw: Callable[[Index, Process], Drawing]) -> list[Figure]:
        return [Figure(f"{stem}-{p.pid}" if len(processes) > 1 else stem, f"{question} {words.name(p)}?",
                       partial(draw, index, p)) for p in processes] or [Figure(stem, f"{question} a process?", _of_none)]
    found = [Figure("family", "Who shares what with whom?", lambda: family.draw(index)),
             *of_each("address-space", "What is mapped where in", address_space.draw),
             *of_each("walk", f"How do {'FRY and SHRIMP' if has_pages(index) else 'addresses'} translate for", _walk),
             *of_each("table", "What does the page table look like of", table.draw),
             Figure("matrix", "Who shares what with whom, among all processes?", lambda: matrix.draw(index)),
             Figure("ram", "Who owns each frame of RAM?", lambda: ram.draw(index)),
             Figure("fault", "What is wrong?", lambda: fault.draw(index))]
    if reel:
        found += [Figure("diff", f"What has {reel.function} changed?", partial(_fork, reel)),
                  Figure("film", f"How does {reel.function} build it?", partial(film.draw, reel), ("html", *_KINDS),
                         partial(film.draw, reel, [_still(reel)]))]
    return found


def _of_none() -> NoReturn:
    raise VizError("processes: expected at least one, found none; stop later, and take the snapshot again")


def telling_processes(index: Index) -> list[Process]:
    """The process of a snapshot whose two frames have most users, the youngest of these; none where there is none."""
    n_users = {p.slot: 0 for p in index.processes}
    if has_pages(index):
        for frame in sharing(index).frames.values():
            for slot in frame.users:
                n_users[slot] += len(frame.users)
    return sorted(index.processes, key=lambda p: (n_users[p.slot], p.pid))[-1:]


def _walk(index: Index, process: Process) -> Drawing:
    """How the process's SHRIMP and its parent's FRY meet in a frame, or where it has not both, its own two."""
    wanted = [(index.process(process.parent) or process, "fry"), (process, "shrimp")]
    known = [walk.address(index, p, name) for p, name in wanted if getattr(index.layout, name) is not None]
    return walk.draw(index, known or [walk.address(index, process, hex(m.va)) for m in process.mappings[:1]])


def _fork(reel: Film) -> Drawing:
    """From fork's first instruction to its return."""
    ends = [s for s in reel.steps if s.phase == "end"] or reel.steps[-1:]
    return diff.draw(reel.steps[0].index, ends[0].index)


def _still(reel: Film) -> int:
    """The number of the step at which the child gets SHRIMP, or of the last."""
    return next((n for n, step in enumerate(reel.steps, 1) if step.phase == "shrimp"), len(reel.steps))


def render_each(wanted: Sequence[Figure]) -> list[Union[Shown, Missing]]:
    """Each figure in each of its kinds; what cannot be drawn is told, and keeps none of the others."""
    found: list[Union[Shown, Missing]] = []
    for figure in wanted:
        try:
            drawing = figure.draw()
            files = _files(figure.stem, figure.kinds, drawing)
            if figure.step:
                files += _files(f"{figure.stem}{_STEP}", _KINDS, figure.step())
            found.append(Shown(figure, drawing, files))
        except VizError as e:
            found.append(Missing(figure, str(e)))
    return found


def _files(stem: str, kinds: Sequence[str], drawing: Drawable) -> tuple[tuple[str, bytes], ...]:
    return tuple((f"{stem}.{kind}", data) for kind, data in zip(kinds, render.render(drawing, kinds)))


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


def page(index: Index, shown: Sequence[Union[Shown, Missing]], data: Sequence[tuple[str, str]]) -> str:
    """HTML of the page that shows the figures; `data` are (file, what it is) to link to as well."""
    title = f"Figures of {words.kernel(index.snapshot.kernel)}"
    entries = "".join(f'<li><a href="#{in_html(one.figure.stem)}">{in_html(one.figure.question)}</a></li>' for one in shown)
    more = " · ".join(f'<a href="{in_html(file)}">{in_html(what)}</a>' for file, what in data)
    return (f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{in_html(title)}</title>\n'
            f"<style>{_STYLE}</style>\n</head>\n<body>\n<header><h1>{in_html(title)}</h1>\n"
            f'<p class="quiet">{in_html(words.stop_line(index))}</p><p>{more}</p></header>\n'
            f'<nav aria-label="Figures"><ul>{entries}</ul></nav>\n'
            f"<main>\n{''.join(map(_section, shown))}</main>\n</body>\n</html>\n")


def linked(page: Path) -> set[str]:
    """The figures' files that a page() has, by name; none where there is no such page."""
    try:
        found = page.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    return set(re.findall(r'<a href="([\w-]+\.(?:svg|pdf|png|dot|html))">', found)) if f"<style>{_STYLE}" in found else set()


def _section(one: Union[Shown, Missing]) -> str:
    head = f'<section id="{in_html(one.figure.stem)}"><h2>{in_html(one.figure.question)}</h2>\n'
    if isinstance(one, Missing):
        return f"{head}<p>Not drawn: {in_html(one.why)}</p></section>\n"
    names = [name for name, _ in one.files]
    links, image = _links(names[:len(one.figure.kinds)]), f"{in_html(one.figure.stem)}.svg"
    if one.figure.step:
        links += f"; this picture: {_links(names[len(one.figure.kinds):])}"
        image = f"{in_html(one.figure.stem)}{_STEP}.svg"
    return (f'{head}<p class="quiet">{links}</p><figure><a href="{in_html(one.files[0][0])}">'
            f'<img src="{image}" alt="{in_html(one.drawing.title)}"></a>'
            f"<figcaption><details><summary>In words</summary>{in_html(one.drawing.description)}</details></figcaption>"
            "</figure></section>\n")


def _links(names: Sequence[str]) -> str:
    return " · ".join(f'<a href="{in_html(name)}">{in_html(name.rpartition(".")[2].upper())}</a>' for name in names)

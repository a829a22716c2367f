"""Pages of a class: one of each hand-in, with a text to mail beside it, and one of all. Plain HTML that asks for nothing elsewhere.

What a hand-in says or is called is hostile: all of it goes through shown.in_html().
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from shrimpy import files

from ..marks import classes, marking, results, summary
from ..marks.classes import Marked
from ..marks.summary import Summary
from . import forms, shown
from .shown import in_html

SUMMARY = "summary.html"
_FIGURES = (f"{results.FAULT}.png", f"{marking.FILM}.html")     # the one that is named in a mail: the first that is there
_BESIDE = {results.TEXT: "the marks as text", f"{results.FAULT}.svg": "the figure of what is wrong",
           f"{results.FAULT}.pdf": "the same for paper", f"{results.FAULT}.png": "the same in pixels",
           f"{results.FAULT}.dot": "the same for Graphviz",
           f"{marking.FILM}.html": "the story, as a film", results.CONSOLE: "the console", results.BUILD: "the build",
           results.CHECKPOINT: "the machine at the first failure"}
_VERDICTS = {marking.PASSED: "pass", marking.FAILED: "FAIL", marking.WARNED: "warning", marking.SKIPPED: "not\xa0judged"}
_MOST_NAMES = 8     # of submissions, or rules, in one cell

# No script, and nothing from elsewhere, even if a stranger's text came to be markup.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
_STYLE = """
:root { color-scheme: light dark; --ink: #1a1a1a; --paper: #fff; --rule: #ccc; --quiet: #595959; --link: #0b57a4; --bar: #4a7fb5;
  --code: #f3f3f3; --bad: #a40000; }
@media screen and (prefers-color-scheme: dark) {
  :root { --ink: #eaeaea; --paper: #161616; --rule: #444; --quiet: #ababab; --link: #8cc2ff; --bar: #5b8fc4; --code: #242424;
    --bad: #ff9c94; } }
body { margin: 0 auto; padding: 1rem; max-width: 72rem; color: var(--ink); background: var(--paper); font: 1rem/1.5 system-ui, sans-serif;
  overflow-wrap: anywhere; }
h1 { font-size: 1.5rem; margin: 0 0 .3rem; } h2 { font-size: 1.15rem; margin: 1.8rem 0 .4rem; } p { margin: .3rem 0; }
a { color: var(--link); } .quiet { color: var(--quiet); } .bad { color: var(--bad); font-weight: 600; }
pre { background: var(--code); padding: .7rem; border-radius: 6px; white-space: pre-wrap; font: .85rem/1.45 monospace; }
img { background: #fff; border-radius: 6px; } p:has(> img) { overflow-x: auto; } p > img { min-width: 40rem; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .3rem .8rem .3rem 0; border-top: 1px solid var(--rule); }
th { color: var(--quiet); font-weight: 600; overflow-wrap: normal; } .n { text-align: right; overflow-wrap: normal; }
.bar { display: inline-block; height: .75em; background: var(--bar); border-radius: 2px; } td.bars { width: 60%; }
td:first-child { min-width: 6rem; } summary { cursor: pointer; }
@media (max-width: 45rem) { .about { display: none; } }
"""


def write(out: Path, name: str) -> None:
    """Writes the page and the mail of a submission beside its marks. One without marks gets those that say why. Raises OSError."""
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    told = classes.told(out, name)
    figure = next((one for one in _FIGURES if (folder / one).is_file()), "")
    text = forms.mail(told, name, figure) if told else forms.unmarked_mail(name, classes.why(out, name))
    files.write(str(folder / results.MAIL), text)
    files.write(str(folder / results.PAGE), of_one(name, told, folder) if told else _unmarked(name, classes.why(out, name)))


def write_all(out: Path, marked: Sequence[Marked]) -> Path:
    """Writes the pages that are not there, and the page of the class, whose path is returned. Raises OSError."""
    told = {one.submission: found for one in marked if (found := classes.told(out, one.submission))}
    for one in marked:
        if one.submission not in told or not (out / one.submission / results.MAIL).is_file() \
                or not (out / one.submission / results.PAGE).is_file():
            write(out, one.submission)
    unchecked = {one.submission: one.first_line for one in marked if one.submission not in told}
    path = out / SUMMARY
    files.write(str(path), of_class(out.name, summary.of(told, unchecked), marked))
    return path


# One hand-in

def of_one(name: str, told: Mapping[str, Any], folder: Path) -> str:
    """The page of a submission. told: its results.json; folder: where that is, and all that check left."""
    more = told["extra_data"]
    causes = more.get("causes", ())
    steps = forms.next_steps(causes[0]) if causes else []
    parts = [f"<h1>{in_html(name)}</h1>", f"<p>{told['score']:g} of {more['max_score']:g} points</p>", *shown.parts(told, folder)]
    if steps:
        parts += ["<h2>What to look at next</h2>", f"<pre>{in_html(chr(10).join(steps))}</pre>"]
    if len(causes) > 1:
        parts += ["<h2>The other causes</h2>", *(f"<pre>{in_html(one['text'].rstrip())}</pre>" for one in causes[1:])]
    rows = [_rule(test, more) for test in told["tests"]]
    parts += ["<h2>The rules</h2>", _table(("rule", "verdict", "points", "what it demands"), rows, "about")]
    if said := shown.console(folder):
        parts += ["<h2>The console</h2>", *said]
    beside = [f'<li><a href="{_link(file)}">{file}</a>: {about}</li>' for file, about in _BESIDE.items() if (folder / file).is_file()]
    return _page(name, [*parts, "<h2>Beside this page</h2>", f"<ul>{''.join(beside)}</ul>"])


def _rule(test: Mapping[str, Any], more: Mapping[str, Any]) -> list[str]:
    rule, _, statement = test["name"].partition(": ")
    became = summary.verdict(test, more)
    verdict = _VERDICTS[became]
    said = f'<span class="bad">{verdict}</span>' if became == marking.FAILED else verdict
    points = f"{test['score']:g}/{test['max_score']:g}" if test["max_score"] else "–"
    return [f"<code>{in_html(rule)}</code>", said, points, in_html(statement)]


def _unmarked(name: str, why: str) -> str:
    return _page(name, [f"<h1>{in_html(name)}</h1>", f"<p><b>not checked</b>: {in_html(why)}</p>"])


# All of them

def of_class(name: str, one: Summary, marked: Sequence[Marked]) -> str:
    """The page of a class. marked: the lines of its table."""
    statuses = [f"{in_html(status)}: {n}" for status, n in one.statuses]
    if one.unchecked:
        statuses.append(f'<span class="bad">not checked: {len(one.unchecked)}</span>')
    parts = [f"<h1>{in_html(name)}</h1>", f"<p>{one.n} hand-ins ({', '.join(statuses)})</p>", *_points(one), *_rules(one), *_causes(one),
             *_unjudged(one), *_unchecked(one), *_times(one), "<h2>The hand-ins</h2>",
             _table(("hand-in", "status", "#points", "#seconds", "why"), map(_line, marked), "about")]
    return _page(name, parts)


def _points(one: Summary) -> list[str]:
    if not one.points:
        return []
    most = max(each.n for each in one.points)
    rows = [[f"{each.low:g} – {each.high:g}", str(each.n), _bar(each.n, most)] for each in one.points]
    return ["<h2>Points</h2>", f"<p>mean {one.mean:.1f}, median {one.median:g}, of {one.most:g}</p>",
            _table(("points", "#hand-ins", ""), rows, "bars")]


def _rules(one: Summary) -> list[str]:
    some = [each for each in one.rules if each.failed or each.warned]
    rows = [[f"<code>{in_html(each.rule)}</code>", str(each.failed), str(each.warned), str(each.unjudged), str(each.passed),
             f"{each.lost:g}", in_html(each.statement)] for each in some]
    others = len(one.rules) - len(some)
    heads = "rule", "#failed", "#warned", "#not judged", "#passed", "#points lost", "what it demands"
    return ["<h2>Which rules failed</h2>", _table(heads, rows, "about") if rows else "<p>None.</p>",
            f'<p class="quiet">{others} other rules failed in no hand-in.</p>' if others else ""]


def _causes(one: Summary) -> list[str]:
    rows = [[f"<code>{in_html(each.rule)}</code> ({in_html(each.kind)})", str(len(each.submissions)), f"{each.points:g}",
             _names(each.submissions)] for each in one.causes]
    return ["<h2>What broke them</h2>", _table(("cause", "#hand-ins", "#points lost", "which"), rows)] if rows else []


def _unjudged(one: Summary) -> list[str]:
    rows = [[f"because of <code>{in_html(each.rule)}</code> ({in_html(each.kind)})" if each.rule else in_html(each.words),
             _some_rules(each.rules), str(len(each.submissions)), _names(each.submissions)] for each in one.unjudged]
    return ["<h2>What was not judged</h2>", _table(("why", "rules", "#hand-ins", "which"), rows)] if rows else []


def _unchecked(one: Summary) -> list[str]:
    rows = [[_to_page(name), in_html(why)] for name, why in one.unchecked]
    return ["<h2>Which hand-ins were not checked</h2>", _table(("hand-in", "why"), rows)] if rows else []


def _times(one: Summary) -> list[str]:
    if not one.times:
        return []
    return ["<h2>Times</h2>", f"<p>Building and checking took {one.times.total / 60:.0f} minutes for all, {one.times.median:.0f} s in the "
            f"median, and at most {one.times.most:.0f} s ({_to_page(one.times.slowest)}).</p>"]


def _line(one: Marked) -> list[str]:
    is_marked = one.status != classes.NOT_CHECKED
    return [_to_page(one.submission), in_html(one.status), f"{one.points:g}" if is_marked else "",
            f"{one.seconds:.0f}" if is_marked else "", in_html(one.first_line)]


def _some_rules(some: Sequence[str]) -> str:
    said = in_html(", ".join(some))
    return said if len(some) <= _MOST_NAMES else f"<details><summary>{len(some)} rules</summary>{said}</details>"


def _names(some: Sequence[str]) -> str:
    more = f" and {len(some) - _MOST_NAMES} more" if len(some) > _MOST_NAMES else ""
    return ", ".join(map(_to_page, some[:_MOST_NAMES])) + more


# HTML

def _link(path: str) -> str:
    """A path as a relative link: never one with a scheme."""
    return quote(os.fsencode(path), safe="/")


def _to_page(name: str) -> str:
    return f'<a href="{_link(f"{name}/{results.PAGE}")}">{in_html(name)}</a>'


def _bar(n: int, most: int) -> str:
    return f'<span class="bar" style="width:{100 * n / most:.0f}%"></span>' if n else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], last: str = "") -> str:
    """Cells are HTML. A head that begins with # is of numbers. last: the class of the last column, which "about" hides where
    there is little room."""
    kinds = [' class="n"' if head.startswith("#") else "" for head in heads]
    if last:
        kinds[-1] = f' class="{last}"'
    head = "".join(f"<th{kind}>{said.removeprefix('#')}</th>" for said, kind in zip(heads, kinds))
    body = "\n".join(f"<tr>{''.join(f'<td{kind}>{cell}</td>' for cell, kind in zip(row, kinds))}</tr>" for row in rows)
    return f'<div class="wide"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>'


def _page(title: str, parts: Sequence[str]) -> str:
    return ('<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            f"<title>{in_html(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n" + "\n".join(parts) + "\n</body>\n</html>\n")

"""The film as one HTML page: every step below the other, and a script that shows one at a time.

Nothing is fetched: style and script are inside, and the page's policy (CSP 3) allows those two,
by their hashes, and no more.
"""
from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import Optional
from xml.etree.ElementTree import Element, tostring

from ..model import words
from ..model.sharing import has_pages
from ..scene import web
from ..scene.text import in_html
from . import phrases
from .document import Change, Film, Pairing, Place, Step

_HERE = Path(__file__).parent

_FLAGS = re.compile(r"\b[V-][R-][W-][X-][U-][G-][A-][D-](?![\w-])")

def page(film: Film, title: str, pictures: Sequence[Element], dots: Sequence[str]) -> str:
    """HTML of the film; `pictures` are one to a step, as scene.svg's inlined() gives them; dots: the same as DOT."""
    css = (_HERE / "page.css").read_text(encoding="utf-8") + web.dark()
    script = web.script(_HERE / "page.js")
    n = len(film.steps)
    steps = "\n".join(_step(i, n, step, picture) for i, (step, picture) in enumerate(zip(film.steps, pictures), 1))
    return f"""{web.head(title, css, script, "img-src data:")}<body>
<a class="skip" href="#step-1">Skip to the steps</a>
<header class="head">
<h1>{in_html(title)}</h1>
<p>{in_html(words.kernel(film.kernel))}, {words.count(n, 'step')}</p>
</header>
{_CONTROLS.replace("{n}", str(n))}
<div class="columns">
<nav aria-labelledby="steps-title">
<h2 id="steps-title">Steps</h2>
{_list(film.steps)}
</nav>
<main>
<noscript><p class="noscript">Scripts are off: all steps stand below each other.</p></noscript>
{steps}
</main>
</div>
{_KEEP}
{web.packed(dots)}
<script>{script}</script>
</body>
</html>
"""


_ICONS = {
    "first": '<path d="M3 3h2v10H3zM13 3v10L6 8z"/>',
    "previous": '<path d="M11 3v10L4 8z"/>',
    "play": '<path class="when-paused" d="M4 3v10l8-5z"/><path class="when-playing" d="M4 3h3v10H4zM9 3h3v10H9z"/>',
    "next": '<path d="M5 3v10l7-5z"/>',
    "last": '<path d="M11 3h2v10h-2zM3 3v10l7-5z"/>',
}


def _button(name: str, key: str) -> str:
    return (f'<button type="button" id="{name}" aria-keyshortcuts="{key}">'
            f'<svg viewBox="0 0 16 16" aria-hidden="true">{_ICONS[name]}</svg>'
            f"<span>{name.capitalize()}</span></button>")


_CONTROLS = f"""<div class="controls" role="group" aria-label="Film" hidden>
{_button("first", "Home")}
{_button("previous", "ArrowLeft")}
{_button("play", "Space")}
{_button("next", "ArrowRight")}
{_button("last", "End")}
<button type="button" id="full" aria-keyshortcuts="F"><svg viewBox="0 0 16 16" aria-hidden="true">\
<path d="M2 2h5v2H4v3H2zM9 12h3V9h2v5H9z"/></svg><span>Full screen</span></button>
<label>Seconds a step <select id="seconds"><option>1<option>2<option selected>4<option>8<option>15</select></label>
<p class="note" id="note"></p>
<p class="position" id="position"></p>
<p class="keys">Keys: <kbd>←</kbd> <kbd>→</kbd> or <kbd>Page Up</kbd> <kbd>Page Down</kbd> step, <kbd>Home</kbd> <kbd>End</kbd> \
first, last, <kbd>Space</kbd> play, pause, <kbd>F</kbd> full screen</p>
<progress id="progress" max="{{n}}" value="1" aria-hidden="true"></progress>
<p class="unseen" id="announcement" role="status"></p>
</div>"""


_KEEP = """<footer class="keep" id="keep" hidden>
<p role="group" aria-label="Keep the step's picture">Keep the picture: <button type="button" id="keep-svg">SVG</button>
<button type="button" id="keep-png">PNG</button> <button type="button" id="keep-pdf">PDF</button>
<button type="button" id="keep-dot">DOT</button></p>
<p>PDF is kept by the browser's print dialogue. Several steps as a strip for paper: \
<code>scripts/python viz film film.json -o strip.pdf</code> (or .svg, .png, .dot)</p>
</footer>"""


_BROKEN = '<strong class="broken"><span aria-hidden="true">✕</span> the pair breaks here</strong>'


def _list(steps: Sequence[Step]) -> str:
    numbered = enumerate(steps, 1)
    broken = next((i for i, step in enumerate(steps, 1) if step.pairing.state == "broken"), None)
    groups = []
    for phase, run in groupby(numbered, key=lambda one: one[1].phase):
        members = list(run)
        links = "".join(f'<li><a href="#step-{i}">{in_html(step.title)}{_BROKEN if i == broken else ""}</a></li>' for i, step in members)
        groups.append(f'<li><span>{in_html(phrases.phase(phase))}</span>\n'
                      f'<ol start="{members[0][0]}">{links}</ol></li>')
    return f'<ul class="phases">\n{chr(10).join(groups)}\n</ul>'


def _step(i: int, n: int, step: Step, picture: Element) -> str:
    return f"""<section class="step" id="step-{i}" aria-labelledby="step-{i}-title">
<div class="words">
<p class="number"><a href="#step-{i}">Step {i} of {n}</a> <span>{in_html(phrases.phase(step.phase))}</span></p>
<h2 id="step-{i}-title">{in_html(step.title)}</h2>
<p class="caption">{in_html(step.caption)}</p>
{_pairing(step.pairing) if has_pages(step.index) else ''}
</div>
<figure>
<div class="scroll">{tostring(picture, encoding='unicode')}</div>
</figure>
<div class="details">
{_source(step.at)}
{_changes(step)}
</div>
</section>"""


def _pairing(pairing: Pairing) -> str:
    sign, words = phrases.PAIRINGS[pairing.state]
    return (f'<p class="pairing {pairing.state}"><span aria-hidden="true">{sign}</span> <strong>{words}</strong> '
            f"{in_html(pairing.text)}</p>")


def _source(at: Place) -> str:
    where = in_html(phrases.place(at))
    function = f"{in_html(at.function)}()" if at.function else ""
    place = f"<code>{where}</code>{' in ' if function else ''}" if where else ""
    place += f"<code>{function}</code>" if function else ""
    lines = phrases.numbered(at) or [(0, at.source.strip(), True)] if at.source else []
    code = "".join(f'<span{" class=here" if here else ""}>{f"{n:4} " if n else ""}{in_html(line)}</span>' for n, line, here in lines)
    return f'<div class="source"><p>{place or "The line of the source is not known."}</p>' + (
        f"<pre><code>{code}</code></pre></div>" if code else "</div>")


def _changes(step: Step) -> str:
    more = ""
    if step.more_changes:
        more = f'<p class="more">and {step.more_changes} more of the same kind</p>'
    if not step.changes:
        return f'<p class="more">Nothing changed in the parent and the child.</p>{more}'
    rows = "\n".join(map(_row, step.changes))
    return f"""<div class="scroll"><table>
<caption>What changed</caption>
<thead><tr><th scope="col">Change</th><th scope="col">pid</th><th scope="col">Virtual address</th>\
<th scope="col">Level</th><th scope="col">PTE at</th><th scope="col">Before</th><th scope="col">After</th></tr></thead>
<tbody>
{rows}
</tbody>
</table></div>{more}"""


def _row(change: Change) -> str:
    before, after = _emphasized(change.before, change.after)
    where = "".join(_cell(name, value) for name, value in (
        ("Virtual address", _hex(change.va)), ("Level", change.level), ("PTE at", _hex(change.pte_at))))
    return (f'<tr><th scope="row"><span class="sign" aria-hidden="true">{phrases.SIGNS[change.kind]}</span> '
            f"{phrases.KINDS[change.kind]} {in_html(phrases.thing(change))}</th>{_cell('pid', change.pid)}{where}"
            f'<td data-name="Before">{_side(phrases.value(change, change.pte_before), before)}</td>'
            f'<td data-name="After">{_side(phrases.value(change, change.pte_after), after)}</td></tr>')


def _hex(value: Optional[int]) -> Optional[str]:
    return None if value is None else f"{value:#x}"


def _cell(name: str, value: Optional[object]) -> str:
    if value is None:
        return "<td></td>"
    return f'<td data-name="{name}">{value}</td>'


def _side(value: str, meaning: str) -> str:
    return "<br>".join(filter(None, [value, meaning])) or "nothing"


def _emphasized(before: str, after: str) -> tuple[str, str]:
    """Both as markup; of their flags, the letters that differ are marked."""
    flags = [_FLAGS.search(s) for s in (before, after)]
    old, new = (m[0] if m else "-" * 8 for m in flags)

    def marked(s: str, m: Optional[re.Match[str]], differ: Iterable[bool]) -> str:
        if m is None:
            return in_html(s)
        letters = "".join(f"<mark>{c}</mark>" if d else c for c, d in zip(m[0], differ))
        return f"{in_html(s[:m.start()])}{letters}{in_html(s[m.end():])}"
    differ = [a != b for a, b in zip(old, new)]
    return marked(before, flags[0], differ), marked(after, flags[1], differ)

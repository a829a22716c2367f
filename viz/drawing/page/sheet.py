"""The page's HTML: a frame of headings and empty places, its states as JSON, and the script that shows them.

Nothing is fetched but, where a machine runs, what its server sends: the policy allows no more.
"""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..figures import ram
from ..scene import web
from ..scene.text import in_html
from .parts import VIEWS, Change

_HERE = Path(__file__).parent
_VIEWS = tuple(zip(VIEWS, ("Family", "Matrix", "RAM")))
_OF_A_PROCESS = (("space", "Address space"), ("table", "Page table"), ("walk", "Walk"), ("frame", "Frame"))


def html(title: str, tape: Sequence[Change], live: bool = False, dots: Sequence[str] = ()) -> str:
    """The page, with its first states. live: whether a server tells it of more; dots: the figures of each state as DOT, if known."""
    css = (_HERE / "page.css").read_text(encoding="utf-8") + web.dark(ram.DARK)
    script = web.script(_HERE / "page.js")
    allowed = ("img-src data:", *(("connect-src 'self'",) if live else ()))
    also = '<meta name="referrer" content="no-referrer">\n' + (f"{_NO_ICON}\n" if live else "")
    # what could end the element, or begin a comment in it, is written otherwise
    states = f"[{','.join(one.to_json() for one in tape)}]".replace("<", "\\u003c")
    return f"""{web.head(title, css, script, *allowed, also=also)}<body{' class="live"' if live else ''}>
<a class="skip" href="#main">Skip to the figures</a>
<header>
<h1>{in_html(title)}</h1>
<p id="lamp" role="status"></p>
<p id="now"></p>
{_CONTROLS.replace("{figures}", "".join(f"<option>{name}" for name in FIGURES))}
</header>
<noscript><p>This page needs its own script to show anything.</p></noscript>
<ul id="cautions"></ul>
<details id="causes" hidden><summary>What is wrong</summary><div></div></details>
<section id="step" aria-label="Step" hidden></section>
<main id="main" tabindex="-1">
<section class="figures" aria-label="Figures">
{_tabs("Figures", _VIEWS)}
</section>
<section class="one" aria-label="A process">
<nav aria-label="Processes"><ul id="processes"></ul></nav>
{_tabs("Of a process", _OF_A_PROCESS)}
</section>
<section id="beside" aria-label="The machine">
<h2>Harts</h2><ul id="harts"></ul>
<div id="printed" hidden><h2>Console</h2><pre id="console" tabindex="0" aria-label="The console's last lines"></pre></div>
</section>
</main>
<p class="keys"><kbd>1</kbd> <kbd>2</kbd> <kbd>3</kbd> figures, <kbd>j</kbd> <kbd>k</kbd> next, previous process, \
<kbd>←</kbd> <kbd>→</kbd> time, <kbd>End</kbd> now, <kbd>Space</kbd> pause, <kbd>Esc</kbd> nothing lit</p>
{"" if live else _OTHERS}
<script type="application/json" id="tape">{states}</script>
{web.packed(dots) if dots else ''}
<script>{script}</script>
</body>
</html>
"""


FIGURES = (*VIEWS, "fault", "address-space", "table", "walk")

_OTHERS = "<p class=\"keys\">PDF is kept by the browser's print dialogue. The other figures, of a file of xv6-snapshot's or the page's \
<em>snapshot</em>: <code>scripts/python viz FIGURE FILE -o FIGURE.pdf</code> (or .svg, .png, .dot)</p>"

_NO_ICON = '<link rel="icon" href="data:,">'    # else the browser asks the server for one

_CONTROLS = """<div class="controls" role="group" aria-label="Time">
<button type="button" id="pause" aria-keyshortcuts="Space" hidden>Pause</button>
<label id="timeline" hidden>Time <input type="range" id="time" min="0" max="0" value="0" step="1"> <output id="when"></output></label>
<button type="button" id="newest" aria-keyshortcuts="End" hidden>Now</button>
<span id="keep" role="group" aria-label="Keep" hidden>Keep
<a id="keep-snapshot" download="snapshot.json">snapshot</a> <button type="button" id="keep-svg">SVG</button>
<button type="button" id="keep-png">PNG</button> <button type="button" id="keep-pdf">PDF</button>
<button type="button" id="keep-dot" hidden>DOT</button>
<span id="keep-file" hidden><select id="which" aria-label="Figure">{figures}</select>
<select id="kind" aria-label="Kind of file"><option>svg<option>pdf<option>png<option>dot</select>
<button type="button" id="keep-it">file</button></span>
<a id="keep-film" download="film.html">last minute</a></span>
<span id="line" role="status"></span>
</div>"""


def _tabs(label: str, tabs: Sequence[tuple[str, str]]) -> str:
    heads = "".join(f'<button type="button" role="tab" id="tab-{name}" aria-controls="{name}" aria-selected="{str(not i).lower()}" '
                    f'tabindex="{0 if not i else -1}">{said}</button>' for i, (name, said) in enumerate(tabs))
    panels = "".join(f'<div role="tabpanel" id="{name}" aria-labelledby="tab-{name}" tabindex="0"{" hidden" if i else ""}></div>'
                     for i, (name, _) in enumerate(tabs))
    return f'<div role="tablist" aria-label="{label}">{heads}</div>\n{panels}'

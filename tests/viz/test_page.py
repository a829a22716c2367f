"""The page of a machine: its parts, its figure that stands still, its server; and in a real browser what is clicked and typed."""
from __future__ import annotations

import dataclasses
import http.client
import http.server
import json
import re
import resource
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "viz"), str(Path(__file__).parent)]

import browsing                                 # noqa: E402
import family_tree as ft                        # noqa: E402
import films                                    # noqa: E402
import pictures                                 # noqa: E402
from browsing import Chromium, contrasts        # noqa: E402
from drawing import cli                         # noqa: E402
from drawing.film import document               # noqa: E402
from drawing.figures import family              # noqa: E402
from drawing.model import documents             # noqa: E402
from drawing.page import parts, server          # noqa: E402
from drawing.page.board import Board            # noqa: E402
from drawing.page.sheet import FIGURES, html    # noqa: E402
from lab.pictures import figures                # noqa: E402
from lab.pictures.watching import Belief, Watcher, _alike   # noqa: E402

FRY_OF_3 = hex(ft.fry_frame(3))


def index(made: ft.Family) -> Any:
    return documents.parse(made.text())


def wrong() -> ft.Family:
    """programs(), with a SHRIMP of 4 that is no FRY of its parent's."""
    made = ft.at_rest(ft.programs())
    for m in made.process(4)["mappings"]:
        if m["region"] == "shrimp":
            m.update(pa=hex(ft.fry_frame(6)), pte=hex(ft.fry_frame(6) >> 2 | 0xD7))
    return made


# Parts, and what changed of them

def test_a_state_that_is_as_before_has_nothing_to_tell():
    scribe = parts.Scribe()
    before = scribe.parts(index(ft.programs()))
    assert not parts.change(before, scribe.parts(index(ft.programs())), "").changed


def test_only_what_changed_is_told_and_no_other_process_is_written_again(monkeypatch):
    scribe = parts.Scribe()
    before = scribe.parts(index(ft.programs()))
    written = []
    monkeypatch.setattr(parts, "_process", lambda _, p: written.append(p.pid) or {})
    made = ft.programs()
    made.process(5)["name"] = "another"
    told = parts.change(before, scribe.parts(index(made)), "")
    assert written == [5]
    assert {name for name in told.changed if name[:2] in ("p:", "f:")} == {"p:4"} and not told.gone


def test_a_process_that_has_gone_is_gone_from_the_state():
    scribe = parts.Scribe()
    before = scribe.parts(index(ft.demo()))
    made = ft.demo()
    made.json["processes"].pop()
    assert "p:5" in parts.change(before, scribe.parts(index(made)), "").gone


def test_the_verdict_is_told_with_its_causes():
    assert parts.lamp(index(ft.at_rest(ft.programs())))["state"] == "pass"
    told = parts.lamp(index(wrong()))
    assert told["state"] == "fail" and any("shrimp-pair" in block and "pid 4" in block for block in told["blocks"])


# The figure that stands still

def places(standing: family.Standing, made: ft.Family) -> dict[str, tuple[float, float, float, float]]:
    found = pictures.rects(pictures.svg_of(standing.draw(index(made))))
    return {name: at for name, at in found.items() if name.startswith("process-")}


def test_who_stays_keeps_its_place_while_others_come_and_go():
    standing = family.Standing()
    shell = lambda: ft.Family().add(1, None, "init").add(2, 1, "sh").add(3, 2, "sleeper")   # noqa: E731
    two = places(standing, shell())
    child = places(standing, shell().add(4, 2, "ls"))
    assert {name: child[name] for name in two} == two and "process-3" in child
    assert places(standing, shell()) == two, "the child's place is kept, with nobody there"
    assert places(standing, shell().add(5, 2, "a-longer-name"))["process-3"] == child["process-3"], "for who has its slot next"


def test_more_than_fit_are_drawn_as_before_until_one_shows_something_wrong():
    made = ft.Family().add(1, None, "init")
    for pid in range(2, 13):
        made.add(pid, 1)
    standing = family.Standing()
    first = places(standing, made)
    assert len(first) == family.LIMIT
    assert places(standing, made.add(13, 1)) == first


# What is believed of a machine that runs

def test_a_failure_is_believed_when_it_stands_in_two_pairs():
    failures = documents_failures(wrong())
    belief = Belief()
    assert failures and belief.holds(()) and not belief.holds(failures) and belief.holds(failures)
    assert belief.holds(()) and not belief.holds(failures), "it had gone in between"


def test_a_failure_that_was_gone_in_between_is_not_believed_when_it_comes_again():
    """What is shown is not judged again when it is seen again; it ends what was doubted all the same."""
    board, sound, broken = Board(), index(ft.at_rest(ft.programs())).snapshot, index(wrong()).snapshot
    one: Any = SimpleNamespace(_is_known=lambda: True, _stands=lambda exactly=False: (False, 0), n_looks=0, n_judged=0, _console=lambda: None,
                               _tell=lambda _: None, _where=lambda _: None, _scribe=parts.Scribe(), _belief=Belief(), _board=board, _rows="",
                               _shown=None, _failures=(), _judge=lambda *seen: Watcher._judge(one, *seen))
    for seen in (sound, broken, sound, broken, sound):
        one._agreed = lambda _, seen=seen: seen
        Watcher._look(one)
        assert json.loads(board.newest.parts["lamp"])["state"] == "pass"
    for state in ("pass", "fail"):
        one._agreed = lambda _: broken
        Watcher._look(one)
        assert json.loads(board.newest.parts["lamp"])["state"] == state


def test_a_pid_that_was_given_and_is_free_again_is_no_news():
    seen = index(ft.programs()).snapshot
    given = dataclasses.replace(seen, next_pid=(seen.next_pid or 0) + 1)
    assert _alike(seen, given) and not _alike(None, seen)
    assert not _alike(seen, dataclasses.replace(given, lost=((0x80000000, 1),)))


def documents_failures(made: ft.Family) -> Any:
    from drawing.model import kit
    return kit.judgement(index(made)).failures


# The server

@pytest.fixture
def served() -> Iterator[tuple[server.Server, Board, list[str]]]:
    board, asked = Board(), []      # type: Board, list[str]
    with server.Server(board, "Shrimpy", {"pause": lambda: asked.append("pause")}) as one:
        yield one, board, asked


def answer(one: server.Server, path: str, method: str = "GET", **headers: str) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", one.server_port, timeout=60)
    connection.request(method, path, headers=headers)
    return connection.getresponse()


def events(one: server.Server) -> Iterator[dict[str, Any]]:
    response = answer(one, f"/{one.token}/events")
    for line in response:
        if line.startswith(b"data: "):
            yield json.loads(line[6:])


def test_nobody_is_answered_without_the_token_or_under_another_name(served):
    one, _, asked = served
    assert one.server_address[0] == "127.0.0.1"
    assert answer(one, f"/{one.token}/").status == 200
    for path in ("/", f"/{one.token}", f"/x{one.token}/", "/events", f"/{one.token}/../etc/passwd", f"/{one.token}/snapshot-1.json"):
        assert answer(one, path).status == 404, path
    for host in ("evil.example:80", "localhost.evil.example", "127.0.0.1:80.evil.example", "127.0.0.100", ""):
        assert answer(one, f"/{one.token}/", Host=host).status == 404, host
    assert answer(one, f"/{one.token}/pause", "POST", Origin="http://evil.example").status == 404 and not asked
    assert answer(one, f"/{one.token}/pause", "POST", Origin=f"http://127.0.0.1:{one.server_port}").status == 200
    assert asked == ["pause"]


def test_an_editor_may_add_a_query_and_forward_the_port(served):
    one, _, asked = served
    assert answer(one, f"/{one.token}/?id=1b2c&vscodeBrowserReqId=1796050595530", Host="localhost:80").status == 200
    assert answer(one, f"/{one.token}/pause", "POST", Host="localhost:80", Origin="http://localhost:80").status == 200 and asked
    assert answer(one, "/x?id=1b2c").status == 404


def test_pages_are_told_the_whole_state_and_then_what_changed(served):
    one, board, _ = served
    made = index(ft.demo())
    scribe = parts.Scribe()
    board.post(scribe.parts(made), made.snapshot)
    first, second = events(one), events(one)
    for told in (next(first), next(second)):
        assert told["whole"] and {"now", "family", "p:0"} <= set(told["parts"])
    other = ft.demo()
    other.process(5)["name"] = "another"
    board.post(scribe.parts(index(other)), index(other).snapshot)
    for told in (next(first), next(second)):
        assert not told["whole"] and "p:4" in told["parts"] and "p:0" not in told["parts"]
    assert json.loads(board.snapshot(10 ** 6) or b"")["processes"]
    assert len(board.tape()[0]) == 2 and board.n_pages == 2


def test_a_browser_that_stays_away_holds_nobody_up(served):
    one, board, _ = served
    asleep = answer(one, f"/{one.token}/events")
    for n in range(200):        # more than the sockets between them hold
        board.post({"line": parts.encoded({"says": f"{n}" * 20_000})})
    assert next(events(one))["parts"]["line"]["says"].startswith("199")
    asleep.close()


def test_what_a_board_keeps_has_a_limit(monkeypatch):
    monkeypatch.setattr("drawing.page.board._MOST_CHARS", 10_000)
    board = Board()
    for n in range(2000):
        board.post({"line": f"{n:100}", "console": "the same"})
    assert board.n_states == 100 and board._size == 100 * 100


def test_what_is_shown_is_kept_exactly_and_of_what_was_only_passed_through_a_snapshot_now_and_then(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("drawing.page.board.monotonic", lambda: clock[0])
    board = Board()

    def post(at: float, pid: int) -> int:
        clock[0] = at
        made = index(ft.Family().add(1, None, "init").add(pid, 1))
        board.post({"now": f"{pid}"}, made.snapshot)
        return board.newest.n

    def kept(n: int) -> int:
        return json.loads(board.snapshot(n) or b"")["processes"][1]["pid"]
    first, passing, second, last = post(1, 2), post(2, 3), post(2.1, 4), post(3, 5)
    board.post({"line": "beside"})
    assert [kept(n) for n in (first, second, last, board.newest.n)] == [2, 4, 5, 5]
    assert kept(passing) == 2, "it was there for less than a person sees, soon after one that is kept"


def test_the_last_minute_has_each_figure_of_each_state_as_dot():
    board, scribe = Board(), parts.Scribe()
    for made in (index(ft.demo()), index(ft.programs())):
        board.post(scribe.parts(made), made.snapshot, scribe.drawn)
        board.post({"line": "nothing new of the machine"})
    changes, dots = board.tape()
    assert len(dots) == len(parts.VIEWS) * len(changes) == 6 and len(set(dots)) == 6
    assert dots[3:] == parts.dots(scribe.drawn) and all(one.startswith("digraph") for one in dots)


def test_a_page_that_is_left_open_over_night_grows_by_nothing(monkeypatch):
    """20,000 pictures by a pretended clock, each with a pid of its own and a snapshot to be kept."""
    clock = [0.0]
    monkeypatch.setattr("drawing.page.board.monotonic", lambda: clock[0])
    board, scribe = Board(), parts.Scribe()
    made = [index(ft.Family().add(1, None, "init").add(pid, 1)) for pid in (2, 3)]
    told = [scribe.parts(one) for one in made]
    sizes = []
    for n in range(20_000):
        clock[0] += 1 / 30
        board.post(told[n & 1] | {"console": parts.encoded([f"{n:6}"])}, made[n & 1].snapshot)
        if n in (9_999, 19_999):
            sizes.append((board.n_states, board._size, sys.getallocatedblocks()))
    (states, size, blocks), (states_then, size_then, blocks_then) = sizes
    assert states == states_then <= 60 * 30 + 2 and size == pytest.approx(size_then, rel=0.01)
    assert blocks_then < 1.02 * blocks


def test_what_is_drawn_for_a_page_is_kept_of_the_last_picture_alone():
    scribe = parts.Scribe()
    kept = set()
    for pid in range(2, 60):
        scribe.parts(index(ft.Family().add(1, None, "init").add(pid, 1)))
        kept.add((len(scribe._processes), len(scribe._figures), len(scribe.drawn), len(scribe._family._last)))
    assert len(kept) == 1


def test_on_a_full_disk_all_is_kept_that_is_asked_for(served):
    """The page's server writes no file: what is kept is the browser's to write."""
    one, board, _ = served
    made = index(wrong())
    board.post(parts.Scribe().parts(made), made.snapshot)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        status = {name: answer(one, f"/{one.token}/{name}").status for name in (
            "film.html", "snapshot-1.json", *(f"figure-1-family.{kind}?slot=0&va=" for kind in ("svg", "pdf", "png", "dot")))}
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert set(status.values()) == {200}, status


def test_any_figure_is_kept_as_any_kind_of_file(served):
    one, board, _ = served
    made = index(wrong())
    board.post(parts.Scribe().parts(made), made.snapshot)
    head = f"/{one.token}/figure-1-"
    for name in server.FIGURES:
        made_of = answer(one, f"{head}{name}.dot?slot=3&va=fry")
        assert made_of.status == 200 and made_of.read().startswith(b"digraph"), name
    for kind, begins in (("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")):
        assert answer(one, f"{head}family.{kind}?slot=0&va=").read().startswith(begins)
    refused = answer(one, f"{head}walk.dot?slot=3&va=nonsense")
    assert refused.status == 422 and b"\n" not in refused.read()
    assert answer(one, f"{head}table.dot?slot=99&va=").status == 422
    assert answer(one, f"{head}table.exe?slot=3&va=").status == answer(one, f"{head}table.svg?slot=-3&va=").status == 404


# What a figure can be kept as

KINDS = {"svg", "pdf", "png", "dot"}


def offered(page: str) -> set[str]:
    """The kinds of files that a page makes of its figures: by its server, or what a page that stands alone has in it."""
    by_server = set(re.findall(r"<option>(svg|pdf|png|dot)\b", page)) if '<body class="live">' in page else set()
    return by_server or {kind for kind in KINDS if f'id="keep-{kind}"' in page and (kind != "dot" or '<script type="text/plain" id="dots">' in page)}


def test_each_page_and_each_command_makes_a_figure_of_each_kind(tmp_path: Path):
    board, scribe, made = Board(), parts.Scribe(), index(ft.programs())
    board.post(scribe.parts(made), made.snapshot, scribe.drawn)
    tape, dots = board.tape()
    (tmp_path / "snapshot.json").write_text(ft.programs().text(), encoding="utf-8")
    (tmp_path / "film.json").write_text(films.text(), encoding="utf-8")
    for name, command, document_ in (("snapshot's", "page", "snapshot"), ("steps", "page", "film"), ("film", "film", "film")):
        assert cli.main([command, str(tmp_path / f"{document_}.json"), "-o", str(tmp_path / f"{name}.html")]) == 0
    pages = {path.stem: path.read_text(encoding="utf-8") for path in tmp_path.glob("*.html")}
    pages |= {"live": html("Shrimpy", [], live=True), "last minute": html("Shrimpy", tape, dots=dots)}
    assert len(pages) == 5 and {name: offered(page) for name, page in pages.items()} == dict.fromkeys(pages, KINDS)
    commands = {figure: cli._arguments([figure, "a", *["b"] * (figure == "diff")]).suffixes for figure in (*FIGURES, "diff", "film")}
    assert all(KINDS <= {suffix[1:] for suffix in suffixes} for suffixes in commands.values())
    assert set(figures.FORMATS) == KINDS, "what demo, film and marks leave"


# In a browser

@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browsing.chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture
def shown(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Chromium]]:
    """shown(document, ...): its page, opened. Whatever a test does, the console stays empty and nothing is asked for but the page."""
    opened: list[Chromium] = []

    def show(text: str, **how: Any) -> Chromium:
        (tmp_path / "document.json").write_text(text, encoding="utf-8")
        out = tmp_path / f"page{len(opened)}.html"
        assert cli.main(["page", str(tmp_path / "document.json"), "-o", str(out)]) == 0
        for kind in ("browser", "performance"):
            browser.get_log(kind)
        opened.append(Chromium(browser, out.as_uri()).open(**how))
        return opened[-1]
    yield show
    for one in opened[-1:]:
        assert one.log("browser") == []
        assert {url.partition("#")[0] for url in one.asked()} <= {one.url}


def lit(one: Chromium) -> set[str]:
    return set(one.js("return [...document.querySelectorAll('svg .lit')].map(e => e.id)"))


def click(one: Chromium, id_: str) -> None:
    one.js("document.getElementById(arguments[0]).dispatchEvent(new MouseEvent('click', {bubbles: true}))", id_)


def test_a_frame_that_is_clicked_lights_all_its_users(shown):
    one = shown(ft.programs().text())
    click(one, f"family-frame-{FRY_OF_3}")
    assert {f"family-frame-{FRY_OF_3}", f"matrix-frame-{FRY_OF_3}", "family-page-F-2", "family-page-S-3", "family-page-S-4",
            "family-edge-F-2", "family-edge-S-3", "family-edge-S-4"} <= lit(one)
    assert len([name for name in lit(one) if name.startswith("ram-at-")]) == 1
    assert one.js("return [...document.querySelectorAll('#processes .lit')].map(e => e.dataset.slot).sort()") == ["2", "3", "4"]
    said = one.js("return document.getElementById('frame').innerText")
    assert FRY_OF_3 in said and all(f"SHRIMP of pid {pid}" in said for pid in (4, 5)) and "FRY of pid 3" in said
    one.keys("\ue00c")
    assert not lit(one), "Escape"


def test_a_process_that_is_clicked_shows_its_pages_and_an_address_its_walk(shown):
    made = ft.programs()
    one = shown(made.text())
    click(one, "family-process-3")
    said = one.js("return document.getElementById('space').innerText")
    leaves = made.process(4)["mappings"]
    assert "4 shrimpdemo" in said and all(m["va"] in said and m["pa"] in said for m in leaves)
    one.js("[...document.querySelectorAll('#space button')].find(b => b.textContent === arguments[0]).click()", hex(ft.SHRIMP))
    rows = one.js("return [...document.querySelectorAll('#walk tbody tr')].map(r => [...r.cells].map(c => c.textContent))")
    tables = {t["level"]: t for t in made.process(4)["tables"] if int(t["va"], 16) <= ft.SHRIMP
              and (t["level"] == 2 or ft.SHRIMP - int(t["va"], 16) < 1 << 21 + 9 * t["level"])}
    leaf = next(m for m in leaves if m["region"] == "shrimp")
    assert [row[:3] for row in rows] == [["2", "255", tables[1]["entry"]], ["1", "511", tables[0]["entry"]], ["0", "508", leaf["pte_at"]]]
    assert rows[2][3] == leaf["pte"] and FRY_OF_3 in rows[2][4]
    assert one.js("return document.getElementById('table').innerText").count("L0 table") == 2


def test_an_address_that_is_not_mapped_is_a_page_fault(shown):
    one = shown(ft.programs().text())
    one.js("""document.getElementById('tab-walk').click();
        const field = document.getElementById('va'); field.value = '0x40000000'; field.form.requestSubmit()""")
    assert one.js("return document.querySelector('#walk .fault').textContent") == "page fault: the level 2 entry is not valid"


def test_all_of_it_can_be_reached_by_keys(shown):
    one = shown(ft.programs().text())
    for key, view in (("2", "matrix"), ("3", "ram"), ("1", "family")):
        one.keys(key)
        assert one.js("return [...document.querySelectorAll('.figures [role=tabpanel]')].filter(e => e.checkVisibility()).map(e => e.id)") == [view]
    chosen = "return document.querySelector('#processes [aria-pressed=true]').textContent"
    before = one.js(chosen)
    one.keys("k")
    assert one.js(chosen) != before
    one.keys("j")
    assert one.js(chosen) == before
    one.js("document.getElementById('tab-space').focus()")
    one.keys("\ue014")
    assert one.js("return document.activeElement.id") == "tab-table" and one.js("return document.getElementById('table').checkVisibility()")
    buttons = one.js("return [...document.querySelectorAll('#processes button, .address')].every(e => e.tabIndex === 0)")
    assert buttons, "in the order of Tab"
    described = one.js("return [...document.querySelectorAll('svg[role=img]')].map(e => document.getElementById(e.getAttribute('aria-describedby')).textContent)")
    assert len(described) == 3 and f"Frame {FRY_OF_3}: FRY of 3; SHRIMP of 4, 5." in described[0]


def test_a_figure_of_a_page_that_stands_alone_is_kept(shown, tmp_path: Path):
    one = shown(films.text())
    one.keys("\ue014")
    for name, begins in (("family.svg", b"<svg xmlns="), ("family.dot", b"digraph")):
        assert one.kept(tmp_path, name, lambda name=name: one.click(f"#keep-{name[7:]}")).startswith(begins)
    scribe = parts.Scribe()
    for step in document.parse(films.text()).steps[:2]:
        scribe.parts(step.index)
    svg = (tmp_path / "family.svg").read_bytes()
    browsing.is_png(one.kept(tmp_path, "family.png", lambda: one.click("#keep-png")), svg)
    assert browsing.printed(one, "#keep-pdf") == browsing.size_pt(svg)
    assert (tmp_path / "family.dot").read_text(encoding="utf-8") == parts.dots(scribe.drawn)[0]


def test_what_is_wrong_is_told_with_its_addresses(shown):
    one = shown(wrong().text())
    assert one.js("return document.getElementById('lamp').className") == "fail"
    one.js("document.getElementById('causes').open = true")
    assert "shrimp-pair" in one.js("return document.getElementById('causes').innerText")
    one.js("document.querySelector('#causes [data-frame]').click()")
    assert lit(one)


def test_a_film_is_gone_through_step_by_step_and_what_changed_glows(shown):
    one = shown(films.text())
    n = len(films.film()["steps"])
    assert one.js("return Number(document.getElementById('time').max)") == n - 1
    titles = []
    for i in range(n):
        titles.append(one.js("return document.querySelector('#step h2').textContent"))
        if i == 3:
            assert "family-page-S-2" in one.js("return [...document.querySelectorAll('svg .glow')].map(e => e.id)")
        one.keys("\ue014")
    assert titles == [step["title"] for step in films.film()["steps"]]
    one.keys("\ue011")
    assert one.js("return document.querySelector('#step h2').textContent") == titles[0], "Home"


@pytest.mark.parametrize("width, height", [(1280, 800), (390, 844)])
def test_a_page_that_follows_fits_the_window_and_asks_nobody_else(browser, served, width: int, height: int):
    one, board, _ = served
    made = index(ft.programs())
    board.post(parts.Scribe().parts(made, False) | {"line": parts.encoded({"says": "Running: not exact.", "paused": False})}, made.snapshot)
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    page = Chromium(browser, one.url).open(width=width, height=height)
    page.until("document.querySelectorAll('#processes button').length > 2")
    assert page.js("return document.documentElement.scrollWidth <= innerWidth")
    assert page.js("return ['pause', 'keep-file', 'keep-film'].every(id => document.getElementById(id).checkVisibility())")
    names = page.js("return [...document.querySelectorAll('button, select, input')].filter(e => e.checkVisibility() && !"
                    "(e.textContent.trim() || e.ariaLabel || e.labels?.length)).map(e => e.outerHTML)")
    assert names == [], "each has a name"
    assert page.log("browser") == [] and {url.rpartition("/")[0] for url in page.asked()} == {one.url.rstrip("/")}


@pytest.fixture
def another(served) -> Iterator[str]:
    """The address of another site's page that holds the page, as VS Code's simple browser does."""
    class Frame(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = (f'<!DOCTYPE html><link rel="icon" href="data:,"><iframe style="width: 98vw; height: 95vh" src="{served[0].url}?id=1" '
                    'sandbox="allow-scripts allow-forms allow-same-origin allow-downloads"></iframe>').encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_: object) -> None:
            """Nowhere."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Frame) as one:
        threading.Thread(target=one.serve_forever, daemon=True).start()
        yield f"http://localhost:{one.server_port}/"
        one.shutdown()


def test_all_of_it_works_in_a_frame_of_another_sites_page_as_in_an_editor(browser, served, another, tmp_path: Path):
    one, board, asked = served
    scribe, made = parts.Scribe(), ft.programs()
    running = {"line": parts.encoded({"says": "Running: not exact.", "paused": False})}
    board.post(scribe.parts(index(made), False) | running, index(made).snapshot)
    browser.get_log("browser")
    page = Chromium(browser, another).open(width=1280, height=800)
    browser.switch_to.frame(0)
    page.until("document.querySelectorAll('#processes button').length > 2")
    made.process(5)["name"] = "another"
    board.post(scribe.parts(index(made), False) | running, index(made).snapshot)
    page.until("document.getElementById('processes').textContent.includes('another')")
    page.click(f"#family-frame-{FRY_OF_3} text")
    assert "family-edge-S-4" in lit(page)
    page.click("#tab-walk")
    page.js("document.getElementById('va').focus()")
    page.keys("0x40000000\ue007")
    page.until("document.querySelector('#walk .fault')?.textContent === 'page fault: the level 2 entry is not valid'")
    page.click("#lamp")
    page.js("document.activeElement.blur()")
    page.keys("\ue012")
    page.until("document.getElementById('when').textContent.endsWith(' ago')")
    page.keys("\ue010")
    page.until("document.getElementById('when').textContent === 'now'")
    page.keys(" ")
    page.js("document.getElementById('kind').value = 'dot'")
    assert page.kept(tmp_path, "family.dot", lambda: page.click("#keep-it")).startswith(b"digraph")
    assert json.loads(page.kept(tmp_path, "snapshot.json", lambda: page.click("#keep-snapshot")))["processes"]
    assert page.kept(tmp_path, "film.html", lambda: page.click("#keep-film")).startswith(b"<!DOCTYPE html>")
    assert asked == ["pause"] and page.log("browser") == []
    browser.switch_to.default_content()


def test_a_frame_that_may_not_print_says_where_pdf_is_kept(browser, tmp_path: Path):
    document, framed = tmp_path / "document.json", tmp_path / "framed.html"
    document.write_text(ft.demo().text(), encoding="utf-8")
    assert cli.main(["page", str(document), "-o", str(tmp_path / "page.html")]) == 0
    framed.write_text('<!DOCTYPE html><iframe src="page.html" sandbox="allow-scripts allow-same-origin allow-downloads"></iframe>')
    page = Chromium(browser, framed.as_uri()).open()
    browser.switch_to.frame(0)
    page.until("document.querySelector('#family svg')")
    before = page.js("return document.title")
    page.click("#keep-pdf")
    page.until("document.getElementById('keep-pdf').disabled")
    assert page.js("return document.title") == before and page.js("return document.getElementById('only')") is None
    assert b"<svg" in page.kept(tmp_path, "family.svg", lambda: page.click("#keep-svg"))
    browser.switch_to.default_content()


def test_what_a_program_is_called_is_never_markup(shown):
    made = ft.demo()
    made.process(3)["name"] = "</script><b id=x>"
    one = shown(made.text())
    assert one.js("return document.getElementById('x')") is None
    assert "</script><b id=x>" in one.js("return document.getElementById('processes').textContent")


@pytest.mark.parametrize("width, height", [(1280, 800), (390, 844)])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_it_fits_the_window_and_can_be_read(shown, width: int, height: int, dark: bool):
    one = shown(ft.programs().text(), width=width, height=height, dark=dark)
    assert one.js("return document.documentElement.scrollWidth <= innerWidth")
    if width == 1280:
        for view in ("family", "ram"):
            one.js("document.getElementById('tab-' + arguments[0]).click()", view)
            one.cdp("Emulation.setDeviceMetricsOverride", width=width, height=3000, deviceScaleFactor=1, mobile=False)
            assert [found for found in contrasts(one) if found[0] < 4.5] == []

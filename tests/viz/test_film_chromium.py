"""The film's page in a real browser, headless Chromium: keys, links, paper, screen readers, and nothing fetched."""
from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

VIZ = Path(__file__).resolve().parents[2] / "viz"
sys.path[:0] = [str(VIZ), str(Path(__file__).parent)]

import browsing                                     # noqa: E402
import films                                        # noqa: E402
from drawing import cli, film, render               # noqa: E402
from drawing.film import document, phrases  # noqa: E402
from browsing import Chromium, contrasts    # noqa: E402
from lab.pictures import filming                             # noqa: E402

TOLD = films.film()["steps"]
N = len(TOLD)
SIZES = [(360, 740), (768, 1024), (1024, 768), (1920, 1080)]


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with browsing.chromium(tmp_path_factory.mktemp("profile")) as driver:
        yield driver


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.html"
    path.write_text(film.draw(document.parse(films.text())).html(), encoding="utf-8")
    return path


@pytest.fixture
def chromium(browser: Any, page_file: Path) -> Iterator[Chromium]:
    """Whatever a test does, the console stays empty and nothing is asked for but the page."""
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    one = Chromium(browser, page_file.as_uri())
    yield one
    assert one.log("browser") == []
    assert {url.partition("#")[0] for url in one.asked()} <= {page_file.as_uri()}


@pytest.fixture(scope="module")
def key() -> Callable[[str], str]:
    def named(name: str) -> str:
        from selenium.webdriver.common.keys import Keys
        return getattr(Keys, name)
    return named


def test_a_recorded_film_plays_from_end_to_end(browser: Any, machine: Callable, tmp_path: Path, key):
    n = filming.record(machine(3), filming.PROGRAM, tmp_path / "film.json")
    page = tmp_path / "film.html"
    assert cli.main(["film", str(tmp_path / "film.json"), "-o", str(page)]) == 0
    assert page.stat().st_size < 2_000_000
    one = Chromium(browser, page.as_uri()).open()
    for kind in ("browser", "performance"):
        one.log(kind)
    met = []
    for i in range(1, n + 1):
        assert one.shown == [i]
        met.append(one.js("return document.querySelector('.current').innerText"))
        one.keys(key("ARROW_RIGHT"))
    assert one.shown == [n]
    order = [next(i for i, said in enumerate(met) if words in said) for words in (
        "FRY of the child is mapped", "SHRIMP of the child is mapped", "is RUNNABLE", "is a ZOMBIE", "free again")]
    assert order == sorted(order)
    assert "Pair pending" in met[order[0]] and "Pair holds" in met[order[1]] and "kernel/proc.c:" in met[order[1]]
    wrong = """return [...document.querySelectorAll('.pairing.broken, svg text')].map(e => e.textContent)
        .filter(said => /^(! |✕)/.test(said))"""
    assert one.js(wrong) == [], "our kernel does nothing wrong"
    for dark in (False, True):
        one.open(f"#step-{order[1] + 1}", dark=dark, height=1400)
        assert [found for found in contrasts(one) if found[0] < 4.5] == []
    assert one.log("browser") == [] and {url.partition("#")[0] for url in one.asked()} <= {one.url}


# Steps

def test_keys_go_through_the_steps(chromium: Chromium, key):
    chromium.open()
    assert chromium.shown == [1]
    for name, expected in (("ARROW_RIGHT", 2), ("PAGE_DOWN", 3), ("PAGE_DOWN", 4), ("PAGE_UP", 3), ("ARROW_LEFT", 2), ("END", N),
                           ("ARROW_RIGHT", N), ("HOME", 1), ("ARROW_LEFT", 1)):
        chromium.keys(key(name))
        assert chromium.shown == [expected], name
    assert chromium.fragment == "#step-1"


def test_keys_with_a_modifier_are_the_browsers(chromium: Chromium, key):
    chromium.open("#step-4")
    for modifier in ("SHIFT", "CONTROL", "META"):
        chromium.keys(key(modifier), key("ARROW_RIGHT"))
        chromium.keys(key(modifier), key("END"))
        chromium.keys(key(modifier), " ")
        assert chromium.shown == [4] and not chromium.js("return document.querySelector('#play.playing')")


def test_keys_are_left_to_a_control_that_needs_them(chromium: Chromium, key):
    chromium.open("#step-4")
    chromium.js("document.querySelector('#seconds').focus()")
    chromium.keys(key("END"))
    chromium.keys(key("ARROW_LEFT"))
    assert chromium.shown == [4] and chromium.js("return document.querySelector('#seconds').value") == "8"
    chromium.js("document.querySelector('#next').focus()")
    chromium.keys(" ")
    assert chromium.shown == [5] and not chromium.js("return document.querySelector('#play.playing')")
    chromium.keys(key("ARROW_RIGHT"))
    assert chromium.shown == [6]
    chromium.js("document.querySelector('nav a').focus(); addEventListener('keydown', e => stolen = e.defaultPrevented)")
    chromium.keys(" ")
    assert chromium.js("return stolen") is False


def test_arrows_scroll_a_picture_that_has_the_focus_and_is_wider_than_the_window(chromium: Chromium, key):
    chromium.open("#step-4", width=360)
    chromium.js("window.s = document.querySelector('#step-4 .scroll'); s.tabIndex = 0")
    # A busy browser may not be so far, or still move the focus to where the address leads.
    chromium.until("(s.focus(), document.activeElement === s && s.scrollWidth > s.clientWidth)")
    chromium.keys(key("ARROW_RIGHT"))
    assert chromium.shown == [4]


def test_buttons_go_through_the_steps_and_know_the_ends(chromium: Chromium):
    chromium.open()
    state = "return ['first', 'previous', 'next', 'last'].map(id => document.getElementById(id).ariaDisabled === 'true')"
    assert chromium.js(state) == [True, True, False, False]
    for button, expected in (("next", 2), ("next", 3), ("previous", 2), ("last", N), ("next", N)):
        chromium.click("#" + button)
        assert chromium.shown == [expected]
    assert chromium.js(state) == [False, False, True, True]
    chromium.click("#first")
    assert chromium.shown == [1] and chromium.js("return document.querySelector('#position').textContent") == f"1 of {N}"


def test_each_link_of_the_list_leads_to_its_step(chromium: Chromium):
    chromium.open()
    for i in range(1, N + 1):
        chromium.click(f"nav a[href='#step-{i}']")
        chromium.until(f"document.querySelector('#step-{i}.current')")
        assert chromium.shown == [i] and chromium.fragment == f"#step-{i}"
        assert chromium.js("return [...document.querySelectorAll('[aria-current]')].map(a => a.hash)") == [f"#step-{i}"]


def test_back_and_forward_go_through_what_was_seen(chromium: Chromium, key):
    chromium.open()
    for name in ("ARROW_RIGHT", "ARROW_RIGHT", "END"):
        chromium.keys(key(name))
    for go, expected in (("back", 3), ("back", 2), ("forward", 3), ("forward", N), ("back", 3), ("back", 2), ("back", 1)):
        getattr(chromium.driver, go)()
        chromium.until(f"document.querySelectorAll('.step')[{expected - 1}].classList.contains('current')")
        assert chromium.shown == [expected]


def test_a_link_to_a_step_opens_there(chromium: Chromium):
    assert chromium.open("#step-7").shown == [7]
    assert chromium.js("return document.title").startswith("7. pid 3 is RUNNABLE")
    assert chromium.open("#s5-process-1").shown == [5], "what is inside a step stands for it"
    assert chromium.open("#nowhere").shown == [1]
    assert chromium.open("#step-99").shown == [N] and "99" in chromium.js("return document.querySelector('#note').textContent")
    chromium.click("#previous")
    assert chromium.shown == [N - 1] and chromium.js("return document.querySelector('#note').textContent") == ""
    assert chromium.open("#%E0%A4%A").shown == [1], "a broken address"


def test_play_goes_on_and_stops_at_the_end(chromium: Chromium):
    chromium.open(f"#step-{N - 2}")
    chromium.js("const s = document.querySelector('#seconds'); s.value = 1; s.dispatchEvent(new Event('change'))")
    n_entries = chromium.js("return history.length")
    chromium.click("#play")
    assert chromium.js("return document.querySelector('#play').textContent.trim()") == "Pause"
    chromium.until(f"document.querySelector('#step-{N}.current') && !document.querySelector('#play.playing')")
    assert chromium.js("return document.querySelector('#play').textContent.trim()") == "Play"
    assert chromium.shown == [N] and chromium.js("return history.length") == n_entries
    chromium.click("#play")
    assert chromium.shown == [1], "it begins again"
    chromium.click("#play")


def test_play_can_be_paused_by_key_and_by_going_on_by_hand(chromium: Chromium, key):
    chromium.open("#step-2")
    playing = "return document.querySelector('#play').classList.contains('playing')"
    chromium.keys(" ")
    assert chromium.js(playing)
    chromium.keys(" ")
    assert not chromium.js(playing) and chromium.shown == [2]
    chromium.keys(" ")
    chromium.keys(key("ARROW_RIGHT"))
    assert not chromium.js(playing) and chromium.shown == [3]
    chromium.keys(" ")
    chromium.click("nav a[href='#step-9']")
    chromium.until("document.querySelector('#step-9.current')")
    assert not chromium.js(playing)


def test_the_picture_does_not_move_from_step_to_step(chromium: Chromium, key):
    chromium.open()
    boxes = set()
    for _ in range(N):
        boxes.add(tuple(chromium.js("const b = document.querySelector('.current figure').getBoundingClientRect();"
                                    "return [b.x, b.y, b.width, b.height].map(Math.round)")))
        chromium.keys(key("ARROW_RIGHT"))
    assert len(boxes) == 1


def test_what_the_list_leads_to_is_brought_into_sight_on_a_phone(chromium: Chromium):
    chromium.open(width=360, height=740)
    chromium.js("document.querySelector(\"nav a[href='#step-9']\").click()")
    chromium.until("document.querySelector('#step-9.current')")
    top, bottom = chromium.js("const h = document.querySelector('#step-9 h2').getBoundingClientRect();"
                              "return [h.top - document.querySelector('.controls').getBoundingClientRect().bottom,"
                              "innerHeight - h.bottom]")
    assert top >= 0 and bottom >= 0


def test_a_finger_goes_through_the_steps(chromium: Chromium):
    chromium.open("#step-4", width=390, height=844)
    chromium.cdp("Emulation.setTouchEmulationEnabled", enabled=True)
    y = chromium.js("const b = document.querySelector('#step-4 .caption').getBoundingClientRect(); return Math.round(b.y + b.height / 2)")
    for start, end, expected in (((300, y), (100, y + 10), 5), ((100, y), (300, y + 10), 4), ((200, y), (210, y - 150), 4)):
        touches: tuple[tuple[str, list[tuple[int, int]]], ...] = (("touchStart", [start]), ("touchMove", [end]), ("touchEnd", []))
        for kind, points in touches:
            chromium.cdp("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x, "y": y} for x, y in points])
        assert chromium.shown == [expected]
    chromium.cdp("Emulation.setTouchEmulationEnabled", enabled=False)


def test_f_fills_the_screen_and_leaves_it(chromium: Chromium):
    chromium.open("#step-4")
    chromium.keys("f")
    chromium.until("document.fullscreenElement")
    chromium.keys("f")
    chromium.until("!document.fullscreenElement")
    assert chromium.shown == [4]


def test_source_stands_beside_the_picture_with_three_lines_around_it(chromium: Chromium):
    chromium.open(width=1280, height=800)
    chromium.click("#next")
    box = chromium.js("""scrollTo(0, 0);
        const [f, s] = ['figure', '.source'].map(one => document.querySelector('.current ' + one).getBoundingClientRect());
        return [f.right <= s.left, s.bottom <= innerHeight]""")
    assert box == [True, True]
    assert chromium.js("return document.querySelectorAll('.current .source span').length") == 7
    assert chromium.js("return document.querySelector('.current .here').textContent.trim()").startswith("88 ")


def test_the_list_marks_where_the_pairing_breaks_first(chromium: Chromium):
    chromium.open()
    first = next(n for n, step in enumerate(TOLD, 1) if step["pairing"]["state"] == "broken")
    marked = chromium.js("return [...document.querySelectorAll('nav a')].filter(a => a.querySelector('.broken')).map(a => a.hash)")
    assert marked == [f"#step-{first}"]


# Without scripts, on paper, on every size

def test_a_steps_picture_is_kept_as_a_file_of_any_kind(chromium: Chromium, tmp_path: Path):
    chromium.open("#step-3")
    svg = chromium.kept(tmp_path, "step-3.svg", lambda: chromium.click("#keep-svg"))
    assert svg.startswith(b'<svg xmlns="http://www.w3.org/2000/svg"') and b"s3-" in svg
    dot = chromium.kept(tmp_path, "step-3.dot", lambda: chromium.click("#keep-dot"))
    assert dot.startswith(b"digraph") and b"step 3" in dot and render.run("dot", ["-Tsvg"], dot.decode(), "graphviz", "")
    browsing.is_png(chromium.kept(tmp_path, "step-3.png", lambda: chromium.click("#keep-png")), svg)
    assert browsing.printed(chromium, "#keep-pdf") == browsing.size_pt(svg)
    assert chromium.shown == [3], "what was printed has gone"


def test_without_scripts_all_steps_are_below_each_other(chromium: Chromium):
    chromium.open(scripts=False)
    assert chromium.shown == list(range(1, N + 1))
    tops = chromium.js("return [...document.querySelectorAll('.step')].map(s => s.getBoundingClientRect().top)")
    assert tops == sorted(tops) and len(set(tops)) == N
    assert not chromium.js("return document.querySelector('.controls').checkVisibility()")
    assert chromium.js("return document.querySelector('.noscript').innerText")


def test_paper_has_four_steps_to_a_page_and_no_controls(chromium: Chromium):
    chromium.open("#step-3", media="print")
    assert chromium.shown == list(range(1, N + 1))
    assert chromium.js("return ['.controls', 'nav', '.skip'].filter(s => document.querySelector(s).checkVisibility())") == []
    pdf = base64.b64decode(chromium.cdp("Page.printToPDF", preferCSSPageSize=True)["data"])
    assert len(re.findall(rb"/Type /Page\b(?!s)", pdf)) == (N + 3) // 4
    boxes = {tuple(map(float, box)) for box in re.findall(rb"/MediaBox \[0 0 ([.\d]+) ([.\d]+)\]", pdf)}
    assert boxes and all(abs(h - 595.28) < 1 and abs(w - 841.89) < 1 for w, h in boxes), "A4"


def test_dark_paper_is_white(chromium: Chromium):
    chromium.open(media="print", dark=True)
    assert chromium.js("return getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"


@pytest.mark.parametrize("width, height", SIZES)
def test_nothing_is_wider_than_the_window(chromium: Chromium, width: int, height: int):
    for scripts in (False, True):
        chromium.open("#step-2", width=width, height=height, scripts=scripts)
        assert chromium.js("return document.documentElement.scrollWidth") <= width
        over = chromium.js("""return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility()
            && !e.closest('.scroll, .unseen, .skip, thead, button span') && e.getBoundingClientRect().right > innerWidth + .5)
            .map(e => e.outerHTML.slice(0, 80))""")
        assert over == []


def test_at_a_projectors_size_the_picture_is_seen_without_scrolling(chromium: Chromium):
    chromium.open("#step-4", width=1024, height=768)
    bottom = chromium.js("scrollTo(0, 0); return document.querySelector('.current figure').getBoundingClientRect().bottom")
    assert bottom <= 768
    size = chromium.js("""const t = document.querySelector('.current svg text').getBoundingClientRect(); return t.height""")
    assert size >= 12


# For every eye, and for none

@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_all_text_has_contrast_enough(chromium: Chromium, dark: bool):
    chromium.open(width=1280, height=1400 * N, scripts=False, dark=dark)
    assert chromium.js("return document.documentElement.scrollHeight <= innerHeight"), "all of it can be looked at"
    found = contrasts(chromium)
    assert len(found) > 20 * N
    assert any("SHRIMP" in said for _, said in found) and any("Pair broken" in said for _, said in found)
    assert [(round(ratio, 2), said) for ratio, said in found if ratio < 4.5] == []
    chromium.open(width=1280, height=900, dark=dark)
    assert [(round(ratio, 2), said) for ratio, said in contrasts(chromium) if ratio < 4.5] == []


def test_dark_is_dark_and_the_picture_with_it(chromium: Chromium):
    grounds = {}
    for dark in (False, True):
        chromium.open("#step-4", dark=dark)
        grounds[dark] = chromium.js("""return [getComputedStyle(document.body).backgroundColor,
            getComputedStyle(document.querySelector('.current svg > rect')).fill].map(c => Number(c.match(/\\d+/)[0]))""")
    assert min(grounds[False]) > 240 and max(grounds[True]) < 50


def nodes(chromium: Chromium) -> list[dict]:
    """What a screen reader meets. Chromium makes the tree after it was asked for, and answers before it is whole: the
    controls, which the page's program shows, and the page's last element come last."""
    found: list[dict] = []
    while not {"group", "status"} <= {n["role"]["value"] for n in found}:
        found = [n for n in chromium.cdp("Accessibility.getFullAXTree")["nodes"] if not n["ignored"]]
    return found


def tree(chromium: Chromium) -> list[tuple[str, str]]:
    """(role, name) of what a screen reader meets."""
    return [(n["role"]["value"], n.get("name", {}).get("value", "").strip()) for n in nodes(chromium)]


@pytest.mark.parametrize("width", [1024, 360])
def test_a_screen_reader_meets_names_for_everything(chromium: Chromium, width: int):
    met = tree(chromium.open("#step-4", width=width))
    for role, name in (("navigation", "Steps"), ("main", ""), ("banner", ""), ("group", "Film"),
                       *(("button", one) for one in ("First", "Previous", "Play", "Next", "Last")),
                       ("heading", "SHRIMP of the child is mapped"), ("region", "SHRIMP of the child is mapped"),
                       ("image", "Who shares what with whom, step 4"), ("table", "What changed"),
                       ("link", "SHRIMP of the child is mapped"), ("status", "")):
        assert (role, name) in met, (role, name)
    assert [role for role, _ in met].count("row") == 2 and ("rowheader", f"{phrases.KINDS['+']} leaf PTE") in met
    assert [name for role, name in met if role == "columnheader"][:2] == ["Change", "pid"]
    assert [role for role, name in met if role in ("button", "link", "image", "heading", "combobox") and not name] == []
    assert "pid 3 is RUNNABLE" not in [name for role, name in met if role == "heading"], "of a step that is not shown"


def test_a_picture_is_described_in_words(chromium: Chromium):
    chromium.open("#step-4")
    picture, = [n for n in nodes(chromium) if n["role"]["value"] == "image"]
    assert "SHRIMP of 3" in picture["description"]["value"]


def test_a_step_is_announced_once_and_not_at_first(chromium: Chromium, key):
    chromium.open()
    region = "document.querySelector('#announcement')"
    assert chromium.js(f"return {region}.textContent") == ""
    chromium.js(f"said = []; new MutationObserver(all => said.push(...all)).observe({region},"
                "{childList: true, characterData: true, subtree: true})")
    chromium.keys(key("ARROW_RIGHT"))
    assert chromium.js(f"return {region}.textContent") == \
        f"Step 2 of {N}: {TOLD[1]['title']}. {TOLD[1]['caption']}"
    assert chromium.js("return said.length") == 1
    assert chromium.js("return [...document.querySelectorAll('[aria-live], [role=status], [role=alert], output')]"
                       ".map(e => e.id)") == ["announcement"]


def test_the_focus_is_seen_wherever_it_goes(chromium: Chromium, key):
    chromium.open()
    order = []
    for _ in range(8):
        chromium.keys(key("TAB"))
        name, style, width = chromium.js("""const e = document.activeElement, s = getComputedStyle(e);
            return [e.id || e.className || e.hash, s.outlineStyle, parseFloat(s.outlineWidth)]""")
        order.append(name)
        assert style == "solid" and width >= 2, name
        assert chromium.js("const b = document.activeElement.getBoundingClientRect(); return b.left >= 0 && b.top >= 0"), name
    assert order == ["skip", "first", "previous", "play", "next", "last", "full", "seconds"]


def test_nothing_moves_by_itself(chromium: Chromium, key):
    chromium.open()
    chromium.keys(key("ARROW_RIGHT"))
    assert chromium.js("return document.getAnimations().length") == 0


def test_hostile_words_run_nothing(browser: Any, tmp_path: Path):
    made = films.film()
    evil = "<img src=x onerror=\"document.title='run'\"><script>document.title='run'</script>"
    for step in made["steps"]:
        step.update(title=evil, caption=evil)
        step["at"].update(file=evil, source=evil)
    path = tmp_path / "film.html"
    path.write_text(film.draw(document.parse(json.dumps(made))).html(), encoding="utf-8")
    one = Chromium(browser, path.as_uri()).open()
    assert one.shown == [1] and one.js("return document.title") != "run"
    assert one.js("return [document.images.length, document.scripts.length]") == [0, 2]


def test_the_page_can_fetch_nothing_even_when_told_to(browser: Any, page_file: Path):
    """The log that the other tests rely on does see a request, and the policy stops it."""
    one = Chromium(browser, page_file.as_uri()).open()
    for kind in ("browser", "performance"):
        one.log(kind)
    one.js("const i = new Image(); i.src = 'http://localhost:9/x.png'; document.body.append(i)")
    one.until("true")
    said = one.log("browser")
    assert any("Content Security Policy" in entry["message"] for entry in said), said

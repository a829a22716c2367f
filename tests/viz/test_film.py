"""The film of made-up steps: the page holds all of every step, the strip what tells most, errors are one line."""
from __future__ import annotations

import base64
import copy
import hashlib
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
import zlib
from functools import partial
from itertools import accumulate, groupby
from html.parser import HTMLParser
from pathlib import Path
from typing import Optional

import pytest

VIZ = Path(__file__).resolve().parents[2] / "viz"
sys.path[:0] = [str(VIZ), str(Path(__file__).parent), str(Path(__file__).parents[1] / "pure")]

import bending                                                      # noqa: E402
import family_tree as ft                                            # noqa: E402
import films                                                        # noqa: E402
import pictures                                                      # noqa: E402
from drawing import cli, film                   # noqa: E402
from drawing.figures import Drawing             # noqa: E402
from drawing.film import document, phrases, strip       # noqa: E402
from drawing.scene import style                 # noqa: E402

VOID = {"meta", "br", "input", "link", "hr", "img"}
SVG = "{http://www.w3.org/2000/svg}"


class Tree(HTMLParser):
    """HTML as elements; that every end tag closes what is open is checked."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = ET.Element("document")
        self.open = [self.root]
        self.feed(html)
        self.close()
        assert self.open == [self.root], f"never closed: {[e.tag for e in self.open]}"

    def handle_starttag(self, tag, attributes):
        assert len(dict(attributes)) == len(attributes), f"an attribute twice: {attributes}"
        if tag in ("li", "option") and self.open[-1].tag == tag:       # their end tags may be left out
            self.open.pop()
        element = ET.SubElement(self.open[-1], tag, {k: v or "" for k, v in attributes})
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag, attributes):
        ET.SubElement(self.open[-1], tag, {k: v or "" for k, v in attributes})

    def handle_endtag(self, tag):
        if tag == "select" and self.open[-1].tag == "option":
            self.open.pop()
        assert self.open[-1].tag == tag, f"</{tag}> closes <{self.open[-1].tag}>"
        self.open.pop()

    def handle_data(self, data):
        last = self.open[-1]
        if len(last):
            last[-1].tail = (last[-1].tail or "") + data
        else:
            last.text = (last.text or "") + data


def html_of(made: dict) -> str:
    return film.draw(document.parse(json.dumps(made))).html()


def page_of(made: dict) -> ET.Element:
    return Tree(html_of(made)).root


def words(element: Optional[ET.Element]) -> str:
    assert element is not None
    return " ".join("".join(element.itertext()).split())


def steps_of(root: ET.Element) -> list[ET.Element]:
    return [e for e in root.iter("section") if e.get("class") == "step"]


@pytest.fixture(scope="module")
def shown() -> ET.Element:
    return page_of(films.film())


def sheets_of(reel: document.Film) -> list[bytes]:
    """The SVG of each sheet of A4."""
    one = film.draw(reel)
    return [pictures.svg_of(Drawing(one.title, one.description, sheet)) for sheet in one.sheets(True)]


def run(*arguments: str, stdin: str = "", env: dict | None = None) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(VIZ), "film", *arguments], input=stdin, capture_output=True, text=True,
                          env=env)


# The page

def test_every_step_has_all_that_the_film_says_of_it(shown: ET.Element):
    made = films.film()["steps"]
    found = steps_of(shown)
    assert [s.get("id") for s in found] == [f"step-{i}" for i in range(1, len(made) + 1)]
    for step, section in zip(made, found):
        said = words(section)
        for part in (step["title"], step["caption"], step["pairing"]["text"], step["at"]["source"].strip(),
                     "kernel/proc.c" + (f":{step['at']['line']}" if step["at"]["line"] else "")):
            assert part in said
        rows = [words(row) for row in section.iter("tr")][1:]
        assert len(rows) == len(step["changes"])
        for change, row in zip(step["changes"], rows):
            for key in ("va", "pte_at", "pte_before", "pte_after", "before", "after"):
                assert (change[key] or "") in row
            assert row.startswith(f"{phrases.SIGNS[change['kind']]} {phrases.KINDS[change['kind']]}")


def test_a_change_is_told_in_words_and_its_bits_are_marked(shown: ET.Element):
    row = list(steps_of(shown)[8].iter("tr"))[1]
    before, after = list(row.iter("td"))[-2:]
    assert words(row.find("th")).endswith(" leaf PTE")
    assert [m.text for m in before.iter("mark")] == ["W", "-"] and [m.text for m in after.iter("mark")] == ["-", "A"]
    assert words(after) == f"0x21fc08d3{films.FRAME:#x} VR--U-A- shrimp"


def test_a_table_that_was_not_there_is_not_an_entry_of_zero(shown: ET.Element):
    row = list(steps_of(shown)[1].iter("tr"))[2]
    before, after = list(row.iter("td"))[-2:]
    assert words(row.find("th")).endswith(" pointer PTE") and "0x" not in words(before) and words(after).startswith("0x21f40c01")


def test_changes_that_were_folded_are_counted(shown: ET.Element):
    more = [[pictures.numbers(words(p)) for p in s.iter("p") if p.get("class") == "more"] for s in steps_of(shown)]
    assert more[4] == [[9]] and more[3] == []


def test_a_step_that_changed_nothing_says_so(shown: ET.Element):
    assert "Nothing changed" in words(steps_of(shown)[0]) and not list(steps_of(shown)[0].iter("table"))


def test_the_pairings_state_is_in_words_and_a_sign(shown: ET.Element):
    said = [words(next(p for p in s.iter("p") if p.get("class", "").startswith("pairing"))) for s in steps_of(shown)]
    states = [step["pairing"]["state"] for step in films.film()["steps"]]
    assert {"none", "pending", "holds", "broken"} <= set(states)
    assert all(text.startswith(" ".join(phrases.PAIRINGS[state])) for text, state in zip(said, states))


def test_source_that_is_not_known_is_said():
    made = films.film()
    made["steps"][0]["at"] = dict.fromkeys(("function", "file", "line", "source"))
    made["steps"][1]["at"].update(file=None, line=None, source=None)
    first, second = steps_of(page_of(made))[:2]
    assert "not known" in words(first) and not list(first.iter("pre"))
    assert "proc_pagetable()" in words(second)


def test_ids_are_unique_and_whatever_names_one_finds_it(shown: ET.Element):
    ids = [e.get("id") for e in shown.iter() if e.get("id")]
    assert len(ids) == len(set(ids)) > 100
    named = []
    for e in shown.iter():
        for key, value in e.attrib.items():
            if key in ("aria-labelledby", "aria-describedby", "aria-controls", "for"):
                named += value.split()
            elif key in ("href", "xlink:href"):
                assert value.startswith("#"), "a link that leaves the page"
                named.append(value[1:])
            named += re.findall(r"url\(#([^)]*)\)", value)
    assert len(named) > 40 and set(named) <= set(ids)


def test_a_freed_frame_is_hatched_in_every_step_in_which_it_is_free():
    made = films.film()
    for step in made["steps"][2:5]:
        step["snapshot"]["free"]["runs"].append([hex(films.FRAME), 1])
    hatched = [i for i, step in enumerate(steps_of(Tree(html_of(made)).root)) if any(
        e.get("stroke") == style.STRIPE for g in step.iter("g") if (g.get("class") or "") == "frame" for e in g)]
    assert hatched == [2, 3, 4]


def test_the_list_links_each_step_by_its_title_in_groups_of_phases(shown: ET.Element):
    nav = next(shown.iter("nav"))
    links = [(a.get("href"), a.text) for a in nav.iter("a")]
    assert links == [(f"#step-{i}", s["title"]) for i, s in enumerate(films.film()["steps"], 1)]
    groups = [(words(li.find("span")), int(li.find("ol").attrib["start"]), len(li.findall("ol/li")))
              for li in nav.findall("ul/li")]
    phases = [(phase, len(list(run))) for phase, run in groupby(step["phase"] for step in films.film()["steps"])]
    assert [(name, n) for name, _, n in groups] == [(phrases.phase(phase), n) for phase, n in phases]
    assert [first for _, first, _ in groups] == [1, *accumulate((n for _, n in phases[:-1]), initial=1)][1:]


def test_a_phase_of_a_later_writer_is_shown_as_it_is():
    made = films.film()
    made["steps"][1]["phase"] = "sbrk"
    assert "sbrk" in words(next(page_of(made).iter("nav")))


def test_page_is_html_with_a_language_landmarks_and_one_heading_above_all(shown: ET.Element):
    html = shown.find("html")
    assert html.get("lang") == "en" and html_of(films.film()).startswith("<!DOCTYPE html>\n")
    assert [len(list(shown.iter(tag))) for tag in ("h1", "main", "nav", "header")] == [1, 1, 1, 1]
    levels = [int(e.tag[1]) for e in shown.iter() if re.fullmatch("h[1-6]", e.tag)]
    assert levels[0] == 1 and set(levels[1:]) == {2}
    for picture in shown.iter("svg"):
        assert picture.get("aria-hidden") == "true" or picture.get("role") == "img" and picture.get("aria-label")
    assert len([e for e in shown.iter() if e.get("role") == "status"]) == 1


def test_the_policy_allows_this_style_and_this_script_alone():
    html = html_of(films.film())
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1].replace("&#x27;", "'")
    for tag, directive in (("style", "style-src"), ("script", "script-src")):
        inside, = re.findall(f"<{tag}>(.*?)</{tag}>", html, re.S)
        digest = base64.b64encode(hashlib.sha256(inside.encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert not re.search(r"\sstyle=|\son\w+=|javascript:|https?://(?!www\.w3\.org/)|@import|src=", html)


HOSTILE = "</script><img src=x onerror=alert(1)>&amp;\"'\x1b[31m<!--]]>\\N"


def test_hostile_strings_are_text_wherever_they_come_from():
    made = films.film()
    made.update(kernel=HOSTILE, function=HOSTILE)
    for step in made["steps"]:
        step.update(title=HOSTILE, caption=HOSTILE, phase=HOSTILE)
        step["at"] = {"function": HOSTILE, "file": HOSTILE, "line": 1, "source": HOSTILE}
        step["pairing"]["text"] = HOSTILE
        for change in step["changes"]:
            change.update(what=HOSTILE, before=HOSTILE, after=HOSTILE)
        for process in step["snapshot"]["processes"]:
            process.update(name=HOSTILE, state=HOSTILE)
    html = html_of(made)
    root = Tree(html).root
    assert "\x1b" not in html and not list(root.iter("img"))
    assert html.count("</script>") == 2 and html.count("<!--") == 0
    first = steps_of(root)[0]
    plain = HOSTILE.replace("\x1b", "\ufffd")
    assert words(next(first.iter("h2"))) == plain
    for sheet in sheets_of(document.parse(json.dumps(made))):
        ET.fromstring(sheet)


def test_pictures_are_of_one_size_and_what_stays_keeps_its_place(shown: ET.Element):
    pictures = [next(s.iter("svg")) for s in steps_of(shown)]
    assert len({(p.get("viewbox"), p.get("width")) for p in pictures}) == 1
    places: dict[str, set[tuple[Optional[str], Optional[str]]]] = {}
    for i, p in enumerate(pictures, 1):
        for g in p.iter("g"):
            if re.fullmatch(rf"s{i}-(process|frame)-.*", g.get("id", "")):
                rect = next(g.iter("rect"))
                places.setdefault(g.get("id").partition("-")[2], set()).add((rect.get("x"), rect.get("y")))
    assert {"process-0", "process-1", "process-2", f"frame-{films.FRAME:#x}"} <= set(places)
    assert all(len(p) == 1 for p in places.values()), places


def marked(section: ET.Element) -> list[str]:
    return [g.attrib["id"] for g in section.iter("g") if any(child.get("class") == "changed" for child in g)]


def test_what_a_step_changed_is_marked_in_its_picture(shown: ET.Element):
    found = [marked(s) for s in steps_of(shown)]
    assert found[0] == [] and found[2] == ["s3-page-F-2"] and found[3] == ["s4-page-S-2"]
    assert found[1] == ["s2-process-2"] == [found[6][0].replace("s7", "s2")]
    assert sorted(found[10]) == ["s11-page-F-2", "s11-page-S-2"]


def test_a_child_in_the_making_is_neither_an_orphan_nor_wrong(shown: ET.Element):
    said = words(steps_of(shown)[3].find("figure"))
    assert "USED, no parent" in said
    for claim in ("orphan", "creator gone", "! "):
        assert claim not in said


def test_a_child_stands_below_its_parent_and_is_joined_to_it_while_it_has_one(shown: ET.Element):
    joined = ["parent-2" in {(g.get("id") or "").partition("-")[2] for g in s.iter("g")} for s in steps_of(shown)]
    assert joined == [False] * 5 + [True] * 5 + [False] * 2
    x = {name: float(next(g.iter("rect")).attrib["x"]) for g in steps_of(shown)[3].iter("g")
         for name in [(g.get("id") or "").partition("-")[2]] if name.startswith("process-")}
    assert x["process-0"] < x["process-1"] < x["process-2"]


def test_a_fork_that_made_no_child():
    made = films.film()
    made.update(child=None, steps=made["steps"][:1])
    root = page_of(made)
    assert pictures.numbers(words(next(root.iter("h1")))) == [2]
    assert "kernel/kernel, 1 step" in words(next(root.iter("header")))


def grow(made: dict, parents: dict[int, int], first_slot: int = 3) -> None:
    """More processes in every step, by pid, in slots of their own."""
    for step in made["steps"]:
        grown = ft.Family()
        grown.json = step["snapshot"]
        for slot, (pid, parent) in enumerate(parents.items(), first_slot):
            grown.add(pid, parent, f"p{pid}").process(pid)["slot"] = slot


def test_who_takes_the_childs_slot_after_it_does_not_take_its_place():
    made = films.film()
    grow({"steps": made["steps"][-1:]}, {9: films.PARENT}, first_slot=2)
    parsed = document.parse(json.dumps(made))
    assert film._cast(parsed) == [1, 2, 3]
    assert "3 (no name)" in film.draw(parsed).html()


def test_who_is_in_the_picture():
    made = films.film()
    grow(made, {pid: films.PARENT if pid > 13 else 1 for pid in range(10, 20)})
    cast = film._cast(document.parse(json.dumps(made)))
    assert cast == [1, 2, 3, 14, 15, 16, 17, 18]


def test_the_same_film_gives_the_same_bytes_whatever_hashes_are(tmp_path: Path):
    source = tmp_path / "film.json"
    source.write_text(films.text())
    outputs = []
    for seed in ("1", "2"):
        names = [str(tmp_path / f"{seed}.{kind}") for kind in ("html", "svg")]
        done = run(str(source), "-o", names[0], "-o", names[1], env={**os.environ, "PYTHONHASHSEED": seed})
        assert (done.returncode, done.stderr) == (0, "")
        outputs.append([Path(name).read_bytes() for name in names])
    assert outputs[0] == outputs[1]


def test_sixty_steps_stay_below_two_megabytes():
    made = films.film()
    made["steps"] = [copy.deepcopy(s) for s in made["steps"] * 5]
    assert len(html_of(made)) < 2_000_000


def test_words_are_as_the_golden_file_has_them(golden):
    """The film's own words: its steps' titles and captions are the test's."""
    lone, blind = films.film(), films.film()
    lone.update(child=None, steps=lone["steps"][:1])
    blind["steps"] = blind["steps"][:1]
    blind["steps"][0]["at"] = dict.fromkeys(("function", "file", "line", "source"))
    said: dict[str, None] = {}
    for made in (films.film(), lone, blind, films.without_pages()):
        root = page_of(made)
        said.update(dict.fromkeys(map(words, [*root.iter("h1"), *root.iter("header"), *root.iter("nav")])))
        for section in steps_of(root):
            said.update(dict.fromkeys(words(e) for e in section.iter() if e.tag in ("p", "tr", "caption")))
        for sheet in sheets_of(document.parse(json.dumps(made))):
            said.update(dict.fromkeys("sheet: " + t.text for t in ET.fromstring(sheet).findall(SVG + "text") if t.text))
            said.update({f"sheet: {words(g)}": None for g in ET.fromstring(sheet).findall(SVG + "g") if g.get("class") == "notes"})
    golden("film.txt", "\n".join(said) + "\n")


# The strip

def test_the_strip_takes_the_steps_that_tell_most():
    made = films.film()
    made["steps"][5:5] = [copy.deepcopy(made["steps"][4]) for _ in range(10)]
    which = strip.telling(document.parse(json.dumps(made)))
    assert len(which) == strip.N_PANELS
    titles = [made["steps"][i]["title"] for i in which]
    assert titles == sorted(titles, key=[s["title"] for s in made["steps"]].index)
    told = [step["title"] for step in films.film()["steps"]]
    assert titles.count(told[4]) == 1                               # copied
    assert {told[i] for i in (0, 3, 6, 8, 11)} <= set(titles)       # start, SHRIMP, RUNNABLE, broken, the end


def test_strips_sheets_are_a4_and_hold_each_panel_whole():
    made = document.parse(films.text())
    sheets = sheets_of(made)
    assert len(sheets) > 1
    n_panels = 0
    for sheet in sheets:
        root = ET.fromstring(sheet)
        assert (root.get("width"), root.get("height")) == ("595.28pt", "841.89pt")
        said = "\n".join(t.text or "" for t in root.iter(SVG + "text"))
        assert f"sheet {sheets.index(sheet) + 1} of {len(sheets)}" in said
        assert "left out" not in said
        panels = [g for g in root.findall(SVG + "g") if g.get("class") == "panel"]
        n_panels += len(panels)
        for text in (t for panel in panels for t in panel.iter(SVG + "text")):
            assert float(text.get("y")) < 841.89 - 58 - 40 and float(text.get("font-size")) >= 7
    assert n_panels == len(made.steps)


def test_strip_of_chosen_steps(tmp_path: Path):
    done = run("-", "-o", str(tmp_path / "a.svg"), "--steps", "4,3", stdin=films.text())
    assert done.returncode == 0
    root = ET.parse(tmp_path / "a.svg").getroot()
    titles = [t.text for t in root.iter(SVG + "text") if re.match(r"\d+\. ", t.text or "")]
    assert titles == [f"{i}. {films.film()['steps'][i - 1]['title']}" for i in (3, 4)]
    assert float(root.get("height").removesuffix("pt")) < 841
    assert any(pictures.numbers(t.text or "")[:2] == [10, 12] for t in root.iter(SVG + "text"))
    assert pictures.numbers(root.find(SVG + "title").text or "") == [2, 3]


def unpacked(pdf: bytes) -> bytes:
    """A PDF with what its streams hold: cairo 1.18 packs the tree of pages, too."""
    streams = re.findall(rb"stream\r?\n(.*?)endstream", pdf, re.S)
    return pdf + b"".join(zlib.decompressobj().decompress(s) for s in streams if s[:1] == b"x")


def test_strip_as_pdf_has_a_page_for_each_sheet_and_png_is_one_image(tmp_path: Path):
    made = films.film()
    made["steps"] = made["steps"][:3]
    done = run("-", "-o", str(tmp_path / "a.pdf"), "-o", str(tmp_path / "a.png"), stdin=json.dumps(made))
    assert (done.returncode, done.stderr) == (0, "")
    n_sheets = len(sheets_of(document.parse(json.dumps(made))))
    assert n_sheets == 2
    assert int(re.search(rb"/Count (\d+)", unpacked((tmp_path / "a.pdf").read_bytes()))[1]) == n_sheets
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_crowd_still_fits_on_a_sheet():
    made = films.film()
    grow(made, dict.fromkeys(range(10, 15), films.PARENT))
    for sheet in sheets_of(document.parse(json.dumps(made))):
        for panel in ET.fromstring(sheet).findall(SVG + "svg"):
            assert float(panel.get("y")) + float(panel.get("height")) < 841.89 - 58


# What cannot be shown

bent = partial(bending.bent, films.film())
"""A film's JSON with one place changed."""


@pytest.mark.parametrize("text, said", [
    ("", ["shrimpy-film in JSON", "shrimp-step -record"]),
    (films.text()[:-100], ["shrimpy-film in JSON", "shrimp-step -record"]),
    ("[" * 100000, ["JSON"]),
    ("[]", ["schema", "null"]),
    (ft.demo().text(), ['schema: expected "shrimpy-film"', "shrimpy-snapshot"]),
    (bent("version", 2), ["version: expected 1, found 2", "one checkout"]),
    (bent("version", True), ["version: expected 1, found true"]),
    (bent("steps", []), ["steps: "]),
    (bent("steps", KeyError), ["steps", "found nothing", "shrimp-step -record"]),
    (bent("parent", None), ["parent: "]),
    (bent("steps", 3, "title", 7), ["steps[3].title: ", "found 7"]),
    (bent("steps", 3, "pairing", "state", "fine"), ["steps[3].pairing.state", '"holds"', 'found "fine"']),
    (bent("steps", 3, "changes", 0, "kind", "*"), ["steps[3].changes[0].kind", '"~"', 'found "*"']),
    (bent("steps", 3, "changes", 0, "va", 5), ["steps[3].changes[0].va: "]),
    (bent("steps", 3, "snapshot", "version", 9), ["steps[3].snapshot.version: expected 1, found 9"]),
    (bent("steps", 3, "snapshot", "schema", "x"), ["steps[3].snapshot.schema", "shrimpy-snapshot"]),
    (bent("steps", 3, "snapshot", "processes", 0, "pid", "1"),
     ["steps[3].snapshot.processes[0].pid", "shrimp-step -record"]),
    (bent("steps", 3, "snapshot", "processes", 0, "slot", 1), ["steps[3].snapshot.processes", "shrimp-step -record"]),
], ids=range(18))
def test_bad_film_is_one_clear_line_and_status_2(text: str, said: list[str], tmp_path: Path,
                                                 capsys: pytest.CaptureFixture):
    (tmp_path / "film.json").write_text(text)
    assert cli.main(["film", str(tmp_path / "film.json"), "-o", str(tmp_path / "a.html")]) == 2
    printed = capsys.readouterr()
    assert printed.out == "" and printed.err.startswith("viz: ") and printed.err.count("\n") == 1, printed.err
    for word in said:
        assert word in printed.err
    assert os.listdir(tmp_path) == ["film.json"]


@pytest.mark.parametrize("arguments, said", [
    (["-", "-o", "a.doc"], [".html", "found .doc"]),
    (["-", "-o", "a.html", "--steps", "1,x"], ["--steps", "1,x"]),
    (["-", "-o", "a.svg", "--steps", "13"], ["--steps", "1 to 12", "found 13"]),
    (["-", "-o", "a.svg", "--steps", "0"], ["--steps", "1 to 12", "found 0"]),
    ([], ["FILM"]),
], ids=range(5))
def test_wrong_arguments_are_one_clear_line_and_status_2(arguments: list[str], said: list[str], tmp_path: Path):
    done = subprocess.run([sys.executable, str(VIZ), "film", *arguments], input=films.text(), capture_output=True,
                          text=True, cwd=tmp_path)
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    for word in said:
        assert word in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_figure_of_a_snapshot_is_no_page(tmp_path: Path):
    done = subprocess.run([sys.executable, str(VIZ), "family", "-", "-o", "a.html"], input=ft.demo().text(),
                          capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 2 and "found .html" in done.stderr


def test_a_page_is_what_is_written_when_nothing_else_is_asked_for(tmp_path: Path):
    (tmp_path / "f.json").write_text(films.text())
    done = subprocess.run([sys.executable, str(VIZ), "film", "f.json"], capture_output=True, text=True,
                          cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "film.html\n")


def test_page_needs_no_graphviz(tmp_path: Path):
    done = run("-", "-o", str(tmp_path / "a.html"), stdin=films.text(), env={**os.environ, "PATH": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    done = run("-", "-o", str(tmp_path / "a.pdf"), stdin=films.text(), env={**os.environ, "PATH": str(tmp_path)})
    assert done.returncode == 2 and "graphviz" in done.stderr


def test_a_film_of_a_kernel_without_the_two_pages_shows_tables_and_memory():
    reel = document.parse(films.text(films.without_pages()))
    drawn = film.draw(reel)
    page = drawn.html()
    assert "FRY" not in page and "SHRIMP" not in page and "Pair" not in page
    steps = [e for e in Tree(page).root.iter("section") if "step" in e.get("class", "").split()]
    assert len(steps) == len(reel.steps)
    marked = {g.get("id") for g in steps[1].iter("g") if any("changed" in (e.get("class") or "") for e in g)}
    assert {one.partition("-")[2] for one in marked if one} == {"process-2", "page-T-2"}      # by slot
    assert sheets_of(reel)

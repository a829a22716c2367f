"""All figures of a snapshot in one folder, and the page that shows them."""
from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from pathlib import Path
from typing import Optional

import pytest

VIZ = Path(__file__).resolve().parents[2] / "viz"
sys.path[:0] = [str(VIZ), str(Path(__file__).parent)]

import family_tree as ft                                            # noqa: E402
import films                                                         # noqa: E402
from drawing import gallery                     # noqa: E402
from drawing.film import document               # noqa: E402
from drawing.model import documents             # noqa: E402

OF_ONE = ("address-space", "walk", "table")
OF_ALL = ("family", "matrix", "ram", "fault")
HOSTILE = '"><script>alert(1)</script><img src=x onerror=y>&\\N'


class Page(HTMLParser):
    """A page as a browser finds it: where its links and images lead, its ids, its elements, its text by section."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.leads: set[str] = set()
        self.ids: list[str] = []
        self.elements: set[str] = set()
        self.attributes: set[str] = set()
        self.sections: dict[str, str] = {}
        self.texts: list[str] = []          # all that is shown
        self._section: Optional[str] = None
        self._is_shown = False
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Optional[str]]]) -> None:
        named = dict(attrs)
        self._is_shown |= tag == "body"
        self.elements.add(tag)
        self.attributes.update(named)
        self.leads.update(found for name in ("href", "src") if (found := named.get(name)))
        if name := named.get("id"):
            self.ids.append(name)
        if tag == "section":
            self._section = named["id"]

    def handle_data(self, data: str) -> None:
        if self._is_shown and data.strip():
            self.texts.append(data.strip())
        if self._section:
            self.sections[self._section] = self.sections.get(self._section, "") + data


def viz_all(folder: Path, made: ft.Family, *options: str, **environment: str) -> subprocess.CompletedProcess:
    folder.mkdir(exist_ok=True)
    (folder / "snapshot.json").write_text(made.text())
    return subprocess.run([sys.executable, str(VIZ), "all", str(folder / "snapshot.json"), "-o", str(folder), *options],
                          capture_output=True, text=True, env={**os.environ, **environment})


def assert_whole(folder: Path) -> Page:
    """Every link of the page leads to a file that is there or to a section of its own, and every figure is a picture."""
    page = Page(folder / "index.html")
    for lead in page.leads:
        assert lead[1:] in page.ids if lead.startswith("#") else (folder / lead).stat().st_size, lead
    assert len(page.ids) == len(set(page.ids)) == len(page.sections)
    for path in folder.iterdir():
        head = path.read_bytes()[:8]
        assert {".pdf": head[:5] == b"%PDF-", ".png": head == b"\x89PNG\r\n\x1a\n"}.get(path.suffix, True), path
        if path.suffix == ".svg":
            ET.parse(path)
    return page


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    """A family and a film, each figure of one process drawn of two."""
    folder = tmp_path_factory.mktemp("figures")
    (folder / "film.json").write_text(films.text())
    done = viz_all(folder, ft.programs(), "--film", str(folder / "film.json"), "--pid", "3,4", PYTHONHASHSEED="1")
    assert done.returncode == 0, done.stderr
    assert {Path(line).name for line in done.stdout.splitlines()} == {path.name for path in folder.iterdir()} - {
        "snapshot.json", "film.json"}
    return folder


def test_every_figure_is_there_in_every_form_and_every_link_leads_somewhere(drawn: Path):
    page = assert_whole(drawn)
    stems = [*OF_ALL, "diff", "film", *(f"{stem}-{pid}" for stem in OF_ONE for pid in (3, 4))]
    assert set(page.ids) == set(stems)
    for stem in stems:
        kinds = ("svg", "pdf", "png", "dot", *(["html"] if stem == "film" else []))
        assert all(f"{stem}.{kind}" in page.leads for kind in kinds), stem
    assert all(f"film-step.{kind}" in page.leads for kind in ("svg", "pdf", "png", "dot"))
    assert {"snapshot.json", "film.json"} <= page.leads
    assert "Not drawn" not in "".join(page.sections.values())


def test_page_needs_nothing_from_elsewhere(drawn: Path):
    page = Page(drawn / "index.html")
    assert not {"script", "link", "iframe", "base"} & page.elements
    assert not [lead for lead in page.leads if ":" in lead or lead.startswith("/")]


def test_without_a_pid_the_process_that_shares_most_is_drawn():
    family = documents.parse(ft.programs().text())
    assert gallery.telling_processes(family)[0].pid == 4      # 3 shares as much, 4 is younger
    lone = documents.parse(ft.Family().add(1, None, "init").text())
    assert gallery.telling_processes(lone)[0].pid == 1


def test_words_are_as_the_golden_file_has_them(golden, tmp_path: Path):
    index, reel = documents.parse(ft.programs().text()), document.parse(films.text())
    shown = [gallery.Missing(one, "why") for one in gallery.figures(index, index.processes[2:4], reel)]
    (tmp_path / "index.html").write_text(gallery.page(index, shown, [("snapshot.json", "the snapshot")]), encoding="utf-8")
    golden("gallery.txt", "\n".join(Page(tmp_path / "index.html").texts) + "\n")


def untold(done: subprocess.CompletedProcess) -> list[str]:
    """The figures that were not drawn, by the lines that say so."""
    return re.findall(r"^viz: ([\w-]+): not drawn: ", done.stderr, re.M)


def test_figure_that_cannot_be_drawn_is_told_and_keeps_none_of_the_others(tmp_path: Path):
    made = ft.programs()
    made.process(4).update(root=None, tables=[], mappings=[], state="ZOMBIE")
    done = viz_all(tmp_path, made, "--all")
    assert done.returncode == 0
    assert untold(done) == ["walk-4", "walk-6"]     # its own, and that of its child, which begins with its FRY
    page = assert_whole(tmp_path)
    assert "ZOMBIE" in page.sections["walk-4"]
    assert not list(tmp_path.glob("walk-4.*")) and (tmp_path / "walk-3.svg").is_file()
    assert {f"address-space-{pid}" for pid in range(1, 7)} | set(OF_ALL) <= set(page.ids)
    assert "diff" not in page.ids and "film" not in page.ids


def test_figures_that_the_page_has_no_more_go_and_nothing_else(drawn: Path, tmp_path: Path):
    shutil.copytree(drawn, tmp_path, dirs_exist_ok=True)
    (tmp_path / "my-own.svg").write_text("<svg/>")
    assert viz_all(tmp_path, ft.programs(), "--pid", "4").returncode == 0
    assert_whole(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert {"my-own.svg", "snapshot.json", "film.json", "walk.svg"} <= left
    assert not any("-3." in name or "-4." in name or name in ("film.html", "diff.svg") for name in left)


def test_kernel_without_fry_is_drawn_as_far_as_can_be(tmp_path: Path):
    made = ft.programs()
    made.json["layout"].update(fry=None, shrimp=None, fry_from=None)
    reel = films.without_pages()
    (tmp_path / "film.json").write_text(films.text(reel))
    done = viz_all(tmp_path, made, "--film", str(tmp_path / "film.json"))
    assert done.returncode == 0, done.stderr
    page = assert_whole(tmp_path)
    assert "FRY" not in page.sections["walk"] and {"film", "diff"} <= set(page.ids)
    assert untold(done) == ["family", "matrix"] == [stem for stem in page.ids if "Not drawn" in page.sections[stem]]


@pytest.mark.parametrize("options", [(), ("--all",)])
def test_snapshot_without_a_process_is_drawn_as_far_as_can_be(tmp_path: Path, options: tuple[str, ...]):
    done = viz_all(tmp_path, ft.Family(), *options)
    assert done.returncode == 0, done.stderr
    page = assert_whole(tmp_path)
    assert untold(done) == [stem for stem in page.ids if "Not drawn" in page.sections[stem]] and set(untold(done)) == set(OF_ONE)
    assert (tmp_path / "ram.svg").is_file()


def test_hostile_names_are_text_and_name_no_file(tmp_path: Path):
    made = ft.programs()
    made.process(3)["name"] = HOSTILE[:15]
    made.process(4)["name"] = "../../\x1b[31m\n"
    made.json["kernel"] = made.json["stop"]["function"] = HOSTILE
    reel = films.film()
    reel["function"] = HOSTILE
    (tmp_path / "film.json").write_text(json.dumps(reel))
    done = viz_all(tmp_path, made, "--film", str(tmp_path / "film.json"), "--pid", "3,4")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    page = assert_whole(tmp_path)
    assert "script" not in page.elements and "onerror" not in page.attributes
    assert '"><script>alert' in page.sections["table-3"]
    assert {path.stem for path in tmp_path.iterdir()} == {*page.ids, "film-step", "index", "snapshot", "film"}


def test_same_snapshot_gives_the_same_bytes_whatever_the_hash_seed(drawn: Path, tmp_path: Path):
    def figures(folder: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".pdf"}    # a PDF says when it was made
    (tmp_path / "film.json").write_text(films.text())
    done = viz_all(tmp_path, ft.programs(), "--film", str(tmp_path / "film.json"), "--pid", "3,4", PYTHONHASHSEED="2")
    assert done.returncode == 0 and figures(tmp_path) == figures(drawn)


@pytest.mark.parametrize("options,said", [
    (("--pid", "3,99"), "1, 2, 3, 4, 5, 6"),
    (("--pid", "x"), "'x'"),
    (("--film", "/nowhere/film.json"), "/nowhere/film.json: "),
    (("-o", "FILE"), "file: "),
])
def test_what_is_wrong_is_one_line_and_draws_nothing(tmp_path: Path, options: tuple[str, ...], said: str):
    (tmp_path / "file").write_text("precious")
    done = viz_all(tmp_path / "figures", ft.demo(), *(str(tmp_path / "file") if word == "FILE" else word for word in options))
    assert done.returncode == 2 and not done.stdout
    line, = done.stderr.splitlines()
    assert line.startswith("viz: ") and said in line
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["snapshot.json"]
    assert (tmp_path / "file").read_text() == "precious"

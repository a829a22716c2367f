"""The handbook as a site: its links, its search, and that it asks nobody for anything."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from lab import ROOT, Trouble
from lab.upkeep import site
from shrimpy.rules import RULES

sys.path[:0] = [str(ROOT / "tests/viz"), str(ROOT / "tests/pure")]
import broken
import browsing


class Parts(HTMLParser):
    """The ids of a page, and what it leads to and loads."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        have = {name: value or "" for name, value in attrs}
        self.ids += [have["id"]] if "id" in have else []
        (self.links if tag == "a" else self.loads).extend(have[name] for name in ("href", "src") if name in have)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("handbook") / "site"
    figures = tmp_path_factory.mktemp("figures")
    for rule in broken.BROKEN:
        (figures / f"{rule}.svg").write_text("<svg/>")
    site.build(made, figures=figures)
    return made


def dead(page: Path) -> list[str]:
    """The local links of a page of the site that lead nowhere."""
    parts, found = Parts(page), []
    for link in [link for link in (*parts.links, *parts.loads) if ":" not in link]:
        path, _, anchor = link.partition("#")
        there = page.parent / path if path else page
        if not there.is_file() or anchor and there.suffix == ".html" and anchor not in Parts(there).ids:
            found.append(link)
    return found


def pages(folder: Path) -> list[Path]:
    return [page for page in folder.rglob("*.html") if "gallery" not in page.parts]


def test_every_page_of_the_handbook_is_in_the_site(folder):
    known = [source for _, sources in site.GROUPS for source in sources]
    assert sorted(known) == sorted(path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")))
    assert len(pages(folder)) == len(known) + len(RULES)


def test_each_rule_has_a_page_with_its_figure_and_its_mistakes(folder):
    for rule in (one.id for one in RULES):
        page = (folder / f"docs/rule-{rule}.html").read_text(encoding="utf-8")
        assert "Why it matters." in page and Parts(folder / f"docs/rule-{rule}.html").loads[-1].endswith(
            "gallery/film-step.svg" if rule == "specification" else f"rules/{rule}.svg")
    told = (folder / "docs/rule-shrimp-pair.html").read_text(encoding="utf-8")
    assert "exec maps FRY in the new page table, and forgets SHRIMP." in told and "<code>proc_pagetable</code>" in told
    assert "rule-shrimp-pair.html" in Parts(folder / "docs/rules.html").links and "rule-no-panic.html" in Parts(folder / "docs/symptoms.html").links


def test_every_link_of_the_site_leads_to_a_file_and_an_anchor_in_it(folder):
    assert {page.name: dead(page) for page in pages(folder)} == {page.name: [] for page in pages(folder)}
    assert all(len(set(ids)) == len(ids) for ids in (Parts(page).ids for page in pages(folder)))
    (folder / "odd.html").write_text('<a href="docs/none.html"></a><img src="no.png"><a href="docs/rules.html#none"></a><a href="https://a.b/c"></a>')
    assert dead(folder / "odd.html") == ["docs/none.html", "docs/rules.html#none", "no.png"]
    (folder / "odd.html").unlink()


def test_a_page_loads_nothing_from_elsewhere(folder):
    assert [one for page in pages(folder) for one in Parts(page).loads if ":" in one and one != "data:,"] == []


def test_the_index_leads_from_words_to_sections(folder):
    index = json.loads((folder / site.INDEX).read_text(encoding="utf-8").removeprefix("window.HANDBOOK = ").removesuffix(";\n"))

    def found(word: str) -> list[str]:
        return [index["sections"][n][0] for n in index["words"].get(word, [])]
    assert "docs/symptoms.html#the-kernel-panics" in found("remap")
    assert "docs/glossary.html" in found("trapframe")
    assert set(found("xv6-walk")) < set(found("walk"))
    assert found("div") == []   # of the markup
    assert {address.partition("#")[0] for address, *_ in index["sections"]} == {page.relative_to(folder).as_posix() for page in pages(folder)}


def test_a_site_that_cannot_be_made_is_left_as_it_was(tmp_path):
    (tmp_path / "site").mkdir()
    (tmp_path / "site/index.html").write_text("before")
    (tmp_path / "empty").mkdir()
    with pytest.raises(Trouble, match="README.md"):
        site.build(tmp_path / "site", tmp_path / "empty")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "site"]
    assert (tmp_path / "site/index.html").read_text() == "before"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    with browsing.chromium(tmp_path / "profile") as driver:
        yield driver


def test_the_search_finds_in_a_browser_and_pages_fit_telephones_tablets_and_screens(folder, browser):
    for width in (390, 820, 1440):
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride",
                                {"width": width, "height": 844, "deviceScaleFactor": 1, "mobile": True})
        for name in ("index", "docs/failing", "docs/symptoms", "docs/rule-shrimp-pair", "docs/install-ubuntu"):
            browser.get((folder / f"{name}.html").as_uri())
            assert browser.execute_script("return document.documentElement.scrollWidth") == width, name
    browser.get((folder / "docs/rules.html").as_uri())
    box = browser.find_element("id", "search")
    box.send_keys("freewal panic")
    first = browser.find_element("css selector", "#found a")
    assert first.get_attribute("href") == (folder / "docs/symptoms.html").as_uri() + "#the-kernel-panics"
    box.send_keys(" qqq")
    assert browser.find_elements("css selector", "#found a") == []
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []

"""The handbook as a site: README.md, docs/ and what they lead to, as plain HTML that needs neither a network nor a server.

A page lies in the site where its Markdown lies in the repository, and README.md is index.html; so links and pictures keep their
paths. Each rule has a page of its own (`rulepages`). Files that pages lead to are copied. The index of words is a script, because
a page opened as a file may load no JSON.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import tempfile
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from shrimpy import __version__

from .. import ROOT, Trouble, put_in_place
from . import rulepages

GROUPS = (  # every page of the handbook, in the order in which it is read
    ("Begin", ("README.md", "docs/failing.md", "docs/symptoms.md", "docs/mistakes.md", "docs/rules.md", "docs/glossary.md")),
    ("Install", tuple(f"docs/install-{system}.md" for system in ("ubuntu", "macos", "wsl", "fedora", "arch"))),
    ("Look closer", ("docs/live.md", "docs/time.md", "docs/editors.md", "docs/reference.md")),
    ("Teach", ("docs/lesson.md", "docs/marking.md", "docs/courses.md", "docs/safety.md")),
    ("The kernel", ("docs/kernel.md", "docs/specification.md", "docs/shared-memory.md", "docs/trees.md")),
    ("Inside", ("docs/architecture.md", "CONTRIBUTING.md", "CHANGELOG.md")),
)
GALLERY = "docs/gallery/index.html"
INDEX = "search-index.js"

_ASSETS = ("site.css", "site.js")
_WORD = re.compile(r"\w+(?:-\w+)*")
_EXCERPT = 160  # characters


@dataclass(frozen=True)
class Section:
    """What a heading is over. anchor: its id, "" for the page's first; text: without marks."""

    anchor: str
    heading: str
    level: int
    text: str


@dataclass(frozen=True)
class Page:
    """A page: source is its Markdown in the repository, body its HTML, files what it shows or leads to besides pages."""

    source: str
    sections: tuple[Section, ...]
    body: str
    files: frozenset[str]

    @property
    def path(self) -> str:
        """Where it lies in the site."""
        return _as_html(self.source)

    @property
    def title(self) -> str:
        return self.sections[0].heading


def build(folder: Path, root: Path = ROOT, figures: Path | None = None) -> list[Page]:
    """Writes the site of the repository at root into folder, atomically. figures: where a figure of each rule is, if any was drawn.
    Raises Trouble without markdown-it, and OSError."""
    drawn = {path.stem for path in figures.glob("*.svg")} if figures else set()
    texts = rulepages.split({source: _text(source, root) for _, sources in GROUPS for source in sources}, drawn)
    pages = [page(source, text) for source, text in texts.items()]
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".site-", dir=folder.parent))
    try:
        _write(draft, pages, root, figures)
        put_in_place(draft, folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return pages


def _text(source: str, root: Path) -> str:
    """The Markdown of a page. Raises Trouble where there is none."""
    try:
        return (root / source).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise Trouble(f"{source}: expected a page of the handbook, found none; pages are listed in scripts/lab/upkeep/site.py") from None


def page(source: str, text: str) -> Page:
    """The page of a Markdown text. Raises Trouble without what reads it."""
    markdown = _markdown()
    tokens = markdown.parse(text)
    files = _relink(tokens, PurePosixPath(source).parent)
    return Page(source, tuple(_sections(tokens)), markdown.renderer.render(tokens, markdown.options, {}), frozenset(files))


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def index(pages: Iterable[Page]) -> dict[str, Any]:
    """For the search: sections as [address, page, heading, beginning], and words with the numbers of the sections that have them."""
    sections: list[list[str]] = []
    words: dict[str, list[int]] = {}
    for page in pages:
        for section in page.sections:
            said = f"{page.title} {section.heading} {section.text}".lower()
            for word in _parts(said):
                words.setdefault(word, []).append(len(sections))
            address = f"{page.path}#{section.anchor}" if section.anchor else page.path
            sections.append([address, page.title, section.heading, textwrap.shorten(section.text, _EXCERPT, placeholder=" ...")])
    return {"sections": sections, "words": words}


def _parts(said: str) -> set[str]:
    """Its words; xv6-walk is found as walk, too."""
    return {part for word in _WORD.findall(said) for part in (word, *word.split("-")) if part}


# Markdown

def _markdown() -> Any:
    try:
        from markdown_it import MarkdownIt
    except ImportError:
        raise Trouble("markdown-it-py is not installed: run scripts/setup site") from None
    made = MarkdownIt("commonmark").enable("table")
    made.add_render_rule("table_open", lambda *_: '<div class="wide"><table>\n')
    made.add_render_rule("table_close", lambda *_: "</table></div>\n")
    return made


def _relink(tokens: list[Any], folder: PurePosixPath) -> set[str]:
    """Has links lead to HTML. The files in the repository that they lead to besides pages."""
    files = set()
    for child in (child for token in tokens for child in token.children or ()):
        name = {"link_open": "href", "image": "src"}.get(child.type, "")
        path, _, anchor = str(child.attrGet(name) or "").partition("#") if name else ("", "", "")
        if not path or ":" in path:
            continue
        if path.endswith(".md"):
            child.attrSet(name, _as_html(path) + (f"#{anchor}" if anchor else ""))
        else:
            files.add(_plain(folder / path))
    return files


def _sections(tokens: list[Any]) -> Iterable[Section]:
    """The page cut at its headings, each of which gets its anchor."""
    anchor, heading, level = "", "", 0
    text: list[str] = []
    for before, token in zip([None, *tokens], tokens):
        if before and before.type == "heading_open":
            if heading:
                yield Section(anchor, heading, level, _joined(text))
            anchor, heading, level, text = slug(token.content) if heading else "", _said(token), int(before.tag[1]), []
            before.attrSet("id", slug(token.content))
        elif token.type in ("inline", "fence", "code_block"):
            text.append(_said(token))
    yield Section(anchor, heading, level, _joined(text))


def _said(token: Any) -> str:
    return "".join(child.content or " " for child in token.children if child.type in ("text", "code_inline", "softbreak")
                   ) if token.children else token.content


def _joined(text: list[str]) -> str:
    return " ".join(" ".join(text).split())


def _as_html(path: str) -> str:
    return re.sub(r"(^|/)README\.html$", r"\1index.html", re.sub(r"\.md$", ".html", path))


def _plain(path: PurePosixPath) -> str:
    """Without the .. in it. Raises Trouble for what is outside the repository."""
    whole = (ROOT / path).resolve()
    if not whole.is_relative_to(ROOT):
        raise Trouble(f"{path}: expected a link within the repository, found one out of it")
    return whole.relative_to(ROOT).as_posix()


# The site

def _write(folder: Path, pages: list[Page], root: Path, figures: Path | None) -> None:
    for page in pages:
        out = folder / page.path
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(_document(page, pages), encoding="utf-8")
    for name in _ASSETS:
        shutil.copyfile(Path(__file__).with_name(name), folder / name)
    made = json.dumps(index(pages), ensure_ascii=False, separators=(",", ":"))
    (folder / INDEX).write_text(f"window.HANDBOOK = {made};\n", encoding="utf-8")
    for name in {GALLERY}.union(*(page.files for page in pages)):
        is_drawn = figures and Path(name).parent == Path(rulepages.FIGURES)
        _copy(figures / Path(name).name if figures and is_drawn else root / name, folder / name)


def _copy(source: Path, target: Path) -> None:
    """A file; of a page of its own, all that is beside it."""
    if source.name == "index.html":
        shutil.copytree(source.parent, target.parent, dirs_exist_ok=True)
    else:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


def _document(page: Page, pages: list[Page]) -> str:
    up = "../" * page.path.count("/")
    title = page.title if page.source == "README.md" else f"{page.title} - Shrimpy"
    return f"""<!DOCTYPE html>
<html lang="en" data-root="{up}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="{up}site.css">
<script src="{up}{INDEX}" defer></script>
<script src="{up}site.js" defer></script>
</head>
<body>
<a class="skip" href="#text">To the text</a>
<header><a class="home" href="{up}index.html">Shrimpy</a> <span class="version">{__version__}</span>
<a class="to-pages" href="#pages">Pages</a>
<search hidden><label for="search">Search</label> <input id="search" type="search" autocomplete="off" placeholder="a word, or /">
<p id="count" role="status"></p><ol id="found"></ol></search></header>
<main id="text" tabindex="-1">
{page.body}</main>
<nav id="pages" aria-label="Pages">
{_contents(page, pages, up)}</nav>
</body>
</html>
"""


def _contents(here: Page, pages: list[Page], up: str) -> str:
    """All pages by their groups; below the one that is shown, its sections."""
    of = {page.source: page for page in pages}
    said = ""
    for group, sources in GROUPS:
        said += f"<h2>{group}</h2>\n<ul>\n" + "".join(_item(of[source], here, up) for source in sources) + "</ul>\n"
    return said + f'<h2>Figures</h2>\n<ul>\n<li><a href="{up}{GALLERY}">Gallery</a></li>\n</ul>\n'


def _item(page: Page, here: Page, up: str) -> str:
    title = html.escape(page.title)
    if page is not here:
        return f'<li><a href="{up}{page.path}">{title}</a></li>\n'
    parts = "".join(f'<li><a href="#{one.anchor}">{html.escape(one.heading)}</a></li>\n'
                    for one in page.sections if one.level == 2)
    return f'<li><a href="#text" aria-current="page">{title}</a>' + (f"\n<ul>\n{parts}</ul>" if parts else "") + "</li>\n"

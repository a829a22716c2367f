"""A scene and its two writers: DOT for Graphviz, and SVG at once."""
from __future__ import annotations

import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

VIZ = Path(__file__).resolve().parents[2] / "viz"
sys.path[:0] = [str(VIZ), str(Path(__file__).parent)]

import family_tree as ft                                            # noqa: E402
import films                                                         # noqa: E402
import pictures                                                      # noqa: E402
from drawing import film, gallery, render       # noqa: E402
from drawing.figures import Drawing             # noqa: E402
from drawing.film import document               # noqa: E402
from drawing.model import documents             # noqa: E402
from drawing.scene import dot, outline, shapes  # noqa: E402
from drawing.scene import svg as writer         # noqa: E402


def figures() -> dict[str, Drawing]:
    """One of each figure."""
    family = ft.at_rest(ft.programs().add(7, 1, "left", shrimp=0x87FA0000).free(0x87FA0000))
    snapshot = documents.parse(family.text())
    found = {one.stem: made for one in gallery.figures(snapshot, gallery.telling_processes(snapshot), None)
             if isinstance(made := one.draw(), Drawing)}
    reel = film.draw(document.parse(films.text()))
    found["strip"] = Drawing(reel.title, reel.description, reel.sheets(True)[0])
    return found


FIGURES = figures()


@pytest.mark.parametrize("name", FIGURES)
def test_graphviz_puts_the_same_words_and_boxes_at_the_same_places(name: str):
    one = FIGURES[name]
    ours, theirs = pictures.svg_of(one), render.render(one, ["svg"])[0]
    assert pictures.page_size(theirs) == pictures.page_size(ours)
    expected, found = pictures.texts(ours), pictures.texts(theirs)
    assert [t.said.replace("\u2216", "\\") for t in found] == [t.said for t in expected]
    for a, b in zip(expected, found):
        # Graphviz measures a line of text to centre it, with whatever font there is
        assert abs(a.left - b.left) < 1.5 and abs(a.top - b.top) < 0.2 and abs(a.size - b.size) < 0.1, (a, b)
    assert [g.get("id") for g in ET.fromstring(theirs).iter(pictures.SVG + "g") if g.get("id")] == \
        [g.get("id") for g in ET.fromstring(ours).iter(pictures.SVG + "g") if g.get("id")]
    assert pictures.tips(theirs) == pictures.tips(ours)


@pytest.mark.parametrize("name", FIGURES)
def test_a_page_is_given_the_same_whether_it_was_drawn_before_or_not(name: str):
    one = FIGURES[name]
    element = writer.inlined(one.scene, "what <it> is", "p-", "a & b")
    for _ in ("at first", "again"):
        said = writer.text(one.scene, "what <it> is", "p-", "a & b")
        assert ET.canonicalize(said) == ET.canonicalize(ET.tostring(element, encoding="unicode"))


@pytest.mark.parametrize("name", FIGURES)
def test_graphviz_has_no_complaint_and_no_blank_around(name: str):
    one = FIGURES[name]
    source = dot.write(one.scene, one.title)
    done = subprocess.run(["dot", "-Tsvg"], input=source.encode(), capture_output=True, check=True)
    assert done.stderr == b""
    width, height = map(float, re.search(rb'width="([\d.]+)pt" height="([\d.]+)pt"', done.stdout).groups())
    assert abs(width - one.scene.width) <= 1 and abs(height - one.scene.height) <= 1


def test_words_are_apart_in_every_reader():
    made = shapes.Scene()
    made.text(0, 10, " two  blanks ")
    one = Drawing("t", "d", made.sized(100, 20))
    for svg in (pictures.svg_of(one), render.render(one, ["svg"])[0]):
        said, = (t.text for t in ET.fromstring(svg).iter(pictures.SVG + "text"))
        assert "  " not in said and not said.startswith(" ") and said.replace("\xa0", " ").strip() == "two  blanks"


def test_dashes_are_as_long_as_they_are_told_and_go_round_corners():
    line = shapes.Line(((0, 0), (50, 0), (50, 30)), "#000000", radius=6, dash=(5.0, 3.0))
    pieces = outline.dashes(outline.of_line(line), (5.0, 3.0))

    def length(points) -> float:
        return sum(((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5 for (ax, ay), (bx, by) in zip(points, points[1:]))
    assert all(abs(length(piece) - 5) < 0.01 for piece in pieces[:-1]) and len(pieces) == 10
    assert any(len(piece) > 2 for piece in pieces)


def test_hatching_stays_inside_its_box():
    box = shapes.Box(10, 20, 40, 12, rounded=True, hatch=shapes.Hatch("#000000", 5, 1))
    ends = outline.hatching(box)
    assert len(ends) > 5
    for (x1, y1), (x2, y2) in ends:
        assert 10 <= x1 < x2 <= 50 and 20 <= y2 < y1 <= 32 and abs(x1 + y1 - x2 - y2) < 1e-6


def test_a_scene_in_a_scene_is_smaller_and_has_ids_of_its_own():
    inner = shapes.Scene()
    with inner.group("a", "tip"):
        inner.box(10, 10, 20, 20, "#FFFFFF")
        inner.text(10, 20, "x")
    outer = shapes.Scene()
    outer.place(inner, 100, 200, 0.5, "p-")
    group, = outer.parts
    assert group.id == "p-a" and group.parts[0] == shapes.Box(105, 205, 10, 10, "#FFFFFF", None, 0.5)
    assert (group.parts[1].x, group.parts[1].middle, group.parts[1].size) == (105, 210, 5)

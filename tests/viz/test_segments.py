"""Segments of shared memory in the figures: a third letter, and no change where there are none."""
from __future__ import annotations

import json
import sys
from pathlib import Path

VIZ = Path(__file__).resolve().parents[2] / "viz"
sys.path[:0] = [str(VIZ), str(Path(__file__).parent)]

import family_tree as ft                                            # noqa: E402
import films                                                        # noqa: E402
import pictures                                                     # noqa: E402
from drawing import film                                            # noqa: E402
from drawing.figures import Drawing, address_space, family, matrix  # noqa: E402
from drawing.film import document                                   # noqa: E402
from drawing.model import documents                                 # noqa: E402
from drawing.scene import style                                     # noqa: E402


def index_of(made: ft.Family):
    return documents.parse(made.text())


def space_of(made: ft.Family, pid: int) -> Drawing:
    index = index_of(made)
    return address_space.draw(index, next(p for p in index.processes if p.pid == pid))


def test_family_draws_a_segment_as_one_box_and_a_line_from_each_attachment():
    svg = pictures.svg_of(family.draw(index_of(ft.sharers())))
    groups = pictures.groups(svg)
    assert groups["frame-0x87100000"].split() == "shm 1 2 pages, 0x87100000 A attached by 3; for reading by 4".split()
    assert "attached by 6; removed" in groups["frame-0x87200000"].replace("\n", " ") and "frame-0x87102000" not in groups
    assert {name for name in groups if name.startswith("edge-A")} == {"edge-A0-2", "edge-A0-3", "edge-A0-5"}
    assert "R--U" in groups["page-A0-3"] and f"{ft.ATTACHED - 0x4000:#x}" in groups["page-A0-3"]


def test_matrix_has_a_letter_for_an_attachment_and_another_for_one_that_is_read_only():
    said = [text.said for text in pictures.texts(pictures.svg_of(matrix.draw(index_of(ft.sharers()))))]
    assert {"attached segment", "attached for reading only", "shm 1", "shm 2"} <= set(said)
    assert (said.count("A"), said.count("a")) == (2 + 1, 1 + 1), "two cells and one, and the legend"


def test_address_space_shows_attachments_with_who_else_has_them():
    made = ft.sharers()
    ft.program(made, 4)
    said = [text.said for text in pictures.texts(pictures.svg_of(space_of(made, 4)))]
    assert "shm 1" in said and "attached, read only" in said and not any(one.startswith("!") for one in said)
    assert "shm 1, 2 pages, R--U" in space_of(made, 4).description and "for reading by 4" in " ".join(said)


def test_what_is_wrong_with_a_segments_frame_is_told():
    made = ft.sharers().free(0x87102000)
    said = pictures.groups(pictures.svg_of(family.draw(index_of(made))))["frame-0x87100000"]
    assert "on the free list, yet mapped" in said.replace("\n", " ")


def test_figures_without_segments_do_not_speak_of_them():
    for draw in (family.draw, matrix.draw):
        assert "segment" not in pictures.svg_of(draw(index_of(ft.programs()))).decode()


def test_title_of_a_film_says_which_segment_the_two_have():
    seen = films.film()
    assert "segment" not in film.draw(document.parse(json.dumps(seen))).title
    for step in seen["steps"]:
        made = ft.Family()
        made.json = step["snapshot"]
        made.map(films.PARENT, ft.ATTACHED, 0x87100000, region="shm:7")
        made.json["segments"] = [{"id": 7, "name": "shm", "key": 0, "size": 1, "n_attached": 1, "mode": 384, "removed": False,
                                  "frames": [["0x87100000", 1]]}]
        made.use(0x87100000, "segment", None)
    assert film.draw(document.parse(json.dumps(seen))).title.endswith(", with segment shm 7")


def test_letters_differ_in_line_and_colour():
    assert len(set(style.LINE.values())) == len(set(style.DASH.values())) == len(set(family.DASH.values())) == 3

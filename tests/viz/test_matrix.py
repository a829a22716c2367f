"""The matrix: who shares what with whom, for as many processes as there can be."""
from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

VIZ = Path(__file__).resolve().parents[2] / "viz"
sys.path[:0] = [str(VIZ), str(Path(__file__).parent)]

import family_tree as ft                                            # noqa: E402
import pictures                                                      # noqa: E402
from drawing import render                      # noqa: E402
from drawing.figures import Drawing, matrix     # noqa: E402
from drawing.model import documents             # noqa: E402
from drawing.model.errors import VizError       # noqa: E402
from drawing.scene import style                 # noqa: E402

GONE = 0x87FA0000


def draw(made: ft.Family, pids=None) -> Drawing:
    return matrix.draw(documents.parse(made.text()), pids)


def svg_of(made: ft.Family, pids=None) -> bytes:
    return pictures.svg_of(draw(made, pids))


def grid(made: ft.Family, pids=None) -> dict[str, dict[str, str]]:
    """By a process's label, by a frame's address, the letter where they meet in the picture."""
    svg = svg_of(made, pids)
    texts = pictures.texts(svg)
    keys = {name: said.split("\n") for name, said in pictures.groups(svg).items() if name.startswith("frame-")}
    assert all(said[0] == said[-2 if len(said) > 1 else 0] and name == f"frame-{said[-1]}" for name, said in keys.items())
    numbers = {said[0]: said[-1] for said in keys.values()}    # where columns are wide, addresses
    top = min((t.top for t in texts if t.said in numbers), default=0)
    columns = {(t.left + t.right) / 2: numbers[t.said] for t in texts if t.said in numbers and t.top < top + 1}
    rows: dict[str, dict[str, str]] = {}
    for g in ET.fromstring(svg).iter(pictures.SVG + "g"):
        if not (g.get("id") or "").startswith("process-"):
            continue
        said = [t for t in g.findall(pictures.SVG + "text") if t.text != "!"]
        cells: dict[str, str] = {}
        for cell in g.findall(pictures.SVG + "g"):
            text = cell.find(pictures.SVG + "text")
            x = float(text.attrib["x"])
            near = min(columns, key=lambda column: abs(column - x))
            assert abs(near - x) < 4, f"{text.text} stands under no frame"
            cells[columns[near]] = text.text or ""
        rows[said[0].text or ""] = cells
    return rows


def many(n: int = 64, parent=lambda pid: pid // 2) -> ft.Family:
    made = ft.Family().add(1, None, "init")
    for pid in range(2, n + 1):
        made.add(pid, parent(pid))
    return made


def chain(n: int) -> ft.Family:
    return many(n, lambda pid: pid - 1)


def test_rows_are_processes_columns_are_shared_frames_and_letters_say_how():
    frame = {pid: f"{ft.fry_frame(pid):#x}" for pid in range(1, 5)}
    assert grid(ft.demo()) == {
        "1 init": {frame[1]: "F"}, "2 sh": {frame[1]: "S", frame[2]: "F"},
        "3 shrimpdemo": {frame[2]: "S", frame[3]: "F"}, "5 shrimpdemo": {frame[3]: "S"},
        "4 shrimpdemo": {frame[3]: "S", frame[4]: "F"}, "6 shrimpdemo": {frame[4]: "S"}}


def test_frames_nobody_shares_are_counted():
    assert pictures.numbers(pictures.groups(svg_of(ft.demo()))["notes"]) == [2]


def test_families_are_blocks():
    """A frame's column comes where its owner's row does, and its children's rows follow."""
    rows = grid(many())
    order = list(dict.fromkeys(frame for cells in rows.values() for frame, letter in cells.items() if letter == "F"))
    numbered = sorted((int(said.split("\n")[0]), name.removeprefix("frame-"))
                      for name, said in pictures.groups(svg_of(many())).items() if name.startswith("frame-"))
    assert [frame for _, frame in numbered] == order and len(rows) == 64


@pytest.mark.parametrize("made", [ft.demo, many, lambda: chain(64), lambda: many(64, lambda pid: 1), ft.Family,
                                  lambda: ft.at_rest(ft.demo().add(7, 3, "x" * 40, shrimp=ft.fry_frame(2))),
                                  lambda: many(70)], ids=range(7))
def test_figure_reads_well_on_a4(made):
    svg = svg_of(made())
    pictures.assert_readable(svg, style.MAX_WIDTH_PT)
    width, height = pictures.page_size(svg)
    assert height <= width * 1.5        # of A4's text, which is 1.54 times as high as wide


def test_what_does_not_fit_is_counted():
    made = many(70)
    rows, notes = grid(made), pictures.groups(svg_of(made))["notes"]
    assert len(rows) == matrix.LIMIT and pictures.numbers(notes)[0] == 6
    deep = chain(64)
    n_columns = len({frame for cells in grid(deep).values() for frame in cells})
    assert n_columns < 63
    assert 63 - n_columns in pictures.numbers(pictures.groups(svg_of(deep))["notes"])


def test_frame_with_something_odd_is_never_left_out():
    made = ft.at_rest(chain(63).add(90, 63, shrimp=GONE))
    assert f"{GONE:#x}" in {frame for cells in grid(made).values() for frame in cells}


def wrong_sibling() -> ft.Family:
    return ft.at_rest(ft.demo().add(7, 3, shrimp=ft.fry_frame(2)))


def test_wrong_page_is_marked_where_a_rule_failed_and_told_in_words():
    made = wrong_sibling()
    svg = svg_of(made)
    assert "! pid 7: shrimp-pair" in pictures.groups(svg)["notes"]
    assert pictures.groups(svg)["process-6"].startswith("!\n7 shrimpdemo")
    made.json["processes"][6]["lock_held"] = True
    svg = svg_of(made)
    assert "!" not in pictures.groups(svg)["process-6"] and 2 in pictures.numbers(pictures.groups(svg)["notes"])


def legend(made: ft.Family) -> list[str]:
    """The letters that the legend explains."""
    return pictures.groups(svg_of(made))["legend"].split("\n")[::2]


def one_page_for_all() -> ft.Family:
    return ft.at_rest(ft.Family().add(1, None, "init", fry=GONE).add(2, 1, "sh", fry=GONE, shrimp=GONE))


def test_page_that_is_fry_and_shrimp_of_one_process_has_a_letter_of_its_own():
    assert grid(one_page_for_all())["2 sh"] == {f"{GONE:#x}": "B"}
    assert legend(one_page_for_all()) == ["F", "S", "B"]


def table_too() -> ft.Family:
    return ft.demo().use(ft.fry_frame(3), "table", 6)


def test_other_use_of_a_shared_frame_has_its_letter():
    assert grid(table_too())["6 shrimpdemo"][f"{ft.fry_frame(3):#x}"] == "T"
    assert legend(table_too()) == ["F", "S", "T"]


def lone() -> ft.Family:
    return ft.Family().add(1, None, "init")


def test_nothing_shared_and_nobody_there_are_said():
    assert grid(lone()) == {"1 init": {}} and grid(ft.Family()) == {}
    assert "careful" in pictures.groups(svg_of(ft.Family()))["notes"] and "careful" not in pictures.groups(svg_of(lone()))["notes"]


def test_pids_choose_the_rows():
    assert list(grid(ft.demo(), [4, 6])) == ["4 shrimpdemo", "6 shrimpdemo"]


def test_kernel_without_fry_is_one_clear_line():
    made = ft.demo()
    made.json["layout"]["fry"] = None
    with pytest.raises(VizError, match="FRY"):
        draw(made)


def test_tooltip_has_address_flags_and_entry():
    assert re.search("SHRIMP of 4 .* 0x87e04fe0 = 0x21fc0cd7: 0x3fffffc000 to 0x87f03000", svg_of(ft.demo()).decode())


def test_words_are_as_the_golden_file_has_them(golden):
    made = {"six processes": ft.demo(), "another frame than the siblings'": wrong_sibling(), "one page for all": one_page_for_all(),
            "a page table in a shared frame": table_too(), "nothing is shared": lone(), "nobody": ft.Family()}
    golden("matrix.txt", pictures.told({name: draw(one) for name, one in made.items()}))


def test_hostile_names_are_shown_as_they_are():
    for name in ('<b>&"', "\\N\x01\ud800", "", "é漢" * 40):
        made = ft.demo().add(7, 3, name)
        pictures.assert_readable(svg_of(made), style.MAX_WIDTH_PT)
        pictures.assert_readable(render.render(draw(made), ["svg"])[0], style.MAX_WIDTH_PT)


def test_description_names_every_frame_and_its_users():
    said = draw(ft.demo()).description
    assert "6 processes, 4 frames" in said or "6 processes," in said and "4 frames." in said
    assert "Frame 0x87f03000: FRY of 3; SHRIMP of 4, 5." in said

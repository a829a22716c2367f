"""The figures of page tables, of made-up snapshots: address-space, walk, table, diff."""
from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from functools import lru_cache
from pathlib import Path
from typing import Callable

import pytest

VIZ = Path(__file__).resolve().parents[2] / "viz"
sys.path[:0] = [str(VIZ), str(Path(__file__).parent)]

import family_tree as ft                                            # noqa: E402
import pictures                                                     # noqa: E402
from drawing.figures import Drawing, address_space, diff, table, walk       # noqa: E402
from drawing.model import documents, page_tables            # noqa: E402
from drawing.model.errors import VizError       # noqa: E402
from drawing.scene import style                 # noqa: E402

PAGE = 4096
A4_PT = 896             # of height: 700 pt of text on A4, shrunk as MAX_WIDTH_PT is to 453


def space_of(made: ft.Family, pid: int = 4) -> Drawing:
    snapshot = documents.parse(made.text())
    return address_space.draw(snapshot, next(p for p in snapshot.processes if p.pid == pid))


def table_of(made: ft.Family, pid: int = 4) -> Drawing:
    snapshot = documents.parse(made.text())
    return table.draw(snapshot, next(p for p in snapshot.processes if p.pid == pid))


def walk_of(made: ft.Family, *said: str) -> Drawing:
    """As --va: "4:fry"; pid 4 where there is none."""
    snapshot = documents.parse(made.text())
    wanted = []
    for one in said or ("fry", "shrimp"):
        pid, _, va = one.rpartition(":")
        wanted.append(walk.address(snapshot, next(p for p in snapshot.processes if p.pid == int(pid or 4)), va))
    return walk.draw(snapshot, wanted)


def diff_of(before: ft.Family, after: ft.Family) -> Drawing:
    return diff.draw(documents.parse(before.text()), documents.parse(after.text()))


def svg_of(one: Drawing) -> bytes:
    return pictures.svg_of(one)


def said(one: Drawing) -> list[str]:
    return [t.said for t in pictures.texts(svg_of(one))]


@lru_cache
def big(n: int = 16000, step: int = PAGE, frame: Callable[[int], int] = lambda i: 0x81000000 + PAGE * i) -> ft.Family:
    """A process with `n` more pages, `step` bytes apart."""
    made = ft.programs()
    process = made.process(4)
    for i in range(n):
        va, pa = 0x100000 + step * i, frame(i)
        at = made._table(process, va, 0) + 8 * (va >> 12 & 511)
        process["mappings"].append({"va": hex(va), "pa": hex(pa), "level": 0, "n_pages": 1, "flags": "VRW-U-AD",
                                    "pte": hex(pa >> 2 | 0xD7), "pte_at": hex(at), "region": "heap"})
    process["mappings"].sort(key=lambda m: int(m["va"], 16))
    return made


@lru_cache
def holes() -> ft.Family:
    return big(16000, 2 * PAGE)


def runs() -> ft.Family:
    return big(4, PAGE, lambda i: 0x81000000 + 2 * PAGE * i)


def jumbled() -> ft.Family:
    return big(3000, PAGE, lambda i: 0x81000000 + PAGE * (i * 2477 % 4096))


def scattered() -> ft.Family:
    made = ft.programs()
    for i in range(60):
        made.map(4, (i * 7919 % 254 + 1 << 30) + (i * 131 % 512 << 21) + (i * 37 % 512 << 12), 0x85000000 + PAGE * i,
                 region="other")
    return made


def copied() -> ft.Family:
    """Copy on write: 500 pages of heap in the same frames."""
    made = ft.programs()
    for i in range(500):
        for pid in (4, 5):
            made.map(pid, 0x100000 + PAGE * i, 0x85000000 + PAGE * i, "VR--U-A-", "heap")
    return made


def broken() -> ft.Family:
    """A superpage, a frame outside RAM, one that is free and a table too, an address of the upper half, many sharers."""
    made = ft.programs()
    made.map(4, 0x40000000, 0x80200000, region="other", level=1).map(4, 0x10000, 0xFFFFFFFFFFF000, region="heap", used=False)
    made.map(4, 0x11000, 0x85000000, region="heap").use(0x85000000, "table", 5).free(0x85000000)
    made.map(4, 0xFFFFFFFFC0000000, 0x85001000, region="other")
    for i in range(70):
        made.use(ft.fry_frame(4), "user", 100 + i, ft.SHRIMP)
    return made


def hostile() -> ft.Family:
    made = ft.programs()
    made.process(4)["name"] = '<b>&"]]>\\N\\'
    made.process(3)["name"] = "\x01\x1b[31m\n"
    made.json["kernel"] = made.json["stop"]["function"] = made.json["counts"]["name"] = '<b>&"\\N\x07'
    for m in made.process(4)["mappings"]:
        if m["region"] == "data":
            m["region"] = '<i>&"\\G'
    return made


def without_table() -> ft.Family:
    made = ft.programs()
    made.process(4).update(root=None, tables=[], mappings=[], state="ZOMBIE")
    return made


def forked() -> ft.Family:
    return ft.program(ft.programs().add(7, 4), 7)


def of_same_kernel(made: ft.Family) -> ft.Family:
    before = ft.programs()
    before.json["kernel"] = made.json["kernel"]
    return before


MADE = {"small": ft.programs, "bare": ft.demo, "big": big, "holes": holes, "jumbled": jumbled, "scattered": scattered,
        "copied": copied, "broken": broken, "hostile": hostile, "none": without_table}
FIGURES = {"space": space_of, "table": table_of, "walk": walk_of, "walk3": lambda m: walk_of(m, "fry", "shrimp", "0x5008"),
           "diff": lambda m: diff_of(of_same_kernel(m), m)}


# Of all of them

@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("made", MADE)
def test_figure_is_whole_on_a_page(made: str, figure: str):
    if made == "none" and figure.startswith("walk") or made in ("holes", "jumbled") and figure == "walk3":
        pytest.skip("has no walk of its own")
    one = FIGURES[figure](MADE[made]())
    pictures.assert_readable(svg_of(one), style.MAX_WIDTH_PT)
    assert pictures.page_size(svg_of(one))[1] <= A4_PT


@pytest.mark.parametrize("figure", FIGURES)
def test_ids_are_given_once_and_entries_have_tooltips(figure: str):
    svg = svg_of(FIGURES[figure](forked()))
    ids = [e.get("id") for e in ET.fromstring(svg).iter() if e.get("id")]
    assert len(ids) == len(set(ids))
    tips = [tip for name, tip in pictures.tips(svg).items() if re.match("page|frames|entry|row", name)]
    assert tips and all(re.search(r"0x[0-9a-f]+", tip) for tip in tips), tips


def test_tooltip_of_a_page_has_both_addresses_flags_and_the_entry():
    tip = pictures.tips(svg_of(space_of(ft.programs())))["page-0x3fffffd000"]
    assert re.findall("0x[0-9a-f]+", tip) == ["0x3fffffd000", "0x87f04000", "0x87e04fe8", "0x21fc10d7"] and "VRW-U-AD" in tip


@pytest.mark.parametrize("figure", ["space", "table", "walk", "diff"])
def test_name_is_shown_as_it_is(figure: str):
    one = FIGURES[figure](hostile())
    assert any('4 <b>&"]]>\\N\\' in line for line in said(one))


def test_same_snapshot_gives_the_same_bytes_whatever_the_order_and_the_hash_seed():
    code = (f"import sys; sys.path.insert(0, {str(VIZ)!r})\n"
            "from drawing import render; from drawing.figures import address_space, diff, table, walk; from drawing.model import documents\n"
            "before, after = sys.stdin.read().split('\\0')\n"
            "s = documents.parse(after); p = [p for p in s.processes if p.pid == 4][0]\n"
            "for d in (address_space.draw(s, p), table.draw(s, p), walk.draw(s, [walk.address(s, p, a) for a in ('fry', 'text')]),\n"
            "          diff.draw(documents.parse(before), s)):\n"
            "    sys.stdout.write(d.description + ''.join(data.decode() for data in render.render(d, ['dot', 'svg'])))")
    seen = set()
    after = copied()
    for seed in ("1", "2"):
        seen.add(subprocess.run([sys.executable, "-c", code], input=ft.programs().text() + "\0" + after.text(), capture_output=True,
                                text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}).stdout)
        for p in after.json["processes"]:
            p["mappings"].reverse()
            p["tables"].reverse()
        after.json["frames"].reverse()
        for f in after.json["frames"]:
            f["users"].reverse()
    assert len(seen) == 1 and seen.pop().count("digraph") == 4


# address-space

def test_addresses_stand_top_first_and_name_every_region():
    lines = said(space_of(ft.programs()))
    regions = ["trampoline", "trapframe", "FRY", "SHRIMP", "stack", "guard", "data", "text"]
    assert [line for line in lines if line in regions] == regions
    addresses = [int(line, 16) for line in lines if re.fullmatch("0x[0-9a-f]+", line)]
    borders = [0x4000000000, 0x3FFFFFF000, 0x3FFFFFE000, 0x3FFFFFD000, 0x3FFFFFC000, 0x4000, 0x3000, 0x2000, 0x1000, 0]
    assert [a for a in addresses if a in borders] == borders


def test_shared_rows_are_filled_and_lead_to_frames_with_their_users():
    one = space_of(ft.programs())
    lines = said(one)
    at = lines.index("frame 0x87f03000")
    assert lines[at:at + 6] == ["frame 0x87f03000", "kmem.refs 3", "F", "FRY of 3", "S", "SHRIMP of 4, 5"]
    assert grounds(one, "page-0x3fffffd000", "page-0x3fffffc000") == {style.FILL_FRAME}
    assert grounds(one, "page-0x2000", "page-0x3fffffe000", "page-0x3ffffff000") == {style.FILL_QUIET}
    assert grounds(one, "page-0x1000") == {style.PAPER}
    assert arrows(one) == [("0x87f04000", style.LINE_FRY, "solid"), ("0x87f03000", style.LINE_SHRIMP, "dashed")]


def grounds(one: Drawing, *names: str) -> set[str]:
    """What is drawn below the middle of the text of each of these groups: the fill that lies on top there."""
    places, found = pictures.places(one.scene), set()
    for name in names:
        x, y = places[name]
        found |= {pictures.ground(one.scene, x, y)}
    return found


def arrows(one: Drawing) -> list[tuple[str, str, str]]:
    """Of the lines that lead to frames: which frame, colour, dash."""
    return [(re.search(r"frame (0x\w+)", tip)[1], line.stroke, "dashed" if line.dash else "solid")
            for tip, line in pictures.lines(one.scene) if re.search(r"is frame 0x", tip)]


def test_one_frame_for_fry_and_shrimp_is_drawn_once():
    made = ft.Family().add(1, None, "init", fry=0x87FA0000).add(2, 1, fry=0x87FA0000, shrimp=0x87FA0000)
    one = space_of(made, 2)
    assert [frame for frame, _, _ in arrows(one)] == ["0x87fa0000"] * 2
    assert said(one).count("frame 0x87fa0000") == 1


def test_frame_outside_ram_that_many_map_is_shared():
    made = ft.Family().add(1, None, "init").add(2, 1)
    for pid, va, region in ((1, ft.FRY, "fry"), (2, ft.FRY, "fry"), (2, ft.SHRIMP, "shrimp")):
        process = made.process(pid)
        process["mappings"] = [m for m in process["mappings"] if m["va"] != hex(va)]
        made.map(pid, va, 0x1000, region=region, used=False)
    row, = (one for one in pictures.sentences(space_of(made, 2)) if one.startswith("0x3fffffd000 "))
    assert row.partition("frame 0x1000, ")[2] == "also FRY of 1, SHRIMP of 2."
    assert pictures.sentences(walk_of(made, "2:fry"))[-1].endswith(" 0x1000, FRY of 1, 2, SHRIMP of 2.")


def test_notes_stand_below_the_frames():
    made = ft.demo()        # FRY and SHRIMP alone: the column is shorter than the frames beside it
    at = {t.said: t.top for t in pictures.texts(svg_of(space_of(made)))}
    assert at["R W X U"] > at["SHRIMP of 4, 5"] and at["R W X U"] > at["0x0"]


def test_page_that_nobody_shares_has_no_frame_and_says_so():
    one = space_of(ft.programs(), 6)
    assert "frame 0x87f06000" not in said(one) and grounds(one, "page-0x3fffffd000") != {style.FILL_FRAME}


def test_first_process_has_no_shrimp():
    one = space_of(ft.programs(), 1)
    assert "SHRIMP" not in said(one) and "SHRIMP" in pictures.groups(svg_of(one))["legend"]


def column(made: ft.Family) -> list[tuple[int, int, str]]:
    """The rows of pid 4's address space: first address, end, of which kind."""
    index = documents.parse(made.text())
    return [(line.va, line.end, line.kind) for line in address_space.column_of(index, index.processes[3])]


@pytest.mark.parametrize("made, first, end, n_runs, others", [
    (lambda: big(400), 0x100000, 0x290000, 1, ()),
    (runs, 0x100000, 0x104000, 4, ()),
    (copied, 0x100000, 0x2F4000, 1, (("same page", 5),)),
    (broken, 0x40000000, 0x40200000, 1, ()),
], ids=["run", "runs", "shared", "superpage"])
def test_pages_that_are_alike_are_one_row(made, first: int, end: int, n_runs: int, others: tuple):
    index = documents.parse(made().text())
    row, = (line for line in address_space.column_of(index, index.processes[3]) if line.va == first)
    stretch, = row.stretches
    assert (row.end, len(stretch.frame_runs), stretch.like.others.shared) == (end, n_runs, others)


def test_pages_with_a_hole_between_them_are_two_rows():
    assert [row for row in column(big(2, 2 * PAGE)) if 0x4000 <= row[0] < 0x103000] == [
        (0x4000, 0x100000, "gap"), (0x100000, 0x101000, "mapped"), (0x101000, 0x102000, "gap"), (0x102000, 0x103000, "mapped")]


def test_what_is_left_out_of_an_address_space_is_counted_and_adds_up():
    index = documents.parse(holes().text())
    shown, gone = (sum(s.n_pages for line in address_space.column_of(index, index.processes[3]) if line.kind == kind
                       for s in line.stretches) for kind in ("mapped", "left out"))
    assert shown + gone == 16000 + 8 and gone > 15000
    one = space_of(holes())
    assert pictures.numbers(pictures.groups(svg_of(one))["legend"])[:2] == [gone, gone]
    assert {"FRY", "SHRIMP", "trapframe", "trampoline"} <= set(said(one))


@pytest.mark.parametrize("made", [scattered, holes, broken])
def test_rows_cover_the_whole_space_without_a_hole(made):
    rows = column(made())
    if made is broken:      # it goes on above the lower half
        rows = [row for row in rows if row[0] < 1 << 38]
    assert rows[0][0] == 0 and rows[-1][1] == 0x4000000000
    assert all(lower[1] == upper[0] for lower, upper in zip(rows, rows[1:]))


def test_what_is_wrong_is_told_at_its_row():
    found = [one for one in pictures.sentences(space_of(broken())) if one.startswith("Wrong: heap")]
    assert [re.findall("0x[0-9a-f]+", one)[0] for one in found] == ["0x11000", "0x11000", "0x10000"]
    assert "Wrong" not in space_of(ft.programs()).description and "!" not in said(space_of(ft.programs()))


def test_process_without_a_table_and_one_without_a_page():
    notes = [pictures.groups(svg_of(one))["legend"] for one in (
        space_of(without_table()), space_of(ft.Family().add(1, None, fry=None), 1), space_of(empty_table(), 1))]
    assert notes[0] == notes[1] != notes[2]
    assert column(without_table()) == [(0, 1 << 38, "gap")]


def empty_table() -> ft.Family:
    made = ft.Family().add(1, None, fry=None)
    made._table(made.process(1), 0, 2)
    return made


def without_fry() -> ft.Family:
    made = ft.programs()
    made.json["layout"].update(fry=None, shrimp=None)
    return made


def test_kernel_without_fry_is_drawn_all_the_same():
    one = space_of(without_fry())
    assert not arrows(one) and "trampoline" in said(one)


def test_words_of_an_address_space_are_as_the_golden_file_has_them(golden):
    shown = {
        "a child": space_of(ft.programs()), "the first process": space_of(ft.programs(), 1), "nobody shares its page": space_of(ft.programs(), 6),
        "a run of frames": space_of(big(400)), "several runs": space_of(runs()), "copied on write": space_of(copied()),
        "much is wrong": space_of(broken()), "left out": space_of(holes()), "no page table": space_of(without_table()),
        "an empty page table": space_of(empty_table(), 1), "no FRY in the kernel": space_of(without_fry())}
    golden("address-space.txt", pictures.told(shown, ("heads", "address-", "frames-")))


# walk

def steps_of(one: Drawing) -> list[tuple[int, int, int, int]]:
    """Of the sentences about entries: level, index, the entry's address, its value."""
    return [(int(level), int(index), int(at, 16), int(pte, 16)) for level, index, at, pte in
            re.findall(r"Level (\d): entry (\d+) at (0x\w+) = (0x\w+)", one.description)]


def test_walk_tells_each_entry_and_where_it_ends():
    one = walk_of(ft.programs(), "4:0x3fffffc010")
    assert steps_of(one) == [(2, 255, 0x87C047F8, 0x21F41001), (1, 511, 0x87D04FF8, 0x21F81001), (0, 508, 0x87E04FE0, 0x21FC0CD7)]
    assert pictures.sentences(one)[-1].endswith(" 0x87f03010, FRY of 3, SHRIMP of 4, 5.")


def test_fields_show_values_and_bits():
    lines = said(walk_of(ft.programs(), "0x3fffffc010"))
    for line in ("VPN[2] = 255", "011111111", "VPN[1] = 511", "VPN[0] = 508", "111111100", "offset = 0x10", "000000010000"):
        assert line in lines


def test_addresses_of_one_process_share_the_tables_that_they_share():
    lines = said(walk_of(ft.programs()))
    assert [line for line in lines if line.endswith("table")] == ["L2 table", "L1 table", "L0 table"]
    assert {"508", "509", "255", "511"} <= set(lines)
    assert sum(line == "frame" for line in lines) == 2


def test_child_and_parent_meet_in_one_frame():
    one = walk_of(ft.programs(), "3:fry", "4:shrimp")
    lines = said(one)
    assert sum(line == "L2 table" for line in lines) == 2
    assert sum(line == "frame" for line in lines) == 1
    ends = {line.points[-1] for tip, line in pictures.lines(one.scene) if tip == "the entry points to frame 0x87f03000"}
    assert len(ends) == 1
    last = pictures.sentences(one)[-1]
    assert pictures.numbers(last) == [3, 4] and last.endswith(" 0x87f03000.")


def test_frame_is_filled_as_shared_only_when_it_is():
    one = walk_of(ft.programs(), "fry", "stack")
    fill = {t.said: pictures.ground(one.scene, t.x, t.middle) for t in pictures.all_texts(one.scene)
            if t.bold and t.said in ("0x87f04000", "0x84403000")}
    assert fill == {"0x87f04000": style.FILL_FRAME, "0x84403000": style.FILL_PATH}


def test_title_names_three_processes_within_the_page():
    one = walk_of(ft.programs(), "3:0x3fffffd010", "4:shrimp", "5:0x3fffffc018")
    assert pictures.numbers(one.title) == [3, 4, 5]
    pictures.assert_readable(svg_of(one), style.MAX_WIDTH_PT)


def test_every_field_leads_to_the_entry_that_it_picks():
    one = walk_of(ft.programs(), "fry", "text")
    picks = [re.fullmatch(r"(VPN\[\d\]) of (\w) picks entry (\d+) of table (0x\w+)", tip) for tip, _ in pictures.lines(one.scene)]
    found = [m.groups() for m in picks if m]
    assert [(field, letter, table) for field, letter, _, table in found] == [
        ("VPN[2]", "F", "0x87c04000"), ("VPN[1]", "F", "0x87d04000"), ("VPN[0]", "F", "0x87e04000"),
        ("VPN[2]", "B", "0x87c04000"), ("VPN[1]", "B", found[4][3]), ("VPN[0]", "B", found[5][3])]
    assert found[4][3] != found[1][3]
    entries = pictures.places(one.scene)
    for tip, line in pictures.lines(one.scene):
        if m := re.fullmatch(r"VPN\[(\d)\] of \w picks entry (\d+) of table (0x\w+)", tip):
            _, y = entries[f"entry-3-{m[1]}-{int(m[3], 16) + 8 * int(m[2]):#x}"]
            assert abs(line.points[-1][1] - y) < 20


def test_tables_stand_in_the_order_of_the_entries_that_lead_to_them():
    at = pictures.places(walk_of(ft.programs(), "fry", "text").scene)
    for level in (1, 0):
        high, = (y for name, (_, y) in at.items() if re.match(rf"table-3-{level}-0x87", name))
        low, = (y for name, (_, y) in at.items() if re.match(rf"table-3-{level}-0x86", name))
        assert low < high


def test_walk_that_ends_at_an_invalid_entry_says_why():
    one = walk_of(ft.programs(), "0x5000")
    assert steps_of(one)[-1][:2] == (0, 5) and pictures.numbers(pictures.sentences(one)[-1]) == [0, 5]
    assert "! page fault" in said(one) and "frame" not in said(one)
    early = walk_of(ft.programs(), "0x40000000")
    assert [step[:2] for step in steps_of(early)] == [(2, 1)] and pictures.numbers(pictures.sentences(early)[-1]) == [2, 1]
    assert "L1 table" not in said(early)


def test_superpage_ends_a_walk_one_level_early():
    one = walk_of(broken(), "0x40012345")
    assert "Physical address 0x80212345" in one.description
    lines = said(one)
    assert "superpage, 2 MiB" in lines and "0x80200000" in lines and "offset = 0x12345" in lines
    assert "L0 table" not in lines and "VPN[0] = 18" not in lines


def looped() -> ft.Family:
    """Entry 5 of the root leads back to the root, entry 6 out of RAM."""
    made = ft.programs()
    process = made.process(4)
    for index, pa, kind in ((5, 0x87C04000, "table-repeated"), (6, 0x1000, "table-outside-ram")):
        process["findings"].append({"kind": kind, "at": hex(0x87C04000 + 8 * index), "text": f"points to table {pa:#x}",
                                    "va": hex(index << 30), "pte": hex(pa >> 2 | 1)})
    return made


def test_tables_in_a_circle_are_followed_as_hardware_follows_them():
    one = walk_of(looped(), hex(5 << 30 | 5 << 21 | 255 << 12))
    assert [step[:3] for step in steps_of(one)][1:] == [(1, 5, 0x87C04028), (0, 255, 0x87C047F8)]
    assert steps_of(one)[1][3] == 0x21F01001
    out = walk_of(looped(), hex(6 << 30))
    assert len(steps_of(out)) == 1
    for one in (one, out):
        assert "! page fault" in said(one)
        pictures.assert_readable(svg_of(one), style.MAX_WIDTH_PT)


def test_words_of_a_walk_are_as_the_golden_file_has_them(golden):
    golden("walk.txt", pictures.told({
        "one address": walk_of(ft.programs(), "4:0x3fffffc010"), "a child's two pages": walk_of(ft.programs()),
        "a child and its parent": walk_of(ft.programs(), "3:fry", "4:shrimp"),
        "three processes": walk_of(ft.programs(), "3:0x3fffffd010", "4:shrimp", "5:0x3fffffc018"), "nobody shares it": walk_of(ft.programs(), "stack"),
        "an invalid leaf": walk_of(ft.programs(), "0x5000"), "an invalid pointer": walk_of(ft.programs(), "0x40000000"),
        "a superpage": walk_of(broken(), "0x40012345"), "a circle": walk_of(looped(), hex(5 << 30 | 5 << 21 | 255 << 12)),
        "out of RAM": walk_of(looped(), hex(6 << 30))}))


@pytest.mark.parametrize("name, va", [("fry", 0x3FFFFFD000), ("SHRIMP", 0x3FFFFFC000), ("text", 0), ("stack", 0x3000),
                                      ("trapframe", 0x3FFFFFE000), ("0x1234", 0x1234), ("4096", 4096)])
def test_address_by_region_or_number(name: str, va: int):
    index = documents.parse(ft.programs().text())
    assert walk.address(index, index.processes[3], name).va == va


@pytest.mark.parametrize("draw, words", [
    (lambda: walk_of(ft.programs(), "pudding"), ["'pudding'", "stack"]),
    (lambda: walk_of(ft.programs(), "0x8000000000"), ["Sv39", "0x8000000000"]),
    (lambda: walk_of(ft.programs(), "1", "2", "3", "4"), ["1 to 3", "found 4"]),
    (lambda: walk_of(without_table(), "0x1000"), ["pid 4", "page table", "ZOMBIE"]),
    (lambda: table.draw_kernel(documents.parse(json.dumps({**ft.demo().json, "kernel_table": {
        "root": None, "tables": [], "mappings": [], "findings": []}}))), ["kernel_table.root"]),
], ids=range(5))
def test_what_cannot_be_walked_is_one_line(draw, words: list[str]):
    with pytest.raises(VizError) as caught:
        draw()
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


# table

def rows_of(one: Drawing) -> dict[str, int]:
    """By table, how many entries the sentences account for."""
    found = {}
    for pa, rows in re.findall(r"Level \d table (0x\w+): ([^.]*)\.", one.description):
        found[pa] = 0
        for row in rows.split("; "):
            first, last = re.match(r"(\d+)(?: to (\d+))? ", row).groups()
            found[pa] += int(last or first) - int(first) + 1
    return found


@pytest.mark.parametrize("made", [ft.programs, big, holes, jumbled, scattered, broken, looped])
def test_every_entry_of_every_table_shown_is_accounted_for(made):
    found = rows_of(table_of(made()))
    assert found and set(found.values()) == {512}


def test_tables_left_out_are_counted_and_those_of_fry_stay():
    one = table_of(holes())
    shown = len(rows_of(one))
    gone = int(re.search(r"left out: (\d+) level 0 tables", one.description)[1])
    assert shown + gone == len(holes().process(4)["tables"])
    assert "509 FRY" in one.description and "508 SHRIMP" in one.description


def test_every_table_shown_has_a_line_from_its_entry():
    one = table_of(scattered())
    shown = set(rows_of(one))
    children = [re.fullmatch(r"entry \d+ at (0x\w+) points to table (0x\w+)", tip).groups() for tip, _ in pictures.lines(one.scene)]
    assert {child for _, child in children} == shown - {"0x87c04000"}
    assert {f"{int(entry, 16) & -PAGE:#x}" for entry, _ in children} <= shown


def test_entry_that_leads_nowhere_is_marked():
    one = table_of(looped())
    assert len([line for line in said(one) if line.startswith("! ")]) == 2
    assert grounds(one, "entry-0x87c04028", "entry-0x87c04030") == {style.FILL_WRONG}


def test_words_of_a_table_are_as_the_golden_file_has_them(golden):
    golden("table.txt", pictures.told({
        "a child": table_of(ft.programs()), "runs": table_of(big(400)), "copied on write": table_of(copied()), "much is wrong": table_of(broken()),
        "a circle": table_of(looped()), "left out": table_of(holes()), "no page table": table_of(without_table()),
        "the kernel": table.draw_kernel(documents.parse(kernel_table().text()))}))


def kernel_table() -> ft.Family:
    """Three tables: 11 pages of text, the rest of 2 MiB, 600 superpages that go on in the next table, 64 stacks."""
    made = ft.programs()
    root, l1, next_l1, l0, top1, top0 = (0x80050000 + PAGE * i for i in range(6))

    def pointer(pa: int, level: int, entry: int, va: int) -> dict:
        return {"pa": hex(pa), "level": level, "entry": hex(entry), "va": hex(va), "pte": hex(pa >> 2 | 1)}

    def run(va: int, pa: int, level: int, n: int, flags: str, at: int, region: str) -> dict:
        bits = sum(1 << i for i, letter in enumerate(flags) if letter != "-")
        return {"va": hex(va), "pa": hex(pa), "level": level, "n_pages": n, "flags": flags, "pte": hex(pa >> 2 | bits),
                "pte_at": hex(at), "region": region}
    made.json["kernel_table"] = {
        "root": hex(root), "findings": [],
        "tables": [{"pa": hex(root), "level": 2, "entry": None, "va": "0x0", "pte": None},
                   pointer(l1, 1, root + 16, 0x80000000), pointer(l0, 0, l1, 0x80000000), pointer(next_l1, 1, root + 24, 0xC0000000),
                   pointer(top1, 1, root + 8 * 255, 0x3FC0000000), pointer(top0, 0, top1 + 8 * 511, 0x3FFFE00000)],
        "mappings": [run(0x80000000, 0x80000000, 0, 11, "VR-X----", l0, "text"),
                     run(0x8000B000, 0x8000B000, 0, 501, "VRW-----", l0 + 88, "ram"),
                     run(0x80200000, 0x80200000, 1, 600 * 512, "VRW-----", l1 + 8, "ram"),
                     *(run(0x3FFFF00000 + 0x2000 * i, 0x87000000 + PAGE * i, 0, 1, "VRW-----", top0 + 8 * (256 + 2 * i), "kstack")
                       for i in range(64))]}
    return made


def test_kernels_table_counts_runs_that_go_on_in_the_next_table():
    one = table.draw_kernel(documents.parse(kernel_table().text()))
    assert pictures.numbers(pictures.sentences(one)[1]) == [6, 5 + 512 + 600 + 64]
    assert set(rows_of(one).values()) == {512}
    assert "1 to 511 ram VRW--, from 0x80200000" in one.description
    assert "0 to 88 ram VRW--, from 0xc0000000" in one.description
    assert {(511, 2), (64,), (63,)} <= {tuple(pictures.numbers(line)) for line in said(one)}


def test_run_that_goes_on_has_the_entry_it_would_have_there():
    index = documents.parse(kernel_table().text())
    found = page_tables.PageTable(index, index.snapshot.kernel_table)
    first, = (e for e in found.entries[0x80052000] if e.mapping)
    assert (first.index, first.n, first.target, first.pte) == (0, 89, 0xC0000000, 0xC0000000 >> 2 | 0b111)


def test_entries_between_known_ones_are_not_made_up():
    index = documents.parse(ft.programs().text())
    found = page_tables.PageTable(index, index.processes[3])
    assert sum(e.n for entries in found.entries.values() for e in entries) == 12
    assert [e.index for e in found.entries[0x87C04000]] == [0, 255]


# diff

def rows_in(one: Drawing) -> dict[str, list[str]]:
    """By section of a diff, which is a process or the machine, its rows in sentences."""
    found = {}
    for section in pictures.sentences(one):
        head, colon, rows = section.removesuffix(".").partition(": ")
        found[head.split(",")[0]] = rows.split("; ") if colon else []
    return found


def test_fork_shows_the_child_and_what_it_shares():
    rows = rows_in(diff_of(ft.programs(), forked()))["7 shrimpdemo"]
    found = {row.split()[0]: row for row in rows}
    assert {"text", "data", "guard", "stack", "SHRIMP", "FRY", "trapframe", "trampoline"} <= set(found)
    assert found["SHRIMP"].endswith("RW-U 0x87f04000, FRY of 4, SHRIMP of 6") and found["FRY"].endswith("RW-U 0x87f07000")
    assert "7 shrimpdemo" in rows_in(diff_of(forked(), ft.programs()))


def remapped() -> ft.Family:
    """SHRIMP of pid 4 is another frame."""
    after = ft.programs()
    m = next(m for m in after.process(4)["mappings"] if m["region"] == "shrimp")
    m.update(pa="0x87f02000", pte=hex(0x87F02000 >> 2 | 0xD7))
    for f in after.json["frames"]:
        f["users"] = [u for u in f["users"] if (u["pid"], u["va"]) != (4, hex(ft.SHRIMP))]
    after.use(0x87F02000, "user", 4, ft.SHRIMP)
    return after


def test_changed_entry_has_before_and_after_and_a_row_of_context_on_each_side():
    one = diff_of(ft.programs(), remapped())
    before, changed, after = rows_in(one)["4 shrimpdemo"]
    assert before.startswith("stack ") and after.startswith("FRY ")
    assert changed.startswith("SHRIMP ") and re.findall("RW-U (0x[0-9a-f]+)", changed) == ["0x87f03000", "0x87f02000"]
    assert changed.endswith(", FRY of 2, SHRIMP of 3")
    lines = said(one)
    assert lines.count("~") == 3      # of the process, of the entry, and what it means


def ended() -> ft.Family:
    after = ft.programs()
    after.process(4).update(state="ZOMBIE", parent=1)
    after.json["free"]["count"] = 5
    return after


def test_state_parent_and_free_frames_are_rows():
    rows = rows_in(diff_of(ft.programs(), ended()))
    assert rows["4 shrimpdemo"] == ["state changed: SLEEPING to ZOMBIE", "parent changed: 3 to 1"]
    machine, = (found for name, found in rows.items() if name.startswith(diff.MACHINE))
    assert [pictures.numbers(row) for row in machine] == [[1, 5]]


def test_nothing_changed():
    one = diff_of(ft.programs(), ft.programs())
    assert not [line for line in said(one) if line in ("before", "after")] and len(pictures.sentences(one)) == 3


def test_words_of_a_diff_are_as_the_golden_file_has_them(golden):
    golden("diff.txt", pictures.told({
        "a fork": diff_of(ft.programs(), forked()), "an end": diff_of(forked(), ft.programs()), "another frame": diff_of(ft.programs(), remapped()),
        "state and parent": diff_of(ft.programs(), ended()), "nothing": diff_of(ft.programs(), ft.programs()),
        "left out": diff_of(ft.programs(), holes())}))


def test_rows_of_a_diff_left_out_are_counted_and_fry_stays():
    one = diff_of(ft.programs(), holes())
    n = int(re.search(r"(\d+) rows left out", one.description)[1])
    assert n + one.description.count("appeared:") == 16000 + 1      # the tables are one row
    many = diff_of(ft.Family().add(1, None), ft.programs())
    assert many.description.count("SHRIMP 0x") + many.description.count("FRY 0x") >= 9


def test_two_machines_are_not_compared():
    other = ft.programs()
    other.json["kernel"] = "other/kernel"
    with pytest.raises(VizError, match="kernel/kernel and other/kernel"):
        diff_of(ft.programs(), other)
    other = ft.programs()
    other.json["layout"]["ram_end"] = "0x90000000"
    with pytest.raises(VizError, match="^layout: "):
        diff_of(ft.programs(), other)


# Snapshots that contradict themselves, and kernels that are only wrong

def bend(path: list, value: object) -> str:
    made = ft.programs().json
    place = made
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return json.dumps(made)


P3 = ["processes", 3]


@pytest.mark.parametrize("path, value, words", [
    (["layout", "page_size"], 8192, ["layout.page_size: expected 4096", "8192"]),
    (["layout", "ram_end"], "0x1000", ["layout.ram_end", "0x80000000"]),
    ([*P3, "sz"], -1, ["processes[3].sz", "0 or more", "-1"]),
    ([*P3, "tables", 0, "level"], 3, ["processes[3].tables[0].level", "0 to 2"]),
    ([*P3, "tables", 1, "pa"], "0x87c04000", ["processes[3].tables[1].pa: "]),
    ([*P3, "tables", 1, "pa"], "0x100000000000000", ["processes[3].tables[1].pa", "56 bits"]),
    ([*P3, "tables", 1, "entry"], None, ["processes[3].tables[1].entry", "null for the root"]),
    ([*P3, "tables", 1, "entry"], "0x80000000", ["processes[3].tables[1].entry", "level 2 tables"]),
    ([*P3, "tables", 1, "pte"], "0x1", ["processes[3].tables[1].pte: "]),
    ([*P3, "root"], "0x80000000", ["processes[3].tables[0].pa: expected the root, 0x80000000"]),
    ([*P3, "mappings", 0, "level"], 3, ["processes[3].mappings[0].level", "0 to 2"]),
    ([*P3, "mappings", 0, "n_pages"], 512, ["processes[3].mappings[0].n_pages: expected 1, as level 0 maps, found 512"]),
    ([*P3, "mappings", 1, "va"], "0x0", ["processes[3].mappings[1].pte_at: expected the entry for 0x0"]),
    ([*P3, "mappings", 0, "va"], "0x8000000000", ["processes[3].mappings[0].va", "Sv39"]),
    ([*P3, "mappings", 0, "pa"], "0x100000000000000", ["processes[3].mappings[0].pa", "56 bits"]),
    ([*P3, "mappings", 0, "pa"], "0x80001000", ["processes[3].mappings[0].pte: expected a PTE that decodes to 0x80001000"]),
    ([*P3, "mappings", 0, "flags"], "VRWXU-A-", ["processes[3].mappings[0].flags: ", "VR-XU-A-"]),
    ([*P3, "mappings", 0, "pte_at"], "0x87000000", ["processes[3].mappings[0].pte_at", "level 0 tables"]),
    (["free", "runs"], [["0x80100000", 2], ["0x80101000", 1]], ["free.runs[1]: ", "free.runs[0]"]),
    (["free", "runs"], [["0x80100000", 0]], ["free.runs[0][1]", "one frame or more"]),
    (["frames", 0, "n_pages"], 9999, ["frames[1]: "]),
    (["frames", 0, "pa"], "0x80000001", ["frames[0].pa", "a frame's physical address"]),
], ids=range(22))
def test_contradiction_is_one_line_that_names_the_place(path: list, value: object, words: list[str]):
    with pytest.raises(VizError) as caught:
        documents.parse(bend(path, value))
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_address_mapped_twice_is_a_contradiction():
    made = ft.programs()
    made.process(4)["mappings"].append(dict(made.process(4)["mappings"][0]))
    with pytest.raises(VizError, match=r"mappings\[8\].va: expected each address mapped once"):
        documents.parse(made.text())


@pytest.mark.parametrize("made", [broken, looped, kernel_table, hostile, without_table])
def test_wrong_kernel_is_no_contradiction(made):
    documents.parse(made().text())


def test_file_from_before_tables_had_their_entries_value_is_read():
    made = ft.programs()
    for p in made.json["processes"]:
        for t in p["tables"]:
            del t["pte"]
    one = walk_of(made)
    assert "Physical address 0x87f03000" in one.description
    assert "0x21f41001" not in said(one) and "0x21fc0cd7" in said(one)      # a pointer's value is not known, a leaf's is


# The command line

def run(*arguments: str, stdin: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(VIZ), *arguments], input=stdin, capture_output=True, text=True, cwd=cwd)


@pytest.fixture
def snapshot_file(tmp_path: Path) -> Path:
    path = tmp_path / "snapshot.json"
    path.write_text(ft.programs().text())
    return path


def test_one_process_or_several_or_all(snapshot_file: Path, tmp_path: Path):
    assert run("address-space", str(snapshot_file), "-o", "a.dot", cwd=tmp_path).stdout == "a.dot\n"
    assert "3 shrimpdemo" in (tmp_path / "a.dot").read_text()        # it was running
    assert run("table", str(snapshot_file), "--pid", "2,4", "-o", "t.dot", cwd=tmp_path).stdout == "t-2.dot\nt-4.dot\n"
    done = run("address-space", str(snapshot_file), "--all", "-o", "all.dot", cwd=tmp_path)
    assert done.stdout.split() == [f"all-{pid}.dot" for pid in range(1, 7)]


def test_kernels_table_from_the_command_line(tmp_path: Path):
    done = run("table", "-", "--kernel", "-o", "k.dot", stdin=kernel_table().text(), cwd=tmp_path)
    assert done.returncode == 0 and "0x80050000" in (tmp_path / "k.dot").read_text()


def test_walk_takes_addresses_of_two_processes(snapshot_file: Path, tmp_path: Path):
    done = run("walk", str(snapshot_file), "--va", "3:fry", "--va", "4:shrimp", "-o", "w.dot", cwd=tmp_path)
    assert done.returncode == 0 and {"0x87c03000", "0x87c04000"} <= set(re.findall("0x[0-9a-f]+", (tmp_path / "w.dot").read_text()))


def test_diff_takes_two_files(snapshot_file: Path, tmp_path: Path):
    (tmp_path / "after.json").write_text(forked().text())
    assert run("diff", str(snapshot_file), str(tmp_path / "after.json"), "-o", "d.svg", cwd=tmp_path).stdout == "d.svg\n"
    ET.parse(tmp_path / "d.svg")


@pytest.mark.parametrize("arguments, words", [
    (["address-space", "-", "--pid", "99"], ["99", "1, 2, 3"]),
    (["walk", "-", "--va", "x:fry"], ["--va", "x"]),
    (["walk", "-", "--va", "99:fry"], ["99"]),
    (["diff", "-", "-"], ["two files"]),
    (["diff", "-"], ["AFTER"]),
    (["table", "-", "--pid", "1", "--kernel"], ["not allowed with"]),
], ids=range(6))
def test_wrong_arguments_are_one_line(arguments: list[str], words: list[str]):
    done = run(*arguments, "-o", "/nonexistent/a.dot", stdin=ft.programs().text())
    assert done.returncode == 2 and done.stderr.startswith("viz: ") and done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr

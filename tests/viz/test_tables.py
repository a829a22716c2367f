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
from drawing import address_space, diff, drawing, kit, render, snapshot_json, style, table, tables, walk      # noqa: E402
from drawing.errors import VizError                                 # noqa: E402

PAGE = 4096
A4_PT = 896             # of height: 700 pt of text on A4, shrunk as MAX_WIDTH_PT is to 453


def space_of(made: ft.Family, pid: int = 4) -> drawing.Drawing:
    snapshot = snapshot_json.parse(made.text())
    return address_space.draw(snapshot, next(p for p in snapshot.processes if p.pid == pid))


def table_of(made: ft.Family, pid: int = 4) -> drawing.Drawing:
    snapshot = snapshot_json.parse(made.text())
    return table.draw(snapshot, next(p for p in snapshot.processes if p.pid == pid))


def walk_of(made: ft.Family, *said: str) -> drawing.Drawing:
    """As --va: "4:fry"; pid 4 where there is none."""
    snapshot = snapshot_json.parse(made.text())
    wanted = []
    for one in said or ("fry", "shrimp"):
        pid, _, va = one.rpartition(":")
        wanted.append(walk.address(snapshot, next(p for p in snapshot.processes if p.pid == int(pid or 4)), va))
    return walk.draw(snapshot, wanted)


def diff_of(before: ft.Family, after: ft.Family) -> drawing.Drawing:
    texts = before.text(), after.text()
    return diff.draw(*map(snapshot_json.parse, texts), kit.changes.between(*map(kit.snapshot, texts)))


def svg_of(one: drawing.Drawing) -> bytes:
    return pictures.svg_of(one)


def said(one: drawing.Drawing) -> list[str]:
    return [t.said for t in pictures.texts(svg_of(one))]


def sentences(one: drawing.Drawing) -> list[str]:
    return re.split(r"(?<=\.) ", one.description)


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
    assert pictures.tips(svg_of(space_of(ft.programs())))["page-0x3fffffd000"] == (
        "0x3fffffd000 to 0x87f04000, VRW-U-AD: PTE at 0x87e04fe8 = 0x21fc10d7")


@pytest.mark.parametrize("figure", ["space", "table", "walk", "diff"])
def test_name_is_shown_as_it_is(figure: str):
    one = FIGURES[figure](hostile())
    assert any('4 <b>&"]]>\\N\\' in line for line in said(one))


def test_same_snapshot_gives_the_same_bytes_whatever_the_order_and_the_hash_seed():
    code = (f"import sys; sys.path.insert(0, {str(VIZ)!r})\n"
            "from drawing import address_space, diff, kit, render, snapshot_json, table, walk\n"
            "before, after = sys.stdin.read().split('\\0')\n"
            "s = snapshot_json.parse(after); p = [p for p in s.processes if p.pid == 4][0]\n"
            "change = kit.changes.between(kit.snapshot(before), kit.snapshot(after))\n"
            "for d in (address_space.draw(s, p), table.draw(s, p), walk.draw(s, [walk.address(s, p, a) for a in ('fry', 'text')]),\n"
            "          diff.draw(snapshot_json.parse(before), s, change)):\n"
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
    regions = ["trampoline", "trapframe", "FRY", "SHRIMP", "255.99 GiB not mapped", "stack", "guard", "data", "text"]
    assert [line for line in lines if line in regions] == regions
    addresses = [int(line, 16) for line in lines if re.fullmatch("0x[0-9a-f]+", line)]
    borders = [0x4000000000, 0x3FFFFFF000, 0x3FFFFFE000, 0x3FFFFFD000, 0x3FFFFFC000, 0x4000, 0x3000, 0x2000, 0x1000, 0]
    assert [a for a in addresses if a in borders] == borders


def test_sentences_of_an_address_space():
    assert sentences(space_of(ft.programs())) == [
        "kernel/kernel stopped: hart 1, supervisor mode, pid 3 shrimpdemo, sys_pause() sysproc.c:71.",
        "SLEEPING, child of 3, size 16 KiB, root table 0x87c04000.",
        "0x3ffffff000 to 0x4000000000: trampoline, 1 page, R-X-, frame 0x80008000.",
        "0x3fffffe000 to 0x3ffffff000: trapframe, 1 page, RW--, frame 0x84404000.",
        "0x3fffffd000 to 0x3fffffe000: FRY, 1 page, RW-U, frame 0x87f04000, also SHRIMP of 6.",
        "0x3fffffc000 to 0x3fffffd000: SHRIMP, 1 page, RW-U, frame 0x87f03000, also FRY of 3, SHRIMP of 5.",
        "0x4000 to 0x3fffffc000: 255.99 GiB not mapped.",
        "0x3000 to 0x4000: stack, 1 page, RW-U, frame 0x84403000.",
        "0x2000 to 0x3000: guard, 1 page, RW--, frame 0x84402000.",
        "0x1000 to 0x2000: data, 1 page, RW-U, frame 0x84401000.",
        "0x0 to 0x1000: text, 1 page, R-XU, frame 0x84400000."]


def test_shared_rows_are_filled_and_lead_to_frames_with_their_users():
    one = space_of(ft.programs())
    lines = said(one)
    at = lines.index("frame 0x87f03000")
    assert lines[at:at + 6] == ["frame 0x87f03000", "kmem.refs 3", "F", "FRY of 3", "S", "SHRIMP of 4, 5"]
    assert grounds(one, "page-0x3fffffd000", "page-0x3fffffc000") == {style.FILL_FRAME}
    assert grounds(one, "page-0x2000", "page-0x3fffffe000", "page-0x3ffffff000") == {style.FILL_QUIET}
    assert grounds(one, "page-0x1000") == {style.PAPER}
    assert arrows(one) == [("0x87f04000", style.LINE_FRY, "solid"), ("0x87f03000", style.LINE_SHRIMP, "dashed")]


def grounds(one: drawing.Drawing, *names: str) -> set[str]:
    """What is drawn below the middle of the text of each of these groups: the fill that lies on top there."""
    places, found = pictures.places(one.scene), set()
    for name in names:
        x, y = places[name]
        found |= {pictures.ground(one.scene, x, y)}
    return found


def arrows(one: drawing.Drawing) -> list[tuple[str, str, str]]:
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
    assert "FRY, 1 page, RW-U, frame 0x1000, also FRY of 1, SHRIMP of 2." in space_of(made, 2).description
    assert "Physical address 0x1000, FRY of 1, 2, SHRIMP of 2." in walk_of(made, "2:fry").description


def test_notes_stand_below_the_frames():
    made = ft.demo()        # FRY and SHRIMP alone: the column is shorter than the frames beside it
    at = {t.said: t.top for t in pictures.texts(svg_of(space_of(made)))}
    assert at["R W X U"] > at["SHRIMP of 4, 5"] and at["R W X U"] > at["0x0"]


def test_page_that_nobody_shares_has_no_frame_and_says_so():
    lines = said(space_of(ft.programs(), 6))
    assert "my page, not shared" in lines and "frame 0x87f06000" not in lines


def test_first_process_has_no_shrimp():
    assert "no SHRIMP: it has no parent" in said(space_of(ft.programs(), 1))


@pytest.mark.parametrize("made, row", [
    (lambda: big(400), "0x100000 to 0x290000: heap, 400 pages, RW-U, frames from 0x81000000."),
    (lambda: big(4, PAGE, lambda i: 0x81000000 + 0x2000 * i), "0x100000 to 0x104000: heap, 4 pages, RW-U, 4 runs of frames."),
    (copied, "0x100000 to 0x2f4000: heap, 500 pages, R--U, frames from 0x85000000, also same page of 5."),
    (broken, "0x40000000 to 0x40200000: other, 512 pages, RW-U, frames from 0x80200000."),
], ids=["run", "runs", "shared", "superpage"])
def test_pages_that_are_alike_are_one_row(made, row: str):
    found = sentences(space_of(made()))
    assert row in found


def test_pages_with_a_hole_between_them_are_two_rows():
    found = [line for line in sentences(space_of(big(2, 2 * PAGE))) if "0x10" in line]
    assert found[1:5] == ["0x102000 to 0x103000: heap, 1 page, RW-U, frame 0x81001000.", "0x101000 to 0x102000: 4 KiB not mapped.",
                         "0x100000 to 0x101000: heap, 1 page, RW-U, frame 0x81000000.", "0x4000 to 0x100000: 1008 KiB not mapped."]


def test_what_is_left_out_of_an_address_space_is_counted_and_adds_up():
    one = space_of(holes())
    mapped = sum(int(n) for n in re.findall(r": [\w ]+, (\d+) pages?, [RWXU-]{4}", one.description))
    gone = sum(int(n) for n in re.findall(r"rows left out, (\d+) pages", one.description))
    assert mapped + gone == 16000 + 8 and gone > 15000
    assert f"left out: {gone} rows of {gone} pages" in one.description
    assert {"FRY", "SHRIMP", "trapframe", "trampoline"} <= set(said(one))


@pytest.mark.parametrize("made", [scattered, holes, broken])
def test_rows_cover_the_whole_space_without_a_hole(made):
    spans = [tuple(int(a, 16) for a in m) for m in re.findall(r"(0x\w+) to (0x\w+):", space_of(made()).description)]
    if made is broken:      # it goes on above the lower half
        spans = [s for s in spans if s[0] < 1 << 38]
    assert spans[0][1] == 0x4000000000 and spans[-1][0] == 0
    assert all(upper[0] == lower[1] for upper, lower in zip(spans, spans[1:]))


def test_what_is_wrong_is_told_at_its_row():
    found = space_of(broken())
    assert "Wrong: heap 0x11000: also a page table of pid 5." in found.description
    assert "Wrong: heap 0x11000: on the free list, yet mapped." in found.description
    assert "Wrong: heap 0x10000: outside RAM." in found.description
    assert "Wrong" not in space_of(ft.programs()).description and "!" not in said(space_of(ft.programs()))


def test_process_without_a_table_and_one_without_a_page():
    assert "this process has no page table" in said(space_of(without_table()))
    made = ft.Family().add(1, None, fry=None)
    assert "this process has no page table" in said(space_of(made, 1))
    made._table(made.process(1), 0, 2)
    assert "its page table maps nothing" in said(space_of(made, 1))


def test_kernel_without_fry_is_drawn_all_the_same():
    made = ft.programs()
    made.json["layout"].update(fry=None, shrimp=None)
    assert "FRY and SHRIMP are not known in this kernel" in said(space_of(made))


# walk

def test_sentences_of_a_walk():
    assert sentences(walk_of(ft.programs(), "4:0x3fffffc010")) == [
        "kernel/kernel stopped: hart 1, supervisor mode, pid 3 shrimpdemo, sys_pause() sysproc.c:71.",
        "S: SHRIMP 0x3fffffc010 in 4 shrimpdemo, VPN[2] 255, VPN[1] 511, VPN[0] 508, offset 0x10, root table 0x87c04000.",
        "Level 2: entry 255 at 0x87c047f8 = 0x21f41001, pointer V------- -> table 0x87d04000.",
        "Level 1: entry 511 at 0x87d04ff8 = 0x21f81001, pointer V------- -> table 0x87e04000.",
        "Level 0: entry 508 at 0x87e04fe0 = 0x21fc0cd7, leaf VRW-U-AD -> 0x87f03000.",
        "Physical address 0x87f03010, FRY of 3, SHRIMP of 4, 5."]


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
    assert "F of 3 and S of 4 end in one frame, 0x87f03000." in one.description


def test_frame_is_filled_as_shared_only_when_it_is():
    one = walk_of(ft.programs(), "fry", "stack")
    fill = {t.said: pictures.ground(one.scene, t.x, t.middle) for t in pictures.all_texts(one.scene)
            if t.bold and t.said in ("0x87f04000", "0x84403000")}
    assert fill == {"0x87f04000": style.FILL_FRAME, "0x84403000": style.FILL_PATH}


def test_title_names_three_processes_within_the_page():
    one = walk_of(ft.programs(), "3:0x3fffffd010", "4:shrimp", "5:0x3fffffc018")
    assert one.title == "How FRY of 3, SHRIMP of 4 and SHRIMP of 5 translate"
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
    assert "Page fault: level 0: V is clear in entry 5." in one.description
    assert "! page fault" in said(one) and "frame" not in said(one)
    early = walk_of(ft.programs(), "0x40000000")
    assert "Page fault: level 2: V is clear in entry 1." in early.description
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
    assert "Level 1: entry 5 at 0x87c04028 = 0x21f01001" in one.description
    assert "Level 0: entry 255 at 0x87c047f8" in one.description
    assert "Page fault: level 0: a pointer" in one.description
    out = walk_of(looped(), hex(6 << 30))
    assert "the table cannot be read" in out.description
    for one in (one, out):
        pictures.assert_readable(svg_of(one), style.MAX_WIDTH_PT)


@pytest.mark.parametrize("name, va", [("fry", 0x3FFFFFD000), ("SHRIMP", 0x3FFFFFC000), ("text", 0), ("stack", 0x3000),
                                      ("trapframe", 0x3FFFFFE000), ("0x1234", 0x1234), ("4096", 4096)])
def test_address_by_region_or_number(name: str, va: int):
    snapshot = snapshot_json.parse(ft.programs().text())
    assert walk.address(snapshot, snapshot.processes[3], name).va == va


@pytest.mark.parametrize("draw, words", [
    (lambda: walk_of(ft.programs(), "pudding"), ["an address or a region", "'pudding'", "stack"]),
    (lambda: walk_of(ft.programs(), "0x8000000000"), ["Sv39", "0x8000000000"]),
    (lambda: walk_of(ft.programs(), "1", "2", "3", "4"), ["1 to 3 addresses", "found 4"]),
    (lambda: walk_of(without_table(), "0x1000"), ["pid 4", "page table", "ZOMBIE"]),
    (lambda: table.draw_kernel(snapshot_json.parse(json.dumps({**ft.demo().json, "kernel_table": {
        "root": None, "tables": [], "mappings": [], "findings": []}}))), ["kernel_table.root"]),
], ids=range(5))
def test_what_cannot_be_walked_is_one_line(draw, words: list[str]):
    with pytest.raises(VizError) as caught:
        draw()
    assert "\n" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


# table

def rows_of(one: drawing.Drawing) -> dict[str, int]:
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


def test_sentences_of_a_table():
    lines = sentences(table_of(ft.programs()))
    assert lines[1] == "root table 0x87c04000; 5 tables, 12 valid entries."
    assert lines[2] == ("Level 2 table 0x87c04000: 0 to table 0x86007000; 1 to 254 invalid; 255 to table 0x87d04000; "
                        "256 to 511 invalid.")
    assert lines[-1] == ("Level 0 table 0x87e04000: 0 to 507 invalid; 508 SHRIMP VRW-U, from 0x87f03000, also FRY of 3, "
                         "SHRIMP of 5; 509 FRY VRW-U, from 0x87f04000, also SHRIMP of 6; 510 trapframe VRW--, from 0x84404000; "
                         "511 trampoline VR-X-, from 0x80008000.")


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
    assert "5 to table 0x87c04000, wrong: points to table 0x87c04000" in one.description
    assert any(line.startswith("! points to") for line in said(one))


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
    one = table.draw_kernel(snapshot_json.parse(kernel_table().text()))
    assert f"6 tables, {5 + 512 + 600 + 64} valid entries" in one.description
    assert set(rows_of(one).values()) == {512}
    assert "1 to 511 ram VRW--, from 0x80200000" in one.description
    assert "0 to 88 ram VRW--, from 0xc0000000" in one.description
    lines = said(one)
    assert "511 superpages of 2 MiB" in lines and "64 pages" in lines and "63 invalid between" in lines


def test_run_that_goes_on_has_the_entry_it_would_have_there():
    found = tables.PageTable(snapshot_json.parse(kernel_table().text()).kernel_table)
    first, = (e for e in found.entries[0x80052000] if e.mapping)
    assert (first.index, first.n, first.target, first.pte) == (0, 89, 0xC0000000, 0xC0000000 >> 2 | 0b111)


def test_entries_between_known_ones_are_not_made_up():
    snapshot = snapshot_json.parse(ft.programs().text())
    found = tables.PageTable(snapshot.processes[3])
    assert sum(e.n for entries in found.entries.values() for e in entries) == 12
    assert found.n_invalid(0x87C04000) == 510


# diff

def test_fork_shows_the_child_and_what_it_shares():
    one = diff_of(ft.programs(), forked())
    assert one.description.endswith(
        "7 shrimpdemo, SLEEPING, child of 4 appeared: 5 tables appeared: 0x86012000, 0x86013000 …; "
        "text 0x0, 1 page appeared: R-XU 0x84700000; data 0x1000, 1 page appeared: RW-U 0x84701000; "
        "guard 0x2000, 1 page appeared: RW-- 0x84702000; stack 0x3000, 1 page appeared: RW-U 0x84703000; "
        "SHRIMP 0x3fffffc000, 1 page appeared: RW-U 0x87f04000, FRY of 4, SHRIMP of 6; "
        "FRY 0x3fffffd000, 1 page appeared: RW-U 0x87f07000; trapframe 0x3fffffe000, 1 page appeared: RW-- 0x84704000; "
        "trampoline 0x3ffffff000, 1 page appeared: R-X- 0x80008000.") or "0x86012000" not in one.description
    assert "SHRIMP 0x3fffffc000, 1 page appeared: RW-U 0x87f04000, FRY of 4, SHRIMP of 6" in one.description
    assert "shrimpdemo, SLEEPING, child of 4 went" in diff_of(forked(), ft.programs()).description


def test_changed_entry_has_before_and_after_and_a_row_of_context_on_each_side():
    after = ft.programs()
    m = next(m for m in after.process(4)["mappings"] if m["region"] == "shrimp")
    m.update(pa="0x87f02000", pte=hex(0x87F02000 >> 2 | 0xD7))
    for f in after.json["frames"]:
        f["users"] = [u for u in f["users"] if (u["pid"], u["va"]) != (4, hex(ft.SHRIMP))]
    after.use(0x87F02000, "user", 4, ft.SHRIMP)
    one = diff_of(ft.programs(), after)
    assert sentences(one)[-1] == (
        "4 shrimpdemo, SLEEPING, child of 3 changed: stack 0x3000, 1 page as it was: RW-U 0x84403000; "
        "SHRIMP 0x3fffffc000, 1 page changed: RW-U 0x87f03000 to RW-U 0x87f02000, FRY of 2, SHRIMP of 3; "
        "FRY 0x3fffffd000, 1 page as it was: RW-U 0x87f04000, SHRIMP of 6.")
    lines = said(one)
    assert lines.count("~") == 3      # of the process, of the entry, and what it means


def test_state_parent_and_free_frames_are_rows():
    after = ft.programs()
    after.process(4).update(state="ZOMBIE", parent=1)
    after.json["free"]["count"] = 5
    one = diff_of(ft.programs(), after)
    assert "state changed: SLEEPING to ZOMBIE; parent changed: 3 to 1" in one.description
    assert "the machine changed: free list changed: 1 frames to 5 frames" in one.description


def test_nothing_changed():
    assert "nothing has changed in processes, page tables or free frames" in said(diff_of(ft.programs(), ft.programs()))


def test_rows_of_a_diff_left_out_are_counted_and_fry_stays():
    one = diff_of(ft.programs(), holes())
    n = int(re.search(r"(\d+) rows left out", one.description)[1])
    assert n + one.description.count("appeared:") == 16000 + 1      # the tables are one row
    many = diff_of(ft.Family().add(1, None), ft.programs())
    assert many.description.count("SHRIMP 0x") + many.description.count("FRY 0x") >= 9


def test_two_machines_are_not_compared():
    other = ft.programs()
    other.json["kernel"] = "other/kernel"
    with pytest.raises(VizError, match="one kernel, found kernel/kernel and other/kernel"):
        diff_of(ft.programs(), other)
    other = ft.programs()
    other.json["layout"]["ram_end"] = "0x90000000"
    with pytest.raises(VizError, match="layout: expected two snapshots of one machine"):
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
    ([*P3, "tables", 1, "pa"], "0x87c04000", ["processes[3].tables[1].pa: expected each table once"]),
    ([*P3, "tables", 1, "pa"], "0x100000000000000", ["processes[3].tables[1].pa", "56 bits"]),
    ([*P3, "tables", 1, "entry"], None, ["processes[3].tables[1].entry", "null for the root"]),
    ([*P3, "tables", 1, "entry"], "0x80000000", ["processes[3].tables[1].entry", "level 2 tables"]),
    ([*P3, "tables", 1, "pte"], "0x1", ["processes[3].tables[1].pte: expected a pointer"]),
    ([*P3, "root"], "0x80000000", ["processes[3].tables[0].pa: expected the root, 0x80000000"]),
    ([*P3, "mappings", 0, "level"], 3, ["processes[3].mappings[0].level", "0 to 2"]),
    ([*P3, "mappings", 0, "n_pages"], 512, ["processes[3].mappings[0].n_pages: expected 1, as level 0 maps, found 512"]),
    ([*P3, "mappings", 1, "va"], "0x0", ["processes[3].mappings[1].pte_at: expected the entry for 0x0"]),
    ([*P3, "mappings", 0, "va"], "0x8000000000", ["processes[3].mappings[0].va", "Sv39"]),
    ([*P3, "mappings", 0, "pa"], "0x100000000000000", ["processes[3].mappings[0].pa", "56 bits"]),
    ([*P3, "mappings", 0, "pa"], "0x80001000", ["processes[3].mappings[0].pte: expected a PTE that decodes to 0x80001000"]),
    ([*P3, "mappings", 0, "flags"], "VRWXU-A-", ["processes[3].mappings[0].flags: expected those of PTE", "VR-XU-A-"]),
    ([*P3, "mappings", 0, "pte_at"], "0x87000000", ["processes[3].mappings[0].pte_at", "level 0 tables"]),
    (["free", "runs"], [["0x80100000", 2], ["0x80101000", 1]], ["free.runs[1]: expected each frame once", "free.runs[0]"]),
    (["free", "runs"], [["0x80100000", 0]], ["free.runs[0].n_pages", "one frame or more"]),
    (["frames", 0, "n_pages"], 9999, ["frames[1]: expected each frame once"]),
    (["frames", 0, "pa"], "0x80000001", ["frames[0].pa", "a frame's physical address"]),
], ids=range(22))
def test_contradiction_is_one_line_that_names_the_place(path: list, value: object, words: list[str]):
    with pytest.raises(VizError) as caught:
        snapshot_json.parse(bend(path, value))
    assert "\n" not in str(caught.value) and "take the snapshot again" in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_address_mapped_twice_is_a_contradiction():
    made = ft.programs()
    made.process(4)["mappings"].append(dict(made.process(4)["mappings"][0]))
    with pytest.raises(VizError, match=r"mappings\[8\].va: expected each address mapped once"):
        snapshot_json.parse(made.text())


@pytest.mark.parametrize("made", [broken, looped, kernel_table, hostile, without_table])
def test_wrong_kernel_is_no_contradiction(made):
    snapshot_json.parse(made().text())


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
    assert done.returncode == 0 and "The page table of the kernel" in (tmp_path / "k.dot").read_text()


def test_walk_takes_addresses_of_two_processes(snapshot_file: Path, tmp_path: Path):
    done = run("walk", str(snapshot_file), "--va", "3:fry", "--va", "4:shrimp", "-o", "w.dot", cwd=tmp_path)
    assert done.returncode == 0 and "How FRY of 3 and SHRIMP of 4 translate" in (tmp_path / "w.dot").read_text()


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

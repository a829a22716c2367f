"""The RAM map: every frame counted once, the leaked ones marked where a rule says so."""
from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

VIZ = Path(__file__).resolve().parents[2] / "viz"
sys.path[:0] = [str(VIZ), str(Path(__file__).parent)]

import family_tree as ft                                            # noqa: E402
import pictures                                                      # noqa: E402
from drawing import ram, ram_map, render, snapshot_json, style       # noqa: E402

N_FRAMES = 32768
LOST = 0x80050000
RAM = ft.RAM_BASE


def whole(made: ft.Family, lost: tuple[int, ...] = ()) -> ft.Family:
    """The same with every frame accounted for: free unless used, or lost."""
    frames = made.json["frames"]
    for p in made.json["processes"]:
        for t in p["tables"]:
            frames.append({"pa": t["pa"], "n_pages": 1,
                           "users": [{"kind": "table", "pid": p["pid"], "va": t["va"], "name": None}]})
    frames.sort(key=lambda f: int(f["pa"], 16))
    taken = sorted({int(f["pa"], 16) for f in frames} | set(lost))
    at, runs = 0x80022000, []
    for pa in [*taken, 0x88000000]:
        if pa > at:
            runs.append([hex(at), (pa - at) // 4096])
        at = pa + 4096
    made.json["free"].update(runs=runs)
    made.json["lost"] = [[hex(pa), 1] for pa in lost]
    made.json["counts"]["values"] = [[f["pa"], len(f["users"])] for f in frames]
    made.json["kernel_table"]["root"] = None
    return ft.at_rest(made)


def judged(made: ft.Family) -> ft.Family:
    """The same with a table of the kernel's, without which no frame can be accounted for."""
    made.json["kernel_table"] = {"root": "0x80030000", "mappings": [], "findings": [], "tables": [
        {"pa": "0x80030000", "level": 2, "entry": None, "va": "0x0", "pte": None}]}
    return made


def fragmented(n_processes: int = 64, n_pages: int = 28) -> ft.Family:
    """Every second frame of a stretch is free."""
    made = ft.Family().add(1, None, "init")
    for pid in range(2, n_processes + 1):
        made.add(pid, pid // 2)
    frames, at = [], 0x80100000
    for pid in range(1, n_processes + 1):
        for i in range(n_pages):
            made.map(pid, 0x1000 * i, at, used=False)
            frames.append({"pa": hex(at), "n_pages": 1,
                           "users": [{"kind": "user", "pid": pid, "va": hex(0x1000 * i), "name": None}]})
            at += 0x2000
    made.json["frames"] += frames
    return whole(made)


def draw(made: ft.Family):
    return ram.draw(snapshot_json.parse(made.text()))


def svg_of(made: ft.Family) -> bytes:
    return pictures.svg_of(draw(made))


def legend(made: ft.Family) -> dict[str, int]:
    """What the legend says, by its words: frames."""
    said = pictures.groups(svg_of(made))["legend"].split("\n")
    found = {}
    for i, line in enumerate(said[:-1]):
        if re.fullmatch(r"[\d,]+", said[i + 1]):
            found[line] = int(said[i + 1].replace(",", ""))
    return found


MADE = [lambda: whole(ft.demo()), lambda: whole(ft.programs(), (LOST,)), fragmented, ft.demo, ft.Family,
        lambda: judged(whole(ft.demo(), (LOST, LOST + 0x5000)))]


@pytest.mark.parametrize("made", MADE, ids=range(len(MADE)))
def test_every_frame_is_counted_once_and_the_sum_is_all_of_ram(made):
    told = legend(made())
    assert told.pop("all of RAM, frames") == N_FRAMES == sum(told.values())
    pieces = ram_map.ram_map(snapshot_json.parse(made().text())).pieces
    assert pieces[0].pa == RAM and sum(p.n_frames for p in pieces) == N_FRAMES
    assert all(a.pa + 4096 * a.n_frames == b.pa for a, b in zip(pieces, pieces[1:]))


@pytest.mark.parametrize("made", MADE, ids=range(len(MADE)))
def test_figure_reads_well_on_a4(made):
    pictures.assert_readable(svg_of(made()), style.MAX_WIDTH_PT)


def test_frames_are_told_apart_by_what_they_are_for():
    told = legend(whole(ft.programs()))
    assert told["FRY that is SHRIMP of others"] == 4 and told["FRY, not shared"] == 2
    assert told["page table"] == len({t["pa"] for p in ft.programs().json["processes"] for t in p["tables"]})
    assert told["the kernel's image"] == 0x22


def test_shared_page_has_its_owner_and_its_users_in_words():
    svg = svg_of(whole(ft.demo())).decode()
    assert "0x87f03000, 1 frame: SHRIMP of pid 4, SHRIMP of pid 5, FRY of pid 3" in svg or re.search(
        r"0x87f03000, 1 frame: [^<]*FRY of pid 3[^<]*kmem.refs 3", svg)
    assert ">S3<" in svg


def test_lost_frame_is_marked_where_a_rule_failed():
    made = judged(whole(ft.demo(), (LOST,)))
    svg = svg_of(made).decode()
    assert "! lost: neither free nor used" in legend(made)
    assert f"! lost: {LOST:#x}" in pictures.groups(svg)["notes"]
    assert style.ALARM in svg


def test_lost_frame_is_not_marked_where_the_rules_hold_back():
    made = judged(whole(ft.demo(), (LOST,)))
    made.json["locks"][0].update(held=True, hart=1)
    svg = svg_of(made).decode()
    assert "no owner seen; not judged" in legend(made)
    assert style.ALARM not in svg
    assert "not judged: the lock kmem is held by hart 1" in pictures.groups(svg)["notes"]


def test_frame_that_is_free_and_in_use_is_counted_as_such_and_marked():
    made = whole(ft.demo().add(7, 1, "left", shrimp=0x87FA0000))
    made.json["free"]["runs"].append(["0x87fa0000", 1])
    made.json["free"]["runs"].sort()
    told = legend(made)
    assert told["! in use twice over"] == 1 and told["all of RAM, frames"] == N_FRAMES


def test_fragmented_ram_is_drawn_in_cells_of_several_frames_and_says_so():
    svg = svg_of(fragmented())
    scale = re.search(r"magnified: one cell is (\d+) frames, filled in proportion", "\n".join(
        t.said for t in pictures.texts(svg)))
    assert scale and int(scale[1]) > 1
    assert svg.count(b"<rect") < 6000
    zoom = pictures.groups(svg)["zoom"].split("\n")
    assert len([line for line in zoom if line.startswith("0x8")]) <= ram.MAX_ROWS


def test_unfragmented_ram_has_a_cell_for_each_frame():
    assert "magnified: one cell is one frame" in svg_of(whole(ft.demo())).decode()


def test_kernel_without_fry_still_has_a_map():
    made = whole(ft.demo())
    made.json["layout"].update(fry=None, shrimp=None)
    told = legend(made)
    assert told["all of RAM, frames"] == N_FRAMES and told["user memory"] == 6
    assert not [line for line in told if "FRY" in line]


def test_what_is_not_known_is_said():
    made = ft.Family()
    made.json["free"].update(runs=[], complete=False, why="a reason")
    made.json["layout"]["kernel_end"] = None
    told = legend(made)
    assert told == {"not known": N_FRAMES, "all of RAM, frames": N_FRAMES}
    assert "free list is not wholly known" in draw(made).description


def test_description_is_the_legend_in_words():
    made = judged(whole(ft.demo(), (LOST,)))
    said = draw(made).description
    assert "32768 frames." in said and "Wrong, lost: neither free nor used: 1 frame." in said
    assert "FRY that is SHRIMP of others: 4 frames." in said and f"lost: {LOST:#x}" in said


def test_same_snapshot_gives_the_same_bytes_under_another_hash_seed():
    code = (f"import sys; sys.path.insert(0, {str(VIZ)!r})\n"
            "from drawing import ram, matrix, fault, render, snapshot_json\n"
            "s = snapshot_json.parse(sys.stdin.read())\n"
            "for figure in (ram, matrix, fault):\n"
            "    for data in render.render(figure.draw(s), ['svg']): print(data.decode())")
    text = fragmented(20, 3).text()
    seen = {subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True, check=True,
                           env={**os.environ, "PYTHONHASHSEED": seed}).stdout for seed in "12"}
    assert len(seen) == 1 and len(seen.pop()) > 10000


def test_hostile_names_are_shown_as_they_are():
    made = whole(ft.demo())
    made.json["counts"]["name"] = made.json["kernel"] = '<b>&"\\N\x01\ud800'
    made.json["frames"][0]["users"].append({"kind": "kernel", "pid": None, "va": None, "name": '<&">'})
    pictures.assert_readable(svg_of(made), style.MAX_WIDTH_PT)


"""The RAM map: every frame counted once, the leaked ones marked where a rule says so."""
from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

VIZ = Path(__file__).resolve().parents[2] / "viz"
sys.path[:0] = [str(VIZ), str(Path(__file__).parent)]

import family_tree as ft                                            # noqa: E402
import pictures                                                      # noqa: E402
from drawing.figures import ram                 # noqa: E402
from drawing.model import documents, ram_map    # noqa: E402
from drawing.scene import style                 # noqa: E402

N_FRAMES = 32768
LOST = 0x80050000
RAM = ft.RAM_BASE
TOTAL = ""
SAYS = ram_map.PURPOSES


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
    return ram.draw(documents.parse(made.text()))


def svg_of(made: ft.Family) -> bytes:
    return pictures.svg_of(draw(made))


def legend(made: ft.Family) -> dict[str, int]:
    """What the legend says, by its words: frames; their sum, which is its last row, by TOTAL."""
    said = pictures.groups(svg_of(made))["legend"].split("\n")
    found = {}
    for i, line in enumerate(said[:-1]):
        if re.fullmatch(r"[\d,]+", said[i + 1]):
            found[line] = int(said[i + 1].replace(",", ""))
    _, total = found.popitem()
    return {**found, TOTAL: total}


MADE = [lambda: whole(ft.demo()), lambda: whole(ft.programs(), (LOST,)), fragmented, ft.demo, ft.Family,
        lambda: judged(whole(ft.demo(), (LOST, LOST + 0x5000)))]


@pytest.mark.parametrize("made", MADE, ids=range(len(MADE)))
def test_every_frame_is_counted_once_and_the_sum_is_all_of_ram(made):
    told = legend(made())
    assert told.pop(TOTAL) == N_FRAMES == sum(told.values())
    pieces = ram_map.ram_map(documents.parse(made().text())).pieces
    assert pieces[0].pa == RAM and sum(p.n_frames for p in pieces) == N_FRAMES
    assert all(a.pa + 4096 * a.n_frames == b.pa for a, b in zip(pieces, pieces[1:]))


@pytest.mark.parametrize("made", MADE, ids=range(len(MADE)))
def test_figure_reads_well_on_a4(made):
    pictures.assert_readable(svg_of(made()), style.MAX_WIDTH_PT)


def test_frames_are_told_apart_by_what_they_are_for():
    told = legend(whole(ft.programs()))
    assert told[SAYS["S"]] == 4 and told[SAYS["F"]] == 2
    assert told[SAYS["T"]] == len({t["pa"] for p in ft.programs().json["processes"] for t in p["tables"]})
    assert told[SAYS["I"]] == 0x22


def test_shared_page_has_its_owner_and_its_users_in_words():
    svg = svg_of(whole(ft.demo())).decode()
    tip = re.search("0x87f03000, ([^<]*)", svg)[1]
    assert {3, 4, 5} <= set(pictures.numbers(tip)) and "kmem.refs 3" in tip
    assert ">S3<" in svg


def test_lost_frame_is_marked_where_a_rule_failed():
    made = judged(whole(ft.demo(), (LOST,)))
    svg = svg_of(made).decode()
    assert legend(made)["! " + SAYS["L"]] == 1
    assert f"! lost: {LOST:#x}" in pictures.groups(svg)["notes"]
    assert style.ALARM in svg


def held_back() -> ft.Family:
    made = judged(whole(ft.demo(), (LOST,)))
    made.json["locks"][0].update(held=True, hart=1)
    return made


def test_lost_frame_is_not_marked_where_the_rules_hold_back():
    made = held_back()
    svg = svg_of(made).decode()
    assert not {SAYS["L"], "! " + SAYS["L"]} & set(legend(made)) and sum(legend(made).values()) == 2 * N_FRAMES
    assert style.ALARM not in svg
    assert "kmem" in pictures.groups(svg)["notes"] and 1 in pictures.numbers(pictures.groups(svg)["notes"])


def twice() -> ft.Family:
    made = whole(ft.demo().add(7, 1, "left", shrimp=0x87FA0000))
    made.json["free"]["runs"].append(["0x87fa0000", 1])
    made.json["free"]["runs"].sort()
    return made


def test_frame_that_is_free_and_in_use_is_counted_as_such_and_marked():
    told = legend(twice())
    assert told["! " + SAYS["X"]] == 1 and told[TOTAL] == N_FRAMES


def frames_to_a_cell(svg: bytes) -> int:
    """By the addresses of the rows, which have 32 cells each, but for the last before a long run."""
    rows = [int(line, 16) for line in pictures.groups(svg)["zoom"].split("\n") if line.startswith("0x8")]
    return Counter(b - a for a, b in zip(rows, rows[1:])).most_common(1)[0][0] // (32 * 4096)


def test_fragmented_ram_is_drawn_in_cells_of_several_frames_and_says_so():
    svg = svg_of(fragmented())
    assert frames_to_a_cell(svg) > 1 and frames_to_a_cell(svg) in pictures.numbers(pictures.groups(svg)["notes"])
    assert svg.count(b"<rect") < 6000
    zoom = pictures.groups(svg)["zoom"].split("\n")
    assert len([line for line in zoom if line.startswith("0x8")]) <= ram.MAX_ROWS


def test_unfragmented_ram_has_a_cell_for_each_frame():
    svg = svg_of(whole(ft.demo()))
    assert "S1" in pictures.groups(svg)["zoom"] and not pictures.numbers(pictures.groups(svg)["notes"])


def test_kernel_without_fry_still_has_a_map():
    made = whole(ft.demo())
    made.json["layout"].update(fry=None, shrimp=None)
    told = legend(made)
    assert told[TOTAL] == N_FRAMES and told[SAYS["U"]] == 6
    assert not [line for line in told if "FRY" in line]


def unknown() -> ft.Family:
    made = ft.Family()
    made.json["free"].update(runs=[], complete=False, why="a reason")
    made.json["layout"]["kernel_end"] = None
    return made


def test_what_is_not_known_is_said():
    assert legend(unknown()) == {SAYS["?"]: N_FRAMES, TOTAL: N_FRAMES}
    assert "careful" in draw(unknown()).description


def test_description_is_the_legend_in_words():
    made = judged(whole(ft.demo(), (LOST,)))
    said = draw(made).description
    for words, n in legend(made).items():     # TOTAL is no words
        assert f"{words.removeprefix('! ')}: {n} frame" in said
    assert f"lost: {LOST:#x}" in said


def test_words_are_as_the_golden_file_has_them(golden):
    made = {"four pages are shared": whole(ft.demo()), "programs": whole(ft.programs()), "a lost frame": judged(whole(ft.demo(), (LOST,))),
            "the same, a lock held": held_back(), "a frame free and in use": twice(), "fragments": fragmented(), "nothing is known": unknown()}
    golden("ram.txt", pictures.told({name: draw(one) for name, one in made.items()}, ("zoom", "strip")))


def test_same_snapshot_gives_the_same_bytes_under_another_hash_seed():
    code = (f"import sys; sys.path.insert(0, {str(VIZ)!r})\n"
            "from drawing import render; from drawing.figures import ram, matrix, fault; from drawing.model import documents\n"
            "s = documents.parse(sys.stdin.read())\n"
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


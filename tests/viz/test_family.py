"""The family diagram of made-up snapshots: what it shows, and that dot can draw it."""
from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
import xml.etree.ElementTree as ET
from functools import partial
from pathlib import Path

import pytest

VIZ = Path(__file__).resolve().parents[2] / "viz"
sys.path[:0] = [str(VIZ), str(Path(__file__).parent), str(Path(__file__).parents[1] / "pure")]

import bending                                                      # noqa: E402
import family_tree as ft                                            # noqa: E402
import pictures                                                      # noqa: E402
from drawing import output, render              # noqa: E402
from drawing.figures import Drawing, family     # noqa: E402
from drawing.model import documents, sharing    # noqa: E402
from drawing.model.errors import VizError       # noqa: E402
from drawing.scene import style, text           # noqa: E402

GONE = 0x87FA0000


def draw(made: ft.Family, pids=None) -> Drawing:
    return family.draw(documents.parse(made.text()), pids)


def svg_of(one: Drawing) -> bytes:
    return pictures.svg_of(one)


def model_of(made: ft.Family) -> sharing.Sharing:
    return sharing.sharing(documents.parse(made.text()))


def boxes(made: ft.Family, pids=None) -> dict[str, str]:
    """By id, the text of each process's and each frame's box, row after row; legend and notes."""
    return pictures.groups(svg_of(draw(made, pids)))


def edges(made: ft.Family, pids=None) -> set[tuple[str, str, str]]:
    """Lines as (letter, from, to); the letter is F, S, or P from parent to child. Where a line to a frame ends is
    where it ends in the picture. Pids are slots and one."""
    svg = svg_of(draw(made, pids))
    places = {name: box for name, box in pictures.rects(svg).items() if name.startswith("frame-")}
    found = set()
    for g in ET.fromstring(svg).iter(pictures.SVG + "g"):
        name = re.fullmatch(r"(edge-([FS])|parent)-(\d+)", g.get("id") or "")
        if not name:
            continue
        if name[1] == "parent":
            parent, _ = pictures.numbers(g[0].text or "")
            found.add(("P", f"process-{parent - 1}", f"process-{name[3]}"))
            continue
        x, y = map(float, re.match(r"M(\S+) ([\d.]+)", g.find(pictures.SVG + "path").attrib["d"]).groups())
        ends = [frame for frame, (left, top, width, height) in places.items()
                if left - 8 <= x <= left and top <= y <= top + height]
        assert len(ends) == 1, f"{name[0]} ends at {x}, {y}: {ends}"
        found.add((name[2], f"process-{name[3]}", ends[0]))
    return found


def run(*arguments: str, stdin: str = "", env: dict | None = None) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, str(VIZ), *arguments], input=stdin,
                          capture_output=True, text=True, env=env)


def assert_one_line(done: subprocess.CompletedProcess, *words: str) -> None:
    assert done.returncode == 2
    assert done.stderr.startswith("viz: ") and done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture
def demo_file(tmp_path: Path) -> Path:
    path = tmp_path / "demo.json"
    path.write_text(ft.demo().text())
    return path


def crowd() -> ft.Family:
    made = ft.Family().add(1, None, "init").add(2, 1, "sh").add(3, 2)
    for pid in range(4, 64):
        made.add(pid, 3)
    return made


# What it shows

def test_every_process_and_every_shared_frame_has_a_box():
    shown = boxes(ft.demo())
    assert {f"process-{slot}" for slot in range(6)} <= set(shown)
    frames = {name for name in shown if name.startswith("frame-")}
    assert frames == {f"frame-{ft.fry_frame(pid):#x}" for pid in (1, 2, 3, 4)}


def test_lines_join_each_page_to_its_frame_and_each_parent_to_its_child():
    frame = {pid: f"frame-{ft.fry_frame(pid):#x}" for pid in (1, 2, 3, 4)}
    process = {pid: f"process-{pid - 1}" for pid in range(1, 7)}
    parents = {2: 1, 3: 2, 4: 3, 5: 3, 6: 4}
    assert edges(ft.demo()) == (
        {("F", process[pid], frame[pid]) for pid in frame}
        | {("S", process[child], frame[parent]) for child, parent in parents.items()}
        | {("P", process[parent], process[child]) for child, parent in parents.items()})


def test_fry_and_shrimp_lines_differ_in_dash_and_in_colour():
    svg = ET.fromstring(svg_of(draw(ft.demo())))
    looks = {letter: {(p.get("stroke"), p.get("stroke-dasharray")) for g in svg.iter(pictures.SVG + "g")
                      if (g.get("id") or "").startswith(f"edge-{letter}") for p in [g.find(pictures.SVG + "path")]}
             for letter in "FS"}
    assert len(looks["F"]) == len(looks["S"]) == 1
    assert all(a != b for a, b in zip(looks["F"].pop(), looks["S"].pop()))


def test_box_names_pid_name_state_hart_and_both_pages():
    rows = boxes(ft.demo())["process-2"].split("\n")
    assert rows == ["3 shrimpdemo", "RUNNING hart 1", "SHRIMP", "0x87f02000", "RW-U", "FRY", "0x87f03000", "RW-U",
                    "S", "F"]


def test_parent_that_is_not_drawn_is_named():
    state = boxes(ft.demo(), [1, 4])["process-3"].split("\n")[1]
    assert pictures.numbers(state) == [3]


def test_first_process_shows_that_it_has_no_shrimp():
    assert "SHRIMP\nnone\nfirst process" in boxes(ft.demo())["process-0"]


def test_page_that_nobody_shares_is_a_row_and_no_frame():
    shown = boxes(ft.demo())
    assert "0x87f05000" in shown["process-4"]
    assert "frame-0x87f05000" not in shown
    assert pictures.numbers(shown["notes"]) == [2]


def test_frame_shows_its_users_and_the_kernels_count():
    rows = boxes(ft.demo())["frame-0x87f03000"].split("\n")
    assert rows == ["frame 0x87f03000", "kmem.refs 3", "F", "FRY of 3", "S", "SHRIMP of 4, 5"]


def test_frame_says_nothing_of_a_count_that_the_kernel_does_not_keep():
    made = ft.demo()
    made.json["counts"] = None
    assert boxes(made)["frame-0x87f03000"].split("\n")[:2] == ["frame 0x87f03000", "F"]


def test_frame_stands_level_with_its_owners_fry():
    svg = svg_of(draw(ft.demo()))
    starts = {e.get("id"): e.find(pictures.SVG + "path").get("d") for e in ET.fromstring(svg).iter(pictures.SVG + "g")
              if (e.get("id") or "").startswith("edge-F")}
    assert len(starts) == 4
    for d in starts.values():
        assert len(set(re.findall(r"[ML]\S+ (\S+?)(?=[L]|$)", d))) == 1, d


def test_title_tells_kernel_hart_pid_and_function():
    svg = svg_of(draw(ft.demo())).decode()
    for part in ("kernel/kernel", "hart 1", "pid 3 shrimpdemo", "sys_pause() sysproc.c:71"):
        assert part in svg


def test_title_names_the_tree_and_not_the_way_to_it():
    made = ft.demo()
    made.json["kernel"] = "/home/someone/secret/lab/kernel/kernel"
    assert draw(made).description.startswith("lab/kernel/kernel stopped: ")


def unknown_stop() -> ft.Family:
    made = ft.demo()
    for key in ("hart", "privilege", "satp", "pid", "pc", "function", "file", "line"):
        made.json["stop"][key] = None
    made.json["stop"]["panicked"] = True
    return made


def test_title_of_a_stop_that_is_not_known():
    first = pictures.sentences(draw(unknown_stop()))[0]
    assert "panicked" in first and not pictures.numbers(first) and "None" not in first


def orphan() -> ft.Family:
    return ft.at_rest(ft.demo().add(7, 1, "left", shrimp=GONE))


def test_orphan_and_the_frame_of_its_gone_creator_are_named_as_such():
    shown = boxes(orphan())
    state = shown["process-6"].split("\n")[1]
    assert "orphan" in state and pictures.numbers(state) == [1] and "creator gone" in shown["process-6"]
    assert "F\ncreator gone\nS\nSHRIMP of 7" in shown[f"frame-{GONE:#x}"]
    assert "!" not in shown["process-6"] + shown[f"frame-{GONE:#x}"]


# What is wrong: what the kit's rules say, and nothing else

def freed() -> ft.Family:
    return ft.at_rest(ft.demo().add(7, 1, "left", shrimp=GONE).free(GONE))


def test_freed_frame_that_is_still_mapped_is_marked_by_a_sign_and_words():
    shown = boxes(freed())
    assert "! " in shown[f"frame-{GONE:#x}"]
    assert "! orphan-alive" in shown["process-6"]


def test_fry_that_nobody_shares_is_drawn_when_it_is_on_the_free_list():
    shown = boxes(ft.at_rest(ft.demo().free(ft.fry_frame(6))))
    assert "! " in shown[f"frame-{ft.fry_frame(6):#x}"]
    assert "! not-on-free-list" in shown["process-5"]


def held_back() -> ft.Family:
    made = freed()
    made.json["locks"][0].update(held=True, hart=0)
    return made


def test_what_the_rules_hold_back_is_told_and_not_marked_as_wrong():
    shown = boxes(held_back())
    assert "? " in shown[f"frame-{GONE:#x}"]
    assert not [name for name, said in shown.items() if "!" in said]
    model = model_of(held_back())
    assert not model.frames[GONE].is_wrong and model.held_back in pictures.numbers(shown["notes"])


def test_process_in_the_middle_of_a_change_is_not_marked():
    made = ft.at_rest(ft.demo().add(7, 3, shrimp=ft.fry_frame(2)))
    assert "! shrimp-pair" in boxes(made)["process-6"]
    made.json["processes"][6]["lock_held"] = True
    shown = boxes(made)
    assert "!" not in shown["process-6"] and model_of(made).held_back == 2 and 2 in pictures.numbers(shown["notes"])


def test_frame_just_before_and_after_a_free_run_is_not_marked():
    made = ft.at_rest(ft.demo())
    made.json["free"]["runs"] = [[hex(ft.fry_frame(1) - 0x3000), 3], [hex(ft.fry_frame(1) + 0x6000), 2]]
    assert "free list" not in "".join(boxes(made).values())


def test_reused_frame_names_its_other_user():
    shown = boxes(ft.demo().use(ft.fry_frame(3), "table", 5))
    assert pictures.numbers(shown["frame-0x87f03000"].partition("? ")[2]) == [5]


def wrong_pair() -> ft.Family:
    return ft.at_rest(ft.Family().add(1, None, "init").add(2, 1, "sh").add(3, 2, shrimp=GONE))


def test_child_whose_shrimp_is_not_its_parents_fry_is_marked_with_the_frame_that_it_should_have():
    shown = boxes(wrong_pair())
    assert "! shrimp-pair" in shown["process-2"] and "! " in shown[f"frame-{GONE:#x}"]
    assert "F\nFRY of 2" in shown[f"frame-{ft.fry_frame(2):#x}"]      # nobody else shares it
    assert "!" in shown["edge-S-2"] and "!" not in shown["edge-S-1"]


def wrong_sibling() -> ft.Family:
    return ft.at_rest(ft.demo().add(7, 3, shrimp=ft.fry_frame(2)))


def test_one_line_for_each_page_and_the_rest_counted():
    said = boxes(wrong_sibling())["process-6"]
    assert said.count("! ") == 1 and "shrimp-pair" in said and "shrimp-siblings" not in said
    assert len(model_of(wrong_sibling()).members[6].wrong) == 1 and pictures.numbers(said.partition("(")[2])[0] == 1


def open_trampoline() -> ft.Family:
    made = ft.at_rest(ft.programs())
    made.process(3)["mappings"][-1]["flags"] = "VR-XU-A-"      # a trampoline for users
    made.process(3)["mappings"][-1]["pte"] = hex(int(made.process(3)["mappings"][-1]["pte"], 16) | 16)
    return made


def test_failures_about_other_things_are_counted():
    assert model_of(open_trampoline()).elsewhere == 2 and pictures.numbers(boxes(open_trampoline())["notes"])[-1] == 2


def wrong_flags() -> ft.Family:
    return ft.at_rest(ft.demo().add(7, 3, flags="VRWXU-AD"))


def test_wrong_flags_are_marked():
    assert "! fry-flags" in boxes(wrong_flags())["process-6"]


def test_accessed_and_dirty_bits_are_not_marked():
    assert "!" not in boxes(ft.at_rest(ft.demo().add(7, 3, flags="VRW-U---")))["process-6"]


def pages_missing() -> ft.Family:
    return ft.at_rest(ft.demo().add(7, 3, fry=None, shrimp=None).add(8, 3, state="USED", fry=None, shrimp=None))


def test_missing_pages_are_marked_unless_the_process_is_still_being_made():
    shown = boxes(pages_missing())
    assert shown["process-6"].count("! ") == 2 and model_of(pages_missing()).members[6].wrong_pages == {"F", "S"}
    assert "!" not in shown["process-7"] and "not mapped" in shown["process-7"]


def one_page_for_all() -> ft.Family:
    return ft.at_rest(ft.Family().add(1, None, "init", fry=GONE).add(2, 1, fry=GONE, shrimp=GONE))


def test_one_global_page_is_marked_as_fry_of_many():
    assert pictures.numbers(boxes(one_page_for_all())[f"frame-{GONE:#x}"].partition("! ")[2])[0] == 2


def outside_ram() -> ft.Family:
    made = ft.at_rest(ft.demo().add(7, 1, shrimp=0x10000000))
    entry = next(m for m in made.process(7)["mappings"] if m["region"] == "shrimp")
    made.process(7)["findings"] = [{"kind": "leaf-outside-ram", "at": entry["pte_at"], "text": "maps frame 0x10000000",
                                    "va": entry["va"], "pte": entry["pte"]}]
    return made


def test_frame_outside_ram_is_marked():
    assert "! outside RAM" in boxes(outside_ram())["frame-0x10000000"]


def test_held_lock_is_told():
    made = ft.demo()
    made.json["locks"][0].update(held=True, hart=1)
    notes = boxes(made)["notes"]
    assert "careful: lock kmem" in notes and 1 in pictures.numbers(notes)
    assert "careful" not in boxes(ft.demo())["notes"]


def count_on_its_way() -> ft.Family:
    made = ft.demo()
    made.json["locks"][0].update(held=True, hart=1)
    made.json["counts"]["values"] = [[pa, n - (pa == hex(ft.fry_frame(3)))] for pa, n in made.json["counts"]["values"]]
    return made


def test_a_count_that_is_not_that_of_the_users_yet_is_explained_unless_a_rule_fails():
    def about_a_frame(made: ft.Family) -> list[list[int]]:
        return [pictures.numbers(one) for one in pictures.sentences(draw(made)) if one.startswith(f"frame {ft.fry_frame(3):#x}: kmem.refs")]
    assert about_a_frame(count_on_its_way()) == [[2, 3]] and about_a_frame(ft.demo()) == []


def free_list(**known: object) -> ft.Family:
    made = ft.demo()
    made.json["free"].update(complete=False, **known)
    return made


def test_free_list_that_nobody_read_is_no_reason_to_be_careful():
    notes = boxes(free_list(why="the free list was not walked"))["notes"]
    assert "careful" not in notes and notes != boxes(ft.demo())["notes"]


def test_free_list_known_in_part_is_told():
    assert "careful" in boxes(free_list())["notes"]


def test_fry_inside_a_superpage_is_found_at_its_offset():
    made = ft.Family().add(1, None, "init", fry=None).map(1, ft.FRY & ~0x1FFFFF, 0x87E00000, region="other", level=1)
    assert "0x87ffd000" in boxes(made)["process-0"]


def shared_elsewhere() -> ft.Family:
    return ft.demo().use(0x87000000, "user", 3, 0x1000).use(0x87000000, "user", 4, 0x1000)


def test_frames_shared_at_other_addresses_are_counted():
    assert pictures.numbers(boxes(shared_elsewhere())["notes"]) == [2, 1]


# Which processes

def test_crowd_is_cut_to_eight_and_the_rest_counted():
    shown = boxes(crowd())
    assert len([name for name in shown if name.startswith("process-")]) == 8
    assert pictures.numbers(shown["notes"])[:14] == [55, 1, 2, *range(11, 21), 1] and "…" in shown["notes"]
    assert "SHRIMP of 4, 5, 6, 7, 8, 9,\n10, 53 not drawn" in shown["frame-0x87f03000"]


def test_family_that_shares_is_preferred_to_processes_that_do_not():
    made = ft.Family()
    for pid in range(1, 10):
        made.add(pid, None)
    made.add(10, None).add(11, 10).add(12, 10)
    chosen = sharing.select(sharing.sharing(documents.parse(made.text())), 8)
    assert {9, 10, 11} <= set(chosen)


def test_process_with_something_wrong_is_never_left_out():
    made = ft.at_rest(crowd().add(90, 3, shrimp=GONE).add(91, 1, "left", shrimp=GONE + 0x1000).free(GONE + 0x1000))
    shown = boxes(made)
    assert "process-63" in shown and "process-64" in shown


def test_pids_choose_the_processes():
    shown = boxes(ft.demo(), [4, 6])
    assert {name for name in shown if name.startswith("process-")} == {"process-3", "process-5"}
    assert "FRY of 3 (not drawn)" in shown["frame-0x87f03000"]


def test_order_is_a_family_tree_with_children_below_their_parents():
    model = sharing.sharing(documents.parse(ft.demo().text()))
    places = sharing.family_order(model, range(6))
    assert [(p.slot + 1, p.depth) for p in places] == [(1, 0), (2, 1), (3, 2), (5, 3), (4, 3), (6, 4)]


def test_parents_in_a_circle_are_drawn_once_each():
    made = ft.Family().add(1, 2).add(2, 1).add(3, 3).add(4, 1)
    assert {"process-0", "process-1", "process-2", "process-3"} <= set(boxes(made))
    places = sharing.family_order(sharing.sharing(documents.parse(made.text())), range(4))
    assert [(p.slot, p.depth) for p in places] == [(0, 0), (1, 1), (3, 1), (2, 0)]


def test_snapshot_without_processes_says_so():
    assert "careful" in boxes(ft.Family())["notes"]


WORDS = {
    "six processes": ft.demo, "of a stop that is not known": unknown_stop, "an orphan": orphan, "a frame freed and mapped": freed,
    "the same, its lock held": held_back, "a page table in a shared frame": lambda: ft.demo().use(ft.fry_frame(3), "table", 5),
    "another frame than the parent's": wrong_pair, "another frame than the siblings'": wrong_sibling,
    "what is wrong is elsewhere": open_trampoline, "wrong flags": wrong_flags, "pages that are missing": pages_missing,
    "one page for all": one_page_for_all, "a frame outside RAM": outside_ram, "a count on its way": count_on_its_way,
    "a free list that was not walked": lambda: free_list(why="the free list was not walked"),
    "a free list known in part": free_list, "frames shared elsewhere": shared_elsewhere, "a crowd": crowd, "nobody": ft.Family}


def test_words_are_as_the_golden_file_has_them(golden):
    golden("family.txt", pictures.told({name: draw(made()) for name, made in WORDS.items()}))


# Form

HOSTILE = ['<b>&"', "]]>&lt;&#0;", "\\N\\G\\l\\", 'x"];}', "\x01\x1b[31m\n", "\ud800\u202e", " ", "", "é漢" * 40]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_shown_as_they_are(name: str):
    made = ft.demo().add(7, 3, name, state=name)
    made.json["kernel"] = made.json["stop"]["function"] = made.json["stop"]["file"] = name
    made.json["locks"][0].update(held=True, name=name)
    made.json["counts"]["name"] = name
    svg = svg_of(draw(made))
    pictures.assert_readable(svg, style.MAX_WIDTH_PT)
    expected = "7 " + (text.printable(text.shorten(name, 20)) or "(no name)")
    shown = pictures.groups(svg)["process-6"].split("\n")[0]
    assert shown == text.shorten(expected, len(shown)) and len(shown) >= min(9, len(expected))
    assert pictures.tips(svg)["process-6"] == "process " + expected
    pictures.assert_readable(render.render(draw(made), ["svg"])[0], style.MAX_WIDTH_PT)


def test_state_of_any_length_leaves_the_box_as_it_is():
    assert boxes(ft.demo().add(7, 3, state="?" * 90))["process-6"].split("\n")[1] == "?????????…"


def test_tooltips_name_address_and_value_of_the_page_table_entry():
    tips = pictures.tips(svg_of(draw(ft.demo())))
    expected = "PTE at 0x87e03fe8 = 0x21fc0cd7: 0x3fffffd000 to 0x87f03000"
    assert tips["page-F-2"] == expected
    assert tips["edge-F-2"] == "FRY of 3 shrimpdemo, " + expected


def test_ids_are_given_once():
    ids = [e.get("id") for e in ET.fromstring(svg_of(draw(ft.demo()))).iter() if e.get("id")]
    assert len(ids) == len(set(ids)) > 20


def test_svg_stands_alone_and_describes_itself():
    svg = svg_of(draw(ft.demo())).decode()
    root = ET.fromstring(svg)
    assert root[0].tag == pictures.SVG + "title" and root[0].text == family.TITLE
    assert root[1].tag == pictures.SVG + "desc" and "Frame 0x87f03000: FRY of 3; SHRIMP of 4, 5." in root[1].text
    assert root.get("aria-labelledby") == "title description"
    assert "DOCTYPE" not in svg and "transparent" not in svg and "monospace" in svg


def test_same_snapshot_gives_the_same_bytes():
    """Also under another hash seed, and with the JSON's frames and counts in another order."""
    made = crowd().add(90, 3, shrimp=GONE).free(GONE)
    text = made.text()
    code = (f"import sys; sys.path.insert(0, {str(VIZ)!r})\n"
            "from drawing import render; from drawing.figures import family; from drawing.model import documents\n"
            "d = family.draw(documents.parse(sys.stdin.read()))\n"
            "sys.stdout.write(render.render(d, ['dot'])[0].decode()); sys.stdout.write(render.render(d, ['svg'])[0].decode())")
    seen = set()
    for seed in ("1", "2"):
        seen.add(subprocess.run([sys.executable, "-c", code], input=text, capture_output=True, text=True,
                                check=True, env={**os.environ, "PYTHONHASHSEED": seed}).stdout)
        made.json["frames"].reverse()
        made.json["counts"]["values"].reverse()
        made.json["free"]["runs"].reverse()
        text = made.text()
    assert len(seen) == 1 and "digraph" in seen.pop()


def deep() -> ft.Family:
    made = ft.Family().add(1, None, "init")
    for pid in range(2, 9):
        made.add(pid, pid - 1)
    return made


def bushy() -> ft.Family:
    """Two families of one parent, an orphan, wrong pairs, long names, a freed frame."""
    made = ft.Family().add(1, None, "init").add(2, 1, "sh" * 8, state="RUNNING").add(3, 2, "a" * 16).add(4, 3, "b" * 16)
    made.add(5, 3, shrimp=GONE).add(6, 2, "d" * 16, fry=ft.fry_frame(3)).add(7, 6).add(80000, 1, "left" * 4, shrimp=GONE + 0x1000)
    return made.free(GONE + 0x1000)


def alone() -> ft.Family:
    return ft.Family().add(1, None, "init")


FAMILIES = [ft.demo, crowd, deep, bushy, alone, ft.Family, lambda: ft.at_rest(bushy()),
            lambda: ft.at_rest(ft.demo().add(7, 6, shrimp=None, fry=None))]


@pytest.mark.parametrize("made", FAMILIES, ids=range(len(FAMILIES)))
def test_figure_reads_well_on_a4_and_nothing_lies_on_anything(made):
    svg = svg_of(draw(made()))
    pictures.assert_readable(svg, style.MAX_WIDTH_PT)
    placed = [(name, box) for name, box in pictures.rects(svg).items() if name.startswith(("process-", "frame-"))]
    for i, (one, (x, y, width, height)) in enumerate(placed):
        for other, (x2, y2, width2, height2) in placed[i + 1:]:
            assert x + width <= x2 or x2 + width2 <= x or y + height <= y2 or y2 + height2 <= y, (one, other)
    found = pictures.groups(svg)
    texts = pictures.texts(svg)
    for name, (x, y, width, height) in placed:
        for t in texts:
            if y <= (t.top + t.bottom) / 2 <= y + height and x <= t.left <= x + width and t.said not in ("F", "S"):
                assert t.right <= x + width, f"{t} leaves {name}"
    assert len(placed) == len([name for name in found if name.startswith(("process-", "frame-"))])


@pytest.mark.parametrize("made", FAMILIES, ids=range(len(FAMILIES)))
def test_boxes_of_processes_end_at_one_line(made):
    boxes = [box for name, box in pictures.rects(svg_of(draw(made()))).items() if name.startswith("process-")]
    assert len({round(x + width, 2) for x, _, width, _ in boxes}) <= 1


@pytest.mark.parametrize("made", FAMILIES, ids=range(len(FAMILIES)))
def test_lines_up_and_down_of_different_frames_do_not_lie_on_each_other(made):
    verticals: dict[str, list[tuple[float, float, float]]] = {}
    for g in ET.fromstring(svg_of(draw(made()))).iter(pictures.SVG + "g"):
        if (g.get("id") or "").startswith("edge-"):
            target = re.search(r" to (0x\w+)$", g[0].text)[1] + g.get("id")[5]
            points = [tuple(map(float, p)) for p in re.findall(r"([\d.]+) ([\d.]+)", g.find(pictures.SVG + "path").get("d"))]
            verticals.setdefault(target, []).extend(
                (a[0], min(a[1], b[1]), max(a[1], b[1])) for a, b in zip(points, points[1:])
                if a[0] == b[0] and abs(a[1] - b[1]) > 1)
    every = [(target, *line) for target, lines in verticals.items() for line in lines]
    for a, x, low, high in every:
        for b, x2, low2, high2 in every:
            assert a == b or abs(x - x2) > 3 or high <= low2 or high2 <= low, (a, b)


def test_steps_keep_every_box_at_its_place():
    """Of a fork: the parent alone, the child half made, the child whole, the parent gone."""
    last = ft.Family().add(1, None, "init").add(2, 1, "sh").add(3, 2)
    steps = [ft.Family().add(1, None, "init").add(2, 1, "sh"),
             ft.Family().add(1, None, "init").add(2, 1, "sh").add(3, 2, state="USED", shrimp=None), last]
    drawn = [svg_of(one) for one in family.draw_steps([documents.parse(s.text()) for s in steps])]
    assert len({pictures.page_size(svg) for svg in drawn}) == 1
    where: dict[str, set] = {}
    for svg in drawn:
        for name, box in pictures.rects(svg).items():
            if name.startswith("process-"):
                where.setdefault(name, set()).add(box)
    assert set(where) == {"process-0", "process-1", "process-2"}
    assert all(len(boxes) == 1 for boxes in where.values()), where
    assert "process-2" not in pictures.groups(drawn[0]) and "edge-S-2" not in pictures.groups(drawn[1])
    assert "edge-S-2" in pictures.groups(drawn[2])


# The command line

def test_all_formats_are_written_at_once_and_nothing_else(demo_file: Path, tmp_path: Path):
    out = tmp_path / "out"
    out.mkdir()
    names = [str(out / f"family.{kind}") for kind in ("dot", "svg", "pdf", "png")]
    done = run("family", str(demo_file), *[a for name in names for a in ("-o", name)])
    assert (done.returncode, done.stdout, done.stderr) == (0, "".join(name + "\n" for name in names), "")
    assert sorted(os.listdir(out)) == ["family.dot", "family.pdf", "family.png", "family.svg"]
    assert (out / "family.dot").read_text().startswith("digraph ")
    ET.parse(out / "family.svg")
    pdf = (out / "family.pdf").read_bytes()
    assert pdf.startswith(b"%PDF-") and b"/FontFile" in pdf
    png = (out / "family.png").read_bytes()
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    points = float(re.search(r'width="(\d+)pt"', (out / "family.svg").read_text())[1])
    assert abs(int.from_bytes(png[16:20], "big") / points - style.PNG_DPI / 72) < 0.02


def test_snapshot_from_standard_input(tmp_path: Path):
    done = run("family", "-", "-o", str(tmp_path / "a.dot"), "--pids", "3,4", stdin=ft.demo().text())
    assert done.returncode == 0
    assert "process 3 shrimpdemo" in (tmp_path / "a.dot").read_text()


bent = partial(bending.bent, ft.demo().json)
"""The demo's JSON with one place changed."""


@pytest.mark.parametrize("text, words", [
    ("", ["standard input", "JSON"]),
    ("{", ["JSON"]),
    ("[" * 100000, ["JSON"]),
    ("[]", ["schema", "null"]),
    ('"x"', ["schema"]),
    (bent("schema", "other\x1b[31m"), ["schema", "shrimpy-snapshot", "other"]),
    (bent("version", 2), ["version: expected 1, found 2"]),
    (bent("processes", KeyError), ["processes", "found nothing"]),
    (bent("processes", {}), ["processes: "]),
    (bent("processes", 2, "mappings", 0, "pa", 12), ["processes[2].mappings[0].pa", "hex string", "found 12"]),
    (bent("processes", 0, "pid", "1"), ["processes[0].pid: ", 'found "1"']),
    (bent("processes", 0, "pid", True), ["processes[0].pid"]),
    (bent("processes", 0, "pid", 10 ** 30), ["processes[0].pid"]),
    (bent("processes", 1, "slot", 0), ["one to a slot"]),
    (bent("free", "runs", [["0x80000000"]]), ["free.runs[0]: "]),
    (bent("frames", [7]), ["frames[0]: "]),
    (bent("free", "complete", 1), ["free.complete: "]),
    (bent("processes", 0, "name", None), ["processes[0].name: "]),
    (bent("layout", "fry", None), ["set shrimpy fry"]),
    (bent("layout", "shrimp", None), ["set shrimpy shrimp"]),
], ids=range(20))
def test_bad_snapshot_is_one_clear_line_and_status_2(text: str, words: list[str], tmp_path: Path):
    done = run("family", "-", "-o", str(tmp_path / "a.dot"), stdin=text)
    assert_one_line(done, *words)
    assert "\x1b" not in done.stderr
    assert os.listdir(tmp_path) == []


def test_a_size_of_64_bits_is_a_wrong_kernel_and_is_drawn():
    made = ft.demo()
    made.process(4)["sz"] = (1 << 64) - 1
    assert "process-3" in boxes(made)


def test_snapshot_that_is_not_text_or_not_there(tmp_path: Path):
    (tmp_path / "bin").write_bytes(b"\x7fELF\xff")
    assert_one_line(run("family", str(tmp_path / "bin"), "-o", str(tmp_path / "a.dot")), "UTF-8", "0xff")
    assert_one_line(run("family", str(tmp_path / "none"), "-o", str(tmp_path / "a.dot")), "none", "No such file")


@pytest.mark.parametrize("arguments, words", [
    (["family"], ["SNAPSHOT", "--help"]),
    (["circus", "-"], ["circus"]),
    (["family", "-", "-o", "a.gif"], ["a.gif", ".svg", "found .gif"]),
    (["family", "-", "-o", "svg"], ["no suffix"]),
    (["family", "-", "-o", "a.dot", "--pids", "3,x"], ["--pids", "3,x"]),
    (["family", "-", "-o", "a.dot", "--pids", "3,99"], ["99", "1, 2, 3, 4, 5, 6"]),
], ids=range(6))
def test_wrong_arguments_are_one_clear_line_and_status_2(arguments: list[str], words: list[str]):
    assert_one_line(run(*arguments, stdin=ft.demo().text()), *words)


def test_too_many_pids(tmp_path: Path):
    pids = ",".join(map(str, range(1, 10)))
    done = run("family", "-", "-o", str(tmp_path / "a.dot"), "--pids", pids, stdin=crowd().text())
    assert_one_line(done, "at most 8", "found 9")


def test_output_that_cannot_be_written(demo_file: Path, tmp_path: Path):
    assert_one_line(run("family", str(demo_file), "-o", str(tmp_path / "no" / "a.dot")), "mkdir -p")
    folder = tmp_path / "b.dot"
    folder.mkdir()
    assert_one_line(run("family", str(demo_file), "-o", str(folder)), "b.dot", "directory")
    assert sorted(os.listdir(tmp_path)) == ["b.dot", "demo.json"]


def test_old_file_stays_when_the_new_one_cannot_take_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    old = tmp_path / "a.dot"
    old.write_text("old")

    def refuse(*_):
        raise PermissionError(1, "not today")
    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(VizError, match="not today"):
        output.write(old, b"new")
    assert old.read_text() == "old" and os.listdir(tmp_path) == ["a.dot"]


def fake(program: str, folder: Path, script: str) -> dict:
    folder.mkdir()
    (folder / program).write_text("#!/bin/sh\n" + script)
    (folder / program).chmod(stat.S_IRWXU)
    return {**os.environ, "PATH": f"{folder}:/usr/bin:/bin"}


@pytest.mark.parametrize("figure, kind, package", [("family", "pdf", "graphviz"), ("address-space", "svg", "graphviz")])
def test_missing_program_is_told_and_what_needs_none_is_drawn(figure, kind, package, demo_file: Path, tmp_path: Path):
    env = {**os.environ, "PATH": str(tmp_path)}
    assert_one_line(run(figure, str(demo_file), "-o", str(tmp_path / f"a.{kind}"), env=env), f"apt install {package}")
    assert run(figure, str(demo_file), "-o", str(tmp_path / "a.dot"), env=env).returncode == 0


@pytest.mark.parametrize("figure, kind, program", [("family", "png", "dot"), ("address-space", "svg", "dot")])
@pytest.mark.parametrize("script, words", [
    ("echo half; echo 'Error: out of luck' >&2; exit 3", ["status 3", "out of luck"]),
    ("exit 0", ["status 0"]),
    ("kill -SEGV $$", ["status -11"]),
], ids=["fails", "silent", "crashes"])
def test_program_that_fails_leaves_the_old_file(figure, kind, program, script: str, words: list[str], demo_file: Path,
                                                tmp_path: Path):
    old = tmp_path / f"a.{kind}"
    old.write_text("old")
    done = run(figure, str(demo_file), "-o", str(tmp_path / "new.dot"), "-o", str(old),
               env=fake(program, tmp_path / "bin", script))
    assert_one_line(done, *words)
    assert old.read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == [f"a.{kind}", "bin", "demo.json"]


def hang(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts a program on PATH that is still busy at its limit, and leaves its process's id in the file pid."""
    monkeypatch.setenv("PATH", fake(program, tmp_path / "bin", f"echo $$ > {tmp_path}/pid; while :; do :; done")["PATH"])
    monkeypatch.setattr(render, "TIMEOUT_SECONDS", 1)


def test_program_that_hangs_is_ended_by_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    hang("dot", tmp_path, monkeypatch)
    with pytest.raises(VizError, match="within 1 s"):
        render.render(draw(ft.demo()), ["png"])
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)

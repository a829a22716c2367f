"""The fault diagram: what the rules say is wrong, and nothing else."""
from __future__ import annotations

import sys
from pathlib import Path

import pytest

VIZ = Path(__file__).resolve().parents[2] / "viz"
sys.path[:0] = [str(VIZ), str(Path(__file__).parent)]

import family_tree as ft                                            # noqa: E402
import pictures                                                      # noqa: E402
from drawing import drawing, fault, render, snapshot_json, style    # noqa: E402
from lab import variant                                              # noqa: E402

GONE = 0x87FA0000
ZOO = Path(__file__).resolve().parents[1] / "zoo"


def draw(made: ft.Family) -> drawing.Drawing:
    return fault.draw(snapshot_json.parse(made.text()))


def svg_of(one: drawing.Drawing) -> bytes:
    return pictures.svg_of(one)


def cards(made: ft.Family) -> list[str]:
    """The text of each fault, without line breaks."""
    found = pictures.groups(svg_of(draw(made)))
    return [" ".join(said.split()) for name, said in found.items() if name.startswith("fault-")]


def wrong_pair() -> ft.Family:
    return ft.at_rest(ft.Family().add(1, None, "init").add(2, 1, "sh").add(3, 2, shrimp=GONE))


def broken(n: int) -> ft.Family:
    made = ft.Family().add(1, None, "init").add(2, 1, "sh")
    for pid in range(3, n + 3):
        made.add(pid, 2, shrimp=GONE + 0x1000 * pid)
    return ft.at_rest(made)


def test_wrong_pair_shows_the_entry_where_it_leads_where_it_should_and_the_function():
    card, = cards(wrong_pair())
    assert card.startswith("! shrimp-pair look at fork() pid 3 (shrimpdemo): its SHRIMP is not its parent's FRY")
    assert "pid 3 (shrimpdemo) SHRIMP VA 0x3fffffc000 PTE at 0x87e03fe0 = 0x21fe80d7, VRW-U-AD" in card
    assert "is frame 0x87fa0000, which nobody else maps" in card
    assert "should be frame 0x87f02000, FRY of pid 2 (sh)" in card


def test_failures_about_one_entry_are_one_card():
    made = ft.at_rest(ft.demo().add(7, 3, shrimp=ft.fry_frame(2)))
    card, = cards(made)
    assert card.startswith("! shrimp-pair") and "also shrimp-siblings: " in card


def test_what_makes_other_rules_fail_comes_first():
    made = ft.at_rest(ft.Family().add(1, None, "init", fry=0).add(2, 1, fry=0, shrimp=0))
    for pid in (1, 2):
        entry = next(m for m in made.process(pid)["mappings"] if m["region"] == "fry")
        made.process(pid)["findings"] = [{"kind": "leaf-outside-ram", "at": entry["pte_at"], "text": "maps frame 0x0",
                                          "va": entry["va"], "pte": entry["pte"]}]
    first, second = cards(made)[:2]
    assert first.startswith("! frame-in-ram") and "also fry-private" in first and second.startswith("! frame-in-ram")


def test_skipped_verdicts_are_never_drawn_as_wrong():
    made = wrong_pair()
    made.process(3)["lock_held"] = True
    assert cards(made) == []
    one = draw(made)
    assert one.title == "Nothing is wrong"
    said = " ".join(t.said for t in pictures.texts(svg_of(one)))
    assert "no verdict failed, " in said and "1 of them for what the machine is in the middle of" in said
    assert "pid 3's lock is held; as it stands: its SHRIMP is not its parent's FRY" in said
    assert style.ALARM not in svg_of(one).decode()


def test_sound_kernel_is_said_to_be_sound_with_what_was_skipped_and_why():
    made = ft.at_rest(ft.demo())
    one = draw(made)
    assert one.title == "Nothing is wrong" and cards(made) == []
    said = pictures.groups(svg_of(one))["notes"]
    assert "skipped 1: shrimp-pair: the first process has no parent" in said
    assert "skipped 6: fry-zeroed: it has run, and may have written its page" in said or "fry-zeroed" in said


def test_what_could_not_be_judged_is_not_called_sound():
    assert draw(ft.Family()).title == "Nothing failed, and too little could be judged"


def test_panic_is_wrong_whatever_else_is():
    panicked = ft.at_rest(ft.demo())
    panicked.json["stop"]["panicked"] = True
    panicked.json["harts"].append({"hart": 0, "pid": 2, "function": "panic", "calls": ["panic", "mappages", "exec"]})
    assert draw(panicked).title == "What is wrong"
    (card,) = cards(panicked)
    assert card.startswith("! no-panic") and "pid 2" in card


def test_kernel_without_fry_is_judged_by_the_other_rules():
    made = ft.at_rest(ft.demo())
    made.json["layout"].update(fry=None, shrimp=None)
    said = pictures.groups(svg_of(draw(made)))["notes"]
    assert "shrimp-pair: this kernel defines no FRY" in said
    free = made.json["processes"][2]["mappings"][0]["pa"]
    made.json["free"]["runs"].append([free, 1])
    assert any(card.startswith("! not-on-free-list") for card in cards(made))


@pytest.mark.parametrize("made", [wrong_pair, lambda: broken(1), lambda: broken(20), ft.demo, ft.Family,
                                  lambda: ft.at_rest(ft.demo().add(7, 1, "left", shrimp=GONE).free(GONE))], ids=range(6))
def test_figure_reads_well_on_a4(made):
    svg = svg_of(draw(made()))
    pictures.assert_readable(svg, style.MAX_WIDTH_PT)
    boxes = pictures.rects(svg)
    assert all(x + width <= style.MAX_WIDTH_PT for x, _, width, _ in boxes.values())
    placed = sorted(box[1:4:2] for name, box in boxes.items() if name.startswith("fault-"))
    assert all(y + height <= y2 for (y, height), (y2, _) in zip(placed, placed[1:]))


def test_six_are_drawn_and_the_rest_counted():
    made = broken(20)
    assert len(cards(made)) == fault.LIMIT
    notes = " ".join(pictures.groups(svg_of(draw(made)))["notes"].split())
    assert "! left out: 14 more things wrong: shrimp-pair 14" in notes


def test_card_s_lines_lead_from_the_entry_to_both():
    svg = svg_of(draw(wrong_pair())).decode()
    assert svg.count('stroke-dasharray="4 3"') >= 2 and svg.count('stroke="' + style.ALARM) >= 2


def test_description_tells_the_same():
    one = draw(wrong_pair())
    assert "shrimp-pair, pid 3 (shrimpdemo): its SHRIMP is not its parent's FRY (SHRIMP VA 0x3fffffc000, " in one.description
    assert "should be frame 0x87f02000, FRY of pid 2 (sh); look at fork()." in one.description


def test_hostile_names_are_shown_as_they_are():
    for name in ('<b>&"', "\\N\x01\ud800", "", "é漢" * 40):
        made = ft.at_rest(ft.Family().add(1, None, "init").add(2, 1, name, shrimp=GONE))
        made.json["stop"]["function"] = name
        one = draw(made)
        pictures.assert_readable(svg_of(one), style.MAX_WIDTH_PT)
        pictures.assert_readable(render.render(one, ["svg"])[0], style.MAX_WIDTH_PT)


@pytest.mark.limit(300)
def test_real_kernel_that_maps_two_frames_is_drawn_with_the_entry_that_is_wrong(machine, gdb, tmp_path: Path):
    kernel = variant.build("zoo-two-frames", [ZOO / "two-frames.patch"])
    path = tmp_path / "snapshot.json"
    gdb(kernel.elf, [f"xv6-snapshot {path}"], target=machine(kernel=kernel).gdb_target)
    snapshot = snapshot_json.load(str(path))
    pages = {(p.pid, m.region): m for p in snapshot.processes for m in p.mappings}
    shrimp, fry = pages[2, "shrimp"], pages[1, "fry"]
    assert shrimp.pa != fry.pa
    one = fault.draw(snapshot)
    said = " ".join(pictures.groups(svg_of(one))["fault-0"].split())
    assert said.startswith("! shrimp-pair look at fork() pid 2 (sh)")
    assert f"PTE at {shrimp.pte_at:#x} = {shrimp.pte:#x}, {shrimp.flags}" in said
    assert f"is frame {shrimp.pa:#x}" in said and f"should be frame {fry.pa:#x}, FRY of pid 1 (init)" in said

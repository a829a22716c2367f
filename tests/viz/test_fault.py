"""The fault diagram: what the rules say is wrong, and nothing else."""
from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

VIZ = Path(__file__).resolve().parents[2] / "viz"
sys.path[:0] = [str(VIZ), str(Path(__file__).parent)]

import family_tree as ft                                            # noqa: E402
import pictures                                                      # noqa: E402
from drawing import render                      # noqa: E402
from drawing.figures import Drawing, fault      # noqa: E402
from drawing.model import documents, kit        # noqa: E402
from drawing.scene import style                 # noqa: E402
from shrimpy.origins import Call, Origin        # noqa: E402
from lab.kernels import variant                                              # noqa: E402

GONE = 0x87FA0000
ZOO = Path(__file__).resolve().parents[1] / "zoo"


def draw(made: ft.Family) -> Drawing:
    return fault.draw(documents.parse(made.text()))


def svg_of(one: Drawing) -> bytes:
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


def test_wrong_pair_shows_the_entry_where_it_leads_and_where_it_should():
    card, = cards(wrong_pair())
    assert card.startswith("! shrimp-pair") and "pid 3 (shrimpdemo)" in card
    assert "0x3fffffc000" in card and "0x87e03fe0 = 0x21fe80d7, VRW-U-AD" in card
    assert re.findall(r"frame (0x\w+)", card) == ["0x87fa0000", "0x87f02000"]


def test_wrong_pair_shows_the_parent_s_entry_that_leads_where_it_should():
    made = wrong_pair()
    fry = next(m for m in made.process(2)["mappings"] if m["region"] == "fry")
    card, = cards(made)
    assert f"pid 2 (sh) FRY VA 0x3fffffd000 PTE at {int(fry['pte_at'], 16):#x}" in card
    made.process(2)["mappings"].remove(fry)
    assert not any(card.startswith("! shrimp-pair") and "pid 2 (sh) FRY VA" in card for card in cards(made))


def test_failures_of_one_cause_are_one_card():
    made = ft.at_rest(ft.demo().add(7, 3, shrimp=ft.fry_frame(2)))
    card, = cards(made)
    assert card.startswith("! shrimp-pair") and "and so shrimp-siblings: " in card
    card, = cards(broken(3))
    assert card.startswith("! shrimp-pair pid 3") and "as well: pids 4, 5" in card


def test_what_makes_other_rules_fail_comes_first():
    made = ft.at_rest(ft.Family().add(1, None, "init", fry=0).add(2, 1, fry=0, shrimp=0))
    for pid in (1, 2):
        entry = next(m for m in made.process(pid)["mappings"] if m["region"] == "fry")
        made.process(pid)["findings"] = [{"kind": "leaf-outside-ram", "at": entry["pte_at"], "text": "maps frame 0x0",
                                          "va": entry["va"], "pte": entry["pte"]}]
    first, = cards(made)
    assert first.startswith("! frame-in-ram look at mappages() pid 1") and "as well: pid 2" in first and "and so fry-private" in first


def locked() -> ft.Family:
    made = wrong_pair()
    made.process(3)["lock_held"] = True
    return made


def sound() -> ft.Family:
    return ft.at_rest(ft.demo())


def test_skipped_verdicts_are_never_drawn_as_wrong():
    assert cards(locked()) == []
    one = draw(locked())
    assert one.title == draw(sound()).title
    assert kit.judgement(documents.parse(locked().text())).n_held_back == 1
    assert "shrimp-pair" in pictures.groups(svg_of(one))["notes"]
    assert style.ALARM not in svg_of(one).decode()


def test_sound_kernel_is_said_to_be_sound_with_what_was_skipped_and_why():
    assert cards(sound()) == []
    said = pictures.groups(svg_of(draw(sound())))["notes"]
    assert "skipped 1: shrimp-pair" in said and "fry-zeroed" in said


def test_what_could_not_be_judged_is_not_called_sound():
    assert draw(ft.Family()).title not in (draw(sound()).title, fault.TITLE) and cards(ft.Family()) == []


def panicked() -> ft.Family:
    panicked = ft.at_rest(ft.demo())
    panicked.json["stop"]["panicked"] = True
    panicked.json["harts"].append({"hart": 0, "pid": 2, "function": "panic", "calls": ["panic", "mappages", "exec"]})
    return panicked


def test_panic_is_wrong_whatever_else_is():
    assert draw(panicked()).title == fault.TITLE
    (card,) = cards(panicked())
    assert card.startswith("! no-panic") and "pid 2" in card


def test_kernel_without_fry_is_judged_by_the_other_rules():
    made = ft.at_rest(ft.demo())
    made.json["layout"].update(fry=None, shrimp=None)
    said = pictures.groups(svg_of(draw(made)))["notes"]
    assert "rules: this kernel defines no FRY" in said
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


def many_causes() -> ft.Family:
    """Eight processes, each with other rights at FRY."""
    made = ft.Family().add(1, None, "init").add(2, 1, "sh")
    for pid, flags in enumerate((0x01 | rights for rights in (0x02, 0x06, 0x08, 0x0a, 0x0e, 0x12, 0x18, 0x1a)), 3):
        made.add(pid, 2)
        fry = next(m for m in made.process(pid)["mappings"] if m["region"] == "fry")
        fry.update(pte=hex(int(fry["pte"], 16) & ~0x1f | flags),
                   flags="".join(letter if flags >> n & 1 else "-" for n, letter in enumerate("VRWXU")) + fry["flags"][5:])
    return ft.at_rest(made)


def test_six_are_drawn_and_the_rest_counted():
    made = many_causes()
    assert len(cards(made)) == fault.LIMIT
    notes = " ".join(pictures.groups(svg_of(draw(made)))["notes"].split())
    assert "left out: 2 more causes" in notes


def test_card_s_lines_lead_from_the_entry_to_both():
    svg = svg_of(draw(wrong_pair())).decode()
    assert svg.count('stroke-dasharray="4 3"') >= 2 and svg.count('stroke="' + style.ALARM) >= 2


def test_description_tells_the_same():
    for part in ("shrimp-pair, pid 3 (shrimpdemo)", "0x3fffffc000", "frame 0x87f02000", "pid 2 (sh)"):
        assert part in draw(wrong_pair()).description


def test_card_says_where_the_entry_was_written():
    made = wrong_pair()
    index = documents.parse(made.text())
    verdict, = (v for v in kit.judgement(index).failures if v.rule == "shrimp-pair")
    call = Call("sharefry", "kernel/proc.c", 178)
    one = kit.Traced((Origin("field", 0x80000000, calls=(call,), look=0, label="shrimp", caller="fork"),))
    drawn = fault.draw(index, (kit.OfVerdict(verdict.rule, verdict.about, one, verdict.va),))
    card, = (" ".join(said.split()) for name, said in pictures.groups(svg_of(drawn)).items() if name.startswith("fault-"))
    assert "kernel/proc.c:178 in sharefry, from fork" in card and "kernel/proc.c:178" in drawn.description
    assert "kernel/proc.c" not in cards(made)[0]


def test_words_are_as_the_golden_file_has_them(golden):
    made = {"a wrong pair": wrong_pair(), "the same, its lock held": locked(), "a sound kernel": sound(), "too little to judge": ft.Family(),
            "a panic": panicked(), "more than fit": broken(7)}
    golden("fault.txt", pictures.told({name: draw(one) for name, one in made.items()}))


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
    snapshot = documents.snapshot(str(path))
    pages = {(p.pid, m.region): m for p in snapshot.processes for m in p.mappings}
    shrimp, fry = pages[2, "shrimp"], pages[1, "fry"]
    assert shrimp.pa != fry.pa
    one = fault.draw(snapshot)
    said = " ".join(pictures.groups(svg_of(one))["fault-0"].split())
    assert said.startswith("! shrimp-pair")
    assert f"PTE at {shrimp.pte_at:#x} = {shrimp.pte:#x}, {shrimp.flags}" in said
    assert re.findall(r"frame (0x\w+)", said) == [f"{shrimp.pa:#x}", f"{fry.pa:#x}"] and "pid 1 (init)" in said

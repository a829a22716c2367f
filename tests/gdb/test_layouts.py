"""Kernels that lay memory out in other ways: superpages, copy-on-write, pages that come when they are touched, areas
outside the heap, a thousand processes. All is well and said to be so; then something is broken, and that is seen."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lab.kernels import variant

HERE = Path(__file__).resolve().parent
PROGRAMS = sorted((HERE / "programs").glob("*.c"))
ACCOUNTS = ("frame-in-ram", "not-on-free-list", "free-list-sound", "frames-conserved", "table-private",
            "count-matches", "heap-below-shrimp")


@pytest.fixture
def scene(machine, ask, tmp_path):
    """scene(name, program, patch or make's variables...): the machine that runs it, its snapshot, and a function that
    breaks something by GDB commands and returns the failing verdicts."""
    def start(name: str, program: str, *variables: str):
        patch = HERE / "variants" / f"{name}.patch"
        kernel = variant.build(name, [patch] if patch.exists() else [], variables, PROGRAMS)
        one = machine(3, kernel=kernel)
        one.send(f"{program} &")
        one.wait_for(program.split()[0] + r": ready\n")
        said = ask(one, "shrimp-check", f"xv6-snapshot {tmp_path}/s.json")
        assert re.search(r"^PASS: ", said, re.M), said
        for rule in ACCOUNTS:
            assert re.search(rf"^pass +{rule} ", said, re.M), said

        def broken(*commands: str) -> list[dict]:
            told = ask(one, *commands, "echo @\\n", "shrimp-check -json").partition("@\n")[2]
            verdicts = json.JSONDecoder().raw_decode(told)[0]["verdicts"]
            return [v for v in verdicts if v["status"] == "fail"]
        return one, json.loads((tmp_path / "s.json").read_text()), broken
    return start


def process(snapshot: dict, name: str) -> list[dict]:
    """The processes of that name, parent first."""
    return sorted((p for p in snapshot["processes"] if p["name"] == name), key=lambda p: p["pid"])


def pages(p: dict, region: str) -> list[dict]:
    return [m for m in p["mappings"] if m["region"] == region]


def unmapped(entry: dict) -> str:
    """A GDB command that takes a mapping away and frees nothing."""
    return f"set var *(unsigned long *){entry['pte_at']} = 0"


def test_superpages_are_walked_and_accounted_for(scene, ask):
    one, snapshot, broken = scene("superpages", "grown heap")
    parent, child = process(snapshot, "grown")
    large = [[m for m in p["mappings"] if m["level"]] for p in (parent, child)]
    assert [[(m["va"], m["level"], m["n_pages"], m["region"]) for m in them] for them in large] == \
        [[("0x200000", 1, 512, "heap")]] * 2
    assert large[0][0]["pa"] != large[1][0]["pa"]
    frames = {f["pa"]: (f["n_pages"], f["users"][0]["kind"]) for f in snapshot["frames"]}
    assert frames[large[0][0]["pa"]] == (512, "user")
    assert {f["name"]: f["count"] for f in snapshot["free"]["lists"]}["kmem.superfreelist"] == 2 * 512
    walked = ask(one, f"xv6-walk 0x345678 {child['pid']}", f"xv6-vmmap {child['pid']}")
    assert "leaf, superpage of 2 MiB" in walked
    assert f"PA {int(large[1][0]['pa'], 16) + 0x145678:#x}" in walked
    assert re.search(r"^ +0x200000 +0x400000 +512 +VRW-U-AD +1 ", walked, re.M), walked

    failing = broken("set var kmem.superfreelist = kmem.superfreelist->next")
    assert [v["rule"] for v in failing] == ["frames-conserved"] and "512 frames" in failing[0]["subject"]
    failing = broken(f"set var kmem.superfreelist = (struct run *){large[0][0]['pa']}",
                     "set var kmem.superfreelist->next = 0")
    assert {v["rule"] for v in failing} >= {"not-on-free-list"}
    assert f"frame {large[0][0]['pa']}, free" in {v["actual"] for v in failing}


def test_copy_on_write_frames_are_counted_by_their_users(scene, ask):
    one, snapshot, broken = scene("copy-on-write", "crowd 5")
    parent, *children = process(snapshot, "crowd")
    for region, n_frames in (("text", 1), ("data", 1), ("stack", 6), ("fry", 6)):
        assert len({m["pa"] for p in (parent, *children) for m in pages(p, region)}) == n_frames, region
    shared = pages(parent, "data")[0]
    assert shared["flags"] == "VR--U---"
    assert dict(snapshot["counts"]["values"])[shared["pa"]] == 6

    assert snapshot["layout"]["rsw"] == ["PTE_COW", "RSW1"]
    shown = ask(one, f"xv6-vmmap {parent['pid']}", f"xv6-walk {shared['va']} {parent['pid']}")
    assert re.search(rf"^ +{shared['va']} .* VR--U--- PTE_COW +0 ", shown, re.M), shown
    assert f"leaf VR--U--- PTE_COW -> {shared['pa']}" in shown, shown

    at = f"kmem.refs[({shared['pa']} - 0x80000000) / 4096]"
    failing = broken(f"set var {at} = 5")
    assert [(v["rule"], v["subject"]) for v in failing] == [("count-matches", f"frame {shared['pa']}")]
    assert failing[0]["actual"] == "5" and failing[0]["expected"].startswith("6:")


def test_pages_that_nobody_touched_are_not_missed(scene):
    _, snapshot, broken = scene("programs", "grown lazy")
    parent, child = process(snapshot, "grown")
    assert parent["sz"] == child["sz"] > 4 << 20
    for p in (parent, child):
        heap = [int(m["va"], 16) for m in pages(p, "heap")]
        assert len(heap) == 1024 // 7 + 1 and {b - a for a, b in zip(heap, heap[1:])} == {7 * 4096}

    page = pages(child, "heap")[3]
    failing = broken(unmapped(page))
    assert [(v["rule"], v["subject"]) for v in failing] == [("frames-conserved", f"frame {page['pa']}")]


def test_areas_outside_the_heap_are_the_process_own(scene):
    _, snapshot, broken = scene("areas", "grown area")
    parent, child = process(snapshot, "grown")
    others = pages(parent, "other")
    assert [m["flags"] for m in others] == ["VRW-U-AD"] * 4 and pages(child, "other") == []
    assert all(int(m["va"], 16) > parent["sz"] for m in others)

    failing = broken(unmapped(others[0]))
    assert [(v["rule"], v["subject"]) for v in failing] == [("frames-conserved", f"frame {others[0]['pa']}")]


@pytest.mark.soak
@pytest.mark.limit(240)
def test_a_thousand_processes_are_judged(scene):
    _, snapshot, broken = scene("slots-1024", "crowd 997", "EXTRA_CFLAGS=-DNPROC=1024", "MEM=128")
    assert snapshot["layout"]["nproc"] == 1024 and len(snapshot["processes"]) == 1000
    parent, *children = process(snapshot, "crowd")
    assert {m["pa"] for p in children for m in pages(p, "shrimp")} == {m["pa"] for m in pages(parent, "fry")}
    last = children[-1]
    failing = broken(f"set var *(unsigned long *){pages(last, 'shrimp')[0]['pte_at']} = "
                     f"{pages(children[0], 'shrimp')[0]['pte']} + (1 << 10)")
    assert ("shrimp-pair", last["pid"]) in {(v["rule"], v["pid"]) for v in failing}

"""What make check leaves in OUT= for a kernel with a mistake."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from lab.kernels import variant

ROOT = Path(__file__).resolve().parents[2]


def marks(mistake: str, out: Path, *words: str) -> dict:
    kernel = variant.build(f"zoo-{mistake}", [ROOT / f"tests/zoo/{mistake}.patch"])
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    subprocess.run(["make", "check", f"KERNEL={kernel.elf}", f"OUT={out}", *words], cwd=ROOT, env=clean, stdin=subprocess.DEVNULL,
                   capture_output=True)
    return json.loads((out / "results.json").read_text())


def test_what_is_beyond_the_handout_is_told_once_as_a_warning(tmp_path):
    told = marks("parent-first", tmp_path / "marks", "ONLY=orphan", "PROFILE=handout")
    assert {"orphan-alive", "not-on-free-list"} <= {*told["extra_data"]["warned"]} and not told["extra_data"]["failed"]
    assert (tmp_path / "marks/results.txt").read_text().count("its SHRIMP frame is on the free list") == 1


def test_a_failure_within_the_walls_is_told_with_the_line_that_wrote_it(tmp_path):
    told = marks("two-frames", tmp_path / "asked", "ONLY=family", "WHY=1")
    cause, = told["extra_data"]["causes"]
    field, entry = cause["traced"]["origins"]
    assert (field["what"], field["label"], field["calls"][field["look"]]["function"], field["caller"]) == ("field", "shrimp", "sharefry", "fork")
    assert (entry["what"], entry["calls"][entry["look"]]["function"], entry["new"]) == ("entry", "proc_pagetable", hex(int(entry["new"], 16)))
    place = f"{field['calls'][0]['file']}:{field['calls'][0]['line']} in sharefry"
    assert all(place in (tmp_path / "asked" / name).read_text() for name in ("results.txt", "results.xml", "fault.svg"))


@pytest.mark.soak
def test_the_story_is_filmed(tmp_path):
    told = marks("exec-renews", tmp_path / "marks", "ONLY=play")
    assert "specification" in told["extra_data"]["failed"]
    film = json.loads((tmp_path / "marks/film.json").read_text())
    assert (film["function"], len(film["steps"])) == ("exec", 3)
    assert "FRY of 2 is in another frame than before" in (tmp_path / "marks/film.html").read_text()

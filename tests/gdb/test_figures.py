"""Figures of page tables of a running machine: what they say is what the machine's memory holds."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "viz"))

import pictures                                 # noqa: E402

MAX_WIDTH_PT = 580


@pytest.fixture
def draw(family, ask, tmp_path):
    """draw(what is typed after shrimp-draw, command before it...): the figure, and what GDB printed."""
    def drawn(figure: str, *before: str) -> tuple[str, str]:
        said = ask(family, *before, f"shrimp-draw {figure} -o {tmp_path}/a.svg", f"shrimp-draw {figure} -o {tmp_path}/a.dot")
        assert "error:" not in said
        done = subprocess.run(["dot", "-Tsvg", str(tmp_path / "a.dot")], capture_output=True, check=True)
        assert done.stderr == b""
        svg = (tmp_path / "a.svg").read_text()
        pictures.assert_readable(svg, MAX_WIDTH_PT)
        return svg, said
    return drawn


@pytest.mark.parametrize("figure", ["address-space 4", "address-space 1", "table 4", "walk", "walk shrimp 4", "walk 0x5000 4"])
def test_figure_of_a_running_machine_is_whole(draw, figure: str):
    draw(figure)


def test_walk_has_the_entries_that_the_machine_has(draw):
    svg, said = draw("walk shrimp 4", "xv6-walk SHRIMP 4", "xv6-ps -json")
    steps = re.findall(r"^ +(\d) +(\d+) +(0x\w+) +(0x\w+) +(.*)$", said, re.M)
    assert len(steps) == 3
    for level, index, at, pte, meaning in steps:
        sentence = f"Level {level}: entry {index} at {at} = {int(pte, 16):#x}, {meaning}."
        assert sentence.replace(">", "&gt;") in svg
    pa = re.search(r"PA (0x[0-9a-f]+)", said)[1]
    [living] = [json.loads(line) for line in said.splitlines() if line.startswith("[{")]
    children = [one["pid"] for one in living if one["parent"] == 3]    # 4 may have forked before 3 forks again
    assert len(children) == 2 and f"Physical address {pa}, FRY of 3, SHRIMP of {children[0]}, {children[1]}." in svg


def test_every_page_of_vmmap_is_in_the_address_space(draw):
    svg, said = draw("address-space 4", "xv6-vmmap -frames 4")
    rows = re.findall(r"^ *(0x\w+) +(0x\w+) +(\d+) +V(\S{4})\S* +0 +(0x\w+) +(\w+)$", said, re.M)
    assert len(rows) >= 8
    # One row of the figure may be several of these: pages that differ in their frames alone.
    drawn = re.findall(r"(0x\w+) to (0x\w+): (\w+), (\d+) pages?, (\S{4}), (?:frames? (0x\w+)|(\d+) runs of frames)",
                       svg.partition("<desc")[2].partition("</desc>")[0])
    assert sum(int(pages) for _, _, _, pages, *_ in drawn) == sum(int(pages) for _, _, pages, *_ in rows)
    for first, end, pages, flags, pa, region in rows:
        [(start, stop, called, n_drawn, shown, frame, n_runs)] = [
            row for row in drawn if int(row[0], 16) <= int(first, 16) and int(end, 16) <= int(row[1], 16)]
        assert (called.lower(), shown) == (region, flags)
        assert frame == pa if pages == n_drawn else int(n_runs) > 1


def test_nothing_has_changed_on_a_machine_that_is_stopped(draw, tmp_path):
    svg, _ = draw("diff", f"xv6-snapshot {tmp_path}/before.json")
    assert "nothing has changed" in svg

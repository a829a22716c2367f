"""Trees on whose disk, or with whose system calls, make check's scenarios cannot be played, or not all of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.kernels import tree

import trees

# Each is built, booted and judged.
pytestmark = pytest.mark.limit(300)

DISK = "no scenarios: the disk image "
NOT_XV6S = DISK + "is no file system of xv6's: "
SCENARIOS = ", 12 scenarios, "    # the specification among them
LONG = pytest.mark.soak  # another of its kind is always tried


def constant(name: str, value: int, file: str = "kernel/fs.h") -> list[trees.Edit]:
    return [(file, rf"(#define {name}) \S+", rf"\1 {value:#x}")]


def without(call: str, number: int) -> list[trees.Edit]:
    """The kernel has no such system call; programs call its number."""
    return [("kernel/syscall.h", rf"#define SYS_{call} .*\n", ""), ("kernel/syscall.c", rf" X\({call}\)", ""),
            ("user/usys.S", rf"SYS_{call}\b", str(number))]


ELSEWHERE = [("kernel/syscall.h", r"(?s)#pragma once.*", '#pragma once\n#include "kernel/numbers.h"\n')]


@pytest.fixture
def checked(make, listing, lab):
    """checked(edits, only, patches): make check of the tree, which is left as it was, and so is what was built of it."""
    def run(*edits: list[trees.Edit], only: str = "", **how: object):
        mine = trees.again(lab, *edits, **how)
        if edits[0] is ELSEWHERE:
            (mine / "kernel/numbers.h").write_text((trees.ROOT / "xv6/kernel/syscall.h").read_text())
        before = contents(mine), listing(mine)
        built = tree.prepare(str(mine))
        image = built.disks[0].read_bytes()
        done = make("check", f"KERNEL={mine}", f"ONLY={only}")
        assert (contents(mine), listing(mine)) == before
        assert tree.prepare(str(mine)).disks[0].read_bytes() == image
        return done
    return run


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("edits,only,said", [
    pytest.param(constant("BSIZE", 4096), "", SCENARIOS, id="blocks-of-4096", marks=LONG),
    pytest.param(constant("NDIRECT", 28), "", SCENARIOS, id="inodes-of-128", marks=LONG),
    pytest.param(constant("DIRSIZ", 30), "", SCENARIOS, id="names-of-30", marks=LONG),
    pytest.param([("mkfs/mkfs.c", r"n < next_block; n\+\+", "n < sb.size; n++")], "family",
                 r"lab, family: its disk is full: our copy of it has \d+ blocks more", id="full"),
    pytest.param(constant("NINODES", 16, "mkfs/mkfs.c"), "", "lab, family: its disk is full: in our copy our programs are in the place of", id="no-inode", marks=LONG),
    pytest.param(ELSEWHERE, "", SCENARIOS, id="numbers-elsewhere", marks=LONG),
    pytest.param(without("kill", 6), "kill", "lab, kill: kill fails here: nobody is killed asleep", id="no-kill"),
    pytest.param(without("sbrk", 12), "memory", "lab, memory: sbrk fails here: memory does not run out", id="no-sbrk", marks=LONG),
])
def test_a_right_kernel_passes_and_what_was_not_tried_is_said(checked, edits, only, said):
    done = checked(edits, only=only)
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(re.findall(said, done.stderr)) == 1, done.stderr
    assert only or SCENARIOS in done.stderr
    assert re.search(r"^PASS: \d+ verdicts ", done.stdout, re.M)


def test_a_kernel_for_which_no_scenario_can_be_played_is_not_judged(checked):
    done = checked(constant("FSMAGIC", 0x10203041))
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"check: {NOT_XV6S}it has no superblock" in done.stderr
    assert re.search(f"^NOT JUDGED: family: {NOT_XV6S}it has no superblock", done.stdout, re.M)


def test_a_mistake_is_found_without_scenarios(checked):
    done = checked(constant("FSMAGIC", 0x10203041), patches=["zoo/two-frames.patch"])
    assert done.returncode == 1 and "no scenarios: " in done.stderr, done.stdout + done.stderr
    assert re.search(r"^FAIL shrimp-pair: pid \d+ \(\w+\): its SHRIMP is not its parent's FRY", done.stdout, re.M), done.stdout


def test_a_kernel_without_pipes_is_not_judged(checked):
    done = checked(without("pipe", 4), only="family")
    assert done.returncode == 2, done.stdout + done.stderr
    assert re.search(r"^NOT JUDGED: family: the scenario 'family' cannot pipe ", done.stdout, re.M), done.stdout
    assert not re.search("^PASS", done.stdout, re.M)

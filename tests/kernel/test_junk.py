"""What is in freed frames: junk, so that a use after free shows; or what was there, in a kernel built without junk."""

from __future__ import annotations

import json
import mmap
from collections import Counter

import pytest

from facts import PAGE, RAM
from lab.kernels import variant

LINK = 8        # bytes at a free frame's start: the next one's address
JUNK = b"\1" * (PAGE - LINK)
UNTOUCHED = bytes(PAGE - LINK)


@pytest.fixture
def free_contents(gdb, tmp_path):
    """free_contents(machine): how many free frames hold "junk", nothing but zeros ("untouched"), or "data"."""
    def count(machine) -> Counter[str]:
        path = tmp_path / "snapshot.json"
        gdb(machine.kernel.elf, [f"xv6-snapshot {path}"], target=machine.gdb_target)
        free = json.loads(path.read_text())["free"]
        assert free["complete"]
        found: Counter[str] = Counter()
        with machine.ram_file.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as ram:
            for first, n_pages in free["runs"]:
                for at in range(int(first, 16) - RAM, int(first, 16) - RAM + n_pages * PAGE, PAGE):
                    rest = ram[at + LINK:at + PAGE]
                    found["junk" if rest == JUNK else "untouched" if rest == UNTOUCHED else "data"] += 1
        return found
    return count


def test_freed_frames_hold_junk_and_nothing_else(machine, free_contents):
    one = machine(1)
    one.run("shrimptest", 90)
    found = free_contents(one)
    assert found["junk"] > 10 and found["data"] == 0, found


def test_freed_frames_keep_their_bytes_in_a_kernel_built_without_junk(machine, free_contents):
    one = machine(1, kernel=variant.build("without-junk", variables=["JUNK=0"]))
    one.run("shrimptest", 90)
    found = free_contents(one)
    assert found["junk"] == 0 and found["data"] > 10, found

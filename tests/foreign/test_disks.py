"""Files put into disk images of other formats than ours, and of full disks."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab import ROOT, Trouble
from lab.judging import scenarios
from lab.kernels import disk, tree
from shrimpy.memory.elf import Elf

BLOCK = 1024
FILES = {"init": 3000, "sh": 9000, "usertests": 30000, "README": 700}
OURS = {"scene": b"s" * 9000, "high": b"h" * 100}


@dataclass(frozen=True)
class Format:
    """Bytes: an inode, where in it length and block numbers are, an entry, where in it the name is; and how full it is."""

    inode: int = 64
    length: int = 8
    blocks: int = 12
    entry: int = 16
    name: int = 2
    tail: bytes = b""   # the last bytes of each inode: its owner and the like
    n_free: int = 50
    n_blocks: int = 200
    extents: bool = False

    def image(self) -> bytes:
        data = bytearray(self.n_blocks * BLOCK)
        inodes, n_inodes = 10, 100
        bitmap = inodes + n_inodes // (BLOCK // self.inode) + 1
        free = bitmap + 1
        struct.pack_into("<8I", data, BLOCK, 0x10203040, self.n_blocks, self.n_blocks - free, n_inodes, 8, 2, inodes, bitmap)

        def put(number: int, kind: int, size: int, blocks: list[int]) -> None:
            at = inodes * BLOCK + number // (BLOCK // self.inode) * BLOCK + number % (BLOCK // self.inode) * self.inode
            struct.pack_into("<4h", data, at, kind, 0, 0, 1)
            data[at + self.inode - len(self.tail):at + self.inode] = self.tail
            struct.pack_into("<I", data, at + self.length, size)
            numbers = [blocks[0], len(blocks)] if self.extents else blocks[:12]
            struct.pack_into(f"<{len(numbers)}I", data, at + self.blocks, *numbers)
        root, free = free, free + 1
        entries = self._entry(1, ".") + self._entry(1, "..")
        for number, (name, size) in enumerate(FILES.items(), 2):
            n = -(-size // BLOCK)
            put(number, 2, size, list(range(free, free + n)))
            free += n
            entries += self._entry(number, name)
        data[root * BLOCK:root * BLOCK + len(entries)] = entries
        put(1, 1, BLOCK, [root])
        for number in (*range(free), *range(free, self.n_blocks - self.n_free)):
            data[bitmap * BLOCK + number // 8] |= 1 << number % 8
        return bytes(data)

    def _entry(self, number: int, name: str) -> bytes:
        return number.to_bytes(self.name, "little") + name.encode().ljust(self.entry - self.name, b"\0")


def added(tmp_path: Path, image: bytes) -> tuple[disk.Image, str | None]:
    (tmp_path / "image").write_bytes(image)
    said = disk.with_files(tmp_path / "image", OURS, tmp_path / "copy", frozenset(("init", "sh")))
    return disk.Image((tmp_path / "copy").read_bytes()), said


@pytest.mark.parametrize("form", [
    pytest.param(Format(), id="xv6"),
    pytest.param(Format(inode=128, blocks=12), id="more-blocks"),
    pytest.param(Format(inode=128, length=16, blocks=24, tail=b"\1\2\3\4" * 4), id="owner-before-and-times-after"),
    pytest.param(Format(entry=32), id="names-of-30"),
    pytest.param(Format(entry=64, name=4), id="wide-numbers"),
])
def test_the_format_is_learnt_from_the_image(tmp_path, form):
    image, said = added(tmp_path, form.image())
    assert said is None
    names = image.names()
    assert {name: image.length(number) for name, number in names.items() if name not in (".", "..")} == {
        **FILES, **{name: len(content) for name, content in OURS.items()}}
    at = image._inode_at(names["scene"])
    assert bytes(image.data[at + form.inode - len(form.tail):at + form.inode]) == form.tail
    first = image._word(at + form.blocks)
    assert bytes(image.data[first * BLOCK:first * BLOCK + BLOCK]) == b"s" * BLOCK


def test_a_full_disk_grows_in_our_copy(tmp_path):
    image, said = added(tmp_path, Format(n_free=3).image())
    assert set(image.names()) >= {*FILES, *OURS} and "8 blocks more" in said


def test_where_it_cannot_grow_our_programs_take_the_place_of_the_largest_that_no_scenario_needs(tmp_path):
    image, said = added(tmp_path, Format(n_free=3).image() + bytes(5000))  # something lies behind it
    assert {"init", "sh", "scene", "high"} <= set(image.names()) and "usertests" not in image.names()
    assert "in the place of usertests" in said


@pytest.mark.parametrize("form", [Format(extents=True), Format(blocks=16, extents=True)])
def test_blocks_that_are_not_listed_one_by_one_are_said_to_be(tmp_path, form):
    with pytest.raises(Trouble, match="inodes of another format than a length and block numbers"):
        added(tmp_path, form.image())


@pytest.mark.parametrize("at", [0, 0x3000])
def test_our_programs_begin_where_those_on_the_disk_do(tmp_path, at):
    source = ROOT / "scripts/scenarios"
    program = scenarios.compiled(source / "shrimphigh.c", source / "program.ld", [scenarios.placed(at)], tmp_path)
    image = disk.Image(Format().image())
    for name in ("init", "sh"):
        image.add(name, program.read_bytes())
    (tmp_path / "image").write_bytes(image.data)
    assert scenarios.begins(tree.Kernel("lab", tmp_path / "kernel", (tmp_path / "image",))) == at
    assert min(one.vaddr for one in Elf.load(program).segments if one.is_load) == at


def test_files_that_are_no_programs_say_nothing_of_where_programs_begin(tmp_path):
    (tmp_path / "image").write_bytes(Format().image())
    assert scenarios.begins(tree.Kernel("lab", tmp_path / "kernel", (tmp_path / "image",))) == 0


def test_no_file_system_is_said_to_be_none(tmp_path):
    with pytest.raises(Trouble, match="it has no superblock"):
        added(tmp_path, bytes(5000))
    with pytest.raises(Trouble, match="inode 1 is not its root directory"):
        added(tmp_path, Format().image()[:10 * BLOCK] + bytes(190 * BLOCK))

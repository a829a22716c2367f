"""The disk is whole whatever stops the machine, and the checker that says so sees every kind of damage."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import random
import re
import shutil
import signal
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

BLOCK = 1024
ROOT_INODE = 1
INODE_BYTES = 64
ON_A_DISK = ("-device", "virtio-blk-device,drive=x0,bus=virtio-mmio-bus.0")


@pytest.fixture
def mkfs(kernel) -> Path:
    return kernel.disks[0].parent / "mkfs/mkfs"


def faults(mkfs: Path, image: Path) -> list[str]:
    """What the checker says about an image; its status must agree."""
    done = subprocess.run([mkfs, "-c", image], capture_output=True, text=True)
    assert done.returncode == bool(done.stdout or done.stderr)
    return (done.stdout + done.stderr).splitlines()


class Image:
    """A disk image's bytes, with the places that a test damages."""

    def __init__(self, data: bytes) -> None:
        self.data = bytearray(data)
        (_, self.size, _, _, _, self.log, self.inodes, self.bitmap) = struct.unpack_from("<8I", data, BLOCK)

    def inode(self, number: int) -> int:
        return self.inodes * BLOCK + number * INODE_BYTES

    def address(self, number: int, i: int) -> int:
        return self.inode(number) + 12 + 4 * i

    def get(self, at: int) -> int:
        return struct.unpack_from("<I", self.data, at)[0]

    def entry(self, i: int) -> int:
        """The root directory's i'th entry; 0 and 1 are dot and dotdot."""
        return self.get(self.address(ROOT_INODE, 0)) * BLOCK + 16 * i

    def bit(self, block: int) -> tuple[int, int]:
        return self.bitmap * BLOCK + block // 8, 1 << block % 8

    def put(self, at: int, value: int, size: int = 4) -> None:
        self.data[at:at + size] = value.to_bytes(size, "little")


def share_a_block(image: Image) -> None:
    image.put(image.address(3, 0), image.get(image.address(2, 0)))


def leave_the_disk(image: Image) -> None:
    image.put(image.address(2, 1), image.size + 7)


def mark_free(image: Image) -> None:
    at, bit = image.bit(image.get(image.address(2, 0)))
    image.data[at] &= ~bit


def mark_used(image: Image) -> None:
    at, bit = image.bit(image.size - 1)
    image.data[at] |= bit


def count_a_link_too_many(image: Image) -> None:
    image.put(image.inode(2) + 6, 2, 2)


def take_the_name(image: Image) -> None:
    image.put(image.entry(2), 0, 2)


def name_a_free_inode(image: Image) -> None:
    image.put(image.entry(3), 190, 2)


def turn_dotdot(image: Image) -> None:
    image.put(image.entry(1), 2, 2)


def lose_a_block(image: Image) -> None:
    image.put(image.address(2, 0), 0)


def grow_too_big(image: Image) -> None:
    image.put(image.inode(2) + 8, 300 * BLOCK)


def commit_nonsense(image: Image) -> None:
    image.put(image.log * BLOCK, 1)
    image.put(image.log * BLOCK + 4, image.size + 1)


def have_an_odd_type(image: Image) -> None:
    image.put(image.inode(2), 9, 2)


def lose_the_magic(image: Image) -> None:
    image.put(BLOCK, 0)


@pytest.mark.parametrize("damage, said", [
    (share_a_block, "inode 3: block {} is also inode 2's"),
    (leave_the_disk, "inode 2: block {} is not a data block"),
    (mark_free, "bitmap: block {} is marked free, but inode 2's"),
    (mark_used, "bitmap: block {} is marked used, but nobody's"),
    (count_a_link_too_many, "inode 2: nlink is 2, expected 1"),
    (take_the_name, "inode 2: in use, but without a name"),
    (name_a_free_inode, "is inode 190, which is free"),
    (turn_dotdot, 'directory 1: entry 1 is "..", inode 2, expected "..", inode 1'),
    (lose_a_block, "inode 2: no block 0"),
    (grow_too_big, "inode 2: size 307200 is more than a file can have"),
    (commit_nonsense, "log: entry 0 is for block {}, outside the disk"),
    (have_an_odd_type, "inode 2: no type 9"),
    (lose_the_magic, "superblock: magic is 0, expected 0x10203040"),
], ids=lambda value: getattr(value, "__name__", ""))
def test_checker_names_the_damage(kernel, mkfs, tmp_path, damage, said):
    image = Image(kernel.disks[0].read_bytes())
    path = tmp_path / "fs.img"
    path.write_bytes(image.data)
    assert faults(mkfs, path) == []
    damage(image)
    path.write_bytes(image.data)
    before, _, after = said.partition("{}")
    assert any(before in line and after in line for line in faults(mkfs, path))


def test_mkfs_makes_the_same_bytes_from_the_same_files(mkfs, tmp_path):
    program = tmp_path / "_program"
    program.write_bytes(bytes(range(256)) * 300)
    images = [tmp_path / name for name in ("one.img", "two.img")]
    for image in images:
        subprocess.run([mkfs, image, program, __file__], check=True)
        assert faults(mkfs, image) == []
    assert images[0].read_bytes() == images[1].read_bytes()
    assert b"\0program\0" in images[0].read_bytes()


@pytest.mark.parametrize("name, size, said", [
    ("big", 269 * BLOCK, "a file holds 274432 at most"),
    ("a_name_of_15_by", 1, "a name has 1 to 14 bytes"),
    ("missing", None, "cannot open"),
])
def test_mkfs_that_fails_says_why_and_leaves_nothing(mkfs, tmp_path, name, size, said):
    if size is not None:
        (tmp_path / name).write_bytes(bytes(size))
    done = subprocess.run([mkfs, tmp_path / "fs.img", tmp_path / name], capture_output=True, text=True)
    assert done.returncode == 1 and said in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.glob("fs.img*"))


def written(log: Path) -> Iterator[tuple[int, bytes]]:
    """What QEMU's blklogwrites recorded: byte offset and data of each write, in order.

    The format is dm-log-writes' (Linux, Documentation/admin-guide/device-mapper/log-writes.rst).
    """
    data = log.read_bytes()
    _, _, n_entries, sector = struct.unpack_from("<QQQI", data, 0)
    at = sector
    for _ in range(n_entries):
        where, n_sectors, _, _ = struct.unpack_from("<QQQQ", data, at)
        at += sector
        n_bytes = n_sectors * sector
        yield where * sector, data[at:at + n_bytes]
        at += n_bytes


@pytest.fixture
def boot_image(kernel, machine) -> Callable:
    """boot_image(image, log=None, kernel=...): a machine on that very file, its writes recorded in log."""
    def boot(image: Path, log: Path | None = None, kernel=kernel):
        last = f"driver=raw,node-name=x0,file.driver=file,file.filename={image}"
        if log:
            log.touch()
            last = (f"driver=blklogwrites,node-name=x0,file.driver=file,file.filename={image},"
                    f"log.driver=file,log.filename={log}")
        options = (*kernel.qemu_options, "-blockdev", last, *ON_A_DISK)
        return machine(3, kernel=dataclasses.replace(kernel, disks=(), qemu_options=options))
    return boot


def test_files_that_a_crash_left_without_a_name_are_freed_at_the_next_boot(kernel, mkfs, boot_image, tmp_path):
    """Two in one block of inodes, and the last inode that there is; one of them with a block of data."""
    image = Image(kernel.disks[0].read_bytes())
    last = image.get(BLOCK + 12) - 1
    block = image.size - 1
    for number in (last - 41, last - 40, last):
        image.put(image.inode(number), 2, 2)
    image.put(image.inode(last) + 8, BLOCK)
    image.put(image.address(last, 0), block)
    at, bit = image.bit(block)
    image.data[at] |= bit
    path = tmp_path / "fs.img"
    path.write_bytes(image.data)
    assert sum("without a name" in line for line in faults(mkfs, path)) == 3
    boot_image(path).stop()
    assert faults(mkfs, path) == []


def test_reading_the_longest_file_again_reads_no_disk(machine, loads):
    """Its blocks push each other out of a smaller cache, each just before it is wanted."""
    def disk_reads() -> int:
        with one.qmp() as monitor:
            return sum(each["stats"]["rd_operations"] for each in monitor.execute("query-blockstats"))
    one = machine(1, kernel=loads)
    one.send("reread")
    one.wait_for("reread: 268 blocks, 0\n")
    before = disk_reads()
    one.send("")
    one.wait_for("reread: 268 blocks, 1\n")
    assert disk_reads() == before


COMMANDS = ("stressfs", "mkdir a", "mkdir a/b", "ln README a/b/c", "cat README > a/d", "rm a/b/c", "rm a/b",
            "cat usertests > big", "ln big a/e", "rm big", "rm a/d a/e a")


@pytest.mark.limit(240)
@pytest.mark.parametrize("every", [pytest.param(1, marks=pytest.mark.soak), 5, 25])
def test_disk_is_whole_at_every_write_and_the_kernel_recovers(kernel, mkfs, boot_image, tmp_path, every):
    image, log, cut = (tmp_path / name for name in ("fs.img", "writes", "cut.img"))
    shutil.copyfile(kernel.disks[0], image)
    state = Image(image.read_bytes())
    running = boot_image(image, log)
    for command in COMMANDS:
        running.run(command)
    running.stop()

    committed = []          # states whose log must be replayed
    shutil.copyfile(kernel.disks[0], cut)
    with cut.open("r+b", buffering=0) as disk:
        for number, (offset, data) in enumerate(written(log)):
            disk.seek(offset)
            disk.write(data)
            state.data[offset:offset + len(data)] = data
            if offset == state.log * BLOCK and state.get(offset) > 0:
                committed.append(bytes(state.data))
            # What was open, but had no name any more, waits for the next boot.
            assert number % every or [line for line in faults(mkfs, cut) if "without a name" not in line] == []
    assert bytes(state.data) == image.read_bytes()
    assert len(committed) > 100

    for data in committed[::len(committed) // 3]:
        cut.write_bytes(data)
        boot_image(cut).stop()
        assert Image(cut.read_bytes()).get(state.log * BLOCK) == 0
        assert faults(mkfs, cut) == []


_IN_MODIFY = 2          # Linux, inotify(7)


class Writes:
    """The writes to a file by whatever process, as they happen: inotify. Some that follow fast count as one."""

    def __init__(self, path: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = libc.inotify_init()
        if libc.inotify_add_watch(self._descriptor, os.fsencode(path), _IN_MODIFY) < 0:
            raise OSError(ctypes.get_errno(), "inotify")

    def await_one(self) -> None:
        os.read(self._descriptor, 16)       # one struct inotify_event without a name

    def close(self) -> None:
        os.close(self._descriptor)


def last_written(said: str) -> int:
    """The last entry that ledger told of, or 0. Its line is complete."""
    return max((int(n) for n in re.findall(r"ledger: (\d+) written\n", said)), default=0)


def cut_power(one, chance: random.Random, image: Path, n_reported: int) -> str:
    """Kills QEMU in the middle of its writing, at one of its writes or when one more entry is reported; which."""
    if chance.random() < 0.75:
        number = chance.randint(1, 300)
        writes = Writes(image)
        for _ in range(number):
            writes.await_one()
        writes.close()
        when = f"at write {number}"
    else:
        number = n_reported + chance.randint(1, 12)
        one.wait_until(lambda said: last_written(said) >= number)
        when = f"at entry {number}"
    os.kill(one.pid, signal.SIGKILL)
    one.stop()
    return when


def check_power_cuts(loads, mkfs, boot_image, tmp_path, seed, n_cuts):
    """Each cut is of another boot on the same disk, which begins with what the last one left."""
    chance = random.Random(seed)
    image = tmp_path / "fs.img"
    shutil.copyfile(loads.disks[0], image)
    reported = replayed = 0
    when = "the first boot"
    for number in range(n_cuts + 1):
        one = boot_image(image, kernel=loads)
        if reported:
            said = one.run(f"ledger check {reported}")
            assert "ledger: right" in said, f"cut {number} of seed {seed}, {when}, {reported} reported: {said}"
        with one.qmp() as monitor:
            monitor.execute("stop")         # nothing is on its way to the disk any more
            found = faults(mkfs, image)
            assert not found, f"cut {number} of seed {seed}, {when}: {found}"
            monitor.execute("cont")
        if number == n_cuts:
            break
        # With others at the disk, who returns first may have to wait for their commit: no claim is made then.
        alone = chance.random() < 0.7
        if not alone:
            one.send("stressfs &")
            one.wait_for("stressfs starting\n")
        one.send(f"ledger write {reported + 1}")
        one.wait_for("ledger: ")
        when = cut_power(one, chance, image, reported) + ("" if alone else ", beside stressfs")
        if alone:
            reported = last_written(one.console) or reported
        else:
            reported = 0
        state = Image(image.read_bytes())
        replayed += state.get(state.log * BLOCK) > 0
        found = [line for line in faults(mkfs, image) if "without a name" not in line]
        assert not found, f"cut {number} of seed {seed}, {when}, before the next boot: {found}"
    return replayed


@pytest.mark.parametrize("seed", [1])
def test_disk_survives_power_cuts(loads, mkfs, boot_image, tmp_path, seed):
    check_power_cuts(loads, mkfs, boot_image, tmp_path, seed, 3)


@pytest.mark.soak
@pytest.mark.limit(3600)
@pytest.mark.parametrize("seed", [2])
def test_disk_survives_a_hundred_power_cuts(loads, mkfs, boot_image, tmp_path, seed):
    replayed = check_power_cuts(loads, mkfs, boot_image, tmp_path, seed, 100)
    assert replayed > 10, "most cuts were to hit a transaction between its commit and its end"

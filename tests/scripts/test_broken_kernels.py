"""Kernels whose file lies about itself: one line, and status 2, before they are booted; and what reading them costs."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from lab import Trouble
from lab.kernels import copying, tree
from lab.machines import kernelram
from shrimpy.memory.elf import Elf

ROOT = Path(__file__).resolve().parents[2]
sys.path.append(str(ROOT / "tests/pure"))

from elves import BODY, HEADERS, MIB, RAM, SECTION_NAMES, SYMBOLS, Counted, Part, elf, other, with_symbols  # noqa: E402

CASES = {**HEADERS, **SYMBOLS, **SECTION_NAMES,
         "nothing-is-loaded": (elf([], b""), "expected a segment that is loaded, found none")}

# What its build makes is what kernel/bytes.gz holds.
MAKEFILE = """\
qemu: kernel/kernel fs.img
\tqemu-system-riscv64 -machine virt -bios none -kernel kernel/kernel -drive file=fs.img,if=none,format=raw,id=x0
kernel/kernel: kernel/bytes.gz
\tgzip -dc $< > $@
fs.img:
\thead -c 4096 /dev/zero > $@
"""


def check(kernel: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run([ROOT / "scripts/check", "--kernel", kernel, *words], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)


@pytest.fixture
def tree_of(tmp_path):
    """tree_of(data): a tree whose build makes such a kernel."""
    def make(data: bytes) -> Path:
        lab = tmp_path / "lab"
        (lab / "kernel").mkdir(parents=True)
        (lab / "kernel/bytes.gz").write_bytes(gzip.compress(data))
        (lab / "Makefile").write_text(MAKEFILE)
        return lab
    return make


@pytest.mark.parametrize("name", CASES)
def test_a_kernel_that_lies_is_refused_in_one_line(tmp_path, name):
    data, said = CASES[name]
    (tmp_path / "kernel").write_bytes(data)
    (tmp_path / "fs.img").write_bytes(bytes(1024))
    with pytest.raises(Trouble) as caught:
        tree.prepare(str(tmp_path / "kernel"))
    line = str(caught.value)
    assert line.startswith(f"KERNEL={tmp_path / 'kernel'}: expected ") and said in line and "\n" not in line


@pytest.mark.parametrize("name", ["64-bytes", "40-segments-of-the-same-8-mib", "symbols-of-no-bytes"])
def test_check_of_a_file_that_lies_says_so_in_one_line(tmp_path, name):
    data, said = CASES[name]
    (tmp_path / "kernel").write_bytes(data)
    done = check(tmp_path / "kernel")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("check: KERNEL=") and said in done.stderr


@pytest.mark.parametrize("name", ["nothing", "32-bit", "another-machine", "64-bytes", "40-segments-of-the-same-8-mib",
                                  "65535-program-headers", "symbols-of-no-bytes", "nothing-is-loaded"])
def test_check_of_a_tree_that_builds_one_says_so_in_one_line(tree_of, name):
    data, said = CASES[name]
    lab = tree_of(data)
    done = check(lab)
    tree.discard(str(lab))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stderr
    assert done.stderr.startswith("check: lab: ") and said in done.stderr


def test_a_tree_that_builds_one_did_not_build(tree_of, tmp_path):
    lab = tree_of(CASES["cut-off"][0])
    done = check(lab, "--out", str(tmp_path / "marks"))
    assert done.returncode == 1 and CASES["cut-off"][1] in done.stdout


@pytest.mark.parametrize("data, name, made", [
    (elf(), "anything", True), (elf(entry=0), "anything", False), (elf(entry=0), "_init", True),
    (elf(type=1), "_init", False), (other(64, "<", 62), "mkfs", True), (other(32, "<", 3), "mkfs", True),
    (other(32, ">", 8), "mkfs", True), (other(64, ">", 22), "mkfs", True), (other(64, "<", 62), "data", False),
    (elf()[:63], "_init", False), (b"#!/bin/sh\n", "mkfs", False),
])
def test_what_a_build_has_made_is_told_by_its_header_whatever_machine_it_is_for(tmp_path, data, name, made):
    (tmp_path / name).write_bytes(data)
    assert copying._is_product(tmp_path / name, {"mkfs", "init"}) == made


@pytest.mark.parametrize("instruction, register, writes", [
    (0x3b051073, 0x3b0, True), (0x3b005073, 0x3b0, True), (0x3b0fd073, 0x3b0, True), (0x14d79073, 0x14d, True),
    (0x14d0d073, 0x14d, True),
    (0x3b0510f3, 0x3b0, False),     # csrrw ra
    (0x3b052073, 0x3b0, False),     # csrrs
    (0x3b151073, 0x3b0, False), (0x14e79073, 0x14d, False),     # the next register
])
def test_an_instruction_that_writes_a_register_is_found_by_its_fields(instruction, register, writes):
    word = instruction.to_bytes(4, "little")
    assert tree._writes(Elf(elf([Part(file_size=6)], b"\1\0" + word)), register) == writes
    assert not tree._writes(Elf(elf([Part(file_size=5)], b"\1" + word)), register)
    assert not tree._writes(Elf(elf([Part(file_size=6, flags=6)], b"\1\0" + word)), register)


def test_looking_for_an_instruction_copies_each_byte_of_the_code_once():
    parts = [Part(BODY + i * MIB, RAM + i * MIB, MIB, flags=5 if i % 2 else 6) for i in range(8)]
    counted = Counted(elf(parts, bytes(8 * MIB)))
    file = Elf(counted)
    counted.copied = 0
    assert not tree._writes(file, 0x3b0)
    assert counted.copied == 4 * MIB


def test_what_objcopy_makes_of_a_kernel_has_its_holes_up_to_16_mib(tmp_path):
    path = tmp_path / "kernel"
    places = [(4, RAM + 8), (0, RAM), (8, RAM + 17 * MIB), (12, 1 << 63)]
    path.write_bytes(elf([Part(BODY + offset, paddr, 4) for offset, paddr in places], b"abcdefghijklmnop"))
    assert tree._flat(path) == b"abcd\0\0\0\0efgh"
    path.write_bytes(CASES["cut-off"][0])
    assert tree._flat(path) == b""


class Ram(kernelram.KernelRam):
    """Counts the bytes that are read."""

    n_bytes = 0

    def read(self, place: range) -> bytes:
        data = super().read(place)
        self.n_bytes += len(data)
        return data


@pytest.mark.parametrize("size", [4, 1 << 40, 1 << 63])
def test_the_calls_of_a_function_are_counted_in_what_the_file_has_of_code(tmp_path, size):
    call, jump = 0x000000ef, 0x0000006f
    code = struct.pack("<4I", call, 0x00000097, 0xffc080e7, jump)       # jal .; auipc ra, 0; jalr -4(ra); j .
    (tmp_path / "kernel").write_bytes(with_symbols([(1, RAM, 4), (6, RAM + 4, size)], code=code))
    (tmp_path / "ram").write_bytes(code + struct.pack("<I", 0xff1ff0ef) + bytes(8 * MIB))   # jal .-16
    ram = Ram(tmp_path / "kernel", tmp_path / "ram")
    assert (ram.n_calls("main"), ram.n_bytes) == (2, len(code))
    ram.close()


def test_of_a_kernel_that_lies_nothing_is_known_in_ram(tmp_path):
    (tmp_path / "kernel").write_bytes(CASES["symbols-of-no-bytes"][0])
    (tmp_path / "ram").write_bytes(bytes(4096))
    ram = kernelram.KernelRam(tmp_path / "kernel", tmp_path / "ram")
    assert ram.function(RAM) is None

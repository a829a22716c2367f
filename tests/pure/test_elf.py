"""The reader of ELF files: what a sound one says; one that lies is an error of one line, and costs no more than its
bytes."""

from __future__ import annotations

import random
import struct

import pytest
from elves import BODY, CODE, HEADERS, MIB, RAM, SECTION_NAMES, SYMBOLS, Counted, Part, elf, other, with_symbols
from shrimpy.memory.elf import Elf, ElfError, Header, Range, Segment, plain, section_names, symbols

CASES = {**HEADERS, **SYMBOLS, **SECTION_NAMES}


@pytest.mark.parametrize("name", CASES)
def test_a_file_that_lies_is_an_error_of_one_line_and_costs_no_more_than_its_bytes(name):
    data, said = CASES[name]
    counted = Counted(data)
    with pytest.raises(ElfError) as caught:
        file = Elf(counted)
        file.symbols()
        file.section_names()
    line = str(caught.value)
    assert said in line and "\n" not in line
    assert line.startswith("expected ") and " at byte 0x" in line and ", found " in line
    assert counted.copied <= 2 * len(data)


def test_of_segments_that_share_their_bytes_only_the_headers_are_read():
    counted = Counted(HEADERS["40-segments-of-the-same-8-mib"][0])
    with pytest.raises(ElfError):
        Elf(counted)
    assert len(counted) == 8 * MIB and counted.copied == 64 + 40 * 56


def test_an_error_says_which_file(tmp_path):
    path = tmp_path / "kernel"
    for data, said in CASES.values():
        path.write_bytes(data)
        for read in (Elf.load, symbols, section_names):
            with pytest.raises(ElfError) as caught:
                read(str(path))
            assert str(caught.value).startswith(f"{path}: expected ") and said in str(caught.value)


def test_a_file_too_large_for_a_kernel_is_not_read(tmp_path):
    path = tmp_path / "kernel"
    path.write_bytes(elf())
    with path.open("r+b") as file:
        file.truncate(1 << 40)
    with pytest.raises(ElfError, match="expected a file of at most 67108864 bytes, found 1099511627776"):
        Elf.load(path)


@pytest.mark.parametrize("bits, order, machine", [
    (32, "<", 243), (32, ">", 8), (64, "<", 62), (64, ">", 22), (64, "<", 243),
])
def test_the_header_of_a_program_for_any_machine(bits, order, machine):
    assert Header.of(other(bits, order, machine)[:64]) == (bits, {"<": "little", ">": "big"}[order], 2, machine, RAM)


def test_what_a_sound_kernel_says():
    file = Elf(with_symbols())
    assert file.segments == [Segment(1, BODY, RAM, RAM, 8, 8, 5)] and file.entry == RAM and not file.is_core
    assert file.symbols() == ([Range(RAM, 4, "main"), Range(RAM + 4, 4, "spin")], [])
    assert file.addresses(["spin", "nowhere"]) == {"spin": RAM + 4}
    assert file.bytes_of(file.segments[0]) == CODE


def test_of_a_sound_kernel_each_byte_is_copied_once_at_most():
    counted = Counted(with_symbols(names=b"\0main\0spin\0".ljust(MIB, b"\0")))
    Elf(counted).symbols()
    assert MIB < counted.copied <= len(counted)


@pytest.mark.parametrize("va, n, there", [
    (RAM, 8, CODE), (RAM + 4, 4, CODE[4:]), (RAM + 4, 1 << 70, CODE[4:]), (RAM - 1, 8, b""), (RAM + 8, 8, b""),
    (0x4000, 3, b"abc"), (0x4004, 1 << 70, b"ef"), (0x4006, 1, b""), (1 << 64, 8, b""),
])
def test_the_bytes_at_a_virtual_address_are_those_of_its_segment(va, n, there):
    parts = [Part(), Part(BODY + 8, RAM + 0x4000, 6, 0x100, vaddr=0x4000), Part(1 << 40, RAM + 0x8000, 0, 0x1000)]
    assert Elf(elf(parts, CODE + b"abcdefgh")).read(va, n) == there


def test_names_may_share_their_ends_and_be_used_often():
    named = with_symbols([(2, RAM, 4), (1, RAM + 4, 4), *[(1, RAM + 8 + i, 1) for i in range(1000)]], b"\0kfork\0")
    assert [one.name for one in Elf(named).symbols()[0][:3]] == ["fork", "kfork", "kfork"]


@pytest.mark.parametrize("name, short", [
    ("_Z7uvmfreePmm", "uvmfree"), ("_ZN2vm6tables4walkEv", "walk"), ("fork", "fork"), ("_Z9fork", "_Z9fork"),
    ("_Z٣abc", "_Z٣abc"),
])
def test_a_name_of_c_plus_plus_is_short_and_one_that_lies_is_as_it_is(name, short):
    assert plain(name) == short


def test_a_name_with_a_length_of_ten_thousand_digits_is_as_it_is():
    assert plain("_Z" + "9" * 10_000) == "_Z" + "9" * 10_000


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_written_into_a_file_it_is_read_or_an_error(seed):
    chooser = random.Random(seed)
    sound = with_symbols(more=[{"type": 3, "offset": 0x1000, "size": 8}], shstrndx=4)
    ends = [*range(0, 64 + 56, 2), *range(BODY, len(sound), 4)]
    read = 0
    for _ in range(200):
        data = bytearray(sound)
        for _ in range(chooser.randint(1, 3)):
            form = chooser.choice("BHIQ")
            at = min(chooser.choice(ends), len(data) - struct.calcsize(form))
            most = (1 << 8 * struct.calcsize(form)) - 1
            value = chooser.choice([0, 1, 2, 9, most, most - 7, most >> 1, chooser.randint(0, most)])
            struct.pack_into("<" + form, data, at, value)
        counted = Counted(data)
        try:
            file = Elf(counted)
            file.symbols()
            file.section_names()
            file.core_registers()
            read += 1
        except ElfError as error:
            assert "\n" not in str(error)
        assert counted.copied <= 4 * len(data)      # its tables may overlap
    assert 0 < read < 200


def note(name: bytes, body: bytes, kind: int = 1, body_size: int | None = None) -> bytes:
    sizes = struct.pack("<III", len(name), len(body) if body_size is None else body_size, kind)
    return sizes + name.ljust(-(-len(name) // 4) * 4, b"\0") + body


@pytest.mark.parametrize("parts, body, said", [
    ([Part(file_size=24, type=4)], note(b"CORE", bytes(8), body_size=1 << 31),
     "expected a note that ends in its segment at byte 0x1000"),
    ([Part(file_size=24, type=4)] * 2, note(b"CORE", bytes(8)),
     "expected segments that share no byte of the file at byte 0x78"),
    ([Part(file_size=2 * MIB, type=4)], bytes(2 * MIB),
     "expected at most 1048576 bytes of notes at byte 0x1000, found 2097152"),
])
def test_notes_that_lie_are_an_error_of_one_line(parts, body, said):
    counted = Counted(elf(parts, body, type=4))
    with pytest.raises(ElfError) as caught:
        Elf(counted).core_registers()
    assert said in str(caught.value) and counted.copied <= len(counted)

"""Readers answer for RAM, refuse what is not RAM, and never remember."""

import struct

import pytest
from shrimpy.memory import elf
from shrimpy.memory.readers import PAGE, RAM_BASE, BytesReader, CoreReader, RamFileReader, ReadError

BASE = 0x80000000


def test_a_read_is_the_bytes_at_that_physical_address():
    r = BytesReader(bytes(range(256)) * 32, BASE)
    assert r.ram == (BASE, BASE + 2 * PAGE)
    assert r.read(BASE + 3, 2) == b"\3\4"
    assert r.page(BASE + PAGE) == bytes(range(256)) * 16


@pytest.mark.parametrize("pa, n", [(BASE - 1, 1), (BASE + 2 * PAGE, 1), (BASE + 2 * PAGE - 4, 8),
                                   (0, 8), (BASE, -1), (1 << 60, 8)])
def test_a_read_outside_ram_is_an_error(pa, n):
    with pytest.raises(ReadError):
        BytesReader(bytes(2 * PAGE), BASE).read(pa, n)


@pytest.mark.parametrize("pa", [BASE - PAGE, BASE + PAGE + 8, BASE + 2 * PAGE, 0])
def test_a_page_that_is_not_wholly_ram_is_an_error(pa):
    with pytest.raises(ReadError):
        BytesReader(bytes(2 * PAGE), BASE).page(pa)


def test_first_words_are_one_per_frame():
    data = b"".join(struct.pack("<Q", i) + bytes(PAGE - 8) for i in range(5))
    assert struct.unpack("<5Q", BytesReader(data, BASE).first_words()) == (0, 1, 2, 3, 4)


def test_the_ram_file_shows_what_is_there_now(tmp_path):
    path = tmp_path / "ram"
    path.write_bytes(bytes(2 * PAGE))
    r = RamFileReader(str(path))
    with open(path, "r+b") as file:
        file.seek(PAGE)
        file.write(b"new")
    assert r.ram == (RAM_BASE, RAM_BASE + 2 * PAGE)
    assert r.page(RAM_BASE + PAGE)[:3] == r.read(RAM_BASE + PAGE, 3) == b"new"
    r.close()


def test_a_missing_or_empty_ram_file_is_an_os_error(tmp_path):
    (tmp_path / "empty").write_bytes(b"")
    for name in ("missing", "empty"):
        with pytest.raises(OSError):
            RamFileReader(str(tmp_path / name))


def core_file(segments, harts=(), kind=4):
    """An ELF core: (paddr, bytes) segments and a PRSTATUS note per hart."""
    notes = b"".join(struct.pack("<III8s", 5, 376, 1, b"CORE") + bytes(112)
                     + struct.pack("<32Q", *registers) + bytes(8) for registers in harts)
    offset = 64 + 56 * (len(segments) + 1)
    headers = struct.pack("<IIQQQQQQ", 4, 0, offset, 0, 0, len(notes), len(notes), 0)
    offset += len(notes)
    body = b""
    for paddr, data in segments:
        headers += struct.pack("<IIQQQQQQ", 1, 0, offset + len(body), 0, paddr, len(data),
                               len(data), 0)
        body += data
    return struct.pack("<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", kind, 243, 1, 0, 64, 0, 0, 64, 56,
                       len(segments) + 1, 0, 0, 0) + headers + notes + body


def test_a_core_is_read_by_physical_address(tmp_path):
    path = tmp_path / "core"
    path.write_bytes(core_file([(0x20000000, b"f" * PAGE), (BASE, b"r" * PAGE + b"s" * PAGE)],
                               [[0x1000 + hart] + list(range(31)) for hart in range(3)]))
    r = CoreReader(str(path))
    assert r.ram == (BASE, BASE + 2 * PAGE)
    assert r.page(BASE + PAGE) == b"s" * PAGE
    assert [h["pc"] for h in r.harts] == [0x1000, 0x1001, 0x1002]
    assert r.harts[0]["ra"] == 0 and r.harts[0]["t6"] == 30
    with pytest.raises(ReadError):
        r.read(0x20000000, 8)
    r.close()


@pytest.mark.parametrize("data", [
    b"", b"no", b"\x7fELF" + bytes(60), core_file([(BASE, bytes(PAGE))], kind=2), core_file([]),
    core_file([(BASE, bytes(PAGE))])[:-100], b"KDUMP   " + bytes(100),
])
def test_what_is_no_complete_core_is_an_elf_error(tmp_path, data):
    (tmp_path / "core").write_bytes(data)
    with pytest.raises(elf.ElfError):
        CoreReader(str(tmp_path / "core"))


def test_an_elf_file_without_symbols_has_none(tmp_path):
    (tmp_path / "stripped").write_bytes(core_file([(BASE, bytes(8))]))
    assert elf.symbols(str(tmp_path / "stripped")) == ([], [])

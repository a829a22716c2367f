"""ELF files of a few bytes: a sound kernel, and such as lie about themselves."""

from __future__ import annotations

import struct
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

RAM = 0x80000000
MIB = 1 << 20
TOP = 1 << 64

CODE = struct.pack("<2I", 0x3b051073, 0x0000006f)       # csrw pmpaddr0, a0; j .
BODY = 0x1000
"""Where in the file the segments' bytes begin."""

_HEADER = {"ident": b"\x7fELF\2\1\1", "type": 2, "machine": 243, "version": 1, "entry": RAM, "phoff": 64, "shoff": 0,
           "flags": 0, "ehsize": 64, "phentsize": 56, "phnum": 0, "shentsize": 64, "shnum": 0, "shstrndx": 0}
_SECTION = {"name": 0, "type": 0, "flags": 0, "addr": 0, "offset": 0, "size": 0, "link": 0, "info": 0, "align": 1,
            "entsize": 0}


class Part(NamedTuple):
    """A segment; offset: in the file."""

    offset: int = BODY
    paddr: int = RAM
    file_size: int = len(CODE)
    mem_size: Optional[int] = None
    flags: int = 5
    type: int = 1
    vaddr: Optional[int] = None


def elf(parts: Sequence[Part] = (Part(),), body: bytes = CODE, sections: Sequence[Dict[str, int]] = (),
        **header: Any) -> bytes:
    """A file: its header and program headers, at BODY its body, its section headers. header: fields that are not what
    they should be."""
    start = BODY + len(body) if sections else 0
    fields: Dict[str, Any] = {**_HEADER, "phnum": len(parts), "shoff": start, "shnum": len(sections), **header}
    programs = b"".join(struct.pack(
        "<IIQQQQQQ", one.type, one.flags, one.offset, one.paddr if one.vaddr is None else one.vaddr, one.paddr,
        one.file_size, one.file_size if one.mem_size is None else one.mem_size, 0x1000) for one in parts)
    table = b"".join(struct.pack("<IIQQQQIIQQ", *{**_SECTION, **one}.values()) for one in sections)
    return (struct.pack("<16sHHIQQQIHHHHHH", *fields.values()) + programs).ljust(BODY, b"\0") + body + table


def with_symbols(symbols: Sequence[Tuple[int, int, int]] = ((1, RAM, 4), (6, RAM + 4, 4)),
                 names: bytes = b"\0main\0spin\0", table: Dict[str, int] = {}, strings: Dict[str, int] = {},
                 more: Sequence[Dict[str, int]] = (), code: bytes = CODE, **header: Any) -> bytes:
    """A kernel with a symbol table of functions, (name, address, size) each. table, strings: fields of their section
    headers that are not what they should be."""
    rows = b"".join(struct.pack("<IBBHQQ", name, 0x12, 0, 1, address, size) for name, address, size in symbols)
    body = code + rows + names
    sections: List[Dict[str, int]] = [
        {}, {"type": 1, "flags": 6, "addr": RAM, "offset": BODY, "size": len(code)},
        {"type": 2, "offset": BODY + len(code), "size": len(rows), "link": 3, "entsize": 24, **table},
        {"type": 3, "offset": BODY + len(code) + len(rows), "size": len(names), **strings}, *more]
    return elf([Part(file_size=len(code))], body, sections, **header)


def other(bits: int, order: str, machine: int) -> bytes:
    """The first bytes of a program for another machine."""
    ident = b"\x7fELF" + bytes([bits // 32, 1 if order == "<" else 2, 1])
    form = order + ("16sHHIQQQIHHHHHH" if bits == 64 else "16sHHIIIIIHHHHHH")
    return struct.pack(form, ident, 2, machine, 1, RAM, 0, 0, 0, 64, 0, 0, 0, 0, 0).ljust(4096, b"\0")


def _alike(n: int, size: int) -> bytes:
    """n segments, each the same bytes of the file."""
    return elf([Part(0, RAM + i * size, size) for i in range(n)]).ljust(size, b"\0")


# name: (the file, what it is told to be instead of what was expected)
HEADERS = {
    "nothing": (b"", "found an empty file"),
    "a-script": (b"#!/bin/sh\n", "expected an ELF file (7f 45 4c 46) at byte 0x0, found 23 21 2f 62"),
    "a-magic-alone": (b"\x7fELF", "at byte 0x4, found the end"),
    "63-bytes": (elf()[:63], "expected a header of 64 bytes at byte 0x0, found a file of 63"),
    "a-class-of-its-own": (elf(ident=b"\x7fELF\3\1\1"), "at byte 0x4, found 03 01"),
    "32-bit": (other(32, "<", 243), "found a 32-bit little-endian one for machine 243"),
    "big-endian": (other(64, ">", 243), "found a 64-bit big-endian one for machine 243"),
    "32-bit-big-endian": (other(32, ">", 8), "found a 32-bit big-endian one for machine 8"),
    "another-machine": (other(64, "<", 62), "found a 64-bit little-endian one for machine 62"),
    "64-bytes": (elf()[:64], "found bytes 0x40 to 0x78 of 0x40"),
    "cut-off": (elf([Part(file_size=4096)], bytes(4096))[:BODY + 2048], "found bytes 0x1000 to 0x2000 of 0x1800"),
    "65535-program-headers": (elf(phnum=0xffff), "expected at most 64 program headers at byte 0x38, found 65535"),
    "program-headers-of-no-bytes": (elf(phentsize=0),
                                    "expected 56 bytes for each program header at byte 0x36, found 0"),
    "program-headers-far-away": (elf(phoff=TOP - 8), "found bytes 0xfffffffffffffff8 to 0x10000000000000030 of"),
    "a-segment-far-away": (elf([Part(TOP - 4096, file_size=4096)]),
                           "found bytes 0xfffffffffffff000 to 0x10000000000000000 of"),
    "a-segment-without-end": (elf([Part(file_size=TOP - 1)]), "found bytes 0x1000 to 0x10000000000000fff of"),
    "a-segment-past-all-addresses": (elf([Part(paddr=TOP - 4)]),
                                     "expected a segment with room in memory for its bytes at byte 0x40"),
    "memory-without-end": (elf([Part(mem_size=TOP - 1)]), "expected a segment with room in memory for its bytes"),
    "less-memory-than-bytes": (elf([Part(mem_size=4)]), "found 0x8 of the file, 0x4 from 0x80000000"),
    "40-segments-of-the-same-8-mib": (_alike(40, 8 * MIB),
                                      "expected segments that share no byte of the file at byte 0x78"),
    "40-segments-in-the-same-memory": (elf([Part(BODY + 8 * i, RAM + 4 * i) for i in range(40)], CODE * 40),
                                       "expected segments that share no byte of physical memory at byte 0x78"),
}

SYMBOLS = {
    "section-headers-far-away": (with_symbols(shoff=TOP - 64), "found bytes 0xffffffffffffffc0 to"),
    "section-headers-of-no-bytes": (with_symbols(shentsize=0),
                                    "expected 64 bytes for each section header at byte 0x3a, found 0"),
    "65535-section-headers": (with_symbols(shnum=0xffff),
                              "expected a table of section headers that ends inside the file"),
    "symbols-of-no-bytes": (with_symbols(table={"entsize": 0}), "expected 24 bytes for each symbol"),
    "symbols-without-end": (with_symbols(table={"size": 24 << 40}), "expected at most 262144 symbols of 24 bytes"),
    "part-of-a-symbol": (with_symbols(table={"size": 25}), "found 25 bytes"),
    "symbols-far-away": (with_symbols(table={"offset": TOP - 24}),
                         "expected a table of symbols that ends inside the file"),
    "names-in-no-section": (with_symbols(table={"link": 9}), "expected one of 4 sections"),
    "names-far-away": (with_symbols(strings={"offset": TOP - 1}), "expected a string table that ends inside the file"),
    "names-without-end": (with_symbols(strings={"size": TOP - 1}), "expected a string table that ends inside the file"),
    "a-name-without-end": (with_symbols(names=b"\0main\0spin"),
                           "expected a name that ends in its string table of 10 bytes"),
    "a-name-elsewhere": (with_symbols([(1 << 31, RAM, 4)]),
                         "expected a name that ends in its string table of 11 bytes"),
    "a-function-without-end": (with_symbols([(1, RAM, TOP - RAM + 1)]), "expected symbols that end in 64 bits"),
    "two-symbol-tables": (with_symbols(more=[{"type": 2}]), "expected at most one symbol table"),
    "names-that-share-a-long-end": (
        with_symbols([(1 + i, RAM, 4) for i in range(1000)], b"\0" + b"x" * 100_000 + b"\0"), "bytes together"),
}

SECTION_NAMES = {
    "section-names-in-no-section": (with_symbols(shstrndx=9), "expected one of 4 sections at byte 0x3e, found 9"),
}


class Counted(bytes):
    """Counts the bytes that are copied of it."""

    copied = 0

    def __getitem__(self, key):
        got = super().__getitem__(key)
        self.copied += len(got)
        return got

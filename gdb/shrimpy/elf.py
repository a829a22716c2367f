"""ELF64 little-endian files, as far as cores and symbols need them.

Source: System V ABI, "Object Files" (gABI 4.1), and Linux's elf_prstatus for
RISC-V, which QEMU's dump-guest-memory writes per hart.
"""

from __future__ import annotations

import re
import struct
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from .debuginfo import Range

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_NOTE = struct.Struct("<III")

_ET_CORE = 4
_E_SHSTRNDX = 62
"""Offset of e_shstrndx in the file's header."""
_PT_LOAD, _PT_NOTE = 1, 4
_SHT_SYMTAB = 2
_STT_NOTYPE, _STT_OBJECT, _STT_FUNC, _STT_FILE = 0, 1, 2, 4
_NT_PRSTATUS = 1

_PRSTATUS_REGS = 112
"""Offset of pr_reg in a 64-bit elf_prstatus: pc, then x1 to x31."""

REGISTERS = ("pc", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3",
             "a4", "a5", "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",
             "t3", "t4", "t5", "t6")


class ElfError(Exception):
    """A file that is not the ELF file it should be."""


class Segment(NamedTuple):
    """A program header: where a piece of memory is in the file."""

    type: int
    offset: int                         # in the file, bytes
    vaddr: int
    paddr: int
    file_size: int                      # bytes
    mem_size: int = 0                   # bytes; what the file lacks of them is zero, where the loader is one that clears

    @property
    def is_load(self) -> bool:
        return self.type == _PT_LOAD


class Elf:
    """A parsed ELF64 file in memory. Raises ElfError for anything else."""

    def __init__(self, data) -> None:
        self._data = data
        try:
            (ident, self._type, machine, _, _, phoff, shoff, _, _, phsize, phnum, shsize, shnum,
             _) = _HEADER.unpack_from(data)
        except struct.error:
            raise ElfError("too short to be an ELF file") from None
        if ident[:4] != b"\x7fELF":
            raise ElfError("not an ELF file")
        if ident[4:6] != b"\x02\x01":
            raise ElfError("not a 64-bit little-endian ELF file")
        self.machine = machine
        self._sections = (shoff, shsize, shnum)
        self.segments = self._read_segments(phoff, phsize, phnum)

    @property
    def is_core(self) -> bool:
        return self._type == _ET_CORE

    def _read_segments(self, offset: int, size: int, number: int) -> List[Segment]:
        segments = []
        for i in range(number):
            kind, _, start, vaddr, paddr, file_size, mem_size, _ = self._unpack(
                _PROGRAM, offset + i * size)
            if start + file_size > len(self._data):
                raise ElfError(f"program header {i} reaches past the end of the file: "
                               "is it complete?")
            segments.append(Segment(kind, start, vaddr, paddr, file_size, mem_size))
        return segments

    def core_registers(self) -> List[Dict[str, int]]:
        """Each hart's registers, by the PRSTATUS notes, in file order."""
        return [dict(zip(REGISTERS, struct.unpack_from("<32Q", body, _PRSTATUS_REGS)))
                for segment in self.segments if segment.type == _PT_NOTE
                for kind, body in self._notes(segment)
                if kind == _NT_PRSTATUS and len(body) >= _PRSTATUS_REGS + 256]

    def symbols(self) -> Tuple[List[Range], List[Range]]:
        """(functions, objects) of the symbol table, empty when it was stripped.

        Labels without a type, such as assembly's, count as functions when
        they lie in an executable section; those without a size reach to the
        next. The assembler's own ("$x", ".L0") do not count.
        """
        functions: Dict[int, Range] = {}
        objects: List[Range] = []
        for entry, kind, section in self._entries():
            if section is None or entry.name.startswith(("$", ".L")):
                continue
            executable = section[2] & 4
            if kind == _STT_FUNC or kind == _STT_NOTYPE and executable:
                known = functions.get(entry.address)
                if known is None or entry.size > known.size:
                    functions[entry.address] = entry
            elif kind == _STT_OBJECT:
                objects.append(entry)
        starts = sorted(functions)
        for start, following in zip(starts, starts[1:]):
            if functions[start].size == 0:
                functions[start] = Range(start, following - start, functions[start].name)
        return list(functions.values()), objects

    def files(self) -> List[str]:
        """The source files that the symbol table names: each of an object that was linked."""
        return [entry.name for entry, kind, _ in self._entries() if kind == _STT_FILE]

    def section_names(self) -> Set[str]:
        """The names of the file's sections."""
        shoff, shsize, shnum = self._sections
        headers = [self._unpack(_SECTION, shoff + i * shsize) for i in range(shnum)]
        index = self._unpack(struct.Struct("<H"), _E_SHSTRNDX)[0]
        if index >= shnum:
            return set()
        return {self._string(headers[index][4] + header[0]) for header in headers}

    def addresses(self, names: Iterable[str]) -> Dict[str, int]:
        """Where the symbol table has those of `names` that it defines, of any
        type: the linker script's have none."""
        wanted = set(names)
        return {entry.name: entry.address for entry, _, _ in self._entries() if entry.name in wanted}

    def _entries(self) -> Iterator[Tuple[Range, int, Optional[tuple]]]:
        """(symbol, type, header of its section or None) of each that is defined."""
        shoff, shsize, shnum = self._sections
        headers = [self._unpack(_SECTION, shoff + i * shsize) for i in range(shnum)]
        for header in headers:
            if header[1] != _SHT_SYMTAB or header[6] >= shnum:
                continue
            names = headers[header[6]][4]
            for offset in range(header[4], header[4] + header[5] - _SYMBOL.size + 1, _SYMBOL.size):
                name, info, _, section, value, size = self._unpack(_SYMBOL, offset)
                if name and section:
                    yield (Range(value, size, plain(self._string(names + name))), info & 15,
                           headers[section] if section < shnum else None)

    def _notes(self, segment: Segment):
        offset, end = segment.offset, segment.offset + segment.file_size
        while offset + _NOTE.size <= end:
            name_size, body_size, kind = self._unpack(_NOTE, offset)
            body = offset + _NOTE.size + (name_size + 3 & ~3)
            if body + body_size > end:
                raise ElfError("a note reaches past the end of its segment")
            yield kind, bytes(self._data[body:body + body_size])
            offset = body + (body_size + 3 & ~3)

    def _unpack(self, form: struct.Struct, offset: int) -> tuple:
        try:
            return form.unpack_from(self._data, offset)
        except struct.error:
            raise ElfError(f"nothing at offset {offset:#x}: is the file complete?") from None

    def _string(self, offset: int) -> str:
        end = offset
        while end < len(self._data) and self._data[end]:
            end += 1
        return bytes(self._data[offset:end]).decode("utf-8", "replace")


def section_names(path: str) -> Set[str]:
    """The names of the sections of the ELF file at `path`. Raises ElfError, OSError."""
    with open(path, "rb") as file:
        return Elf(file.read()).section_names()


def plain(name: str) -> str:
    """A C++ name without its namespaces and types: "_Z7uvmfreePmm" is uvmfree (Itanium
    C++ ABI, 5.1); any other name as it is."""
    found = re.match(r"_ZN?(?:[KVrRO]*)(?=\d)", name)
    if found is None:
        return name
    at, last = found.end(), ""
    while at < len(name):
        length = re.compile(r"\d+").match(name, at)
        if length is None:
            break
        at = length.end() + int(length[0])
        last = name[length.end():at]
        if not name.startswith("_ZN"):
            break
    return last or name


def symbols(path: str) -> Tuple[List[Range], List[Range]]:
    """(functions, objects) of the ELF file at `path`, each with address, size
    and name. Raises ElfError, OSError."""
    with open(path, "rb") as file:
        return Elf(file.read()).symbols()

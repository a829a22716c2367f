"""The one reader of ELF files: kernels, user programs, cores, and whatever else a tree has.

Everything that a file says about itself is checked against its length before it is used, so that
reading it costs no more than its bytes. Source: System V ABI, "Object Files" (gABI 4.1), and Linux's
elf_prstatus for RISC-V, which QEMU's dump-guest-memory writes per hart.
"""

from __future__ import annotations

import functools
import os
import re
import struct
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple, Union

from ..records import address, record  # noqa: F401  pyflakes takes Range's field for another

RISCV = 243
"""e_machine (ELF psABI)."""

ET_EXEC, ET_DYN = 2, 3
"""e_type of programs and kernels."""

_MAGIC = b"\x7fELF"
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM = struct.Struct("<IIQQQQQQ")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_NOTE = struct.Struct("<III")
_REGISTERS = struct.Struct("<32Q")

_BITS, _BYTE_ORDERS = {b"\1": 32, b"\2": 64}, {b"\1": "little", b"\2": "big"}
_ET_CORE = 4
_PT_LOAD, _PT_NOTE = 1, 4
_PF_X = 1
_SHT_SYMTAB = 2
_SHF_EXECINSTR = 4
_STT_NOTYPE, _STT_OBJECT, _STT_FUNC, _STT_FILE = 0, 1, 2, 4
_NT_PRSTATUS = 1

# Offsets in the file's header, and in a section's.
_E_CLASS, _E_PHENTSIZE, _E_PHNUM, _E_SHENTSIZE, _E_SHSTRNDX = 4, 54, 56, 58, 62
_SH_SIZE, _SH_LINK, _SH_ENTSIZE = 32, 40, 56

_PRSTATUS_REGS = 112
"""Offset of pr_reg in a 64-bit elf_prstatus: pc, then x1 to x31."""

# Far more than any kernel, program or core of QEMU's has.
_MOST_BYTES = 64 << 20                  # of a file that load() takes
_MOST_SEGMENTS = 64
_MOST_SYMBOLS = 1 << 18
_MOST_NOTES = 1 << 20                   # bytes of a segment of notes

REGISTERS = ("pc", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3",
             "a4", "a5", "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",
             "t3", "t4", "t5", "t6")

_Path = Union[str, "os.PathLike[str]"]


@record
class Range:
    """A name of the ELF symbol table: bytes [address, address + size)."""

    address: int = address()  # noqa: F811
    size: int = 0
    name: str = ""


class ElfError(Exception):
    """A file that is not the ELF file it should be: in one line what was expected, where, and what
    was found."""

    @classmethod
    def of(cls, expected: str, at: int, found: object) -> ElfError:
        """at: the offset in the file of what says so."""
        return cls(f"expected {expected} at byte {at:#x}, found {found}")


class Header(NamedTuple):
    """What a file's header says, for any machine."""

    bits: int                           # 32 or 64
    byte_order: str                     # "little" or "big"
    type: int
    machine: int
    entry: int

    @classmethod
    def of(cls, start: bytes) -> Header:
        """Of a file that begins with these bytes: 64 are enough. Raises ElfError."""
        if start[:4] != _MAGIC:
            raise ElfError.of("an ELF file (7f 45 4c 46)", 0, start[:4].hex(" ") or "an empty file")
        bits, order = _BITS.get(start[4:5]), _BYTE_ORDERS.get(start[5:6])
        if bits is None or order is None:
            raise ElfError.of("a class and a byte order, each 01 or 02", _E_CLASS, start[4:6].hex(" ") or "the end")
        form = struct.Struct(("<" if order == "little" else ">") + ("HHII" if bits == 32 else "HHIQ"))
        least = 52 if bits == 32 else 64
        if len(start) < least:
            raise ElfError.of(f"a header of {least} bytes", 0, f"a file of {len(start)}")
        kind, machine, _, entry = form.unpack_from(start, 16)
        return cls(bits, order, kind, machine, entry)

    def need_riscv64(self) -> None:
        """Raises ElfError unless the file is for the machines that the kit knows."""
        if (self.bits, self.byte_order, self.machine) != (64, "little", RISCV):
            raise ElfError.of(f"a 64-bit little-endian file for RISC-V (machine {RISCV})", _E_CLASS,
                              f"a {self.bits}-bit {self.byte_order}-endian one for machine {self.machine}")


class Segment(NamedTuple):
    """A program header: where a piece of memory is in the file."""

    type: int
    offset: int                         # in the file, bytes
    vaddr: int
    paddr: int
    file_size: int                      # bytes
    mem_size: int = 0                   # bytes; what the file lacks of them is zero where the loader clears it
    flags: int = 0

    @property
    def is_load(self) -> bool:
        return self.type == _PT_LOAD

    @property
    def is_code(self) -> bool:
        return self.is_load and bool(self.flags & _PF_X)


class _Section(NamedTuple):
    """A section header, in the order of its fields."""

    name: int
    type: int
    flags: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry_size: int


class Elf:
    """An ELF64 file for RISC-V: its bytes, or a mmap of them.

    The segments that are loaded share no byte, neither in the file nor in physical memory, so that all
    of them together have no more bytes than the file. Raises ElfError for any other file: here for its
    headers and segments, in what reads them for its sections, symbols and notes.
    """

    def __init__(self, data) -> None:
        self._data = data
        start = data[:_HEADER.size]
        Header.of(start).need_riscv64()
        (_, self._type, _, _, self.entry, phoff, self._shoff, _, _, phsize, phnum, self._shsize, self._shnum,
         self._shstrndx) = _HEADER.unpack(start)
        self.segments = self._read_segments(phoff, phsize, phnum)

    @classmethod
    def load(cls, path: _Path) -> Elf:
        """The file at `path`, with sound symbols and section names. Raises ElfError, which names the file; OSError."""
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(_MOST_BYTES) if size <= _MOST_BYTES else b""   # not a mmap: make may truncate it meanwhile
        try:
            if size > _MOST_BYTES:
                raise ElfError(f"expected a file of at most {_MOST_BYTES} bytes, found {size}")
            loaded = cls(data)
            loaded.symbols()
            loaded.section_names()
        except ElfError as error:
            raise ElfError(f"{os.fspath(path)}: {error}") from None
        return loaded

    @property
    def is_core(self) -> bool:
        return self._type == _ET_CORE

    def bytes_of(self, segment: Segment) -> bytes:
        """What the file has of a segment."""
        return self._data[segment.offset:segment.offset + segment.file_size]

    def read(self, va: int, n: int) -> bytes:
        """The `n` bytes that are loaded at a virtual address, fewer where the file has fewer of that segment."""
        for one in self.segments:
            if one.is_load and 0 <= va - one.vaddr < one.file_size:
                start = one.offset + va - one.vaddr
                return self._data[start:min(start + n, one.offset + one.file_size)]
        return b""

    def core_registers(self) -> List[Dict[str, int]]:
        """Each hart's registers, by the PRSTATUS notes, in file order."""
        return [dict(zip(REGISTERS, _REGISTERS.unpack_from(body, _PRSTATUS_REGS)))
                for segment in self.segments if segment.type == _PT_NOTE
                for kind, body in self._notes(segment)
                if kind == _NT_PRSTATUS and len(body) >= _PRSTATUS_REGS + _REGISTERS.size]

    def symbols(self) -> Tuple[List[Range], List[Range]]:
        """(functions, objects) of the symbol table, empty when it was stripped.

        Labels without a type, such as assembly's, count as functions when
        they lie in an executable section; those without a size reach to the
        next. The assembler's own ("$x", ".L0") do not count.
        """
        functions: Dict[int, Range] = {}
        objects: List[Range] = []
        for entry, kind, section in self._entries:
            if section is None or entry.name.startswith(("$", ".L")):
                continue
            executable = section.flags & _SHF_EXECINSTR
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
        return [entry.name for entry, kind, _ in self._entries if kind == _STT_FILE]

    def section_names(self) -> Set[str]:
        """The names of the file's sections."""
        if not self._shstrndx:
            return set()
        names = self._names(self._shstrndx, _E_SHSTRNDX)
        return {names[section.name] for section in self._sections}

    def addresses(self, names: Iterable[str]) -> Dict[str, int]:
        """Where the symbol table has those of `names` that it defines, of any
        type: the linker script's have none."""
        wanted = set(names)
        return {entry.name: entry.address for entry, _, _ in self._entries if entry.name in wanted}

    def _read_segments(self, offset: int, size: int, number: int) -> List[Segment]:
        if number > _MOST_SEGMENTS:
            raise ElfError.of(f"at most {_MOST_SEGMENTS} program headers", _E_PHNUM, number)
        places: List[Tuple[Segment, int]] = []      # each with where the file says so
        for kind, flags, start, vaddr, paddr, file_size, mem_size, _ in \
                self._table(_PROGRAM, offset, number, size, _E_PHENTSIZE, "program header"):
            at = offset + len(places) * _PROGRAM.size
            if file_size:
                self._need_inside("a segment", start, file_size, at)
            if kind == _PT_LOAD and (file_size > mem_size or max(vaddr, paddr) + mem_size > 1 << 64):
                raise ElfError.of("a segment with room in memory for its bytes", at, f"{file_size:#x} of the "
                                  f"file, {mem_size:#x} from {vaddr:#x}, physical {paddr:#x}")
            places.append((Segment(kind, start, vaddr, paddr, file_size, mem_size, flags), at))
        for kind in (_PT_LOAD, _PT_NOTE):
            _need_apart("the file", [(one.offset, one.file_size, at) for one, at in places if one.type == kind])
        _need_apart("physical memory", [(one.paddr, one.file_size, at) for one, at in places if one.is_load])
        return [one for one, _ in places]

    @functools.cached_property
    def _sections(self) -> List[_Section]:
        return [_Section(*row) for row in
                self._table(_SECTION, self._shoff, self._shnum, self._shsize, _E_SHENTSIZE, "section header")]

    @functools.cached_property
    def _entries(self) -> List[Tuple[Range, int, Optional[_Section]]]:
        """(symbol, type, header of its section or None) of each that is defined."""
        entries = []
        tables = [i for i, section in enumerate(self._sections) if section.type == _SHT_SYMTAB]
        if len(tables) > 1:
            raise ElfError.of("at most one symbol table", self._section_at(tables[1]), len(tables))
        for i in tables:
            table, at = self._sections[i], self._section_at(i)
            if table.size > _MOST_SYMBOLS * _SYMBOL.size or table.size % _SYMBOL.size:
                raise ElfError.of(f"at most {_MOST_SYMBOLS} symbols of {_SYMBOL.size} bytes", at + _SH_SIZE,
                                  f"{table.size} bytes")
            names, n_symbols = self._names(table.link, at + _SH_LINK), table.size // _SYMBOL.size
            for name, info, _, section, value, size in self._table(
                    _SYMBOL, table.offset, n_symbols, table.entry_size, at + _SH_ENTSIZE, "symbol"):
                if name and section:
                    if value + size > 1 << 64:
                        raise ElfError.of("symbols that end in 64 bits", at, f"{size:#x} bytes at {value:#x}")
                    entries.append((Range(value, size, names[name]), info & 15,
                                    self._sections[section] if section < len(self._sections) else None))
        return entries

    def _section_at(self, index: int) -> int:
        """Where in the file the header of a section is."""
        return self._shoff + index * _SECTION.size

    def _names(self, index: int, at: int) -> _Names:
        """The string table that is section `index`, as `at` says."""
        if index >= len(self._sections):
            raise ElfError.of(f"one of {len(self._sections)} sections", at, index)
        section = self._sections[index]
        table = self._take("a string table", section.offset, section.size, self._section_at(index))
        return _Names(table, section.offset, len(self._data))

    def _notes(self, segment: Segment) -> Iterator[Tuple[int, bytes]]:
        if segment.file_size > _MOST_NOTES:
            raise ElfError.of(f"at most {_MOST_NOTES} bytes of notes", segment.offset, segment.file_size)
        data, at = self.bytes_of(segment), 0
        while at + _NOTE.size <= len(data):
            name_size, body_size, kind = _NOTE.unpack_from(data, at)
            body = at + _NOTE.size + (name_size + 3 & ~3)
            if body + body_size > len(data):
                raise ElfError.of("a note that ends in its segment", segment.offset + at,
                                  f"{name_size} and {body_size} bytes")
            yield kind, data[body:body + body_size]
            at = body + (body_size + 3 & ~3)

    def _table(self, form: struct.Struct, offset: int, number: int, size: int, at: int, what: str) -> Iterator[tuple]:
        """The entries of a table, each of `size` bytes, as the file says at `at`."""
        if not number:
            return iter(())
        if size != form.size:
            raise ElfError.of(f"{form.size} bytes for each {what}", at, size)
        return form.iter_unpack(self._take(f"a table of {what}s", offset, number * size, at))

    def _take(self, what: str, offset: int, n: int, at: int) -> bytes:
        """Bytes of the file that are no segment's."""
        self._need_inside(what, offset, n, at)
        return self._data[offset:offset + n]

    def _need_inside(self, what: str, offset: int, n: int, at: int) -> None:
        if offset + n > len(self._data):
            raise ElfError.of(f"{what} that ends inside the file (is it complete?)", at,
                              f"bytes {offset:#x} to {offset + n:#x} of {len(self._data):#x}")


class _Names(Dict[int, str]):
    """The names of a string table by their offsets, as plain() has them.

    Names may share their ends. Together they are no longer than the file: else each of many symbols
    could name all the rest of a long table.
    """

    def __init__(self, table: bytes, offset: int, most: int) -> None:
        super().__init__()
        self._table, self._offset, self._most, self._left = table, offset, most, most

    def __missing__(self, start: int) -> str:
        end = self._table.find(b"\0", start)
        if end < 0:
            raise ElfError.of(f"a name that ends in its string table of {len(self._table)} bytes",
                              self._offset + start, "no end")
        self._left -= end - start
        if self._left < 0:
            raise ElfError.of(f"names of at most {self._most} bytes together", self._offset, "more")
        self[start] = plain(self._table[start:end].decode("utf-8", "replace"))
        return self[start]


def _need_apart(where: str, ranges: Iterable[Tuple[int, int, int]]) -> None:
    """Raises ElfError where two of (start, size, the offset of what says so) overlap."""
    known = sorted(one for one in ranges if one[1])
    for (start, size, _), (following, _, at) in zip(known, known[1:]):
        if following < start + size:
            raise ElfError.of(f"segments that share no byte of {where}", at,
                              f"one from {following:#x} on, and one from {start:#x} to {start + size:#x}")


def section_names(path: _Path) -> Set[str]:
    """The names of the sections of the ELF file at `path`. Raises ElfError, OSError."""
    return Elf.load(path).section_names()


_LENGTH = re.compile("[0-9]{1,9}")       # of a part of a name; none is longer


def plain(name: str) -> str:
    """A C++ name without its namespaces and types: "_Z7uvmfreePmm" is uvmfree (Itanium
    C++ ABI, 5.1); any other name as it is."""
    found = re.match(r"_ZN?(?:[KVrRO]*)(?=[0-9])", name)
    if found is None:
        return name
    at, last = found.end(), ""
    while at < len(name):
        length = _LENGTH.match(name, at)
        if length is None or length.end() + int(length[0]) > len(name):
            break
        at = length.end() + int(length[0])
        last = name[length.end():at]
        if not name.startswith("_ZN"):
            break
    return last or name


def symbols(path: _Path) -> Tuple[List[Range], List[Range]]:
    """(functions, objects) of the ELF file at `path`, each with address, size
    and name. Raises ElfError, OSError."""
    return Elf.load(path).symbols()

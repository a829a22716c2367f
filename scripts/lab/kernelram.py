"""A kernel's variables in the RAM of a machine that runs: by the names in the symbol table of its file."""

from __future__ import annotations

import bisect
import functools
import mmap
import os
import re
import struct
from pathlib import Path

from shrimpy import elf
from shrimpy.debuginfo import Range

_RAM_BASE = 0x80000000
_LARGEST = 1 << 20  # bytes of a variable that is looked at
_LARGEST_FILE = 64 << 20


class KernelRam:
    """Reads beside the machine, which knows nothing of it."""

    def __init__(self, kernel: Path, ram: Path) -> None:
        self._symbols = _symbols(kernel, kernel.stat().st_mtime_ns)
        self._file = ram  # QEMU makes it
        self._ram: mmap.mmap | None = None

    def variables(self, names: re.Pattern[str]) -> list[range]:
        """Where in physical memory the variables of such names are, the smallest first."""
        return sorted((self._physical(one) for one in self._symbols.objects
                       if names.fullmatch(one.name) and 0 < one.size <= _LARGEST), key=len)

    def function(self, pc: int) -> str | None:
        """The function that has the instruction at a virtual address."""
        at = bisect.bisect_right(self._symbols.starts, pc) - 1
        one = self._symbols.functions[at] if at >= 0 else None
        return one.name if one and pc < one.address + one.size else None

    def n_calls(self, function: str) -> int:
        """How many instructions of the kernel call a function: jal, or auipc and jalr, by way of ra."""
        one = next(each for each in self._symbols.functions if each.name == function)
        first, last = self._symbols.functions[0], self._symbols.functions[-1]
        code = self.code(first.address, last.address + last.size - first.address)
        n = 0
        for at in range(0, len(code) - 7, 2):
            word, following = struct.unpack_from("<II", code, at)
            if word & 0xfff == 0x0ef:
                n += first.address + at + _jal_offset(word) == one.address
            elif word & 0xfff == 0x097 and following & 0xfffff == 0x080e7:
                n += first.address + at + _signed(word >> 12, 20) * 4096 + _signed(following >> 20, 12) == one.address
        return n

    def code(self, pc: int, n: int) -> bytes:
        """n bytes at the virtual address of an instruction of the kernel's."""
        return self.read(self._physical(Range(pc, n, "")))

    def words(self, place: range, form: str) -> tuple[int, ...]:
        """The numbers there; form: as struct names one."""
        data = self.read(place)
        n = len(data) // struct.calcsize("<" + form)
        return struct.unpack_from(f"<{n}{form}", data)

    def read(self, place: range) -> bytes:
        """The bytes there, fewer where RAM ends."""
        if self._ram is None and self._file.exists() and os.path.getsize(self._file):
            with self._file.open("rb") as file:
                self._ram = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start = place.start - _RAM_BASE
        return self._ram[start:start + len(place)] if self._ram and start >= 0 else b""

    def _physical(self, one: Range) -> range:
        for segment in self._symbols.segments:
            if segment.is_load and segment.vaddr <= one.address:
                at = one.address - segment.vaddr + segment.paddr
                return range(at, at + one.size)
        return range(one.address, one.address + one.size)

    def close(self) -> None:
        if self._ram:
            self._ram.close()
            self._ram = None


def _jal_offset(word: int) -> int:
    """RISC-V Unprivileged 2.5.1: imm[20|10:1|11|19:12]."""
    return _signed((word >> 31) << 20 | (word >> 12 & 0xff) << 12 | (word >> 20 & 1) << 11 | (word >> 21 & 0x3ff) << 1, 21)


def _signed(value: int, bits: int) -> int:
    return value - (1 << bits) if value >> bits - 1 else value


class _Symbols:
    def __init__(self, kernel: Path) -> None:
        self.functions: list[Range] = []
        self.objects: list[Range] = []
        self.segments: list[elf.Segment] = []
        try:
            if kernel.stat().st_size <= _LARGEST_FILE:
                file = elf.Elf(kernel.read_bytes())
                functions, self.objects = file.symbols()
                self.functions = sorted(functions, key=lambda one: one.address)
                self.segments = sorted(file.segments, key=lambda one: -one.vaddr)
        except (elf.ElfError, OSError):
            pass  # then nothing is known of it
        self.starts = [one.address for one in self.functions]


@functools.lru_cache(maxsize=16)
def _symbols(kernel: Path, _mtime_ns: int) -> _Symbols:
    return _Symbols(kernel)

"""A kernel's variables in the RAM of a machine that runs: by the names in the symbol table of its file."""

from __future__ import annotations

import bisect
import functools
import mmap
import os
import re
import struct
from pathlib import Path

from shrimpy.memory.elf import Range
from shrimpy.memory import elf
from shrimpy.memory.readers import RAM_BASE
from shrimpy.memory.riscv import jal_offset, signed

_LARGEST = 1 << 20  # bytes of a variable that is looked at


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
        called = next(each.address for each in self._symbols.functions if each.name == function)
        n = 0
        for segment in self._symbols.segments:
            if not segment.is_code:
                continue
            code = self.code(segment.vaddr, segment.file_size)
            for at in range(0, len(code) - 7, 2):
                word, following = struct.unpack_from("<II", code, at)
                if word & 0xfff == 0x0ef:
                    n += segment.vaddr + at + jal_offset(word) == called
                elif word & 0xfff == 0x097 and following & 0xfffff == 0x080e7:
                    n += segment.vaddr + at + signed(word >> 12, 20) * 4096 + signed(following >> 20, 12) == called
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
        start = place.start - RAM_BASE
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


class _Symbols:
    def __init__(self, kernel: Path) -> None:
        self.functions: list[Range] = []
        self.objects: list[Range] = []
        self.segments: list[elf.Segment] = []
        try:
            file = elf.Elf.load(kernel)
            functions, self.objects = file.symbols()
            self.functions = sorted(functions, key=lambda one: one.address)
            self.segments = sorted(file.segments, key=lambda one: -one.vaddr)
        except (elf.ElfError, OSError):
            pass  # then nothing is known of it
        self.starts = [one.address for one in self.functions]


@functools.lru_cache(maxsize=16)
def _symbols(kernel: Path, _mtime_ns: int) -> _Symbols:
    return _Symbols(kernel)

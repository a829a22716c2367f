"""A user program's ELF file: its functions and their code."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

from .elf import Elf, Range


class Program:
    """Raises ElfError, OSError for a file that is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        data = path.read_bytes()
        file = Elf(data)
        self.functions, _ = file.symbols()
        self.entry = file.entry
        self._loads = [(s.vaddr, data[s.offset:s.offset + s.file_size]) for s in file.segments if s.is_load]

    def function(self, pc: int) -> Optional[Range]:
        """The function that has an instruction at `pc`, or None."""
        return next((f for f in self.functions if f.address <= pc < f.address + max(f.size, 1)), None)

    def body(self, function: Range) -> bytes:
        """The code of one of them."""
        for start, data in self._loads:
            if start <= function.address < start + len(data):
                return data[function.address - start:function.address - start + function.size]
        return b""

"""User programs' ELF files: their symbols in GDB, breakpoints in their code."""

from __future__ import annotations

import struct
from pathlib import Path

import gdb

from .elf import ElfError
from .session import session

_loaded: Path | None = None


def program_file(kernel: Path, name: str) -> Path | None:
    """The ELF file of program `name` in the tree that `kernel` was built in,
    as the Makefiles of xv6 trees place it; None when there is none."""
    tree = kernel.parent.parent
    for path in (tree / "user" / f"_{name}", tree / f"_{name}", tree / "user" / name):
        if path.is_file():
            return path
    return None


def one_word(path: Path) -> str:
    """A file's name as those commands of GDB take it that take several words."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'


def entry_point(path: Path) -> int:
    """e_entry of an ELF64 file (gABI 4.1). Raises ElfError, OSError."""
    with path.open("rb") as file:
        header = file.read(32)
    if header[:6] != b"\x7fELF\x02\x01":
        raise ElfError(f"{path}: not a 64-bit little-endian ELF file")
    return struct.unpack_from("<Q", header, 24)[0]


def load(path: Path) -> gdb.Objfile:
    """Adds a program's symbols to the kernel's; drops those added before."""
    global _loaded
    there = _objfile(path)
    if there is not None and _loaded == path:
        return there
    if _loaded is not None and _objfile(_loaded) is not None:
        gdb.execute(f"remove-symbol-file {one_word(_loaded)}", to_string=True)
    _loaded = None
    gdb.execute(f"add-symbol-file {one_word(path)}", to_string=True)
    gdb.execute("set print symbol off")     # NULL is not <start>
    _loaded = path
    return _objfile(path)


def _objfile(path: Path) -> gdb.Objfile | None:
    return next((o for o in gdb.objfiles() if o.filename == str(path)), None)


class UserBreakpoint(gdb.Breakpoint):
    """Stops in user mode only, and only for one pid or one program's name.

    The kernel and every process can have an instruction at the same virtual
    address.
    """

    pid: int | None = None
    program: str | None = None

    @classmethod
    def in_function(cls, symbol: gdb.Symbol, pid: int) -> UserBreakpoint:
        """After the prologue of one file's function."""
        made = cls(source=symbol.symtab.filename, function=symbol.name)
        made.pid = pid
        return made

    @classmethod
    def at(cls, va: int, name: str, temporary: bool) -> UserBreakpoint:
        made = cls(f"*{va:#x}", temporary=temporary)
        made.program = name
        return made

    def stop(self) -> bool:
        running = session.running()
        if running is None:
            return False
        if self.program is not None:
            return running.name == self.program[:15]
        return running.pid == self.pid

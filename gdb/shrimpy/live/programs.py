"""User programs' ELF files: their symbols in GDB, breakpoints in their code.

All programs begin at 0. Where several are loaded GDB takes what it finds first,
in the order in which they were loaded, for what is at an address. So the program
of the process that runs is kept first.
"""

from __future__ import annotations

import linecache
from pathlib import Path
from typing import Any

import gdb

from ..kernel import gdbinfo
from ..memory.elf import Elf, ElfError, symbols
from ..memory.readers import ReadError
from ..memory.remote import StubError
from ..snapshot.model import Place
from .session import session

_loaded: list[Path] = []            # in GDB's order
_watching = False                   # stops matter only where several are loaded


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
    """Where a program begins. Raises ElfError, OSError."""
    return Elf.load(path).entry


def load(path: Path) -> gdb.Objfile | None:
    """Adds a program's symbols to those that are loaded, and puts them first; None where GDB did not take them."""
    if _objfile(path) is None:
        if path in _loaded:
            _loaded.remove(path)            # by a person, since
        _add(path)
        gdb.execute("set print symbol off") # NULL is not <start>
    put_first(path)
    return _objfile(path)


def place_in(path: Path, pc: int) -> Place:
    """The line of a program's source at an address; what is loaded for that goes again."""
    before = list(_loaded)
    function = next((f.name for f in symbols(str(path))[0] if f.address <= pc < f.address + max(f.size, 1)), None)
    try:
        if path not in before or _objfile(path) is None:
            gdb.execute(f"add-symbol-file {one_word(path)} -readnow", to_string=True)
        return _line(path, pc, function)
    except gdb.error:
        return Place(function)
    finally:
        if path not in before and _objfile(path) is not None:
            gdb.execute(f"remove-symbol-file {one_word(path)}", to_string=True)


def _line(path: Path, pc: int, function: str | None) -> Place:
    """Where several programs have a line there GDB tells the first's; then the file's own table of lines is asked."""
    objfile, found = _objfile(path), gdb.find_pc_line(pc)
    symbol = function and objfile and (objfile.lookup_global_symbol(function) or objfile.lookup_static_symbol(function))
    symtab, number = found.symtab, found.line
    if symtab is None or symtab.objfile != objfile:
        symtab = symbol.symtab if symbol else None
        lines = [entry for entry in symtab.linetable() if entry.pc <= pc] if symtab else []
        number = max(lines, key=lambda entry: entry.pc).line if lines else 0
    if symtab is None or not number:
        return Place(function)
    return Place(function, symtab.filename, number, linecache.getline(symtab.fullname(), number).strip() or None)


def put_first(path: Path) -> bool:
    """Makes a loaded program the one that GDB sees in user memory; whether it was another before.

    Breakpoints in the others are where they were when this is done.
    """
    before = _loaded[:_loaded.index(path)]
    for one in before:
        _loaded.remove(one)
        if _objfile(one) is not None:
            gdb.execute(f"remove-symbol-file {one_word(one)}", to_string=True)
            _add(one)
    return bool(before)


def _add(path: Path) -> None:
    global _watching
    gdb.execute(f"add-symbol-file {one_word(path)} -readnow", to_string=True)
    _loaded.append(path)
    if len(_loaded) > 1 and not _watching:
        _watching = True
        gdb.events.stop.connect(_on_stop)


def _on_stop(_event: object) -> None:
    """Puts the program first that runs here. GDB has told of the stop by then: where it has taken one program for
    another it is told again."""
    silenced = UserBreakpoint.silenced
    UserBreakpoint.silenced = None
    if silenced is not None and silenced.is_valid():
        silenced.silent = False
    try:
        path = _running_path()
        if path is not None and path in _loaded and put_first(path) or silenced is not None:
            told = gdb.execute("frame", to_string=True).partition("#0  ")[2]
            gdb.write(f"\nBreakpoint {silenced.number}, {told}" if silenced is not None else told)
    except (gdb.error, gdbinfo.NoKernel, OSError, StubError, ReadError, ElfError):
        pass                                # no command of the kit's: those say what is wrong


def _running_path() -> Path | None:
    """The file of the program that the selected hart runs, in user mode; a look at pc is enough in the kernel."""
    info, _ = session.debuginfo()
    if info.function_at(gdb.newest_frame().pc()) is not None:
        return None
    running = session.running()
    return None if running is None else program_file(Path(info.kernel), running.name)


def _objfile(path: Path) -> gdb.Objfile | None:
    return next((o for o in gdb.objfiles() if o.filename == str(path)), None)


class UserBreakpoint(gdb.Breakpoint):
    """Stops in user mode only, and only for one pid or one program's name.

    The kernel and every process can have an instruction at the same virtual
    address.
    """

    pid: int | None = None
    program: str | None = None
    path: Path | None = None
    silenced: UserBreakpoint | None = None      # the one that has been hit, of a program that is not first

    @classmethod
    def in_function(cls, symbol: gdb.Symbol, pid: int, path: Path) -> UserBreakpoint:
        """After the prologue of one file's function, whose program is first. It is kept by its address: GDB would look
        for the prologue again whenever symbols come or go, in whichever program is first by then."""
        places: dict[str, Any] = {"source": symbol.symtab.filename, "function": symbol.name}
        found = gdb.Breakpoint(internal=True, **places)
        at = [one.address for one in getattr(found, "locations", ()) if one.address is not None]
        found.delete()
        made = cls(f"*{at[0]:#x}") if at else cls(**places)     # GDB 12 and older do not say
        made.pid, made.path = pid, path
        return made

    @classmethod
    def at(cls, va: int, name: str, temporary: bool, path: Path) -> UserBreakpoint:
        made = cls(f"*{va:#x}", temporary=temporary)
        made.program, made.path = name, path
        return made

    def stop(self) -> bool:
        running = session.running()
        if running is None:
            return False
        hit = running.name == self.program[:15] if self.program is not None else running.pid == self.pid
        if hit and self.path in _loaded[1:]:
            # GDB would name another program's function; _on_stop() tells of it.
            self.silent = True
            UserBreakpoint.silenced = self
        return hit

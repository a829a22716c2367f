"""xv6-user, xv6-break, xv6-catch: user programs, by their own symbols."""

from __future__ import annotations

from pathlib import Path

import gdb

from ..kernel import gdbinfo
from ..live.programs import UserBreakpoint, entry_point, load, program_file
from ..live.session import session
from ..memory import elf
from .base import Arg, Bad, Command, Opt, process


class Xv6User(Command):
    """Load the symbols of the program that a process runs.

    The kernel's symbols stay, and those of programs loaded before; of two that
    have something at one address GDB shows this one's, and at a stop in user
    mode that of the process that runs there. Without PID it is the process that
    the selected hart runs. `print symbol` is off from then on: a program begins
    at 0, and NULL would read as <start>.
    """

    name = "xv6-user"
    kind = gdb.COMMAND_FILES
    args = (Arg("PID", "pid", optional=True),)

    def run(self, given):
        taken = session.snapshot()
        owner = process(given.get("PID"), taken)
        path = _file(owner.name)
        load(path)
        gdb.write(f"symbols of {path} for pid {owner.pid} ({owner.name})\n")


class Xv6Break(Command):
    """Stop in a user program's function, in one process only.

    Without PID it is the process that the selected hart runs. The program's
    symbols are loaded as by xv6-user. The breakpoint is GDB's: `info
    breakpoints` and `delete` know it; it stays at its address whatever is
    loaded later, where `info breakpoints` may name the function of another
    program.
    """

    name = "xv6-break"
    kind = gdb.COMMAND_BREAKPOINTS
    args = (Arg("FUNCTION", "function"), Arg("PID", "pid", optional=True))
    live = True

    def run(self, given):
        taken = session.snapshot()
        owner = process(given.get("PID"), taken)
        name, path = given["FUNCTION"], _file(owner.name)
        if all(function.name != name for function in elf.symbols(str(path))[0]):
            raise Bad(f"{owner.name} has no function {name!r}; try TAB")
        objfile = load(path)
        symbol = objfile.lookup_global_symbol(name) or objfile.lookup_static_symbol(name)
        if symbol is None or symbol.symtab is None:
            raise Bad(f"{name} of {owner.name} has no debugging information; build it with -ggdb")
        made = UserBreakpoint.in_function(symbol, owner.pid, path)
        gdb.write(f"breakpoint {made.number} in {name} of pid {owner.pid} ({owner.name})\n")


class Xv6Catch(Command):
    """Stop at a program's first user instruction after exec.

    NAME is the program's as it is executed: sh, ls. Its symbols are loaded as
    by xv6-user. The breakpoint goes when it is hit, unless -keep is given.
    """

    name = "xv6-catch"
    kind = gdb.COMMAND_BREAKPOINTS
    args = (Arg("NAME", "program"),)
    opts = (Opt("-keep"),)
    live = True

    def run(self, given):
        name = given["NAME"].rsplit("/", 1)[-1]
        path = _file(name)
        load(path)
        made = UserBreakpoint.at(entry_point(path), name, "-keep" not in given, path)
        gdb.write(f"breakpoint {made.number} at the first instruction of {name}; "
                  "continue, and run it\n")


def _file(name: str) -> Path:
    kernel = Path(gdbinfo.kernel_objfile().filename)
    path = program_file(kernel, name)
    if path is None:
        raise Bad(f"expected {name}'s ELF file at {kernel.parent.parent / 'user' / ('_' + name)}, "
                  "found none; build the tree's user programs")
    return path


def register() -> None:
    Xv6User()
    Xv6Break()
    Xv6Catch()

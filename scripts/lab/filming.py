"""Records a fork of a booted machine as a film file."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from . import Trouble, debugger
from .machine import Machine
from .patience import Patience

PROGRAM = "echo hello"  # a shell's fork, exec, exit and wait, and nothing else
_ENDS = re.compile(r"^(.*): (\d+) steps$", re.M)


def record(machine: Machine, program: str, path: Path) -> int:
    """Types program and records the fork that it leads to; how many steps that has. Raises Trouble."""
    with debugger.Session(machine.kernel.elf, machine.gdb_target) as gdb:
        machine.send(program)
        patience = Patience(None, machine.pid, gdb.pid)
        try:
            said = gdb.ask(f"shrimp-step -record {shlex.quote(str(path))}", patience=patience, alive=machine.check)
        except debugger.Late:
            raise Trouble(f"waited {patience.limit_s:g} s in vain for the end of what {program!r} forks: it must fork, and its "
                          "first child must exit and be waited for" + machine.tail()) from None
    ended = _ENDS.search(said)
    if ended is None:
        raise Trouble((said.strip().splitlines() or ["GDB said nothing"])[-1])
    return int(ended[2])

"""Records a fork of a booted machine as a film file."""

from __future__ import annotations

import re
import time
from pathlib import Path

from . import Trouble, debugger
from .machine import LIMIT_S, Machine

PROGRAM = "echo hello"  # a shell's fork, exec, exit and wait, and nothing else
_ENDS = re.compile(r"^(.*): (\d+) steps$", re.M)


def record(machine: Machine, program: str, path: Path) -> int:
    """Types program and records the fork that it leads to; how many steps that has. Raises Trouble."""
    deadline = time.monotonic() + LIMIT_S

    def alive() -> None:
        machine.check()
        if time.monotonic() > deadline:
            raise Trouble(f"waited {LIMIT_S:g} s in vain for the end of what {program!r} forks: it must fork, and its "
                          "first child must exit and be waited for" + machine.tail())

    with debugger.Session(machine.kernel.elf, machine.gdb_target) as gdb:
        machine.send(program)
        said = gdb.ask(f"shrimp-step -record {path}", limit_s=2 * LIMIT_S, alive=alive)
    ended = _ENDS.search(said)
    if ended is None:
        raise Trouble((said.strip().splitlines() or ["GDB said nothing"])[-1])
    return int(ended[2])

"""Which variables a kernel accesses without the lock that guards them: it runs some programs while a plugin of QEMU's notes that."""

from __future__ import annotations

import json
from dataclasses import dataclass

from shrimpy.kernel.guards import Unguarded
from shrimpy.records import decode, encode
from shrimpy.show import guards as show
from shrimpy.show.text import Painter

from .. import Trouble
from ..kernels.tree import Kernel
from ..machines import debugger, plugin
from ..machines.machine import Machine, Panicked, Silent
from ..machines.qmp import Gone

_LINES = ("ls | cat | wc", "echo shrimp > shrimp.tmp", "cat shrimp.tmp | wc", "ls > shrimp.out & ls | wc", "mkdir shrimp.dir",
          "rm shrimp.tmp shrimp.dir shrimp.out")
"""What is typed, of programs that every xv6 has; by it processes are made, sleep, share files and are buried. What runs in the
background prints nothing: that would come in the middle of the next line's echo."""


@dataclass(frozen=True)
class Locks:
    """What was seen. found: accesses without their lock; n_accesses, n_acquired: of how many; hindrance: a line, where it could not be
    seen, or not all of it; notes: lines."""

    found: tuple[Unguarded, ...] = ()
    n_accesses: int = 0
    n_acquired: int = 0
    hindrance: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """For a person, complete lines."""
        told = [show.one(each, Painter(False)) for each in self.found]
        if self.hindrance:
            told.append(f"skipped locks: {self.hindrance}")
        elif self.found:
            told.append(f"FAIL locks: {len(self.found)} of them")
        else:
            told.append(f"pass locks: {self.n_accesses:,} accesses with {self.n_acquired:,} locks acquired")
        return "\n".join(told) + "\n"

    def to_data(self) -> dict[str, object]:
        """As JSON has it."""
        status = "fail" if self.found else "skipped" if self.hindrance else "pass"
        return {"status": status, "n_accesses": self.n_accesses, "n_acquired": self.n_acquired, "hindrance": self.hindrance,
                "unguarded": [encode(one) for one in self.found]}


def examine(kernel: Kernel, cpus: int, program: str = "") -> Locks:
    """Boots a kernel with the plugin and types program, or what any kernel is asked. What keeps this from being seen is in the
    result."""
    try:
        with Machine(kernel, cpus, plugged=plugin.which_locks(kernel)) as machine:
            notes = _typed(machine, (program,) if program else _LINES)
            said = debugger.checked(kernel.elf, ["xv6-guards -json"], target=machine.gdb_target, walls=kernel.walled)
    except (Trouble, OSError) as trouble:
        return Locks(hindrance=str(trouble).partition("\n")[0])
    told = json.loads(next(line for line in said.splitlines() if line.startswith("{")))
    lost = f"{told['n_lost']:,} accesses found no room" if told["n_lost"] else None
    return Locks(tuple(decode(Unguarded, one) for one in told["unguarded"]), told["n_accesses"], told["n_acquired"], lost, notes)


def _typed(machine: Machine, lines: tuple[str, ...]) -> tuple[str, ...]:
    """What a kernel did until it panicked counts. Raises Trouble where it never ran a program."""
    machine.boot()
    try:
        for line in lines:
            machine.run(line)
    except (Panicked, Silent) as error:
        return (f"locks: {str(error).splitlines()[0]}",)
    except Gone as error:
        raise Trouble(str(error)) from None
    return ()

"""Machines of one kernel at their shell's prompt, one after the other: the first boots, those after it go on from what was kept of
it then, which takes a fifth of the time."""

from __future__ import annotations

import contextlib
from pathlib import Path

from .. import Trouble
from ..kernels.tree import Kernel
from ..machines.machine import AtPrompt, Machine
from ..machines.plugin import Plugin
from ..machines.rundir import RunDir
from . import checkpoint


class Boots(contextlib.ExitStack):
    """Where machines of a kernel come from. A context manager: what was kept is gone after it.

    within, plugged: see Machine. A plugin knows of no store before its machine began, so with one each machine boots.
    """

    def __init__(self, kernel: Kernel, cpus: int, *, within: Path | None = None, plugged: Plugin | None = None) -> None:
        super().__init__()
        self._kernel, self._cpus, self._within, self._plugged = kernel, cpus, within, plugged
        self._kept: tuple[Path, AtPrompt] | None = None
        self._keeps = plugged is None

    def new(self) -> Machine:
        """The next machine; boot() is the caller's, and keep() after that."""
        if self._kept:
            try:
                return checkpoint.RestoredMachine(self._kernel, self._cpus, *self._kept, within=self._within)
            except (Trouble, OSError):  # no room, or a device of a stranger's that cannot be moved: it boots again
                self._kept = None
        return Machine(self._kernel, self._cpus, within=self._within, plugged=self._plugged)

    def keep(self, machine: Machine) -> None:
        """A machine of new()'s waits at its first prompt: the next go on from there, where it can be kept."""
        if not self._keeps:
            return
        self._keeps = False
        with contextlib.suppress(Trouble, OSError), machine.qmp() as monitor:
            place = RunDir(3 * self._kernel.ram_bytes)  # this one, what is kept, the next
            self.callback(place.remove)
            monitor.execute("stop")
            try:
                checkpoint.save(machine, place.path / "kept", monitor)
                self._kept = place.path / "kept", machine.at_prompt
            finally:
                monitor.execute("cont")

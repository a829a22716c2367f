"""The machine at the first stop where a rule fails, kept for whoever gets the marks. It decides nothing."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from .. import Trouble
from ..cli import refused
from ..machines.machine import Machine
from ..machines.qmp import Qmp
from ..machines.rundir import RunDir
from ..replay import archive, checkpoint
from ..replay.archive import Checkpoint
from .verdict import Judgement


class Keeper(contextlib.ExitStack):
    """Asked at each stop that failed. made: the checkpoint, until this is left, or None; notes: why there is none.

    KEEP=0 in the environment leaves it out.
    """

    def __init__(self) -> None:
        super().__init__()
        self.made: Checkpoint | None = None
        self.notes: tuple[str, ...] = ()
        self._wanted = os.environ.get("KEEP") != "0"

    def failed(self, machine: Machine, judgement: Judgement, monitor: Qmp) -> None:
        """Keeps a machine that stands still, where it is the first. monitor: a connection to its own."""
        if not self._wanted:
            return
        self._wanted = False
        try:
            place = RunDir(machine.kernel.ram_bytes)
            self.callback(place.remove)
            checkpoint.save(machine, place.path / "kept", monitor)
            self.made = self._with_kernel(machine, judgement, place.path / "kept")
        except (Trouble, OSError) as error:  # the verdict that is there must not be lost
            said = refused(error) if isinstance(error, OSError) else str(error).partition("\n")[0]
            self.notes = (f"no checkpoint: {said}",)

    @staticmethod
    def _with_kernel(machine: Machine, judgement: Judgement, folder: Path) -> Checkpoint:
        kernel = archive.with_kernel(machine.kernel, folder)
        failed = ", ".join(dict.fromkeys(one.rule for one in judgement.failures))
        return Checkpoint(folder, kernel, machine.cpus, (judgement.snapshot.stop.hart or 0) + 1, f"{judgement.point} ({failed} failed)")

"""xv6-checkpoint, xv6-restore: a machine kept as it is, and had back."""

from __future__ import annotations

import gdb

from ..replay import keeping
from .base import Arg, Command


class Xv6Checkpoint(Command):
    """Keep the machine as it is now, with its RAM, harts, devices and disk.

    xv6-restore NAME has it back, until the machine ends.
    """

    name = "xv6-checkpoint"
    kind = gdb.COMMAND_RUNNING
    live = True
    args = (Arg("NAME", "word"),)

    def run(self, given):
        keeping.keep(given["NAME"])


class Xv6Restore(Command):
    """Have the machine back as it was at xv6-checkpoint NAME.

    Breakpoints, symbols, the window and a fork that shrimp-step was stepping
    through then are there, too.
    """

    name = "xv6-restore"
    kind = gdb.COMMAND_RUNNING
    live = True
    args = (Arg("NAME", "word"),)

    def run(self, given):
        keeping.restore(given["NAME"])
        gdb.execute("frame")


def register() -> None:
    Xv6Checkpoint()
    Xv6Restore()

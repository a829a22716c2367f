"""xv6-allocs: what a line of the shell allocates and frees."""

from __future__ import annotations

import gdb

from ..live.session import session
from ..records import encode
from ..show import allocations as said
from ..snapshot.allocations import summary
from ..step import allocating
from .base import Arg, Bad, Command, Opt, painter, write_json


class Xv6Allocs(Command):
    """Count the frames that are allocated and freed while the shell runs a line.

    Type COMMAND in the machine's terminal: what is counted begins with the next fork, and ends when who forked has waited for
    its child. Told are the calls of kalloc and kfree by function (of all processes), and which frames stayed: those that were
    free before and are not now, with who has them. The machine is stopped then. Ctrl-C gives up.
    """

    name = "xv6-allocs"
    kind = gdb.COMMAND_RUNNING
    args = (Arg("COMMAND", "program"),)
    opts = (Opt("-json"),)
    live = True

    def run(self, given):
        session.snapshot()          # raises what keeps us from one now, and not after the line has run
        if "-json" not in given:
            gdb.write(f"waiting for {given['COMMAND']!r}: type it in the machine's terminal\n")
            gdb.flush()
        try:
            events, before, after = allocating.of_line()
        except LookupError as error:
            raise Bad(str(error)) from None
        found = summary(events, before, after)
        if "-json" in given:
            write_json(encode(found))
        else:
            gdb.write(said.allocations(found, given["COMMAND"], after, painter()))


def register() -> None:
    Xv6Allocs()

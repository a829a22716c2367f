"""xv6-allocs: what a line of the shell allocates and frees."""

from __future__ import annotations

import gdb

from ..live.session import session
from ..memory.remote import StubError
from ..records import encode
from ..show import allocations as said
from ..snapshot.allocations import summary
from ..step import allocating
from .base import Arg, Bad, Command, Opt, painter, write_json


class Xv6Allocs(Command):
    """Count the frames that are allocated and freed while the shell runs a line.

    COMMAND, in quotes where it has blanks, is typed at the machine's console,
    through its UART; with -by-hand it is waited for: type it in the machine's
    terminal. On a recording nothing can be typed, and it is the line that the
    recorded shell runs next. What is counted begins with the next
    fork, and ends when who forked has waited for its child. Told are the
    calls of kalloc and kfree by function (of all processes), and which frames
    stayed: those that were free before and are not now, with who has them.
    The machine is stopped then. Ctrl-C gives up.
    """

    name = "xv6-allocs"
    kind = gdb.COMMAND_RUNNING
    args = (Arg("COMMAND", "program"),)
    opts = (Opt("-json"), Opt("-by-hand"))
    live = True

    def run(self, given):
        session.snapshot()          # raises what keeps us from one now, and not after the line has run
        by_hand = "-by-hand" in given or session.is_recording
        if by_hand and "-json" not in given:
            gdb.write("the recording goes on to the line that the shell runs next\n" if session.is_recording else
                      f"waiting for {given['COMMAND']!r}: type it in the machine's terminal\n")
            gdb.flush()
        try:
            if not by_hand:
                _type(given["COMMAND"])
            events, before, after = allocating.of_line()
        except LookupError as error:
            raise Bad(str(error)) from None
        found = summary(events, before, after)
        if "-json" in given:
            write_json(encode(found))
        else:
            gdb.write(said.allocations(found, given["COMMAND"], after, painter()))


def _type(line: str) -> None:
    try:
        allocating.type_line(line)
    except (LookupError, StubError) as error:
        raise Bad(f"{line!r} cannot be typed from here: {error}; try: xv6-allocs -by-hand {line}") from None


def register() -> None:
    Xv6Allocs()

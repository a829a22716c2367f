"""xv6-ps, xv6-tree, xv6-harts: who is there, and where."""

from __future__ import annotations

import gdb

from ..kernel import backtrace
from ..live import backtraces
from ..live.session import session
from ..records import encode
from ..show import backtrace as said, reports
from .base import Command, Opt, painter, speakable, write_json

_BULKY = ("tables", "mappings", "findings")


class Xv6Ps(Command):
    """List the processes, with their FRY and SHRIMP frames.

    PAGES is the size of user memory from 0; HART is where it runs; ROOT is the
    physical address of its root page table.
    """

    name = "xv6-ps"
    opts = (Opt("-json"),)

    def run(self, given):
        taken = session.snapshot()
        if "-json" in given:
            write_json([_brief(p) for p in taken.processes])
        else:
            gdb.write(reports.processes(taken, painter()))


class Xv6Tree(Command):
    """Show the processes as a tree of parents and children.

    A child's SHRIMP frame should be its parent's FRY frame.
    """

    name = "xv6-tree"
    opts = (Opt("-json"),)

    def run(self, given):
        taken = session.snapshot()
        if "-json" in given:
            write_json([{"pid": p.pid, "parent": p.parent, "name": p.name}
                        for p in taken.processes])
        else:
            gdb.write(speakable(reports.tree(taken, painter())))


class Xv6Harts(Command):
    """Show where each hart is: mode, process, function and page table.

    * marks the hart that GDB has selected. NOFF is the depth of push_off. -bt shows the calls of all harts as one tree, from
    the user program through the trap into the kernel: what they have in common is told once.
    """

    name = "xv6-harts"
    opts = (Opt("-bt"), Opt("-json"))

    def run(self, given):
        taken = session.snapshot()
        if "-bt" in given:
            stacks = backtraces.of_harts(taken)
            roots = backtrace.tree(stacks)
            if "-json" in given:
                write_json({"harts": [one._asdict() for one in stacks], "tree": [said.to_data(node) for node in roots]})
            else:
                gdb.write(speakable(said.tree(roots, stacks, taken, painter())))
        elif "-json" in given:
            write_json({"stop": encode(taken.stop), "harts": [encode(h) for h in taken.harts]})
        else:
            gdb.write(reports.where(taken) + "\n" + reports.harts(taken, painter()))


def _brief(process: object) -> dict[str, object]:
    return {key: value for key, value in encode(process).items() if key not in _BULKY}


def register() -> None:
    Xv6Ps()
    Xv6Tree()
    Xv6Harts()

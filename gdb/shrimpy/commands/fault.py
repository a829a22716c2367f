"""xv6-fault: why an access faulted."""

from __future__ import annotations

import gdb

from ..live import faults
from ..live.session import session
from ..records import encode
from ..show import faults as said
from .base import Arg, Command, Opt, painter, process, write_json
from .memory import walk_json


class Xv6Fault(Command):
    """Explain why an access to memory faulted.

    Without PID it is the trap that the selected hart is in: one from the kernel (in kerneltrap, or after its panic), else one
    from the process that runs there (in usertrap, or where that process is killed); where nothing has faulted there, that of
    another hart. With PID, it is what the process's
    trapframe has, also of one that was killed and waits to be cleaned up. Told are the cause, the line and the
    instruction, the walk of the address to the level where it breaks, the right that is missing, and what is near that
    address. Where scause is not kept, as in a core or of a process that does not run, the cause is what the instruction
    there would run into.
    """

    name = "xv6-fault"
    args = (Arg("PID", "pid", optional=True),)
    opts = (Opt("-json"),)

    def run(self, given):
        taken = session.snapshot()
        if "PID" in given:
            fault, walk = faults.of_process(taken, process(given["PID"], taken))
        else:
            fault, walk = faults.anywhere(taken)
        owner = taken.process(fault.pid)
        if "-json" in given:
            write_json({**encode(fault), "cause_text": said.cause(fault.cause),
                        "walk": None if walk is None else walk_json(walk, owner if fault.mode == "U" else None)})
        else:
            who = f"pid {owner.pid} ({owner.name})" if owner else f"hart {taken.stop.hart}"
            gdb.write(said.fault(fault, walk, who, painter()))


def register() -> None:
    Xv6Fault()

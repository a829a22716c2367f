"""xv6-who: who wrote some bytes last, on a machine that notes it."""

from __future__ import annotations

import gdb

from ..kernel.who import WORD
from ..live.writers import Writer, noted
from ..show import stores as show
from .base import Arg, Command, Opt, painter, write_json
from .why import meant


class Xv6Who(Command):
    """Tell who wrote a page table entry, or a variable, last.

    WHAT and PID are as for xv6-why. The machine must have been started with
    WHO=1; no recording is needed, and it may have several harts. Told are the
    line, who called as far back as is known, the hart, and the number of the
    store: on several harts the later of two that a lock keeps apart has the
    greater one. What is noted is the last store of an instruction to
    the aligned 8 bytes, also of the value that was there: nothing of what a
    device wrote, or the walk of a page table (bits A and D).
    """

    name = "xv6-who"
    args = (Arg("WHAT", "pid or va"), Arg("PID", "pid", optional=True))
    opts = (Opt("-json"),)

    def run(self, given):
        with noted() as writers:
            asked = meant(given["WHAT"], given.get("PID"))
            writer = writers.last(asked.what.pa)
        if "-json" in given:
            write_json({"at": hex(asked.what.pa), "size": WORD, "store": writer and _json(writer)})
            return
        gdb.write(f"{asked.title}\n")
        gdb.write(show.last(*writer.store[:3], writer.calls, painter()) if writer else "no instruction has stored there since the start\n")


def _json(writer: Writer) -> dict[str, object]:
    store = writer.store
    return {"number": store.number, "hart": store.hart, "pc": hex(store.pc),
            "calls": [{"function": one.function, "file": one.file, "line": one.line} for one in writer.calls]}


def register() -> None:
    Xv6Who()

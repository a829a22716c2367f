"""xv6-vmprint: a page table as the pgtbl labs print it."""

from __future__ import annotations

from pathlib import Path

import gdb

from ..live.session import session
from ..memory import printout
from ..show import printouts
from .base import Arg, Bad, Command, Opt, write_json
from .memory import named_table


class Xv6Vmprint(Command):
    """Print a page table as vmprint of the pgtbl labs does.

    Without PID it is the table of the process that the selected hart runs; "kernel" and "satp" are as in xv6-walk. Each
    valid entry has a line, ".." for each level; -va names entries by their virtual addresses, as the labs do since 2024,
    and not by their indices. -diff FILE says in which line a printout (or a console's log with one in it) first means
    something else than the table, and why; both forms are known. Which frames there are depends on the run, and A and D on
    what was touched: these are not compared.
    """

    name = "xv6-vmprint"
    args = (Arg("PID", "table", optional=True),)
    opts = (Opt("-va"), Opt("-diff", "FILE"), Opt("-json"))

    def run(self, given):
        _, title, root = named_table(given.get("PID"), session.snapshot())
        if root is None:
            raise Bad(f"{title} has no page table")
        with session.memory() as reader:
            table = printout.of(reader, root)
        if "-diff" in given:
            self._compare(given["-diff"], table, given)
        elif "-json" in given:
            write_json({"root": hex(root), "complete": table.complete, "entries": printouts.rows(table)})
        else:
            gdb.write(printout.text(table, "-va" in given))
            if not table.complete:
                gdb.write("! there are more entries than a table can mean; the rest is left out\n")

    @staticmethod
    def _compare(file: str, table: printout.Printout, given: dict[str, str]) -> None:
        try:
            expected = Path(file).expanduser().read_text(errors="replace")
            found = printout.first_difference(expected, table)
        except OSError as error:
            raise Bad(f"expected a printout, found {file}: {error.strerror}") from None
        except printout.NoPrintout as error:
            raise Bad(f"{file}: {error}") from None
        if "-json" in given:
            write_json(printouts.to_data(found))
        else:
            gdb.write(printouts.difference(found, "-va" in given))


def register() -> None:
    Xv6Vmprint()

"""xv6-snapshot and xv6-diff: the machine then, and now."""

from __future__ import annotations

import os

import gdb

from .. import files
from ..live.session import session
from ..records import encode
from ..show import reports
from ..snapshot import Snapshot, changes
from ..snapshot.contradictions import checked
from .base import Arg, Bad, Command, Opt, painter, write_json


class Xv6Snapshot(Command):
    """Write all that the kit knows of the machine to FILE, as JSON.

    `scripts/python viz FIGURE FILE` draws it; xv6-diff compares with it.
    """

    name = "xv6-snapshot"
    args = (Arg("FILE", "file"),)

    def run(self, given):
        taken = session.snapshot()
        path = os.path.expanduser(given["FILE"])
        try:
            files.write(path, taken.to_json())
        except OSError as error:
            raise Bad(f"expected a file to write, found {path}: {error.strerror}; "
                      "try: xv6-snapshot /tmp/now.json") from None
        session.previous = taken
        gdb.write(f"{path}: {len(taken.processes)} processes\n")


class Xv6Diff(Command):
    """Show what changed since the last snapshot: + new, - gone, ~ different.

    The last one is that of the latest shrimp-check, xv6-snapshot or xv6-diff,
    or FILE when given. A and D, which the hardware sets, are not compared.
    """

    name = "xv6-diff"
    args = (Arg("FILE", "file", optional=True),)
    opts = (Opt("-json"),)

    def run(self, given):
        before = session.previous
        if "FILE" in given:
            before = _load(os.path.expanduser(given["FILE"]))
        taken = session.snapshot()
        session.previous = taken
        if before is None:
            gdb.write("the first snapshot: run on, stop, and ask again\n")
            return
        found = changes.between(before, taken)
        if "-json" in given:
            write_json([encode(c) for c in found])
        else:
            gdb.write(reports.differences(found, painter()))


def _load(path: str) -> Snapshot:
    try:
        with open(path, encoding="utf-8") as file:
            return checked(Snapshot.from_json(file.read()))
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise Bad(f"expected a snapshot, found {path}: {why}; "
                  "try one that xv6-snapshot wrote") from None


def register() -> None:
    Xv6Snapshot()
    Xv6Diff()

"""A QEMU machine that boots an xv6 kernel, and what is done with it.

    rundir     a machine's private folder, and how others find it
    tree       which kernel and disk a path names, built, and what QEMU they want
    machine    the machine: start, console, monitor, stop
    attach     a machine that others started
    qmp        QEMU's monitor protocol
    debugger   GDB, for people and headless
    tools      which qemu, gdb and cross tools there are

times_in_gdb.py is not imported: GDB sources it, for bench-kit.
"""

import sys
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build"

# The kit: of it the modules that need no GDB are imported here.
if str(ROOT / "gdb") not in sys.path:
    sys.path.append(str(ROOT / "gdb"))


def printable(said: str) -> str:
    """Text of a stranger's, as a terminal and a file can take it: control characters become ?."""
    return re.sub("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\uffff\U00010000-\U0010ffff]", "?", said)


class Trouble(Exception):
    """What went wrong, for a person: a first line that stands alone, then details."""

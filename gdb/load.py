# The file that GDB sources: `source gdb/load.py`. Loads the Shrimpy kit.
#
# A GDB without Python takes this for a file of its own commands. The next line is one: it says that there is no Python.
python = None
del python

import os
import sys

import gdb

OLDEST_PYTHON = (3, 9)


def load():
    if sys.version_info < OLDEST_PYTHON:
        raise gdb.GdbError("shrimpy: expected Python %d.%d or later inside GDB, found %d.%d"
                           % (OLDEST_PYTHON + sys.version_info[:2]))
    folder = os.path.dirname(os.path.abspath(__file__))
    if folder not in sys.path:
        sys.path.insert(0, folder)
    # Sourced again: what changed on disk is what the user wants.
    for name in [n for n in sys.modules if n.split(".")[0] == "shrimpy"]:
        del sys.modules[name]
    # GDB hands out the names of files by the charset of its terminal, Python takes them by that of the file system.
    # Under LC_ALL=C they differ, and a kernel in a folder with a letter beyond ASCII could not be named.
    if sys.getfilesystemencoding() == "utf-8":
        gdb.execute("set host-charset UTF-8", to_string=True)
    # With GDB's idea of the system, `si` steps over ecall instead of into the
    # trampoline: that of a Linux program, which this is not.
    gdb.execute("set osabi none", to_string=True)
    gdb.execute("set architecture riscv:rv64", to_string=True)
    # After two seconds, its own limit, GDB would send a packet to a machine on a busy host once more. It would take the first
    # answer for the second, and a machine that runs would stop for what comes.
    if gdb.parameter("remotetimeout") == 2:
        gdb.execute("set remotetimeout 30", to_string=True)
    # kmem and proc[] are larger than what GDB prints by itself.
    gdb.execute("set max-value-size unlimited")
    import shrimpy.commands
    shrimpy.commands.register()
    print('shrimpy %s: "help shrimpy" lists the commands' % shrimpy.__version__)


load()

"""A machine that somebody else started: by `make qemu-gdb` in a tree of their own, or by hand."""

from __future__ import annotations

import re
from pathlib import Path

from . import Trouble, tree, typed


def target(kernel: str, said: str) -> str:
    """What `target remote` takes: what TARGET= said, a port being one of this host's, or what the tree's .gdbinit says,
    which its `make qemu-gdb` writes."""
    if said:
        if not re.fullmatch(r"((tcp[46]?:)?[^/\s]*:)?\d+", said) and not Path(said).is_socket():
            raise Trouble(f"TARGET={said}: expected host:port, a port of this host, or the path of a socket that is there")
        return f"127.0.0.1:{said}" if said.isdigit() else said
    script = typed(kernel) / ".gdbinit"
    text = script.read_text(errors="replace") if script.is_file() else ""
    match = re.search(r"^\s*target\s+(?:extended-)?remote\s+(\S+)", text, re.M)
    if not match:
        raise Trouble(f"no machine of {kernel} is running: start one with `make qemu-gdb KERNEL=...` here or with "
                      "`make qemu-gdb` there, in another terminal; or say where it is with TARGET=host:port")
    return match[1]


def elf(kernel: str) -> Path:
    """The kernel that runs there: the tree's own, as it was built in place."""
    found = tree.built_at(kernel)
    if not found.is_file():
        raise Trouble(f"{found} is not there: build the tree, or say with KERNEL= which kernel the machine runs")
    return found

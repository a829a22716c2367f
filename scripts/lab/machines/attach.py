"""A machine that somebody else started: by `make qemu-gdb` in a tree of their own, or by hand.

A stub serves one GDB. The next one's connection is taken by the kernel of the host, and nobody ever answers.
"""

from __future__ import annotations

import re
from pathlib import Path

from .. import Trouble, typed
from ..kernels import tree


_ESTABLISHED = "01"  # of a line of /proc/net/tcp: include/net/tcp_states.h
_CONNECTED = "03"  # of /proc/net/unix; one that waits to be accepted is 02: include/uapi/linux/net.h


def target(kernel: str, said: str) -> str:
    """What `target remote` takes: what TARGET= said, a port being one of this host's, or what the tree's .gdbinit says,
    which its `make qemu-gdb` writes. Raises Trouble when there is none, or another GDB has it."""
    where = _target(kernel, said)
    if is_taken(where):
        raise Trouble(f"another GDB is attached to {where} already: a machine serves one at a time; end that one first")
    return where


def is_taken(where: str) -> bool:
    """Whether somebody is served there already. Only seen, not asked: asking would stop the machine. False, too, for what
    this host's kernel does not tell of: another host's port, or a system without /proc/net."""
    port = re.fullmatch(r"(?:tcp[46]?:)?(?:(?:localhost|127\.[\d.]+|\[?::1\]?)?:)?(\d+)", where)
    if not port:
        named = str(Path(where).absolute())
        return any(line[5] == _CONNECTED and " ".join(line[7:]) == named for line in _sockets("unix") if len(line) > 7)
    # A connection that QEMU has not accepted has no inode yet.
    return any(line[1].endswith(f":{int(port[1]):04X}") and line[3] == _ESTABLISHED and line[9] != "0"
               for table in ("tcp", "tcp6") for line in _sockets(table))


def _sockets(table: str) -> list[list[str]]:
    """The lines of /proc/net/TABLE in words, without the heading."""
    try:
        return [line.split() for line in Path("/proc/net", table).read_text(errors="replace").splitlines()[1:]]
    except OSError:
        return []


def _target(kernel: str, said: str) -> str:
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
        raise Trouble(f"{found} does not exist: build the tree, or name the kernel that the machine runs with KERNEL=")
    return found

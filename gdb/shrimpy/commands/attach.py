"""shrimp-attach: to a machine that was started since, without leaving GDB."""

from __future__ import annotations

import re
from pathlib import Path

import gdb

from ..kernel import gdbinfo
from ..live import machines
from ..live.programs import one_word
from .base import Arg, Bad, Command, Opt, write_json


class ShrimpAttach(Command):
    """Attach to a running machine, in the place of the one before.

    Without TARGET it is the newest machine that `make qemu-gdb` has started in this checkout, one of the kernel that is
    loaded before others. The kernel's file is read again, so that what was built since is what GDB knows. Breakpoints stay.
    TARGET is host:port, a port of this host, or the path of a socket.
    """

    name = "shrimp-attach"
    kind = gdb.COMMAND_RUNNING
    args = (Arg("TARGET", "file", optional=True),)
    opts = (Opt("-json"),)

    def run(self, given):
        kernel = _loaded()
        target, wanted = _target(given.get("TARGET"), kernel)
        if gdb.selected_inferior().pid:
            gdb.execute("disconnect", to_string=True)
        if wanted is not None:
            gdb.execute(f"file {one_word(Path(wanted))}", to_string=True)
        gdb.execute(f"target remote {target}", to_string=True)
        if "-json" in given:
            write_json({"target": target, "kernel": wanted})
        else:
            gdb.write(f"attached to {target}" + (f", which runs {wanted}\n" if wanted else "\n"))
            gdb.execute("frame")


def _loaded() -> str | None:
    try:
        return gdbinfo.kernel_objfile().filename
    except gdbinfo.NoKernel:
        return None


def _target(said: str | None, kernel: str | None) -> tuple[str, str | None]:
    """(what `target remote` takes, the kernel's file to read again). Raises Bad."""
    if said is None:
        found = machines.running(machines.folder(), kernel)
        if not found:
            raise Bad("no machine of this checkout is running; start one with `make qemu-gdb` in another terminal, or give a TARGET")
        return found[0].gdb, found[0].kernel
    if not re.fullmatch(r"((tcp[46]?:)?[^/\s]*:)?\d+", said) and not Path(said).is_socket():
        raise Bad(f"expected host:port, a port of this host or the path of a socket, found {said!r}")
    return f"127.0.0.1:{said}" if said.isdigit() else said, kernel


def register() -> None:
    ShrimpAttach()

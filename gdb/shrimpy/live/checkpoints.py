"""A machine that is kept, and had back: asked of the server between GDB and QEMU, scripts/lab/replay/live.py."""

from __future__ import annotations

import gdb

from ..memory.remote import Stub, StubError

_PATIENCE_S = 60        # until the server answers: it says "working" four times a second, but the host may be busy


class NotKept(Exception):
    """There is no such server, or it says why not."""


def keep(name: str) -> None:
    """Keeps the machine under a name, for as long as it is there. Raises NotKept, StubError."""
    thread = gdb.selected_thread()
    _ask(f"keep:{thread.ptid[1] if thread is not None else 1},{_packed(name)}")


def make_ready(name: str) -> gdb.InferiorThread | None:
    """The next step leads to what was kept under a name, and ends in that hart. Raises NotKept, StubError."""
    thread = _ask(f"restore:{_packed(name)}")
    return next((one for one in gdb.selected_inferior().threads() if one.ptid[1] == thread), None)


def _ask(words: str) -> int:
    before = gdb.parameter("remotetimeout")
    gdb.execute(f"set remotetimeout {_PATIENCE_S}", to_string=True)
    try:
        while (said := _packet(words)) == "working":
            pass
    finally:
        gdb.execute(f"set remotetimeout {before}", to_string=True)
    if said.startswith("F"):
        raise NotKept(bytes.fromhex(said[1:]).decode())
    if not said.startswith("OK"):
        raise NotKept("this machine cannot be kept; for one that can, try: make qemu-gdb, then make gdb")
    return int(said[2:], 16)


def _packet(words: str) -> str:
    try:
        return Stub().packet(f"qshrimpy.{words}")
    except StubError:
        return ""


def _packed(name: str) -> str:
    return name.encode().hex()

"""A live machine kept and put back, with what GDB and the kit know of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import gdb

from ..live import checkpoints
from ..step import current
from ..step.runner import quiet
from ..step.stepping import Stepping

_stepping: dict[str, Stepping] = {}
"""What was stepped through where a machine was kept, by the checkpoint's name."""


def keep(name: str) -> None:
    """Raises checkpoints.NotKept, StubError."""
    checkpoints.keep(name)
    stepping = current.current()
    if stepping is not None:
        _stepping[name] = stepping.copy()
    else:
        _stepping.pop(name, None)


def restore(name: str) -> None:
    """Raises checkpoints.NotKept, StubError, gdb.error."""
    thread = checkpoints.make_ready(name)
    if thread is not None:
        thread.switch()
    with quiet(), _without_breakpoints():
        gdb.execute("stepi", to_string=True)
    gdb.execute("maintenance flush register-cache", to_string=True)     # of harts that GDB has not let go
    current.resume(_stepping[name].copy() if name in _stepping else None)


@contextmanager
def _without_breakpoints() -> Iterator[None]:
    """GDB steps over none, and takes none for hit. A watchpoint has the value that is there afterwards."""
    enabled = [one for one in gdb.breakpoints() if one.enabled]
    for one in enabled:
        one.enabled = False
    try:
        yield
    finally:
        for one in enabled:
            one.enabled = True

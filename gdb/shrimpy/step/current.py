"""The stepping that is under way in this GDB, and the one that came to its end last."""

from __future__ import annotations

import gdb

from ..kernel import gdbinfo
from ..live import stop
from ..live.session import session
from ..snapshot import Process
from .stepping import Stepping

_current: Stepping | None = None
_done: Stepping | None = None
"""The stepping that came to its end last."""


def current() -> Stepping | None:
    """The stepping that is under way, or None. What the person did since may
    have ended it: that is said once, and None returned."""
    if _current is not None and not _still_there():
        gdb.write(f"shrimp-step: the fork of pid {_current.cast.parent} is not stepped through any more: "
                  "the machine went on without it\n")
        leave()
    return _current


def at_step() -> Stepping | None:
    """The stepping, over or not, whose last step was made where the machine stands now."""
    return next((one for one in (current(), _done) if one is not None and one.last is not None
                 and one.last_moves == session.moves()), None)


def _still_there() -> bool:
    try:
        return _current is not None and _current.still_there()
    except (gdb.error, stop.NotStopped, gdbinfo.NoKernel):
        return False


def start(only: Process | str | None, every: bool, life: bool) -> Stepping:
    """A new stepping, in the place of the one there was."""
    global _current
    leave()
    _current = Stepping(only, every, life, _done)
    gdb.events.before_prompt.connect(_at_prompt)
    return _current


def resume(stepping: Stepping | None) -> None:
    """A stepping that was under way where the machine stands now takes the place of the one there was; None: there was none."""
    global _current
    leave()
    if stepping is not None:
        stepping.is_here()
        _current = stepping
        gdb.events.before_prompt.connect(_at_prompt)


def leave() -> None:
    """Ends the stepping there is: nothing of it stays."""
    global _current, _done
    was, _current = _current, None
    if was is not None:
        gdb.events.before_prompt.disconnect(_at_prompt)
        if was.over and was.last is not None:
            _done = was
        was.close()


def _at_prompt() -> None:
    current()

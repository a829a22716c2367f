"""To another place in a recorded run, so that GDB knows of it as of any stop."""

from __future__ import annotations

import gdb

from ..live import recording
from ..step import current
from ..step.runner import quiet
from ..step.stepping import Stepping


def goto(count: int) -> None:
    """Stops the machine where so many instructions were executed. Raises recording.NotRecorded, StubError, gdb.error."""
    recording.set_goal(count)
    with quiet():
        gdb.execute("reverse-stepi", to_string=True)
    for one in gdb.breakpoints():
        if one.type == gdb.BP_HARDWARE_WATCHPOINT and one.enabled:
            one.enabled = False     # GDB compares with the value that it saw last, which is of another place
            one.enabled = True


def step_back(stepping: Stepping) -> Stepping:
    """The same fork, at the step before the last. It is stepped through anew from its beginning, which comes out the same."""
    assert stepping.begun_at is not None, "it is a recording"
    n_steps = stepping.n_steps - 1
    goto(stepping.begun_at)
    again = current.start(None, stepping.every, stepping.life)
    again.begin()
    while again.n_steps < n_steps and again.advance() is not None:
        pass
    return again

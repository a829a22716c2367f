"""Brings a booted machine to where there are families to look at."""

from __future__ import annotations

import re

from . import Trouble
from .machine import Machine

_MOST_LINES = 64


def play(machine: Machine, program: str = "", ready: str = "") -> str:
    """Runs program, or shrimpdemo, or what any xv6 has; returns what was run.

    program   its command line; it is left running
    ready     a pattern it prints when there is something to see; without it, what it has done by the time
              the prompt is back (a program named with & comes back at once)
    """
    if program:
        if ready:
            machine.send(program)
            machine.wait_for(ready, what=f"what {program!r} prints when it is ready, {ready!r}")
        else:
            machine.run(program)
        return program
    if machine.kernel.has_program("shrimpdemo"):
        machine.send("shrimpdemo &")
        machine.wait_for(r"(?:^|\n)shrimpdemo: ready[^\n]*\n", what="the line `shrimpdemo: ready`")
        return "shrimpdemo"
    return _pipeline(machine)


def _pipeline(machine: Machine) -> str:
    """A parent with two children, and an orphan, from the programs every xv6 has.

    The shell's `&` forks twice and the first child exits: the grep is an orphan. Both grep and the first cat
    read the console, and nobody knows which gets a line. A line that cat | cat prints proves that all exist,
    so lines are typed until one comes back.
    """
    command = "grep nothing &; cat | cat"
    start = len(machine.console)
    machine.send(command)
    machine.wait_for(r"cat \| cat *\n", what="the echo of a command")
    for number in range(_MOST_LINES):
        machine.send(f"line{number}")
        machine.wait_for(rf"line{number} *\n", what="the echo of a line")
        said = machine.console[start:]
        if re.search(r"(line\d+)\n(?:.*\n)*?\1\n", said):
            return command
        if re.search(r"syntax|failed", said):
            raise Trouble(f"this shell does not understand {command!r}: say what to run with PROGRAM=")
    machine.wait_for(r"line\d+\n", what=f"what {command!r} prints")
    return command

"""Brings a booted machine to where there are families to look at."""

from __future__ import annotations

import re

from . import Trouble, cli
from .machine import Machine, Panicked, Silent
from .tree import Kernel, prepare

_MOST_LINES = 64


def kernel_at(path: str) -> Kernel:
    """tree.prepare(), with what was found out told, and the disk tried where only trying says how it is driven."""
    kernel = prepare(path)
    if not kernel.virtio_known:
        with Machine(kernel, 1) as machine:
            try:
                machine.boot()
            except (Panicked, Silent) as trouble:
                if "virtio disk" in str(trouble):
                    kernel = kernel.with_other_virtio()
    for note in kernel.notes:
        cli.say(f"{kernel.name}: {note}")
    return kernel


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
        machine.wait_for(r"shrimpdemo: ready[^\n]*\n", what="the line `shrimpdemo: ready`")
        return "shrimpdemo"
    return _pipeline(machine)


def _pipeline(machine: Machine) -> str:
    """A parent with two children, and an orphan, from the programs every xv6 has.

    The shell's `&` forks twice and the first child exits: the grep is an orphan. Both grep and the first cat
    read the console, and nobody knows which gets a line. A line that cat | cat prints proves that all exist,
    so lines are typed until one comes back.
    """
    command = "(grep nothing &); cat | cat"
    start = len(machine.console)
    machine.send(command)
    machine.wait_for(r"cat \| cat *\n", what="the echo of a command")

    def more_than(n_lines: int):
        def found(text: str) -> bool:
            if re.search("syntax|missing|failed", text[start:]):
                raise Trouble(f"this shell does not understand {command!r}: say what to run with PROGRAM=")
            return text.count("x", start) > n_lines
        return found

    for typed in range(1, _MOST_LINES + 1):
        machine.send("x")
        machine.wait_until(more_than(typed - 1), what="the echo of a line")
        if more_than(typed)(machine.console):
            return command
    machine.wait_until(more_than(_MOST_LINES), what=f"what {command!r} prints")
    return command

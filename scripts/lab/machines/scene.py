"""Brings a booted machine to where there are families to look at."""

from __future__ import annotations

from .. import cli
from ..kernels.tree import Kernel, prepare
from ..patience import limit_s, point_s
from .machine import Machine, Panicked, Silent


def kernel_at(path: str, stranger: bool = False) -> Kernel:
    """tree.prepare(); prints its notes, and tries the other virtio version where only trying shows which one the driver uses."""
    kernel = prepare(path, stranger)
    if not kernel.virtio_known:
        with Machine(kernel, 1) as machine:
            try:
                machine.boot()
            except (Panicked, Silent):
                if "virtio disk" in machine.console:
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
            cli.say(f"waiting for {ready!r}, up to {limit_s():g} s")
            machine.send(program)
            machine.wait_for(ready, what=f"what {program!r} prints when it is ready, {ready!r}")
        else:
            machine.run(program)
        return program
    if machine.kernel.has_program("shrimpdemo"):
        machine.send("shrimpdemo &")
        try:
            machine.wait_for(r"shrimpdemo: ready[^\n]*\n", point_s())
            return "shrimpdemo"
        except Silent:  # somebody else's, or it died of a page that is not there
            cli.say("shrimpdemo does not say `shrimpdemo: ready`")
    return orphan(machine)


def orphan(machine: Machine) -> str:
    """A parent with two children, grandchildren, and an orphan with a child, from what every xv6 has.

    The innermost block forks twice: whoever read `&` exits, and is buried before the echo; its child waits for a cat.
    Only the first cat reads the console.
    """
    command = "cat | cat | (((cat; cat) &); echo settled)"
    machine.send(command)
    machine.wait_for(r"\nsettled\n", what=f"what {command!r} prints")
    return command

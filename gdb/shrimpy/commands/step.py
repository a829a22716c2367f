"""shrimp-step: a fork, page table by page table."""

from __future__ import annotations

import os

import gdb

from .. import views
from ..forking import ForkWatch
from .base import Command, Opt, painter


class ShrimpStep(Command):
    """Watch the next fork build its child, page table by page table.

    Runs the machine until a process forks (from inside fork: that one), then
    through it, and shows after each line that changed something what is new
    (+), gone (-) or different (~) in the parent and the child. It ends when
    the child is RUNNABLE, or when fork fails. -o writes every step's snapshot
    to FILE, a JSON list, for the film.
    """

    name = "shrimp-step"
    kind = gdb.COMMAND_RUNNING
    live = True
    opts = (Opt("-o", "FILE"),)

    def run(self, given):
        film = []
        paint = painter()
        with ForkWatch() as watch:
            gdb.write(f"waiting for {watch.function}: type a command such as ls in the machine's "
                      "terminal; Ctrl-C here gives up\n")
            gdb.flush()
            watch.start()
            gdb.write(f"pid {watch.parent.pid} ({watch.parent.name}) forks\n")
            film.append(watch.first)
            for step in watch.steps():
                film.append(step.snapshot)
                gdb.write(views.step(step.done, step.changes, paint))
                gdb.flush()
            gdb.write(watch.outcome() + "\n")
        if "-o" in given:
            path = os.path.expanduser(given["-o"])
            with open(path, "w", encoding="utf-8") as file:
                file.write("[" + ",".join(s.to_json().strip() for s in film) + "]\n")
            gdb.write(f"{path}: {len(film)} snapshots\n")


def register() -> None:
    ShrimpStep()

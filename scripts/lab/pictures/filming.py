"""Films: a fork of a booted machine, recorded by shrimp-step; a sequence of the specification's player, as a picture after each
operation."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from shrimpy.snapshot import Snapshot
from shrimpy.snapshot.changes import Change, between
from shrimpy.snapshot.model import Place
from shrimpy.spec import FORKS, Divergence, Do, Op
from shrimpy.step import film
from shrimpy.step.events import Cast, Step, pairing
from shrimpy.words import played

from .. import Trouble
from ..judging import player, playing
from ..kernels.tree import Kernel
from ..machines import debugger
from ..machines.machine import Machine
from ..patience import Patience

PROGRAM = "echo hello"  # a shell's fork, exec, exit and wait, and nothing else
_ENDS = re.compile(r"^(.*): (\d+) steps$", re.M)
_LONGEST = 60   # characters of a step's title

_PHASES = {Do.EXEC: "exec", Do.EXEC_FAILS: "exec", Do.EXEC_HUNGRY: "exec", Do.EXIT: "exit", Do.KILL: "exit", Do.FAULT: "exit",
           Do.KILL_WAITING: "exit", Do.KILL_RUNNING: "exit",
           Do.WAIT: "wait", Do.WAIT_BADLY: "wait"}


def record(machine: Machine, program: str, path: Path, parent: str = "") -> int:
    """Types program and records the fork that it leads to, or the first of a process called parent; how many steps that has.
    Raises Trouble."""
    with debugger.Session(machine.kernel.elf, machine.gdb_target, walls=machine.kernel.walled) as gdb:
        file = gdb.folder / "film.json"
        machine.send(program)
        patience = Patience(None, machine.pid, gdb.pid)
        try:
            of = f"{shlex.quote(parent)} " if parent else ""
            said = gdb.ask(f"shrimp-step {of}-record {shlex.quote(str(file))}", patience=patience, alive=machine.check)
        except debugger.Late:
            raise Trouble(f"{program!r} was not recorded within {patience.limit_s:g} s: it must fork, its first child must exit, and "
                          "its parent must wait for it" + machine.tail()) from None
        ended = _ENDS.search(said)
        if file.is_file():
            shutil.copyfile(file, path)
    if ended is None:
        raise Trouble((said.strip().splitlines() or ["GDB said nothing"])[-1])
    return int(ended[2])


def story(kernel: Kernel, told: Divergence, *, handout: bool = False) -> str:
    """A film file of what differs from the specification: the family before the first operation and after each.

    It is played once more for that. Raises Trouble where it does not come again, and what playing raises.
    """
    with debugger.Session(kernel.elf, walls=kernel.walled) as gdb:
        known = player.facts(gdb)
    if known is None:
        raise Trouble(f"{kernel.name} defines no FRY and SHRIMP")
    taken: list[tuple[Op | None, Snapshot]] = []
    pids: dict[int, int] = {}

    def seen(stage: playing.Stage, op: Op | None) -> None:
        pids.update(stage.pids())
        taken.append((op, stage.picture()))
    found = playing.again(kernel, known, told.ops, seen, handout=handout)
    if found is not None and found.what is not told.what:
        raise Trouble(f"when the story is played again, it differs in another way: {played.why(found)}")
    return story_file(found or told, taken, pids)


def story_file(told: Divergence, taken: Sequence[tuple[Op | None, Snapshot]], pids: Mapping[int, int]) -> str:
    """taken: who did what, None at first and when all have exited, and the machine after it; pids: by the numbers of the story."""
    child, parent = _pair(told, taken[-1][1], pids)
    steps, before = [], taken[0][1]
    for n, (op, snapshot) in enumerate(taken):
        is_last = n == len(taken) - 1
        if op is None:
            before = taken[0][1]    # whether all is as it was
        shown, more = _shown(between(before, snapshot), set(pids.values()), snapshot)
        said, phase = _said(op, n, told, is_last)
        title = said if len(said) <= _LONGEST else said[:_LONGEST - 3] + "..."
        sentences = [f"{said}."] if title != said else []
        sentences += [f"Expected {played.expected(told)}; found {played.actual(told)}."] if is_last else []
        who = ", ".join(f"{played.who(number)} is pid {pid}" for number, pid in sorted(pids.items())
                        if number >= 0 and snapshot.process(pid))
        steps.append(Step(title, " ".join([*sentences, f"In the story {who}."]), Place(), phase, shown, more,
                          pairing(snapshot, _cast(parent, child, snapshot)), snapshot=snapshot))
        before = snapshot
    text = json.dumps(film.film(steps, told.ops[-1].do.value, parent, child), separators=(",", ":")) + "\n"
    played_by = {process.name for _, snapshot in taken for process in snapshot.processes if process.pid in pids.values()}
    for name in played_by - {"", "init"}:       # it is another each time
        text = text.replace(name, player.NAME)
    return text


def _pair(told: Divergence, last: Snapshot, pids: Mapping[int, int]) -> tuple[int, int]:
    """(pid of the child, pid of its parent) that the film looks at: the one that something differs of, or that did it last."""
    forked_by = {op.n: op.actor for op in told.ops if op.do in FORKS and op.n in pids}
    op = told.ops[-1]
    number = told.cell.process if told.cell else op.actor
    if op.n in forked_by and op.do in FORKS and number == op.actor:
        number = op.n
    process = last.process(pids[number])
    parent = pids.get(forked_by.get(number, -1)) or (process.parent if process else None)
    return pids[number], parent or 1


def _cast(parent: int, child: int, snapshot: Snapshot) -> Cast:
    process = snapshot.process(child)
    return Cast(parent, child, ending=process is not None and process.state == "ZOMBIE")


def _said(op: Op | None, n: int, told: Divergence, is_last: bool) -> tuple[str, str]:
    """(what the n-th picture shows, its phase)."""
    if op is None:
        return ("all have exited, and are waited for", "end") if n else ("the family before the first operation", "start")
    said = played.why(dataclasses.replace(told, ops=(op,))) if is_last else played.story((op,))
    return said, _PHASES.get(op.do, op.page.lower() or "state")


def _shown(found: Sequence[Change], pids: set[int], snapshot: Snapshot) -> tuple[tuple[Change, ...], int]:
    """The changes of the family, and how many are left out: of memory that is not FRY and SHRIMP."""
    mine = [one for one in found if one.pid is None or one.pid in pids]
    shown = tuple(one for one in mine if one.what not in ("pte", "table") or one.va in (snapshot.layout.fry, snapshot.layout.shrimp))
    return shown, len(mine) - len(shown)

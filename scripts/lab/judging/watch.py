"""A GDB that stays attached to a machine, stops it for a look, and lets it go on."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace

from shrimpy.rules import Known
from shrimpy.snapshot import Snapshot

from ..machines import debugger
from ..machines.machine import Machine, Silent
from ..patience import Patience, point_s
from . import verdict
from .verdict import FAIL, Judgement, OnFail

_ATTEMPTS = 8
_BETWEEN_S, _MOST_BETWEEN_S = 0.01, 0.25  # of the machine's own time, from one attempt to the next: each has twice as much
_MOST_WRITTEN = 4  # entries of failures
_MOST_STEPS = 200
# When QEMU is told to stop, it tells of the hart that it stopped last, or was told of by this packet. If that is one that GDB let
# stand still, GDB 13 fails an assertion of its own (skip_inline_frames), as it keeps what it knew of the frames of such a hart.
_TELL_OF_IT = "python from shrimpy.memory.remote import Stub; Stub().packet('Hcp{:x}.{:x}'.format(*gdb.selected_thread().ptid))"
_LOAD = re.compile(r"\tl[bhwd]u?\t\w+,(-?\d+)\((\w+)\)")  # as GDB disassembles it


class Watch(AbstractContextManager):
    """From its making on the machine is stopped but for the time between go() and look().

    gdb: with the machine's kernel; it may have looked at another machine before, and may look at another after.
    unmasked: see scenarios.Cast
    """

    def __init__(self, machine: Machine, gdb: debugger.Session, unmasked: Callable[[str], str] = str) -> None:
        self.machine = machine
        self._gdb = gdb
        self._unmasked = unmasked
        gdb.attach(machine.gdb_target)
        self.monitor = machine.qmp()
        self._runs = False

    def go(self) -> None:
        """Lets the machine run."""
        self._gdb.tell("continue")
        self._runs = True
        patience = self.machine.patience()
        while not self.monitor.execute("query-status")["running"]:
            if patience.is_over:
                raise Silent(f"the machine did not go on within {patience.limit_s:g} s")
            time.sleep(0.001)

    def halt(self) -> None:
        """Stops it, wherever it is."""
        if self._runs:
            self.monitor.execute("stop")
            # Once more, where GDB had yet to let it go, or lets it go again after a breakpoint whose condition is false.
            self._gdb.ask(alive=lambda: self.monitor.execute("stop"))
            self._runs = False

    def look(self, point: str, previous: Snapshot | None = None, known: Known = Known(),
             roles: tuple[tuple[str, int], ...] = (), enough: Callable[[Judgement], bool] = lambda _: True,
             attempts: int = _ATTEMPTS, on_fail: OnFail = lambda *_: None) -> Judgement:
        """The machine stopped and judged: at the first stop that allows all of it and is enough, or else the last.

        Between two stops it runs a little, for longer each time: a process half made at one is whole at the next. on_fail: told
        of each stop that fails, while the machine stands there.
        """
        failed = None
        for attempt in range(attempts):
            if attempt:
                self.go()
                self.machine.work(min(_BETWEEN_S * 2 ** (attempt - 1), _MOST_BETWEEN_S))
            self.halt()
            judgement = verdict.ask(self._gdb, point, previous, known, roles, self._unmasked)
            if judgement.status == FAIL:
                on_fail(self.machine, judgement, self.monitor)
            if judgement.settled and enough(judgement):
                break
            if judgement.status == FAIL:
                failed = failed or judgement
        if judgement.status == FAIL and self.machine.notes_stores:
            judgement = replace(judgement, written=tuple(self._written(judgement)))
        return judgement if judgement.status == FAIL else failed or judgement

    def _written(self, judgement: Judgement) -> Iterator[str]:
        """A line for each of the first entries that failures are about: who wrote it last."""
        failed = {one.pte_at: one for one in reversed(judgement.failures) if one.pte_at is not None}
        for pte_at, one in list(failed.items())[-_MOST_WRITTEN:]:
            said = self._gdb.ask(f"xv6-who {pte_at:#x}").splitlines()
            if len(said) > 2:
                yield f"{one.rule}: {one.subject}: the entry at {pte_at:#x} was written last by {said[1]}: {said[2].strip()}"

    def run_to(self, *places: str, alive: Callable[[], object]) -> None:
        """Lets the machine run until it comes to one of the places, as GDB's `break` takes them. alive: see
        debugger.Session.ask(); what it raises is raised with the machine stopped, as is Silent when it does not come there in
        time."""
        self._go_on("continue", [f"tbreak {place}" for place in places], alive)

    def finish(self, alive: Callable[[], object]) -> None:
        """Lets the machine run until the function that it is in returns; see run_to()."""
        self._go_on("finish", [], alive)

    def run_to_change(self, address: int, alive: Callable[[], object]) -> None:
        """Lets the machine run until somebody has changed the int at a physical address; see run_to()."""
        self._go_on("continue", [f"watch *(int *){address:#x}"], alive)

    def _go_on(self, command: str, until: list[str], alive: Callable[[], object]) -> None:
        self._gdb.ask(*until)
        try:
            self._run(command, alive, point_s(self.machine.kernel.ram_bytes))
        finally:
            self._gdb.ask("delete")

    def _run(self, command: str, alive: Callable[[], object], limit_s: float | None) -> None:
        """Has GDB let the machine go on with a command, until it stops by itself; see run_to()."""
        self._runs = True
        patience = Patience(limit_s, self.machine.pid, self._gdb.pid)
        try:
            self._gdb.ask(command, patience=patience, alive=alive)
            self._runs = False
        except debugger.Late:
            self.halt()
            raise Silent(f"waited {patience.limit_s:g} s for a stop, which did not come" + self.machine.tail()) from None
        except BaseException:
            self.halt()
            raise

    def step_to_read(self, hart: int, place: range) -> bool:
        """Has a hart go on alone until it has read from place, and may be about to write there; whether it came to that."""
        self._select(hart)
        self._gdb.ask("set scheduler-locking on")
        try:
            for _ in range(_MOST_STEPS):
                load = _LOAD.search(self._gdb.ask("x/i $pc"))
                at = self.value(f"${load[2]} + {load[1]}") if load else None
                self._gdb.ask("stepi")
                if at in place:
                    return True
            return False
        finally:
            self._gdb.ask("set scheduler-locking off")

    def run_alone(self, hart: int, place: str, limit_s: float) -> bool:
        """Has a hart run to place, a function's first instruction, and if it can out of the function again, while the others
        stand still, for limit_s of the machine's own time each; whether it came to place."""
        with self._alone(hart, f"tbreak {place}"):
            came = self._stops("continue", limit_s)
            if came:
                self._stops("finish", limit_s)
            return came

    def run_alone_to(self, hart: int, place: str, limit_s: float) -> bool:
        """Has a hart run to place while the others stand still; whether it came there."""
        with self._alone(hart, f"tbreak {place}"):
            return self._stops("continue", limit_s)

    def run_alone_to_change(self, hart: int, address: int, limit_s: float) -> bool:
        """Has a hart run until it has changed the int at a physical address, while the others stand still; whether it did."""
        with self._alone(hart, f"watch *(int *){address:#x}"):
            return self._stops("continue", limit_s)

    @contextmanager
    def _alone(self, hart: int, until: str) -> Iterator[None]:
        self._select(hart)
        self._gdb.ask(_TELL_OF_IT, "set scheduler-locking on", until)
        try:
            yield
        finally:
            self._gdb.ask("delete", "set scheduler-locking off")

    @property
    def hart(self) -> int:
        """The hart that is stopped at."""
        return (self.value("$_thread") or 1) - 1

    def value(self, expression: str) -> int | None:
        """What GDB makes of an expression, or None."""
        said = self._gdb.ask(f"output/u (unsigned long)({expression})").strip()
        return int(said) if said.isdigit() else None

    def _stops(self, command: str, limit_s: float) -> bool:
        """Whether the machine stops by itself within limit_s when GDB is told to let it go on."""
        patience = None  # it begins when the machine runs: a busy GDB may need longer than that until it does

        def alive() -> None:
            nonlocal patience
            if patience is None and self.monitor.execute("query-status")["running"]:
                patience = self.machine.patience(limit_s)
            if patience is not None and patience.is_over:
                raise Silent(f"{command}: nothing within {limit_s:g} s")
        try:
            self._run(command, alive, None)
        except Silent:
            return False
        return True

    def _select(self, hart: int) -> None:
        self._gdb.ask(f"python sorted(gdb.selected_inferior().threads(), key=lambda thread: thread.num)[{hart}].switch()")

    def __exit__(self, *_: object) -> None:
        self.monitor.close()

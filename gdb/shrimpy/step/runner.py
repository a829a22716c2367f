"""Runs the machine to the next stop. Between two runs no breakpoint of ours is there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import gdb

from ..kernel.debuginfo import DebugInfo
from ..live.callstack import register
from ..live.session import session
from .breakpoints import Point

P = TypeVar("P", bound=Point)


class Interrupted(Exception):
    """The machine stopped for another reason than what is stepped through."""


class Judge(Protocol):
    """Whose points they are. hindrance: what kept one of them from judging its hit."""

    hindrance: str | None


class Runner:
    """The points where the machine is to stop, and the stop that it came to last.

    thread: the one that stopped; moves: the session's count of the machine's moves when `rest` was called last.
    """

    def __init__(self, info: DebugInfo, judge: Judge) -> None:
        self._info, self._judge = info, judge
        self.points: list[Point] = []
        self.thread: gdb.InferiorThread | None = None
        self.moves: int | None = None
        self._reason: Any = None                # GDB's event of the last stop

    def add(self, point: P) -> P:
        self.points.append(point)
        return point

    def remove(self, point: Point) -> None:
        point.arm(False)
        self.points.remove(point)

    def arm(self, parts: set[str]) -> None:
        """Sets what can matter now: each breakpoint costs packets, and those that others run into cost a stop. parts: those
        of the stacks on which nothing folded runs."""
        # The one that stands on a breakpoint is the one that steps over it.
        if self.thread is not None and self.thread.is_valid() and gdb.selected_thread() != self.thread:
            self.thread.switch()
        for point in self.points:
            point.arm(point.needed(parts))

    def rest(self) -> None:
        """Nothing of ours is in the machine until the next run."""
        for point in self.points:
            point.arm(False)
        self.moves = session.moves()

    def close(self) -> None:
        """No point stays, even while Ctrl-C is being hit."""
        interrupt = None
        while self.points:
            try:
                self.points[-1].arm(False)
                self.points.pop()
            except KeyboardInterrupt as signal:
                interrupt = signal
        if interrupt is not None:
            raise interrupt

    def of_gdb(self) -> list[object]:
        """What it holds of GDB's own, which cannot be copied."""
        return [one for one in (self.thread, self._reason) if one is not None]

    def hit(self) -> list[Point]:
        """The points at which the machine stopped, of those that want it."""
        hit = self._breakpoints()
        return [p for p in self.points if p.live is not None and p.live in hit and p.wants()]

    def _breakpoints(self) -> list[gdb.Breakpoint]:
        return list(self._reason.breakpoints) if isinstance(self._reason, gdb.BreakpointEvent) else []

    @contextmanager
    def listening(self) -> Iterator[None]:
        """GDB's stops are noted meanwhile."""
        gdb.events.stop.connect(self._stopped)
        try:
            yield
        finally:
            gdb.events.stop.disconnect(self._stopped)

    def _stopped(self, event: gdb.Event) -> None:
        self._reason = event

    def go(self) -> None:
        """Runs to the next of the armed points. Raises Interrupted where something else stopped the machine."""
        self._reason = self._judge.hindrance = None
        try:
            with quiet():
                gdb.execute("continue", to_string=True)
        except gdb.error:
            if gdb.selected_thread() is not None:
                raise
        self.thread = gdb.selected_thread()
        if self.thread is None:
            raise Interrupted("the machine ended before the fork was done")
        reason, hindrance = self._reason, self._judge.hindrance
        hit = self._breakpoints()
        theirs = [b for b in hit if all(b != p.live for p in self.points)]
        if theirs or not hit or hindrance:
            why = hindrance or f"your breakpoint {theirs[0].number}" if theirs else \
                "Ctrl-C" if getattr(reason, "stop_signal", "") == "SIGINT" else \
                getattr(reason, "stop_signal", None) or "something else"
            at = self._info.function_at(register("pc")) or hex(register("pc"))
            raise Interrupted(f"stopped by {why} in {at} before the fork was done; it is not stepped through any more")

    def show(self, is_wanted: Callable[[], bool]) -> None:
        """Selects the first hart of which that is true, else the one that stopped."""
        for thread in gdb.selected_inferior().threads():
            thread.switch()
            if is_wanted():
                return
        self.back()

    def back(self) -> None:
        """Selects the hart that stopped."""
        assert self.thread is not None, "there was a stop"
        self.thread.switch()


@contextmanager
def quiet() -> Iterator[None]:
    """No "Thread 2 hit Breakpoint" for stops that are not the user's. GDB 11
    and older have no such setting, and say it."""
    name = "suppress-cli-notifications"
    try:
        before = gdb.parameter(name)
    except RuntimeError:
        yield
        return
    gdb.execute(f"set {name} on")
    try:
        yield
    finally:
        gdb.execute(f"set {name} {'on' if before else 'off'}")

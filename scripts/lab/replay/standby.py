"""Machines that stand still at earlier places of a recorded run, made while nobody waits.

Who goes back needs a machine that is behind. A new one has all of the run before it, and that begins with the dearest part: a
kernel touches each page of its RAM as it boots. One that stands by there already has only the rest to run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from .. import Trouble
from .place import Interrupted, Place

NEAR, FAR = 1 << 16, 1 << 24  # instructions: so far before the place that is seen one is to stand, and not farther than that
_WORTH = 1 << 28  # instructions that take about as long as it takes a machine to boot
EARLY = 1 << 21  # where another is to stand, for all other places: a kernel has booted so far that its RAM is in use
_LOOK_S = 0.05


class Standby:
    """Two machines at most: one near the place that is seen, one early in the run. A context manager.

    fresh   makes a machine at the beginning, which asks the function it is given whether to go on
    """

    def __init__(self, fresh: Callable[[Callable[[], object]], Place]) -> None:
        self._fresh = fresh
        self._changed = threading.Condition()
        self._ready: dict[int, Place] = {}      # by how many instructions each has executed
        self._here: int | None = None           # what the worker has to prepare for
        self._making: int | None = None         # where it leads a machine to
        self._closing = False
        self._worker: threading.Thread | None = None   # a QEMU ends with the thread that started it

    def __enter__(self) -> Standby:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives up what is being made, and ends the machines. Harmless when done twice."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        if self._worker:
            self._worker.join()
            self._worker = None

    def prepare(self, here: int) -> None:
        """Machines for who goes back from there are made, or led there, while this returns."""
        with self._changed:
            if self._closing or not self._missing(here):
                return
            self._here = here
            self._worker = self._worker or threading.Thread(target=self._work, name="standby", daemon=True)
            if not self._worker.ident:
                self._worker.start()
            self._changed.notify_all()

    def take(self, count: int, wanted: Callable[[], object]) -> Place | None:
        """The machine that is the last before an instruction, or at it; the caller's from now on. None where there is none.

        One that is being made for such a place is waited for. wanted: raises Interrupted where nobody waits any more.
        """
        with self._changed:
            while self._making is not None and self._making <= count and not any(count - _WORTH <= at <= count for at in self._ready):
                self._changed.wait(_LOOK_S)
                wanted()
            there = [at for at in self._ready if at <= count]
            return self._ready.pop(max(there)).wanted_by(wanted) if there else None

    def settle(self, wanted: Callable[[], object] = lambda: None) -> None:
        """Returns when nothing is being made."""
        with self._changed:
            while self._here is not None:
                self._changed.wait(_LOOK_S)
                wanted()

    def _missing(self, here: int) -> list[int]:
        """Where a machine is to stand for who goes back from there, and none does."""
        near = max(0, here - NEAR)
        early = min(EARLY, near)
        wanted = ((near, here - FAR, max(near, here - NEAR // 2)), (early, 0, early))
        return [goal for goal, first, last in wanted if not any(first <= at <= last for at in self._ready)]

    # In the worker's thread

    def _work(self) -> None:
        while (goal := self._next()) is not None:
            place = self._led(goal)
            with self._changed:
                self._making = None
                if place:
                    self._ready[goal] = place
                else:
                    self._here = None
                self._changed.notify_all()
        for place in self._ready.values():
            place.close()

    def _next(self) -> int | None:
        """Where a machine is to be led, once one is missing; None at the end."""
        with self._changed:
            while not self._closing:
                if self._here is not None and (missing := self._missing(self._here)):
                    self._making = missing[0]
                    return missing[0]
                self._here = None
                self._changed.notify_all()
                self._changed.wait()
        return None

    def _led(self, goal: int) -> Place | None:
        """A machine there: the one that stood near another place goes on, if it can. None where there can be none."""
        with self._changed:
            others = {at: self._ready.pop(at) for at in sorted(self._ready) if EARLY < at and EARLY < goal}
        last = max((at for at in others if at <= goal), default=None)
        try:
            for at, place in others.items():
                if at != last:
                    place.close()
            place = self._fresh(self._check) if last is None else others[last].wanted_by(self._check)
            return place.led_to(goal)
        except (Interrupted, Trouble, OSError):     # there is no room, say: who goes back makes one then, and is told
            return None

    def _check(self) -> None:
        if self._closing:
            raise Interrupted

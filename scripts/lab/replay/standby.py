"""Machines that stand still at earlier places of a recorded run, made while nobody waits.

Who goes back needs a machine that is behind. A new one has all of the run before it, and that begins with the dearest part: a
kernel touches each page of its RAM as it boots. One that stands by there already has only the rest to run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from .. import Trouble
from .place import Interrupted, Place

NEAR, FAR = 1 << 16, 1 << 24  # instructions: so far before the place that is seen one is to stand, and not farther than that
_WORTH = 1 << 28  # instructions that take about as long as it takes a machine to boot
EARLY = 1 << 21  # where another is to stand, for all other places: a kernel has booted so far that its RAM is in use
_LOOK_S = 0.05


class Standby:
    """Two machines at most: one near the place that is seen, one early in the run.

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
            if self._closing or not self._plan(here)[0]:
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

    def settle(self) -> None:
        """Returns when nothing is being made."""
        with self._changed:
            self._changed.wait_for(lambda: self._here is None)

    def _plan(self, here: int) -> tuple[list[int], list[int]]:
        """(where a machine is to stand for who goes back from there, and none does; where those stand that are not needed)."""
        near = max(0, here - NEAR)
        early = min(EARLY, near)
        missing, needed = [], set()
        for goal, first, last in ((near, here - FAR, max(near, here - NEAR // 2)), (early, 0, early)):
            there = [at for at in self._ready if first <= at <= last]
            if there:
                needed.add(max(there))
            else:
                missing.append(goal)
        return missing, [at for at in self._ready if at not in needed]

    # In the worker's thread

    def _work(self) -> None:
        while job := self._next():
            goal, others = job
            place = self._led(goal, others)
            with self._changed:
                self._making = None
                if place:
                    self._ready[goal] = place
                else:
                    self._here = None
                self._changed.notify_all()
        for place in self._ready.values():
            place.close()

    def _next(self) -> tuple[int, dict[int, Place]] | None:
        """Where a machine is to be led, once one is missing, and those that are not needed any more; None at the end."""
        with self._changed:
            while not self._closing:
                missing, others = self._plan(self._here) if self._here is not None else ([], [])
                if missing:
                    self._making = missing[0]
                    return missing[0], {at: self._ready.pop(at) for at in others}
                self._here = None
                self._changed.notify_all()
                self._changed.wait()
        return None

    def _led(self, goal: int, others: Mapping[int, Place]) -> Place | None:
        """A machine there: the last of the others before it goes on. None where there can be none."""
        last = max((at for at in others if at <= goal), default=None)
        for at, place in others.items():
            if at != last:
                place.close()
        try:
            place = self._fresh(self._check) if last is None else others[last].wanted_by(self._check)
            return place.led_to(goal)
        except (Interrupted, Trouble, OSError):     # there is no room, say: who goes back makes one then, and is told
            return None

    def _check(self) -> None:
        if self._closing:
            raise Interrupted

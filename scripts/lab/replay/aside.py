"""A second machine that runs beside the one that GDB sees: the kit looks at other places of the run with it, and GDB's stays
where it is.

Each packet is answered soon, so that GDB can be interrupted: b"working" asks for the same packet again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from concurrent import futures

from .. import Trouble
from . import search
from .place import Interrupted, Place

_SLICE_S = 0.25
_WORKING = b"working"
_MOST_NOTED = 32    # stores in one answer


class Aside:
    """What the kit asks of it. fresh: a new machine at the beginning, which asks the function it is given whether to go on."""

    def __init__(self, fresh: Callable[[Callable[[], object]], Place]) -> None:
        self._make = fresh
        self._worker: futures.ThreadPoolExecutor | None = None  # a QEMU ends with the thread that started it
        self._job: tuple[bytes, futures.Future[bytes]] | None = None
        self._given_up = False
        self._place: Place | None = None
        work = {b"seek": self._seek, b"next": self._next, b"last": self._last, b"step": self._step, b"look": self._look}
        self.packets: dict[bytes, Callable[[bytes], bytes]] = {name: self._asker(name, one) for name, one in work.items()}
        self.packets[b"leave"] = self._leave

    def close(self) -> None:
        """Gives up what is being done, and ends the machine. Harmless when there is none."""
        if self._worker is None:
            return
        self._given_up = True
        if self._job:
            with contextlib.suppress(Interrupted, Trouble):
                self._job[1].result()
        self._worker.submit(self._end).result()
        self._worker.shutdown()
        self._worker, self._job, self._given_up = None, None, False

    def _asker(self, name: bytes, work: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
        def ask(argument: bytes) -> bytes:
            wanted = name + b":" + argument
            if self._job and self._job[0] != wanted:  # it was interrupted
                self.close()
            self._worker = self._worker or futures.ThreadPoolExecutor(1)
            self._job = self._job or (wanted, self._worker.submit(work, argument))
            try:
                said = self._job[1].result(_SLICE_S)
            except futures.TimeoutError:
                return _WORKING
            self._job = None
            return said
        return ask

    def _seek(self, argument: bytes) -> bytes:
        """To where so many instructions were executed."""
        count = int(argument)
        if self._place and self._place.count > count:
            self._end()
        self._there().run_to(count)
        return b"there"

    def _next(self, argument: bytes) -> bytes:
        """UNTIL;POINT;...: to the next time that one of some watchpoints is run into, before an instruction: "hit:ADDRESS", before
        what it is about is done; "none". The stores to those with a ~ before them are done, and noted behind that:
        ";AT,ADDRESS,OLD,NEW" for each; after some of them "more" comes first: there is no hit yet."""
        until, *points = argument.split(b";")
        passed = [_watched_by(point) for point in points if point[:1] == b"~"]
        points = [point.lstrip(b"~") for point in points]
        place, noted = self._there(), list[bytes]()
        while len(noted) < _MOST_NOTED:
            hit = place.next_hit(points, int(until))
            if hit is None:
                return b";".join((b"none", *noted))
            address = hit.watched.partition(b":")[2]
            bytes_at = next((one for one in passed if int(address, 16) in one), None)
            if bytes_at is None:
                return b";".join((b"hit:" + address, *noted))
            old = int.from_bytes(place.machine.ram.read(bytes_at), "little")
            place.step()
            new = int.from_bytes(place.machine.ram.read(bytes_at), "little")
            noted.append(b"%d,%s,%x,%x" % (hit.at, address, old, new))
        return b";".join((b"more", *noted))

    def _last(self, argument: bytes) -> bytes:
        """BEFORE;POINT: the number of the last instruction before one that runs into the point, or "none"."""
        before, _, point = argument.partition(b";")
        hit = search.last(self._at, [point], int(before))
        return b"%d" % hit.at if hit else b"none"

    def _step(self, _argument: bytes) -> bytes:
        """One instruction."""
        self._there().step()
        return b"there"

    def _look(self, _argument: bytes) -> bytes:
        """COUNT;RAM;REGISTERS: where it is, the file with its RAM, and what the stub says to g."""
        place = self._there()
        return b";".join((b"%d" % place.count, os.fsencode(place.machine.ram_file), place.ask(b"g")))

    def _leave(self, _argument: bytes) -> bytes:
        self.close()
        return b"OK"

    # In the worker's thread

    def _fresh(self) -> Place:
        return self._make(self._check)

    def _at(self, count: int) -> Place:
        return self._fresh().led_to(count)

    def _there(self) -> Place:
        self._place = self._place or self._fresh()
        return self._place

    def _end(self) -> None:
        if self._place:
            self._place.close()
            self._place = None

    def _check(self) -> None:
        if self._given_up:
            raise Interrupted


def _watched_by(point: bytes) -> range:
    """The physical addresses that a watchpoint is on."""
    _, first, size = point.split(b",")
    return range(int(first, 16), int(first, 16) + int(size, 16))

"""The gdbserver that stands between GDB and the stub of a machine that runs again, so that GDB can go back.

Packets pass through to the machine where the run stands, except
    bs, bc         to the instruction before, and to the last point before it: a new machine takes the place of this one
    c, s, vCont    never beyond the recording's end
    M X G P        refused: what is written would make another run of it
    qshrimpy.      what the kit asks: see _Debugging._asked
GDB sees one machine whose registers and memory are at another place.
"""

from __future__ import annotations

import os
import re
import select
from collections.abc import Callable, Sequence
from pathlib import Path

from shrimpy.memory import riscv

from .. import Trouble
from ..walls import sandbox
from . import search, trail
from .aside import Aside
from .listening import Listening
from .place import ATTACH, Interrupted, Place
from .recording import Recording
from .standby import Standby
from .trail import Seen
from .wire import INTERRUPT, Closed, Wire

BEFORE = ("set remotetimeout 600",)
"""What GDB is told before it attaches: a place that is far on takes a while."""

_ERROR = b"E01"
_TRAP, _INT = b"T05", b"T02"
_ANYWHERE = (b"H", b"T", b"?", b"qC", b"qfThreadInfo", b"qsThreadInfo", b"qThreadExtraInfo", b"qSupported", b"qAttached",
             b"qXfer:features", b"vCont?", b"vMustReplyEmpty")  # what has one answer wherever the run stands
_PREFIX = b"qshrimpy."
_FORWARD = (b"c", b"C", b"s", b"S", b"vCont;c", b"vCont;C", b"vCont;s", b"vCont;S")
_MOVES = (*_FORWARD, b"bs", b"bc")


class Server(Listening):
    """Serves one GDB after another at `target`, a unix socket, in a thread of its own. A context manager.

    failure  the Trouble that ended it, or None
    ahead    whether machines are made for a step back that nobody has asked for yet: somebody sits there and thinks meanwhile
    """

    def __init__(self, recording: Recording, ahead: bool = False) -> None:
        super().__init__(recording.within)
        self._ahead = ahead
        self._recording = recording
        self.failure: Trouble | None = None
        if recording.kernel.walled:
            for path in (self._run.path, Path(self.target)):
                sandbox.hand_over(path)
        self.begin(self._serve)

    def __enter__(self) -> Server:
        return self

    def _serve(self) -> None:
        # QEMU ends with the thread that started it, so that all of them are started here.
        try:
            self.serve_each(lambda wire: _Debugging(self._recording, wire, self._closing, self._ahead).serve(), Closed, Interrupted)
        except Trouble as trouble:
            self.failure = trouble
        except ValueError as error:  # in a packet; GDB may have been led astray by a stranger's file
            self.failure = Trouble(f"GDB asked the recording something that is no question: {error}")


class _Debugging:
    """One GDB's time with a recording.

    _here    the machine
    _sight   where the run stands, if the machine is not there but further on; None if it is
    _trail   the places before that, the last one last, as far as they were seen
    _points  what GDB has inserted: packets without their Z
    _goal    where the next step back leads instead, if the kit has said so
    _standby machines that are behind, if they are made ahead
    _also    what GDB asked besides since it went back, the last one last; None when it has gone on since
    """

    def __init__(self, recording: Recording, gdb: Wire, closing: int, ahead: bool) -> None:
        self._recording, self._gdb, self._closing = recording, gdb, closing
        self._ahead, self._standby = ahead, Standby(self._fresh)
        self._also: list[bytes] | None = None
        self._attach = ATTACH
        self._points: list[bytes] = []
        self._goal: int | None = None
        self._trail: list[Seen] = []
        self._sight: Seen | None = None
        self._here = self._fresh()
        self._aside = Aside(self._fresh)
        self._asked: dict[bytes, Callable[[bytes], bytes]] = {
            b"when": self._when, b"goal": self._set_goal, b"machine": self._machine, **self._aside.packets}

    def serve(self) -> None:
        """Returns when GDB leaves. Raises Closed, Interrupted, Trouble."""
        try:
            while (packet := self._next()) is not None:
                if packet == INTERRUPT:  # it has stopped meanwhile
                    continue
                answer = self._answer(packet)
                if answer is None:
                    return
                self._gdb.send(answer)
                if self._ahead and packet.startswith(_MOVES):
                    self._standby.prepare(self._count)
        finally:
            self._here.close()
            self._aside.close()
            self._standby.close()

    def _next(self) -> bytes | None:
        while not self._gdb.has_one():
            ready = select.select([self._gdb, self._closing], [], [])[0]
            if self._closing in ready:
                return None
            if (packet := self._gdb.receive(0)) is not None:
                return packet
        return self._gdb.receive()

    def _answer(self, packet: bytes) -> bytes | None:
        """What GDB is told; None when it leaves."""
        name = packet[:1]
        if packet.startswith(_PREFIX):
            what, _, argument = packet[len(_PREFIX):].partition(b":")
            return self._asked[what](argument) if what in self._asked else b""
        if packet in (b"bs", b"bc"):
            return self._back(packet)
        if packet.startswith(_FORWARD):
            return self._forward(packet)
        if name in (b"M", b"X", b"G", b"P"):
            return _ERROR
        if name == b"k" or packet.startswith((b"D", b"vKill")):
            if name != b"k":
                self._gdb.send(b"OK")
            return None
        if name in (b"Z", b"z"):
            return self._point(packet)
        if packet.startswith(b"qSupported"):
            self._attach = packet
        if self._sight is not None and (said := self._sight.answer(packet)) is not None:
            return said
        if not packet.startswith(_ANYWHERE):
            if self._also is not None and packet not in self._also and trail.is_kept(packet):
                self._also = [*self._also, packet][-trail.MOST_ASKED:]
            self._arrive()
        said = self._here.ask(packet)
        while packet.startswith(b"qRcmd") and said.startswith(b"O") and said != b"OK":  # what the monitor prints
            self._gdb.send(said)
            said = self._here.more()
        return said

    def _point(self, packet: bytes) -> bytes:
        """A breakpoint or watchpoint is noted: GDB takes all of them away at each stop, and inserts them again before the
        machine runs. Only what has changed then is told to QEMU."""
        point = packet[1:]
        if not re.fullmatch(rb"[0-4],[0-9a-f]+,[0-9a-f]+", point):
            return b""  # such as conditions, which it would have to judge itself
        if point in self._points:
            self._points.remove(point)
        if packet[:1] == b"Z":
            self._points.append(point)
        return b"OK"

    # Forward

    def _forward(self, packet: bytes) -> bytes:
        self._arrive()
        self._trail, self._also = [], None
        here = self._here
        if here.count >= self._recording.end:
            return self._stopped(_TRAP, b"replaylog:end;")
        here.set_points(self._points)
        last = self._recording.end - 1
        try:
            if here.count == last:
                here.run_to(last + 1)
                return self._stopped(_TRAP)
            said = here.run(last, packet)
        except Interrupted:
            # QEMU 7.2 may abort when a machine that was interrupted goes on ("Raised interrupt while not in I/O function").
            self._replace(here.count)
            return self._stopped(_INT)
        if said.startswith(_INT) and here.count >= last:  # not a point, but the place
            here.run_to(last + 1)
            return self._stopped(_TRAP, b"replaylog:end;")
        return said

    # Back

    def _back(self, packet: bytes) -> bytes:
        """The machine as it was before; the old one stays until the new one is there."""
        here = self._count
        self._also = self._also or []
        try:
            if self._goal is not None:
                goal, self._goal = self._goal, None
                self._go(goal)
                return self._stopped(_TRAP)
            if here == 0:
                return self._stopped(_TRAP, b"replaylog:begin;")
            return self._step_back() if packet == b"bs" else self._continue_back(here)
        except Interrupted:
            return self._stopped(_INT)

    def _step_back(self) -> bytes:
        watched = [point for point in self._points if point[:1] == b"2"]
        if self._trail and not watched:
            self._sight = self._trail.pop()
            return self._stopped(_TRAP)
        self._arrive()
        before = [self._here.ask(_read(point)) for point in watched]
        new, seen = self._before()
        for point, value in zip(watched, before):
            if new.ask(_read(point)) != value:  # the instruction before is the store: it is told of where it is done
                new.close()
                return self._stopped(_TRAP, b"watch:" + point.split(b",")[1] + b";")
        self._swap(new, seen)
        return self._stopped(_TRAP)

    def _before(self) -> tuple[Place, list[Seen]]:
        """A machine at the place before the one where the run stands, and what it saw on its way. There are two places of one
        number where an interrupt is taken."""
        now, vectors = self._look(self._here), self._here.vectors()
        new, seen = self._stepped_to(now.at - 1)
        if now.pc in vectors:
            while new.count < now.at:
                seen.append(self._look(new))
                new.step()
            if new.pc() == now.pc:  # it is the same place, and not the one before the interrupt
                new.close()
                return self._at_seen(seen.pop()), seen
        elif any(vector + _length(new.ask(b"m%x,1" % vector)) == now.pc for vector in vectors) and new.pc() not in vectors:
            seen.append(self._look(new))
            new.step()  # the instruction is the vector's first, but the interrupt is not taken yet
        return new, seen

    def _at_seen(self, place: Seen) -> Place:
        new = self._at(place.at)
        if new.pc() != place.pc:
            new.step()
        return new

    def _arrive(self) -> None:
        """Has a machine where the run stands: GDB asks for more than was seen there."""
        if self._sight is None:
            return
        new, seen = self._at(max(0, self._sight.at - trail.STEPS)), []
        while (now := self._look(new)).registers != self._sight.registers or now.at != self._sight.at:
            if now.at > self._sight.at:
                new.close()
                raise Trouble(f"the replay differs from the recording at instruction {self._sight.at}")
            seen.append(now)
            new.step()
        self._swap(new, seen)

    @property
    def _count(self) -> int:
        """How many instructions were executed where the run stands."""
        return self._here.count if self._sight is None else self._sight.at

    def _continue_back(self, here: int) -> bytes:
        hit = search.last(self._at, self._points, here) if self._points else None
        if hit is None:
            self._replace(0)
            return self._stopped(_TRAP, b"replaylog:begin;")
        if not hit.watched:
            new, seen = self._stepped_to(hit.at)
            before = self._look(new)
            new.next_hit(self._points, hit.at + 1)  # at a trap's vector it is hit once the interrupt is taken
            self._swap(new, seen if new.pc() == before.pc else [*seen, before])
            return self._stopped(_TRAP)
        if hit.at + 1 < here:
            self._replace(hit.at + 1)
        return self._stopped(_TRAP, hit.watched + b";")

    def _stopped(self, why: bytes, more: bytes = b"") -> bytes:
        thread = b"p01.01" if b"multiprocess+" in self._attach else b"01"
        return why + b"thread:" + thread + b";" + more

    # Machines

    def _fresh(self, wanted: Callable[[], object] | None = None) -> Place:
        return Place(self._recording.replay(), self._recording.end, self._attach, wanted or self._check_wanted)

    def _check_wanted(self) -> None:
        """Raises Interrupted when GDB wants its machine to stop, or is gone."""
        if self._closing in select.select([self._closing], [], [], 0)[0]:
            raise Interrupted
        if self._gdb.receive(0) is not None:  # while a machine runs nothing else comes than an interrupt
            raise Interrupted

    def _at(self, count: int) -> Place:
        return (self._standby.take(count, self._check_wanted) or self._fresh()).led_to(count)

    def _stepped_to(self, count: int) -> tuple[Place, list[Seen]]:
        """As _at(), and what the machine saw on its last steps."""
        new = self._at(max(0, count - trail.STEPS))
        return new, self._walk(new, count)

    def _walk(self, place: Place, count: int) -> list[Seen]:
        """What a machine sees on its way to an instruction, step by step."""
        seen = []
        while (now := self._look(place)).at < count:
            seen.append(now)
            place.step()
        return seen

    def _look(self, place: Place) -> Seen:
        return trail.look(place, self._also or ())

    def _go(self, count: int) -> None:
        """To a place that the kit names: the same machine goes on where that is further on."""
        here, before = self._here.count, self._sight or self._look(self._here)
        if count <= here:   # of two places of one number the machine may be at the later
            self._replace(count)
            return
        try:
            self._here.run_to(max(here, count - trail.STEPS))
        except Interrupted:
            self._sight = before
            self._arrive()  # QEMU 7.2 may abort when a machine that was interrupted goes on
            raise
        self._trail, self._sight = self._walk(self._here, count), None

    def _replace(self, count: int) -> None:
        """The run stands there, and whoever steps back from there needs no machine for that."""
        self._swap(*self._stepped_to(count))

    def _swap(self, new: Place, seen: Sequence[Seen] = ()) -> None:
        self._trail, self._sight = list(seen), None
        self._here.close()
        self._here = new

    # What the kit asks

    def _when(self, _argument: bytes) -> bytes:
        """How many instructions were executed, and how many the recording has."""
        return b"%d,%d" % (self._count, self._recording.end)

    def _set_goal(self, argument: bytes) -> bytes:
        """Where the next step back leads instead."""
        if not argument.isdigit() or int(argument) > self._recording.end:
            return _ERROR
        self._goal = int(argument)
        return b"OK"

    def _machine(self, _argument: bytes) -> bytes:
        """Which machine is seen now: its RAM's file is another than that of the one before."""
        self._arrive()
        return os.fsencode(self._here.machine.ram_file)


def _length(said: bytes) -> int:
    """Bytes of an instruction, by what the stub says is its first ; 0 where it cannot be read."""
    try:
        return riscv.length(int(said, 16))
    except ValueError:
        return 0


def _read(point: bytes) -> bytes:
    """The packet that reads what a watchpoint watches."""
    _, address, length = point.split(b",")
    return b"m" + address + b"," + length

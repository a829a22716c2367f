"""One machine on its way through a recorded run, and how many instructions it has executed.

What QEMU 7.2 was seen to do: `replay-break` stops a machine before the instruction of that number; if an interrupt is due
there, it has been taken or not, now this, now that. After a step it has not; the next step takes it, and executes nothing, so
that two places have one number. Breakpoints and watchpoints
(before the access) stop a machine again and again until they are taken away for a step. Beyond the log's last instruction
nothing answers, so nobody is let go there.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from .. import Trouble, printable
from ..machines.qmp import Gone
from ..patience import Patience, limit_s
from .machine import RecordedMachine
from .wire import Closed, Wire

ATTACH = b"qSupported:xmlRegisters=riscv"
_READ_FEATURES = b"qXfer:features:read:target.xml:0,ffb"  # without that QEMU 7.2 tells no register by its number
_CSRS = b"qXfer:features:read:riscv-csr.xml:%x,7fb"
_VECTORS = ("stvec", "mtvec")  # RISC-V Privileged 3.1.7, 4.1.2
_PC = b"p20"
_MOST_STEPS = 4  # that lead to the next instruction
_LOOK_S = 0.25
_STILL = 6  # so many times sooner than it must answer a machine that runs must execute an instruction
_WIDEST = 16  # bytes of a store
_WATCHED = (b"watch", b"rwatch", b"awatch")


class Interrupted(Exception):
    """Who waits for the machine wants it no more."""


class Hit(NamedTuple):
    """A point that was run into. at: how many instructions were executed before; watched: the word and the address of a
    watchpoint, as a stop reply has them, or b""."""

    at: int
    watched: bytes


class Place:
    """A machine that runs again, standing still between two calls. A context manager.

    end        how many instructions the recording has; it goes no further
    attach     the packet by which the debugger said what it understands
    wanted     called now and then while the machine runs; it raises Interrupted when nobody waits any more, and the machine must
               not go on then: QEMU 7.2 may abort
    """

    def __init__(self, machine: RecordedMachine, end: int, attach: bytes = ATTACH,
                 wanted: Callable[[], object] = lambda: None) -> None:
        self.machine, self._end, self._wanted = machine, end, wanted
        self._points: list[bytes] = []
        self._vectors: list[int] | None = None
        try:
            self.wire = Wire.to(machine.gdb_target)
            self._monitor = machine.qmp()
            for packet in (attach, _READ_FEATURES, b"?", b"Hg0"):
                self.ask(packet)
        except BaseException:
            machine.stop()
            raise

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the machine."""
        self.wire.close()
        with contextlib.suppress(OSError):
            self._monitor.close()
        self.machine.stop()

    def wanted_by(self, wanted: Callable[[], object]) -> Place:
        """The same, when somebody else waits for it from now on."""
        self._wanted = wanted
        return self

    @property
    def count(self) -> int:
        """How many instructions were executed."""
        return int(self._human(b"info replay").rpartition(b"=")[2])

    def ask(self, packet: bytes) -> bytes:
        """What the stub says to a packet that does not make the machine run. Raises Trouble when QEMU ends."""
        return self._reply(packet)

    def more(self) -> bytes:
        """The next packet of an answer of several."""
        return self._reply(None)

    def pc(self) -> int:
        """The address of the next instruction."""
        return _number(self.ask(_PC))

    def vectors(self) -> frozenset[int]:
        """Where traps lead just now; nothing where the stub does not say."""
        if self._vectors is None:
            self._vectors = _numbers(self._csrs(), _VECTORS)
        return frozenset(_number(self.ask(b"p%x" % number)) & ~3 for number in self._vectors)

    def _csrs(self) -> str:
        """What the stub tells of the control and status registers, in XML; "" for nothing."""
        told, more = b"", True
        while more and (said := self.ask(_CSRS % len(told))):
            told, more = told + said[1:], said[:1] == b"m"
        return told.decode(errors="replace")

    def step(self) -> bytes:
        """Executes one instruction; the stub's word on where that led."""
        return self._reply(b"vCont;s")

    def run(self, until: int, packet: bytes = b"vCont;c") -> bytes:
        """Runs to a point, or until so many instructions were executed; the stub's word on why it stopped. Raises Interrupted
        where it was not wanted so long: it stands anywhere then."""
        self.break_at(until)
        return self._reply(packet, runs=True)

    def break_at(self, count: int) -> None:
        """The machine is to stop there, and nowhere else but at points."""
        if refused := self._human(b"replay_break %d" % min(count, self._end)):
            raise Trouble(f"QEMU refuses to stop at instruction {count}: {printable(refused.decode(errors='replace')).strip()}")

    def run_to(self, count: int) -> None:
        """Runs until exactly so many instructions were executed, not less than were by now, and no interrupt was taken since
        the last; no point is inserted then. Raises Interrupted; Trouble where the recording has no such instruction after all."""
        self.set_points(())
        if (here := self.count) < count - 1:
            self.run(count - 1)
            here = self.count
        for _ in range(_MOST_STEPS):
            if here != count - 1:
                break
            self.step()  # which may only take an interrupt
            here = self.count
        if here != count:
            raise Trouble(f"the replay differs from the recording: expected instruction {count}, found {here}")

    def led_to(self, count: int) -> Place:
        """The same, after run_to(), or ended."""
        try:
            self.run_to(count)
        except BaseException:
            self.close()
            raise
        return self

    def set_points(self, points: Iterable[bytes]) -> None:
        """Inserts these breakpoints and watchpoints, as packets that insert them have them after their Z, and no others."""
        wanted = list(dict.fromkeys(points))
        for point in [one for one in self._points if one not in wanted]:
            self.ask(b"z" + point)
        for point in [one for one in wanted if one not in self._points]:
            self.ask(b"Z" + point)
        self._points = wanted

    def hits(self, points: Sequence[bytes], until: int, most: int | None = None) -> list[Hit]:
        """The points that it runs into from here on, before the instruction `until`, in order; not more than `most`.

        Afterwards it is at `until`, or where the last hit was.
        """
        found: list[Hit] = []
        while len(found) != most and (hit := self.next_hit(points, until)):
            found.append(hit)
            if len(found) != most:
                self.step()
        return found

    def next_hit(self, points: Sequence[bytes], until: int) -> Hit | None:
        """The first of the points that it runs into from here on; None when it comes to the instruction `until` before. No
        point is inserted afterwards that a step would run into again: step() leads on."""
        if self.count >= until:
            return None
        self.set_points(points)
        watched = _watched(self.run(until))
        self.set_points([one for one in points if watched and not _is_near(one, watched)])
        here = self.count
        if here < until:
            return Hit(here, watched)
        self.set_points(())
        return None

    def _reply(self, packet: bytes | None, runs: bool = False) -> bytes:
        limit = limit_s() / _STILL if runs else None
        patience, came = None, -1  # most answers come at once, and to ask what CPU a machine had takes as long as they do
        try:
            if packet is not None:
                self.wire.send(packet)
            while (said := self.wire.receive(_LOOK_S)) is None:
                patience = patience or Patience(limit, self.machine.pid)
                if runs:
                    self._check_wanted()
                    if (here := self._count_of_running()) > came:  # it may be a long way
                        patience, came = Patience(limit, self.machine.pid), here
                if patience.is_over and runs:  # what is next in the log does not come
                    raise Trouble(f"the replay differs from the recording: it stands still at instruction {came}")
                if patience.is_over:
                    raise Trouble(f"the recording cannot be replayed: QEMU has not answered for {patience.limit_s:g} s")
            return said
        except Closed:
            raise self._lost() from None

    def _human(self, line: bytes) -> bytes:
        """What the human monitor prints, asked by way of the stub: of its own connection QEMU reads a byte at a time, which is
        half of what a stop costs."""
        printed, said = b"", self.ask(b"qRcmd," + line.hex().encode())
        while said[:1] == b"O" and said != b"OK":
            printed, said = printed + bytes.fromhex(said[1:].decode()), self.more()
        if said != b"OK":
            raise Trouble(f"the recording cannot be replayed: QEMU's stub says {printable(repr(said))} to {line.decode()}")
        return printed

    def _count_of_running(self) -> int:
        """As count, of a machine that runs: its stub would stop it."""
        try:
            return self._monitor.execute("query-replay")["icount"]
        except Gone:
            raise self._lost() from None

    def _lost(self) -> Trouble:
        return Trouble(f"the recording cannot be replayed: QEMU ended: {self.machine.complaint}")

    def _check_wanted(self) -> None:
        try:
            self._wanted()
        except Interrupted:
            self.wire.interrupt()
            self.wire.receive()
            raise


def _watched(said: bytes) -> bytes:
    """The word of a stop reply on a watchpoint: b"watch:80001000"; b"" for none."""
    return next((one for one in said.split(b";") if one.partition(b":")[0].rpartition(b"T05")[2] in _WATCHED), b"")


def _is_near(point: bytes, watched: bytes) -> bool:
    """Whether one instruction could run into a point beside the watched address of a stop reply."""
    kind, address, length = point.split(b",")
    at = int(watched.partition(b":")[2], 16)
    return kind in (b"0", b"1") or int(address, 16) - _WIDEST < at < int(address, 16) + int(length, 16) + _WIDEST


def _number(said: bytes) -> int:
    """A register as a stub tells it: two digits a byte, the lowest first; 0 where it does not."""
    try:
        return int.from_bytes(bytes.fromhex(said.decode()), "little")
    except ValueError:
        return 0


def _numbers(told: str, names: Iterable[str]) -> list[int]:
    """The numbers of registers, as a target description has them."""
    found = (re.search(rf'<reg name="{name}"[^>]* regnum="(\d+)"', told) for name in names)
    return [int(one[1]) for one in found if one]

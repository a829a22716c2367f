"""The gdbserver that stands between GDB and the stub of a machine that runs, so that the machine can be put back.

All packets pass through, but for what the kit asks (qshrimpy., below). A checkpoint is restored by a new QEMU behind the same
connection: it is made ready first, and takes the place of the old one at GDB's next step, which ends at once. So GDB learns of
it as of any stop, and the old machine stays where the new one cannot be made.

    qshrimpy.machine            the file of the RAM that is seen now
    qshrimpy.keep:HART,NAME     keeps the machine, which stands still, under a name; HART is GDB's, from 1
    qshrimpy.restore:NAME       the next step leads there, and ends in the hart of the answer

NAME is in hex. The last two answer "OK" and in hex a hart; "working" while they are not done, which asks for the same packet again;
or "F" and in hex what keeps them from it.
"""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from .. import Trouble
from ..cli import refused
from ..machines.machine import Machine
from . import checkpoint
from .checkpoint import RestoredMachine
from .listening import Listening
from .place import ATTACH
from .wire import INTERRUPT, Closed, Wire

_PREFIX = b"qshrimpy."
_TRAP = b"T05thread:%s;"
_SLICE_S = 0.25
_SETTLED = (b"qXfer:features:read:target.xml:0,ffb", b"?")  # what QEMU 7.2 must have been asked before it tells a register


class Kept(NamedTuple):
    """A checkpoint. thread: of the hart that GDB had selected, from 1."""

    folder: Path
    thread: int = 1


class Server(Listening):
    """Serves one GDB after another at `target`, a unix socket or 127.0.0.1:port, in a thread of its own. A context manager.

    machine  the one that is seen now; the first is the caller's, those that take its place are ended here
    kept     checkpoints that are there already, by their names
    ending   a context in which a machine ends that another takes the place of: the terminal may be theirs
    """

    def __init__(self, machine: Machine, *, port: int | None = None, kept: Mapping[str, Kept] | None = None,
                 ending: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext) -> None:
        super().__init__(port=port)
        self.machine = machine
        self._ending, self._kept = ending, dict(kept or {})
        self._page: str | None = None
        self._swapping = threading.Lock()
        self.begin(self._serve)

    def __enter__(self) -> Server:
        return self

    def publish(self, page: str = "") -> None:
        """Lets `make gdb` of this checkout find the machine, and each that takes its place. page: the address of the page that
        follows it."""
        self._page = page
        self.machine.publish(page, self.target)

    def wait(self) -> int:
        """Waits until the machine ends by itself, and returns its status."""
        while True:
            machine = self.machine
            status = machine.wait()
            with self._swapping:
                if machine is self.machine:
                    return status

    def keep(self, name: str, thread: int) -> int:
        """Keeps the machine, and its thread, under a name; what had that name before is gone then. Raises Trouble, OSError."""
        folder = self._run.path / f"{len(self._kept)}-{os.urandom(4).hex()}"
        with self.machine.qmp() as monitor:
            checkpoint.save(self.machine, folder, monitor)
        before = self._kept.get(name)
        self._kept[name] = Kept(folder, thread)
        if before and before.folder.parent == self._run.path:
            shutil.rmtree(before.folder)
        return thread

    def restored(self, name: str) -> tuple[RestoredMachine, int]:
        """What was kept under a name as a machine that stands still, and its thread. Raises Trouble, OSError."""
        kept = self._kept.get(name)
        if kept is None:
            there = f"there are {', '.join(self._kept)}" if self._kept else f"first, try: xv6-checkpoint {name}"
            raise Trouble(f"there is no checkpoint {name}; {there}")
        now = self.machine
        return RestoredMachine(now.kernel, now.cpus, kept.folder, interactive=now.interactive, logged=now.logged), kept.thread

    def swap(self, new: RestoredMachine) -> None:
        """A machine takes the place of the one that is seen now, which ends."""
        with self._swapping:
            with self._ending():
                self.machine.stop()
            self.machine = new
            if self._page is not None:
                new.publish(self._page, self.target)

    def _serve(self) -> None:
        first = self.machine
        # A QEMU ends with the thread that started it: that of the worker.
        with futures.ThreadPoolExecutor(1) as worker:
            try:
                self.serve_each(lambda wire: _Debugging(self, wire, self._closing, worker).serve(), Closed, OSError)
            finally:
                if self.machine is not first:
                    self.machine.stop()


class _Debugging:
    """One GDB's time with a machine and those that take its place.

    _told   what QEMU's stub was told that stays so: points that were inserted, harts that were selected
    _job    what is being done for the kit: the packet that asked for it
    _ready  the machine that the next step leads to, and the thread that it stops in
    """

    def __init__(self, server: Server, gdb: Wire, closing: int, worker: futures.Executor) -> None:
        self._server, self._gdb, self._closing, self._worker = server, gdb, closing, worker
        self._stub = _attached(server.machine)
        self._attach = ATTACH
        self._told: dict[bytes, bytes] = {}
        self._job: tuple[bytes, futures.Future[int]] | None = None
        self._ready: tuple[RestoredMachine, int] | None = None

    def serve(self) -> None:
        """Returns when the server is closed. Raises Closed when GDB leaves, or the machine ends."""
        try:
            while self._closing not in select.select([self._gdb, self._stub, self._closing], [], [])[0]:
                for packet in _come(self._gdb):
                    self._from_gdb(packet)
                for packet in _come(self._stub):
                    self._gdb.send(packet)
        finally:
            self._stub.close()
            if self._job:
                futures.wait([self._job[1]])
            self._leave_ready()

    def _from_gdb(self, packet: bytes) -> None:
        if packet == INTERRUPT:
            self._stub.interrupt()
        elif packet.startswith(_PREFIX):
            self._gdb.send(self._answer(packet))
        elif self._ready and (packet == b"s" or packet.startswith((b"vCont;s", b"vCont;S"))):
            self._go_there(*self._ready)
        else:
            self._note(packet)
            self._stub.send(packet)

    def _note(self, packet: bytes) -> None:
        if packet.startswith(b"qSupported"):
            self._attach = packet
        elif packet[:1] in (b"Z", b"z"):
            self._told.pop(packet[1:], None)
            if packet[:1] == b"Z":
                self._told[packet[1:]] = packet
        elif packet[:1] == b"H":
            self._told[packet[:2]] = packet

    def _answer(self, packet: bytes) -> bytes:
        what, _, argument = packet[len(_PREFIX):].partition(b":")
        try:
            if what == b"machine":
                return os.fsencode(self._server.machine.ram_file)
            if what == b"keep":
                thread, _, name = argument.partition(b",")
                return self._work(packet, lambda: self._server.keep(_name(name), int(thread)))
            return self._work(packet, lambda: self._prepare(_name(argument))) if what == b"restore" else b""
        except ValueError:
            return b"E01"

    def _work(self, packet: bytes, work: Callable[[], int]) -> bytes:
        if self._job and self._job[0] != packet:    # GDB was interrupted, and wants that no more
            futures.wait([self._job[1]])
            self._job = None
        job = self._job[1] if self._job else self._worker.submit(work)
        self._job = packet, job
        if not futures.wait([job], _SLICE_S).done:
            return b"working"
        self._job = None
        try:
            return b"OK%x" % job.result()
        except (Trouble, OSError) as error:
            said = refused(error) if isinstance(error, OSError) else str(error).partition("\n")[0]
            return b"F" + said.encode().hex().encode()

    def _prepare(self, name: str) -> int:
        self._leave_ready()
        self._ready = self._server.restored(name)
        return self._ready[1]

    def _leave_ready(self) -> None:
        """Ends a machine that GDB has not gone to."""
        ready, self._ready = self._ready, None
        if ready:
            ready[0].stop()

    def _go_there(self, new: RestoredMachine, thread: int) -> None:
        stub = Wire.to(new.gdb_target)
        hart = b"p01.%02x" % thread if b"multiprocess+" in self._attach else b"%02x" % thread
        # Where a machine stops in a hart, GDB takes that for selected, and does not say so.
        for packet in (self._attach, *_SETTLED, *self._told.values(), b"Hg" + hart):
            stub.send(packet)
            stub.receive()
        self._stub.close()
        self._stub, self._ready = stub, None
        self._server.swap(new)
        self._gdb.send(_TRAP % hart)


def _attached(machine: Machine) -> Wire:
    """Its stub, when the machine stands still: that of a machine that ran says so, unasked, before it answers anything."""
    stub = Wire.to(machine.gdb_target)
    stub.send(b"vMustReplyEmpty")
    while stub.receive():
        pass
    return stub


def _come(wire: Wire) -> Iterator[bytes]:
    """The packets that have come."""
    while (packet := wire.receive(0)) is not None:
        yield packet


def _name(packed: bytes) -> str:
    """Raises ValueError for what the kit does not send."""
    return bytes.fromhex(packed.decode()).decode()

"""Which memory and which symbols the commands work on, and what they reuse.

A snapshot is kept until the machine moves or is written to. What tells is a
counter that GDB's events raise: nothing else happens at a stop.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import gdb

from .. import snapshot
from ..kernel import Kernel, Proc, gdbinfo
from ..kernel.debuginfo import DebugInfo
from ..memory import remote
from ..memory.readers import RAM_BASE, CoreReader, RamFileReader, Reader, ReadError
from ..memory.unchanged import UnchangedReader
from ..snapshot import Snapshot
from . import parameters, recording, stop

USUAL_RAM_BYTES = 128 << 20     # of QEMU's machine as xv6 trees start it


def _interrupt() -> None:
    gdb.execute("interrupt")


class Session:
    """What is known of the one inferior that GDB has selected."""

    def __init__(self) -> None:
        self._moves = 0
        self.n_resumes = 0                      # how often the machine has gone on
        self._info: tuple[tuple, DebugInfo, str | None] | None = None
        self._live: tuple[gdb.TargetConnection | None, Reader, str] | None = None
        self._again: UnchangedReader | None = None      # what snapshots of the live machine are read by, where pages cost no packets
        self._served: tuple[str, int] | None = None     # by a server of ours: which machine is seen, and the count of moves then
        self._is_recorded = False
        self._snapshot: tuple[tuple, Snapshot] | None = None
        self._recognised: tuple | None = None   # (connection or core, kernel)
        self.previous: Snapshot | None = None   # what xv6-diff compares with
        for event in ("stop", "memory_changed", "register_changed", "new_objfile",
                      "inferior_deleted", "exited"):
            registry = getattr(gdb.events, event, None)
            if registry is not None:
                registry.connect(self._moved)
        gdb.events.cont.connect(self._resumed)

    def _moved(self, _event: object) -> None:
        self._moves += 1

    def _resumed(self, _event: object) -> None:
        """GDB gives a Ctrl-C of this moment to Python, and it would be lost: the machine runs on, and GDB does not know that
        it was asked. The only listener to this event that there is, so that the moment is short."""
        try:
            self._goes_on()
        except KeyboardInterrupt:
            self._goes_on()
            gdb.post_event(_interrupt)          # GDB has not told the machine to go on yet

    def _goes_on(self) -> None:
        self._moves += 1
        self.n_resumes += 1

    def moves(self) -> int:
        """Grows whenever the machine may have moved or been written to."""
        return self._moves

    def debuginfo(self) -> tuple[DebugInfo, str | None]:
        """(the kernel's debug info, where its macros came from), gathered once
        per kernel file. Raises gdbinfo.NoKernel."""
        objfile = gdbinfo.kernel_objfile()
        try:
            written = os.stat(objfile.filename).st_mtime_ns
        except OSError:
            written = 0
        key = (objfile, objfile.filename, written)
        if self._info is None or self._info[0] != key:
            self._info = (key, *gdbinfo.collect(objfile))
        return self._info[1], self._info[2]

    @contextmanager
    def memory(self) -> Iterator[Reader]:
        """The best reader there is, for the length of a ``with`` block. The
        machine must not be running. Raises remote.StubError, OSError,
        elf.ElfError."""
        core = core_path()
        if core is not None:
            image = CoreReader(core)
            try:
                yield image
            finally:
                image.close()
            return
        reader = self._live_reader()
        if isinstance(reader, remote.RemoteReader):
            with reader:
                yield reader
        else:
            yield reader

    def _recognise(self, reader: Reader, info: DebugInfo, machine: tuple) -> None:
        """Raises gdbinfo.NoKernel unless the code in memory is the kernel
        file's; looks once per machine and kernel."""
        key = (*machine, info.kernel, self._info and self._info[0])
        if self._recognised != key:
            at, code = gdbinfo.code(info)
            base, end = reader.ram
            there = reader.read(at, len(code)) if base <= at <= end - len(code) else b""
            if not gdbinfo.alike(code, there):
                raise gdbinfo.NoKernel(
                    f"the machine does not run {info.kernel}: the code at {at:#x} is another; "
                    "try: file PATH of the kernel that it runs")
            self._recognised = key

    def _live_reader(self) -> Reader:
        connection = getattr(gdb.selected_inferior(), "connection", None)
        wanted = parameters.reader.value
        if self._live is not None and connection is not None \
                and self._live[0] is connection and self._live[2] == wanted and not self._is_replaced():
            return self._live[1]
        before = self.previous
        again = self._served is not None and self._live is not None and self._live[0] is connection
        self.forget_machine()
        reader = remote.open_live(self._probes(), wanted)
        self._live = (connection, reader, wanted)
        name = recording.machine()
        self._served = None if name is None else (name, self._moves)
        self._is_recorded = name is not None and recording.is_one()
        if again:   # it is the same run, at another place
            self.previous = before
        return reader

    @property
    def is_recording(self) -> bool:
        """Whether the machine whose memory was read last is a recorded run."""
        return self._live is not None and self._is_recorded

    def _unchanged(self, reader: Reader) -> Reader:
        """What a snapshot is read by: of memory that is a file, what did not change since the last is not decoded again."""
        if self._live is None or reader is not self._live[1] or not isinstance(reader, RamFileReader):
            return reader
        if self._again is None:
            self._again = UnchangedReader(reader)
        return self._again

    def _is_replaced(self) -> bool:
        """Whether another machine is seen now than the reader's: what went back is a new one."""
        if self._served is None or self._served[1] == self._moves:
            return False
        name = recording.machine()
        same, self._served = name == self._served[0], (name or "", self._moves)
        return not same

    def quiet_reader(self, info: DebugInfo) -> Reader | None:
        """What reads RAM while GDB finds or prints frames, when no packet of ours may be sent: GDB itself, or with a
        program's page table in use the file that RAM is shared through, if a command has found it already."""
        base = info.macros.get("KERNBASE", RAM_BASE)
        mapped = remote.MappedReader((base, info.macros.get("PHYSTOP", base + USUAL_RAM_BYTES)))
        try:
            mapped.read(mapped.ram[1] - 8, 8)       # what is in the kernel's file GDB reads there, if need be
        except ReadError:
            known = self._live is not None and (self._served is None or self._served[1] == self._moves)
            found = self._live[1] if self._live is not None and known else None
            return None if isinstance(found, remote.RemoteReader) else found
        return mapped

    def forget_machine(self) -> None:
        """Drops what belongs to one connection."""
        if self._live is not None:
            self._live[1].close()
        self._live = self._again = self._snapshot = self.previous = None

    def _probes(self) -> list[int]:
        """Pages that two machines hardly share: the process table and the
        kernel's first."""
        info, _ = self.debuginfo()
        found = [s.address & -4096 for s in (info.symbol("proc"), info.symbol("cpus"), info.symbol("initproc")) if s]
        return found + [info.functions[0].address & -4096] if info.functions else found

    def running(self) -> Proc | None:
        """The process that the selected hart runs in user mode, or None. Fit
        for a breakpoint's stop()."""
        info, _ = self.debuginfo()
        hart = stop.selected_hart(info)
        if hart.privilege != "U":
            return None
        with self.memory() as reader:
            return Kernel(reader, info).running(hart.hart)

    def known(self) -> Snapshot | None:
        """The snapshot that was taken last, if the machine has not moved since."""
        return self._snapshot[1] if self._snapshot is not None and self._snapshot[0][0] == self._moves else None

    def snapshot(self, walk_free: bool = True,
                 through: Callable[[Reader], Reader] | None = None) -> Snapshot:
        """The machine as it is now; the same object until it moves.

        walk_free: False leaves the allocator's lists out. through: what stands
        between the memory and the snapshot. Raises stop.NotStopped,
        gdbinfo.NoKernel, and what `memory` raises.
        """
        threads, selected = stop.require_stopped(), gdb.selected_thread()
        info, origin = self.debuginfo()
        fry, shrimp, origin = parameters.addresses(info, origin)
        connection = getattr(gdb.selected_inferior(), "connection", None)
        key = (self._moves, connection, info.kernel, fry, shrimp, walk_free,
               parameters.reader.value, selected and selected.ptid)
        if through is None and self._snapshot is not None and self._snapshot[0] == key:
            return self._snapshot[1]
        stopped, harts, registers = stop.where(info, threads)
        with self.memory() as reader:
            self._recognise(reader, info, (connection, core_path()))
            taken = snapshot.take(self._unchanged(reader) if through is None else through(reader), info,
                                  stopped, harts, fry=fry, shrimp=shrimp, fry_from=origin,
                                  walk_free=walk_free, registers=registers, inlined=stop.inlined)
        if through is None:
            self._snapshot = (key, taken)
        return taken


def core_path() -> str | None:
    """The core file that GDB looks at, or None."""
    connection = getattr(gdb.selected_inferior(), "connection", None)
    if connection is not None and connection.type != "core":
        return None
    shown = re.search(r"^Local core dump file:\s*`(.*)', file type",
                      gdb.execute("info files", to_string=True), re.M)
    return shown.group(1) if shown else None


session = Session()

"""xv6-locks: who holds which lock, and who waits for it."""

from __future__ import annotations

import gdb

from ..kernel import Kernel, locks
from ..kernel.stacks import Unwinder
from ..live import stop
from ..live.session import session
from ..memory import sv39
from ..memory.readers import PAGE, Reader
from ..show import locks as said
from ..snapshot import Snapshot
from ..snapshot.taking import KernelPlaces
from .base import Command, Opt, painter, write_json


class Xv6Locks(Command):
    """List the locks that are held: by whom, since which call, and who waits.

    A spinlock is held by a hart, a sleeplock by a process. SINCE is the call on the holder's stack that took it, where the
    stack still says so. WAITING are harts that spin in acquire, and processes that sleep on a sleeplock. Harts and
    processes that wait for each other are a deadlock, which is told first. -all lists the locks that are free, too.
    """

    name = "xv6-locks"
    opts = (Opt("-all"), Opt("-json"))

    def run(self, given):
        taken, registers = session.snapshot(), stop.registers()
        with session.memory() as reader:
            found = _found(taken, registers, reader)
        if "-json" in given:
            write_json(said.to_data(found, "-all" in given))
        else:
            gdb.write(said.locks(found, "-all" in given, taken, _line, painter()))


def _found(taken: Snapshot, registers: dict[int, dict[int, int]], reader: Reader) -> locks.Found:
    kernel = Kernel(reader, session.debuginfo()[0])
    places = KernelPlaces(taken.kernel_table.mappings)
    unwinder = Unwinder(reader, kernel.info, places.or_in(reader, [sv39.root_of(h.satp) for h in taken.harts]))
    tops = {p.pid: p.kstack + PAGE for p in taken.processes if p.kstack}
    harts = {h.hart: locks.OnHart(h.pid, locks.stack_of(
        unwinder, None if h.privilege == "U" else h.pc, registers.get(h.hart, {}), tops.get(h.pid or -1))) for h in taken.harts}
    running = {h.pid for h in taken.harts}
    processes = kernel.processes()
    stacks = {p.pid: kernel.stack(p, places.or_in(reader, kernel.tables_beside(p)))
              for p in processes if p.pid not in running and any(p.context)}
    return locks.find(kernel, unwinder, harts, processes, stacks)


def _line(pc: int) -> str | None:
    place = gdb.find_pc_line(pc)
    return f"{place.symtab.filename}:{place.line}" if place.symtab is not None and place.line else None


def register() -> None:
    Xv6Locks()

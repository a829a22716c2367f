"""xv6-guards: what was accessed without its lock, on a machine that notes it."""

from __future__ import annotations

import gdb

from ..kernel import accesses
from ..kernel.guards import Guards, Site
from ..live.callstack import place_at
from ..live.session import session
from ..live.writers import noted_in
from ..records import encode
from ..show import guards as show
from .base import Bad, Command, Opt, painter, write_json


class Xv6Locks(Command):
    """List what the kernel has accessed without the lock that guards it.

    The machine must have been started with LOCKS=1. Each access to a variable
    since the first program ran counts, with the spinlocks that the hart held:
    no race need have happened. What guards what is known of the free list and
    the counts beside it, of parents, and of a process's state; else a lock
    guards what two thirds of the functions access while they hold it, or all
    others do where both are in one struct, and only stores are told. Atomic
    instructions need no lock. Not seen are variables in frames, such as pipes.
    """

    name = "xv6-guards"
    opts = (Opt("-json"),)

    def run(self, given):
        info, _ = session.debuginfo()
        path = noted_in("locks", "make qemu-gdb LOCKS=1")
        noted = accesses.read(path, accesses.span(info.functions).start, accesses.span(info.objects).start)
        if not noted.n_acquired:
            raise Bad("no lock was seen to be acquired: this kernel's acquire() is not like xv6's, or it has just started")
        found = Guards(info, noted.accesses, _site).unguarded()
        if "-json" in given:
            write_json({"n_accesses": sum(one.n for one in noted.accesses), "n_acquired": noted.n_acquired, "n_lost": noted.n_lost,
                        "unguarded": [encode(one) for one in found]})
        else:
            gdb.write(show.unguarded(found, noted, painter()))


def _site(pc: int) -> Site:
    places = place_at(pc)
    if not places:
        return Site(session.debuginfo()[0].function_at(pc) or hex(pc))
    return Site(places[0].function or "?", places[0].file, places[0].line)


def register() -> None:
    Xv6Locks()

"""What xv6-allocs prints."""

from __future__ import annotations

from ..snapshot import Snapshot, User
from ..snapshot.allocations import Allocations
from .reports import region_at
from .text import Painter, table


def allocations(found: Allocations, what: str, after: Snapshot, paint: Painter) -> str:
    """How much came and went, by function, and what stayed."""
    out = f"{what}: {found.allocated} frames allocated, kfree called {found.freed} times\n"
    out += table(["FUNCTION", "ALLOCATED", "FREED"],
                 [[one.function, str(one.allocated), str(one.freed)] for one in found.functions], paint) if found.functions else ""
    if not after.free.complete:
        return out + f"what stayed is not known: {after.free.why}\n"
    if not found.stayed:
        return out + "nothing stayed: every frame that was free before is free again\n"
    rows = [[f"{one.pa:#x}", " < ".join(one.calls) or "?", ", ".join(_user(user, after) for user in one.users) or "nobody"]
            for one in found.stayed]
    return out + table(["STAYED", "ALLOCATED BY", "USED BY"], rows, paint)


def _user(user: User, after: Snapshot) -> str:
    owner = after.process(user.pid)
    va = None if user.va is None else f"{user.va:#x}"
    what = region_at(owner, va) if user.kind == "user" else user.name or user.kind
    return (f"{user.pid} ({owner.name}) " if owner else "") + (what or user.kind)

"""What came and went while something ran: calls of the allocator, and what of it stayed, by two snapshots."""

from __future__ import annotations

from collections import Counter
from typing import Sequence, Tuple

from ..memory import riscv
from ..memory.readers import PAGE
from ..records import address, many, plain, record
from .frames import User
from .index import Index
from .model import Snapshot


@record
class Event:
    """A call of kalloc that gave a frame ("+"), or one of kfree ("-"), and who called, innermost first."""

    kind: str
    pa: int = address()
    calls: Tuple[str, ...] = plain(default=())


@record
class ByFunction:
    """How often a function called the allocator."""

    function: str
    allocated: int
    freed: int


@record
class Stayed:
    """A frame that was free before and is not now. calls: of who got it last; users: who has it."""

    pa: int = address()
    calls: Tuple[str, ...] = plain(default=())
    users: Tuple[User, ...] = many(User)


@record
class Allocations:
    """All of it. returned: frames that were in use before and are free now. Where frames are counted, a call of kfree may only
    take one user away."""

    allocated: int
    freed: int
    functions: Tuple[ByFunction, ...] = many(ByFunction)
    stayed: Tuple[Stayed, ...] = many(Stayed)
    returned: int = 0


_WRAPPERS = ("kzalloc", "kalloc_zero", "kalloc_zeroed", "allocpage")
"""Functions that call kalloc for all others, and say nothing of who wants a frame."""


def summary(events: Sequence[Event], before: Snapshot, after: Snapshot) -> Allocations:
    """before, after: with their free lists."""
    counts = Counter((_who(e.calls), e.kind) for e in events)
    names = sorted({name for name, _ in counts}, key=lambda name: (-counts[name, "+"] - counts[name, "-"], name))
    index, last = Index(after), {e.pa & -PAGE: e.calls for e in events if e.kind == "+"}
    was, now = _free(before), _free(after)
    stayed = tuple(Stayed(pa, last.get(pa, ()), index.users(pa)) for pa in sorted(was - now))
    return Allocations(sum(e.kind == "+" for e in events), sum(e.kind == "-" for e in events),
                       tuple(ByFunction(name, counts[name, "+"], counts[name, "-"]) for name in names), stayed, len(now - was))


def _who(calls: Sequence[str]) -> str:
    return next((name for name in calls if name not in _WRAPPERS), "?")


def _free(taken: Snapshot) -> "set[int]":
    return {pa + i * PAGE for pa, n in taken.free.runs for i in range(n)}


def returns(code: bytes) -> Tuple[int, ...]:
    """The offsets of a function's returns: `ret` (jalr x0, 0(ra)) and its short form (Unprivileged, 2.5.1 and 28.4)."""
    return tuple(at for at, bits, _ in riscv.instructions(code) if bits in (0x8067, 0x8082))


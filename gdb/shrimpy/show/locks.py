"""What xv6-locks prints."""

from __future__ import annotations

from typing import Callable, Dict, Optional, Sequence

from ..kernel.locks import Found, Lock, Turn, Waiter
from ..records import encode
from ..snapshot import Snapshot
from .text import Painter, table

Line = Callable[[int], Optional[str]]
"""file:line of an address of the kernel's, or None."""


def locks(found: Found, every: bool, taken: Snapshot, line: Line, paint: Painter) -> str:
    """The locks that are held, or all; then each deadlock in a line."""
    shown = [lock for lock in found.locks if every or lock.held]
    told = "".join(f"{paint('bad', 'deadlock')}: {cycle(one, taken)}\n" for one in found.cycles)
    if not shown:
        return told + f"no lock is held ({len(found.locks)} are known)\n"
    rows = [[lock.name, lock.label or "-", lock.kind, _holder(lock, taken), _since(lock, line), _waiters(lock, taken)]
            for lock in shown]
    return told + table(["LOCK", "NAME", "KIND", "HELD BY", "SINCE", "WAITING"], rows, paint)


def cycle(turns: Sequence[Turn], taken: Snapshot) -> str:
    """Who waits for what that the next one holds."""
    if len(turns) == 1:
        return f"{_who(turns[0].waiter, taken)} waits for {turns[0].lock}, which it holds itself"
    said = [f"{_who(one.waiter, taken)} waits for {one.lock}" for one in turns]
    holders = [_who(one.waiter, taken) for one in (*turns[1:], turns[0])]
    return "; ".join(f"{one}, which {holder} holds" for one, holder in zip(said, holders))


def to_data(found: Found, every: bool) -> Dict[str, object]:
    """For -json."""
    return {"locks": [encode(lock) for lock in found.locks if every or lock.held], "known": len(found.locks),
            "deadlocks": [[{"hart": one.waiter.hart, "pid": one.waiter.pid, "waits_for": one.lock} for one in turns]
                          for turns in found.cycles]}


def _who(waiter: Waiter, taken: Snapshot) -> str:
    process = taken.process(waiter.pid)
    named = f"pid {process.pid} ({process.name})" if process else None
    if waiter.hart is None:
        return named or "?"
    return f"hart {waiter.hart}" + (f", {named}," if named else "")


def _holder(lock: Lock, taken: Snapshot) -> str:
    if not lock.held:
        return "-"
    return _who(Waiter(lock.hart, lock.pid), taken).rstrip(",")


def _since(lock: Lock, line: Line) -> str:
    if lock.function is None:
        return "?" if lock.held else "-"
    place = line(lock.at) if lock.at is not None else None
    return lock.function + (f", {place}" if place else "")


def _waiters(lock: Lock, taken: Snapshot) -> str:
    return "; ".join(_who(one, taken).rstrip(",") + (f" in {one.function}" if one.function else "") for one in lock.waiters) or "-"

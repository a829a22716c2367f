"""Accesses without the lock that guards what they are to, as text."""

from __future__ import annotations

from typing import Sequence

from ..kernel.accesses import Noted
from ..kernel.guards import Unguarded
from .text import Painter

_MOST = 6       # functions that are named


def unguarded(found: Sequence[Unguarded], noted: Noted, paint: Painter) -> str:
    """xv6-guards."""
    lines = [one(each, paint) for each in found]
    n = sum(each.n for each in noted.accesses)
    lines.append(f"{n:,} accesses, {noted.n_acquired:,} locks acquired: {len(found) or 'none'} without the lock that guards them")
    if noted.n_lost:
        lines.append(f"{noted.n_lost:,} accesses found no room and were not looked at")
    return "\n".join(lines) + "\n"


def one(told: Unguarded, paint: Painter) -> str:
    """A report of several lines, the last without its newline."""
    where = f"{told.file}:{told.line}  " if told.file else ""
    harts = f"hart{'s' * (len(told.harts) > 1)} {', '.join(map(str, told.harts))}"
    held = ", ".join(told.held_in[:_MOST]) + (", ..." if len(told.held_in) > _MOST else "")
    lines = [paint("fail", f"{told.data} is {'written' if told.is_store else 'read'} without {told.lock}"),
             f"   {where}{told.function}, {'once' if told.n == 1 else f'{told.n} times'} on {harts}"]
    if held:
        lines.append(f"   the lock is held in {held}")
    return "\n".join(lines)

"""What xv6-find prints."""

from __future__ import annotations

from typing import Iterator, List

from ..snapshot import Snapshot
from ..snapshot.search import Found, Hit
from .reports import region_at
from .text import Painter, table


def hits(found: Found, taken: Snapshot, paint: Painter) -> str:
    """A line for each user of each place."""
    if not found.hits:
        return "not found\n"
    rows = [row for hit in found.hits for row in _rows(hit, taken)]
    more = f"the first {len(found.hits)} places; there are more: give a PID, or a range of frames\n" if found.more else ""
    return table(["PHYSICAL", "KIND", "PID", "NAME", "VA", "WHAT"], rows, paint) + more


def _rows(hit: Hit, taken: Snapshot) -> Iterator[List[str]]:
    at = f"{hit.pa:#x}"
    if not hit.users:
        yield [at, hit.kind or "-", "-", "-", "-", f"{hit.variable} + {hit.offset:#x}" if hit.variable else "-"]
    for user in hit.users:
        owner = taken.process(user.pid)
        va = None if user.va is None else f"{user.va:#x}"
        what = region_at(owner, va) if user.kind == "user" else user.name
        yield [at, user.kind, "-" if user.pid is None else str(user.pid), owner.name if owner else "-", va or "-", what or "-"]
        at = ""

"""What the window of `layout shrimpy` shows, as lines made of a Snapshot.

Pure: (role, text) lines for any width and height; what does not fit is counted.
"""

from __future__ import annotations

import textwrap
from typing import Dict, List, Optional, Sequence, Set, Tuple

from . import views
from .changes import Change
from .snapshot import Mapping, Process, Snapshot
from .story import Step
from .text import Painter

Line = Tuple[str, str]
"""A role of text.STYLES, or "", and the text."""

_HEADINGS = ("family", "frames")
_CHANGE_ROLES = {"+": "good", "-": "bad", "~": "warn"}
_PAIRING_ROLES = {"holds": "good", "broken": "bad", "pending": "warn", "none": "dim"}


def content(snapshot: Snapshot, step: Optional[Step], width: int) -> List[Line]:
    """All there is to show: the last step, if one was made, and its pairing; the family; the
    frames that are FRY or SHRIMP of somebody, each with all its users."""
    lines: List[Line] = []
    if step is not None:
        lines += wrapped("title", step.title, width)
        for c in step.changes:
            lines += _change(c)
        if step.more_changes:
            lines.append(("dim", f"and {step.more_changes} more entries"))
        said = f"pairing {step.pairing.state}"
        if step.pairing.state in ("holds", "broken"):       # the frame itself may be below the window's edge
            said += f": {step.pairing.text}"
        lines += wrapped(_PAIRING_ROLES[step.pairing.state], said, width)
        lines.append(("", ""))
    lines.append(("title", _HEADINGS[0]))
    changed = {c.pid for c in step.changes} if step is not None else set()
    for lead, p in views.family(snapshot):
        here = " <" if p.pid == snapshot.stop.pid else ""
        lines.append(("warn" if p.pid in changed else "", f"{lead}{p.pid} {p.name or '-'} {p.state}{here}"))
    lines += [("", ""), ("title", _HEADINGS[1])]
    lines += _frames(snapshot, width, changed)
    return lines


def fitted(lines: Sequence[Line], height: int) -> List[Line]:
    """The lines without what only makes them easier to read, where they are too many."""
    if len(lines) <= height:
        return list(lines)
    return [(role, text) for role, text in lines if text not in ("", *_HEADINGS)]


def view(lines: Sequence[Line], width: int, height: int, top: int, paint: Painter) -> str:
    """`height` lines from number `top` on, cut to `width`; the last one counts
    those that are below, the first one those above."""
    if width <= 0 or height <= 0:
        return ""
    shown = list(lines[top:top + height])
    if top and shown:
        shown[0] = ("dim", f"... {top + 1} above")
    below = len(lines) - top - height
    if below > 0:
        shown[-1] = ("dim", f"... {below + 1} more")
    return "\n".join(paint(role, cut(text, width)) for role, text in shown)


def cut(text: str, width: int) -> str:
    """At most `width` characters; what is cut away ends in ~."""
    return text if len(text) <= width else text[:max(width - 1, 0)] + "~"[:width]


def _change(c: Change) -> List[Line]:
    role = _CHANGE_ROLES[c.kind]
    who = "" if c.pid is None else f"{c.pid} "
    words = " -> ".join(said for said in (c.before, c.after) if said)
    if c.pte_at is None:
        return [(role, f"{c.kind} {who}{c.what} {words}")]
    before, after = (views.entry(value) for value in (c.pte_before, c.pte_after))
    return [(role, f"{c.kind} {who}{c.va:#x}"), (role, f"  {words}"),
            (role, f"  at {c.pte_at:#x} level {c.level}"), (role, f"  {before} -> {after}")]


def _frames(snapshot: Snapshot, width: int, first: Set[Optional[int]]) -> List[Line]:
    """A line for each frame that is FRY or SHRIMP somewhere, those of the pids `first` before the others."""
    users: Dict[int, List[Tuple[Process, Mapping]]] = {}
    for p in sorted(snapshot.processes, key=lambda p: p.pid):
        for m in p.mappings:
            if m.region in ("fry", "shrimp"):
                users.setdefault(m.pa, []).append((p, m))
    if not users:
        return [("dim", "nobody has FRY or SHRIMP")]
    lines: List[Line] = []
    for pa, theirs in sorted(users.items(), key=lambda of: (all(p.pid not in first for p, _ in of[1]), of[0])):
        said = ", ".join(f"{p.pid} {m.region.upper()}" for p, m in theirs)
        role = "" if len(theirs) == 1 else "shrimp"
        lines += [(role, text) for text in textwrap.wrap(f"{pa:#x}: {said}", max(width, 12), subsequent_indent="  ")]
    return lines


def wrapped(role: str, text: str, width: int) -> List[Line]:
    return [(role, line) for line in textwrap.wrap(text, max(width, 12))]

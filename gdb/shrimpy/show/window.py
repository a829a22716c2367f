"""What the window of `layout shrimpy` shows, as lines made of a Snapshot.

Pure: lines for any width and height. What has no place is counted, and can be
scrolled to; parent and child of the fork, their shared frame and what the step
changed come before everybody else.
"""

from __future__ import annotations

import textwrap
from collections import Counter
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

from ..snapshot import Mapping, Process, Snapshot
from ..snapshot.changes import Change
from ..step.events import Cast, Step, leaf
from .story import count
from . import reports
from .text import Painter


class Line(NamedTuple):
    """role: of text.STYLES, or ""; of: what it is the first line of, "change" "process" "frame", or ""."""

    role: str
    text: str
    of: str = ""


_BLANK = Line("", "")
_PLURALS = {"process": "processes", "frame": "frames", "change": "changes"}
_CHANGE_ROLES = {"+": "good", "-": "bad", "~": "warn"}
_PAIRING_ROLES = {"holds": "good", "broken": "bad", "pending": "warn", "none": "dim"}


def content(snapshot: Snapshot, step: Optional[Step], cast: Optional[Cast], width: int, height: int) -> List[Line]:
    """All there is to show: the last step, if the machine stands at it, its pairing and what it
    changed; the family; the frames that are FRY or SHRIMP of somebody, each with all its users.

    cast: who plays in that step. Where all that is more than `height` lines, what only makes it
    easier to read goes, and then the cast and the frame that it shares move up.
    """
    told, changed = _told(step, width), _changes(step, width)
    people = [_person(lead, p, snapshot, step, cast, width) for lead, p in reports.family(snapshot)]
    frames = _frames(snapshot, cast, width)
    roomy = [*told, *changed, *([_BLANK] if told else []), Line("title", "family"), *people,
             _BLANK, Line("title", "frames"), *frames]
    plain = [*told, *changed, *people, *frames]
    if len(roomy) <= height:
        return roomy
    if cast is None or len(plain) <= height:
        return plain
    return [*_told(step, width, brief=True), *_players(snapshot, step, cast, width), *changed, *people, *frames]


def view(lines: Sequence[Line], width: int, height: int, top: int, paint: Painter) -> str:
    """`height` lines from number `top` on, cut to `width`; the last one counts what is below, the first one
    what is above."""
    if width <= 0 or height <= 0:
        return ""
    shown = list(lines[top:top + height])
    if top and shown:
        shown[0] = Line("dim", _hidden("above", lines[:top + 1]))
    if len(lines) > top + height:
        shown[-1] = Line("dim", _hidden("below", lines[top + height - 1:]))
    return "\n".join(paint(line.role, cut(line.text, width)) for line in shown)


def _hidden(where: str, lines: Sequence[Line]) -> str:
    """How many processes, frames and changes those lines are of."""
    n = Counter(line.of for line in lines)
    said = [f"{n[one]} {one if n[one] == 1 else many}" for one, many in _PLURALS.items() if n[one]]
    return f"{where}: {', '.join(said or [count(len(lines), 'line')])}"


def cut(text: str, width: int) -> str:
    """At most `width` characters; what is cut away ends in ~."""
    return text if len(text) <= width else text[:max(width - 1, 0)] + "~"[:width]


def wrapped(role: str, text: str, width: int, of: str = "", indent: str = "") -> List[Line]:
    """A text on lines of at most `width` characters; those after the first are indented."""
    first, *rest = textwrap.wrap(text, max(width, 12), subsequent_indent=indent) or [""]
    return [Line(role, first, of), *(Line(role, line) for line in rest)]


def _told(step: Optional[Step], width: int, brief: bool = False) -> List[Line]:
    """What the step was, and the pairing. brief: without what the lines on cast and frame say too."""
    if step is None:
        return []
    paired = step.pairing
    why = "" if brief and paired.state in ("holds", "pending") else f": {paired.text}"
    return [*wrapped("title", step.title, width),
            *wrapped(_PAIRING_ROLES[paired.state], f"pairing {paired.state}{why}", width)]


def _changes(step: Optional[Step], width: int) -> List[Line]:
    if step is None:
        return []
    # A table that was missing on the way is not what the step is about.
    lines = [line for c in sorted(step.changes, key=lambda c: c.what == "table") for line in _change(c, width)]
    return lines + ([Line("dim", f"and {step.more_changes} more entries")] if step.more_changes else [])


def _change(c: Change, width: int) -> List[Line]:
    """One change. Of an entry: whose and for which address, what it leads to, and where it is and what it holds."""
    who = "" if c.pid is None else f"pid {c.pid} "
    words = " -> ".join(said for said in (c.before, c.after) if said)
    role = _CHANGE_ROLES[c.kind]
    if c.pte_at is None:
        return wrapped(role, f"{c.kind} {who}{c.what}: {words}", width, "change", "  ")
    held = " -> ".join(reports.entry(value) for value in (c.pte_before, c.pte_after))
    first, *rest = _packed([f"{c.kind} {who}{c.va:#x} level {c.level}:", words, f"{c.pte_at:#x}: {held}"], width)
    return [Line(role, first, "change"), *(Line(role, line) for line in rest)]


def _packed(parts: Sequence[str], width: int) -> List[str]:
    """The parts on as few lines as `width` allows, broken only where one alone is too long; lines after the first
    are indented."""
    lines: List[str] = []
    for part in parts:
        if lines and len(lines[-1]) + 2 + len(part) <= width:
            lines[-1] += "  " + part
        else:
            lines += textwrap.wrap(part, max(width, 12), initial_indent="  " if lines else "", subsequent_indent="    ")
    return lines


def _players(snapshot: Snapshot, step: Optional[Step], cast: Cast, width: int) -> List[Line]:
    """Parent and child, and the frame that they share. All of them have a place further down too, where they count."""
    found = [(lead, p) for lead, pid in (("", cast.parent), ("  ", cast.child)) if (p := snapshot.process(pid or -1))]
    lines = [_person(lead, p, snapshot, step, cast, width) for lead, p in found]
    fry = leaf(snapshot.process(cast.parent), snapshot.layout.fry)
    theirs = _users(snapshot).get(fry.pa, []) if fry else []
    if fry and theirs:
        ours = [(p, m) for p, m in theirs if p.pid in (cast.parent, cast.child)]
        others = f", and {len(theirs) - len(ours)} more" if len(theirs) > len(ours) else ""
        lines += _frame(fry.pa, ours, width, others)
    return [line._replace(of="") for line in lines]


def _person(lead: str, p: Process, snapshot: Snapshot, step: Optional[Step], cast: Optional[Cast], width: int) -> Line:
    """A process, with the branches that lead to it. The name gives way, and then the branches."""
    marks = [word for word, pid in (("parent", cast and cast.parent), ("child", cast and cast.child),
                                    ("here", snapshot.stop.pid)) if pid == p.pid]
    state = f" {p.state}" + (f" ({', '.join(marks)})" if marks else "")
    name = cut(p.name or "-", max(1, width - len(f"{lead}{p.pid} {state}")))
    over = len(f"{lead}{p.pid} {name}{state}") - width
    if over > 0 and lead:
        lead = "~" + lead[over + 1:]
    changed = step is not None and any(c.pid == p.pid for c in step.changes)
    return Line("warn" if changed else "", f"{lead}{p.pid} {name}{state}", "process")


def _frames(snapshot: Snapshot, cast: Optional[Cast], width: int) -> List[Line]:
    """The frames that are FRY or SHRIMP somewhere: first the FRY of the cast's parent, which the child must share,
    then what else the two have."""
    users = _users(snapshot)
    if not users:
        return [Line("dim", "nobody has FRY or SHRIMP")]
    first = leaf(snapshot.process(cast.parent), snapshot.layout.fry) if cast else None
    players = (cast.parent, cast.child) if cast else ()

    def place(pa: int) -> Tuple[bool, bool, int]:
        return first is None or pa != first.pa, all(p.pid not in players for p, _ in users[pa]), pa
    return [line for pa in sorted(users, key=place) for line in _frame(pa, users[pa], width)]


def _users(snapshot: Snapshot) -> Dict[int, List[Tuple[Process, Mapping]]]:
    """By frame, who has it as FRY or SHRIMP, by pid."""
    users: Dict[int, List[Tuple[Process, Mapping]]] = {}
    for p in sorted(snapshot.processes, key=lambda p: p.pid):
        for m in p.mappings:
            if m.region in ("fry", "shrimp"):
                users.setdefault(m.pa, []).append((p, m))
    return users


def _frame(pa: int, theirs: Sequence[Tuple[Process, Mapping]], width: int, others: str = "") -> List[Line]:
    said = ", ".join(f"{p.pid} {m.region.upper()}" for p, m in theirs)
    return wrapped("shrimp" if len(theirs) > 1 else "", f"{pa:#x}: {said}{others}", width, "frame", "  ")

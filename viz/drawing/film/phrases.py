"""What the film says of phases, changes and the pairing, on the page and on paper."""
from __future__ import annotations

from textwrap import dedent
from typing import Optional

from ..model import kit
from .document import Change, Place

PHASES = {
    "start": "Start", "frame": "Frames", "table": "Page tables", "map": "Mapping", "unmap": "Unmapping",
    "copy": "Copy of memory", "fry": "FRY", "shrimp": "SHRIMP", "state": "Process", "free": "Frames freed",
    "exec": "exec", "exit": "exit", "wait": "wait", "end": "End"}
KINDS = {"+": "new", "-": "gone", "~": "changed"}
SIGNS = {"+": "+", "-": "\u2212", "~": "~"}
PAIRINGS = {"none": ("\u25cb", "No pair"), "pending": ("\u25d4", "Pair pending"), "holds": ("\u25cf", "Pair holds"),
            "broken": ("\u2715", "Pair broken")}
_TAB_CHARS = 4
_THINGS = {"pte": "leaf PTE", "table": "pointer PTE", "sz": "size", "root": "root table"}


def phase(name: str) -> str:
    """In words; one that a later writer made up as it is."""
    return PHASES.get(name, name)


def thing(change: Change) -> str:
    """What changed, in words."""
    return _THINGS.get(change.what, change.what)


def value(change: Change, pte: Optional[int]) -> str:
    """A PTE's value; nothing where the change is not one of a PTE."""
    if change.pte_at is None:
        return ""
    return "no table there" if pte is None else f"{pte:#x}"


def line(change: Change) -> str:
    """The whole change in one line."""
    where = [f"{change.va:#x}" if change.va is not None else "",
             f"at {change.pte_at:#x}" if change.pte_at is not None else ""]
    before, after = value(change, change.pte_before), value(change, change.pte_after)
    meaning = change.after or change.before
    if before or after:
        what = f"{before} \u2192 {after}" + (f" ({meaning})" if meaning else "")
    else:
        what = f"{change.before or 'none'} \u2192 {change.after or 'none'}"
    of = f" of pid {change.pid}" if change.pid is not None else ""
    return f"{SIGNS[change.kind]} {', '.join(filter(None, [thing(change) + of, *where]))}: {what}"


def numbered(at: Place) -> list[tuple[int, str, bool]]:
    """The lines of source around a place as (number, text without what all are indented by, whether it is that line)."""
    if at.line is None or not at.around:
        return []
    first = at.line - min(at.line - 1, kit.AROUND)
    return [(n, line, n == at.line) for n, line in enumerate(dedent("\n".join(at.around).expandtabs(_TAB_CHARS)).split("\n"), first)]


def place(at: Place) -> str:
    """File and line, or what of them is known."""
    return (at.file or "") + (f":{at.line}" if at.file and at.line is not None else "")

"""What xv6-vmprint says of a printout that differs from a table."""

from __future__ import annotations

from typing import Dict, List, Optional

from ..memory import printout, sv39
from ..memory.printout import Difference, Row

_SAYS: Dict[str, str] = {
    "missing": "the table has no entry for {expected}",
    "extra": "the table has an entry for {found}, which the printout leaves out",
    "flags": "the flags of the entry for {found} differ: {flags}",
    "frame": "the entry for {found} leads to another frame: where the printout has one frame twice, the table has two",
    "itself": "the line contradicts itself: its pte leads to {leads}",
    "form": "expected a line as vmprint prints it, ` ..INDEX: pte 0x... pa 0x...`",
    "order": "the entries are not in the order of their addresses: {found} came before",
}


def difference(found: Optional[Difference], with_va: bool = False) -> str:
    """The first difference in two or three lines."""
    if found is None:
        return "no difference (the addresses of frames, A and D are those of one run, and are not compared)\n"
    row, there = found.expected, found.found
    said = _SAYS[found.kind].format(expected=_entry(row), found=_entry(there), flags=_flags(row, there),
                                    leads=f"{sv39.pa_of(row.pte):#x}" if row else "")
    lines: List[str] = [f"line {found.line}: {said}"]
    if row is not None or found.text:
        lines.append(f"  printout {printout.line(row, with_va) if row is not None else ' ' + found.text}")
    if there is not None and found.kind != "order":
        lines.append(f"  table    {printout.line(there, with_va)}")
    return "\n".join(lines) + "\n"


def _entry(row: Optional[Row]) -> str:
    return "" if row is None else f"VA {row.va:#x} at level {row.level}"


def _flags(row: Optional[Row], there: Optional[Row]) -> str:
    """Which letters the one has and the other has not."""
    if row is None or there is None:
        return ""
    changed = (row.pte ^ there.pte) & 0xFF & ~(sv39.A | sv39.D)
    return ", ".join(f"{letter} is {'set' if there.pte >> bit & 1 else 'clear'} in the table"
                     for bit, letter in enumerate("VRWXUGAD") if changed >> bit & 1)


def to_data(found: Optional[Difference]) -> Dict[str, object]:
    """For -json."""
    if found is None:
        return {"same": True}
    return {"same": False, "kind": found.kind, "line": found.line, "expected": _row(found.expected), "found": _row(found.found),
            "text": found.text or None}


def _row(row: Optional[Row]) -> Optional[Dict[str, object]]:
    return None if row is None else {"level": row.level, "index": row.path[-1], "va": hex(row.va), "pte": hex(row.pte),
                                     "pa": hex(row.pa)}


def rows(printed: printout.Printout) -> List[Optional[Dict[str, object]]]:
    """The entries, for -json."""
    return [_row(row) for row in printed.rows]

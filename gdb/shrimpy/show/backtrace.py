"""What xv6-harts -bt prints."""

from __future__ import annotations

from typing import Dict, List, Sequence

from ..kernel.backtrace import Calls, Node
from ..snapshot import Snapshot
from .text import Painter


def tree(roots: Sequence[Node], stacks: Sequence[Calls], taken: Snapshot, paint: Painter) -> str:
    """A line for the calls that harts have in common, its branches below; who is where behind each end."""
    by_hart = {one.hart: one for one in stacks}
    lines: List[str] = []

    def show(node: Node, lead: str, below: str) -> None:
        lines.append(f"{lead}{' > '.join(node.names)}{_here(node, by_hart, taken, paint)}")
        for child in node.children:
            last = child is node.children[-1]
            show(child, below + ("└─ " if last else "├─ "), below + ("   " if last else "│  "))

    for node in roots:
        show(node, "", "")
    return "\n".join(lines or ["no hart's registers are known"]) + "\n"


def _here(node: Node, by_hart: Dict[int, Calls], taken: Snapshot, paint: Painter) -> str:
    """The harts whose innermost call is the node's last."""
    beyond = {hart for child in node.children for hart in child.harts}
    told = []
    for hart in node.harts:
        if hart not in beyond:
            process = taken.process(by_hart[hart].pid)
            told.append(f"hart {hart}" + (f" pid {process.pid} ({process.name})" if process else "")
                        + ("" if by_hart[hart].whole else " (its callers are not known)"))
    return paint("dim", "  <- " + ", ".join(told)) if told else ""


def to_data(node: Node) -> Dict[str, object]:
    """For -json."""
    return {"calls": list(node.names), "harts": list(node.harts), "children": [to_data(child) for child in node.children]}

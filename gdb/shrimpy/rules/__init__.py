"""The rules a Shrimpy kernel keeps, judged on a Snapshot and nothing else.

A rule gives a verdict per subject. It fails only what cannot be in the middle
of a change where the machine is stopped; what may be is skipped, and says why.
"""

from __future__ import annotations

from typing import Iterable, List, Optional, Tuple

from ..snapshot import Snapshot
from . import accounts, life, memory, pages
from .verdict import FAIL, MOMENT, NOTHING, PASS, SKIPPED, UNKNOWN, Bench, Rule, Verdict, subject
from .view import Known, View

__all__ = ["FAIL", "MOMENT", "NOTHING", "PASS", "SKIPPED", "UNKNOWN", "RULES", "Known", "Verdict",
           "evaluate", "held_back", "status", "subject", "unsettled"]

RULES: Tuple[Rule, ...] = pages.RULES + memory.RULES + accounts.RULES + life.RULES


def evaluate(snapshot: Snapshot, previous: Optional[Snapshot] = None,
             known: Known = Known()) -> List[Verdict]:
    """A verdict per rule and subject, in RULES' order, subjects by pid.

    previous: an earlier snapshot of the same run; the rules about change need
    it, and a lost frame is described by what it last was. An earlier run's is
    recognised by its higher next_pid, and not used. known: what the caller
    knows besides.
    """
    if previous is not None and (previous.next_pid or 0) > (snapshot.next_pid or 0):
        previous = None
    view = View(snapshot, previous, known)
    verdicts: List[Verdict] = []
    for rule in RULES:
        bench = Bench(rule, view)
        if rule.needs_fry and (view.layout.fry is None or view.layout.shrimp is None):
            missing = "FRY" if view.layout.fry is None else "SHRIMP"
            verdicts.append(bench.skipped("kernel", f"this kernel defines no {missing}"))
            continue
        found = list(rule.judge(bench))
        verdicts.extend(found or [bench.skipped("kernel", "there is nothing here to judge")])
    return verdicts


def held_back(verdicts: Iterable[Verdict]) -> int:
    """How many verdicts were skipped for what the machine is in the middle of:
    a later stop will tell."""
    return sum(v.because == MOMENT for v in verdicts)


def unsettled(snapshot: Snapshot) -> Optional[str]:
    """Why frames may be on their way from one owner to another, or None: then a later snapshot
    can be compared with this one."""
    view = View(snapshot)
    return view.allocator_busy() or view.unsettled()


def status(verdicts: Iterable[Verdict]) -> int:
    """0: all that was judged passed; 1: a rule failed; 2: it could not be
    judged, because no process has a FRY page that a rule has seen."""
    verdicts = list(verdicts)
    if any(v.status == FAIL for v in verdicts):
        return 1
    return 0 if any(v.rule == "fry-flags" and v.status == PASS for v in verdicts) else 2

"""The rules a Shrimpy kernel keeps, judged on a Snapshot and nothing else.

A rule gives a verdict per subject. It fails only what cannot be in the middle
of a change where the machine is stopped; what may be is skipped, and says why.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Iterable, List, Optional, Tuple

from ..reasons import KERNEL, Kind, Reason
from ..snapshot import Snapshot
from . import accounts, hardware, life, pages, played, segments, tables
from .verdict import FAIL, MOMENT, NOTHING, PASS, SKIPPED, UNKNOWN, WARNING, Bench, Rule, Verdict
from .view import Known, View

__all__ = ["FAIL", "HANDOUT", "MOMENT", "NOTHING", "PASS", "PROFILES", "SKIPPED", "STRICT", "UNKNOWN", "WARNING", "RULES",
           "Known", "Verdict",
           "evaluate", "held_back", "status", "unsettled"]

RULES: Tuple[Rule, ...] = pages.RULES + tables.RULES + accounts.RULES + segments.RULES + hardware.RULES + \
    life.RULES + played.RULES

HANDOUT, STRICT = PROFILES = "handout", "strict"
"""What decides: what the lab handout asks for, or every promise of a Shrimpy kernel."""


def evaluate(snapshot: Snapshot, previous: Optional[Snapshot] = None,
             known: Known = Known(), profile: str = STRICT) -> List[Verdict]:
    """A verdict per rule and subject, in RULES' order, subjects by pid.

    previous: an earlier snapshot of the same run; the rules about change need
    it, and a lost frame is described by what it last was. An earlier run's is
    recognised by its higher next_pid, and not used. known: what the caller
    knows besides. profile: of PROFILES; with HANDOUT a failure of what is
    beyond it is a WARNING.
    """
    if previous is not None and (previous.next_pid or 0) > (snapshot.next_pid or 0):
        previous = None
    view = View(snapshot, previous, known)
    verdicts: List[Verdict] = []
    for rule in RULES:
        bench = Bench(rule, view)
        if rule.needs_fry and (view.layout.fry is None or view.layout.shrimp is None):
            missing = "FRY" if view.layout.fry is None else "SHRIMP"
            verdicts.append(bench.skipped(KERNEL, Reason(Kind.PAGE_NOT_DEFINED, page=missing)))
            continue
        found = list(rule.judge(bench))
        verdicts.extend(found or [bench.skipped(KERNEL, Reason(Kind.NOTHING_HERE))])
    if profile == HANDOUT:
        return [replace(v, status=WARNING) if v.status == FAIL and v.beyond_handout else v for v in verdicts]
    return verdicts


def held_back(verdicts: Iterable[Verdict]) -> int:
    """How many verdicts were skipped for what the machine is in the middle of:
    a later stop will tell."""
    return sum(v.because == MOMENT for v in verdicts)


def unsettled(snapshot: Snapshot) -> Optional[Reason]:
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

"""What a rule says of a subject."""

from __future__ import annotations

from typing import Callable, Iterator, NamedTuple, Optional

from ..records import address, record
from ..snapshot import Mapping, Process
from .view import Moment, View, like

PASS, FAIL, SKIPPED = "pass", "fail", "skipped"
MOMENT, UNKNOWN, NOTHING = "moment", "unknown", "nothing"


@record
class Verdict:
    """What one rule says of one subject.

    status: "pass" "fail" "skipped"; why: for skipped and fail, a sentence.
    because, of one that is skipped: "moment" (the machine is in the middle of something: a
    later stop will tell), "unknown" (what it takes cannot be known here) or "nothing" (there is
    nothing of the kind here to be judged, or to compare with).
    A failure names the process, the virtual address, the entry's physical
    address and value where it has them, what was expected, what is there, and
    the kernel function to look at.
    """

    rule: str
    statement: str
    subject: str                        # "pid 3 (sh)", "frame 0x87f40000", "kmem.freelist"
    status: str
    why: str = ""
    pid: Optional[int] = None
    name: Optional[str] = None
    va: Optional[int] = address(default=None)
    pte_at: Optional[int] = address(default=None)
    pte: Optional[int] = address(default=None)
    expected: Optional[str] = None
    actual: Optional[str] = None
    function: Optional[str] = None
    explanation: Optional[str] = None
    because: Optional[str] = None


class Rule(NamedTuple):
    """A rule: its id, its one-line statement, whether it is about FRY and
    SHRIMP, and what judges it: a Bench in, verdicts out."""

    id: str
    statement: str
    judge: Callable[["Bench"], Iterator[Verdict]]
    needs_fry: bool = False


class Bench:
    """Makes the verdicts of one rule about one snapshot."""

    def __init__(self, rule: Rule, view: View) -> None:
        self.rule = rule
        self.view = view

    def passed(self, subject: str) -> Verdict:
        """It is as the rule says."""
        return Verdict(self.rule.id, self.rule.statement, subject, PASS)

    def skipped(self, subject: str, why: str, because: str = NOTHING) -> Verdict:
        """It cannot be judged here. because: of a reason that is not a Moment."""
        return Verdict(self.rule.id, self.rule.statement, subject, SKIPPED, str(why),
                       because=MOMENT if isinstance(why, Moment) else because)

    def held_back(self, subject: str, busy: str, why: str) -> Verdict:
        """It would fail by why, if busy did not say that it may be in the middle of a change."""
        return self.skipped(subject, like(busy, f"{busy}; as it stands{why}"), UNKNOWN)

    def failed(self, subject: str, why: str, expected: str, actual: str, function: str,
               explanation: str, *, va: Optional[int] = None, pte_at: Optional[int] = None,
               pte: Optional[int] = None, process: Optional[Process] = None) -> Verdict:
        """A failure of something that is not one process. `function` is the
        usual name; the verdict has this kernel's."""
        return Verdict(self.rule.id, self.rule.statement, subject, FAIL, why,
                       process.pid if process else None, process.name if process else None,
                       va, pte_at, pte, expected, actual, self.view.function(function),
                       explanation)

    def accuse(self, process: Process, why: str, expected: str, actual: str, function: str,
               explanation: str, *, va: Optional[int] = None, mapping: Optional[Mapping] = None,
               pte_at: Optional[int] = None, pte: Optional[int] = None,
               others: tuple = ()) -> Verdict:
        """A failure of `process`; skipped while it, or one of the `others` it
        is compared with, may be in the middle of a change."""
        for one in (process, *others):
            busy = self.view.busy(one)
            if busy:
                return self.held_back(subject(process), busy, f": {why}")
        if mapping is not None:
            va = mapping.va if va is None else va
            pte_at, pte = mapping.pte_at, mapping.pte
        elif va is not None and pte_at is None:
            pte_at = self.view.entry_at(process, va)
        return self.failed(subject(process), why, expected, actual, function, explanation,
                           va=va, pte_at=pte_at, pte=pte, process=process)


def subject(process: Process) -> str:
    """How verdicts call a process: "pid 3 (sh)"."""
    return f"pid {process.pid} ({process.name})"

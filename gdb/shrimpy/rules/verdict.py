"""What a rule says of a subject."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Callable, Dict, Iterator, NamedTuple, Optional

from .. import words
from ..reasons import MOMENT, NOTHING, UNKNOWN, Kind, Named, Reason, Subject
from ..records import address, encode, one, record
from ..snapshot import Mapping, Process
from .view import View

_OF_TABLES = frozenset((Kind.TABLE_SHARED, Kind.ROOT_SHARED, Kind.TABLE_REPEATED))

PASS, FAIL, SKIPPED, WARNING = "pass", "fail", "skipped", "warning"

__all__ = ["FAIL", "MOMENT", "NOTHING", "PASS", "SKIPPED", "UNKNOWN", "WARNING", "Bench", "Rule", "Verdict", "named", "of_process"]


@record
class Verdict:
    """What one rule says of one subject.

    status: "pass" "fail" "skipped", or "warning", which is a failure that the chosen profile does not count; reason: of one
    that did not pass. beyond_handout: the lab handout does not ask for what it judges. A failure names the process, the virtual
    address, the entry's physical address and value where it has them, and the kernel function to look at. What people
    read of it is made in words/.
    """

    rule: str
    about: Subject = one(Subject)
    status: str = PASS
    reason: Optional[Reason] = one(Reason, default=None)
    process: Optional[Named] = one(Named, default=None)
    va: Optional[int] = address(default=None)
    pte_at: Optional[int] = address(default=None)
    pte: Optional[int] = address(default=None)
    function: Optional[str] = None
    beyond_handout: bool = False

    @property
    def pid(self) -> Optional[int]:
        return self.process.pid if self.process else None

    @property
    def name(self) -> Optional[str]:
        return self.process.name if self.process else None

    def is_about(self, pid: int) -> bool:
        """Whether it judges that process, or a frame of which its reason says that the process has or had it."""
        holders = [one.process for one in (self.reason.users if self.reason else ())]
        return any(one is not None and one.pid == pid for one in (self.process, self.about.process, *holders))

    @property
    def because(self) -> Optional[str]:
        """Of one that is skipped: MOMENT, UNKNOWN or NOTHING."""
        return self.reason.of if self.reason and self.status == SKIPPED else None

    @property
    def statement(self) -> str:
        return words.rules.STATEMENTS[self.rule]

    @property
    def subject(self) -> str:
        return words.verdicts.subject(self.about)

    @property
    def why(self) -> str:
        return words.verdicts.why(self.reason) if self.reason else ""

    @property
    def expected(self) -> Optional[str]:
        return words.verdicts.expected(self.reason) if self.reason else None

    @property
    def actual(self) -> Optional[str]:
        return words.verdicts.actual(self.reason) if self.reason else None

    @property
    def explanation(self) -> Optional[str]:
        return words.verdicts.explanation(self.reason) if self.reason else None

    def to_data(self) -> Dict[str, Any]:
        """As JSON has it: the data, and the sentences beside them."""
        place = encode(self)
        return {
            "rule": self.rule, "statement": self.statement, "subject": self.subject, "status": self.status, "why": self.why,
            "pid": self.pid, "name": self.name, "va": place["va"], "pte_at": place["pte_at"], "pte": place["pte"],
            "expected": self.expected, "actual": self.actual, "function": self.function,
            "explanation": self.explanation, "because": self.because, "beyond_handout": self.beyond_handout,
            "about": self.about.to_data(), "reason": self.reason and self.reason.to_data()}


class Rule(NamedTuple):
    """A rule: its id, what judges it: a Bench in, verdicts out; whether it is about FRY and SHRIMP; whether the lab handout does
    not ask for it (an orphan keeps its page, a page is zeroed, both are kept across exec)."""

    id: str
    judge: Callable[["Bench"], Iterator[Verdict]]
    needs_fry: bool = False
    beyond_handout: bool = False

    @property
    def statement(self) -> str:
        """What it demands, in one line."""
        return words.rules.STATEMENTS[self.id]


class Bench:
    """Makes the verdicts of one rule about one snapshot."""

    def __init__(self, rule: Rule, view: View) -> None:
        self.rule = rule
        self.view = view

    def passed(self, about: Subject) -> Verdict:
        """It is as the rule says."""
        return Verdict(self.rule.id, about, beyond_handout=self.rule.beyond_handout)

    def skipped(self, about: Subject, why: Reason) -> Verdict:
        """It cannot be judged here."""
        return Verdict(self.rule.id, about, SKIPPED, why, beyond_handout=self.rule.beyond_handout)

    def held_back(self, about: Subject, busy: Reason, stands: Reason) -> Verdict:
        """It would fail by what stands there, if busy did not say that it may be in the middle of a change."""
        return self.skipped(about, Reason(Kind.HELD_BACK, because=busy, stands=stands))

    def failed(self, about: Subject, why: Reason, function: Optional[str], *, va: Optional[int] = None,
               pte_at: Optional[int] = None, pte: Optional[int] = None, process: Optional[Process] = None,
               beyond: bool = False) -> Verdict:
        """A failure of something that is not one process. `function` is the usual name of the function to look at, or None
        where nothing tells which; the verdict has this kernel's. beyond: the handout does not ask for this, though for the
        rule."""
        return Verdict(self.rule.id, about, FAIL, why, named(process) if process else None, va, pte_at, pte,
                       function and self.view.function(function), beyond or self.rule.beyond_handout)

    def accuse(self, process: Process, why: Reason, function: Optional[str], *, va: Optional[int] = None,
               mapping: Optional[Mapping] = None, pte_at: Optional[int] = None, pte: Optional[int] = None,
               others: tuple = (), beyond: bool = False) -> Verdict:
        """A failure of `process`; skipped while it, or one of the `others` it is compared with, may be in the middle of
        a change. Where its tables are spoilt nothing tells who wrote what is in them."""
        for each in (process, *others):
            busy = self.view.busy(each)
            if busy:
                return self.held_back(of_process(process), busy, why)
        if mapping is not None:
            va = mapping.va if va is None else va
            pte_at, pte = mapping.pte_at, mapping.pte
        elif va is not None and pte_at is None:
            pte_at = self.view.entry_at(process, va)
        if function and why.kind not in _OF_TABLES and self.view.is_spoilt(process):
            why, function = replace(why, function=None if why.function == function else why.function), None
        return self.failed(of_process(process), why, function, va=va, pte_at=pte_at, pte=pte, process=process, beyond=beyond)


def named(process: Process) -> Named:
    """A process as verdicts name it."""
    return Named(process.pid, process.name)


def of_process(process: Process) -> Subject:
    """A process as what a verdict is about."""
    return Subject("process", named(process))

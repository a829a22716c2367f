"""The rules a Shrimpy kernel keeps, judged on a Snapshot and nothing else."""

from __future__ import annotations

from typing import List, Optional

from .records import address, record
from .snapshot import Snapshot

PASS, FAIL, SKIPPED = "pass", "fail", "skipped"


@record
class Verdict:
    """What one rule says of one subject.

    status: "pass" "fail" "skipped"; why: for skipped and fail, a sentence.
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


def evaluate(snapshot: Snapshot, previous: Optional[Snapshot] = None) -> List[Verdict]:
    """A verdict per rule and subject, in RULES' order, subjects by pid.

    previous: an earlier snapshot of the same run; the rules about change need
    it, and a lost frame is described by what it last was.
    """
    raise NotImplementedError

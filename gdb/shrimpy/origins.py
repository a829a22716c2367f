"""Where what is wrong was written in a run that was recorded: data, of which words/origins.py makes the sentences."""

from __future__ import annotations

import enum
from typing import Optional, Tuple

from .kernel.cnames import ALLOCATING, GENERIC, SYSTEM_CALL
from .records import address, many, record, word
from .snapshot.model import Place


class What(str, enum.Enum):
    """What a store was made to. The first that is known is told first."""

    FIELD = "field"         # a field of a struct proc that holds what is wrong; label: the field
    ENTRY = "entry"         # a page table entry
    FREED = "freed"         # a frame, by who freed it
    UNMAPPED = "unmapped"   # the last entry that mapped a frame, by who cleared it
    COUNT = "count"         # the kernel's count of a frame's users
    WORD = "word"           # a word of a page
    FRAME = "frame"         # a frame, by who took it


class Untold(str, enum.Enum):
    """Why nothing is told of a cause."""

    NOT_RECORDED = "not-recorded"       # detail: why the kernel, or this run of it, cannot be recorded
    NOT_AGAIN = "not-again"             # the failure does not come again on one hart
    NO_STORE = "no-store"               # it names nothing that a store could have made wrong, or no store did
    NOT_ASKED = "not-asked"             # there were causes enough before it


@record
class Culprit:
    """What of memory a failure is about, all that is known of it.

    pte_at: the entry; or root and va, whose entry it is. proc: the struct proc, and value: what one of its fields holds that it
    should not. frame: which is wrong; freed: that frame is free and should not be; unmapped: the entry that mapped it last.
    count: the array of counts. at: the word of a page.
    """

    pte_at: Optional[int] = address(default=None)
    root: Optional[int] = address(default=None)
    va: Optional[int] = address(default=None)
    proc: Optional[int] = address(default=None)
    value: Optional[int] = address(default=None)
    frame: Optional[int] = address(default=None)
    freed: bool = False
    unmapped: Optional[int] = address(default=None)
    count: Optional[str] = None
    at: Optional[int] = address(default=None)


@record
class Origin:
    """One store. pa: of the bytes; instruction: how many were executed before; old, new: their value before and after; calls:
    where it was and who called, innermost first; pid, name: of the process that the hart ran; system_call: that it was in."""

    what: str = word(*(each.value for each in What))
    pa: int = address(default=0)
    instruction: int = 0
    old: int = address(default=0)
    new: int = address(default=0)
    calls: Tuple[Place, ...] = many(Place)
    pid: Optional[int] = None
    name: Optional[str] = None
    system_call: Optional[str] = None
    label: Optional[str] = None

    @property
    def place(self) -> Optional[Place]:
        """The line to look at: the innermost that is not in a function which does what its callers say."""
        known = [each for each in self.calls if each.function]
        return next((each for each in known if each.function not in GENERIC | ALLOCATING | _SERVING), known[0] if known else None)

    @property
    def caller(self) -> Optional[str]:
        """The function that does the system call, or handles the trap, in which it was; None where that is `place`."""
        names = [each.function for each in self.calls if each.function]
        ends = [i for i, each in enumerate(names) if each == SYSTEM_CALL or each.startswith("sys_")]
        outer = names[:ends[0]] if ends else names
        return outer[-1] if outer and self.place and outer[-1] != self.place.function else None


_SERVING = frozenset(("kzalloc", "kdup", "uvmcreate", "walkaddr", "either_copyout", "either_copyin", "copyin", "copyout"))


@record
class Traced:
    """All that is told of a cause: the stores, the one to look at first, or why there is none."""

    origins: Tuple[Origin, ...] = many(Origin)
    untold: Optional[str] = word(*(each.value for each in Untold), default=None)
    detail: str = ""


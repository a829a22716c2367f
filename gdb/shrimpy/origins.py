"""Where what is wrong was written in a run that was recorded: data, of which words/origins.py makes the sentences."""

from __future__ import annotations

import enum
import json
from typing import Any, Optional, Sequence, Tuple

from .reasons import Subject
from .records import Document, address, decode, encode, many, one, record, word


class What(str, enum.Enum):
    """What a store was made to. The first that is known is told first."""

    FIELD = "field"         # a field of a struct proc that holds what is wrong; label: the field
    ENTRY = "entry"         # a page table entry
    FREED = "freed"         # a frame, by who freed it
    UNMAPPED = "unmapped"   # the last entry that mapped a frame, by who cleared it
    COUNT = "count"         # the kernel's count of a frame's users; label: its array
    ATTACHED = "attached"   # how many attachments the kernel counts, of a segment or of a process; label: the count
    SEGMENT = "segment"     # another part of a segment of shared memory; label: the part
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

    pte_at: the entry; or root and va, whose entry it is. proc: the struct proc, and value: what one of its fields holds that it should
    not. frame: which is wrong; freed: that frame is free and should not be; lost: it should be free; unmapped: the entry that mapped it
    last. count: the array of counts; rises: its count is too high; uncounted: it may be too low because the entry, and what holds the
    frame, was never counted. at: the word of a page; went: it has what should be in another page. late: of a frame that was free already,
    the functions that gave it back then, innermost first. early: the state of proc says too soon that it can run. rivals: the field and
    the entry cannot both be: the later is wrong. own: one field holds value by right, and another may, too. segment, parts: its variable,
    and names of parts as SEGMENT_FIELDS has them. attached: what proc keeps of its attachments is wrong. chosen: the address is wrong,
    whoever writes to it. other, wanted: the struct proc, and what a field of it holds with which this should agree: it is wrong instead
    where it was written later; and so is what names other in proc.
    """

    pte_at: Optional[int] = address(default=None)
    root: Optional[int] = address(default=None)
    va: Optional[int] = address(default=None)
    proc: Optional[int] = address(default=None)
    value: Optional[int] = address(default=None)
    frame: Optional[int] = address(default=None)
    freed: bool = False
    lost: bool = False
    unmapped: Optional[int] = address(default=None)
    count: Optional[str] = None
    rises: bool = False
    uncounted: bool = False
    at: Optional[int] = address(default=None)
    went: bool = False
    late: Tuple[str, ...] = ()
    early: bool = False
    rivals: bool = False
    own: bool = False
    segment: Optional[str] = None
    parts: Tuple[str, ...] = ()
    attached: bool = False
    chosen: bool = False
    other: Optional[int] = address(default=None)
    wanted: Optional[int] = address(default=None)


@record
class Call:
    """A function on a stack, and the line where it is, with its text, as far as they are known."""

    function: Optional[str] = None
    file: Optional[str] = None
    line: Optional[int] = None
    source: Optional[str] = None


@record
class Origin:
    """One store.

    pa, size: of the bytes; instruction: how many were executed before; old, new: their value before and after; calls: where it was and
    who called, innermost first; look: which of them is to be looked at; caller: the function that does the system call, or
    handles the trap, if that is another; pid, name: of the process that the hart ran; system_call: that it was in.
    """

    what: str = word(*(each.value for each in What))
    pa: int = address(default=0)
    size: int = 8
    instruction: int = 0
    old: int = address(default=0)
    new: int = address(default=0)
    calls: Tuple[Call, ...] = many(Call)
    pid: Optional[int] = None
    name: Optional[str] = None
    system_call: Optional[str] = None
    label: Optional[str] = None
    look: Optional[int] = None
    caller: Optional[str] = None

    @property
    def place(self) -> Optional[Call]:
        """The line to look at."""
        return self.calls[self.look] if self.look is not None and 0 <= self.look < len(self.calls) else None


@record
class Traced:
    """All that is told of a cause: the stores, the one to look at first, or why there is none."""

    origins: Tuple[Origin, ...] = many(Origin)
    untold: Optional[str] = word(*(each.value for each in Untold), default=None)
    detail: str = ""


@record
class OfVerdict:
    """What is told of one failure, by its rule, its subject and the virtual address that it names."""

    rule: str
    about: Subject = one(Subject)
    traced: Traced = one(Traced)
    va: Optional[int] = address(default=None)


DOCUMENT = Document("shrimpy-origins", 1, "make it again: make check OUT=...")


@record
class _All:
    of: Tuple[OfVerdict, ...] = many(OfVerdict)


def from_data(data: Any) -> Tuple[OfVerdict, ...]:
    """What a document of that schema tells. Raises Unfit."""
    return decode(_All, data).of


def to_json(some: Sequence[OfVerdict]) -> str:
    """A document of schema shrimpy-origins."""
    return json.dumps({"schema": DOCUMENT.schema, "version": DOCUMENT.version, "of": [encode(each) for each in some]}, indent=1) + "\n"

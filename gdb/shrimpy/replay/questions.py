"""What is asked of a recording about a culprit: of which bytes the last store is wanted. No `gdb`."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Optional, Sequence, Tuple

from ..kernel import Kernel, processes
from ..kernel.cnames import ALLOCATING, FREEING, FROM_KERNEL, OUTERMOST, SYSTEM_CALL
from ..kernel.debuginfo import DebugInfo
from ..memory import sv39
from ..memory.readers import Reader, ReadError
from ..origins import Culprit, Origin, What
from ..records import address, many, record, word

_SERVING = ALLOCATING | frozenset((
    "memmove", "memcpy", "mappages", "kvmmap", "mapframes", "walk", "walkaddr", "uvmunmap", "uvmcreate", "uvmalloc", "uvmdealloc",
    "uvmfree", "freewalk", "copyout", "either_copyout", "setrunnable"))
_COPYING = frozenset(("copyout", "copyin", "copyinstr", "either_copyout", "either_copyin"))
_FREES, _TAKES = "kfree", "kalloc"
_COUNTS = ("n_attached", "n_users")     # of a segment's parts
_ENDS = ("freeproc", *sorted(FREEING))
_OUTER = OUTERMOST | {SYSTEM_CALL, FROM_KERNEL}


@record
class Question:
    """Who made some bytes what they are.

    pa, size: the bytes; mapped: only who took a mapping of this frame away; then: where the answer is an entry, who took the frame that
    it maps is asked, too; rises: of a count, only who made it more, else only who made it less; apart: of a count, only other functions
    than these, since the frame was taken; taking: only who took a frame from the allocator; instead: only where none before it of its
    cause is answered; rival: of these of one cause only the last store is told; later: told, and alone, only where it is later than all
    others of its cause; lost: who took this frame is told in any case, and, where nothing else is, who took away what led to it last;
    copied: where it was copied to or from user memory is to be looked at; outer: who does the system call is to be looked at; label: as
    Origin has it
    """

    what: str = word(*(each.value for each in What))
    pa: int = address(default=0)
    size: int = 8
    label: Optional[str] = None
    mapped: Optional[int] = address(default=None)
    then: bool = False
    rises: bool = False
    apart: Tuple[str, ...] = ()
    taking: bool = False
    instead: bool = False
    rival: bool = False
    later: bool = False
    lost: Optional[int] = address(default=None)
    copied: bool = False
    outer: bool = False


@record
class Asked:
    """Questions about what a recording has before the instruction `now`; of words of a page, not before `since`."""

    now: int
    questions: Tuple[Question, ...] = many(Question)
    since: int = 0


def about(culprit: Culprit, reader: Reader, info: DebugInfo) -> Tuple[Question, ...]:
    """The questions, in the order in which they are answered for people. reader: memory as it was where the failure was seen."""
    found: List[Question] = []
    kernel = Kernel(reader, info)
    frame = culprit.frame
    if frame is not None and culprit.unmapped is not None:
        found.append(Question(What.UNMAPPED.value, culprit.unmapped, mapped=frame))
    if culprit.early:
        found += _state(culprit, info)
    elif not culprit.uncounted:
        found += _held(culprit, kernel)
    found += (replace(one, later=True) for one in (*_fields(culprit.other, culprit.wanted, kernel),
                                                   *_fields(culprit.proc, culprit.other, kernel)))
    count = _count(culprit, kernel)
    if frame is not None and culprit.freed and not (culprit.late and count):     # a frame's words may have been written very often
        found.append(Question(What.FREED.value, frame))
    found += count
    if culprit.uncounted:
        found += (replace(one, instead=True) for one in _held(culprit, kernel))
    if culprit.at is not None and frame is not None:    # what nobody has written since the frame was taken was not cleared then
        word_at = Question(What.WORD.value, culprit.at, copied=culprit.went)
        found += (replace(one, rival=True) for one in (word_at, _taken(frame, kernel)))
    elif frame is not None and (culprit.lost or not found):
        taken = _taken(frame, kernel)
        found += replace(taken, lost=frame) if culprit.lost else taken, Question(What.FRAME.value, frame, instead=True)
    if kept := _kept(culprit, kernel):
        found = kept + [one if one.rival else replace(one, instead=True) for one in found]
    return tuple(replace(one, outer=culprit.chosen) for one in found if reader.ram[0] <= one.pa <= reader.ram[1] - one.size)


def _kept(culprit: Culprit, kernel: Kernel) -> List[Question]:
    """What the kernel keeps of a segment, and of what a process has attached."""
    found = [Question(What.ATTACHED.value if name in _COUNTS else What.SEGMENT.value, at, size, label, rises=culprit.rises)
             for name in culprit.parts if culprit.segment for at, size, label in kernel.parts_of(culprit.segment, [name])]
    if culprit.attached and culprit.proc is not None:
        found += (Question(What.ATTACHED.value, *one) for one in kernel.attached_in(culprit.proc))
    return [replace(one, rival=culprit.rivals) for one in found]


def _state(culprit: Culprit, info: DebugInfo) -> List[Question]:
    shape = processes.shape(info)
    place = shape.direct("state") if shape else None
    return [Question(What.FIELD.value, culprit.proc + place.offset, place.type.size, "state")] if place and culprit.proc else []


def _held(culprit: Culprit, kernel: Kernel) -> List[Question]:
    """The field of the process that holds the frame, and the entry."""
    fields, entry = _fields(culprit.proc, culprit.value, kernel), _entry(culprit, kernel.reader)
    if culprit.own:
        fields = [replace(one, rival=True) for one in fields] if len(fields) > 1 else []
    then = not fields and culprit.value is not None and not culprit.own
    asked = fields[:None if culprit.own else 1] + ([Question(What.ENTRY.value, entry, then=then)] if entry is not None else [])
    return [replace(one, rival=True) for one in asked] if culprit.rivals else asked


def _entry(culprit: Culprit, reader: Reader) -> Optional[int]:
    """Where the entry is, or the one at which the walk ends."""
    if culprit.pte_at is not None or culprit.root is None or culprit.va is None:
        return culprit.pte_at
    steps = sv39.translate(reader, culprit.root, culprit.va).steps
    return steps[-1].pte_at if steps else None


def _taken(frame: int, kernel: Kernel) -> Question:
    """Who took a frame: an allocator that counts need not write to it."""
    at, size = kernel.count_of(frame) or (frame, 8)
    return Question(What.FRAME.value, at, size, taking=True)


def _count(culprit: Culprit, kernel: Kernel) -> List[Question]:
    place = None if culprit.frame is None or culprit.count is None else kernel.count_of(culprit.frame)
    if place is None:
        return []
    less = Question(What.COUNT.value, *place, culprit.count, rises=culprit.rises)
    late = to_look_at(culprit.late)[0]
    # Of those who gave it back too often, the one that is alone with it is told first: the others do as each process's end does.
    usual = (culprit.late[late],) if late is not None else _ENDS if culprit.uncounted else ()
    return [replace(less, apart=usual), less] if usual else [less]


def _fields(proc: Optional[int], value: Optional[int], kernel: Kernel) -> List[Question]:
    """Those of a struct proc that hold the value."""
    if proc is None or not value:
        return []
    try:
        words = kernel.words_of_proc(proc)
    except ReadError:
        return []
    return [Question(What.FIELD.value, at, 8, name) for name, at, held in words if held == value]


def to_look_at(names: Sequence[str], outer: bool = False, copied: bool = False) -> Tuple[Optional[int], Optional[str]]:
    """(which function to look at: who called the last of those that only do what their callers say; the one that does the system
    call, or handles the trap, if that is another). outer: that one is to be looked at: it chose what the others were told.
    copied: where it was copied to or from user memory, if it was: there the address was translated."""
    known = [at for at, name in enumerate(names) if name]
    served = max((at for at in known if names[at] in _SERVING), default=-1)
    look = next((at for at in known if at > served), known[0] if known else None)
    if copied:
        look = next((at for at in known if names[at] in _COPYING), look)
    last = max((at for at in known if at > served and not names[at].startswith("sys_") and names[at] not in _OUTER), default=look)
    return (last, None) if outer or last is None or last == look else (look, names[last])


def answers(asked: Question, old: int, new: int, names: Sequence[str]) -> bool:
    """Whether a store is what a question is about, or where the search for it ends. names: the functions where it was, innermost first."""
    if asked.what == What.FREED:
        return _FREES in names
    if asked.taking:
        return _TAKES in names
    if is_the_end(asked, old, new, names):
        return True
    if asked.apart:
        look = to_look_at(names)[0]
        return new < old and (look is None or names[look] not in asked.apart)
    if asked.what in (What.COUNT, What.ATTACHED):
        return new > old if asked.rises else new < old
    if asked.mapped is not None:
        return old & sv39.V != 0 and sv39.pa_of(old) == asked.mapped
    return True


def is_new(asked: Question, new: int, names: Sequence[str]) -> bool:
    """Whether a store only cleared a table that was being made, in which an entry is asked about, whatever had been there."""
    return asked.what == What.ENTRY and new == 0 and names[:1] != [] and names[0] in ALLOCATING


def is_the_end(asked: Question, old: int, new: int, names: Sequence[str]) -> bool:
    """Whether a store by these functions took the frame, and so what was before it, was another use of that, which nobody asks about:
    where its last reference is wanted, or who gave it back too often."""
    return asked.what == What.COUNT and not asked.rises and new > old and _TAKES in names


def to_tell(answered: Sequence[Tuple[Question, Origin]]) -> Tuple[Origin, ...]:
    """What people are told of the stores that answer the questions about a culprit, in this order."""
    if last := _later(answered):
        return (last,)
    rival = max((origin.instruction for one, origin in answered if one.rival), default=0)
    left = [(one, origin) for one, origin in answered if not one.later and (not one.rival or origin.instruction == rival)]
    return tuple(dict.fromkeys(_without_taking(left)))


def _later(answered: Sequence[Tuple[Question, Origin]]) -> Optional[Origin]:
    """Of what is told only where it is later than all others: the last, if it is. An entry that says what a field said is as old as
    that; and what one system call has written is of one age."""
    others = [origin for one, origin in answered if not one.later]
    others = [one for one in others if one.what == What.FIELD] or others
    last = max((origin for one, origin in answered if one.later), key=lambda one: one.instruction, default=None)
    newest = max(others, key=lambda one: one.instruction, default=None)
    if last is None or newest is None or last.instruction < newest.instruction:
        return last if newest is None else None
    of_call = [(one.pid, one.system_call) for one in (last, newest)]
    return None if last.system_call and of_call[0] == of_call[1] else last


def _without_taking(answered: Sequence[Tuple[Question, Origin]]) -> List[Origin]:
    """Who took a frame is told where nothing else is that was asked of it, where that frame is lost, and after who mapped it."""
    mapped = any(origin.what == What.ENTRY for _, origin in answered)
    others = [origin for one, origin in answered if origin.what != What.FRAME or mapped or one.lost is not None]
    return others or [origin for _, origin in answered]

"""What of memory a failure of a segment of shared memory is about."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional, Sequence, Set, Tuple

from ..origins import Culprit
from ..reasons import Kind as K, Reason
from ..snapshot import Process, Snapshot
from ..snapshot.attached import attachments

_FRAMES, _COUNTS, _REMOVED = ("frames", "frame"), ("n_attached", "n_users"), ("mode", "removed")
_PARTS = {K.SEGMENT_SHORT: _FRAMES, K.SEGMENT_KEY: ("key",)}


def of(why: Reason, process: Optional[Process], entry: Optional[Culprit], snapshot: Snapshot, earlier: Sequence[Snapshot]
       ) -> Optional[Culprit]:
    """None where there is nothing to be said of a segment. entry: what is wrong; earlier: snapshots of the same run."""
    if why.kind in _PARTS:
        return Culprit(segment=why.label, parts=_PARTS[why.kind])
    if why.kind == K.SEGMENT_OVER:      # who marked it, or let the last attachment go, should have given it back
        return Culprit(segment=why.label, parts=_REMOVED + _COUNTS, rivals=True)
    if why.kind == K.ATTACHED_MISCOUNTED:
        return _of_count(why, snapshot, earlier)
    if process is None or entry is None:
        return None
    if why.kind == K.ATTACHED_STRAY:      # the page, or that nothing is kept of it: the later of both
        return replace(entry, proc=process.proc, attached=True, rivals=True)
    if why.kind == K.ATTACHED_GONE:     # who took it out of use; where that is not seen, who freed what is mapped there
        frame = next((one.pa for one in process.mappings if one.va == why.va), None)
        return Culprit(segment=why.label, parts=_FRAMES, frame=frame, freed=frame is not None)
    if why.kind == K.ATTACHED_PLACE:
        return replace(entry, proc=process.proc, value=process.sz, rivals=True, chosen=True) if why.value else replace(entry, chosen=True)
    return None


def _of_count(why: Reason, snapshot: Snapshot, earlier: Sequence[Snapshot]) -> Optional[Culprit]:
    """Who came, or went, since the count was right, and was not counted; else who counted it up last."""
    right = next((one for one in reversed(earlier) if _is_counted(why.label, one)), None)
    then, now = _pages(why.label, right) if right else set(), _pages(why.label, snapshot)
    is_high = (why.value or 0) > (why.n or 0)
    _, pte_at, frame = max(then - now if is_high else now - then, default=(None, None, None))
    if pte_at is None:
        return Culprit(segment=why.label, parts=_COUNTS, rises=is_high)
    return Culprit(frame=frame, unmapped=pte_at) if is_high else Culprit(pte_at=pte_at)


def _is_counted(name: Optional[str], snapshot: Snapshot) -> bool:
    """Whether a segment's count is right, where it has one."""
    found = next((one for one in snapshot.segments if one.name == name), None)
    return found is not None and found.n_attached == sum(one.segment is found for one in attachments(snapshot))


def _pages(name: Optional[str], snapshot: Snapshot) -> Set[Tuple[int, int, int]]:
    """(the process's pid, where the entry is, the frame) of the first page of each attachment of a segment."""
    return {(one.process.pid, first.pte_at, first.pa) for one in attachments(snapshot) if one.name == name and one.pages
            for first in [one.pages[min(one.pages)]]}

"""What of memory a failure is about: whom to ask for the store that made it so."""

from __future__ import annotations

from dataclasses import replace
from typing import Collection, Mapping, Optional, Sequence, Tuple

from ..origins import Culprit
from ..memory.sv39 import pa_of
from ..reasons import Kind as K, Reason
from ..snapshot import Process, Snapshot
from ..snapshot.frames import pages_of
from ..spec import Differs, Divergence
from . import segment_culprits
from .causes import LOST, RIGHTS, is_high
from .verdict import Verdict

_ORPHANED = (K.ORPHAN_FREE, K.ORPHAN_REUSED)
_FREED = (*_ORPHANED, K.FREE_IN_USE, K.KERNEL_FREE_IN_USE)
_FRAMES = (Differs.NOT_SHARED, Differs.SHARED, Differs.MOVED, Differs.CROWD)


def of(verdict: Verdict, snapshot: Snapshot, earlier: Sequence[Snapshot] = (), can_run: Collection[int] = ()) -> Optional[Culprit]:
    """None where it names nothing of memory. earlier: snapshots of the same run, the last one last; can_run: see rules.Known."""
    why = verdict.reason or Reason(K.NOTHING_HERE)
    process = snapshot.process(verdict.pid) if verdict.pid is not None else None
    entry = _entry(process, verdict.va, verdict.pte_at)
    if why.kind in LOST or is_high(verdict):
        found = _of_lost(why.frame if why.frame is not None else verdict.about.pa, snapshot, earlier)
        return replace(found, rises=why.kind == K.MISCOUNTED) if found else None
    if why.kind == K.MISCOUNTED:
        return _of_count(why, snapshot, earlier)
    if why.kind == K.PANICKED and snapshot.panic is not None and snapshot.panic.frame is not None:
        return Culprit(frame=snapshot.panic.frame, freed=True, count=snapshot.counts.name if snapshot.counts else None,
                       late=why.functions)
    moved = why.kind in _ORPHANED and entry is not None and _came_elsewhere(process, verdict.va, why.frame, earlier)
    if why.kind in _FREED and not moved:
        return Culprit(frame=why.frame, freed=True)
    if why.kind == K.HEAP_TOO_LARGE and process is not None:
        return Culprit(proc=process.proc, value=process.sz)
    if why.kind in (K.ROOT_SHARED, K.TABLE_SHARED) and process is not None and why.process is not None:
        process = max((one for one in (process, snapshot.process(why.process.pid)) if one is not None), key=lambda one: one.pid)
    if process is not None and verdict.pid in can_run:     # what it lacks may come, but too late
        return Culprit(proc=process.proc, early=True)
    if why.kind == K.SATP_NOT_ROOT and why.frame is not None and process is not None:
        return Culprit(root=why.frame, va=_shared_page(process, snapshot))
    if why.kind in (K.SATP_NOT_ROOT, K.ROOT_SHARED):
        return Culprit(proc=process.proc, value=process.root) if process is not None else None
    if why.kind == K.TABLE_SHARED:     # of the younger: the older was there first
        return next((Culprit(pte_at=one.entry) for one in (process.tables if process else ()) if one.pa == why.frame), entry)
    if why.kind == K.FRY_NOT_PRIVATE and why.detail != "given again" and process is not None and verdict.va is not None:
        process = _youngest(process, why, snapshot)
        entry = _entry(process, verdict.va, None)
    if why.kind == K.PANICKED and entry is not None:
        return _of_left(process, entry, snapshot)
    if (found := segment_culprits.of(why, process, entry, snapshot, earlier)) is not None:
        return found
    if why.kind in RIGHTS or why.kind == K.BAD_PLACE:
        return entry
    if entry is None:
        return None
    found = _of_entry(entry, process, why.frame, snapshot)
    parent = snapshot.process(why.process.pid) if why.kind == K.SHRIMP_NOT_PARENTS and why.process else None
    return replace(found, other=parent.proc, wanted=why.wanted) if parent else found


def of_divergence(one: Divergence, snapshot: Snapshot, pids: Mapping[int, int], earlier: Sequence[Snapshot] = ()) -> Optional[Culprit]:
    """What the specification was not kept in. pids: by the numbers of the story; earlier: as of() has it. None where that says nothing
    of memory."""
    layout = snapshot.layout
    went = one.what is Differs.CONTENT and one.other is not None    # what should be there is in another page
    cell = one.other if went else one.cell
    va = {"FRY": layout.fry, "SHRIMP": layout.shrimp}.get(cell.page) if cell else None
    pid = pids.get(cell.process) if cell else None
    if one.what is Differs.CROWD:
        va, pid = layout.shrimp, one.pid
    process = snapshot.process(pid) if pid is not None else None
    entry = _entry(process, va, None)
    if process is None or entry is None:
        return None
    frame = next((each.pa for each in process.mappings if each.va == va), None)
    if one.what in _FRAMES or one.what is Differs.CONTENT and not went and _came_elsewhere(
            process, va, frame, earlier, one.written):
        return _of_entry(entry, process, frame, snapshot)
    if one.what is Differs.CONTENT and frame is not None and one.index is not None:
        return Culprit(frame=frame, at=frame + 8 * one.index, went=went)
    return entry if one.what in (Differs.MISSING, Differs.FLAGS, Differs.SEEN) else None


def _came_elsewhere(process: Optional[Process], va: Optional[int], frame: Optional[int], earlier: Sequence[Snapshot],
                    new: bool = False) -> bool:
    """Whether a page of a process was in another frame when it was last seen: its table was changed, and not the frame. new: the answer
    where it was not seen before."""
    was = next((each.pa for taken in reversed(earlier) for one in taken.processes if process is not None and one.pid == process.pid
                for each in one.mappings if each.va == va), None)
    return bool(new and earlier) if was is None else was != frame


def _of_left(process: Optional[Process], entry: Culprit, snapshot: Snapshot) -> Culprit:
    """A page that is still mapped where its table is freed: that, or what is kept of its process's memory, whichever was later."""
    owner = next((one for one in snapshot.processes if any(each.pte_at == entry.pte_at for each in one.mappings)), process)
    panic = snapshot.panic
    if panic is None or panic.pte is None or owner is None:
        return entry
    if pa_of(panic.pte) in {pa for one in snapshot.segments for pa in pages_of(one.frames)}:
        return replace(entry, proc=owner.proc, attached=True, rivals=True)
    is_heap = panic.va is not None and panic.va < (snapshot.layout.shrimp or 0)
    return replace(entry, proc=owner.proc, value=owner.sz, rivals=True) if is_heap else entry


def _shared_page(process: Process, snapshot: Snapshot) -> Optional[int]:
    """SHRIMP where a process has it, else FRY."""
    layout = snapshot.layout
    return layout.shrimp if any(one.va == layout.shrimp for one in process.mappings) else layout.fry


def _youngest(process: Process, why: Reason, snapshot: Snapshot) -> Process:
    """Of those that have one page, who came to it last: the others were there first."""
    others = (snapshot.process(one.pid) for one in why.processes)
    return max((process, *(one for one in others if one is not None)), key=lambda one: one.pid)


def _of_entry(entry: Culprit, process: Optional[Process], frame: Optional[int], snapshot: Snapshot) -> Culprit:
    """An entry that leads to a frame where another belongs: the field of the process that holds the frame is asked, too; of the
    process's own page only where two do."""
    own = process is not None and any(each.va == snapshot.layout.fry != entry.va and each.pa == frame for each in process.mappings)
    return Culprit(entry.pte_at, entry.root, entry.va, process.proc if process else None, frame, frame, own=own)


_ALONE = ("table", "trapframe", "kstack", "pipe")
"""Users that share a frame with nobody."""


def _of_count(why: Reason, snapshot: Snapshot, earlier: Sequence[Snapshot]) -> Culprit:
    """A count that is too low: somebody counted down who should not, or else did not count up who came to the frame last. Where those
    who map it do not belong together, it was freed too early, and taken again by others; an orphan belongs to its first parent."""
    found = Culprit(frame=why.frame, count=why.label, freed=why.free)
    users = [(one, each) for one in snapshot.processes for each in one.mappings if each.pa == why.frame and each.n_pages == 1]
    if not users:
        return found
    process, mapping = max(users, key=lambda user: user[0].pid)
    held = _of_entry(Culprit(pte_at=mapping.pte_at, va=mapping.va), process, why.frame, snapshot)
    owners = {one.pid for one, each in users if each.va == snapshot.layout.fry}
    first = {one.pid: one.parent for taken in (snapshot, *reversed(earlier)) for one in taken.processes}
    parents = {first[one.pid] for one, _ in users if one.pid not in owners}
    is_one_page = len(owners) < 2 and (not owners or parents <= owners) and not any(one.kind in _ALONE for one in why.users)
    return replace(found, freed=found.freed or not is_one_page, uncounted=True, pte_at=held.pte_at, va=held.va, proc=held.proc,
                   value=held.value)


def _of_lost(frame: Optional[int], snapshot: Snapshot, earlier: Sequence[Snapshot]) -> Optional[Culprit]:
    """A frame that is not freed: who took its last mapping away, or gave the tables up in which it was mapped, or gave the last
    reference back that was given back."""
    if frame is None:
        return None
    pid, entry = _last_entry(frame, (*earlier, snapshot))
    process = snapshot.process(pid) if pid is not None else None
    old = next((one.root for taken in reversed(earlier) for one in taken.processes if one.pid == pid), None)
    renewed = process is not None and process.root != old
    return Culprit(frame=frame, lost=True, unmapped=entry, count=snapshot.counts.name if snapshot.counts else None,
                   proc=process.proc if process and renewed else None, value=process.root if process and renewed else None)


def _entry(process: Optional[Process], va: Optional[int], pte_at: Optional[int]) -> Optional[Culprit]:
    if pte_at is not None:
        return Culprit(pte_at=pte_at)
    return Culprit(root=process.root, va=va) if process is not None and process.root is not None and va is not None else None


def _last_entry(frame: int, earlier: Sequence[Snapshot]) -> Tuple[Optional[int], Optional[int]]:
    """(whose it was, where the entry was that mapped a frame, or led to that table) in the last snapshot that has one; of a root
    there is no entry."""
    for snapshot in reversed(earlier):
        for process in snapshot.processes:
            for each in process.mappings:
                if each.pa == frame and pa_of(each.pte) == frame and each.n_pages == 1:
                    return process.pid, each.pte_at
            for table in process.tables:
                if table.pa == frame:
                    return process.pid, table.entry
    return None, None

"""Rules about segments of shared memory, where a kernel has them (System V: shmget, shmat)."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import Dict, Iterator, List, Optional, Tuple

from ..reasons import KERNEL, Holder, Kind, Reason, Subject
from ..snapshot import Mapping, Segment
from ..snapshot.attached import Attached, attachments, n_frames, n_pages
from ..snapshot.frames import pages_of
from ..snapshot.index import FRY, SHRIMP, TRAPFRAME
from .pages import has_run_exec
from .verdict import Bench, Rule, Verdict, named, of_process
from .view import PAGE, View, pages_up

_MOST_USERS = 6
"""Attachments of a miscounted segment that a failure names."""

_MOST_TOLD = 4
"""Failures of one process that are told."""

HEAP = "heap"
"""What an attachment reaches into, beside FRY, SHRIMP and TRAPFRAME."""


def _judged(bench: Bench, found: Iterator[Verdict], none: Kind) -> Iterator[Verdict]:
    """What is found where there are segments; where that is nothing, why."""
    why = bench.view.no_segments()
    verdicts = [] if why else list(found)
    yield from verdicts or [bench.skipped(KERNEL, why or Reason(none))]


def _subject(segment: Segment) -> Subject:
    return Subject("segment", label=segment.name)


def _failed(bench: Bench, segment: Segment, why: Reason) -> Verdict:
    """A failure of a segment; skipped while somebody may be changing it."""
    busy = bench.view.unsettled()
    return bench.held_back(_subject(segment), busy, why) if busy else bench.failed(_subject(segment), why, None)


def _by_process(view: View) -> Dict[int, List[Attached]]:
    """What processes have attached, by their slots."""
    found: Dict[int, List[Attached]] = defaultdict(list)
    for one in view.attached:
        found[one.process.slot].append(one)
    return found


# Counts

def segment_count(bench: Bench) -> Iterator[Verdict]:
    """A verdict per segment: what the kernel counts, and the attachments in all tables. A count of users that are not known to be
    attachments must not be lower than the number of processes that map it."""
    yield from _judged(bench, (_counted(bench, one) for one in bench.view.snapshot.segments), Kind.NO_SEGMENT)


def _counted(bench: Bench, segment: Segment) -> Verdict:
    about, count, view = _subject(segment), segment.n_attached, bench.view
    mine = [one for one in view.attached if one.segment is segment]
    if count is None:
        return bench.skipped(about, Reason(Kind.ATTACHED_UNKNOWN))
    if len(mine) == count:
        return bench.passed(about)
    if count >= len({one.process.pid for one in mine}) and "att" not in (segment.counted or "att"):
        return bench.skipped(about, Reason(Kind.ATTACHED_UNKNOWN, label=segment.counted))
    if len(mine) < count and not view.keeps_attachments and not view.attaches_at_once:
        return bench.skipped(about, Reason(Kind.MAPPED_AT_TOUCH))
    users = tuple(Holder("user", named(one.process), None, one.va) for one in mine[:_MOST_USERS])
    return _failed(bench, segment, Reason(Kind.ATTACHED_MISCOUNTED, label=segment.name, detail=segment.counted, value=count,
                                          n=len(mine), users=users))


# Pages

def segment_rights(bench: Bench) -> Iterator[Verdict]:
    """A verdict per process that has something attached. Whether it is read-only the kernel keeps, or whoever stopped the machine
    knows."""
    yield from _judged(bench, _rights(bench), Kind.NO_ATTACHMENT)


def _rights(bench: Bench) -> Iterator[Verdict]:
    for mine in _by_process(bench.view).values():
        p = mine[0].process
        wrong = [(one, m, state) for one in mine for state in [_wanted(bench.view, one)] for m in one.pages.values()
                 if not _has_rights(m, state)]
        if not wrong and any(one.pages for one in mine):
            yield bench.passed(of_process(p))
        for one, m, state in wrong[:_MOST_TOLD]:
            why = Reason(Kind.ATTACHED_RIGHTS, label=one.name, flags=m.flags, level=m.level, state=state)
            yield bench.accuse(p, why, None, mapping=m)


def _wanted(view: View, one: Attached) -> Optional[str]:
    """"read-only", "writable", or None where that is not known."""
    writes = False if one.process.pid in view.known.reading else one.record.writes if one.record else None
    return None if writes is None else "writable" if writes else "read-only"


def _has_rights(m: Mapping, state: Optional[str]) -> bool:
    plain = m.flags[1] == "R" and m.flags[3:5] == "-U" and m.level == 0
    return plain and (state is None or (m.flags[2] == "W") == (state == "writable"))


def segment_pages(bench: Bench) -> Iterator[Verdict]:
    """A verdict per process that has something attached: each page is the segment's own, in order, and none is missing; and one per
    segment that has too few frames for its size. A page that is free, not-on-free-list tells."""
    view = bench.view
    short = [one for one in view.snapshot.segments if view.attaches_at_once and n_frames(one) < n_pages(one)]
    found = [_failed(bench, one, Reason(Kind.SEGMENT_SHORT, label=one.name, value=one.size, n=n_frames(one), bound=n_pages(one)))
             for one in short]
    for mine in _by_process(view).values():
        wrong = list(islice((v for one in mine for v in _wrong_pages(bench, one)), _MOST_TOLD))
        found += wrong or [bench.passed(of_process(mine[0].process))]
    yield from _judged(bench, iter(found), Kind.NO_ATTACHMENT)


def _wrong_pages(bench: Bench, one: Attached) -> Iterator[Verdict]:
    view, p, segment = bench.view, one.process, one.segment
    if segment is None:
        yield bench.accuse(p, Reason(Kind.ATTACHED_GONE, label=one.name, va=one.va), None, va=one.va)
    elif one.record is None and view.keeps_attachments:
        first = min(one.pages.values(), key=lambda m: m.va)
        yield bench.accuse(p, Reason(Kind.ATTACHED_STRAY, label=one.name, va=one.va, n=len(one.pages)), None, mapping=first)
    elif n_frames(segment) == one.n_pages:      # with fewer, which of the pages they are is not known
        for i, wanted in enumerate(pages_of(segment.frames)):
            if i not in one.pages:
                yield _wrong_page(bench, one, i, wanted)


def _wrong_page(bench: Bench, one: Attached, i: int, wanted: int) -> Verdict:
    va = one.va + i * PAGE
    there = bench.view.leaf(one.process, va)
    if there is None and not bench.view.attaches_at_once:
        return bench.skipped(of_process(one.process), Reason(Kind.MAPPED_AT_TOUCH))
    why = Reason(Kind.ATTACHED_PAGE, label=one.name, va=one.va, n=i, frame=there.pa if there else None, wanted=wanted)
    return bench.accuse(one.process, why, None, va=va, mapping=there)


# Places

def segment_place(bench: Bench) -> Iterator[Verdict]:
    """A verdict per process that has something attached. Below sz it is only wrong where this kernel is seen to attach above it:
    others move sz."""
    yield from _judged(bench, _places(bench), Kind.NO_ATTACHMENT)


def _places(bench: Bench) -> Iterator[Verdict]:
    view = bench.view
    earlier = [one for s in (view.previous, view.known.start, view.known.before) if s for one in attachments(s)]
    moves_sz = all(one.va < pages_up(one.process.sz) for one in (*view.attached, *earlier))
    for mine in _by_process(view).values():
        p = mine[0].process
        wrong = [(one, page) for one in mine for page in [_reached(view, one)] if page]
        for one, page in wrong[:_MOST_TOLD]:
            why = Reason(Kind.ATTACHED_PLACE, label=one.name, va=one.va, bound=one.va + one.n_pages * PAGE, page=page,
                         value=p.sz if page == HEAP else None)
            yield bench.skipped(of_process(p), Reason(Kind.BELOW_SZ)) if page == HEAP and moves_sz else bench.accuse(
                p, why, None, va=one.va)
        if not wrong:
            yield bench.passed(of_process(p))


def _reached(view: View, one: Attached) -> Optional[str]:
    """What an attachment reaches into, or None."""
    layout = view.layout
    pages: List[Tuple[Optional[int], str]] = [(layout.shrimp, SHRIMP), (layout.fry, FRY), (layout.trapframe, TRAPFRAME)]
    end = one.va + one.n_pages * PAGE
    there = [(va, name) for va, name in pages if va is not None and end > va]
    return min(there)[1] if there else HEAP if one.va < pages_up(one.process.sz) else None


def segment_exec(bench: Bench) -> Iterator[Verdict]:
    """A verdict per process that is known to have run exec: what it has attached may be its new program's, unless that is known to
    attach nothing."""
    yield from _judged(bench, _after_exec(bench), Kind.NO_EXEC)


def _after_exec(bench: Bench) -> Iterator[Verdict]:
    view, attached = bench.view, _by_process(bench.view)
    for p in view.living():
        mine, is_known = attached.get(p.slot), p.pid in view.known.execed
        if mine and is_known:
            why = Reason(Kind.ATTACHED_KEPT, label=mine[0].name, va=mine[0].va)
            yield bench.accuse(p, why, "exec", va=mine[0].va, mapping=view.leaf(p, mine[0].va))
        elif is_known or has_run_exec(view, p):
            yield bench.skipped(of_process(p), Reason(Kind.MAY_BE_NEW)) if mine else bench.passed(of_process(p))


# Segments among themselves

def segment_private(bench: Bench) -> Iterator[Verdict]:
    """A verdict per segment: no frame is in two, or twice in one; no two have one key, unless that is 0 (IPC_PRIVATE)."""
    yield from _judged(bench, _apart(bench), Kind.NO_SEGMENT)


def _apart(bench: Bench) -> Iterator[Verdict]:
    frames: Dict[int, Segment] = {}
    keys: Dict[int, Segment] = {}
    for segment in bench.view.snapshot.segments:
        shared = [pa for pa in pages_of(segment.frames) if pa in frames or frames.setdefault(pa, segment) is None]
        same = keys.setdefault(segment.key, segment) if segment.key and not segment.removed else segment
        if shared:
            yield _failed(bench, segment, Reason(Kind.SEGMENT_SHARED, label=segment.name, frame=shared[0], detail=frames[shared[0]].name))
        elif same is not segment:
            yield _failed(bench, segment, Reason(Kind.SEGMENT_KEY, label=segment.name, value=segment.key, detail=same.name))
        else:
            yield bench.passed(_subject(segment))


def segment_removed(bench: Bench) -> Iterator[Verdict]:
    """A verdict per segment that is marked to go with its last attachment."""
    removed = [one for one in bench.view.snapshot.segments if one.removed]
    yield from _judged(bench, (_outlived(bench, one) for one in removed), Kind.NONE_REMOVED)


def _outlived(bench: Bench, segment: Segment) -> Verdict:
    view = bench.view
    if any(one.segment is segment for one in view.attached):
        return bench.passed(_subject(segment))
    if segment.n_attached and not view.keeps_attachments and not view.attaches_at_once:
        return bench.skipped(_subject(segment), Reason(Kind.MAPPED_AT_TOUCH))
    return _failed(bench, segment, Reason(Kind.SEGMENT_OVER, label=segment.name, n=n_frames(segment), value=segment.n_attached))


RULES = (
    Rule("segment-count", segment_count, beyond_handout=True),
    Rule("segment-rights", segment_rights, beyond_handout=True),
    Rule("segment-pages", segment_pages, beyond_handout=True),
    Rule("segment-place", segment_place, beyond_handout=True),
    Rule("segment-exec", segment_exec, beyond_handout=True),
    Rule("segment-private", segment_private, beyond_handout=True),
    Rule("segment-removed", segment_removed, beyond_handout=True),
)

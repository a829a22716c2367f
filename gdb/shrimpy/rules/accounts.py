"""Rules about who has each frame and how often: any xv6 keeps them."""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..kernel.cnames import CACHE_WORDS, PROCESS_TABLES
from ..reasons import RAM, Kind, Reason, Subject
from ..records import Runs
from ..snapshot.frames import Frame, User
from ..snapshot.index import FRY
from .pages import has_run_exec, is_orphans_page
from .verdict import Bench, Rule, Verdict, named, of_process
from .view import PAGE, View, count_pages, holder_of

_OWN = frozenset(("user", "table", "trapframe", "kstack", "kernel-table"))
"""Kinds of users that other rules account for."""

_OF_A_PROCESS = frozenset(("user", "table", "trapframe"))

_MAX_TOLD = 16
"""Failures of one kind told one by one; the rest is counted."""

_MOST_USERS = 4
"""Users of a miscounted frame that a failure names."""

_MAX_UNSEEN = 16
"""Blocks in a row that are called lost where no earlier snapshot tells; more may be a pool that this kit cannot read."""

_UNWALKED = frozenset(("root-outside-ram", "table-outside-ram", "unreadable", "truncated"))


# Frames that nobody has

def frames_conserved(bench: Bench) -> Iterator[Verdict]:
    """Judges only where nobody may just hold a frame: see View.unsettled."""
    view = bench.view
    why = _unaccountable(view)
    if why:
        yield bench.skipped(RAM, why)
        return
    lost, unknown = _sorted_out(view)
    unsettled = view.unsettled()
    half_made = [p for p in view.processes if p.state == "USED"]
    if unsettled and (lost or unknown or half_made):
        yield bench.held_back(RAM, unsettled, Reason(Kind.NO_OWNER, n=count_pages(lost + unknown), total=len(half_made)))
        return
    for p in half_made:
        yield bench.failed(of_process(p), Reason(Kind.NEVER_MADE, frame=p.root), "fork", process=p)
    for pa, n_pages in lost[:_MAX_TOLD]:
        yield _lost(bench, pa, n_pages)
    if len(lost) > _MAX_TOLD:
        yield bench.failed(RAM, Reason(Kind.MORE_LOST, n=count_pages(lost[_MAX_TOLD:]), total=count_pages(lost)), None)
    if unknown:
        first, n_pages = unknown[0]
        yield bench.skipped(Subject("frames", pa=first, n_pages=n_pages), Reason(Kind.MAYBE_A_POOL, n=count_pages(unknown)))
    if not lost and not half_made and 2 * count_pages(unknown) < _n_frames(view):
        yield bench.passed(RAM)


def _n_frames(view: View) -> int:
    bounds = view.allocatable()
    return (bounds[1] - bounds[0]) // PAGE if bounds else 0


def _unaccountable(view: View) -> Optional[Reason]:
    """Why frames cannot be accounted for at this stop, or None."""
    snapshot, busy = view.snapshot, view.allocator_busy()
    unknown = view.unknown("no-proc-table", "no-debug-info")
    if busy or unknown:
        return busy or unknown
    if not snapshot.free.complete:
        return view.free_unknown()
    if view.allocatable() is None:
        return Reason(Kind.IMAGE_END_UNKNOWN)
    if snapshot.kernel_table.root is None:
        return Reason(Kind.NO_KERNEL_TABLE)
    unwalked = [p for p in view.processes if any(f.kind in _UNWALKED for f in p.findings)]
    if unwalked:
        # Who is buried still points to its tables, which may be others' frames by now.
        making = next((why for p in unwalked for why in [view.busy(p)] if why), None)
        why = Reason(Kind.TABLES_NOT_FOLLOWED, process=named(unwalked[0]))
        return Reason(Kind.HELD_BACK, because=making, stands=why) if making else why
    if any(f.kind in _UNWALKED for f in snapshot.kernel_table.findings):
        return Reason(Kind.KERNEL_TABLE_NOT_FOLLOWED)
    if snapshot.free.count == 0 and count_pages(snapshot.lost) > _n_frames(view) // 2:
        return Reason(Kind.ALLOCATOR_UNKNOWN)
    return None


def _sorted_out(view: View) -> Tuple[Runs, Runs]:
    """The frames that nobody has, as runs: those that were given out and are lost, and those of which that
    cannot be shown."""
    history = _History(view)
    edges = view.allocatable() or (0, 0)
    lost: List[Tuple[int, int]] = []
    unknown: List[Tuple[int, int]] = []
    for run in view.snapshot.lost:
        for pa, n_pages, was_given in history.split(run):
            at_an_edge = pa == edges[0] or pa + n_pages * PAGE == edges[1]
            may_be = history.start is None and _n_blocks(view, pa, n_pages) <= _MAX_UNSEEN and not at_an_edge
            (lost if was_given or may_be else unknown).append((pa, n_pages))
    return tuple(lost), tuple(unknown)


def _n_blocks(view: View, pa: int, n_pages: int) -> int:
    """How many blocks such frames are, of the largest size that this allocator has and that fits."""
    sizes = [one.n_pages for one in view.snapshot.free.lists if not pa % (one.n_pages * PAGE) and not n_pages % one.n_pages]
    return n_pages // max(sizes, default=1)


class _History:
    """What the earlier snapshots of a run say of frames that nobody has now."""

    def __init__(self, view: View) -> None:
        known = view.known
        self.start = View(known.start) if known.start and known.start.free.complete else None
        self._earlier = [View(s) for s in (view.previous, known.before, known.start) if s is not None]
        counts = view.snapshot.counts
        self._counted = dict(counts.values) if counts else {}

    def split(self, run: Tuple[int, int]) -> Iterator[Tuple[int, int, bool]]:
        """The parts of a run: (first frame, pages, whether the allocator gave them out)."""
        first, n_pages = run
        start, said = first, self._was_given(first)
        for pa in range(first + PAGE, first + n_pages * PAGE, PAGE):
            now = self._was_given(pa)
            if now != said:
                yield start, (pa - start) // PAGE, said
                start, said = pa, now
        yield start, (first + n_pages * PAGE - start) // PAGE, said

    def _was_given(self, pa: int) -> bool:
        if any(one.is_free(pa) for one in self._earlier):
            return True
        if self.start is not None and not self.start.users(pa):
            return False        # nobody had it before anything ran: it may be a pool's, which has no list
        return any(one.users(pa) for one in self._earlier) or bool(self._counted.get(pa))


def _lost(bench: Bench, pa: int, n_pages: int) -> Verdict:
    view = bench.view
    counts = view.snapshot.counts
    why = Reason(Kind.LOST, users=view.holders_before(pa), is_shrimpy=view.layout.fry is not None,
                 label=counts.name if counts else None, value=dict(counts.values).get(pa, 0) if counts else None)
    return bench.failed(Subject("frames", pa=pa, n_pages=n_pages), why, _loser(view, pa))


def _loser(view: View, pa: int) -> Optional[str]:
    """The usual name of the function that should have freed a frame, by what it was last and what became of whose it was: freewalk
    only where it gave back other tables of the same process, freeproc only where each of several that have been buried lost
    such a one. None where that is not known."""
    users = view.users_before(pa)
    owners = [u.pid for u in users if u.pid is not None]
    if {u.kind for u in users} == {"table"}:
        return "freewalk" if _gave_back_tables(view, owners) else None
    alive = [p for p in map(view.process, owners) if p is not None and view.earlier(p) is not None]
    if not owners or alive and not any(has_run_exec(view, p) for p in alive):
        return None
    return "exec" if alive else "freeproc" if _all_lost(view, _used_as(users, view)) else None


def _gave_back_tables(view: View, owners: Sequence[int]) -> bool:
    """Whether a table that one of these had at the earlier stop is free now."""
    return any(view.is_free(frame.pa) for frame in (view.previous.frames if view.previous else ())
               for u in frame.users if u.kind == "table" and u.pid in owners)


def _used_as(users: Iterable[User], view: View) -> Tuple[str, Optional[str]]:
    """What a frame was to its users: its kind, and which of the two pages. Shared, it is FRY."""
    found = [(u.kind, view.shared(u.va) if u.kind == "user" else None) for u in users]
    return next((one for one in found if one[1] == FRY), found[0])


def _all_lost(view: View, use: Tuple[str, Optional[str]]) -> bool:
    """Whether each process that has been buried since the earlier stop lost a frame that it used so, and there are several."""
    lost: Dict[Optional[int], bool] = {}
    for frame in view.previous.frames if view.previous else ():
        owners = [u for u in frame.users if u.pid is not None and view.process(u.pid) is None]
        if owners and _used_as(frame.users, view) == use:
            pid = next((u.pid for u in owners if u.kind == "user" and view.shared(u.va) == FRY), owners[0].pid)
            is_lost = any(pa <= frame.pa < pa + n * PAGE for pa, n in view.snapshot.lost)
            lost[pid] = lost.get(pid, False) or is_lost
    return len(lost) > 1 and all(lost.values())


# Frames that should have come back

def frames_return(bench: Bench) -> Iterator[Verdict]:
    """Judges where all that ran since an earlier snapshot is known to have ended:
    compares what the kernel holds for no process that lives."""
    view, before = bench.view, bench.view.known.before
    if before is None:
        yield bench.skipped(RAM, Reason(Kind.NO_EARLIER_RUN))
        return
    then = View(before)
    why = _unaccountable(view) or view.unsettled()
    if not why and _who(view) != _who(then):
        why = Reason(Kind.NOT_ENDED)
    earlier = None if why else _unaccountable(then) or then.unsettled()
    if why or earlier:
        yield bench.skipped(RAM, why or Reason(Kind.AT_EARLIER_STOP, because=earlier))
        return
    n_lost = count_pages(view.snapshot.lost) - count_pages(then.snapshot.lost)
    if n_lost > 0:
        yield bench.skipped(RAM, Reason(Kind.OTHERS_LOST, n=n_lost))
        return
    had, has = _held(then), _held(view)
    gained = [pa for pa in sorted(has.keys() - had.keys()) if _should_return(view, pa, has[pa])]
    segments = {one.name for one in view.snapshot.segments}
    n_more = len(gained) - len(had.keys() - has.keys())
    if n_more <= 0:
        yield bench.passed(RAM)
        return
    for pa in gained[:_MAX_TOLD]:
        why = Reason(Kind.NOT_RETURNED, frame=pa, users=(holder_of(has[pa], view),), n=n_more)
        yield bench.failed(Subject("frames", pa=pa), why, None if has[pa].name in segments else "freeproc")


def _should_return(view: View, pa: int, holder: User) -> bool:
    """Whether a frame that the kernel holds since then was meant for what has ended: not one of a segment of shared memory,
    nor one that a slot keeps for its next process, nor one that a cache has grown by, unless a process had it."""
    if holder.kind == "segment":
        return False
    variable = (holder.name or "").partition(".")[0].partition("[")[0]
    if variable in PROCESS_TABLES:
        return False
    may_grow = any(word in variable.lower() for word in CACHE_WORDS)
    return not may_grow or any(u.kind in _OF_A_PROCESS for u in view.users_before(pa))


def _who(view: View) -> Set[Tuple[int, int]]:
    return {(p.slot, p.pid) for p in view.processes}


def _held(view: View) -> Dict[int, User]:
    """The frames of the allocator that no process has, by address, and who has them."""
    return {frame.pa: frame.users[0] for frame in view.snapshot.frames
            if frame.users and all(u.kind not in _OWN and u.pid is None for u in frame.users)}


# Counts

class Relation(NamedTuple):
    """What a kernel counts of a frame: `each` for every user and `more` besides."""

    each: int
    more: int

    def of(self, frame: Frame) -> int:
        return self.each * len(frame.users) + self.more


_RELATIONS = tuple(Relation(*one) for one in ((1, 0), (1, -1), (1, 1), (2, 0), (2, -1), (2, 1), (1, 2)))
"""Users; those beyond the first; kalloc and mappages count; both, and kdup too; variants. The likely ones first."""

_MOST_SHARE = 4
"""One of so many counts may differ from the rule that the others keep; if more do the rule is not theirs."""


class _Count(NamedTuple):
    """A frame that a leaf maps, and the kernel's count of it."""

    pa: int
    frame: Frame
    value: int


def count_matches(bench: Bench) -> Iterator[Verdict]:
    """Judges frames that a leaf maps, and free ones, by what this kernel is seen to count: see _expected. Counts of the shared
    pages are for orphans, which the handout does not ask for; what else a wrong one does, other rules see."""
    view, counts = bench.view, bench.view.snapshot.counts
    busy = view.allocator_busy()
    bounds = view.allocatable()
    if counts is None or bounds is None or busy:
        yield bench.skipped(Subject("counts", label="counts"), busy or Reason(Kind.NO_COUNTS))
        return
    about = Subject("counts", label=counts.name)
    value = {pa: n for pa, n in counts.values if bounds[0] <= pa < bounds[1]}
    used = [_Count(frame.pa, frame, value.get(frame.pa, 0)) for frame in view.snapshot.frames
            if frame.n_pages == 1 and any(u.kind == "user" for u in frame.users)]
    judged, unknown = _expected(view, used)
    idle = dict(counts.idle)        # a slot that is not in use may keep a reference
    wrong: List[Tuple[int, int, int, Optional[Frame]]] = [
        (one.pa, one.value, expected, one.frame) for one, expected in judged
        if not 0 <= one.value - expected <= idle.get(one.pa, 0)]
    wrong += [(pa, n, 0, None) for pa, n in _counted_but_free(view, value)]
    unsettled = view.unsettled() if wrong or unknown else None
    if unsettled:
        yield bench.held_back(about, unsettled, Reason(Kind.COUNTS_DIFFER, n=len(wrong)))
        return
    guilty = _miscounts(view, wrong)
    for pa, have, expected, frame in wrong[:_MAX_TOLD]:
        yield _miscounted(bench, counts.name, pa, have, expected, frame, len(wrong), guilty)
    if unknown:
        yield bench.skipped(about, Reason(Kind.COUNTS_NOT_UNDERSTOOD, detail=unknown))
    elif not wrong:
        yield bench.passed(about)


def _expected(view: View, used: List[_Count]) -> Tuple[List[Tuple[_Count, int]], Optional[str]]:
    """What each count should be, as the whole says; and for what the whole says nothing, or None.

    A kernel may count in kalloc and again in mappages, or only users beyond the first, or only the pages that it
    shares; and the process may hold one more reference to its FRY than to its memory.
    """
    ours = {view.layout.fry, view.layout.shrimp} - {None}
    shared: List[_Count] = []
    others: List[_Count] = []
    for one in used:
        (shared if any(u.kind == "user" and u.va in ours for u in one.frame.users) else others).append(one)
    usual = _learnt(others, _most(others))
    own = _learnt(shared, len(shared)) if len({len(one.frame.users) for one in shared}) > 1 else None
    counts_others = any(one.value for one in others)
    if shared and not any(one.value for one in shared):
        own, shared = own, [] if counts_others or own is None else shared      # the two pages are counted elsewhere, or nowhere
    relation = own or (usual if counts_others else _learnt(shared, _most(shared)))
    judged = [(one, usual.of(one.frame)) for one in others] if usual else []
    judged += [(one, relation.of(one.frame)) for one in shared] if relation else []
    unknown = "memory" if others and not usual else "FRY and SHRIMP" if shared and not relation else None
    return judged, unknown


def _most(counts: List[_Count]) -> int:
    return len(counts) - len(counts) // _MOST_SHARE


def _learnt(counts: List[_Count], least: int) -> Optional[Relation]:
    """What at least so many of these counts say that the kernel counts, or None."""
    matches = {relation: sum(relation.of(one.frame) == one.value for one in counts) for relation in _RELATIONS}
    best = max(_RELATIONS, key=lambda relation: matches[relation])      # of several the first
    return best if counts and matches[best] >= least else None


def _counted_but_free(view: View, value: Dict[int, int]) -> List[Tuple[int, int]]:
    """Free frames with a count, unless this kernel leaves in its free frames what kalloc sets anew: in most of them, or just what
    each frame has that no leaf maps, such as a table. There whoever unmaps counts, and not kfree."""
    left = [(pa, n) for pa, n in value.items() if view.is_free(pa)]
    unmapped = {value.get(frame.pa, 0) for frame in view.snapshot.frames
                if frame.n_pages == 1 and frame.users and all(u.kind in ("table", "trapframe") for u in frame.users)}
    return left if 2 * len(left) < view.snapshot.free.count and {n for _, n in left} != unmapped else []


def _miscounts(view: View, wrong: List[Tuple[int, int, int, Optional[Frame]]]) -> Optional[str]:
    """"fork", the usual name, where it shows that fork does not count: each shared page whose count is too low lacks just its
    SHRIMP mappings, two or more in all. Else None: too many functions give a count back."""
    low = [(expected - have, [u.va for u in frame.users if u.kind == "user"], len(frame.users))
           for _, have, expected, frame in wrong if have < expected and frame is not None]
    shared = [(missing, vas.count(view.layout.shrimp)) for missing, vas, n in low
              if vas.count(view.layout.fry) == 1 and vas.count(view.layout.shrimp) == n - 1]
    n_mappings = sum(n for _, n in shared)
    return "fork" if n_mappings > 1 and all(missing == n for missing, n in shared) else None


def _miscounted(bench: Bench, name: str, pa: int, have: int, expected: int, frame: Optional[Frame],
                n: int, guilty: Optional[str]) -> Verdict:
    view = bench.view
    users = frame.users if frame else ()
    why = Reason(Kind.MISCOUNTED, frame=pa, free=frame is None, label=name, value=have, bound=expected,
                 users=tuple(holder_of(u, view) for u in users[:_MOST_USERS]), n=len(users), total=n)
    owner = next((u for u in users if u.kind == "user"), None)
    process = view.snapshot.process(owner.pid) if owner else None
    mapping = view.leaf(process, owner.va) if process and owner else None
    return bench.failed(
        Subject("frames", pa=pa), why, guilty, va=owner.va if owner else None,
        pte_at=mapping.pte_at if mapping else None, pte=mapping.pte if mapping else None, process=process,
        beyond=bool(users) and all(u.kind == "user" and view.shared(u.va) for u in users) or any(
            is_orphans_page(view, u) for u in users))


RULES = (
    Rule("frames-conserved", frames_conserved),
    Rule("frames-return", frames_return),
    Rule("count-matches", count_matches),
)

"""Rules about FRY and SHRIMP, the two pages that a process shares."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import islice
from typing import Callable, Dict, Iterator, List, Optional, Tuple

from ..kernel.cnames import FIRST_RUN
from ..reasons import KERNEL, Kind, Reason, Subject
from ..snapshot import Mapping, Process
from ..snapshot.frames import User
from ..snapshot.index import FRY, SHRIMP, TRAPFRAME
from ..spec import MAPPING
from ..words.verdicts import FLAGS
from .verdict import Bench, Rule, Verdict, named, of_process
from .view import PAGE, View, holder_of, pages_up

_MOST_USERS = 3
"""Other users of a frame that a failure names."""

_MOST_OWNERS = 4
"""Processes with one FRY that a failure names."""

_NEAR_TOP = 64
"""Pages below its end in which a program that was loaded high has some; a heap that was promised has none."""


def below_trapframe(bench: Bench) -> Iterator[Verdict]:
    """By the addresses alone: whichever of the two is the higher."""
    layout = bench.view.layout
    if layout.trapframe is None:
        yield bench.skipped(KERNEL, Reason(Kind.PAGE_NOT_DEFINED, page=TRAPFRAME))
        return
    places = (layout.trapframe - PAGE, layout.trapframe - 2 * PAGE)
    pages = ((FRY, layout.fry), (SHRIMP, layout.shrimp))
    wrong = [Reason(Kind.MISPLACED, page=name, va=va, bound=layout.trapframe) for name, va in pages if va not in places]
    if not wrong and layout.fry == layout.shrimp:
        wrong = [Reason(Kind.MISPLACED, page=SHRIMP, va=layout.shrimp, bound=layout.trapframe, other_page=FRY)]
    for why in wrong:
        yield bench.failed(KERNEL, why, None, va=why.va)
    if not wrong:
        yield bench.passed(KERNEL)


def shrimp_pair(bench: Bench) -> Iterator[Verdict]:
    """A verdict per process; orphans are left to orphan-alive, unless their frame is a
    living stranger's FRY."""
    for p in bench.view.processes:
        yield _pair(bench, p)


def _pair(bench: Bench, p: Process) -> Verdict:
    view, shrimp_va = bench.view, bench.view.layout.shrimp
    parent, mine = view.parent(p), view.leaf(p, shrimp_va)
    if p.state == "USED" or p.state.startswith("?"):
        return bench.skipped(of_process(p), view.busy(p) or Reason(Kind.HALF_MADE, p.pid))
    if p is view.first:
        if mine is None:
            return bench.skipped(of_process(p), Reason(Kind.FIRST_PROCESS))
        guilty: Optional[str] = "userinit" if _living_owner(view, mine.pa) in (p, None) else "fork"
        return bench.accuse(p, Reason(Kind.SHRIMP_WITHOUT_PARENT, frame=mine.pa), guilty, mapping=mine)
    if parent is None:
        return bench.skipped(of_process(p), Reason(Kind.NO_PARENT))
    if mine is None and p.state == "ZOMBIE":
        return bench.skipped(of_process(p), Reason(Kind.ZOMBIE))
    shared = view.leaf(parent, view.layout.fry)
    if shared is None:
        return bench.skipped(of_process(p), Reason(Kind.PARENT_WITHOUT_FRY, process=named(parent)))
    if mine is None and is_orphan(view, p):
        return _lost_shrimp(bench, p)
    if mine is None:
        guilty = _who_mapped(view, p, _is_one_frame)
        return bench.accuse(p, Reason(Kind.SHRIMP_MISSING, wanted=shared.pa, process=named(parent), function=guilty), guilty,
                            va=shrimp_va, beyond=view.known.at_touch or may_have_run_exec(view, p))
    if mine.pa == shared.pa:
        return bench.passed(of_process(p))
    if is_orphan(view, p):
        owner = _living_owner(view, mine.pa)
        if owner is None or view.bereaved_of(p):
            return bench.skipped(of_process(p), Reason(Kind.ADOPTED))
        return bench.accuse(p, Reason(Kind.SHRIMP_OF_ANOTHER, frame=mine.pa, other=named(owner), process=named(parent)), None,
                            mapping=mine, others=(parent, owner), beyond=True)
    has_moved = view.phys_before(p, shrimp_va) == view.phys_before(parent, view.layout.fry) == mine.pa
    guilty = ("exec" if has_run_exec(view, parent) else "fork") if has_moved else None if (
        _may_be_swapped(view, parent, mine.pa) or view.has_another_parent(p) or _is_no_frame(parent, view.layout.fry)
    ) else _who_mapped(view, p, _is_one_frame)
    users = islice((u for u in view.users(mine.pa) if (u.pid, u.va) != (p.pid, shrimp_va)), _MOST_USERS)
    why = Reason(Kind.SHRIMP_NOT_PARENTS, frame=mine.pa, free=view.is_free(mine.pa), wanted=shared.pa, process=named(parent),
                 users=tuple(holder_of(u, view) for u in users), function=guilty, detail="FRY moved" if has_moved else None)
    return bench.accuse(p, why, guilty, mapping=mine, others=(parent,), beyond=may_have_run_exec(view, p))


def _lost_shrimp(bench: Bench, p: Process) -> Verdict:
    """Of one that the first process may have forked or adopted, and that has no SHRIMP: only what an earlier stop saw there
    is known to be right."""
    view = bench.view
    had, dead = view.phys_before(p, view.layout.shrimp), view.bereaved_of(p)
    first = named(view.first) if view.first else None
    why = Reason(Kind.SHRIMP_LOST, wanted=had, process=first, other=named(dead) if dead else None)
    return bench.accuse(p, why, "exit" if dead and had and not has_run_exec(view, p) else None, va=view.layout.shrimp,
                        beyond=True)


def has_run_exec(view: View, p: Process) -> bool:
    """Whether exec has given `p` another table, or another name, since the earlier snapshot, or is known to have run."""
    then = view.earlier(p)
    return p.pid in view.known.execed or then is not None and (then.root != p.root or then.name != p.name)


def _who_mapped(view: View, p: Process, is_right: Callable[[Optional[Mapping], Optional[Mapping]], bool]) -> Optional[str]:
    """The usual name of the function that mapped SHRIMP of `p` wrongly, by what others have: fork, where `p` has not run yet, or
    where another in which exec has not run is wrong, too; exec, where all of those are right and it may have run in `p`. None
    where nothing tells: the page may have been right at first; and where it was, as the player has compared all pages before an
    operation that maps none.

    is_right: of SHRIMP of a process, and FRY of its parent.
    """
    played = view.known.played and view.known.played.divergence
    if played and played.ops and played.ops[-1].do not in MAPPING:
        return None
    found = [is_right(view.leaf(q, view.layout.shrimp), shared) for q, parent in _forked(view)
             for shared in [view.leaf(parent, view.layout.fry)]
             if q is not p and shared and not _may_be_swapped(view, parent, view.phys(q, view.layout.shrimp))]
    if may_have_run_exec(view, p):
        return None if not found else "exec" if all(found) else "fork"
    return "fork" if view.is_new(p) or not all(found) else None


def _forked(view: View) -> List[Tuple[Process, Process]]:
    """(process, its parent) of those in which exec has not run since the fork, as far as that shows."""
    return [(q, parent) for q in view.living() for parent in [view.parent(q)]
            if parent is not None and not may_have_run_exec(view, q) and not is_orphan(view, q)]


def _may_be_swapped(view: View, parent: Process, pa: Optional[int]) -> bool:
    """Whether a child's SHRIMP is its parent's, where exec may have put the parent's two pages in each other's place since."""
    return pa is not None and view.phys(parent, view.layout.shrimp) == pa and may_have_run_exec(view, parent)


def _is_no_frame(process: Process, va: Optional[int]) -> bool:
    """Whether what is mapped at `va` is not in RAM: frame-in-ram is about that."""
    return any(f.va == va and f.kind == "leaf-outside-ram" for f in process.findings)


def _is_one_frame(mine: Optional[Mapping], shared: Optional[Mapping]) -> bool:
    return mine is not None and shared is not None and mine.pa == shared.pa


def may_have_run_exec(view: View, p: Process) -> bool:
    """Whether exec has run in `p`, or in its parent after the fork, as far as their names and an earlier stop show."""
    parent = view.parent(p)
    return p is view.first or has_run_exec(view, p) or parent is not None and (
        parent.name != p.name or view.earlier(p) is not None and has_run_exec(view, parent))


def is_orphan(view: View, p: Process) -> bool:
    """Whether the first process may have adopted p: then its SHRIMP is not the
    first process's FRY. The process with the first's pid plus 1 can only be
    the first's own child, as pids are given in order."""
    first = view.first
    return (first is not None and view.parent(p) is first and p.pid > first.pid + 1
            and view.phys(p, view.layout.shrimp) != view.phys(first, view.layout.fry))


def is_orphans_page(view: View, user: User) -> bool:
    """Whether a user of a frame is SHRIMP of a process that has outlived its parent, as far as that shows."""
    p = view.process(user.pid)
    return p is not None and user.kind == "user" and view.shared(user.va) == SHRIMP and (
        view.parent(p) is None or is_orphan(view, p))


def _living_owner(view: View, pa: int) -> Optional[Process]:
    return next((p for p in view.living() if view.phys(p, view.layout.fry) == pa), None)


def shrimp_siblings(bench: Bench) -> Iterator[Verdict]:
    """A verdict per family of two children or more, or per child that differs."""
    view = bench.view
    families: Dict[int, List[Tuple[Process, Mapping]]] = defaultdict(list)
    parents: Dict[int, Process] = {}
    for p in view.living():
        parent, mine = view.parent(p), view.leaf(p, view.layout.shrimp)
        if parent is not None and not is_orphan(view, p) and mine is not None:
            families[parent.pid].append((p, mine))
            parents[parent.pid] = parent
    large = {pid: children for pid, children in sorted(families.items()) if len(children) > 1}
    if not large:
        yield bench.skipped(KERNEL, Reason(Kind.NO_SIBLINGS))
    for pid, children in large.items():
        parent = parents[pid]
        fry, frames = view.phys(parent, view.layout.fry), Counter(mine.pa for _, mine in children)
        usual, _ = max(frames.items(), key=lambda item: (
            item[0] == fry, item[1], -item[0]))
        odd = [(p, mine) for p, mine in children if mine.pa != usual]
        if not odd:
            yield bench.passed(Subject("children", named(parent)))
        for p, mine in odd:
            yield bench.accuse(p, Reason(Kind.SHRIMP_NOT_SIBLINGS, frame=mine.pa, wanted=usual, process=named(parent)),
                               _who_mapped(view, p, _is_one_frame), mapping=mine, others=(parent,),
                               beyond=may_have_run_exec(view, p))


def fry_private(bench: Bench) -> Iterator[Verdict]:
    """A frame is FRY of one process, SHRIMP of others, and nothing else. Zombies are left out: they run no more."""
    view = bench.view
    owners = view.by_frame(view.layout.fry, view.living())
    for p in view.living():
        mine = view.leaf(p, view.layout.fry)
        if mine is None:
            yield bench.skipped(of_process(p), Reason(Kind.NO_FRY))
            continue
        also = [q for q in owners[mine.pa] if q.root != p.root]
        others = strangers(view, p, mine.pa)
        if also:
            how = _how_shared(view, p, also, owners)
            why = Reason(Kind.FRY_NOT_PRIVATE, frame=mine.pa, processes=tuple(map(named, also[:_MOST_OWNERS])), detail=how)
            # Where everybody has it, it may be one that allocproc gives to all, or the first process's, handed on by each fork.
            guilty = "fork" if how == "parent's" else view.who_freed(mine.pa) if how == "given again" else None
            yield bench.accuse(p, why, guilty, mapping=mine, others=tuple(also[:1]))
        elif others:
            why = Reason(Kind.FRY_USED_BY_OTHERS, frame=mine.pa, users=tuple(holder_of(u, view) for u in others[:_MOST_USERS]))
            nobodys = view.unsettled() if any(u.pid is None for u in others) else None
            yield bench.held_back(of_process(p), nobodys, why) if nobodys else bench.accuse(
                p, why, view.who_freed(mine.pa, others), mapping=mine, others=tuple(q for u in others for q in [view.process(u.pid)] if q))
        else:
            yield bench.passed(of_process(p))


def _how_shared(view: View, p: Process, also: List[Process], owners: Dict[int, List[Process]]) -> Optional[str]:
    """How some came to have one FRY, as far as it shows: every process has it; one is another's parent, and no fork has given
    its child one of its own; who was there at the earlier stop had it then, and another has come to it since."""
    frame = view.phys(p, view.layout.fry)
    if len(owners) == 1 and len(also) > 1:
        return "everybody's"
    forked = _forked(view)
    if any(q in (p, *also) and r in (p, *also) for q, r in forked) and all(
            view.phys(q, view.layout.fry) == view.phys(r, view.layout.fry) for q, r in forked):
        return "parent's"
    had = [q for q in (p, *also) if view.phys_before(q, view.layout.fry) == frame]
    return "given again" if len(had) == 1 else None


def strangers(view: View, p: Process, pa: int) -> List[User]:
    """The users of a FRY frame of `p` that it is not shared with: all but FRY of its process and SHRIMP of any. Those of
    a zombie do not count."""
    ours = (view.layout.fry, view.layout.shrimp)

    def is_one(user: User) -> bool:
        owner = view.process(user.pid)
        if owner is not None and owner.state == "ZOMBIE":
            return False
        return user.kind != "user" or user.va not in ours or user.va == view.layout.fry and (owner is None or owner.root != p.root)
    return [user for user in view.users(pa) if is_one(user)]


def fry_flags(bench: Bench) -> Iterator[Verdict]:
    """Also says when a living process has no FRY page at all."""
    view, va = bench.view, bench.view.layout.fry
    for p in view.processes:
        mine = view.leaf(p, va)
        if p.state not in ("SLEEPING", "RUNNABLE", "RUNNING"):
            yield bench.skipped(of_process(p), Reason(Kind.PAGES_GONE, state=p.state))
        elif mine is None:
            yield bench.accuse(p, Reason(Kind.FRY_MISSING), _who_mapped_fry(view, p), va=va,
                               beyond=view.known.at_touch or may_have_run_exec(view, p))
        else:
            yield _flags(bench, p, mine, FRY, _who_mapped_fry(view, p))


def _who_mapped_fry(view: View, p: Process) -> Optional[str]:
    """The usual name of the function that maps FRY, where `p` has not run yet, or FRY is wrong in all that have run exec, or have
    not, as `p`. Else None: it was right at first."""
    alike = [q for q in view.living() if may_have_run_exec(view, q) == may_have_run_exec(view, p)]
    found = [leaf is not None and _is_allowed(leaf) for q in alike for leaf in [view.leaf(q, view.layout.fry)]]
    return "proc_pagetable" if view.is_new(p) or len(found) > 1 and not any(found) else None


def shrimp_flags(bench: Bench) -> Iterator[Verdict]:
    """A missing SHRIMP page is shrimp-pair's to judge."""
    view = bench.view
    for p in view.processes:
        mine = view.leaf(p, view.layout.shrimp)
        if mine is None or p.state == "USED":
            why = None if mine is None else view.busy(p)
            yield bench.skipped(of_process(p), why or Reason(Kind.NO_SHRIMP))
        else:
            yield _flags(bench, p, mine, SHRIMP, _who_mapped(view, p, lambda q, _: q is None or _is_allowed(q)))


def _is_allowed(mine: Mapping) -> bool:
    """Whether an entry of one of the two pages has the right flags."""
    return mine.flags[:6] == FLAGS and mine.level == 0


def _flags(bench: Bench, p: Process, mine: Mapping, page: str, function: Optional[str]) -> Verdict:
    if _is_allowed(mine):
        return bench.passed(of_process(p))
    return bench.accuse(p, Reason(Kind.WRONG_FLAGS, page=page, flags=mine.flags, level=mine.level), function, mapping=mine)


def fry_zeroed(bench: Bench) -> Iterator[Verdict]:
    """Judges a process that never ran, or that is known never to write its page, and
    all of them together where no page was ever zeroed: what has run may have written
    anything. Where somebody else has the frame, or it is free, what it holds is theirs."""
    view = bench.view
    contents = [p.fry_content for p in view.living()]
    always_junk = contents.count("junk") > 1 and "zero" not in contents
    for p in view.living():
        mine = view.leaf(p, view.layout.fry)
        new = p.calls == (FIRST_RUN,) or p.name in view.known.untouched
        if mine is None or p.fry_content is None:
            yield bench.skipped(of_process(p), Reason(Kind.NO_FRY))
        elif p.fry_content != "zero" and new and (view.is_free(mine.pa) or strangers(view, p, mine.pa)):
            users = tuple(holder_of(u, view) for u in strangers(view, p, mine.pa)[:_MOST_USERS])
            yield bench.skipped(of_process(p), Reason(Kind.MAYBE_ANOTHERS, frame=mine.pa, free=view.is_free(mine.pa), users=users))
        elif p.fry_content != "zero" and new or p.fry_content == "junk" and always_junk:
            yield bench.accuse(p, Reason(Kind.NOT_ZEROED, detail=p.fry_content), "allocproc", mapping=mine)
        elif new:
            yield bench.passed(of_process(p))
        else:
            yield bench.skipped(of_process(p), Reason(Kind.HAS_RUN))


def orphan_alive(bench: Bench) -> Iterator[Verdict]:
    """Orphans: adopted by the first process, whose FRY their SHRIMP is not or which was not their parent at the earlier
    stop; or without a parent. What became of one that has lost its page, shrimp-pair and exec-keeps say."""
    view = bench.view
    n_orphans = 0
    for p in view.processes:
        mine = view.leaf(p, view.layout.shrimp)
        if p.state == "USED" or p is view.first or not (is_orphan(view, p) or view.parent(p) is None or view.bereaved_of(p)):
            continue
        n_orphans += 1
        if mine is None:
            yield bench.skipped(of_process(p), Reason(Kind.NO_SHRIMP))
        elif view.parent(p) is not None and not is_orphan(view, p):
            yield bench.skipped(of_process(p), Reason(Kind.FIRSTS_PAGE, process=named(view.first) if view.first else None))
        else:
            yield _orphan(bench, p, mine)
    if not n_orphans:
        yield bench.skipped(KERNEL, Reason(Kind.NO_ORPHAN))


def _orphan(bench: Bench, p: Process, mine: Mapping) -> Verdict:
    view, layout = bench.view, bench.view.layout
    free_unknown = view.allocator_busy()
    if view.is_free(mine.pa) and not free_unknown:
        return bench.accuse(p, Reason(Kind.ORPHAN_FREE, frame=mine.pa), view.who_freed(mine.pa), mapping=mine)
    reused = [u for u in view.users(mine.pa) if not _is_relative(view, u)]
    if reused:
        return bench.accuse(
            p, Reason(Kind.ORPHAN_REUSED, frame=mine.pa, users=tuple(holder_of(u, view) for u in reused[:_MOST_USERS])),
            view.who_freed(mine.pa, reused), mapping=mine, others=tuple(q for u in reused[:1] if u.pid is not None
                                                                for q in [view.snapshot.process(u.pid)] if q))
    if view.is_image(mine.pa) or not layout.ram_base <= mine.pa < layout.ram_end:
        return bench.skipped(of_process(p), Reason(Kind.NOT_ALLOCATORS))
    if not view.snapshot.free.complete or free_unknown:
        return bench.skipped(of_process(p), free_unknown or view.free_unknown())
    return bench.passed(of_process(p))


def _is_relative(view: View, user: User) -> bool:
    """Whether a user of an orphan's SHRIMP frame may be: another orphan, or
    the dead parent whose zombie nobody has buried."""
    owner = view.snapshot.process(user.pid) if user.pid is not None else None
    if user.kind != "user" or owner is None:
        return False
    return user.va == view.layout.shrimp or user.va == view.layout.fry and owner.state == "ZOMBIE"


def heap_below_shrimp(bench: Bench) -> Iterator[Verdict]:
    """Needs no page table: sz alone says it."""
    layout = bench.view.layout
    bound, name = min((va, name) for name, va in (("SHRIMP", layout.shrimp), ("FRY", layout.fry)) if va is not None)
    for p in bench.view.processes:
        if pages_up(p.sz) <= bound:
            yield bench.passed(of_process(p))
        else:
            yield bench.accuse(p, _too_large(bench.view, p, name, bound), _bounds_it(bench.view, p), va=bound)


def _bounds_it(view: View, p: Process) -> str:
    """The usual name of the function that let `p` become so large."""
    if not _has_holes(p):
        return "growproc"
    ours = (view.layout.fry, view.layout.shrimp, view.layout.trapframe, view.layout.trampoline)
    top = max((m.va for m in p.mappings if m.va < p.sz and m.va not in ours), default=0)
    if top >= p.sz - _NEAR_TOP * PAGE:
        return "exec"       # it ends in pages that are there: a program was loaded that high
    return "grow lazily" if view.has_function("grow lazily") else "growproc"


def _has_holes(p: Process) -> bool:
    """Whether memory was promised that no page is there for."""
    return sum(m.n_pages for m in p.mappings if m.va < p.sz) < pages_up(p.sz) // PAGE


def _too_large(view: View, p: Process, page: str, bound: int) -> Reason:
    moves = dict.fromkeys(view.function(usual) for usual in ("grow lazily", "growproc", "exec")
                          if view.has_function(usual))
    fault = view.function("page fault") if _has_holes(p) and view.has_function("page fault") else None
    return Reason(Kind.HEAP_TOO_LARGE, page=page, bound=bound, n=p.sz, functions=tuple(moves), function=fault)


def exec_keeps(bench: Bench) -> Iterator[Verdict]:
    """Compares each process that lived in the earlier snapshot."""
    view, previous = bench.view, bench.view.previous
    if previous is None:
        yield bench.skipped(KERNEL, Reason(Kind.NO_EARLIER))
        return
    before = View(previous)
    then_by_slot = {(p.slot, p.pid): p for p in before.living()}
    for p in view.living():
        then = then_by_slot.get((p.slot, p.pid))
        if then is None:
            continue
        if before.busy(then):
            yield bench.skipped(of_process(p), Reason(Kind.AT_EARLIER_STOP, because=before.busy(then)))
            continue
        changed = [(va, frame) for va in (view.layout.fry, view.layout.shrimp) for frame in [before.phys(then, va)]
                   if va is not None and frame not in (None, view.phys(p, va))]
        if not changed:
            yield bench.passed(of_process(p))
        for va, frame in changed:
            yield _not_kept(bench, p, va, frame)


def _not_kept(bench: Bench, p: Process, va: int, frame: Optional[int]) -> Verdict:
    """What has come between two stops says who changed the page: exec, the exit of the parent, a fork, or nobody knows."""
    view = bench.view
    is_fry, now, by_exec = va == view.layout.fry, view.leaf(p, va), has_run_exec(view, p)
    dead = None if is_fry or by_exec else view.bereaved_of(p)
    born = [q for q in view.processes if q.parent == p.pid and view.earlier(q) is None] if is_fry and not by_exec else []
    why = Reason(Kind.PAGE_CHANGED, page=FRY if is_fry else SHRIMP, wanted=frame, frame=now.pa if now else None,
                 is_new_table=by_exec, other=named(dead) if dead else None, processes=tuple(map(named, born[:_MOST_OWNERS])))
    guilty = "exec" if by_exec else "exit" if dead else "fork" if born else None
    return bench.accuse(p, why, None if not is_fry and by_exec and _put_right(view, p, frame) else guilty, va=va, mapping=now)


def _put_right(view: View, p: Process, had: Optional[int]) -> bool:
    """Whether SHRIMP is what it should be, and was not at the earlier stop."""
    parent = view.parent(p)
    fry = view.layout.fry
    return parent is not None and view.phys(p, view.layout.shrimp) == view.phys(parent, fry) and view.phys_before(parent, fry) != had


RULES = (
    Rule("below-trapframe", below_trapframe, True),
    Rule("shrimp-pair", shrimp_pair, True),
    Rule("shrimp-siblings", shrimp_siblings, True),
    Rule("fry-private", fry_private, True),
    Rule("fry-flags", fry_flags, True),
    Rule("shrimp-flags", shrimp_flags, True),
    Rule("fry-zeroed", fry_zeroed, True, beyond_handout=True),
    Rule("orphan-alive", orphan_alive, True, beyond_handout=True),
    Rule("heap-below-shrimp", heap_below_shrimp, True),
    Rule("exec-keeps", exec_keeps, True, beyond_handout=True),
)

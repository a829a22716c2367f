"""Rules about FRY and SHRIMP, the two pages that a process shares."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import islice
from typing import Dict, Iterator, List, Optional

from ..frames import User
from ..snapshot import Mapping, Process
from .verdict import UNKNOWN, Bench, Rule, Verdict, subject
from .view import PAGE, View, describe_user, pages_up

_SHARED_FLAGS = "VRW-U-"
"""Flags of both pages, A and D left out."""

_NEAR_TOP = 64
"""Pages below its end in which a program that was loaded high has some; a heap that was promised has none."""


def shrimp_pair(bench: Bench) -> Iterator[Verdict]:
    """A verdict per process; orphans are left to orphan-alive, unless their frame is a
    living stranger's FRY."""
    for p in bench.view.processes:
        yield _pair(bench, p)


def _pair(bench: Bench, p: Process) -> Verdict:
    view, shrimp_va = bench.view, bench.view.layout.shrimp
    parent, mine = view.parent(p), view.at(p, shrimp_va)
    if p.state == "USED" or p.state.startswith("?"):
        return bench.skipped(subject(p), view.busy(p))
    if p is view.first:
        if mine is None:
            return bench.skipped(subject(p), "the first process has no parent")
        return bench.accuse(
            p, "it has a SHRIMP page, and no parent to share it with", "nothing mapped at SHRIMP",
            f"frame {mine.pa:#x}", "userinit",
            "The first process has no parent. Map SHRIMP in fork, for the child.", mapping=mine)
    if parent is None:
        return bench.skipped(subject(p), "it has no parent that lives")
    if mine is None and p.state == "ZOMBIE":
        return bench.skipped(subject(p), "a zombie: its pages may be gone")
    shared = view.at(parent, view.layout.fry)
    if shared is None:
        return bench.skipped(subject(p), f"its parent, {subject(parent)}, has no FRY page")
    expected = f"frame {shared.pa:#x}, FRY of {subject(parent)}"
    if mine is None:
        return bench.accuse(
            p, "it has no SHRIMP page", expected, "nothing mapped at SHRIMP", "fork",
            "fork must map the parent's FRY frame at the child's SHRIMP before it makes the child "
            "RUNNABLE, and exec must map it again in the new page table.", va=shrimp_va)
    if mine.pa == shared.pa:
        return bench.passed(subject(p))
    if is_orphan(view, p):
        owner = _living_owner(view, mine.pa)
        if owner is None:
            return bench.skipped(subject(p), "its parent has exited and the first process has "
                                 "adopted it: see orphan-alive")
        return bench.accuse(
            p, f"its SHRIMP frame is FRY of {subject(owner)}, which is not its parent", expected,
            f"frame {mine.pa:#x}, FRY of {subject(owner)}", "fork",
            "Either fork mapped the wrong process's page, or the frame was freed while this "
            "process still mapped it, and given to the other.", mapping=mine,
            others=(parent, owner))
    return bench.accuse(
        p, "its SHRIMP is not its parent's FRY", expected, _frame(view, mine.pa, p), "fork",
        "fork must map the frame of the parent's FRY, walkaddr(p->pagetable, FRY), at the child's "
        "SHRIMP: not a new frame, and not the child's own.", mapping=mine, others=(parent,))


def is_orphan(view: View, p: Process) -> bool:
    """Whether the first process may have adopted p: then its SHRIMP is not the
    first process's FRY. The process with the first's pid plus 1 can only be
    the first's own child, as pids are given in order."""
    first = view.first
    return (first is not None and view.parent(p) is first and p.pid > first.pid + 1
            and view.phys(p, view.layout.shrimp) != view.phys(first, view.layout.fry))


def _living_owner(view: View, pa: int) -> Optional[Process]:
    return next((p for p in view.living() if view.phys(p, view.layout.fry) == pa), None)


def _frame(view: View, pa: int, but: Process) -> str:
    """A frame, and who else uses it."""
    if view.is_free(pa):
        return f"frame {pa:#x}, which is free"
    others = [describe_user(u, view.snapshot) for u in islice(
        (u for u in view.users(pa) if (u.pid, u.va) != (but.pid, view.layout.shrimp)), 3)]
    also = f"also {', '.join(others)}" if others else "which nobody else maps"
    return f"frame {pa:#x}, {also}"


def shrimp_siblings(bench: Bench) -> Iterator[Verdict]:
    """A verdict per family of two children or more, or per child that differs."""
    view = bench.view
    families: Dict[int, List[Process]] = defaultdict(list)
    for p in view.living():
        if view.parent(p) is not None and not is_orphan(view, p) and view.at(p, view.layout.shrimp):
            families[p.parent].append(p)
    families = {pid: children for pid, children in sorted(families.items()) if len(children) > 1}
    if not families:
        yield bench.skipped("kernel", "no process has two children with SHRIMP pages")
    for children in families.values():
        parent = view.parent(children[0])
        frames = Counter(view.phys(p, view.layout.shrimp) for p in children)
        usual, _ = max(frames.items(), key=lambda item: (
            item[0] == view.phys(parent, view.layout.fry), item[1], -item[0]))
        odd = [p for p in children if view.phys(p, view.layout.shrimp) != usual]
        if not odd:
            yield bench.passed(f"children of {subject(parent)}")
        for p in odd:
            mine = view.at(p, view.layout.shrimp)
            yield bench.accuse(
                p, f"its SHRIMP frame is not its siblings' (children of {subject(parent)})",
                f"frame {usual:#x}", f"frame {mine.pa:#x}", "fork",
                "All children of one parent share one frame, the parent's FRY: fork must not "
                "allocate a new one for each child.", mapping=mine, others=(parent,))


def fry_private(bench: Bench) -> Iterator[Verdict]:
    """Zombies are left out: they run no more."""
    view = bench.view
    owners = view.by_frame(view.layout.fry, view.living())
    for p in view.living():
        mine = view.at(p, view.layout.fry)
        if mine is None:
            yield bench.skipped(subject(p), "it has no FRY page: see fry-flags")
            continue
        also = [q for q in owners[mine.pa] if q.root != p.root]
        if not also:
            yield bench.passed(subject(p))
        else:
            names = ", ".join(subject(q) for q in also[:4])
            yield bench.accuse(
                p, f"its FRY frame is also FRY of {names}", "a frame of its own",
                f"frame {mine.pa:#x}", "allocproc",
                "allocproc must allocate a frame for each process: not one for all, and not the "
                "parent's.", mapping=mine, others=tuple(also[:1]))


def fry_flags(bench: Bench) -> Iterator[Verdict]:
    """Also says when a living process has no FRY page at all."""
    view, va = bench.view, bench.view.layout.fry
    for p in view.processes:
        mine = view.at(p, va)
        if p.state not in ("SLEEPING", "RUNNABLE", "RUNNING"):
            yield bench.skipped(subject(p), f"it is {p.state}: its pages may not be there")
        elif mine is None:
            yield bench.accuse(
                p, "it has no FRY page", f"{_SHARED_FLAGS}-- at FRY", "nothing mapped at FRY",
                "proc_pagetable", "proc_pagetable must map the frame of the process at FRY; it is "
                "called for a new process and again by exec.", va=va)
        else:
            yield _flags(bench, p, mine, "FRY", "proc_pagetable")


def shrimp_flags(bench: Bench) -> Iterator[Verdict]:
    """A missing SHRIMP page is shrimp-pair's to judge."""
    view = bench.view
    for p in view.processes:
        mine = view.at(p, view.layout.shrimp)
        if mine is None or p.state == "USED":
            why = "it has no SHRIMP page" if mine is None else view.busy(p)
            yield bench.skipped(subject(p), why)
        else:
            yield _flags(bench, p, mine, "SHRIMP", "fork")


def _flags(bench: Bench, p: Process, mine: Mapping, page: str, function: str) -> Verdict:
    if mine.flags[:6] == _SHARED_FLAGS and mine.level == 0:
        return bench.passed(subject(p))
    wrong = [f"{have} is set" if have != "-" else f"{want} is clear"
             for have, want in zip(mine.flags, _SHARED_FLAGS) if have != want]
    if mine.level:
        wrong.append(f"a level-{mine.level} superpage covers it")
    return bench.accuse(
        p, f"{page}: {', '.join(wrong)}", _SHARED_FLAGS + "--", mine.flags, function,
        f"Map {page} with PTE_R | PTE_W | PTE_U and nothing else: user code reads and writes it "
        "and never executes it.", mapping=mine)


def fry_zeroed(bench: Bench) -> Iterator[Verdict]:
    """Judges a process that never ran, or that is known never to write its page, and
    all of them together where no page was ever zeroed: what has run may have written
    anything."""
    view = bench.view
    contents = [p.fry_content for p in view.living()]
    always_junk = contents.count("junk") > 1 and "zero" not in contents
    for p in view.living():
        mine = view.at(p, view.layout.fry)
        new = p.calls == ("forkret",) or p.name in view.known.untouched
        if mine is None or p.fry_content is None:
            yield bench.skipped(subject(p), "it has no FRY page: see fry-flags")
        elif p.fry_content != "zero" and new or p.fry_content == "junk" and always_junk:
            actual = "the allocator's filling" if p.fry_content == "junk" else "somebody's old data"
            yield bench.accuse(
                p, "its FRY page holds data that it never wrote", "zeros", actual, "allocproc",
                "kalloc returns a frame with old contents: memset(fry, 0, PGSIZE) before it is "
                "mapped.", mapping=mine)
        elif new:
            yield bench.passed(subject(p))
        else:
            yield bench.skipped(subject(p), "it has run, and may have written its page")


def orphan_alive(bench: Bench) -> Iterator[Verdict]:
    """Orphans: adopted by the first process, whose FRY their SHRIMP is not, or
    without a parent."""
    view = bench.view
    n_orphans = 0
    for p in view.processes:
        mine = view.at(p, view.layout.shrimp)
        if mine is not None and p.state != "USED" and p is not view.first and (
                is_orphan(view, p) or view.parent(p) is None):
            n_orphans += 1
            yield _orphan(bench, p, mine)
    if not n_orphans:
        yield bench.skipped("kernel", "no process here has outlived its parent")


def _orphan(bench: Bench, p: Process, mine: Mapping) -> Verdict:
    view, layout = bench.view, bench.view.layout
    fate = ("When the parent exited, freeproc or proc_freepagetable freed its FRY frame although "
            "a child still maps it: count the frame's users, the last one out frees it.")
    expected = "a frame that only orphans of the same parent map"
    free_unknown = view.allocator_busy()
    if view.is_free(mine.pa) and not free_unknown:
        return bench.accuse(
            p, "its SHRIMP frame is on the free list: its parent's exit freed it", expected,
            f"frame {mine.pa:#x}, free", "freeproc", fate, mapping=mine)
    reused = [u for u in view.users(mine.pa) if not _is_relative(view, u)]
    if reused:
        names = ", ".join(describe_user(u, view.snapshot) for u in reused[:3])
        return bench.accuse(
            p, f"its SHRIMP frame was given to another: {names}", expected,
            f"frame {mine.pa:#x}, {names}", "freeproc", fate, mapping=mine,
            others=tuple(q for u in reused[:1] if u.pid is not None
                         for q in [view.snapshot.process(u.pid)] if q))
    if view.is_image(mine.pa) or not layout.ram_base <= mine.pa < layout.ram_end:
        return bench.skipped(subject(p), "its SHRIMP is no frame of the allocator's: "
                             "see frame-in-ram")
    if not view.snapshot.free.complete or free_unknown:
        return bench.skipped(subject(p), free_unknown or view.snapshot.free.why, UNKNOWN)
    return bench.passed(subject(p))


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
    name, bound = min(("SHRIMP", layout.shrimp), ("FRY", layout.fry), key=lambda page: page[1])
    for p in bench.view.processes:
        if pages_up(p.sz) <= bound:
            yield bench.passed(subject(p))
        else:
            yield bench.accuse(
                p, f"its memory reaches into {name}", f"sz <= {bound:#x} ({name})", f"sz = {p.sz:#x}",
                _bounds_it(bench.view, p), _bound_hint(bench.view, p, name), va=bound)


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


def _bound_hint(view: View, p: Process, name: str) -> str:
    moves = dict.fromkeys(view.function(usual) for usual in ("grow lazily", "growproc", "exec")
                          if view.has_function(usual))
    fault = view.function("page fault") if _has_holes(p) and view.has_function("page fault") else None
    return (f"{', '.join(moves) or 'What moves sz'} must refuse a size beyond {name}, where they refuse one beyond "
            "TRAPFRAME. " + (f"{fault} gives a page to whatever lies below sz. " if fault else "")
            + "Below sz, fork would copy the shared pages and exit would free them.")


def exec_keeps(bench: Bench) -> Iterator[Verdict]:
    """Compares each process that lived in the earlier snapshot."""
    view, previous = bench.view, bench.view.previous
    if previous is None:
        yield bench.skipped("kernel", "it takes an earlier snapshot to compare with")
        return
    before = View(previous)
    then_by_slot = {(p.slot, p.pid): p for p in before.living()}
    for p in view.living():
        then = then_by_slot.get((p.slot, p.pid))
        if then is None:
            continue
        if before.busy(then):
            yield bench.skipped(subject(p), f"at the earlier stop, {before.busy(then)}", UNKNOWN)
            continue
        changed = [va for va in (view.layout.fry, view.layout.shrimp)
                   if before.phys(then, va) not in (None, view.phys(p, va))]
        if not changed:
            yield bench.passed(subject(p))
        for va in changed:
            yield _not_kept(bench, p, va, before.phys(then, va), p.root != then.root)


def _not_kept(bench: Bench, p: Process, va: int, frame: int, new_table: bool) -> Verdict:
    view = bench.view
    page, now = "FRY" if va == view.layout.fry else "SHRIMP", view.at(p, va)
    return bench.accuse(
        p, f"its {page} is another frame than before", f"frame {frame:#x}",
        f"frame {now.pa:#x}" if now else f"nothing mapped at {page}",
        "exec" if new_table else "proc_pagetable",
        "exec must map the same two frames in its new page table, and drop only the old table's "
        "mappings of them." if new_table else "Both frames stay while the process lives.",
        va=va, mapping=now)


RULES = (
    Rule("shrimp-pair", "PHY(child, SHRIMP) = PHY(parent, FRY) while that parent lives",
         shrimp_pair, True),
    Rule("shrimp-siblings", "children of one parent share one SHRIMP frame", shrimp_siblings, True),
    Rule("fry-private", "one frame is FRY of one process only", fry_private, True),
    Rule("fry-flags", "FRY is mapped with exactly V R W U (A and D ignored)", fry_flags, True),
    Rule("shrimp-flags", "SHRIMP is mapped with exactly V R W U (A and D ignored)",
         shrimp_flags, True),
    Rule("fry-zeroed", "a FRY page is zeros until somebody writes it", fry_zeroed, True),
    Rule("orphan-alive", "an orphan's SHRIMP frame is neither free nor reused", orphan_alive, True),
    Rule("heap-below-shrimp", "PGROUNDUP(sz) <= SHRIMP, and <= FRY where that is lower", heap_below_shrimp, True),
    Rule("exec-keeps", "FRY and SHRIMP frames are unchanged across exec", exec_keeps, True),
)

"""Rules about page tables and free lists: any xv6 keeps them."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import Dict, Iterator, List, Optional, Set, Tuple

from ..memory.sv39 import Finding
from ..reasons import ALLOCATOR, KERNEL, KERNEL_TABLE, Kind, Reason, Subject
from ..snapshot import Process
from ..snapshot.frames import Frame, User
from .pages import is_orphans_page
from .verdict import Bench, Rule, Verdict, named, of_process
from .view import PAGE, View, holder_of, pages_up

_IMAGE = ("text", "data", "user")

_MAX_TOLD = 16
"""Failures of one kind told one by one; the rest is counted."""

_PLACE = frozenset(("root-outside-ram", "table-outside-ram", "leaf-outside-ram",
                    "misaligned-superpage", "unreadable", "truncated"))
_POINTERS = frozenset(("root-outside-ram", "table-outside-ram", "unreadable", "pointer-flags", "pointer-at-level-0"))
_FORM = frozenset(("reserved-bits", "write-without-read", "pointer-flags", "pointer-at-level-0",
                   "more"))

# Rights

def no_user_supervisor(bench: Bench) -> Iterator[Verdict]:
    """Pages of a program that are all W X are as its file, or this kernel, has them."""
    policy = _ImagePolicy(bench.view)
    for p in bench.view.living():
        wrong = list(islice(_rights(bench, p, policy), _MAX_TOLD))
        yield from wrong or [bench.skipped(of_process(p), Reason(Kind.LOOSE_IMAGE)) if policy.is_loose(p)
                             else bench.passed(of_process(p))]


def _rights(bench: Bench, p: Process, policy: "_ImagePolicy") -> Iterator[Verdict]:
    view, layout = bench.view, bench.view.layout
    for name, va in (("trampoline", layout.trampoline), ("trapframe", layout.trapframe)):
        m = view.leaf(p, va)
        if m is not None and m.flags[4] == "U":
            yield bench.accuse(p, Reason(Kind.KERNEL_PAGE_OPEN, page=name, flags=m.flags), "proc_pagetable", mapping=m)
    allowed = policy.write_execute(p)
    for m in p.mappings:
        if m.flags[4] != "U":
            continue
        if m.flags[2:4] == "WX" and (m.va >= p.sz or m.region not in allowed):
            yield bench.accuse(p, Reason(Kind.WRITE_AND_EXECUTE, detail=m.region, flags=m.flags),
                               "exec" if m.va < p.sz else "mappages", mapping=m)
        if view.is_image(m.pa):
            yield bench.accuse(p, Reason(Kind.IMAGE_OPEN, frame=m.pa), "mappages", mapping=m)
    if policy.lacks_guard(p):
        yield bench.accuse(p, Reason(Kind.NO_GUARD), "uvmclear")


class _ImagePolicy:
    """What this kernel's exec does with program images: before 2022 xv6 mapped
    all of them W X, stacks too, and a file linked with ld -N still asks for
    that. Copy-on-write takes W away from some of the pages."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.stacks_execute = any(m.region == "stack" and m.flags[3:5] == "XU"
                                  for p in view.processes for m in p.mappings)
        self.some_guard = any(m.region == "guard" for p in view.processes for m in p.mappings)

    def write_execute(self, p: Process) -> Set[str]:
        """The regions below sz whose pages may be W X: those of the image when
        all of it is, and the others too when all of the program is."""
        user = [m for m in p.mappings if m.va < p.sz and m.flags[4] == "U"]
        if self.stacks_execute:
            return {m.region for m in user}
        image = [m for m in user if m.region in _IMAGE]
        if any(m.flags[2:4] != "WX" for m in image):
            return set()
        if any(m.flags[2:4] != "WX" for m in user):
            return set(_IMAGE)
        return {m.region for m in user}

    def is_loose(self, p: Process) -> bool:
        """Whether user code of `p` can write and execute a page."""
        return any(m.flags[2:5] == "WXU" for m in p.mappings)

    def lacks_guard(self, p: Process) -> bool:
        """Whether a program that exec loaded has no page below sz that user
        code may not touch. (Fewer than three pages: exec did not make it.)"""
        n_pages = pages_up(p.sz) // PAGE
        below = [m for m in p.mappings if m.va < p.sz]
        if not 3 <= n_pages <= sum(m.n_pages for m in below):
            return False
        stack_elsewhere = any(m.region == "other" and m.flags[4] == "U" for m in p.mappings)
        return all(m.flags[4] == "U" for m in below) and (self.some_guard or not stack_elsewhere)


# Entries

def frame_in_ram(bench: Bench) -> Iterator[Verdict]:
    """By the walk's findings about places."""
    yield from _found(bench, _PLACE, Kind.BAD_PLACE)


def pte_legal(bench: Bench) -> Iterator[Verdict]:
    """By the walk's findings about the form of entries."""
    yield from _found(bench, _FORM, Kind.BAD_FORM)


def _found(bench: Bench, kinds: frozenset, wrong: Kind) -> Iterator[Verdict]:
    for p in bench.view.processes:
        findings = [f for f in p.findings if f.kind in kinds]
        if not findings:
            yield bench.passed(of_process(p))
        for f in findings:
            if f.kind == "truncated":
                yield bench.skipped(of_process(p), Reason(Kind.TRUNCATED, detail=f.text))
            else:
                yield bench.accuse(p, Reason(wrong, detail=f.text, pte=f.pte), _who_wrote(f), va=f.va, pte_at=f.at,
                                   pte=f.pte)
    kernel = [f for f in bench.view.snapshot.kernel_table.findings if f.kind in kinds]
    if not kernel and bench.view.snapshot.kernel_table.root is not None:
        yield bench.passed(KERNEL_TABLE)
    for f in kernel:
        yield bench.failed(KERNEL_TABLE, Reason(wrong, detail=f.text, pte=f.pte), "kvmmake", va=f.va, pte_at=f.at, pte=f.pte)


def _who_wrote(finding: Finding) -> Optional[str]:
    """The usual name of the function that wrote a wrong entry: mappages, if it is a leaf. Pointers to tables no student's code
    writes."""
    return None if finding.kind in _POINTERS else "mappages"


def table_private(bench: Bench) -> Iterator[Verdict]:
    """Also a table under two entries of one root."""
    view = bench.view
    roots: Dict[int, Set[Optional[int]]] = defaultdict(set)
    for root, tables in [(p.root, p.tables) for p in view.processes] + [
            (view.snapshot.kernel_table.root, view.snapshot.kernel_table.tables)]:
        for table in tables:
            roots[table.pa].add(root)
    owners: Dict[Optional[int], List[Process]] = defaultdict(list)
    for p in view.processes:
        owners[p.root].append(p)
    for p in view.processes:
        wrong = list(islice(_shared_tables(bench, p, roots, owners), _MAX_TOLD))
        yield from wrong or [bench.passed(of_process(p))]


def _shared_tables(bench: Bench, p: Process, roots: Dict[int, Set[Optional[int]]],
                   owners: Dict[Optional[int], List[Process]]) -> Iterator[Verdict]:
    view = bench.view
    twins = [q for q in owners[p.root] if q is not p]
    if p.root is not None and twins:
        if view.has_function("clone"):
            yield bench.skipped(of_process(p), Reason(Kind.CLONED, process=named(twins[0]), function=view.function("clone")))
        else:
            yield bench.accuse(p, Reason(Kind.ROOT_SHARED, frame=p.root, process=named(twins[0])), "fork", pte_at=p.root,
                               others=tuple(twins[:1]))
        return
    for table in p.tables:
        also = roots[table.pa] - {p.root}
        if also:
            others = [q for root in sorted(also, key=str) for q in owners.get(root, [])]
            yield bench.accuse(
                p, Reason(Kind.TABLE_SHARED, frame=table.pa, level=table.level, process=named(others[0]) if others else None),
                "fork", va=table.va, pte_at=table.entry, others=tuple(others[:1]))
    for f in p.findings:
        if f.kind == "table-repeated":
            yield bench.accuse(p, Reason(Kind.TABLE_REPEATED, detail=f.text, pte=f.pte), "fork", va=f.va, pte_at=f.at, pte=f.pte)


# Free lists

def free_list_sound(bench: Bench) -> Iterator[Verdict]:
    """A verdict per list."""
    view, free = bench.view, bench.view.snapshot.free
    busy = view.allocator_busy()
    if not free.lists:
        yield bench.skipped(ALLOCATOR, view.free_unknown())
        return
    for one in free.lists:
        wrong = [f for f in free.findings if f.list == one.name]
        about = Subject("list", label=one.name)
        if busy:
            yield bench.skipped(about, busy)
        elif not wrong:
            yield bench.passed(about)
        for f in [] if busy else wrong:
            yield bench.failed(about, Reason(Kind.LIST_UNSOUND, detail=f.text), None if _is_in_use(view) else "kfree", pte_at=f.at)


def _is_in_use(view: View) -> bool:
    """Whether somebody still has a frame that is free, and so may write into the list."""
    return any(frame.users and view.is_free(frame.pa, frame.n_pages) for frame in view.snapshot.frames)


def not_on_free_list(bench: Bench) -> Iterator[Verdict]:
    """A verdict per process, and one for what the kernel itself uses."""
    view = bench.view
    busy = view.allocator_busy()
    if busy or not view.snapshot.free.lists:
        yield bench.skipped(KERNEL, busy or view.free_unknown())
        return
    in_use: Dict[Optional[int], List[Tuple[Frame, User]]] = defaultdict(list)
    for frame in view.snapshot.frames:
        if view.is_free(frame.pa, frame.n_pages):
            for user in frame.users:
                in_use[user.pid].append((frame, user))
    for p in view.processes:
        wrong = in_use.pop(p.pid, [])
        if not wrong:
            yield bench.passed(of_process(p))
        for frame, user in wrong[:_MAX_TOLD]:
            yield _freed_in_use(bench, p, frame, user, len(wrong))
    rest = [(frame, user) for users in in_use.values() for frame, user in users]
    for frame, user in rest[:_MAX_TOLD]:
        why = Reason(Kind.KERNEL_FREE_IN_USE, frame=frame.pa, users=(holder_of(user, view),))
        unsettled = view.unsettled()
        if unsettled:
            yield bench.held_back(KERNEL, unsettled, why)
        else:
            yield bench.failed(KERNEL, why, "kfree", va=user.va)
    if not rest:
        yield bench.passed(KERNEL)


def _freed_in_use(bench: Bench, p: Process, frame: Frame, user: User, n: int) -> Verdict:
    mapping = bench.view.leaf(p, user.va) if user.kind in ("user", "trapframe") else None
    table = next((t for t in p.tables if t.pa == frame.pa), None) if user.kind == "table" else None
    is_shared = user.kind == "user" and bench.view.shared(user.va) is not None
    return bench.accuse(
        p, Reason(Kind.FREE_IN_USE, frame=frame.pa, users=(holder_of(user, bench.view),), n=n),
        bench.view.who_freed(frame.pa) if is_shared else "uvmunmap",
        va=user.va, mapping=mapping, pte_at=table.entry if table else None, beyond=is_orphans_page(bench.view, user))


RULES = (
    Rule("no-user-supervisor", no_user_supervisor),
    Rule("frame-in-ram", frame_in_ram),
    Rule("pte-legal", pte_legal),
    Rule("not-on-free-list", not_on_free_list),
    Rule("free-list-sound", free_list_sound),
    Rule("table-private", table_private),
)

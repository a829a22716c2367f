"""Rules about page tables and free lists: any xv6 keeps them."""

from __future__ import annotations

from collections import defaultdict
from itertools import islice
from typing import Dict, Iterator, List, Optional, Set, Tuple

from ..frames import Frame, User
from ..snapshot import Process
from ..sv39 import Finding
from .verdict import UNKNOWN, Bench, Rule, Verdict, subject
from .view import PAGE, View, describe_user, pages_up

_IMAGE = ("text", "data", "user")

_MAX_TOLD = 16
"""Failures of one kind told one by one; the rest is counted."""

_PLACE = frozenset(("root-outside-ram", "table-outside-ram", "leaf-outside-ram",
                    "misaligned-superpage", "unreadable", "truncated"))
_FORM = frozenset(("reserved-bits", "write-without-read", "pointer-flags", "pointer-at-level-0",
                   "more"))

# Rights

def no_user_supervisor(bench: Bench) -> Iterator[Verdict]:
    """Pages of a program that are all W X are as its file, or this kernel, has them."""
    policy = _ImagePolicy(bench.view)
    for p in bench.view.living():
        wrong = list(islice(_rights(bench, p, policy), _MAX_TOLD))
        yield from wrong or [bench.skipped(subject(p), policy.name) if policy.is_loose(p)
                             else bench.passed(subject(p))]


def _rights(bench: Bench, p: Process, policy: "_ImagePolicy") -> Iterator[Verdict]:
    view, layout = bench.view, bench.view.layout
    for name, va in (("trampoline", layout.trampoline), ("trapframe", layout.trapframe)):
        m = view.at(p, va)
        if m is not None and m.flags[4] == "U":
            yield bench.accuse(
                p, f"user code may touch the {name}", "U clear", m.flags, "proc_pagetable",
                f"The {name} is the kernel's, though it is in the user's table: map it without "
                "PTE_U.", mapping=m)
    allowed = policy.write_execute(p)
    for m in p.mappings:
        if m.flags[4] != "U":
            continue
        if m.flags[2:4] == "WX" and (m.va >= p.sz or m.region not in allowed):
            yield bench.accuse(
                p, f"a page that user code can both write and execute ({m.region})",
                "W or X, not both", m.flags, "exec" if m.va < p.sz else "mappages",
                "Map text R X, everything else R W.", mapping=m)
        if view.is_image(m.pa):
            yield bench.accuse(
                p, "user code sees the kernel's own image", "a frame from kalloc",
                f"frame {m.pa:#x}, in the kernel's image", "mappages",
                "A user page must be a frame of its own: the address of a kernel variable was "
                "mapped.", mapping=m)
    if policy.lacks_guard(p):
        yield bench.accuse(
            p, "no guard page below its stack: user code may touch every page below sz",
            "a page without U below the stack", "U set in all of them", "uvmclear",
            "exec takes PTE_U away from the page under the stack, so that overrunning the stack "
            "is a fault.")


class _ImagePolicy:
    """What this kernel's exec does with program images: before 2022 xv6 mapped
    all of them W X, stacks too, and a file linked with ld -N still asks for
    that. Copy-on-write takes W away from some of the pages."""

    name = ("its program's pages are W X, as exec before 2022 and ld -N make them; else it is as it "
            "should be")

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
    yield from _found(bench, _PLACE, "frames inside RAM, aligned to their size",
                      "The entry's physical page number is not a frame's. Was a value mapped "
                      "where an address belongs? PA2PTE wants the physical address itself.")


def pte_legal(bench: Bench) -> Iterator[Verdict]:
    """By the walk's findings about the form of entries."""
    yield from _found(bench, _FORM, "an entry that the architecture defines",
                      "RISC-V Privileged 4.4.1: W needs R; pointers have R W X U A D clear; bits "
                      "63 to 54 are zero; level 0 holds only leaves.")


def _found(bench: Bench, kinds: frozenset, expected: str, explanation: str) -> Iterator[Verdict]:
    for p in bench.view.processes:
        findings = [f for f in p.findings if f.kind in kinds]
        if not findings:
            yield bench.passed(subject(p))
        for f in findings:
            if f.kind == "truncated":
                yield bench.skipped(subject(p), f.text, UNKNOWN)
            else:
                yield bench.accuse(p, f.text, expected, _actual(f), "mappages", explanation,
                                   va=f.va, pte_at=f.at, pte=f.pte)
    kernel = [f for f in bench.view.snapshot.kernel_table.findings if f.kind in kinds]
    if not kernel and bench.view.snapshot.kernel_table.root is not None:
        yield bench.passed("kernel table")
    for f in kernel:
        yield bench.failed("kernel table", f.text, expected, _actual(f), "kvmmake", explanation,
                           va=f.va, pte_at=f.at, pte=f.pte)


def _actual(f: Finding) -> str:
    return f.text if f.pte is None else f"entry {f.pte:#x}"


def table_private(bench: Bench) -> Iterator[Verdict]:
    """Also a table under two entries of one root."""
    view = bench.view
    roots: Dict[int, Set[int]] = defaultdict(set)
    for root, tables in [(p.root, p.tables) for p in view.processes] + [
            (view.snapshot.kernel_table.root, view.snapshot.kernel_table.tables)]:
        for table in tables:
            roots[table.pa].add(root)
    owners: Dict[int, List[Process]] = defaultdict(list)
    for p in view.processes:
        owners[p.root].append(p)
    for p in view.processes:
        wrong = list(islice(_shared_tables(bench, p, roots, owners), _MAX_TOLD))
        yield from wrong or [bench.passed(subject(p))]


def _shared_tables(bench: Bench, p: Process, roots: Dict[int, Set[int]],
                   owners: Dict[int, List[Process]]) -> Iterator[Verdict]:
    view = bench.view
    advice = ("fork must build tables of the child's own, with uvmcopy and mappages: entries of "
              "the parent's upper tables must not be copied. Freeing one would free both.")
    twins = [q for q in owners[p.root] if q is not p]
    if p.root is not None and twins:
        if view.has_function("clone"):
            yield bench.skipped(subject(p), f"shares its whole table with {subject(twins[0])}: "
                                f"this kernel has {view.function('clone')}")
        else:
            yield bench.accuse(
                p, f"its root table is also the root of {subject(twins[0])}", "a root of its own",
                f"table {p.root:#x} of both", "fork", advice, pte_at=p.root,
                others=tuple(twins[:1]))
        return
    for table in p.tables:
        also = roots[table.pa] - {p.root}
        if also:
            others = [q for root in sorted(also, key=str) for q in owners.get(root, [])]
            name = subject(others[0]) if others else "the kernel"
            yield bench.accuse(
                p, f"its level-{table.level} table {table.pa:#x} is also in the tables of {name}",
                "a table of its own", f"table {table.pa:#x} of both", "fork", advice,
                va=table.va, pte_at=table.entry, others=tuple(others[:1]))
    for f in p.findings:
        if f.kind == "table-repeated":
            yield bench.accuse(p, f.text, "each table reached by one entry", _actual(f), "fork",
                               advice, va=f.va, pte_at=f.at, pte=f.pte)


# Free lists

def free_list_sound(bench: Bench) -> Iterator[Verdict]:
    """A verdict per list."""
    view, free = bench.view, bench.view.snapshot.free
    busy = view.allocator_busy()
    if not free.lists:
        yield bench.skipped("allocator", free.why or "no free list is known in this kernel", UNKNOWN)
        return
    for one in free.lists:
        wrong = [f for f in free.findings if f.text.startswith(one.name + ":")]
        if busy:
            yield bench.skipped(one.name, busy)
        elif not wrong:
            yield bench.passed(one.name)
        for f in [] if busy else wrong:
            yield bench.failed(
                one.name, f.text, "each free frame once, then 0", f.text, "kfree",
                "A frame that is freed twice is on the list twice, and kalloc gives it to two "
                "owners. Is it freed by kfree and again by uvmunmap's do_free? A node outside RAM "
                "means that someone wrote into a free frame.", pte_at=f.at)


def not_on_free_list(bench: Bench) -> Iterator[Verdict]:
    """A verdict per process, and one for what the kernel itself uses."""
    view = bench.view
    busy = view.allocator_busy()
    if busy or not view.snapshot.free.lists:
        yield bench.skipped("kernel", busy or view.snapshot.free.why or "no free list is known",
                            UNKNOWN)
        return
    in_use: Dict[Optional[int], List[Tuple[Frame, User]]] = defaultdict(list)
    for frame in view.snapshot.frames:
        if view.is_free(frame.pa, frame.n_pages):
            for user in frame.users:
                in_use[user.pid].append((frame, user))
    for p in view.processes:
        wrong = in_use.pop(p.pid, [])
        if not wrong:
            yield bench.passed(subject(p))
        for frame, user in wrong[:_MAX_TOLD]:
            yield _freed_in_use(bench, p, frame, user, len(wrong))
    rest = [(frame, user) for users in in_use.values() for frame, user in users]
    for frame, user in rest[:_MAX_TOLD]:
        what = describe_user(user, view.snapshot)
        unsettled = view.unsettled()
        if unsettled:
            yield bench.held_back("kernel", unsettled, f": {what} is free")
        else:
            yield bench.failed("kernel", f"{what} is on the free list", "a frame that is not free",
                               f"frame {frame.pa:#x}, free", "kfree",
                               "The frame was freed while the kernel still uses it.", va=user.va)
    if not rest:
        yield bench.passed("kernel")


def _freed_in_use(bench: Bench, p: Process, frame: Frame, user: User, n: int) -> Verdict:
    what = describe_user(user, bench.view.snapshot)
    more = f" (one of {n} of its frames)" if n > 1 else ""
    mapping = bench.view.at(p, user.va) if user.kind in ("user", "trapframe") else None
    table = next((t for t in p.tables if t.pa == frame.pa), None) if user.kind == "table" else None
    return bench.accuse(
        p, f"{what} is on the free list{more}", "a frame that is not free",
        f"frame {frame.pa:#x}, free", "uvmunmap",
        "Somebody freed a frame that this process still reaches: the next kalloc gives it to "
        "another. For a shared page, unmap without do_free and count the users.",
        va=user.va, mapping=mapping, pte_at=table.entry if table else None)


RULES = (
    Rule("no-user-supervisor", "trampoline and trapframe lack U, a guard page lies below the "
         "stack, and no user page has both W and X", no_user_supervisor),
    Rule("frame-in-ram", "every leaf and table frame is aligned and inside RAM", frame_in_ram),
    Rule("pte-legal", "every entry is one that the architecture defines", pte_legal),
    Rule("not-on-free-list", "nothing reachable is on the free list", not_on_free_list),
    Rule("free-list-sound", "no cycle, no duplicate, every node in range", free_list_sound),
    Rule("table-private", "no table page under two roots", table_private),
)

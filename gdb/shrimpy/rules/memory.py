"""Rules about page tables, frames and the allocator: any xv6 keeps them."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import islice
from typing import Dict, Iterator, List, Optional, Set, Tuple

from ..frames import Frame, User
from ..snapshot import Process
from ..sv39 import Finding
from .verdict import UNKNOWN, Bench, Rule, Verdict, subject
from .view import PAGE, Moment, View, count_pages, describe_user, like, pages_up

_IMAGE = ("text", "data", "user")

_OWN = frozenset(("user", "table", "trapframe", "kstack", "kernel-table"))
"""Kinds of users that other rules account for."""

_MAX_TOLD = 16
"""Failures of one kind told one by one; the rest is counted."""

_PLACE = frozenset(("root-outside-ram", "table-outside-ram", "leaf-outside-ram",
                    "misaligned-superpage", "unreadable", "truncated"))
_FORM = frozenset(("reserved-bits", "write-without-read", "pointer-flags", "pointer-at-level-0",
                   "more"))
_UNWALKED = frozenset(("root-outside-ram", "table-outside-ram", "unreadable", "truncated"))


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


# Accounts

def frames_conserved(bench: Bench) -> Iterator[Verdict]:
    """Judges only where nobody may just hold a frame: see View.unsettled."""
    view, snapshot = bench.view, bench.view.snapshot
    why = _unaccountable(view)
    if why:
        yield bench.skipped("RAM", why, UNKNOWN)
        return
    unsettled = view.unsettled()
    half_made = [p for p in view.processes if p.state == "USED"]
    lost = snapshot.lost
    if unsettled and (lost or half_made):
        yield bench.held_back("RAM", unsettled, f", frames without an owner: {count_pages(lost)}, "
                              f"processes half made: {len(half_made)}")
        return
    for p in half_made:
        yield bench.failed(
            subject(p), "it is half made (USED), and nobody is making it: its frames are lost",
            "a slot that is UNUSED or a process that runs", f"USED, with root {p.root or 0:#x}",
            "fork", "When fork or allocproc runs out of memory half-way it must call freeproc, "
            "which gives the slot and its frames back.", process=p)
    for pa, n_pages in lost[:_MAX_TOLD]:
        yield _lost(bench, pa, n_pages)
    if len(lost) > _MAX_TOLD:
        yield bench.failed("RAM", f"{count_pages(lost[_MAX_TOLD:])} more frames have no owner",
                           "every frame free or in use", f"{count_pages(lost)} lost in all",
                           "kfree", "See the failures above.")
    if not lost and not half_made:
        yield bench.passed("RAM")


def _unaccountable(view: View) -> Optional[str]:
    """Why frames cannot be accounted for at this stop, or None."""
    snapshot, bounds = view.snapshot, view.allocatable()
    if view.allocator_busy():
        return view.allocator_busy()
    if not snapshot.free.complete:
        return snapshot.free.why or "the free list was not walked"
    if bounds is None:
        return "nothing says where the kernel's image ends"
    if snapshot.kernel_table.root is None:
        return "the kernel has no page table yet"
    unwalked = [p for p in view.processes if any(f.kind in _UNWALKED for f in p.findings)]
    if unwalked:
        # Who is buried still points to its tables, which may be others' frames by now.
        busy = next((why for p in unwalked for why in [view.busy(p)] if why), "")
        why = f"the tables of {subject(unwalked[0])} could not be followed to their ends"
        return like(busy, f"{busy}; as it stands, {why}") if busy else why
    if any(f.kind in _UNWALKED for f in snapshot.kernel_table.findings):
        return "the kernel's table could not be followed to its end"
    n_frames = (bounds[1] - bounds[0]) // PAGE
    if snapshot.free.count == 0 and count_pages(snapshot.lost) > n_frames // 2:
        return "most of RAM has no owner that this kit knows: an allocator it cannot read"
    return None


def _lost(bench: Bench, pa: int, n_pages: int) -> Verdict:
    view = bench.view
    was = view.was(pa)
    counts = view.snapshot.counts
    counted = dict(counts.values).get(pa, 0) if counts else None
    told = ["" if was is None else f"It was last seen as {was}.",
            "" if counted is None else f"{counts.name} says {counted}.",
            "Somebody unmapped it, or overwrote the only pointer to it, without kfree. Look where "
            "FRY's frame is freed, at exec's old pages, and at the paths that run out of memory."]
    name = f"frame {pa:#x}" if n_pages == 1 else f"{n_pages} frames from {pa:#x}"
    return bench.failed(
        name, "neither free nor used by anything" + (f": it was {was}" if was else ""),
        "every frame free or in use", "lost", "freeproc", " ".join(filter(None, told)))


def frames_return(bench: Bench) -> Iterator[Verdict]:
    """Judges where all that ran since an earlier snapshot is known to have ended:
    compares what the kernel holds for no process that lives."""
    view, before = bench.view, bench.view.known.before
    if before is None:
        yield bench.skipped("RAM", "it takes a run that has ended to compare with")
        return
    then = View(before)
    why = _unaccountable(view) or view.unsettled()
    if not why and _who(view) != _who(then):
        why = Moment("not all that began has ended")
    earlier = why or _unaccountable(then) or then.unsettled()
    if earlier:
        yield bench.skipped("RAM", why or f"at the earlier stop, {earlier}", UNKNOWN)
        return
    had, has = _held(then), _held(view)
    gained = sorted(has.keys() - had.keys())
    n_more = len(gained) - len(had.keys() - has.keys())
    if n_more <= 0:
        yield bench.passed("RAM")
        return
    for pa in gained[:_MAX_TOLD]:
        holder = describe_user(has[pa], view.snapshot)
        yield bench.failed(
            f"frame {pa:#x}", f"{holder} still holds it, though all that ran has ended: {n_more} "
            "frames did not come back", "a frame that is free again", f"held by {holder}", "freeproc",
            "A frame that was taken for a process must be freed with it. A pointer that is left in "
            "a table or a list of the kernel's keeps nobody alive.")


def _who(view: View) -> Set[Tuple[int, int]]:
    return {(p.slot, p.pid) for p in view.processes}


def _held(view: View) -> Dict[int, User]:
    """The frames of the allocator that no process has, by address, and who has them."""
    return {frame.pa: frame.users[0] for frame in view.snapshot.frames
            if frame.users and all(u.kind not in _OWN for u in frame.users)}


def count_matches(bench: Bench) -> Iterator[Verdict]:
    """Judges frames that a leaf maps, and free ones."""
    view, counts = bench.view, bench.view.snapshot.counts
    busy = view.allocator_busy()
    bounds = view.allocatable()
    if counts is None or bounds is None or busy:
        yield bench.skipped("counts", busy or "this kernel keeps no counts that are known", UNKNOWN)
        return
    value = {pa: n for pa, n in counts.values if bounds[0] <= pa < bounds[1]}
    used = [(frame.pa, frame) for frame in view.snapshot.frames if frame.n_pages == 1
            and any(u.kind == "user" for u in frame.users)]
    extra = _counted_from(used, value)
    wrong = [(pa, value.get(pa, 0), len(frame.users) - extra, frame) for pa, frame in used
             if value.get(pa, 0) != len(frame.users) - extra]
    wrong += [(pa, n, 0, None) for pa, n in _counted_but_free(view, value)]
    unsettled = view.unsettled() if wrong else None
    if not wrong:
        yield bench.passed(counts.name)
    elif unsettled:
        yield bench.held_back(counts.name, unsettled, f", {len(wrong)} counts are not the number "
                              "of mappings")
    else:
        for pa, have, expected, frame in wrong[:_MAX_TOLD]:
            yield _miscounted(bench, pa, have, expected, frame, len(wrong))


def _counted_from(used: List[Tuple[int, Frame]], value: Dict[int, int]) -> int:
    """1 when this kernel counts only users beyond the first, else 0."""
    differences = Counter(len(frame.users) - value.get(pa, 0) for pa, frame in used)
    return 1 if differences[1] > differences[0] else 0


def _counted_but_free(view: View, value: Dict[int, int]) -> List[Tuple[int, int]]:
    """Free frames with a count, unless this kernel leaves counts behind in
    most of its free frames and sets them in kalloc."""
    left = [(pa, n) for pa, n in value.items() if view.is_free(pa)]
    return left if 2 * len(left) < view.snapshot.free.count else []


def _miscounted(bench: Bench, pa: int, have: int, expected: int, frame: Optional[Frame],
                n: int) -> Verdict:
    view = bench.view
    users = "free" if frame is None else ", ".join(
        describe_user(u, view.snapshot) for u in frame.users[:4])
    more = f" (one of {n})" if n > 1 else ""
    noun = "user" if expected == 1 else "users"
    owner = next((u for u in frame.users if u.kind == "user"), None) if frame else None
    process = view.snapshot.process(owner.pid) if owner else None
    mapping = view.at(process, owner.va) if process else None
    return bench.failed(
        f"frame {pa:#x}", f"{view.snapshot.counts.name} says {have}, the frame has {expected} "
        f"{noun}{more}", f"{expected}: {users}", str(have), "kfree" if have < expected else "kalloc",
        "Each mapping takes one reference and each unmapping gives one back, under the lock. Too "
        "few: the frame is freed while somebody maps it. Too many: it is never freed.",
        va=owner.va if owner else None, pte_at=mapping.pte_at if mapping else None,
        pte=mapping.pte if mapping else None, process=process)


RULES = (
    Rule("no-user-supervisor", "trampoline and trapframe lack U, a guard page lies below the "
         "stack, and no user page has both W and X", no_user_supervisor),
    Rule("frame-in-ram", "every leaf and table frame is aligned and inside RAM", frame_in_ram),
    Rule("pte-legal", "every entry is one that the architecture defines", pte_legal),
    Rule("not-on-free-list", "nothing reachable is on the free list", not_on_free_list),
    Rule("free-list-sound", "no cycle, no duplicate, every node in range", free_list_sound),
    Rule("frames-conserved", "every frame is the kernel image's, free, or somebody's",
         frames_conserved),
    Rule("frames-return", "what has ended has given its frames back", frames_return),
    Rule("table-private", "no table page under two roots", table_private),
    Rule("count-matches", "where the kernel keeps counts, count = number of mappings",
         count_matches),
)

"""Takes a snapshot: everything there is to see in a stopped machine's memory, by a kernel's debugging information."""

from __future__ import annotations

import dataclasses
import gc
from functools import lru_cache
from pathlib import PurePath
from typing import Callable, Dict, Iterable, Iterator, List, Mapping as Map, NamedTuple, Optional, Sequence, Tuple

from .. import words
from ..kernel import FreeWalk, Kernel, Proc, guard_of, panic, rsw_names, segments as kept
from ..kernel.debuginfo import DebugInfo
from ..kernel.growth import lazy_mover
from ..kernel.panic import Panic
from ..kernel.stacks import Registers, Stack, StackAt, Unwinder
from ..memory import sv39
from ..memory.readers import PAGE, Reader
from ..memory.sv39 import Finding, Table
from ..reasons import Kind, Reason
from ..records import Runs
from .frames import Accounts, Frame, User, pages_of, runs_of
from .holders import claim
from .index import Ranges
from .model import Attachment, Counts, Free, FreeList, Hart, KernelTable, Layout, Lock, Mapping, Process, Segment, Snapshot, Stop

_KERNEL_PARTS = 3       # tree/kernel/kernel


def take(reader: Reader, info: DebugInfo, stop: Optional[Stop] = None,
         harts: Sequence[Hart] = (), *, fry: Optional[int] = None,
         shrimp: Optional[int] = None, fry_from: Optional[str] = None,
         walk_free: bool = True, registers: Map[int, Registers] = {},
         inlined: Callable[[int], Tuple[str, ...]] = lambda pc: ()) -> Snapshot:
    """Everything there is to see in `reader`'s memory, by `info`.

    stop, harts: what only a debugger knows (registers); without them
    privileges are None. fry, shrimp: virtual addresses, None when this kernel
    has none; fry_from: where they came from. walk_free: False leaves the
    allocator's lists alone (free.complete is then False): with a reader that
    has no first_words they cost a read per free frame. registers: of each hart
    that is in the kernel, by stacks.REGISTERS; inlined: the functions whose code
    is at an address because they were inlined there, innermost first.

    Never raises for what is in memory: that becomes findings. Raises
    ReadError only when the source itself fails.
    """
    collecting = gc.isenabled()
    gc.disable()    # thousands of small objects, none of them garbage: a third of the time
    try:
        reader.look(info)
        return reader.remembered(
            "snapshot", lambda: _Taking(reader, info, (fry, shrimp, fry_from), inlined, harts).snapshot(stop, harts, walk_free, registers),
            (stop, harts, fry, shrimp, fry_from, walk_free, registers, inlined))
    finally:
        if collecting:
            gc.enable()


@lru_cache(maxsize=8)
def _named(path: str) -> str:
    """What a snapshot calls a kernel: the tree's name tells kernels apart; the way to it is this machine's business."""
    return "/".join(PurePath(path).parts[-_KERNEL_PARTS:])


def _segment(one: kept.Segment) -> Segment:
    frames: List[Tuple[int, int]] = []
    for pa in one.frames:
        if frames and frames[-1][0] + frames[-1][1] * PAGE == pa:
            frames[-1] = (frames[-1][0], frames[-1][1] + 1)
        else:
            frames.append((pa, 1))
    return Segment(one.id, one.name, one.key, one.size, one.n_attached, one.mode, one.removed, tuple(frames), one.counted)


class _Taking:
    """The parts of one snapshot while they are put together."""

    def __init__(self, reader: Reader, info: DebugInfo,
                 fry: Tuple[Optional[int], Optional[int], Optional[str]],
                 inlined: Callable[[int], Tuple[str, ...]], harts: Sequence[Hart]) -> None:
        self.reader = reader
        self.inlined = inlined
        self.kernel = Kernel(reader, info)
        n_frames = (reader.ram[1] - reader.ram[0]) // PAGE
        # For all processes together. Copy-on-write maps a frame many times; four
        # times all of RAM is noise.
        self.budget = sv39.Budget(2 * n_frames, 4 * n_frames)
        self.kernel_table = self._walk_kernel(harts)
        self.layout = reader.remembered("layout", lambda: self._layout(*fry), (self.kernel_table, fry))
        self.kernel_places = reader.remembered("places", lambda: KernelPlaces(self.kernel_table.mappings), self.kernel_table)
        self.unwinder = Unwinder(reader, info, self.kernel_places.find)
        self.panic: Optional[Panic] = None
        self.segments = sorted(self.kernel.segments(), key=lambda one: one.id)
        self.segment_at = {pa: segment.id for segment in self.segments for pa in segment.frames}
        reader.rely_on((self.layout, self.kernel_table, self.segments))

    def snapshot(self, stop: Optional[Stop], harts: Sequence[Hart], walk_free: bool,
                 registers: Map[int, Registers]) -> Snapshot:
        kernel, layout = self.kernel, self.layout
        procs = kernel.processes()
        pid_at = {p.address: p.pid for p in procs}
        seen = [self._process(p, pid_at) for p in procs]
        processes = [one.process for one in seen]
        lowest, end = self._allocatable()
        if walk_free:
            walk = kernel.free_frames(lowest, end)
        else:
            walk = FreeWalk(bytearray(), [], False, Kind.FREE_LIST_NOT_WALKED, [])
        frames, lost = self._frames(walk, procs, seen, any(h.privilege == "U" for h in harts))
        counts = self._counts(procs, walk.marks)
        if procs and kernel.info.undescribed:
            kernel.note_undescribed()
        harts = self._with_panic(self._harts(harts, pid_at), registers, processes)
        locks = tuple(Lock(*lock) for lock in sorted(kernel.locks(), key=lambda k: k[0]))
        return Snapshot(
            source=self.reader.source, kernel=_named(kernel.info.kernel), layout=layout,
            stop=self._stop(stop, harts), harts=harts,
            locks=locks,
            processes=tuple(processes), kernel_table=self.kernel_table,
            free=_free(walk, layout.ram_base, lowest, end, [lock.name for lock in locks]),
            counts=counts,
            frames=frames, panic=self.panic, next_pid=kernel.next_pid(),
            segments=tuple(map(_segment, self.segments)), segment_tables=kernel.segment_tables(),
            lost=lost,
            functions=self._functions(processes), findings=tuple(kernel.findings))

    def _walk_kernel(self, harts: Sequence[Hart]) -> KernelTable:
        root = self.kernel.root()
        if root is None and not self.kernel.info.symbol("kernel_pagetable"):
            root = next((r for h in harts if h.privilege == "S" for r in [sv39.root_of(h.satp)] if r), None)
        if root is None:
            return KernelTable()
        table = root
        return self.reader.remembered("kernel's table", lambda: self._walk_of_kernel(table), table)

    def _walk_of_kernel(self, root: int) -> KernelTable:
        walk = sv39.walk(self.reader, root, devices=True, runs=True)
        mappings = tuple(self._kernel_mapping(leaf) for leaf in walk.leaves)
        return KernelTable(root, tuple(walk.tables), mappings, tuple(walk.findings))

    def _kernel_mapping(self, leaf: sv39.Leaf) -> Mapping:
        base, end = self.reader.ram
        if not base <= leaf.pa < end:
            region = "device"
        elif leaf.va == leaf.pa:
            region = "text" if leaf.pte & sv39.X else "ram"
        elif leaf.pte & sv39.X:
            region = "trampoline"
        else:
            region = "kstack"
        flags = sv39.FLAGS[leaf.pte & 0xFF & ~(sv39.A | sv39.D)]
        return Mapping(leaf.va, leaf.pa, leaf.level, leaf.n_pages, flags, leaf.pte, leaf.pte_at,
                       region)

    def _layout(self, fry: Optional[int], shrimp: Optional[int],
                fry_from: Optional[str]) -> Layout:
        kernel, (ram_base, ram_end) = self.kernel, self.reader.ram
        base, image_end = kernel.image()
        direct_end = max((m.va + m.n_pages * PAGE for m in self.kernel_table.mappings
                          if m.va == m.pa and m.region != "device"), default=ram_end)
        alloc_end = min(kernel.constant("PHYSTOP", direct_end), ram_end)
        return Layout(
            maxva=kernel.constant("MAXVA", sv39.MAXVA), ram_base=ram_base, ram_end=ram_end,
            kernel_base=base, kernel_end=image_end, alloc_end=alloc_end,
            trampoline=kernel.trampoline(), trapframe=kernel.trapframe(),
            fry=fry, shrimp=shrimp, fry_from=fry_from, nproc=kernel.n_slots() or None, rsw=rsw_names(kernel.info))

    def _allocatable(self) -> Tuple[int, int]:
        """[lowest, end) of the frames that the allocator hands out."""
        layout = self.layout
        image_end = layout.ram_base if layout.kernel_end is None else layout.kernel_end
        lowest = min(max(image_end, layout.ram_base), layout.ram_end)
        return lowest + PAGE - 1 & -PAGE, max((layout.alloc_end or layout.ram_end) & -PAGE, layout.ram_base)

    def _process(self, p: Proc, pid_at: Dict[int, int]) -> "_Seen":
        parent, budget = pid_at.get(p.parent), self.budget
        seen = self.reader.remembered(
            p.address, lambda: self._seen(p, parent, sv39.Budget(budget.n_tables, budget.n_leaves)), (p, parent))
        if not seen.walk_ends or budget.n_tables < seen.n_tables or budget.n_leaves <= seen.n_leaves:
            return self._seen(p, parent, budget)
        budget.n_tables -= seen.n_tables
        budget.n_leaves -= seen.n_leaves
        return seen

    def _seen(self, p: Proc, parent: Optional[int], budget: sv39.Budget) -> "_Seen":
        """A process as it is in memory; the walk is within `budget`."""
        tables: Sequence[Table] = ()
        mappings: List[Mapping] = []
        findings: Sequence[Finding] = ()
        n_tables, n_leaves = budget.n_tables, budget.n_leaves
        if p.root:
            walk = sv39.walk(self.reader, p.root, budget=budget)
            tables, findings = walk.tables, walk.findings
            mappings = self._mappings(walk.leaves, p.sz)
        process = Process(
            p.slot, p.pid, parent, p.name, p.state, p.sz, p.address, p.root or None,
            p.trapframe or None, p.kstack or None, p.lock_held, p.killed, p.chan or None,
            self.reader.remembered("calls", lambda: self._calls(p), p),
            self._fry_content(mappings), tuple(tables), tuple(mappings), tuple(findings),
            tuple(Attachment(*one) for one in self.kernel.attachments(p, self.segments)))
        return _Seen(process, tuple(_uses(process)), n_tables - budget.n_tables, n_leaves - budget.n_leaves,
                     budget.n_tables > 0 and budget.n_leaves > 0)

    def _mappings(self, leaves: Sequence[sv39.Leaf], sz: int) -> List[Mapping]:
        """The leaves of one process with the part of the program each belongs to."""
        layout, flags = self.layout, sv39.FLAGS
        special = {layout.trampoline: "trampoline", layout.trapframe: "trapframe",
                   layout.fry: "fry", layout.shrimp: "shrimp"}
        guard = max((leaf.va for leaf in leaves
                     if leaf.va < sz and leaf.pte & sv39.U == 0 and leaf.va not in special),
                    default=None)
        stack_end = 0 if guard is None else guard + PAGE * (1 + self.kernel.constant("USERSTACK", 1))
        mappings = []
        for va, pa, level, n_pages, pte, pte_at in leaves:
            region = special.get(va)
            if region is None:
                if va >= sz:
                    region = f"shm:{self.segment_at[pa]}" if pa in self.segment_at else "other"
                elif guard is None or va < guard:
                    region = "text" if pte & sv39.X else "user" if guard is None else "data"
                elif va == guard:
                    region = "guard"
                else:
                    region = "stack" if va < stack_end else "heap"
            mappings.append(Mapping(va, pa, level, n_pages, flags[pte & 0xFF], pte, pte_at, region))
        return mappings

    def _fry_content(self, mappings: Sequence[Mapping]) -> Optional[str]:
        pa = next((m.pa for m in reversed(mappings) if m.region == "fry" and m.level == 0), None)
        base, end = self.reader.ram
        if pa is None or not base <= pa <= end - PAGE:
            return None
        tail = self.reader.read(pa + PAGE - _TAIL, _TAIL)
        if not any(tail):
            return "zero"
        # xv6's kalloc fills a frame with 5, its kfree with 1.
        return "junk" if tail in (b"\5" * _TAIL, b"\1" * _TAIL) else "data"

    def _counts(self, procs: Sequence[Proc], free: bytes) -> Optional[Counts]:
        counts = self.kernel.counts(*self._allocatable(), free)
        if counts is None:
            return None
        known = counts, self.kernel.idle_pointers(procs)
        return self.reader.remembered("counts", lambda: _counted(*known), known)

    def _frames(self, walk: FreeWalk, procs: Sequence[Proc], seen: Sequence["_Seen"], some_run: bool) -> Tuple[Tuple[Frame, ...], Runs]:
        """The frames in use, and those that nobody accounts for. some_run: whether a hart is known to run a program."""
        kernel, remembered = self.kernel, self.reader.remembered
        uses = [one.uses for one in seen]
        accounts = remembered("accounts", lambda: self._accounts(walk.marks, procs, uses), (
            walk, uses, [(p.address, p.pid, p.kstack) for p in procs], kernel.pipes(), kernel.driver_frames()))
        frames, lost = remembered("frames", lambda: (accounts.frames(), accounts.lost()), accounts)
        if not walk.complete:
            return frames, ()
        if lost:
            return remembered("claimed", lambda: self._claimed(accounts.copy(), procs, some_run), (accounts, procs, some_run))
        return frames, lost

    def _claimed(self, accounts: Accounts, procs: Sequence[Proc], some_run: bool) -> Tuple[Tuple[Frame, ...], Runs]:
        """The same, with the owners of frames that nobody was known to use."""
        self.reader.confirm()       # to look for owners takes long: in all of RAM, where a torn free list has lost all of it
        if not self.layout.nproc and self.kernel.has_processes():
            self._note_unseen(accounts, len(procs), some_run)
        claim(accounts, self.kernel, procs, self.kernel_places.find)
        return accounts.frames(), accounts.lost()

    def _accounts(self, free: bytearray, procs: Sequence[Proc], uses: Sequence["_Uses"]) -> Accounts:
        layout, kernel = self.layout, self.kernel
        accounts = Accounts(layout.ram_base, *self._allocatable(), free)
        for their in uses:
            accounts.add_each(their)
        for table in self.kernel_table.tables:
            accounts.add(table.pa, User("kernel-table", None, table.va))
        stack_pids = {p.kstack: p.pid for p in procs if p.kstack}
        for m in self.kernel_table.mappings:
            if m.region == "kstack" and m.n_pages <= _MAX_STACK_RUN:
                pid = None      # of the stack that begins at or below this page of the run
                for offset in range(0, m.n_pages * PAGE, PAGE):
                    pid = stack_pids.get(m.va + offset, pid)
                    accounts.add(m.pa + offset, User("kstack", pid, m.va + offset))
        for p in procs:
            accounts.add(p.kstack, User("kstack", p.pid, p.kstack))     # one in the direct map
        for p in procs:                                     # in an array they are the image's
            accounts.add(p.address & -PAGE, User("kernel", p.pid, None, "struct proc"))
        for pa in kernel.pipes():
            accounts.add(pa, User("pipe"))
        for pa, name in kernel.driver_frames():
            accounts.add(pa, User("driver", None, None, name))
        for segment in self.segments:
            user = User("kernel" if segment.is_over else "segment", None, None, segment.name)
            for pa in (*segment.frames, *([segment.listing] if segment.listing else [])):
                accounts.add(pa, user)
        return accounts

    def _note_unseen(self, accounts: Accounts, n_found: int, some_run: bool) -> None:
        """A finding when page tables of user programs are there that no known process
        has: where processes are not in an array, some may not have been found."""
        trampoline, trapframe = self.layout.trampoline, self.layout.trapframe
        place = self.kernel_places.find(trampoline) if trampoline is not None else None
        unseen = [] if place is None or trampoline is None or trapframe is None else [
            pa for pa in pages_of(accounts.lost())
            if sv39.translate(self.reader, pa, trampoline).pa == place[0]
            and sv39.translate(self.reader, pa, trapframe).pa is not None]
        if unseen or some_run and not n_found:
            self.kernel.note_unseen(unseen, n_found)

    def _functions(self, processes: Sequence[Process]) -> Tuple[Tuple[str, str], ...]:
        """The names that verdicts may speak of; what bounds a heap only where one is beyond its bound."""
        known = self.kernel.function_names()
        bound = min((va for va in (self.layout.fry, self.layout.shrimp) if va is not None), default=None)
        if bound is None or all(p.sz <= bound for p in processes):
            return known
        lazily = lazy_mover(self.reader, self.kernel.info)
        return known + ((("grow lazily", lazily),) if lazily else ())

    def _harts(self, harts: Sequence[Hart], pid_at: Dict[int, int]) -> Tuple[Hart, ...]:
        """The debugger's harts with what cpus[] adds; without a debugger,
        those that run a process."""
        cpus = dict(enumerate(self.kernel.cpus()))
        known = sorted(harts, key=lambda h: h.hart) or [
            Hart(i) for i, (proc, _) in cpus.items() if proc]
        return tuple(dataclasses.replace(h, pid=pid_at.get(cpus[h.hart][0]),
                                         interrupt_depth=cpus[h.hart][1])
                     if h.hart in cpus else h for h in known)

    def _calls(self, p: Proc) -> Optional[Tuple[str, ...]]:
        """The calls of a process, None of one that is running; notes the panic that it is in."""
        if p.state == "RUNNING" or not any(p.context):
            return None
        stack = self.kernel.stack(p, self.kernel_places.or_in(self.reader, self.kernel.tables_beside(p)))
        self._note_panic(stack)
        return stack.names if stack.whole else None

    def _with_panic(self, harts: Sequence[Hart], registers: Map[int, Registers],
                    processes: Sequence[Process]) -> Tuple[Hart, ...]:
        """The harts, with the calls of the one that has panicked."""
        tops = {p.pid: p.kstack + PAGE for p in processes if p.kstack}
        found = []
        for hart in harts:
            if hart.pc is not None and hart.privilege != "U" and hart.hart in registers:
                places = self.kernel_places.or_in(self.reader, [sv39.root_of(hart.satp)])
                stack = Unwinder(self.reader, self.kernel.info, places).follow(
                    hart.pc, registers[hart.hart], True, tops.get(hart.pid or -1))
                hart = dataclasses.replace(hart, calls=self._note_panic(stack))
            found.append(hart)
        return tuple(found)

    def _note_panic(self, stack: Stack) -> Optional[Tuple[str, ...]]:
        """panic and its callers, with what was inlined; None where it is not called."""
        function = panic.function_name(self.kernel.info, self.unwinder)
        if all(frame.name != function for frame in stack.frames):
            return None
        self.reader.forget()
        if self.panic is None or self.panic.text is None:
            self.panic = panic.about(stack, function, self.unwinder, self.reader)
        at = [frame.name for frame in stack.frames].index(function)
        names = [function]
        for frame in stack.frames[at + 1:]:
            names += [*frame.through, *self.inlined(frame.pc if frame.exact else frame.pc - 1), frame.name]
        return tuple(names)

    def _stop(self, stop: Optional[Stop], harts: Sequence[Hart]) -> Stop:
        stop = stop or Stop()
        pid = next((h.pid for h in harts if h.hart == stop.hart), None)
        # Some kernels print first, and set the variable then.
        panicked = self.kernel.panicked() or self.panic is not None or any(
            h.function == panic.function_name(self.kernel.info, self.unwinder) for h in harts)
        return dataclasses.replace(stop, pid=pid, panicked=panicked)


def stack_at(table: KernelTable, reader: Reader, roots: Iterable[Optional[int]]) -> StackAt:
    """Where a kernel's stacks are, as stacks.Unwinder asks: by the kernel's own table, else by those with these roots."""
    return KernelPlaces(table.mappings).or_in(reader, roots)


class KernelPlaces:
    """Where the kernel's table maps an address."""

    def __init__(self, mappings: Sequence[Mapping]) -> None:
        self._mappings = Ranges((m.va, m.va + m.n_pages * PAGE, m) for m in mappings)

    def find(self, va: int) -> Optional[Tuple[int, int]]:
        """(pa, bytes mapped there and after in one run), or None."""
        m = self._mappings.at(va)
        return None if m is None else (m.pa + va - m.va, m.va + m.n_pages * PAGE - va)

    def or_in(self, reader: Reader, roots: Iterable[Optional[int]]) -> StackAt:
        """find(), and else sv39.first_place()."""
        further = list(roots)
        return lambda va: self.find(va) or sv39.first_place(reader, further, va)


_Uses = Tuple[Tuple[int, User, int], ...]
"""Frames that are used, as Accounts.add takes them."""


class _Seen(NamedTuple):
    """A process, the frames that it uses, and what its walk took of the budget. walk_ends: it ended before
    the budget did."""

    process: Process
    uses: "_Uses"
    n_tables: int
    n_leaves: int
    walk_ends: bool


def _uses(process: Process) -> Iterator[Tuple[int, User, int]]:
    pid, trapframe = process.pid, process.trapframe
    for table in process.tables:
        yield table.pa, User("table", pid, table.va), 1
    for m in process.mappings:
        if m.region == "trapframe":
            yield m.pa, User("trapframe", pid, m.va), m.n_pages
            if m.pa == trapframe:
                trapframe = None
        else:
            yield m.pa, User("user", pid, m.va), m.n_pages
    if trapframe is not None:
        yield trapframe, User("trapframe", pid), 1


_TAIL = 256
"""Bytes at the end of FRY that say whether its frame was zeroed."""

_MAX_STACK_RUN = 64
"""Pages of a run that may be a kernel stack; a longer one is a second map of RAM."""


def _counted(counts: Tuple[str, Runs], idle: Runs) -> Counts:
    frames = {pa for pa, _ in counts[1]}
    return Counts(*counts, tuple(one for one in idle if one[0] in frames))


def _free(walk: FreeWalk, ram_base: int, lowest: int, end: int, locks: Sequence[str]) -> Free:
    runs = runs_of(walk.marks, 1, ram_base, lowest, end)
    lists = tuple(FreeList(name, n, walk.sizes.get(name, 1), guard_of(name, locks)) for name, n in sorted(walk.counts))
    why = None if walk.hindrance is None else words.verdicts.why(Reason(walk.hindrance))
    return Free(sum(n for _, n in runs), runs, walk.complete, why, walk.hindrance and walk.hindrance.value, lists,
                tuple(walk.findings))

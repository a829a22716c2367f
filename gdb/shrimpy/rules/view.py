"""The questions that rules ask of a snapshot: who is at rest, and what may be in the middle of a change."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from typing import Dict, FrozenSet, Iterable, List, NamedTuple, Optional, Tuple

from ..kernel.cnames import ALLOCATING, FIRST_RUN, FROM_KERNEL, FROM_USER, MAKERS, SWITCHING, SYSTEM_CALL
from ..memory.readers import PAGE
from ..reasons import Holder, Kind, Named, Reason
from ..records import Runs
from ..snapshot import Hart, Process, Snapshot
from ..snapshot.attached import Attached, attachments
from ..snapshot.frames import User
from ..snapshot.index import Index
from ..spec import Played

_STATES = frozenset(("USED", "SLEEPING", "RUNNABLE", "RUNNING", "ZOMBIE"))

_HINDRANCES = {kind.value: kind for kind in (Kind.FREE_LIST_NOT_WALKED, Kind.NO_FREE_LIST, Kind.FREE_LIST_BROKEN)}


class Known(NamedTuple):
    """What whoever brought a stop about knows of it, and no snapshot shows.

    before: a snapshot of the same run, where all that began since has ended by
    now; start: one from before anything of what is looked at began; untouched: the
    names of programs that never write FRY or SHRIMP; can_run: the pids of
    children that somebody may run, or runs, for the first time: they are made, and their tables
    must be; reading: the pids of processes that have all they have attached read-only; execed: of those that have run exec, and
    attached nothing since; played: what came of playing the specification against this kernel; at_touch: whether
    that showed it to map FRY and SHRIMP when they are touched.
    """

    before: Optional[Snapshot] = None
    start: Optional[Snapshot] = None
    untouched: FrozenSet[str] = frozenset()
    can_run: FrozenSet[int] = frozenset()
    reading: FrozenSet[int] = frozenset()
    execed: FrozenSet[int] = frozenset()
    played: Optional[Played] = None
    at_touch: bool = False


class View(Index):
    """One snapshot, and an earlier one or None, made ready for the rules' questions."""

    def __init__(self, snapshot: Snapshot, previous: Optional[Snapshot] = None,
                 known: Known = Known()) -> None:
        super().__init__(snapshot)
        self.previous = previous
        self.known = known
        self.processes = tuple(sorted(snapshot.processes, key=lambda p: (p.pid, p.slot)))
        self._functions = dict(snapshot.functions)
        self._harts: Dict[int, Hart] = {h.hart: h for h in snapshot.harts}
        self._before = None if previous is None else Index(previous)
        self._busy: Dict[int, Optional[Reason]] = {}
        self._spoilt: Dict[int, bool] = {}
        first = [p for p in self.processes if p.parent is None]
        self.first = min(first, key=lambda p: p.pid) if first else None

    # Processes

    def parent(self, process: Process) -> Optional[Process]:
        """The parent as it is in the snapshot, or None."""
        return self.process(process.parent)

    def earlier(self, process: Process) -> Optional[Process]:
        """The process as it was in the earlier snapshot, or None."""
        before = self._before.process(process.pid) if self._before else None
        return before if before is not None and before.slot == process.slot else None

    def bereaved_of(self, process: Process) -> Optional[Process]:
        """The parent that `process` had in the earlier snapshot, as it was then, where the first process has adopted it
        since; else None."""
        then = self.earlier(process)
        if then is None or self._before is None or then.parent == process.parent or self.parent(process) is not self.first:
            return None
        return self._before.process(then.parent)

    def who_freed(self, pa: int, new: Iterable[User] = ()) -> Optional[str]:
        """The usual name of the function that freed a frame which is somebody's, as far as the earlier snapshot shows: one that had
        it then has been buried since, or has exited. Else None: many functions free. new: users that it should not have; who had
        it then already did not get it by that."""
        then = [u.pid for u in self.users_before(pa) if u.pid is not None]
        counts = self.previous.counts if self.previous else None
        if any(u.pid in then for u in new) or counts and dict(counts.values).get(pa, 0) < len(then):
            return None     # a reference was missing before it ended
        now = [self.process(pid) for pid in then]
        if None in now:     # where children have been given to another parent since, too, that may be what did it
            owners = [self.process(u.pid) for u in self.users(pa) if u.pid is not None]
            return None if any(p is not None and self.has_another_parent(p) for p in owners) else "freeproc"
        return "exit" if any(p is not None and p.state == "ZOMBIE" and self._was_alive(p) for p in now) else None

    def has_another_parent(self, process: Process) -> bool:
        """Whether it has been given to another parent since the earlier snapshot."""
        then = self.earlier(process)
        return then is not None and then.parent != process.parent

    def _was_alive(self, process: Process) -> bool:
        then = self.earlier(process)
        return then is not None and then.state != "ZOMBIE"

    def is_new(self, process: Process) -> bool:
        """Whether it has not run yet: all that is its was made by fork."""
        return process.calls == (FIRST_RUN,) or process.pid in self.known.can_run

    def living(self) -> List[Process]:
        """Processes that run user code: neither half made, nor zombies."""
        return [p for p in self.processes if p.state in ("SLEEPING", "RUNNABLE", "RUNNING")]

    def entry_at(self, process: Process, va: int) -> Optional[int]:
        """Where the level-0 entry for `va` is, when its table is there."""
        table = next((t for t in process.tables
                      if t.level == 0 and t.va == va & -(PAGE << 9)), None)
        return None if table is None else table.pa + 8 * (va >> 12 & 511)

    def is_spoilt(self, process: Process) -> bool:
        """Whether a table of `process` is free, or is somebody else's too: then anybody may have written what is in it."""
        if process.slot not in self._spoilt:
            tables = [table.pa for table in process.tables]
            self._spoilt[process.slot] = any(map(self.is_free, tables)) or any(
                (user.kind, user.pid) != ("table", process.pid) for pa in tables for user in self.users(pa))
        return self._spoilt[process.slot]

    def function(self, usual: str) -> str:
        """What this kernel calls a function."""
        return self._functions.get(usual, usual)

    def has_function(self, usual: str) -> bool:
        return usual in self._functions

    def busy(self, process: Process) -> Optional[Reason]:
        """Why the tables of `process` may be in the middle of a change, or None."""
        if process.slot not in self._busy:
            self._busy[process.slot] = None     # parents in a ring end here
            self._busy[process.slot] = self._why_busy(process)
        return self._busy[process.slot]

    def _why_busy(self, p: Process) -> Optional[Reason]:
        if p.pid in self.known.can_run:
            return None
        if p.state == "USED":
            return Reason(Kind.HALF_MADE, p.pid)
        if p.state not in _STATES:
            return Reason(Kind.NO_SUCH_STATE, p.pid, state=p.state)
        if p.lock_held:
            return Reason(Kind.PROCESS_LOCKED, p.pid)
        if any(f.kind == "truncated" for f in p.findings):
            return Reason(Kind.NOT_WALKED, p.pid)
        if p.state == "RUNNING":
            return self._why_running(p)
        if p.state == "ZOMBIE":
            if unknown := self.unknown("no-proc-table"):
                return unknown      # what leads to it may be a list of what was given back, tables and all
            parent = self.parent(p)
            buried = self.busy(parent) if parent and parent.state != "ZOMBIE" else None
            return buried and Reason(Kind.BEING_BURIED, p.pid, because=buried)
        if p.calls is None:
            return Reason(Kind.PLACE_UNKNOWN, p.pid) if p.state == "RUNNABLE" else None
        if FROM_KERNEL in p.calls:
            return Reason(Kind.INTERRUPTED, p.pid)
        return None

    def _why_running(self, p: Process) -> Optional[Reason]:
        hart = next((h for h in self.snapshot.harts if h.pid == p.pid), None)
        if hart is None:
            return Reason(Kind.ON_NO_HART, p.pid)
        if hart.privilege == "U" or self._in_trampoline(hart):
            return None
        return Reason(Kind.IN_KERNEL, p.pid, hart=hart.hart, function=hart.function or None)

    def _in_trampoline(self, hart: Hart) -> bool:
        trampoline = self.layout.trampoline
        return (hart.pc is not None and trampoline is not None
                and trampoline <= hart.pc < trampoline + PAGE)

    def holder(self, process: Process) -> Optional[Reason]:
        """Why `process` may hold frames of which no table knows, or None."""
        if process.state in ("USED", "ZOMBIE"):
            return None     # whoever makes or buries it is busy itself
        busy = self.busy(process)
        if busy or process.state == "RUNNING":
            return busy
        calls = process.calls
        if calls is None:
            return Reason(Kind.STACK_UNKNOWN, process.pid)
        if calls == (FIRST_RUN,) or calls[-1] == FROM_USER and SWITCHING.issuperset(calls[:-1]):
            return None     # it never ran, or a timer interrupted its user code
        maker = next((f for f in calls if f in MAKERS or "mmap" in f or "munmap" in f), None)
        if maker or SYSTEM_CALL not in calls:
            return Reason(Kind.WAITS_INSIDE, process.pid, function=maker or calls[-1])
        return None

    def unsettled(self) -> Optional[Reason]:
        """Why frames may be on their way from one owner to another, or None."""
        unknown = self.unknown("no-proc-table")
        if unknown:
            return unknown
        if not self.living():
            return Reason(Kind.STARTING)
        for hart in self._harts.values():
            if hart.pid is None and hart.privilege != "U" and hart.function in ALLOCATING:
                return Reason(Kind.HART_ALLOCATES, hart=hart.hart, function=hart.function)
        return next((why for p in self.processes for why in [self.holder(p)] if why), None)

    def unknown(self, *kinds: str) -> Optional[Reason]:
        """What is not known of this kernel's processes, where a finding of such a kind says so."""
        found = self.snapshot.finding(*kinds)
        return None if found is None else Reason(Kind.PROCESSES_UNKNOWN, detail=found.text)

    # Frames

    def allocator_busy(self) -> Optional[Reason]:
        """Why the free lists may be in the middle of a change, or None."""
        guarding = {one.lock for one in self.snapshot.free.lists}
        held = next((lock for lock in self.snapshot.locks if lock.held and lock.name in guarding), None)
        return None if held is None else Reason(Kind.LOCK_HELD, lock=held.name, hart=held.hart)

    def free_unknown(self) -> Reason:
        """Why the free lists are not known."""
        return Reason(_HINDRANCES.get(self.snapshot.free.hindrance or "", Kind.FREE_LIST_NOT_WALKED))

    def allocatable(self) -> Optional[Tuple[int, int]]:
        """[lowest, end) of the frames the allocator hands out, when known."""
        layout = self.layout
        if layout.kernel_end is None or layout.alloc_end is None:
            return None
        return layout.kernel_end + PAGE - 1 & -PAGE, layout.alloc_end

    def is_image(self, pa: int) -> bool:
        """Whether `pa` is in the kernel's own image."""
        layout = self.layout
        return (layout.kernel_base is not None and layout.kernel_end is not None
                and layout.kernel_base <= pa < layout.kernel_end)

    def holders_before(self, pa: int) -> Tuple[Holder, ...]:
        """Every user that the frame had in the earlier snapshot, with the names of then."""
        before = self._before
        return tuple(holder_of(u, before) for u in before.users(pa)) if before else ()

    def phys_before(self, process: Process, va: Optional[int]) -> Optional[int]:
        """PHY(process, va) in the earlier snapshot, or None."""
        then = self.earlier(process)
        return self._before.phys(then, va) if self._before and then else None

    def users_before(self, pa: int) -> Tuple[User, ...]:
        """Every user that the frame had in the earlier snapshot."""
        return self._before.users(pa) if self._before else ()

    def by_frame(self, va: Optional[int], processes: List[Process]) -> Dict[int, List[Process]]:
        """Which of `processes` map which frame at `va`."""
        found: Dict[int, List[Process]] = defaultdict(list)
        for p in processes:
            pa = self.phys(p, va)
            if pa is not None:
                found[pa].append(p)
        return found


    # Segments of shared memory

    @cached_property
    def attached(self) -> Tuple[Attached, ...]:
        """Every attachment, by process and address."""
        return attachments(self.snapshot)

    @property
    def keeps_attachments(self) -> bool:
        """Whether this kernel keeps what a process has attached, as far as that is seen here."""
        return any(one.record for one in self.attached)

    @property
    def attaches_at_once(self) -> bool:
        """Whether this kernel is seen to map a page of a segment that nobody has touched, and all the others with it."""
        return any(one.is_complete and any(m.flags[6] == "-" for m in one.pages.values()) for one in self.attached)

    def no_segments(self) -> Optional[Reason]:
        """Why there are no segments here to be judged, or None."""
        if self.snapshot.segments or self.attached:
            return None
        if self.snapshot.segment_tables:
            return Reason(Kind.NO_SEGMENT)
        made = self.has_function("shmget")
        return Reason(Kind.SEGMENTS_UNKNOWN, function=self.function("shmget")) if made else Reason(Kind.NO_SEGMENTS)


def holder_of(user: User, index: Index) -> Holder:
    """A user of a frame with the names that it has in that snapshot."""
    process = index.process(user.pid)
    owner = Named(process.pid, process.name) if process else None if user.pid is None else Named(user.pid)
    return Holder(user.kind, owner, index.shared(user.va) if user.kind == "user" else None, user.va, user.name)


def pages_up(n_bytes: int) -> int:
    """PGROUNDUP."""
    return n_bytes + PAGE - 1 & -PAGE


def count_pages(runs: Runs) -> int:
    return sum(n for _, n in runs)

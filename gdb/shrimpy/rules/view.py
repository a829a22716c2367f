"""The questions that rules ask of a snapshot: who is at rest, what is free,
who uses a frame."""

from __future__ import annotations

import bisect
from collections import defaultdict
from typing import Dict, FrozenSet, List, NamedTuple, Optional, Tuple

from ..frames import Frame, User
from ..readers import PAGE
from ..records import Runs
from ..snapshot import Hart, Mapping, Process, Snapshot

_STATES = frozenset(("USED", "SLEEPING", "RUNNABLE", "RUNNING", "ZOMBIE"))

_MAKERS = frozenset(("exec", "kexec", "sys_exec", "fork", "kfork", "sys_fork", "clone",
                     "sys_clone", "kfork_clone"))
"""Functions that hold frames of which only their own variables know."""

_SWITCHING = frozenset(("swtch", "sched", "yield"))

_ALLOCATORS = frozenset(("kalloc", "kzalloc", "kfree", "kdup", "memset"))


class Moment(str):
    """A reason, in words, that is about where the machine is stopped: at a later stop it may be gone."""

    __slots__ = ()


class Known(NamedTuple):
    """What whoever brought a stop about knows of it, and no snapshot shows.

    before: a snapshot of the same run, where all that began since has ended by
    now; start: one from before anything of what is looked at began; untouched: the
    names of programs that never write FRY or SHRIMP; can_run: the pids of
    children that somebody may run, or runs, for the first time: they are made, and their tables
    must be.
    """

    before: Optional[Snapshot] = None
    start: Optional[Snapshot] = None
    untouched: FrozenSet[str] = frozenset()
    can_run: FrozenSet[int] = frozenset()


class View:
    """One snapshot, and an earlier one or None, made ready for questions."""

    def __init__(self, snapshot: Snapshot, previous: Optional[Snapshot] = None,
                 known: Known = Known()) -> None:
        self.snapshot = snapshot
        self.previous = previous
        self.known = known
        self.layout = snapshot.layout
        self.processes = sorted(snapshot.processes, key=lambda p: (p.pid, p.slot))
        self._by_pid = {p.pid: p for p in self.processes}
        self._functions = dict(snapshot.functions)
        self._harts: Dict[int, Hart] = {h.hart: h for h in snapshot.harts}
        self._free_starts = [pa for pa, _ in snapshot.free.runs]
        self._frame_starts = [f.pa for f in snapshot.frames]
        self._maps = {p.slot: {m.va: m for m in p.mappings} for p in self.processes}
        self._busy: Dict[int, Optional[str]] = {}
        first = [p for p in self.processes if p.parent is None]
        self.first = min(first, key=lambda p: p.pid) if first else None

    # Processes

    def parent(self, process: Process) -> Optional[Process]:
        """The parent as it is in the snapshot, or None."""
        return self._by_pid.get(process.parent) if process.parent is not None else None

    def living(self) -> List[Process]:
        """Processes that run user code: neither half made, nor zombies."""
        return [p for p in self.processes if p.state in ("SLEEPING", "RUNNABLE", "RUNNING")]

    def at(self, process: Process, va: Optional[int]) -> Optional[Mapping]:
        """The leaf that maps page `va` of a process, or None."""
        if va is None:
            return None
        return self._maps[process.slot].get(va) or next(
            (m for m in process.mappings if m.level and m.va <= va < m.va + m.n_pages * PAGE), None)

    def phys(self, process: Process, va: Optional[int]) -> Optional[int]:
        """PHY(process, va), or None."""
        m = self.at(process, va)
        return None if m is None else m.pa + va - m.va

    def entry_at(self, process: Process, va: int) -> Optional[int]:
        """Where the level-0 entry for `va` is, when its table is there."""
        table = next((t for t in process.tables
                      if t.level == 0 and t.va == va & -(PAGE << 9)), None)
        return None if table is None else table.pa + 8 * (va >> 12 & 511)

    def function(self, usual: str) -> str:
        """What this kernel calls a function."""
        return self._functions.get(usual, usual)

    def has_function(self, usual: str) -> bool:
        return usual in self._functions

    def busy(self, process: Process) -> Optional[str]:
        """Why the tables of `process` may be in the middle of a change, or None."""
        if process.slot not in self._busy:
            self._busy[process.slot] = None     # parents in a ring end here
            self._busy[process.slot] = self._why_busy(process)
        return self._busy[process.slot]

    def _why_busy(self, p: Process) -> Optional[str]:
        who = f"pid {p.pid}"
        if p.pid in self.known.can_run:
            return None
        if p.state == "USED":
            return Moment(f"{who} is half made (USED)")
        if p.state not in _STATES:
            return f"{who} has no state that exists ({p.state})"
        if p.lock_held:
            return Moment(f"{who}'s lock is held")
        if any(f.kind == "truncated" for f in p.findings):
            return f"the tables of {who} were not walked to their ends"
        if p.state == "RUNNING":
            return self._why_running(p)
        if p.state == "ZOMBIE":
            parent = self.parent(p)
            buried = self.busy(parent) if parent and parent.state != "ZOMBIE" else None
            return buried and like(buried, f"{who} is a zombie that may just be buried: {buried}")
        if p.calls is None:
            return Moment(f"nobody knows where {who} was interrupted") if p.state == "RUNNABLE" else None
        if "kerneltrap" in p.calls:
            return Moment(f"{who} was interrupted inside the kernel")
        return None

    def _why_running(self, p: Process) -> Optional[str]:
        hart = next((h for h in self.snapshot.harts if h.pid == p.pid), None)
        if hart is None:
            return Moment(f"pid {p.pid} is RUNNING, but on no hart that is known")
        if hart.privilege == "U" or self._in_trampoline(hart):
            return None
        where = f", in {hart.function}" if hart.function else ""
        return Moment(f"hart {hart.hart} runs pid {p.pid} inside the kernel{where}")

    def _in_trampoline(self, hart: Hart) -> bool:
        trampoline = self.layout.trampoline
        return (hart.pc is not None and trampoline is not None
                and trampoline <= hart.pc < trampoline + PAGE)

    def holder(self, process: Process) -> Optional[str]:
        """Why `process` may hold frames of which no table knows, or None."""
        if process.state in ("USED", "ZOMBIE"):
            return None     # whoever makes or buries it is busy itself
        busy = self.busy(process)
        if busy or process.state == "RUNNING":
            return busy
        calls = process.calls
        if calls is None:
            return f"the kernel stack of pid {process.pid} could not be followed"
        if calls == ("forkret",) or calls[-1] == "usertrap" and _SWITCHING.issuperset(calls[:-1]):
            return None     # it never ran, or a timer interrupted its user code
        maker = next((f for f in calls if f in _MAKERS or "mmap" in f or "munmap" in f), None)
        if maker or "syscall" not in calls:
            return Moment(f"pid {process.pid} waits inside {maker or calls[-1]}, which may hold frames")
        return None

    def unsettled(self) -> Optional[str]:
        """Why frames may be on their way from one owner to another, or None."""
        unknown = next((f.text for f in self.snapshot.findings if f.kind == "no-proc-table"), None)
        if unknown:
            return unknown
        if not self.living():
            return Moment("no process lives yet: the kernel is starting")
        for hart in self._harts.values():
            if hart.pid is None and hart.privilege != "U" and hart.function in _ALLOCATORS:
                return Moment(f"hart {hart.hart} is in {hart.function}")
        return next((why for p in self.processes for why in [self.holder(p)] if why), None)

    # Frames

    def allocator_busy(self) -> Optional[str]:
        """Why the free lists may be in the middle of a change, or None."""
        held = next((lock for lock in self.snapshot.locks if lock.held
                     and any(f.name.startswith(lock.name) for f in self.snapshot.free.lists)), None)
        if held is None:
            return None
        by = "" if held.hart is None else f" by hart {held.hart}"
        return Moment(f"the lock {held.name} is held{by}")

    def is_free(self, pa: int, n_pages: int = 1) -> bool:
        """Whether one of `n_pages` frames from `pa` is on a free list."""
        runs = self.snapshot.free.runs
        i = bisect.bisect_right(self._free_starts, pa + (n_pages - 1) * PAGE) - 1
        return i >= 0 and runs[i][0] + runs[i][1] * PAGE > pa

    def frame(self, pa: int) -> Optional[Frame]:
        """The item of `frames` that has `pa`, or None."""
        return _frame_of(self.snapshot.frames, self._frame_starts, pa)

    def users(self, pa: int) -> Tuple[User, ...]:
        """Every user of the frame at `pa`."""
        frame = self.frame(pa & -PAGE)
        return frame.users if frame else ()

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

    def was(self, pa: int) -> Optional[str]:
        """What the frame was in the earlier snapshot: "FRY of pid 5 (sh)"."""
        users = self.users_before(pa)
        return ", ".join(describe_user(u, self.previous) for u in users) if users else None

    def users_before(self, pa: int) -> Tuple[User, ...]:
        """Every user that the frame had in the earlier snapshot."""
        if self.previous is None:
            return ()
        starts = [f.pa for f in self.previous.frames]
        frame = _frame_of(self.previous.frames, starts, pa)
        return frame.users if frame else ()

    def by_frame(self, va: Optional[int], processes: List[Process]) -> Dict[int, List[Process]]:
        """Which of `processes` map which frame at `va`."""
        found: Dict[int, List[Process]] = defaultdict(list)
        for p in processes:
            pa = self.phys(p, va)
            if pa is not None:
                found[pa].append(p)
        return found


def describe_user(user: User, snapshot: Snapshot) -> str:
    """A user of a frame in words: "FRY of pid 3 (sh)"."""
    process = snapshot.process(user.pid) if user.pid is not None else None
    owner = f" of pid {user.pid} ({process.name})" if process else \
        f" of pid {user.pid}" if user.pid is not None else ""
    if user.kind == "user":
        names = {snapshot.layout.fry: "FRY", snapshot.layout.shrimp: "SHRIMP"}
        what = names.get(user.va) or f"page {user.va:#x}"
    elif user.kind == "table":
        what = f"page table for {user.va:#x}" if user.va is not None else "page table"
    else:
        what = {"trapframe": "trapframe", "kstack": "kernel stack", "pipe": "a pipe",
                "kernel-table": "a table of the kernel"}.get(user.kind, user.name or user.kind)
    return what + owner


def like(reason: str, words: str) -> str:
    """Words that say why by another reason: about the moment, if that is."""
    return Moment(words) if isinstance(reason, Moment) else words


def pages_up(n_bytes: int) -> int:
    """PGROUNDUP."""
    return n_bytes + PAGE - 1 & -PAGE


def count_pages(runs: Runs) -> int:
    return sum(n for _, n in runs)


def _frame_of(frames: Tuple[Frame, ...], starts: List[int], pa: int) -> Optional[Frame]:
    i = bisect.bisect_right(starts, pa) - 1
    return frames[i] if i >= 0 and pa < frames[i].pa + frames[i].n_pages * PAGE else None

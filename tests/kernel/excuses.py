"""Is it true, what a skipped verdict gives as its reason? Judged by memory and registers, past the kit.

A reason that is not in _TRUE counts as untrue: whoever gives rules a new one says here how to check it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from facts import LIVING, PAGE, Memory, Proc, Registers
from shrimpy.reasons import Kind

SHM_DEST = 0o1000       # of shmctl(2)


class Court:
    """One stop: its memory, and its harts' registers, by hart."""

    def __init__(self, memory: Memory, harts: Sequence[Registers]) -> None:
        self._memory = memory
        self._harts = harts
        self._procs = memory.procs()
        self._shrimp = {pid: memory.physical(p.root, memory.macros["SHRIMP"]) for pid, p in self._procs.items()}
        self._fry = {pid: memory.physical(p.root, memory.macros["FRY"]) for pid, p in self._procs.items()}

    def is_true(self, about: dict, reason: dict) -> bool:
        """Whether a verdict about that subject may give this reason; both as JSON has them."""
        process = about.get("process")
        return self._holds(reason, self._procs.get(process["pid"]) if process else None)

    def _holds(self, reason: dict, about: Proc | None) -> bool:
        if reason["kind"] == Kind.HELD_BACK:
            return self._holds(reason["because"], about)
        holds = _TRUE.get(reason["kind"])
        return holds is not None and bool(holds(self, about, reason))

    def is_quiet(self) -> bool:
        """Whether nothing is in the middle of anything: each hart in user mode or in the scheduler without a process,
        no lock held, no process half made or half way through fork or exec or a page table of its own."""
        return (not self._memory.any_held()
                and all(self._is_resting(number, hart) for number, hart in enumerate(self._harts))
                and not any(p.state == "USED" or p.state in ("RUNNABLE", "SLEEPING") and (
                    any(self._memory.is_called(p, f) for f in ("kerneltrap", "exec", "sys_exec", "fork")))
                    for p in self._procs.values()))

    def _is_resting(self, number: int, hart: Registers) -> bool:
        return hart.priv == 0 or (self._memory.running(number) == 0 and self._memory.is_in(hart.pc, "scheduler"))

    # What the reasons say; a pid that is none, or a hart that is none, is a lie.

    def has_state(self, pid: int, *states: str) -> bool:
        return pid in self._procs and self._procs[pid].state in states

    def is_locked(self, pid: int) -> bool:
        return self._procs[pid].locked

    def is_buried(self, pid: int, because: dict) -> bool:
        zombie = self._procs[pid]
        return zombie.state == "ZOMBIE" and because.get("pid") == zombie.parent and self._holds(because, None)

    def was_interrupted(self, pid: int) -> bool:
        return self.has_state(pid, "RUNNABLE") and self._memory.is_called(self._procs[pid], "kerneltrap")

    def runs_inside(self, hart: int, pid: int, function: str | None) -> bool:
        registers = self._harts[hart]
        return (self._memory.running(hart) == pid and self.has_state(pid, "RUNNING", "SLEEPING", "RUNNABLE")
                and registers.priv != 0 and registers.pc & -PAGE != self._memory.macros["TRAMPOLINE"]
                and (not self._memory.knows(function or "") or self._memory.is_in(registers.pc, function)))

    def is_in(self, hart: int, function: str) -> bool:
        return self._memory.running(hart) == 0 and self._memory.is_in(self._harts[hart].pc, function)

    def waits_inside(self, pid: int, function: str) -> bool:
        return (self.has_state(pid, "SLEEPING", "RUNNABLE") and self._memory.knows(function)
                and self._memory.is_called(self._procs[pid], function))

    def is_between_harts(self, pid: int) -> bool:
        return self.has_state(pid, "RUNNING") and pid not in map(self._memory.running, range(len(self._harts)))

    def has_fry(self, pid: int) -> bool:
        return self._fry.get(pid) is not None

    def has_shrimp(self, pid: int) -> bool:
        return self._shrimp.get(pid) is not None

    def is_adopted(self, p: Proc) -> bool:
        """Whether the first process, whose FRY its SHRIMP is not, is its parent."""
        return p.parent == 1 and p.pid != 1 and self._shrimp[p.pid] not in (None, self._fry[1])

    def outlived(self) -> list[Proc]:
        return [p for p in self._procs.values() if p.state != "USED" and self.is_adopted(p)]

    def siblings(self) -> int:
        """Living children with a SHRIMP page in the largest family, adopted ones left out."""
        families = Counter(p.parent for p in self._procs.values()
                           if p.state in LIVING and p.parent and self.has_shrimp(p.pid) and not self.is_adopted(p))
        return max(families.values(), default=0)

    def has_run(self, p: Proc) -> bool:
        return p.state == "RUNNING" or not self._memory.is_in(p.ra, "forkret")


_TRUE: dict[str, Callable[[Court, Proc | None, dict], bool]] = {
    # What is true for a moment
    Kind.HALF_MADE: lambda c, p, r: c.has_state(r["pid"], "USED"),
    Kind.PROCESS_LOCKED: lambda c, p, r: c.is_locked(r["pid"]),
    Kind.BEING_BURIED: lambda c, p, r: c.is_buried(r["pid"], r["because"]),
    Kind.INTERRUPTED: lambda c, p, r: c.was_interrupted(r["pid"]),
    Kind.IN_KERNEL: lambda c, p, r: c.runs_inside(r["hart"], r["pid"], r.get("function")),
    Kind.HART_ALLOCATES: lambda c, p, r: c.is_in(r["hart"], r["function"]),
    Kind.WAITS_INSIDE: lambda c, p, r: c.waits_inside(r["pid"], r["function"]),
    Kind.ON_NO_HART: lambda c, p, r: c.is_between_harts(r["pid"]),
    Kind.LOCK_HELD: lambda c, p, r: c._memory.held(r["lock"]),
    # What there is to be told of this machine at all
    Kind.FIRST_PROCESS: lambda c, p, r: p.pid == 1 and p.parent == 0,
    Kind.NO_PARENT: lambda c, p, r: p.parent == 0,
    Kind.ZOMBIE: lambda c, p, r: p.state == "ZOMBIE",
    Kind.PARENT_WITHOUT_FRY: lambda c, p, r: p.parent == r["process"]["pid"] and not c.has_fry(p.parent),
    Kind.ADOPTED: lambda c, p, r: c.is_adopted(p),
    Kind.NO_SIBLINGS: lambda c, p, r: c.siblings() < 2,
    Kind.NO_FRY: lambda c, p, r: not c.has_fry(p.pid),
    Kind.NO_SHRIMP: lambda c, p, r: not c.has_shrimp(p.pid),
    Kind.PAGES_GONE: lambda c, p, r: p.state == r["state"] and p.state not in LIVING,
    Kind.HAS_RUN: lambda c, p, r: c.has_run(p),
    Kind.NO_ORPHAN: lambda c, p, r: not c.outlived(),
    Kind.NO_EARLIER: lambda c, p, r: True,
    Kind.NO_EARLIER_RUN: lambda c, p, r: True,
    Kind.NOT_PLAYED: lambda c, p, r: True,
    Kind.NO_EXEC: lambda c, p, r: True,
    Kind.NO_SEGMENT: lambda c, p, r: not c._memory.segments(),
    Kind.NO_ATTACHMENT: lambda c, p, r: not any(one.n_attached for one in c._procs.values()),
    Kind.NONE_REMOVED: lambda c, p, r: not any(mode & SHM_DEST for mode in c._memory.segments()),
    Kind.MAY_BE_NEW: lambda c, p, r: p.n_attached > 0,
    Kind.NO_USER_MODE: lambda c, p, r: not any(hart.priv == 0 for hart in c._harts),
}

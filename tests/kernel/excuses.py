"""Is it true, what a skipped verdict gives as its reason? Judged by memory and registers, past the kit.

A reason that no sentence here knows counts as untrue: whoever gives rules a new one says here how to check it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from facts import LIVING, PAGE, Memory, Proc, Registers


class Court:
    """One stop: its memory, and its harts' registers, by hart."""

    def __init__(self, memory: Memory, harts: Sequence[Registers]) -> None:
        self._memory = memory
        self._harts = harts
        self._procs = memory.procs()
        self._shrimp = {pid: memory.physical(p.root, memory.macros["SHRIMP"]) for pid, p in self._procs.items()}
        self._fry = {pid: memory.physical(p.root, memory.macros["FRY"]) for pid, p in self._procs.items()}

    def is_true(self, subject: str, why: str) -> bool:
        """Whether a verdict about that subject may say so."""
        why = why.partition("; as it stands")[0]
        pid = re.match(r"pid (\d+) ", subject)
        about = self._procs.get(int(pid[1])) if pid else None
        for pattern, holds in _SENTENCES:
            match = re.fullmatch(pattern, why)
            if match:
                return bool(holds(self, about, *match.groups()))
        return False

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

    # What the sentences say; a pid that is none, or a hart that is none, is a lie.

    def has_state(self, pid: str, *states: str) -> bool:
        return int(pid) in self._procs and self._procs[int(pid)].state in states

    def is_locked(self, pid: str) -> bool:
        return self._procs[int(pid)].locked

    def is_buried(self, pid: str, why: str) -> bool:
        zombie = self._procs[int(pid)]
        parent = re.search(r"pid (\d+)", why)
        return (zombie.state == "ZOMBIE" and parent is not None and int(parent[1]) == zombie.parent
                and self.is_true(f"pid {zombie.parent} ", why))

    def was_interrupted(self, pid: str) -> bool:
        return self.has_state(pid, "RUNNABLE") and self._memory.is_called(self._procs[int(pid)], "kerneltrap")

    def runs_inside(self, hart: str, pid: str, function: str | None) -> bool:
        registers = self._harts[int(hart)]
        return (self._memory.running(int(hart)) == int(pid) and self.has_state(pid, "RUNNING", "SLEEPING", "RUNNABLE")
                and registers.priv != 0 and registers.pc & -PAGE != self._memory.macros["TRAMPOLINE"]
                and (not self._memory.knows(function or "") or self._memory.is_in(registers.pc, function)))

    def is_in(self, hart: str, function: str) -> bool:
        return self._memory.running(int(hart)) == 0 and self._memory.is_in(self._harts[int(hart)].pc, function)

    def waits_inside(self, pid: str, function: str) -> bool:
        return (self.has_state(pid, "SLEEPING", "RUNNABLE") and self._memory.knows(function)
                and self._memory.is_called(self._procs[int(pid)], function))

    def is_between_harts(self, pid: str) -> bool:
        return self.has_state(pid, "RUNNING") and int(pid) not in map(self._memory.running, range(len(self._harts)))

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


# What is true for a moment; then what is there to be told of this machine at all.
_PASSING: list[tuple[str, Callable]] = [
    (r"pid (\d+) is half made \(USED\)", lambda c, p, pid: c.has_state(pid, "USED")),
    (r"pid (\d+)'s lock is held", lambda c, p, pid: c.is_locked(pid)),
    (r"pid (\d+) is a zombie that may just be buried: (.*)", lambda c, p, pid, why: c.is_buried(pid, why)),
    (r"pid (\d+) was interrupted inside the kernel", lambda c, p, pid: c.was_interrupted(pid)),
    (r"hart (\d+) runs pid (\d+) inside the kernel(?:, in (\w+))?", lambda c, p, *found: c.runs_inside(*found)),
    (r"hart (\d+) is in (\w+)", lambda c, p, hart, function: c.is_in(hart, function)),
    (r"pid (\d+) waits inside (\w+), which may hold frames", lambda c, p, pid, f: c.waits_inside(pid, f)),
    (r"pid (\d+) is RUNNING, but on no hart that is known", lambda c, p, pid: c.is_between_harts(pid)),
    (r"the lock (\w+) is held(?: by hart \d+)?", lambda c, p, lock: c._memory.held(lock)),
]
_LASTING: list[tuple[str, Callable]] = [
    (r"the first process has no parent", lambda c, p: p.pid == 1 and p.parent == 0),
    (r"it has no parent that lives", lambda c, p: p.parent == 0),
    (r"a zombie: its pages may be gone", lambda c, p: p.state == "ZOMBIE"),
    (r"its parent, pid (\d+) \(.*\), has no FRY page",
     lambda c, p, parent: p.parent == int(parent) and not c.has_fry(p.parent)),
    (r"its parent has exited and the first process has adopted it: see orphan-alive", lambda c, p: c.is_adopted(p)),
    (r"no process has two children with SHRIMP pages", lambda c, p: c.siblings() < 2),
    (r"it has no FRY page: see fry-flags", lambda c, p: not c.has_fry(p.pid)),
    (r"it has no SHRIMP page", lambda c, p: not c.has_shrimp(p.pid)),
    (r"it is (\w+): its pages may not be there", lambda c, p, state: p.state == state and state not in LIVING),
    (r"it has run, and may have written its page", lambda c, p: c.has_run(p)),
    (r"no process here has outlived its parent", lambda c, p: not c.outlived()),
    (r"it takes an earlier snapshot to compare with", lambda c, p: True),
    (r"it takes a run that has ended to compare with", lambda c, p: True),
]
_SENTENCES = _PASSING + _LASTING

"""The rule about the kernel itself: it goes on."""

from __future__ import annotations

from typing import Iterator, NamedTuple, Optional, Sequence, Tuple

from ..kernel.cnames import ALLOCATING, FREEING, FROM_KERNEL, GENERIC
from ..kernel.panic import Panic
from ..reasons import KERNEL, Kind, Reason
from ..snapshot import Hart, Process, Snapshot
from .verdict import Bench, Rule, Verdict, named, of_process


_VICTIMS = frozenset(("kalloc", "kzalloc", "kdup", "kfree"))
"""Functions that panic when somebody has freed a frame that they are given, or spoilt the free list, before."""

_NEAR = 3
"""Callers of panic among which such a function is: it may call one of the allocator's own, or trap."""


class _Panicking(NamedTuple):
    """Who panicked: the hart that is in panic, or None when another process has
    it now; the process, or None; panic's callers, innermost first."""

    hart: Optional[Hart]
    process: Optional[Process]
    callers: Tuple[str, ...]


def no_panic(bench: Bench) -> Iterator[Verdict]:
    """Judges the kernel; a panic is put to the process that it served then."""
    snapshot = bench.view.snapshot
    if not snapshot.stop.panicked:
        yield bench.passed(KERNEL)
        return
    hart, process, callers = _panicking(snapshot)
    panic = snapshot.panic or Panic("panic")
    pages = {snapshot.layout.fry: "FRY", snapshot.layout.shrimp: "SHRIMP", snapshot.layout.trapframe: "the trapframe",
             snapshot.layout.trampoline: "the trampoline"}
    why = Reason(Kind.PANICKED, function=panic.function, functions=callers, detail=panic.text, va=panic.va,
                 page=None if panic.va is None else pages.get(panic.va),
                 process=named(process) if process else None, hart=hart.hart if hart else None)
    of_memory = panic.va is not None and panic.va not in pages
    guilty = _to_look_at(callers, bench.view.function("fork") if of_memory else None) if callers else panic.function
    if process and panic.va is not None and panic.va in (snapshot.layout.fry, snapshot.layout.shrimp) and process.sz > panic.va:
        guilty = None   # its memory reaches so high: who copies all of it is not to blame
    yield bench.failed(of_process(process) if process else KERNEL, why, guilty, va=panic.va, pte_at=panic.pte_at, pte=panic.pte,
                       process=process)


def _panicking(snapshot: Snapshot) -> _Panicking:
    name = snapshot.panic.function if snapshot.panic else "panic"
    for hart in snapshot.harts:
        if hart.calls:
            return _Panicking(hart, snapshot.process(hart.pid), hart.calls[1:])
    for process in snapshot.processes:
        if process.calls and name in process.calls:
            return _Panicking(None, process, process.calls[process.calls.index(name) + 1:])
    there = next((h for h in snapshot.harts if h.function == name), None)
    return _Panicking(there, snapshot.process(there.pid) if there else None, ())


def _to_look_at(callers: Sequence[str], only: Optional[str]) -> Optional[str]:
    """The innermost caller that is not of those that panic for what others did. None where the allocator panics because of what
    happened to a frame earlier. only: where a page of user memory is still mapped in a table that is freed, the one function
    that has made what it frees: of any other's table the page may have come earlier."""
    if FROM_KERNEL in callers[:_NEAR] and FREEING.intersection(callers):
        return None     # what it has been given to free is none any more
    if next((name for name in callers[:_NEAR] if name in ALLOCATING), None) in _VICTIMS:
        return None
    if only is not None:
        return only if only in callers else None
    return next((name for name in callers if name not in GENERIC), callers[0])


RULES = (Rule("no-panic", no_panic),)

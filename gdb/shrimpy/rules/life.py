"""The rule about the kernel itself: it goes on."""

from __future__ import annotations

from typing import Iterator, NamedTuple, Optional, Sequence, Tuple

from ..snapshot import Hart, Process, Snapshot
from .verdict import Bench, Rule, Verdict, subject

_MOST_CALLERS = 12

_GENERIC = frozenset((
    "kerneltrap", "kernelvec", "kvec", "trap", "freewalk", "freetables", "uvmfree", "uvmunmap", "uvmdealloc", "uvmalloc", "mappages",
    "kvmmap", "walk", "walkaddr", "kalloc", "kfree", "memset", "memmove", "memcpy", "memcmp", "strlen", "strncpy",
    "strncmp", "safestrcpy", "printf", "printk", "cprintf", "consputc", "acquire", "release", "holding", "push_off",
    "pop_off", "acquiresleep", "releasesleep", "sched", "yield", "swtch", "sleep", "wakeup", "mycpu", "myproc",
    "bread", "bwrite", "brelse", "bget", "ilock", "iunlock", "iput", "assert"))
"""Functions that panic for what their callers did."""


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
        yield bench.passed("kernel")
        return
    hart, process, callers = _panicking(snapshot)
    panic = snapshot.panic
    text = panic.text if panic else None
    why = "the kernel panicked" + (f" in {callers[0]}" if callers else "") + (f': "{text}"' if text else "")
    if process is not None:
        why += f" while hart {hart.hart} ran it" if hart else ", and no hart runs it now"
    va = panic.va if panic else None
    if va is not None:
        why += f"; {_page(bench, va)} is still mapped"
    yield bench.failed(
        subject(process) if process else "kernel", why, "a kernel that goes on",
        ", by ".join((f"{panic.function if panic else 'panic'} was called", *_shortened(callers))),
        _to_look_at(callers) or (panic.function if panic else "panic"),
        ("" if text else "The console's last line has the panic's words. ") + "The kernel came upon something that "
        "it holds to be impossible: the first caller says what, the others how it came there.",
        va=va, pte_at=panic.pte_at if panic else None, pte=panic.pte if panic else None, process=process)


def _panicking(snapshot: Snapshot) -> _Panicking:
    name = snapshot.panic.function if snapshot.panic else "panic"
    hart = next((h for h in snapshot.harts if h.calls), None)
    if hart is not None:
        pid = hart.pid
        return _Panicking(hart, None if pid is None else snapshot.process(pid), hart.calls[1:])
    process = next((p for p in snapshot.processes if p.calls and name in p.calls), None)
    if process is not None:
        return _Panicking(None, process, process.calls[process.calls.index(name) + 1:])
    hart = next((h for h in snapshot.harts if h.function == name), None)
    pid = hart.pid if hart else None
    return _Panicking(hart, None if pid is None else snapshot.process(pid), ())


def _to_look_at(callers: Sequence[str]) -> Optional[str]:
    """The innermost caller that is not of those that panic for what others did."""
    return next((name for name in callers if name not in _GENERIC), callers[0] if callers else None)


def _shortened(callers: Sequence[str]) -> Sequence[str]:
    """The callers, one that calls itself told once."""
    once = [name for i, name in enumerate(callers) if i == 0 or name != callers[i - 1]]
    return once[:_MOST_CALLERS]


def _page(bench: Bench, va: int) -> str:
    layout = bench.view.layout
    names = {layout.fry: "FRY", layout.shrimp: "SHRIMP", layout.trapframe: "the trapframe",
             layout.trampoline: "the trampoline"}
    return f"{names[va]}, VA {va:#x}," if va in names else f"VA {va:#x}"


RULES = (Rule("no-panic", "the kernel has not panicked", no_panic),)

"""The rule about the kernel itself: it goes on."""

from __future__ import annotations

from typing import Iterator

from .verdict import Bench, Rule, Verdict, subject

_MOST_CALLERS = 6


def no_panic(bench: Bench) -> Iterator[Verdict]:
    """Judges the kernel; a panic is put to the process that it served then."""
    view = bench.view
    if not view.snapshot.stop.panicked:
        yield bench.passed("kernel")
        return
    hart = next((h for h in view.snapshot.harts if h.calls or h.function == "panic"), None)
    process = view.snapshot.process(hart.pid) if hart and hart.pid is not None else None
    callers = hart.calls[1:1 + _MOST_CALLERS] if hart and hart.calls else ()
    yield bench.failed(
        subject(process) if process else "kernel",
        "the kernel panicked" + (f" in {callers[0]}" if callers else "")
        + (f" while hart {hart.hart} ran it" if process else ""),
        "a kernel that goes on", ", by ".join(("panic was called", *callers)),
        callers[0] if callers else "panic",
        "The console's last line has the panic's words. The kernel came upon something that it "
        "holds to be impossible: the first caller says what, the others how it came there.",
        process=process)


RULES = (Rule("no-panic", "the kernel has not panicked", no_panic),)

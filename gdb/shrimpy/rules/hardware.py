"""The rule about what the harts use, whatever the kernel's own variables say."""

from __future__ import annotations

from typing import Iterator, Optional

from ..memory import sv39
from ..reasons import KERNEL, Kind, Reason
from ..snapshot import Hart, Process
from .verdict import Bench, Rule, Verdict, named, of_process


def satp_is_root(bench: Bench) -> Iterator[Verdict]:
    """A verdict for each hart in user mode. What user code reads is what satp's table gives it: all other rules judge the
    table that struct proc names."""
    view = bench.view
    harts = [(one, one.satp) for one in view.snapshot.harts if one.privilege == "U" and one.satp is not None]
    if not harts:
        yield bench.skipped(KERNEL, Reason(Kind.NO_USER_MODE))
    for hart, satp in harts:
        root = sv39.root_of(satp)
        process = view.process(hart.pid)
        about = of_process(process) if process else KERNEL
        # Of a kernel whose harts the kit cannot read it must be somebody's.
        wanted = {process.root} if process else {one.root for one in view.processes}
        if root is not None and root in wanted:
            yield bench.passed(about)
        elif not wanted or None in wanted:      # it may be that of a process that the kit does not see, or not whole
            yield bench.skipped(about, Reason(Kind.NO_ROOT, hart=hart.hart))
        else:
            yield _another_table(bench, hart, root, process)


def _another_table(bench: Bench, hart: Hart, root: Optional[int], process: Optional[Process]) -> Verdict:
    why = Reason(Kind.SATP_NOT_ROOT, hart=hart.hart, frame=root, wanted=process.root if process else None, value=hart.satp,
                 process=named(process) if process else None)
    return bench.failed(of_process(process) if process else KERNEL, why, "usertrapret", process=process)


RULES = (Rule("satp-is-root", satp_is_root),)

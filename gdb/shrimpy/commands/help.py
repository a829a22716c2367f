"""The command `shrimpy`: what is looked at, and by which commands."""

from __future__ import annotations

import gdb

from ..live.session import session
from ..show import reports
from .base import Command

class Shrimpy(Command):
    """Say what the Shrimpy kit is looking at, and how.

    shrimp-check [PID]    judge every page table and frame by the rules, or one process
    shrimp-explain RULE   what a rule means, what usually breaks it, how to look further
    shrimp-step       step through a fork, to each thing that builds its child
    layout shrimpy    the family, the frames and the last change beside the source
    shrimp-live       a page that is drawn again at each stop
    shrimp-draw FIGURE    draw: family, matrix, ram, fault, address-space, table, walk, diff
    xv6-ps, xv6-tree, xv6-harts    processes, their family, where harts are
    xv6-vmmap [PID], xv6-walk VA [PID]    a page table; one translation
    xv6-rmap PA, xv6-frames        who uses a frame; all frames by use
    xv6-shm           segments of shared memory, and who has them attached
    xv6-snapshot FILE, xv6-diff    the machine as JSON; what has changed
    xv6-user PID      a program's symbols beside the kernel's
    xv6-break FUNCTION PID         stop in one process's function
    xv6-catch NAME    stop at a program's first instruction after exec
    xv6-when, xv6-goto N, xv6-back, xv6-back-continue    a recorded run, in both directions
    xv6-why [WHAT [PID]]           who stored an entry or a variable as it is now
    $proc(PID), $phys(3, FRY)      a struct proc; a physical address
    FRY, $FRY, SHRIMP, $SHRIMP     their addresses, wherever the machine stands
    set shrimpy ...   where FRY and SHRIMP are, when the kernel does not say
    """

    name = "shrimpy"
    kind = gdb.COMMAND_SUPPORT

    def run(self, given):
        taken = session.snapshot()
        layout = taken.layout
        sources = {"ram-file": "the file that QEMU shares its RAM through",
                   "remote": "QEMU's gdb stub, in physical mode", "core": "a core file"}
        lines = [f"kernel   {session.debuginfo()[0].kernel}",
                 f"memory   {sources.get(taken.source, taken.source)}, "
                 f"[{layout.ram_base:#x}, {layout.ram_end:#x})",
                 f"stopped  {reports.where(taken)}"]
        for title, va in (("FRY", layout.fry), ("SHRIMP", layout.shrimp)):
            lines.append(f"{title:8} {va:#x}, from {_ORIGINS[layout.fry_from]}" if va is not None
                         else f"{title:8} not in this kernel; try: set shrimpy {title.lower()} ADDR")
        gdb.write("\n".join(lines) + "\n")


_ORIGINS = {"parameter": "set shrimpy", "macro": "the kernel's macro information",
            "memlayout.h": "the memlayout.h beside the kernel", None: "nowhere"}


def register() -> None:
    Shrimpy()

"""What all sentences have in common: how a process, a user of a frame, and a page are called."""

from __future__ import annotations

from typing import Iterable, Optional

from ..reasons import Holder, Named

_HOLDERS = {"trapframe": "trapframe", "kstack": "kernel stack", "pipe": "a pipe", "kernel-table": "a table of the kernel"}


def process(named: Optional[Named]) -> str:
    """"pid 3 (sh)"."""
    return "no process" if named is None else f"pid {named.pid} ({named.name})" if named.name else f"pid {named.pid}"


def holder(one: Holder) -> str:
    """A user of a frame: "FRY of pid 3 (sh)"."""
    if one.kind == "user":
        what = one.page or f"page {one.va or 0:#x}"
    elif one.kind == "table":
        what = "page table" if one.va is None else f"page table for {one.va:#x}"
    else:
        what = _HOLDERS.get(one.kind) or one.label or one.kind
    return what if one.process is None else f"{what} of {process(one.process)}"


def holders(some: Iterable[Holder]) -> str:
    return ", ".join(map(holder, some))

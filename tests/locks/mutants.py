"""Kernels of ours in which one function leaves out one lock."""

from __future__ import annotations

import difflib
import re
from pathlib import Path
from typing import NamedTuple

from lab import ROOT
from lab.kernels import tree, variant


class Mutant(NamedTuple):
    """The function of a file of the kernel that does without a lock; data: what it accesses then, as a pattern."""

    file: str
    function: str
    lock: str
    data: str
    program: str = "ls"


MUTANTS = (
    Mutant("kalloc.c", "kalloc", "kmem.lock", r"kmem\.(freelist|refs\[\d+\])"),
    Mutant("kalloc.c", "kfree", "kmem.lock", r"kmem\.(freelist|refs\[\d+\])"),
    Mutant("kalloc.c", "kdup", "kmem.lock", r"kmem\.refs\[\d+\]"),
    Mutant("proc.c", "adopt", "wait_lock", r"proc\[\d+\]\.(parent|children|sibling)"),
    Mutant("proc.c", "takeslot", "slots.lock", r"slots\.\w+"),
    Mutant("proc.c", "freeproc", "p->lock", r"proc\[\d+\]\.state"),
    Mutant("proc.c", "start", "p->lock", r"proc\[\d+\]\.state"),
    Mutant("proc.c", "bury", "z->lock", r"proc\[\d+\]\.state"),
    Mutant("sched.c", "setrunnable", "ready.lock", r"ready\.\w+"),
    Mutant("fs.c", "idup", "itable.lock", r"itable\.inode\[\d+\]\.ref"),
    Mutant("file.c", "refer", "ftable.lock", r"ftable\.file\[\d+\]\.ref"),
    Mutant("bio.c", "bunpin", "cache.lock", r"cache\.buf\[\d+\]\.refcnt"),
    Mutant("trap.c", "clockintr", "tickslock", r"ticks"),
)


def built(mutant: Mutant, folder: Path) -> tree.Kernel:
    """The kernel; folder: for the patch that it is made by."""
    path = ROOT / "xv6" / "kernel" / mutant.file
    before = path.read_text()
    head = re.search(rf"^[a-z_][^;\n]*\b{mutant.function}\([^;]*?\) \{{$", before, re.M)
    assert head, f"{mutant.file} has no function {mutant.function}"
    end = before.index("\n}", head.end())
    body = re.sub(rf"^ *(acquire|release)\(&{re.escape(mutant.lock)}\);[^\n]*\n", "", before[head.end():end + 1], flags=re.M)
    after = before[:head.end()] + body + before[end + 1:]
    assert after != before, f"{mutant.function} does not take {mutant.lock}"
    name = f"xv6/kernel/{mutant.file}"
    patch = folder / f"without-{mutant.lock.replace('->', '.')}-in-{mutant.function}.patch"
    patch.write_text("".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{name}", f"b/{name}")))
    return variant.build(patch.stem, [patch])

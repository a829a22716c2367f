"""What a kernel itself calls the regions that have no name in every xv6: by the macros of its memlayout.h and by its symbols.

Only what people read is named so: a Mapping's region, by which rules decide, stays what it is.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Sequence

from ..kernel.debuginfo import DebugInfo
from ..memory.readers import PAGE
from .model import Layout, Mapping, Process

_NOT_PLACES = ("SIZE", "MAXVA", "KERNBASE", "PHYSTOP", "PGSIZE", "PTE", "MASK")
"""Parts of the names of macros that are no place of a page."""


def places(info: DebugInfo, maxva: int) -> Dict[int, str]:
    """Virtual addresses of pages that a macro of the kernel names: "USYSCALL", "MMAPBASE", "UART0"."""
    return {at: name for name, at in sorted(info.macros.items(), reverse=True)
            if at % PAGE == 0 and PAGE <= at < maxva and not any(part in name for part in _NOT_PLACES)}


def called(mappings: Sequence[Mapping], layout: Layout, info: DebugInfo, process: Optional[Process] = None) -> Dict[int, str]:
    """Names by virtual address, of those mappings whose region says little: "other", and "device" in the kernel's table.

    The pages behind a macro's address belong to it as far as they follow without a hole. A page that the kernel's image has is
    named by the variable or function there. process: one whose sz is not set yet, as in the middle of fork, has its
    pages from 0 on named as a program's are.
    """
    known, found = places(info, layout.maxva), {}
    name: Optional[str] = None
    end = 0
    for m in sorted(mappings, key=lambda one: one.va):
        if m.region not in ("other", "device"):
            name = None
            continue
        name = known.get(m.va, name if m.va == end else None)
        end = m.va + m.n_pages * PAGE
        told = name or _of_image(m.pa, layout, info)
        if told:
            found[m.va] = told.lower()
    if process is not None and process.sz == 0:
        found.update(_program(mappings))
    return found


def _of_image(pa: int, layout: Layout, info: DebugInfo) -> Optional[str]:
    base, end = layout.kernel_base, layout.kernel_end
    if base is None or end is None or not base <= pa < end:
        return None
    return info.object_at(pa) or info.function_at(pa)


def _program(mappings: Sequence[Mapping]) -> Dict[int, str]:
    """The pages from 0 to the first hole, as exec lays them out: text and data, a guard, the stack, the heap."""
    pages: List[Mapping] = []
    for m in sorted(mappings, key=lambda one: one.va):
        if m.va != sum(one.n_pages for one in pages) * PAGE:
            break
        pages.append(m)
    guard = max((m.va for m in pages if m.flags[4] == "-"), default=None)
    found = {}
    for m in pages:
        if guard is None or m.va < guard:
            found[m.va] = "text" if m.flags[3] == "X" else "data"
        else:
            found[m.va] = "guard" if m.va == guard else "stack" if m.va == guard + PAGE else "heap"
    return found

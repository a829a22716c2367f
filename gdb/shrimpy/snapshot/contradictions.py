"""What no machine can show: places where a snapshot contradicts itself.

A kernel that is wrong is no contradiction: unaligned superpages, frames outside RAM, tables
that lead back to themselves, memory that is free and mapped are what rules and figures are for.
"""

from __future__ import annotations

from typing import Dict, Iterator, Optional, Sequence, Union

from ..memory import sv39
from ..memory.readers import PAGE
from ..memory.sv39 import Table
from ..records import Runs, Unfit
from .model import KernelTable, Mapping, Process, Snapshot

_PA_END = 1 << 56               # Privileged 4.4.1: a PPN has 44 bits
_A_D = sv39.A | sv39.D
_V_RWX = sv39.V | sv39.R | sv39.W | sv39.X


def checked(snapshot: Snapshot) -> Snapshot:
    """The snapshot, as it was read from a document. Raises records.Unfit where it contradicts itself."""
    for wrong in contradictions(snapshot):
        raise wrong
    return snapshot


def contradictions(snapshot: Snapshot) -> Iterator[Unfit]:
    """Each place where the snapshot contradicts itself, as a path in the document."""
    layout = snapshot.layout
    if layout.page_size != PAGE:
        yield _wrong("layout.page_size", f"{PAGE}, Sv39's", f"{layout.page_size}")
    if not layout.ram_base < layout.ram_end <= _PA_END:
        yield _wrong("layout.ram_end", f"an end of RAM above {layout.ram_base:#x}, of 56 bits", f"{layout.ram_end:#x}")
    slots: Dict[int, int] = {}
    for i, p in enumerate(snapshot.processes):
        if slots.setdefault(p.slot, i) != i:
            yield _wrong(f"processes[{i}].slot", f"one to a slot, and processes[{slots[p.slot]}] is in it", f"{p.slot}")
        if p.sz < 0:
            yield _wrong(f"processes[{i}].sz", "a size of 0 or more", f"{p.sz}")
        yield from _page_table(f"processes[{i}]", p, False)
    yield from _page_table("kernel_table", snapshot.kernel_table, True)
    yield from _runs("frames", tuple((f.pa, f.n_pages) for f in snapshot.frames), ".pa", ".n_pages")
    yield from _runs("free.runs", snapshot.free.runs)
    yield from _runs("lost", snapshot.lost)


def _wrong(place: str, expected: str, found: str) -> Unfit:
    return Unfit(expected, found, place)


def _page_table(place: str, owner: Union[Process, KernelTable], runs: bool) -> Iterator[Unfit]:
    levels: Dict[int, Table] = {}
    for i, t in enumerate(owner.tables):
        at = f"{place}.tables[{i}]"
        if t.level not in (0, 1, 2):
            yield _wrong(f"{at}.level", "a level of Sv39, 0 to 2", f"{t.level}")
            return
        yield from _physical(f"{at}.pa", t.pa)
        if t.pa in levels:
            yield _wrong(f"{at}.pa", "each table once", f"{t.pa:#x} twice")
        levels[t.pa] = t
    for i, t in enumerate(owner.tables):
        at = f"{place}.tables[{i}]"
        if (t.entry is None) != (t.level == 2):
            yield _wrong(f"{at}.entry", "null for the root, and for it alone", _hex(t.entry))
        elif t.entry is None:
            if t.pa != owner.root:
                expected = f"the root, {_hex(owner.root)}, as the one table without an entry"
                yield _wrong(f"{at}.pa", expected, f"{t.pa:#x}")
        else:
            yield from _entry(at, "entry", t.entry, t.va, t.level + 1, levels)
            if t.pte is not None and (sv39.pa_of(t.pte) != t.pa or t.pte & _V_RWX != sv39.V):
                yield _wrong(f"{at}.pte", f"a pointer to {t.pa:#x}", f"{t.pte:#x}")
    for i, m in enumerate(owner.mappings):
        yield from _mapping(f"{place}.mappings[{i}]", m, levels, runs)
    yield from _overlaps(f"{place}.mappings", owner.mappings)


def _mapping(at: str, m: Mapping, levels: Dict[int, Table], runs: bool) -> Iterator[Unfit]:
    if m.level not in (0, 1, 2):
        yield _wrong(f"{at}.level", "a level of Sv39, 0 to 2", f"{m.level}")
        return
    per_entry = 1 << 9 * m.level
    if m.n_pages < 1 or m.n_pages % per_entry or m.n_pages != per_entry and not runs:
        yield _wrong(f"{at}.n_pages", f"{'a multiple of ' * runs}{per_entry}, as level {m.level} maps", f"{m.n_pages}")
    if m.va % sv39.span(m.level) or sv39.canonical(m.va) != m.va:
        yield _wrong(f"{at}.va", f"an Sv39 address that an entry of level {m.level} starts at", f"{m.va:#x}")
    if m.pa % PAGE or not 0 <= m.pa < _PA_END:
        yield _wrong(f"{at}.pa", "a page's physical address, of 56 bits", f"{m.pa:#x}")
    elif sv39.pa_of(m.pte) != m.pa:
        found = f"{m.pte:#x}, which decodes to {sv39.pa_of(m.pte):#x}"
        yield _wrong(f"{at}.pte", f"a PTE that decodes to {m.pa:#x}", found)
    shown = m.pte & ~_A_D if runs else m.pte
    if m.flags != sv39.flags_of(shown):
        yield _wrong(f"{at}.flags", f"those of PTE {m.pte:#x}, {sv39.flags_of(shown)}", m.flags)
    yield from _entry(at, "pte_at", m.pte_at, m.va, m.level, levels)


def _entry(at: str, key: str, pte_at: int, va: int, level: int, levels: Dict[int, Table]) -> Iterator[Unfit]:
    """Whether the entry at `pte_at` is the one that translates `va` at `level`."""
    table = levels.get(pte_at & -PAGE)
    if table is None or table.level != level:
        yield _wrong(f"{at}.{key}", f"an entry of one of its level {level} tables", f"{pte_at:#x}")
    elif pte_at % 8 or sv39.canonical(table.va + (pte_at % PAGE >> 3) * sv39.span(level)) != va:
        yield _wrong(f"{at}.{key}", f"the entry for {va:#x} in the table at {table.pa:#x}", f"{pte_at:#x}")


def _overlaps(place: str, mappings: Sequence[Mapping]) -> Iterator[Unfit]:
    order = sorted(range(len(mappings)), key=lambda i: mappings[i].va)
    for a, b in zip(order, order[1:]):
        end = mappings[a].va + mappings[a].n_pages * PAGE
        if mappings[b].va < end:
            yield _wrong(f"{place}[{b}].va", f"each address mapped once, and {place}[{a}] ends at {end:#x}",
                         f"{mappings[b].va:#x}")


def _runs(place: str, runs: Runs, pa_key: str = "[0]", n_key: str = "[1]") -> Iterator[Unfit]:
    """Whether (first physical address, pages) of each are frames, and none is in two."""
    for i, (pa, n_pages) in enumerate(runs):
        yield from _physical(f"{place}[{i}]{pa_key}", pa)
        if n_pages < 1:
            yield _wrong(f"{place}[{i}]{n_key}", "a run of one frame or more", f"{n_pages}")
    order = sorted(range(len(runs)), key=lambda i: runs[i][0])
    for a, b in zip(order, order[1:]):
        end = runs[a][0] + runs[a][1] * PAGE
        if runs[b][0] < end:
            yield _wrong(f"{place}[{b}]", f"each frame once, and {place}[{a}] ends at {end:#x}", f"{runs[b][0]:#x}")


def _physical(at: str, pa: int) -> Iterator[Unfit]:
    if pa % PAGE or not 0 <= pa < _PA_END:
        yield _wrong(at, "a frame's physical address, of 56 bits", f"{pa:#x}")


def _hex(value: Optional[int]) -> str:
    return "null" if value is None else f"{value:#x}"

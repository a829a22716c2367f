"""What no machine can show: places where a snapshot contradicts itself.

A kernel that is wrong is no contradiction: unaligned superpages, frames outside RAM, tables
that lead back to themselves, memory that is free and mapped are what the figures are for.
"""
from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Optional

from .kit import PAGE, sv39

if TYPE_CHECKING:
    from .snapshot_json import KernelTable, Mapping, Process, Snapshot, Table

_PA_END = 1 << 56               # Privileged 4.4.1: a PPN has 44 bits
_A_D = sv39.A | sv39.D

Contradiction = tuple[str, str, str]


def contradictions(snapshot: "Snapshot") -> Iterator[Contradiction]:
    """(place, what was expected there, what was found), each place as a path in the JSON."""
    layout = snapshot.layout
    if layout.page_size != PAGE:
        yield "layout.page_size", f"{PAGE}, Sv39's", f"{layout.page_size}"
    if not layout.ram_base < layout.ram_end <= _PA_END:
        yield "layout.ram_end", f"an end of RAM above {layout.ram_base:#x}, of 56 bits", f"{layout.ram_end:#x}"
    slots: dict[int, int] = {}
    for i, p in enumerate(snapshot.processes):
        if slots.setdefault(p.slot, i) != i:
            yield f"processes[{i}].slot", f"one to a slot, and processes[{slots[p.slot]}] is in it", f"{p.slot}"
        if p.sz < 0:
            yield f"processes[{i}].sz", "a size of 0 or more", f"{p.sz}"
        yield from _page_table(f"processes[{i}]", p, False)
    yield from _page_table("kernel_table", snapshot.kernel_table, True)
    for name, runs in (("frames", snapshot.frames), ("free.runs", snapshot.free.runs), ("lost", snapshot.lost)):
        yield from _runs(name, runs)


def _page_table(place: str, owner: "Process | KernelTable", runs: bool) -> Iterator[Contradiction]:
    levels: dict[int, "Table"] = {}
    for i, t in enumerate(owner.tables):
        at = f"{place}.tables[{i}]"
        if t.level not in (0, 1, 2):
            yield f"{at}.level", "a level of Sv39, 0 to 2", f"{t.level}"
            return
        yield from _physical(f"{at}.pa", t.pa)
        if t.pa in levels:
            yield f"{at}.pa", "each table once", f"{t.pa:#x} twice"
        levels[t.pa] = t
    for i, t in enumerate(owner.tables):
        at = f"{place}.tables[{i}]"
        if (t.entry is None) != (t.level == 2):
            yield f"{at}.entry", "null for the root, and for it alone", _hex(t.entry)
        elif t.entry is None:
            if t.pa != owner.root:
                yield f"{at}.pa", f"the root, {_hex(owner.root)}, as the one table without an entry", f"{t.pa:#x}"
        else:
            yield from _entry(at, "entry", t.entry, t.va, t.level + 1, levels)
            if t.pte is not None and (sv39.pa_of(t.pte) != t.pa or t.pte & (sv39.R | sv39.W | sv39.X) or not t.pte & sv39.V):
                yield f"{at}.pte", f"a pointer to {t.pa:#x}", f"{t.pte:#x}"
    for i, m in enumerate(owner.mappings):
        yield from _mapping(f"{place}.mappings[{i}]", m, levels, runs)
    yield from _overlaps(f"{place}.mappings", owner.mappings)


def _mapping(at: str, m: "Mapping", levels: dict[int, "Table"], runs: bool) -> Iterator[Contradiction]:
    if m.level not in (0, 1, 2):
        yield f"{at}.level", "a level of Sv39, 0 to 2", f"{m.level}"
        return
    per_entry = 1 << 9 * m.level
    if m.n_pages < 1 or m.n_pages % per_entry or m.n_pages != per_entry and not runs:
        yield f"{at}.n_pages", f"{'a multiple of ' * runs}{per_entry}, as level {m.level} maps", f"{m.n_pages}"
    if m.va % sv39.span(m.level) or sv39.canonical(m.va) != m.va:
        yield f"{at}.va", f"an Sv39 address that an entry of level {m.level} starts at", f"{m.va:#x}"
    if m.pa % PAGE or not 0 <= m.pa < _PA_END:
        yield f"{at}.pa", "a page's physical address, of 56 bits", f"{m.pa:#x}"
    elif sv39.pa_of(m.pte) != m.pa:
        yield f"{at}.pte", f"a PTE that decodes to {m.pa:#x}", f"{m.pte:#x}, which decodes to {sv39.pa_of(m.pte):#x}"
    shown = m.pte & ~_A_D if runs else m.pte
    if m.flags != sv39.flags_of(shown):
        yield f"{at}.flags", f"those of PTE {m.pte:#x}, {sv39.flags_of(shown)}", m.flags
    yield from _entry(at, "pte_at", m.pte_at, m.va, m.level, levels)


def _entry(at: str, key: str, pte_at: int, va: int, level: int, levels: dict[int, "Table"]) -> Iterator[Contradiction]:
    """Whether the entry at `pte_at` is the one that translates `va` at `level`."""
    table = levels.get(pte_at & -PAGE)
    if table is None or table.level != level:
        yield f"{at}.{key}", f"an entry of one of its level {level} tables", f"{pte_at:#x}"
    elif pte_at % 8 or sv39.canonical(table.va + (pte_at % PAGE >> 3) * sv39.span(level)) != va:
        yield f"{at}.{key}", f"the entry for {va:#x} in the table at {table.pa:#x}", f"{pte_at:#x}"


def _overlaps(place: str, mappings: Sequence["Mapping"]) -> Iterator[Contradiction]:
    order = sorted(range(len(mappings)), key=lambda i: mappings[i].va)
    for a, b in zip(order, order[1:]):
        end = mappings[a].va + mappings[a].n_pages * PAGE
        if mappings[b].va < end:
            yield (f"{place}[{b}].va", f"each address mapped once, and {place}[{a}] ends at {end:#x}",
                   f"{mappings[b].va:#x}")


def _runs(place: str, runs: Sequence) -> Iterator[Contradiction]:
    """Of runs with pa and n_pages: whether they are frames, and none is in two."""
    for i, r in enumerate(runs):
        yield from _physical(f"{place}[{i}].pa", r.pa)
        if r.n_pages < 1:
            yield f"{place}[{i}].n_pages", "a run of one frame or more", f"{r.n_pages}"
    order = sorted(range(len(runs)), key=lambda i: runs[i].pa)
    for a, b in zip(order, order[1:]):
        end = runs[a].pa + runs[a].n_pages * PAGE
        if runs[b].pa < end:
            yield f"{place}[{b}]", f"each frame once, and {place}[{a}] ends at {end:#x}", f"{runs[b].pa:#x}"


def _physical(at: str, pa: int) -> Iterator[Contradiction]:
    if pa % PAGE or not 0 <= pa < _PA_END:
        yield at, "a frame's physical address, of 56 bits", f"{pa:#x}"


def _hex(value: Optional[int]) -> str:
    return "null" if value is None else f"{value:#x}"

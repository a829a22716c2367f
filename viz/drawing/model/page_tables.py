"""The tables of one page table, entry by entry, as a snapshot knows them."""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Optional, Union

from .kit import PAGE, Finding, Index, KernelTable, Layout, Mapping, Process, Reader, ReadError, Table, sv39

ENTRIES = 512
_NOWHERE = ("table-outside-ram", "table-repeated", "pointer-at-level-0")
"""Findings about entries that are valid, and neither a leaf nor the way to a table of their own."""


@dataclass(frozen=True)
class Entry:
    """A valid entry. `n` is how many neighbours are like it, more than 1 only in the kernel's runs, where
    `pte` is the first one's. target: the frame or table it points to. pte is None where only the target is
    known; mapping where it is a leaf, and soft, the names of the bits for software that it sets; wrong: a line for
    each thing amiss."""
    index: int
    n: int
    pte_at: int
    pte: Optional[int]
    target: int
    mapping: Optional[Mapping]
    soft: tuple[str, ...]
    wrong: tuple[str, ...]


class PageTable:
    """tables: by physical address, the root first. entries: of each table, by index."""

    def __init__(self, index: Index, owner: Union[Process, KernelTable]) -> None:
        self._index = index
        self.root = owner.root
        self.tables: dict[int, Table] = {t.pa: t for t in sorted(owner.tables, key=lambda t: (-t.level, t.va, t.pa))}
        self.complete = not any(f.kind in ("more", "truncated", "unreadable") for f in owner.findings)
        self._wrong: dict[int, list[Finding]] = {}
        for f in owner.findings:
            if f.at is not None and f.pte is not None:
                self._wrong.setdefault(f.at, []).append(f)
        self.entries: dict[int, list[Entry]] = {pa: [] for pa in self.tables}
        for made in (self._pointers(owner.tables), self._leaves(owner.mappings), self._lost()):
            for e in made:
                if e.pte_at & -PAGE in self.entries:
                    self.entries[e.pte_at & -PAGE].append(e)
        for found in self.entries.values():
            found.sort(key=lambda e: e.index)

    def known(self, pte_at: int) -> bool:
        """Whether the value of the entry at `pte_at` is known, and not only where it points to."""
        return all(e.pte is not None for e in self.entries.get(pte_at & -PAGE, ()) if e.pte_at == pte_at)

    def translate(self, va: int) -> sv39.Translation:
        """How the tables translate `va`: the kit's own walk, in what the snapshot knows of memory."""
        assert self.root is not None
        layout = self._index.layout
        return sv39.translate(_Entries(self, layout), self.root, va, layout.rsw)

    def _pointers(self, tables: Iterable[Table]) -> Iterable[Entry]:
        for t in tables:
            if t.entry is not None:
                yield self._entry(t.entry, 1, t.pte, t.pa, None)

    def _leaves(self, mappings: Iterable[Mapping]) -> Iterable[Entry]:
        by_place = {(t.level, t.va): t.pa for t in self.tables.values()}
        for m in mappings:
            step = 1 << 9 * m.level
            at, left, va, pa, pte = m.pte_at, m.n_pages // step, m.va, m.pa, m.pte
            while left > 0:         # a run may go on in the next table
                n = min(left, ENTRIES - (at % PAGE >> 3))
                yield self._entry(at, n, pte, pa, m)
                left, va, pa = left - n, va + n * step * PAGE, pa + n * step * PAGE
                pte = (pa >> 2) | (pte & PAGE // 4 - 1)
                next_table = by_place.get((m.level, va))
                if next_table is None:
                    break
                at = next_table

    def _lost(self) -> Iterable[Entry]:
        for at, findings in self._wrong.items():
            f = next((f for f in findings if f.kind in _NOWHERE), None)
            if f and f.pte is not None:
                yield self._entry(at, 1, f.pte, sv39.pa_of(f.pte), None)

    def _entry(self, at: int, n: int, pte: Optional[int], target: int, mapping: Optional[Mapping]) -> Entry:
        wrong = tuple(f.text for f in self._wrong.get(at, ()))
        return Entry(at % PAGE >> 3, n, at, pte, target, mapping, self._index.soft(pte) if mapping else (), wrong)


class _Entries(Reader):
    """Memory as far as the entries of a page table tell it."""

    source = "snapshot"

    def __init__(self, table: PageTable, layout: Layout) -> None:
        super().__init__((layout.ram_base, layout.ram_end))
        self._tables = table.tables
        # where the snapshot does not say, a pointer to a table has V alone: all else would be a finding
        self._values = {e.pte_at: e.target >> 2 | sv39.V if e.pte is None else e.pte
                        for found in table.entries.values() for e in found}

    def _read(self, pa: int, n: int) -> bytes:
        if pa & -PAGE not in self._tables:
            raise ReadError(f"{pa & -PAGE:#x} is not among the tables of the snapshot")
        return self._values.get(pa, 0).to_bytes(n, "little")

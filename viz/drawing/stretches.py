"""Neighbouring pages that a figure shows as one row."""
from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Callable

from .kit import PAGE
from .snapshot_json import Mapping




@dataclass(frozen=True)
class Stretch:
    """Mappings one after the other in virtual memory that are alike by `key`."""
    mappings: tuple[Mapping, ...]
    key: Hashable

    @property
    def first(self) -> Mapping:
        return self.mappings[0]

    @property
    def n_pages(self) -> int:
        return sum(m.n_pages for m in self.mappings)

    @property
    def va(self) -> int:
        return self.mappings[0].va

    @property
    def end(self) -> int:
        """The virtual address behind its last page."""
        return self.mappings[-1].va + self.mappings[-1].n_pages * PAGE

    @property
    def frame_runs(self) -> list[tuple[int, int]]:
        """(first physical address, pages) of frames that follow each other as the pages do."""
        runs: list[tuple[int, int]] = []
        for m in self.mappings:
            if runs and m.pa == runs[-1][0] + runs[-1][1] * PAGE:
                runs[-1] = (runs[-1][0], runs[-1][1] + m.n_pages)
            else:
                runs.append((m.pa, m.n_pages))
        return runs


def join(mappings: Iterable[Mapping], key: Callable[[Mapping], Hashable]) -> list[Stretch]:
    """`mappings` by address, those that touch and have an equal key joined."""
    found: list[list[Mapping]] = []
    keys: list[Hashable] = []
    for m in sorted(mappings, key=lambda m: m.va):
        k = key(m)
        if found and keys[-1] == k and m.va == found[-1][-1].va + found[-1][-1].n_pages * PAGE:
            found[-1].append(m)
        else:
            found.append([m])
            keys.append(k)
    return [Stretch(tuple(ms), k) for ms, k in zip(found, keys)]

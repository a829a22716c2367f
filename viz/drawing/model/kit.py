"""The door to the pure part of the kit, gdb/shrimpy: the snapshot, its index, what judges and compares snapshots."""
from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

# the folder gdb/, never its parent: that would shadow GDB's own module
sys.path.append(str(Path(__file__).resolve().parents[3] / "gdb"))

from shrimpy import __version__, files, records, rules              # noqa: E402
from shrimpy.memory import sv39                                     # noqa: E402
from shrimpy.memory.readers import PAGE, Reader, ReadError          # noqa: E402
from shrimpy.memory.sv39 import Finding, Table                      # noqa: E402
from shrimpy.origins import DOCUMENT as ORIGINS                     # noqa: E402
from shrimpy.origins import OfVerdict, Traced                       # noqa: E402
from shrimpy.origins import from_data as origins_of                 # noqa: E402
from shrimpy.reasons import Kind                                    # noqa: E402
from shrimpy.rules import Verdict                                   # noqa: E402
from shrimpy.rules.causes import Alike, Block, blocks               # noqa: E402
from shrimpy.rules.pages import is_orphan                           # noqa: E402
from shrimpy.rules.view import View                                 # noqa: E402
from shrimpy.show.text import block, conclusion                      # noqa: E402
from shrimpy.snapshot import DOCUMENT, Frame, KernelTable, Layout       # noqa: E402
from shrimpy.snapshot import Mapping, Process, Segment, Snapshot, User, changes  # noqa: E402
from shrimpy.snapshot.model import AROUND                       # noqa: E402
from shrimpy.snapshot.contradictions import checked                 # noqa: E402
from shrimpy.snapshot.index import Index, Ranges                    # noqa: E402
from shrimpy.words.origins import lines as said_of_origins          # noqa: E402
from shrimpy.words.verdicts import others                           # noqa: E402

__all__ = ["AROUND", "DOCUMENT", "ORIGINS", "PAGE", "Alike", "Block", "Finding", "Frame", "Index", "KernelTable", "Kind", "Layout",
           "Mapping", "OfVerdict", "Process", "Ranges", "ReadError", "Reader", "Segment", "Snapshot", "Table", "Traced", "User",
           "Verdict", "__version__", "block", "blocks", "changes", "checked", "conclusion", "files", "origins_of", "others",
           "records", "said_of_origins", "sv39"]


@dataclass(frozen=True)
class Judgement:
    """What the rules say of one snapshot. orphans: slots of processes that the first one has adopted."""
    verdicts: tuple[Verdict, ...]
    orphans: frozenset[int]
    n_held_back: int
    status: int                         # as shrimp-check's: 0 pass, 1 fail, 2 not judged

    @property
    def failures(self) -> tuple[Verdict, ...]:
        return tuple(v for v in self.verdicts if v.status == rules.FAIL)

    def count(self, status: str) -> int:
        """How many verdicts are "pass", "fail" or "skipped"."""
        return sum(v.status == status for v in self.verdicts)


@lru_cache(maxsize=64)
def judgement(index: Index) -> Judgement:
    """The kit's judgement of a snapshot."""
    verdicts, view = rules.evaluate(index.snapshot), View(index.snapshot)
    first = view.first
    # whose parent's slot is empty is nobody's child either, unless it is being made or taken apart
    orphans = frozenset(p.slot for p in view.processes if p is not first and p.state != "USED" and (
        is_orphan(view, p) or view.parent(p) is None and view.leaf(p, index.layout.shrimp) is not None))
    return Judgement(tuple(verdicts), orphans, rules.held_back(verdicts),
                     rules.status(verdicts))

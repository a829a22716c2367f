"""The door to the pure part of the kit, gdb/shrimpy: what judges and compares snapshots."""
from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

# the folder gdb/, never its parent: that would shadow GDB's own module
sys.path.append(str(Path(__file__).resolve().parents[2] / "gdb"))

from shrimpy import changes, rules, sv39    # noqa: E402,F401
from shrimpy.readers import PAGE, Reader, ReadError     # noqa: E402,F401
from shrimpy.rules import Verdict           # noqa: E402
from shrimpy.rules.pages import is_orphan   # noqa: E402
from shrimpy.rules.view import View         # noqa: E402
from shrimpy.snapshot import Snapshot       # noqa: E402

from .errors import VizError                # noqa: E402


def snapshot(text: str) -> Snapshot:
    """The snapshot that `text` holds, as the kit reads it. Raises VizError."""
    try:
        return Snapshot.from_json(text)
    except (ValueError, RecursionError) as e:
        raise VizError(f"expected a snapshot of the kit's, found something else ({e})") from None


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
def judgement(text: str) -> Judgement:
    """The kit's judgement of the snapshot that `text` holds. Raises VizError."""
    read = snapshot(text)
    # the kit searches these lists by halves; whoever wrote the file may not have sorted them
    read = dataclasses.replace(read, frames=tuple(sorted(read.frames, key=lambda f: f.pa)),
                               free=dataclasses.replace(read.free, runs=tuple(sorted(read.free.runs))))
    verdicts, view = rules.evaluate(read), View(read)
    first = view.first
    # whose parent's slot is empty is nobody's child either, unless it is being made or taken apart
    orphans = frozenset(p.slot for p in view.processes if p is not first and p.state != "USED" and (
        is_orphan(view, p) or view.parent(p) is None and view.at(p, read.layout.shrimp) is not None))
    return Judgement(tuple(verdicts), orphans, rules.held_back(verdicts),
                     rules.status(verdicts))

"""The executable specification of FRY and SHRIMP, and of segments of shared memory, and the sequences of operations that it is played with.

Pure: no kernel, no memory, no `gdb`. Whoever plays it against a kernel compares what the model says after each
operation with what user code read, what memory holds and what the hart used.
"""

from __future__ import annotations

from .divergence import Differs, Divergence, Played
from .model import (
    AT_ONCE, BEYOND, FORKS, INIT, KILLS, MAPPING, ORDER, SEGMENT_PAGES, SEGMENTS, SHM, STATUS, Attachment, Cell, Do, Model, Op, Page,
    Process)
from .sequences import Sequence, borders, covering, on_several_harts, pairs, random_ones, sharing, sharing_covered

__all__ = ["AT_ONCE", "BEYOND", "INIT", "ORDER", "SEGMENTS", "SEGMENT_PAGES", "SHM", "Attachment", "Cell", "Differs", "Divergence",
           "Do", "FORKS", "KILLS", "MAPPING", "Model", "Op", "Page", "Played", "Process", "STATUS", "Sequence", "borders", "covering",
           "on_several_harts", "pairs", "random_ones", "sharing", "sharing_covered"]

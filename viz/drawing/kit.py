"""The door to the pure part of the kit, gdb/shrimpy: what judges and compares snapshots."""
from __future__ import annotations

import sys
from pathlib import Path

# the folder gdb/, never its parent: that would shadow GDB's own module
sys.path.append(str(Path(__file__).resolve().parents[2] / "gdb"))

from shrimpy.snapshot import Snapshot   # noqa: E402

from .errors import VizError            # noqa: E402


def snapshot(text: str) -> Snapshot:
    """The snapshot that `text` holds, as the kit reads it. Raises VizError."""
    try:
        return Snapshot.from_json(text)
    except (ValueError, RecursionError) as e:
        raise VizError(f"expected a snapshot of the kit's, found something else ({e})") from None

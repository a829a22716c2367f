"""The film file: the steps of one fork as JSON, `shrimpy-film`, version 1."""

from __future__ import annotations

import json
from typing import Dict, Optional, Sequence

from .. import files
from ..records import encode
from .events import Step

SCHEMA = "shrimpy-film"
VERSION = 1


def film(steps: Sequence[Step], function: str, parent: int, child: Optional[int]) -> Dict[str, object]:
    """The object that docs/architecture.md describes; steps: at least one."""
    taken = [(step, step.snapshot) for step in steps if step.snapshot is not None]
    return {"schema": SCHEMA, "version": VERSION, "kernel": taken[0][1].kernel,
            "function": function, "parent": parent, "child": child,
            "steps": [{**encode(step), "snapshot": snapshot.to_data()} for step, snapshot in taken]}


def write(path: str, data: Dict[str, object]) -> None:
    """Writes the file atomically: complete, or unchanged. Raises OSError."""
    files.write(path, json.dumps(data, separators=(",", ":")) + "\n")

"""The film file: the steps of one fork as JSON, `shrimpy-film`, version 1."""

from __future__ import annotations

import json
from typing import Dict, Optional, Sequence

from . import files
from .records import encode
from .story import Step

SCHEMA = "shrimpy-film"
VERSION = 1


def film(steps: Sequence[Step], function: str, parent: int, child: Optional[int]) -> Dict[str, object]:
    """The object that docs/architecture.md describes; steps: at least one."""
    return {"schema": SCHEMA, "version": VERSION, "kernel": steps[0].snapshot.kernel,
            "function": function, "parent": parent, "child": child,
            "steps": [{**encode(step), "snapshot": step.snapshot.to_data()} for step in steps]}


def write(path: str, data: Dict[str, object]) -> None:
    """Writes the whole file or, whatever happens, none. Raises OSError."""
    files.write(path, json.dumps(data, separators=(",", ":")) + "\n")

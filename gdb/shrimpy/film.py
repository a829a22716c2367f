"""The film file: the steps of one fork as JSON, `shrimpy-film`, version 1."""

from __future__ import annotations

import json
import os
import tempfile
from typing import Dict, Optional, Sequence

from .records import encode
from .story import Step

SCHEMA = "shrimpy-film"
VERSION = 1


def film(steps: Sequence[Step], function: str, parent: int, child: Optional[int]) -> Dict[str, object]:
    """The object that docs/architecture.md describes; steps: at least one."""
    return {"schema": SCHEMA, "version": VERSION, "kernel": steps[0].snapshot.kernel,
            "function": function, "parent": parent, "child": child,
            "steps": [{**encode(step), "snapshot": step.snapshot.to_data()} for step in steps]}


class Film:
    """A film file while it is made: a context manager. The file is there when
    `write` was called, whole, and else not at all. Raises OSError at once where
    it cannot be written."""

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(os.path.expanduser(path))
        if os.path.isdir(self.path):
            raise IsADirectoryError(21, "is a directory", self.path)
        handle, self._draft = tempfile.mkstemp(prefix=".shrimpy-", suffix=".json",
                                               dir=os.path.dirname(self.path))
        os.close(handle)

    def __enter__(self) -> "Film":
        return self

    def __exit__(self, *_: object) -> None:
        if os.path.exists(self._draft):
            os.unlink(self._draft)

    def write(self, data: Dict[str, object]) -> None:
        with open(self._draft, "w", encoding="utf-8") as file:
            json.dump(data, file, separators=(",", ":"))
            file.write("\n")
        os.chmod(self._draft, 0o644)
        os.replace(self._draft, self.path)

"""The film file: the steps of one fork as JSON, `shrimpy-film`, version 1."""

from __future__ import annotations

import errno
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


def writable(path: str) -> str:
    """`path` whole, where a film can be written. Raises OSError where it cannot."""
    path = os.path.abspath(os.path.expanduser(path))
    folder = os.path.dirname(path)
    if os.path.isdir(path):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not os.path.isdir(folder):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), folder)
    if not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
    return path


def write(path: str, data: Dict[str, object]) -> None:
    """Writes the whole file or, whatever happens, none. Raises OSError."""
    handle, draft = tempfile.mkstemp(prefix=".shrimpy-", suffix=".json", dir=os.path.dirname(path))
    try:
        with open(handle, "w", encoding="utf-8") as file:
            json.dump(data, file, separators=(",", ":"))
            file.write("\n")
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        os.unlink(draft)
        raise

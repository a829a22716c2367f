"""A hash of a file, however large it is."""

from __future__ import annotations

import hashlib
from pathlib import Path

_CHUNK = 1 << 20


def of(path: Path) -> str:
    """SHA-256 of its bytes, in hex. Raises OSError."""
    hashed = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            hashed.update(chunk)
    return hashed.hexdigest()

"""The documents that figures are drawn of: read, decoded and checked by the kit, refused in one line."""
from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from .errors import VizError
from .kit import DOCUMENT, ORIGINS, Index, OfVerdict, Snapshot, checked, origins_of, records

T = TypeVar("T")


def snapshot_of(data: Any) -> Index:
    """The snapshot that a JSON document, or a part of one, holds, ready for questions. Raises records.Unfit."""
    return Index(checked(Snapshot.from_data(data)))


def decoded(kind: records.Document, text: str, read: Callable[[Any], T]) -> T:
    """What `read` makes of the document of `kind` in `text`. Raises VizError."""
    try:
        return kind.parse(text, read)
    except records.Unfit as e:
        raise VizError(str(e)) from None


def parse(text: str) -> Index:
    """The snapshot in `text`. Raises VizError."""
    return decoded(DOCUMENT, text, snapshot_of)


def load(name: str, read: Callable[[str], T]) -> T:
    """What `read` makes of the file `name`, or of standard input when it is "-". Raises VizError."""
    where = "standard input" if name == "-" else name
    try:
        data = sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
        return read(data.decode("utf-8"))
    except OSError as e:
        raise VizError(f"{where}: cannot be read: {e.strerror}") from None
    except UnicodeDecodeError as e:
        raise VizError(f"{where}: expected JSON in UTF-8, found byte {data[e.start]:#04x} "
                       f"at offset {e.start}") from None
    except VizError as e:
        raise VizError(f"{where}: {e}") from None


def snapshot(name: str) -> Index:
    """The snapshot in the file `name`, or on standard input when it is "-". Raises VizError."""
    return load(name, parse)


def origins(name: str) -> tuple[OfVerdict, ...]:
    """Where failures were written, by the file `name`. Raises VizError."""
    return load(name, lambda text: decoded(ORIGINS, text, origins_of))

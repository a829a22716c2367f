"""Writes finished figures to files: all of one, or nothing."""
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Union

from .model.errors import VizError

SUFFIXES = (".dot", ".svg", ".pdf", ".png")
FILM_SUFFIXES = (".html", ".svg", ".pdf", ".png")


def kind(name: Union[str, Path], suffixes: Sequence[str] = SUFFIXES) -> str:
    """"dot", "svg", "pdf", "png" or "html", by the suffix of `name`, one of `suffixes`. Raises VizError."""
    suffix = Path(name).suffix
    if suffix not in suffixes:
        raise VizError(f"{name}: expected a name that ends in {', '.join(suffixes)}, "
                       f"found {suffix or 'no suffix'}")
    return suffix[1:]


def folder(path: Path) -> Path:
    """`path` as a folder that is there. Raises VizError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise VizError(f"{path}: expected a folder to write to: {e.strerror}") from None
    return path


def write(name: Union[str, Path], data: bytes) -> None:
    """Put `data` in the file `name`; who reads it meanwhile sees the old file or the new one.

    Raises VizError; then the old file, if any, is as it was.
    """
    target = Path(os.path.realpath(name))
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        if target.is_dir():
            raise IsADirectoryError(0, "Is a directory")
        try:
            temporary.write_bytes(data)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as e:
        hint = "" if target.parent.is_dir() else f"; try mkdir -p {target.parent}"
        raise VizError(f"{name}: cannot be written: {e.strerror}{hint}") from None

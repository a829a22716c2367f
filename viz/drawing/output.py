"""Where finished figures are written, and as what."""
from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Union

from .model.errors import VizError
from .model.kit import files

SUFFIXES = (".dot", ".svg", ".pdf", ".png")
FILM_SUFFIXES = (".html", *SUFFIXES)


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
    """Writes a file as files.write does. Raises VizError; then the old file, if any, is unchanged."""
    try:
        files.write(str(name), data)
    except OSError as e:
        folder = Path(os.path.realpath(name)).parent
        hint = "" if folder.is_dir() else f"; try mkdir -p {folder}"
        raise VizError(f"{name}: cannot be written: {e.strerror}{hint}") from None

"""Where a kernel was compiled, by its debugging information."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ..tools import cross_prefix
from ..walls import sandbox
from .building import MAKEFILES

_FOLDER = re.compile(r"DW_AT_comp_dir\s*:.*?(/.*?)\s*$", re.M)
_MAPPED = b"-prefix-map="    # GCC, "Options for Debugging": folders go by other names


def is_brought(elf: Path, copy: Path) -> bool:
    """Whether a kernel was compiled elsewhere than in a copy of its tree: it names folders elsewhere, and none of the copy.

    One that names no folder, or whose Makefiles give folders other names, is taken for compiled here.
    Source: DW_AT_comp_dir, DWARF 5, 3.1.1.
    """
    places = tuple({os.fspath(copy), os.fspath(copy.resolve())})
    data = elf.read_bytes()
    if any(os.fsencode(place) in data for place in places):
        return False
    read = sandbox.run([cross_prefix() + "readelf", "--debug-dump=info", "--dwarf-depth=1", str(elf)], copy, writable=False)
    folders = _FOLDER.findall(read.output)
    return bool(folders) and not any(folder.startswith(places) for folder in folders) and not _maps_folders(copy)


def _maps_folders(copy: Path) -> bool:
    makefiles = (path for path in copy.rglob("*") if (path.name in MAKEFILES or path.suffix == ".mk") and path.is_file())
    return any(_MAPPED in path.read_bytes() for path in makefiles)

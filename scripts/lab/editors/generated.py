"""Files that a command of ours writes into somebody's folder, and never over what they have changed there.

A file beside them remembers, by a hash, what we wrote.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from shrimpy import files

from .. import Trouble

_MEMORY = ".shrimpy.json"


def write(folder: Path, contents: Mapping[str, str]) -> list[Path]:
    """Writes the files, all or none; says which are new or other than before. Raises Trouble when one of them is not as we
    left it."""
    ours = _remembered(folder)
    for name in contents:
        path = folder / name
        if path.is_symlink() or path.exists() and _hash(path.read_bytes()) not in (ours.get(name), _hash(contents[name].encode())):
            raise Trouble(f"{path} is not as make vscode left it: nothing is written; move it away to have a new one")
    folder.mkdir(parents=True, exist_ok=True)
    changed = [name for name, text in contents.items() if not (folder / name).exists() or (folder / name).read_text() != text]
    # What is remembered first may be written or not: both are known then.
    files.write(str(folder / _MEMORY), json.dumps({**ours, **{name: _hash(contents[name].encode()) for name in contents}}, indent=1) + "\n")
    for name in changed:
        files.write(str(folder / name), contents[name])
        if contents[name].startswith("#!"):
            (folder / name).chmod(0o755)
    return [folder / name for name in changed]


def _remembered(folder: Path) -> dict[str, str]:
    try:
        return dict(json.loads((folder / _MEMORY).read_text()))
    except (OSError, ValueError, TypeError):
        return {}


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

"""The machines of this checkout that run, by the notes that `make qemu-gdb` leaves for `make gdb`. Needs no GDB."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

_BUILD = Path(__file__).resolve().parents[3] / "build"


class Machine(NamedTuple):
    """kernel: the path of its ELF file; gdb: what `target remote` takes; pid: of its launcher."""

    kernel: str
    gdb: str
    pid: int


def folder() -> Path:
    """Where the notes are."""
    return Path(os.environ.get("SHRIMPY_RUN") or Path(os.environ.get("SHRIMPY_BUILD") or _BUILD) / "run")


def running(notes: Path, kernel: str | None = None) -> list[Machine]:
    """This user's machines, those of that kernel first, then the newest. A note whose launcher has gone, or that is none, is
    left out."""
    found = []
    for path in notes.glob(f"{os.getuid()}-*.json"):
        try:
            note, written = json.loads(path.read_text()), path.stat().st_mtime
            machine = Machine(str(note["kernel"]), str(note["gdb"]), int(note["pid"]))
            os.kill(machine.pid, 0)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        found.append((machine.kernel != kernel, -written, machine))
    return [machine for *_, machine in sorted(found)]

"""The walls that a service's container allows around a check, found by trying."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from .. import ROOT
from ..walls import sandbox

_NOBODY = "65534"   # of Debian and its like (Debian policy, 9.2.2)


@dataclass(frozen=True)
class Walls:
    """What stands before the words of a check, and its environment. note: what is missing, for a person; "" for nothing."""

    words: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    note: str = ""
    user: int | None = None     # who the check runs as, where that is somebody else


def found(source: Path) -> Walls:
    """The best that there is: bubblewrap's; or else another user, who can write nothing of the service's. source: what the
    check must be able to read."""
    why = sandbox.hindrance()
    if why is None:
        return Walls()
    none = {"SHRIMPY_SANDBOX": sandbox.NONE}
    as_nobody = ("setpriv", "--reuid", _NOBODY, "--regid", _NOBODY, "--clear-groups", "--inh-caps=-all", "--no-new-privs", "--")
    if os.getuid() == 0 and shutil.which("setpriv") and _can_read(as_nobody, source):
        return Walls(as_nobody, none, f"SANDBOX=none, as another user: {why}", int(_NOBODY))
    return Walls((), none, f"SANDBOX=none: {why}")


def _can_read(words: tuple[str, ...], source: Path) -> bool:
    tried = subprocess.run([*words, str(ROOT / "scripts/check"), "--version"], stdin=subprocess.DEVNULL, capture_output=True)
    seen = subprocess.run([*words, "ls", str(source)], stdin=subprocess.DEVNULL, capture_output=True)
    return tried.returncode == 0 and seen.returncode == 0

"""An autograder as Gradescope takes it: one zip with the kit, the assignments, setup.sh and run_autograder."""

from __future__ import annotations

import json
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from shrimpy import files

from .. import ROOT, Trouble
from ..kernels import copying
from .assignments import Assignment

KIT, COURSE = "shrimpy", "course.json"
LIMIT_S = 540   # Gradescope's own limit is 600 s where the course sets none
_NOT_NEEDED = ("tests/", "docs/", "typings/", ".")
_EPOCH = (1980, 1, 1, 0, 0, 0)  # of all files, so that the same course is the same zip
_SERVICE = ROOT / "scripts/course"


def pack(assignments: Sequence[Assignment], out: str, limit_s: int = LIMIT_S) -> Path:
    """Writes the zip atomically and says where. limit_s: how long the check of one submission may take, in seconds."""
    path = files.writable(out)
    with tempfile.TemporaryFile() as draft:
        with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as made:
            for name in ("setup.sh", "run_autograder"):
                _add(made, name, (_SERVICE / name).read_bytes(), executable=True)
            for name in _kit():
                _add(made, f"{KIT}/{name}", (ROOT / name).read_bytes(), _is_executable(ROOT / name))
            course = {"limit_s": limit_s, "assignments": [_with(made, number, one) for number, one in enumerate(assignments, 1)]}
            _add(made, COURSE, json.dumps(course, indent=1).encode())
        draft.seek(0)
        files.write(path, draft.read())
    return Path(path)


def unpacked(source: Path) -> tuple[list[Assignment], int]:
    """The assignments of an unpacked zip, and how long a check may take, in seconds."""
    try:
        course = json.loads((source / COURSE).read_text())
        return [Assignment(one["title"], source / one["starter"], source / one["points"] if one["points"] else None, one["profile"],
                           tuple(one["lay"]), tuple(one["only"])) for one in course["assignments"]], course["limit_s"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Trouble(f"{source / COURSE} cannot be read ({error}): make the autograder anew") from None


def _kit() -> Iterator[str]:
    """The kit's files that git tracks, but what only its developers use."""
    listed = subprocess.run(["git", "-c", "safe.directory=*", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, text=True,
                            stdin=subprocess.DEVNULL)
    if listed.returncode:
        raise Trouble(f"{ROOT}: the autograder has the files that git tracks, and git says: {listed.stderr.strip()}")
    return (name for name in listed.stdout.split("\0") if name and not name.startswith(_NOT_NEEDED))


def _with(made: zipfile.ZipFile, number: int, one: Assignment) -> dict[str, object]:
    """Adds an assignment's files; it as data."""
    folder = f"assignments/{number}"
    for path in copying.sources(one.starter):
        _add(made, f"{folder}/tree/{path.as_posix()}", (one.starter / path).read_bytes(), _is_executable(one.starter / path))
    if one.points:
        _add(made, f"{folder}/points", one.points.read_bytes())
    return {"title": one.title, "starter": f"{folder}/tree", "points": f"{folder}/points" if one.points else None,
            "profile": one.profile, "lay": one.lay, "only": one.only}


def _is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o100)


def _add(made: zipfile.ZipFile, name: str, content: bytes, executable: bool = False) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (0o100755 if executable else 0o100644) << 16
    made.writestr(entry, content)

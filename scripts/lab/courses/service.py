"""What run_autograder does: marks the submission that a service laid out, and leaves results.json whatever happens.

Where things are is Gradescope's specification ("File hierarchy", "Submission metadata"); here below any root.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from shrimpy import files

from .. import ROOT, Trouble, cli, printable
from ..marks import results
from . import assignments, barriers, laying, packing, shown

_END_S = 20     # for check to end its machine
_LEAST_S = 5    # for the check, whatever the preparation took
_MOST_SAID = 20_000


def mark(root: Path) -> str:
    """Marks root/submission into root/results/results.json; what came of it in a line. root: "/autograder" of the service."""
    start = time.monotonic()
    out = root / "results/results.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    _write(out, shown.unmarked("its check was ended before it came to a result"))
    try:
        told = _marked(root, start)
    except laying.Unusable as unusable:
        told = shown.unmarked(str(unusable), by_the_submission=True)
    except Trouble as trouble:
        told = shown.unmarked(str(trouble))
    except OSError as error:
        told = shown.unmarked(cli.refused(error))
    _write(out, told)
    return f"{told['extra_data']['status']}: {told['extra_data']['line']}"


def _write(path: Path, told: dict[str, Any]) -> None:
    files.write(str(path), json.dumps(told, indent=1) + "\n")


def _marked(root: Path, start: float) -> dict[str, Any]:
    course, limit_s = packing.unpacked(root / "source")
    assignment = assignments.titled(course, _title(root))
    walls = barriers.found(assignment.starter)
    with _scratch(walls.user) as scratch:
        tree, out = scratch / "submission", scratch / "marks"
        laid = laying.lay(root / "submission", assignment, tree)
        notes = laid.notes + ([walls.note] if walls.note else [])
        _check(assignment, tree, out, walls, max(_LEAST_S, limit_s - (time.monotonic() - start)))
        try:
            return shown.marked(json.loads((out / results.GRADESCOPE).read_text()), out, notes)
        except (ValueError, KeyError, TypeError) as error:
            raise Trouble(f"its marks cannot be read: {error}") from None


def _title(root: Path) -> str:
    """The assignment's title; "" where the service does not say."""
    try:
        return str(json.loads((root / "submission_metadata.json").read_text())["assignment"]["title"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


@contextlib.contextmanager
def _scratch(user: int | None) -> Iterator[Path]:
    """A folder for one check, of whoever it runs as."""
    with tempfile.TemporaryDirectory(prefix="shrimpy-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        folder.chmod(0o755)
        if user is not None:
            os.chown(folder, user, user)
        yield folder


def _check(one: assignments.Assignment, tree: Path, out: Path, walls: barriers.Walls, limit_s: float) -> None:
    """Runs check, which leaves its marks in out. Raises Trouble when it leaves none. limit_s: seconds, by the wall."""
    words = [str(ROOT / "scripts/check"), "--kernel", str(tree), "--out", str(out), "--profile", one.profile,
             *(["--points", str(one.points)] if one.points else []), *(["--only", ",".join(one.only)] if one.only else [])]
    environment = {**os.environ, **walls.environment, "SHRIMPY_BUILD": str(out.parent / "build"), "HOME": str(out.parent),
                   "SHRIMPY_PYTHON": sys.executable}
    check = subprocess.Popen([*walls.words, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                             env=environment, text=True, errors="replace", start_new_session=True)
    try:
        _, said = check.communicate(timeout=limit_s)
    except subprocess.TimeoutExpired:
        raise Trouble(f"its check took more than {limit_s:.0f} s") from None
    finally:
        _end(check)
    print(said[-_MOST_SAID:], end="", file=sys.stderr, flush=True)
    if check.returncode not in (0, 1) or not (out / results.GRADESCOPE).is_file():
        lines = [line for line in said.splitlines() if line.startswith("check: ")] or said.splitlines()[-1:]
        raise Trouble(printable((lines or [f"check ended with status {check.returncode}"])[0]))


def _end(check: subprocess.Popen[str]) -> None:
    """Ends a check that runs, and all that it started."""
    check.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        check.communicate(timeout=_END_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(check.pid, signal.SIGKILL)
    check.wait()

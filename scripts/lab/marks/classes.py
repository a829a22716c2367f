"""The submissions of a class: found, checked side by side, told in one table."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import ROOT, Trouble, cli, printable
from ..judging import points
from ..walls import sandbox
from . import due, results
from .due import Basis, Why
from .marking import WARNED

TABLE, NOT_CHECKED = "marks.csv", "not checked"
_ARCHIVES = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.xz", ".tar.bz2", ".7z")
_NOISE = ("__MACOSX",)
_DEEPEST = 4
_COLUMNS = ("submission", "status", "points", "max_points", "failed", "first_line", "seconds", "causes")
_MORE = {"status", "line", "max_score", "failed", "seconds"}     # of extra_data
# So that a job may end its machine before it is ended itself: of GNU parallel, signals and milliseconds.
_END = "TERM,10000,KILL,25"
# What of the environment check reads, with all that begins with SHRIMPY_.
_READ = ("GDB", "KEEP", "PLAY", "QEMU", "WHY")


@dataclass(frozen=True)
class Marked:
    """A line of the table."""

    submission: str
    status: str
    points: float = 0.0
    max_points: float = 0.0
    failed: str = ""
    first_line: str = ""
    seconds: float = 0.0
    causes: str = ""


def planned(folder: Path, out: Path, worth: Mapping[str, float], options: Sequence[str]) -> dict[str, Why | None]:
    """The submissions in a folder, by name, and why each must be marked, None when it need not. Nothing is written.

    out: where the marks are, or will be; worth: points by rule; options: check's, without the points
    """
    submissions = _submissions(folder)
    if not submissions:
        raise Trouble(f"{folder}: expected a folder or an archive for each submission, found none")
    if out == folder or folder in out.parents:
        raise Trouble(f"--out {out} is among the submissions: name another folder")
    return {name: due.why(folder / submissions[name], out, name, worth, options) for name in sorted(submissions)}


def check_all(plan: Mapping[str, Why | None], out: Path, ours: Sequence[str], jobs: str, limit_s: int,
              hosts: Sequence[str]) -> list[Marked]:
    """Checks what must be marked, and returns the marks of all.

    ours: the command that checks one, given --one and its name; limit_s: of one
    """
    to_do = [name for name, why in plan.items() if why]
    out.mkdir(parents=True, exist_ok=True)
    if to_do:
        for name in to_do:
            _why(out, name).unlink(missing_ok=True)
        in_parallel([*ours, "--one"], to_do, out, jobs, limit_s, hosts)
    return [_marked(out, name, name in to_do) for name in plan]


def check_one(folder: Path, name: str, out: Path, options: Sequence[str], worth: str) -> int:
    """Checks one submission: check's status. What keeps it from being checked is noted for the table.

    options: check's, without the points; worth: the file of points, or ""
    """
    try:
        due.note(out, name, None)
        results.claim(out / name)
        shutil.rmtree(out / name, ignore_errors=True)
        source = folder / _submissions(folder)[name]
        basis = Basis(due.digest(source), tuple(options), due.kit())   # before the check, during which files may change
        with _tree(source, name) as tree:
            status, said = _check(tree, out / name, [*options, *(["--points", worth] if worth else [])])
        if status in (0, 1) and (out / name / results.GRADESCOPE).is_file():
            due.note(out, name, basis)
            return status
        why = next((line for line in said.splitlines() if line.startswith("check: ")), said.strip()[-300:])
    except Trouble as trouble:
        why = str(trouble).partition("\n")[0]
    except OSError as error:
        why = cli.refused(error)
    _why(out, name).write_text(printable(why))
    return 2


def _check(tree: Path, out: Path, options: Sequence[str]) -> tuple[int, str]:
    """Runs check; its status, and what it said on standard error."""
    check = subprocess.Popen([sys.executable, str(ROOT / "scripts/check"), "--kernel", str(tree), "--out", str(out), *options],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace")
    try:
        _, said = check.communicate()
    finally:
        check.terminate()  # it ends its machine
        check.wait()
    return check.returncode, said


def table(out: Path, marked: Sequence[Marked]) -> Path:
    """Writes the table of a class, and says where."""
    path = out / TABLE
    with tempfile.NamedTemporaryFile("w", dir=out, prefix=".", delete=False, newline="", encoding="utf-8",
                                     errors="surrogateescape") as file:
        rows = csv.writer(file)
        rows.writerow(_COLUMNS)
        for one in marked:
            rows.writerow([_cell(one.submission), one.status, f"{one.points:g}", f"{one.max_points:g}", one.failed,
                           _cell(one.first_line), f"{one.seconds:g}", one.causes])
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)
    return path


def _cell(said: str) -> str:
    """A stranger's words, which no spreadsheet is to take for a formula."""
    return "'" + said if said[:1] in ("=", "+", "-", "@", "\t") else said


def _submissions(folder: Path) -> Mapping[str, str]:
    """Names of submissions, and of their folders or archives."""
    found: dict[str, str] = {}
    for path in sorted(folder.iterdir()):
        suffix = next((one for one in _ARCHIVES if path.name.endswith(one)), "")
        if path.name.startswith(".") or path.name in _NOISE or not (path.is_dir() or suffix and path.is_file()):
            continue
        name = path.name if path.is_dir() else path.name[:-len(suffix)]
        if name in found:
            raise Trouble(f"{folder}: {found[name]} and {path.name} are both {name}: rename one")
        found[name] = path.name
    return found


def in_parallel(command: Sequence[str], names: Sequence[str], out: Path, jobs: str, limit_s: int, hosts: Sequence[str] = ()) -> None:
    """Runs command with each name after it, some at a time; it has limit_s seconds for each. out/jobs.tsv says how it went."""
    told = shutil.which("parallel") and subprocess.run(["parallel", "--version"], stdin=subprocess.DEVNULL, capture_output=True,
                                                       text=True).stdout
    if not told or not told.startswith("GNU parallel"):
        raise Trouble("GNU parallel is not installed: run scripts/setup mark")
    parallel = ["parallel", "--null", "--jobs", jobs, "--timeout", str(limit_s), "--memfree", "512M", "--joblog", str(out / "jobs.tsv"),
                "--termseq", _END, "--quote", *(["--bar"] if sys.stderr.isatty() else [])]
    for name in os.environ:
        if hosts and (name in _READ or name.startswith("SHRIMPY_")):     # ssh brings nothing of the environment
            parallel += ["--env", name]
    for host in hosts:
        parallel += ["--sshlogin", host]
    # Of a session of its own: at Ctrl-C it is told, once, and ends its jobs.
    running = subprocess.Popen([*parallel, *command, "{}"], stdin=subprocess.PIPE, start_new_session=True)
    try:
        running.communicate("\0".join(names).encode(errors="surrogateescape"))
    finally:
        if running.poll() is None:
            running.send_signal(signal.SIGINT)
            running.wait()


@contextlib.contextmanager
def _tree(source: Path, name: str) -> Iterator[Path]:
    """The xv6 tree of a submission, unpacked while it is needed when that is an archive."""
    found = _below(source, _is_tree) if source.is_dir() else None
    if found:
        yield found
        return
    archive = source if source.is_file() else _below(source, _is_archive)
    if not archive:
        raise Trouble(f"{source.name} has no xv6 tree: a folder with a Makefile and kernel/")
    if not shutil.which("bsdtar"):
        raise Trouble(f"{archive.name} cannot be unpacked: bsdtar is not installed (scripts/setup mark)")
    with tempfile.TemporaryDirectory(prefix="shrimpy-") as folder:
        place = Path(folder, name)
        place.mkdir()
        done = sandbox.run(["bsdtar", "-x", "-f", str(archive), "--no-same-owner", "--no-same-permissions"], place, readonly=[archive])
        if done.status or done.overrun:
            lines = [line for line in done.output.splitlines() if line.strip()] or [f"status {done.status}"]
            raise Trouble(f"{archive.name} cannot be unpacked: {done.overrun or lines[0]}")
        found = _below(place, _is_tree)
        if not found:
            raise Trouble(f"{archive.name} has no xv6 tree: a folder with a Makefile and kernel/")
        yield found


def _below(folder: Path, wanted) -> Path | None:
    """The first, nearest the top, that is wanted; no link is followed."""
    level = [folder]
    for _ in range(_DEEPEST):
        for path in level:
            if wanted(path):
                return path
        level = [Path(entry.path) for path in level if path.is_dir()
                 for entry in sorted(os.scandir(path), key=lambda one: one.name)
                 if not entry.is_symlink() and not entry.name.startswith(".") and entry.name not in _NOISE]
    return None


def _is_tree(path: Path) -> bool:
    return (path / "Makefile").is_file() and (path / "kernel").is_dir()


def _is_archive(path: Path) -> bool:
    return path.is_file() and path.name.endswith(_ARCHIVES)


def _why(out: Path, name: str) -> Path:
    """Where it is noted why a submission was not checked."""
    return out / f".{name}.why"


def _causes(some: Sequence[Mapping[str, Any]]) -> str:
    """Each cause once, with the points that it costs: "shrimp-pair 3, runs (panicked) 12, orphan-alive (warning)"."""
    return ", ".join(one["rule"] + (f" ({one['kind']})" if one["rule"] == points.RUNS else "")
                     + (f" {one['points']:g}" if one["points"] else "") + (" (warning)" if one["status"] == WARNED else "")
                     for one in some)


def told(out: Path, name: str) -> Mapping[str, Any] | None:
    """The results.json of a submission that has marks."""
    if _why(out, name).exists():
        return None
    try:
        found = json.loads((out / name / results.GRADESCOPE).read_text())
        return found if {"score", "tests"} <= found.keys() and _MORE <= found["extra_data"].keys() else None
    except (OSError, ValueError, KeyError, AttributeError):
        return None


def why(out: Path, name: str) -> str:
    """Why a submission has no marks; "" when that was not noted."""
    try:
        return _why(out, name).read_text()
    except OSError:
        return ""


def _marked(out: Path, name: str, tried: bool) -> Marked:
    if found := told(out, name):
        more = found["extra_data"]
        return Marked(name, more["status"], found["score"], more["max_score"], " ".join(more["failed"]), more["line"], more["seconds"],
                      _causes(more.get("causes", [])))
    return Marked(name, NOT_CHECKED, first_line=why(out, name) or ("it took too long, or its check was ended" if tried else ""))

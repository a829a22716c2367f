"""Which submissions of a class must be marked, and why: what marks were made of is noted beside them."""

from __future__ import annotations

import dataclasses
import enum
import functools
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from shrimpy import files

from .. import ROOT
from . import results

_KIT = ("gdb", "scripts", "viz")     # folders of the checkout that marks and pages are made by
_MOST_READ = 64 << 20   # bytes of one file; of a larger one the size and the time are compared


class Why(enum.Enum):
    """Why a submission must be marked."""

    UNMARKED = "it has no marks"
    CHANGED = "its files have changed"
    POINTS = "the points of the rules have changed"
    OPTIONS = "the options of the check have changed"
    KIT = "Shrimpy itself has changed"


@dataclasses.dataclass(frozen=True)
class Basis:
    """What marks were made of. digest: of the files, see digest(); options: check's; kit: the digest of what made them, see kit()."""

    digest: str
    options: tuple[str, ...]
    kit: str


@functools.lru_cache(maxsize=None)
def kit(checkout: Path = ROOT) -> str:
    """SHA-256 of a checkout's files that decide marks, but for what Python compiles."""
    whole = hashlib.sha256()
    for path in sorted(path for name in _KIT for path in (checkout / name).rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            whole.update(os.fsencode(path.relative_to(checkout)) + b"\0" + _content(path))
    return whole.hexdigest()


def digest(source: Path) -> str:
    """SHA-256 of an archive, or of a folder's files with their paths, kinds and contents. It does not depend on times, so that
    a folder that was unpacked anew is the same. Raises OSError."""
    whole = hashlib.sha256()
    for path in _paths(source):
        status = path.lstat()
        kind = stat.S_IFMT(status.st_mode)
        whole.update(os.fsencode(path.relative_to(source)) + b"\0" + str(kind).encode() + b"\0")
        if stat.S_ISLNK(kind):
            whole.update(hashlib.sha256(os.fsencode(os.readlink(path))).digest())
        elif stat.S_ISREG(kind):
            whole.update(f"{status.st_size} {status.st_mtime_ns}".encode() if status.st_size > _MOST_READ else _content(path))
    return whole.hexdigest()


def _paths(source: Path) -> Iterator[Path]:
    """All of a submission, in one order; no link is followed."""
    left = [source]
    while left:
        path = left.pop()
        yield path
        if path.is_dir() and not path.is_symlink():
            left += sorted(path.iterdir())


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        whole = hashlib.sha256()
        while part := file.read(1 << 20):
            whole.update(part)
    return whole.digest()


def note(out: Path, name: str, basis: Basis | None) -> None:
    """Notes what the marks of a submission are made of, or, with None, that there are none."""
    path = _note(out, name)
    if basis is None:
        path.unlink(missing_ok=True)
    else:
        files.write(str(path), json.dumps(dataclasses.asdict(basis)) + "\n")


def why(source: Path, out: Path, name: str, worth: Mapping[str, float], options: Sequence[str]) -> Why | None:
    """Why a submission must be marked; None when its marks are of these files, points and options, and of
    this kit. Nothing is written.

    source: its folder or archive; out: the folder of all marks; worth: points by rule; options: check's, without the points
    """
    try:
        told = json.loads((out / name / results.GRADESCOPE).read_text())
        noted = json.loads(_note(out, name).read_text())
        made_of = Basis(noted["digest"], tuple(noted["options"]), noted.get("kit", ""))
        told_worth = {one["name"].partition(":")[0]: one["max_score"] for one in told["tests"]}
    except (OSError, ValueError, KeyError, TypeError):
        return Why.UNMARKED
    if told_worth != worth:
        return Why.POINTS
    if made_of.options != tuple(options):
        return Why.OPTIONS
    if made_of.kit != kit():
        return Why.KIT
    try:
        return None if digest(source) == made_of.digest else Why.CHANGED
    except OSError:
        return Why.CHANGED


def _note(out: Path, name: str) -> Path:
    return out / f".{name}.of"

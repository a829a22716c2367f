"""A submission laid over the tree that the course handed out. Nothing of it is run, and no link in it is followed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .. import Trouble, printable
from .assignments import ALL, Assignment

_DEEPEST = 4            # below the submission's folder, a tree may be
_MOST_FILES = 10_000
_MOST_BYTES = 64 << 20
_NOISE = ("__MACOSX",)
_NAMED = 5              # names in one note


class Unusable(Trouble):
    """A submission of which nothing can be marked, by its own fault."""


@dataclass(frozen=True)
class Laid:
    """What was done: the files that were taken, as paths in the tree; those that were left, with why."""

    taken: tuple[str, ...]
    links: tuple[str, ...] = ()
    clashes: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def notes(self) -> list[str]:
        """For a person, one line each."""
        told = ((self.links, "not taken, because they are links or no files"),
                (self.clashes, "not taken, because the tree has a folder where they are files, or the other way round"),
                (self.others, "not taken, because the assignment does not ask for them"))
        return [f"{why}: {_some(names)}" for names, why in told if names]


@dataclass(frozen=True)
class _File:
    path: str       # below the submission's folder
    is_plain: bool  # no link, no pipe
    n_bytes: int


def lay(submission: Path, assignment: Assignment, tree: Path) -> Laid:
    """Makes tree, a new folder, hold the starter's files and the submission's over them. Raises Unusable."""
    files = list(_files(submission))
    taken = _chosen(files, assignment)
    if not any(one.is_plain for one in taken.values()):
        wanted = "kernel/ and the rest of a tree" if ALL in assignment.lay else " or ".join(f"{name}/" for name in assignment.lay)
        raise Unusable(f"nothing in this submission belongs to the tree: expected {wanted}, found {_some([one.path for one in files])}")
    shutil.copytree(assignment.starter, tree, symlinks=True, copy_function=shutil.copy)
    clashes = [one.path for place, one in taken.items() if one.is_plain and not _put(submission / one.path, tree, place)]
    unasked = [one.path for one in files if one not in taken.values()]
    return Laid(tuple(place for place, one in taken.items() if one.is_plain and one.path not in clashes),
                tuple(one.path for one in taken.values() if not one.is_plain), tuple(clashes), tuple(unasked))


def _files(submission: Path) -> Iterator[_File]:
    """What lies in a submission, links and all. Raises Unusable for more than a tree can be."""
    n_files = n_bytes = 0
    for folder, subfolders, files in os.walk(submission):
        links = [name for name in subfolders if os.path.islink(os.path.join(folder, name))]
        subfolders[:] = sorted(name for name in subfolders if name not in (".git", *_NOISE) and name not in links)
        for name in sorted([*files, *links]):
            path = Path(folder, name)
            plain = path.is_file() and not path.is_symlink()
            size = path.lstat().st_size if plain else 0
            n_files, n_bytes = n_files + 1, n_bytes + size
            if n_files > _MOST_FILES or n_bytes > _MOST_BYTES:
                raise Unusable(f"this submission is larger than {_MOST_BYTES >> 20} MiB or {_MOST_FILES} files: hand in sources only")
            yield _File(path.relative_to(submission).as_posix(), plain, size)


def _chosen(files: list[_File], assignment: Assignment) -> dict[str, _File]:
    """The files that are taken, by their places in the tree: of the submission's folder that is most like a tree."""
    wanted = ("kernel",) if ALL in assignment.lay else assignment.lay
    tops = {"/".join(parts[:n]) for one in files for parts in [one.path.split("/")] for n in range(min(len(parts), _DEEPEST))
            if "/".join([*parts[n:], ""]).startswith(tuple(f"{name}/" for name in wanted))}
    if not tops:
        return _loose(files, assignment)
    base = min(tops, key=lambda top: (top.count("/") + bool(top), top))
    below = {one.path[len(base):].lstrip("/"): one for one in files if not base or one.path.startswith(base + "/")}
    return {place: one for place, one in below.items()
            if ALL in assignment.lay or place.startswith(tuple(f"{name}/" for name in assignment.lay)) or place in assignment.lay}


def _loose(files: list[_File], assignment: Assignment) -> dict[str, _File]:
    """Files handed in without their folders, each put where the tree has one of its name, if that is one place."""
    places: dict[str, list[str]] = {}
    for name in assignment.lay:
        for path in (assignment.starter / name).rglob("*") if name != ALL else ():
            places.setdefault(path.name, []).append(path.relative_to(assignment.starter).as_posix())
    return {places[one.path][0]: one for one in files if len(places.get(one.path, ())) == 1}


def _put(source: Path, tree: Path, place: str) -> bool:
    """Whether a file could be put in its place; what the tree has is left where it could not."""
    there = tree / place
    try:
        there.parent.mkdir(parents=True, exist_ok=True)
        if there.is_symlink():
            there.unlink()
        shutil.copyfile(source, there, follow_symlinks=False)
    except (FileExistsError, IsADirectoryError, NotADirectoryError):
        return False
    return True


def _some(names: list[str] | tuple[str, ...]) -> str:
    shown = ", ".join(printable(name) for name in names[:_NAMED])
    more = len(names) - _NAMED
    return (shown + (f" and {more} more" if more > 0 else "")) or "nothing"

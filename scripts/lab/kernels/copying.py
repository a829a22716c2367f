"""A copy of a tree, in which it is built: its sources, and what was built of just these the last time."""

from __future__ import annotations

import json
import os
import shutil
import stat
import struct
from collections.abc import Iterator, Set
from pathlib import Path

from shrimpy.memory.elf import ET_DYN, ET_EXEC, RISCV, ElfError, Header
from shrimpy.memory.readers import RAM_BASE

from .. import NotBuilt, Trouble
from ..walls import sandbox

_SOURCES = frozenset((".c", ".S", ".s", ".pl", ".py", ".cc", ".cpp", ".cxx", ".rs", ".zig"))
_DISK_MAGIC = 0x10203040  # of xv6's superblock, in block 1


def mirror(source: Path, copy: Path, stranger: bool) -> list[str]:
    """Makes copy hold what source holds, built files of the last time kept while they cannot be stale.

    stranger: links that lead out of source are not followed. What is to be said of it.
    """
    now, refused = {}, []
    n_bytes = 0
    for path, readable in _sources(source, stranger):
        if not readable:
            refused.append(str(path))
            continue
        status = (source / path).stat()
        now[str(path)] = [status.st_size, status.st_mtime_ns]
        n_bytes += status.st_size
        if stranger and (n_bytes > sandbox.LIMITS.disk // 2 or len(now) > sandbox.LIMITS.files // 2):
            raise NotBuilt(f"{source.name} is not built: it is larger than {sandbox.LIMITS.disk >> 21} MiB or "
                           f"{sandbox.LIMITS.files // 2} files")
    before = _manifest(copy)
    changed = [name for name, status in now.items() if before.get(name) != status]
    # make compares times: a file that went, or came back older, would not be rebuilt.
    stale = not before or any(name not in now or now[name][1] < status[1] for name, status in before.items())
    if stale or stranger:
        shutil.rmtree(copy, ignore_errors=True)
        changed = list(now)
    _manifest_of(copy).unlink(missing_ok=True)
    for name in changed:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).unlink(missing_ok=True)
        try:
            shutil.copy2(source / name, copy / name)
        except PermissionError as error:
            raise Trouble(f"{source / name} cannot be copied to {copy}: {error.strerror}") from None
        (copy / name).chmod((copy / name).stat().st_mode & 0o755 | stat.S_IRUSR | stat.S_IWUSR)
    _manifest_of(copy).write_text(json.dumps(now))
    return [f"left out, for it leads out of the tree: {', '.join(refused)}"] if refused else []


def remove_products(copy: Path) -> None:
    """Leaves of a copy only what was copied."""
    sources = _manifest(copy)
    for path in [path for path in copy.rglob("*") if path.is_file() or path.is_symlink()]:
        if str(path.relative_to(copy)) not in sources:
            path.unlink()


def products(tree: Path) -> Iterator[Path]:
    """What a build has left in a tree."""
    sources = {path for path, _ in _sources(tree, stranger=False)}
    return (tree / path for path, _ in _walk(tree, stranger=False) if path not in sources)


def remove(copy: Path) -> None:
    """Removes a copy, and what is remembered of it."""
    shutil.rmtree(copy, ignore_errors=True)
    _manifest_of(copy).unlink(missing_ok=True)


def sources(tree: Path) -> list[Path]:
    """The files of a tree that no build made, as paths below it; what its links lead to is among them."""
    return [path for path, _ in _sources(tree, stranger=False)]


def _manifest_of(copy: Path) -> Path:
    return copy.with_name(copy.name + ".json")


def _manifest(copy: Path) -> dict[str, list[int]]:
    try:
        return json.loads(_manifest_of(copy).read_text()) if copy.is_dir() else {}
    except (OSError, ValueError):
        return {}


def _sources(source: Path, stranger: bool) -> Iterator[tuple[Path, bool]]:
    """What is copied: all but what a build makes, which may be of another compiler, or not of these sources at all."""
    found = list(_walk(source, stranger))
    stems = {path.stem for path, _ in found if path.suffix in _SOURCES}
    for path, readable in found:
        if not readable or not _is_product(source / path, stems):
            yield path, readable


def _walk(source: Path, stranger: bool) -> Iterator[tuple[Path, bool]]:
    """The files of a tree, as paths below it, and whether each may be read.

    What a link points to is a file or folder like any, but not of a stranger when it leads out of the tree; .git is
    left out.
    """
    top = os.path.realpath(source)
    seen = set()
    for folder, subfolders, files in os.walk(source, followlinks=True):
        where = os.path.realpath(folder)
        if where in seen:
            subfolders[:] = []
            continue
        if stranger and where != top and not where.startswith(top + os.sep):
            subfolders[:] = []
            yield Path(folder).relative_to(source), False
            continue
        seen.add(where)
        subfolders[:] = sorted(name for name in subfolders if name != ".git")
        for name in sorted(files):
            path = Path(folder, name)
            if path.is_file():
                outside = stranger and not os.path.realpath(path).startswith(top + os.sep)
                yield path.relative_to(source), not outside


def _is_product(path: Path, stems: Set[str]) -> bool:
    """Whether a build makes this file of sources with these stems."""
    if path.suffix in (".o", ".d"):
        return path.stem in stems
    if path.suffix == ".S":
        return path.with_suffix(".pl").is_file()
    try:
        with path.open("rb") as file:
            start = file.read(64)
            if path.suffix == ".img":
                file.seek(1024)
                return "mkfs" in stems and file.read(4) == struct.pack("<I", _DISK_MAGIC)
        header = Header.of(start)
    except (OSError, ElfError):
        return False  # what cannot be read is said when it is copied
    is_kernel = header.machine == RISCV and header.entry >= RAM_BASE
    return header.type in (ET_EXEC, ET_DYN) and (is_kernel or path.stem.lstrip("_") in stems)

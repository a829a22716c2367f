"""A checkpoint as one file that can be handed on: a zip archive of what checkpoint.save() keeps, and of what it takes to debug it.

    checkpoint.json     the manifest, first: what the machine was started with, the kernel's hash, the names of all other files
    devices, ram, disk0 ...
    kernel/kernel       the kernel that ran; kernel/* its sources, and user/_* its programs, where they were beside it

A file that is opened is somebody's: names and lengths are bounded before anything is written, its QEMU runs within the walls of the
sandbox, and its options are those of a kernel that can be recorded.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from shrimpy import __version__

from .. import Trouble, printable, tools
from ..kernels.tree import Kernel
from ..machines import sparse
from ..machines.rundir import RunDir
from . import hashing, manifest
from .checkpoint import DEVICES, RAM, disks
from .recording import need_recordable

MANIFEST = "checkpoint.json"
_SCHEMA, _VERSION = "shrimpy-checkpoint", 1
_BLOCK = 1 << 18
_NAME = re.compile(r"devices|ram|disk[0-7]|(kernel|user)/\w[\w.+-]{0,100}")
_SOURCES = ("*.h", "*.c", "*.S")
_MOST_FILES, _MOST_LISTED = 1000, 1 << 18  # and bytes of the archive's list of them
_MOST_MANIFEST, _MOST_RAM, _MOST_FILE = 1 << 20, 2 << 30, 512 << 20  # bytes
_MOST_DISKS = 8
_MOST_TEXT = 1000  # characters
_END = 22  # bytes of an archive's last record: ZIP's APPNOTE.TXT 4.3.16


@dataclass(frozen=True)
class Checkpoint:
    """A machine as it was, in a folder.

    kernel   the kernel that ran, its file in the folder
    thread   the hart that had come to the stop, from 1
    stopped  where that was, for a person
    """

    folder: Path
    kernel: Kernel
    cpus: int
    thread: int = 1
    stopped: str = ""


class _Unfit(Exception):
    """What a file is instead of a checkpoint, or lacks to be one."""


def with_kernel(kernel: Kernel, folder: Path) -> Kernel:
    """Copies a kernel, its sources and its programs into the folder of a checkpoint. Raises OSError."""
    need_recordable(kernel)
    for name, files in (("kernel", [one for ending in _SOURCES for one in kernel.elf.parent.glob(ending)]),
                        ("user", list((kernel.elf.parent.parent / "user").glob("_*")))):
        (folder / name).mkdir()
        for one in files[:_MOST_FILES // 2 - 10]:
            if _NAME.fullmatch(f"{name}/{one.name}") and one.is_file() and not one.is_symlink():
                shutil.copyfile(one, folder / name / one.name)
    elf = folder / "kernel" / "kernel"
    shutil.copyfile(kernel.elf, elf)
    return replace(kernel, elf=elf)


def pack(made: Checkpoint, out: Path) -> None:
    """Writes a checkpoint to a file: complete, or not at all. Raises OSError."""
    files = [path for path in sorted(made.folder.rglob("*")) if path.is_file()]
    data = {"schema": _SCHEMA, "version": _VERSION, "shrimpy": __version__, "qemu": tools.qemu_says(), "cpus": made.cpus,
            "thread": made.thread, "stopped": made.stopped, **manifest.of_kernel(made.kernel),
            "kernel": hashing.of(made.kernel.elf), "files": [str(path.relative_to(made.folder)) for path in files]}
    number, draft = tempfile.mkstemp(prefix=".shrimpy-", dir=out.absolute().parent)
    try:
        with open(number, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(MANIFEST, json.dumps(data, indent=1) + "\n")
            for path in files:
                archive.write(path, str(path.relative_to(made.folder)))
        os.chmod(draft, 0o644)
        os.replace(draft, out)
    except BaseException:
        os.unlink(draft)
        raise


@contextlib.contextmanager
def unpacked(file: Path) -> Iterator[Checkpoint]:
    """The checkpoint in a file, in a folder that is gone afterwards. Raises Trouble in one line for what is none, or is another
    QEMU's, and OSError."""
    place: RunDir | None = None
    try:
        with file.open("rb") as opened:
            _check_end(opened)
            with zipfile.ZipFile(opened) as archive:
                data = _manifest(archive)
                made = _described(data)
                place = RunDir(sum(one.file_size for one in archive.infolist()))
                _extract(archive, made, set(data["files"]), place.path)
                if hashing.of(place.path / "kernel/kernel") != data["kernel"]:
                    raise _Unfit("its kernel is another than the one that ran")
        yield replace(made, folder=place.path, kernel=replace(made.kernel, elf=place.path / "kernel/kernel",
                                                              disks=disks(made.kernel, place.path), sources=place.path / "kernel"))
    except IsADirectoryError:
        raise Trouble(f"CHECKPOINT={file} is a folder: expected a file that `make check OUT=...` left") from None
    except (_Unfit, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RecursionError, KeyError, TypeError, ValueError,
            AttributeError) as error:
        said = str(error) if isinstance(error, _Unfit) else "expected a file that `make check OUT=...` left, complete"
        raise Trouble(f"CHECKPOINT={file} is not a checkpoint: {said}") from None
    finally:
        if place:
            place.remove()


def _check_end(opened: Any) -> None:
    """Raises _Unfit for an archive whose list of files is long, or elsewhere than at its end: zipfile reads all of it."""
    size = opened.seek(0, os.SEEK_END)
    opened.seek(max(0, size - _END))
    end = opened.read(_END)
    opened.seek(max(0, size - _END - 20))
    if end[:4] != b"PK\5\6" or end[-2:] != b"\0\0" or opened.read(4) == b"PK\6\7":
        raise _Unfit("its end is missing")
    if int.from_bytes(end[12:16], "little") > _MOST_LISTED:
        raise _Unfit("it has too many files")


def _manifest(archive: zipfile.ZipFile) -> dict[str, Any]:
    first = archive.getinfo(MANIFEST)
    if first.file_size > _MOST_MANIFEST:
        raise _Unfit(f"its {MANIFEST} is too long")
    data = json.loads(archive.read(first))
    if (data["schema"], data["version"]) != (_SCHEMA, _VERSION):
        raise _Unfit("another version of Shrimpy wrote it")
    here = tools.qemu_says()
    if _number(str(data["qemu"])) != _number(here):
        raise _Unfit(f"it was made by {printable(str(data['qemu']))[:_MOST_TEXT]}; here is {here}")
    return data


def _number(said: str) -> str:
    """Of what a QEMU says that it is, its own version: packagers do not change what it keeps of a machine."""
    found = re.search(r"version ([\d.]+)", said)
    return found[1] if found else said


def _described(data: dict[str, Any]) -> Checkpoint:
    """What a manifest says, its files nowhere yet. Raises _Unfit, Trouble, and what a wrong type brings about."""
    if int(data["disks"]) > _MOST_DISKS:
        raise _Unfit("it describes no machine that Shrimpy starts")
    kernel = replace(manifest.kernel_of(data, Path()), stranger=True)
    cpus, thread = int(data["cpus"]), int(data["thread"])
    if not (1 <= thread <= cpus <= kernel.max_cpus and 1 << 20 <= kernel.ram_bytes <= _MOST_RAM and kernel.ram_bytes % (1 << 20) == 0):
        raise _Unfit("it describes no machine that Shrimpy starts")
    need_recordable(kernel)
    return Checkpoint(Path(), kernel, cpus, thread, printable(str(data["stopped"]))[:_MOST_TEXT].replace("\n", " "))


def _extract(archive: zipfile.ZipFile, made: Checkpoint, files: set[str], folder: Path) -> None:
    """Raises _Unfit, BadZipFile, OSError."""
    listed = [one for one in archive.infolist() if one.filename != MANIFEST]
    needed = {DEVICES, RAM, "kernel/kernel", *(one.name for one in disks(made.kernel, folder))}
    if len(listed) > _MOST_FILES or {one.filename for one in listed} != files or not needed <= files:
        raise _Unfit("its files are not those that it lists")
    for name in ("kernel", "user"):
        (folder / name).mkdir()
    for one in listed:
        most = made.kernel.ram_bytes if one.filename == RAM else _MOST_FILE
        if not _NAME.fullmatch(one.filename) or one.file_size > most or one.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _Unfit(f"its file {printable(one.filename)[:100]!r} is none of a checkpoint's")
        if one.filename == RAM and one.file_size != most:
            raise _Unfit("its RAM is not as large as it says")
        _write(archive, one, folder / one.filename)


def _write(archive: zipfile.ZipFile, one: zipfile.ZipInfo, target: Path) -> None:
    """A file of the archive; zipfile reads no more of it than the archive's list says, and compares its checksum."""
    at = 0
    with archive.open(one) as source, target.open("xb") as file:
        while block := source.read(_BLOCK):
            sparse.write(file, at, block)
            at += len(block)
        file.truncate(at)
    if at != one.file_size:
        raise _Unfit(f"its file {one.filename} is not as long as it says")

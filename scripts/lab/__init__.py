"""What the commands in scripts/ are made of.

    walls/     runs commands on a stranger's files, within limits
    kernels/   finds, builds, copies and changes the kernel that a path names
    machines/  starts, watches and attaches to a QEMU that runs a kernel
    replay/    records a run, and runs it again to any place; keeps a machine, and goes on from there
    judging/   plays scenarios and stories on a kernel, and judges what it sees
    pictures/  has viz/ draw figures and films of a machine
    marks/     turns what was judged into marks, of one tree or of a class
    courses/   marks a course's submissions where they are handed in
    editors/   writes what an editor needs to debug a kernel
    upkeep/    checks the project itself: lint, imports, fresh roots

A folder imports only from folders above it. Beside them: the command line (cli), which tools there are (tools), how long
anything may take (patience), and here the folders that commands write to, and Trouble, what a person is told.
"""

import errno
import hashlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = ("diagrams", "lint", "locks", "plugins", "recording", "run", "site", "trees", "variants", "xv6", "zoo")  # folders below BUILD

_PLAIN = re.compile(r"[\w/.,+@-]+")
_LEAST_BYTES = 4 << 20  # of room on a disk: a kernel's build takes as much


def can_write(place: Path) -> bool:
    """Whether a folder can be written, or made where it is to be."""
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    return os.path.isdir(place) and os.access(place, os.W_OK | os.X_OK)


def _elsewhere(place: Path) -> Iterator[Path]:
    """Folders of this user's to take the place of one: in the cache (XDG Base Directory Specification), or else among the
    temporary files."""
    name = f"{re.sub('[^a-zA-Z0-9_.+-]', '_', ROOT.name)}-{hashlib.sha256(os.fsencode(place)).hexdigest()[:12]}"
    for cache in (os.environ.get("XDG_CACHE_HOME", ""), os.path.expanduser("~/.cache")):
        if os.path.isabs(cache) and can_write(Path(cache, "shrimpy", name)):
            yield Path(cache, "shrimpy", name)
    try:
        # Others may write there, too: it must be this user's own.
        own = Path(tempfile.gettempdir(), f"shrimpy-{os.getuid()}")
        own.mkdir(mode=0o700, exist_ok=True)
        status = own.lstat()
        if own.is_dir() and not own.is_symlink() and status.st_uid == os.getuid() and not status.st_mode & 0o022:
            yield own / name
    except OSError:
        pass


def _build_folder() -> Path:
    """Where commands leave what they make: in what SHRIMPY_BUILD names, else in build/ of the checkout, or elsewhere when
    that cannot be written."""
    if said := os.environ.get("SHRIMPY_BUILD"):
        os.environ["SHRIMPY_BUILD"] = os.path.abspath(os.path.expanduser(said))  # for children that run elsewhere
        return Path(os.environ["SHRIMPY_BUILD"])
    usual = ROOT / "build"
    if all(can_write(usual / name) for name in FOLDERS):
        return usual
    return next(_elsewhere(ROOT), usual)  # whoever writes there says why not


def _trees_folder() -> Path:
    """Where other people's trees are built: below BUILD, or elsewhere when their make could not take that path, at whose
    spaces it would split what names the folder."""
    return next((place / "trees" for place in (BUILD, *(() if _PLAIN.fullmatch(str(BUILD)) else _elsewhere(BUILD)))
                 if _PLAIN.fullmatch(str(place))), BUILD / "trees")


BUILD = _build_folder()
TREES = _trees_folder()

# The kit: of it the modules that need no GDB are imported here.
if str(ROOT / "gdb") not in sys.path:
    sys.path.append(str(ROOT / "gdb"))


def printable(said: str) -> str:
    """Text of a stranger's, as a terminal and a file can take it: control characters become ?."""
    return re.sub("[^\t\n\x20-\x7e\xa0-\ud7ff\ue000-\uffff\U00010000-\U0010ffff]", "?", said)


def typed(path: str) -> Path:
    """A path that a person gave; ~ is their home, where they have one."""
    return Path(os.path.expanduser(path))


def check_room(folder: Path) -> None:
    """Raises OSError where a disk is full: what has just gone wrong there is nobody else's fault."""
    if not folder.exists():
        return
    status = os.statvfs(folder)
    if status.f_bavail * status.f_frsize < _LEAST_BYTES or status.f_files and not status.f_favail:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder))


def put_in_place(new: Path, folder: Path) -> None:
    """new, a folder beside it, takes the place of folder, if that is there. Raises OSError; then folder is as it was."""
    old = new.with_name(new.name + ".old")
    try:
        new.chmod(0o755)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except BaseException:  # Ctrl-C, too
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise
    finally:
        shutil.rmtree(old, ignore_errors=True)


def piped(stream: IO[bytes] | None) -> IO[bytes]:
    """A process's pipe, where Popen was asked for one."""
    assert stream is not None
    return stream


class Trouble(Exception):
    """What went wrong, for a person: a first line that stands alone, then details."""


class NotBuilt(Trouble):
    """No kernel that boots comes of a tree. log: all that its build said."""

    def __init__(self, said: str, log: str = "") -> None:
        super().__init__(printable(said))
        self.log = log

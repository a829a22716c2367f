"""A machine's private folder, and the note by which `make gdb` finds the machine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from .. import BUILD, Trouble

_LONGEST_SOCKET_PATH = 103  # sun_path holds 108 bytes on Linux, 104 elsewhere, with a NUL
_SLACK_BYTES = 64 << 20

# Reads nothing until its standard input closes: orderly or by the owner's
# death, SIGKILL included. qemu.pid is there only while QEMU may run. A QEMU
# behind walls is no child of anybody's who could wait for it. Folders made
# within one go with it.
_KEEPER = """
read -r _
for file in "$1/qemu.pid" "$1"/*/qemu.pid; do
  [ -s "$file" ] && pid=$(cat "$file") || continue
  kill -9 "$pid" 2>/dev/null
  while grep -qs '^State:.[^Z]' "/proc/$pid/status"; do sleep 0.01; done
done
rm -rf -- "$1"
"""


class RunDir:
    """A folder of mode 0700 that is gone when this process is. within: the folder that it is made in."""

    def __init__(self, ram_bytes: int, within: Path | None = None) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="" if within else "shrimpy-", dir=within or _base(ram_bytes)))
        read_end, self._write_end = os.pipe()
        self._keeper = subprocess.Popen(
            ["/bin/sh", "-c", _KEEPER, "keeper", str(self.path)],
            stdin=read_end, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, cwd="/")
        os.close(read_end)

    def remove(self) -> None:
        """Ends QEMU if it is still noted here, and removes the folder. Harmless when done twice."""
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1
            self._keeper.wait()


def _base(ram_bytes: int) -> str:
    """The first folder with room for RAM and with a path short enough for a socket."""
    candidates = ["/dev/shm", tempfile.gettempdir(), "/tmp"]
    for folder in candidates:
        if not os.access(folder, os.W_OK | os.X_OK):
            continue
        if len(folder) + len("/shrimpy-12345678/12345678/gdb.sock") > _LONGEST_SOCKET_PATH:
            continue
        if shutil.disk_usage(folder).free >= ram_bytes + _SLACK_BYTES:
            return folder
    raise Trouble(f"no folder with {(ram_bytes + _SLACK_BYTES) >> 20} MiB free for the machine's memory; "
                  f"tried {', '.join(candidates)}; set TMPDIR to one that has")


@dataclass(frozen=True)
class Note:
    """What others need to find a machine. Paths are strings; gdb is what `target remote` takes."""

    pid: int                # of the launcher
    started: str            # its start, as started_at() tells it
    kernel: str
    gdb: str
    qmp: str
    ram: str
    live: str = ""          # the address of the page that follows it


def started_at(pid: int) -> str | None:
    """When process pid started, in some unit: with the pid it names one process. None: there is none, or it has ended."""
    if sys.platform.startswith("linux"):
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return None
        state, *others = stat.rpartition(")")[2].split()    # from field 3 of proc(5) on, after the name
        return None if state == "Z" else others[18]
    told = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True)
    return told.stdout.strip() or None


def notes_folder() -> Path:
    """Where the notes of this checkout's machines are."""
    return Path(os.environ.get("SHRIMPY_RUN") or BUILD / "run")


def publish(note: Note) -> Path:
    """Writes the note where find() of this checkout looks. The caller removes it."""
    folder = notes_folder()
    path = folder / f"{os.getuid()}-{note.pid}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        scratch = path.with_suffix(".new")
        scratch.unlink(missing_ok=True)
        with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:   # a page's address is a secret
            file.write(json.dumps(asdict(note)))
        scratch.rename(path)
    except OSError as error:
        raise Trouble(f"{folder} cannot be written ({error.strerror}): `make gdb` would not find this machine") from None
    return path


def running() -> list[Note]:
    """The notes of this user's machines of this checkout that still run, newest first."""
    alive = []
    for path in notes_folder().glob(f"{os.getuid()}-*.json"):
        try:
            note = Note(**json.loads(path.read_text()))
            age = path.stat().st_mtime
        except (OSError, ValueError, TypeError):
            continue
        if started_at(note.pid) == note.started:
            alive.append((age, note))
        else:
            path.unlink(missing_ok=True)
    return [note for _, note in sorted(alive, key=lambda pair: pair[0], reverse=True)]


def await_end(note: Note, look_s: float = 0.5) -> None:
    """Returns when the machine that a note is about has ended; it is looked at every look_s."""
    while started_at(note.pid) == note.started:
        time.sleep(look_s)


def find() -> Note:
    """The newest running machine of this checkout that can be debugged."""
    notes = running()
    if not notes:
        raise Trouble("no machine of this checkout is running: start one with `make qemu-gdb` in another terminal")
    return notes[0]

"""Commands on files of a stranger: in bubblewrap, where they reach the files they are about and nothing else.

No network, no home, no other process; of this machine's files /usr and what the tools are found in, read-only. Time,
memory, processes, output and files have limits. The walls are namespaces (namespaces(7)), the limits those of
setrlimit(2), and a watch for what a process of many parts comes to, which setrlimit does not know.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import select
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from shrimpy.macros import CROSS_PREFIXES

from . import Trouble
from .patience import share

NONE = "none"
_VARIABLE = "SHRIMPY_SANDBOX"
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"

# A user of the sandbox's own when we are root, whom no limit on processes holds (fork(2)). No system gives these to
# anybody (systemd's UIDS-GIDS).
_FIRST_USER = 0x70000000
_USERS = 0x400000  # as many as there are process ids

# Of /etc, what the loader and the names of compilers need.
_SYSTEM_FILES = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")

# By which root, without any capability, changes the system (proc(5)).
_KERNEL_FILES = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus")

JOBS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""How many commands of a build run at the same time."""

_WATCH_S = 0.2
_END_S = 10.0
_PROBE_S = 300.0
_LEAST_SHARE = 0.1  # what runs here may itself be what the host is busy with


@dataclass(frozen=True)
class Limits:
    """What a command may use. Sizes in bytes; processes and files are counts."""

    seconds: float = 300.0
    memory: int = 2 << 30       # of all its processes
    processes: int = 256
    disk: int = 512 << 20       # of the folder it may write
    files: int = 20_000
    output: int = 1 << 20


LIMITS = Limits()
_SCRATCH = 256 << 20            # of /tmp
_ONE_FILE = 256 << 20


@dataclass(frozen=True)
class Done:
    """How a command ended: its status, all that it printed, and the limit that ended it, in words."""

    status: int
    output: str
    overrun: str | None = None


def wanted() -> bool:
    """Whether commands are to be locked in: unless SANDBOX=none was said."""
    said = os.environ.get(_VARIABLE, "")
    if said not in ("", NONE):
        raise Trouble(f"SANDBOX={said}: expected {NONE}, for trees that you trust with all that you can do here, or nothing")
    return said != NONE


def need(what: str) -> None:
    """Raises Trouble, in one line, when what must be locked in and cannot be."""
    if wanted() and (why := hindrance()):
        raise Trouble(f"{what} is built and run in a sandbox, and there is none: {why}; for a tree that you trust with all "
                      f"that you can do here, say SANDBOX={NONE}")


@functools.cache
def hindrance() -> str | None:
    """Why there can be no sandbox on this machine; None when there can."""
    bwrap = shutil.which("bwrap")
    if not bwrap:
        return "bubblewrap is not installed (scripts/setup, on Linux)"
    try:
        done = subprocess.run([bwrap, *_walls(Path("/"), (), writable=False)[1:], "true"], stdin=subprocess.DEVNULL, capture_output=True,
                              env={**os.environ, "PATH": tool_path()}, text=True, timeout=_PROBE_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not work here: {error}"
    if done.returncode:
        said = (done.stderr.strip().splitlines() or [f"status {done.returncode}"])[-1]
        return f"bubblewrap does not work here: {said}; in a container it needs user namespaces or CAP_SYS_ADMIN"
    return None


def run(command: Sequence[str], folder: Path, *, environment: Mapping[str, str] | None = None, readonly: Sequence[Path] = (),
        writable: bool = True, trusted: bool = False, limits: Limits = LIMITS) -> Done:
    """Runs command in folder, the one place where it can write, and where it finds itself at the path it has outside.

    environment   what it gets besides a PATH and a locale
    readonly      further files and folders it can read, at their own paths
    writable      False: it only reads folder
    trusted       it is ours: no walls, as with SANDBOX=none
    Ends it with all that it started when it exceeds limits.
    """
    walls = wanted() and not trusted
    environment = {"PATH": tool_path(), "LC_ALL": "C", "HOME": "/tmp", "TERM": "dumb", **(environment or {})}
    if walls:
        need(folder.name)
        if writable and _is_root():
            _give(folder, _user())
        command = [*_walls(folder, readonly, writable), *_limited(limits, counted=writable or not _is_root()), *command]
    else:
        command = [*_limited(limits, counted=False), *command]
        environment["PATH"] = _with_ours(environment["PATH"])
    with _Running(command, environment, folder) as running:
        try:
            return _watched(running, folder if writable else None, limits)
        finally:
            running.end()
            if walls and writable:
                if _is_root():
                    _give(folder, os.getuid())
                _disarm(folder)


def _with_ours(path: str) -> str:
    return path.replace(_SYSTEM_PATH, os.environ.get("PATH", _SYSTEM_PATH))


# The walls

def _walls(folder: Path, readonly: Sequence[Path], writable: bool) -> list[str]:
    """bwrap and its options, up to the command."""
    command = ["bwrap", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
               "--hostname", "sandbox", "--new-session", "--die-with-parent", "--ro-bind", "/usr", "/usr"]
    for name in ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"):
        if os.path.islink(name):
            command += ["--symlink", os.readlink(name), name]
        else:
            command += ["--ro-bind-try", name, name]
    command += ["--proc", "/proc", *(word for name in _KERNEL_FILES for word in ("--ro-bind-try", name, name)),
                "--dev", "/dev", "--perms", "1777",
                *(["--size", str(_SCRATCH)] if "--size" in _bwrap_help() else []), "--tmpfs", "/tmp"]
    for name in _SYSTEM_FILES:
        command += [*_way_to(Path(name)), "--ro-bind-try", name, name]
    for path in (*_toolchains(), *readonly):
        command += [*_way_to(path), "--ro-bind", str(path), str(path)]
    if folder != Path("/"):
        command += [*_way_to(folder), "--bind" if writable else "--ro-bind", str(folder), str(folder)]
    command += ["--remount-ro", "/dev", "--remount-ro", "/"]
    there = ["--chdir", str(folder)]
    if _is_root() and not writable:
        return [*command, *there, "--cap-drop", "ALL", "--"]  # the files are ours: nobody else may be able to read them
    if _is_root():
        # As somebody else, who has nothing and cannot get anything.
        user = str(_user())
        return [*command, "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--", "setpriv",
                "--reuid", user, "--regid", user, "--clear-groups", "--inh-caps=-all", "--", "env", *there]
    return [*command, *there, "--unshare-user", *(["--disable-userns"] if "--disable-userns" in _bwrap_help() else []),
            "--cap-drop", "ALL", "--"]


def _way_to(path: Path) -> list[str]:
    """The folders above path, which are made for it: open to whoever the command runs as."""
    return [word for folder in reversed(path.parents[:-1]) for word in ("--perms", "0755", "--dir", str(folder))]


@functools.cache
def _bwrap_help() -> str:
    return subprocess.run(["bwrap", "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout


@functools.cache
def _toolchains() -> tuple[Path, ...]:
    """Where compilers are that were not installed under /usr: a cross toolchain in /opt or in a home."""
    found = set()
    for name in ("make", "gcc", "perl", *(prefix + "gcc" for prefix in CROSS_PREFIXES)):
        if path := shutil.which(name):
            folder = Path(os.path.realpath(path)).parent
            if Path("/usr") not in folder.parents and folder not in (Path("/bin"), Path("/sbin")):
                found.add(folder.parent)
    return tuple(sorted(found))


def tool_path() -> str:
    """A PATH for commands in the sandbox, on which our tools are."""
    return ":".join([*(str(folder / "bin") for folder in _toolchains()), _SYSTEM_PATH])


@functools.cache
def _is_root() -> bool:
    """Whether we are root and may be anybody: in the initial user namespace, or one with all users (user_namespaces(7))."""
    if not sys.platform.startswith("linux") or os.getuid():
        return False
    rows = (map(int, line.split()) for line in Path("/proc/self/uid_map").read_text().splitlines())
    return any(first <= _FIRST_USER and _FIRST_USER + _USERS <= first + n for first, _, n in rows)


def _user() -> int:
    return _FIRST_USER + os.getpid() % _USERS


def _give(folder: Path, user: int) -> None:
    os.lchown(folder, user, user)
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.lchown(os.path.join(place, name), user, user)


def _disarm(folder: Path) -> None:
    """Removes what a build left that is dangerous to open: links out of the folder, and what is neither file nor folder."""
    root = os.path.realpath(folder)
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(place, name)
            if os.path.islink(path):
                inside = os.path.realpath(path).startswith(root + os.sep)
            else:
                inside = os.path.isdir(path) or os.path.isfile(path)
            if not inside:
                os.unlink(path)
            elif not os.path.islink(path) and os.lstat(path).st_mode & (stat.S_ISUID | stat.S_ISGID):
                os.chmod(path, 0o755)


# The limits

def bounded(memory: int) -> list[str]:
    """What stands before a command of ours that reads a stranger's files, so that it cannot use all memory, in bytes."""
    return ["prlimit", f"--as={memory}", "--core=0", "--"] if shutil.which("prlimit") else []


def _limited(limits: Limits, counted: bool) -> list[str]:
    """prlimit(1) and its like, up to the command. counted: its processes are, for it is a user of its own."""
    if not shutil.which("prlimit"):
        return []
    command = ["prlimit", f"--as={limits.memory}", f"--fsize={_ONE_FILE}", f"--cpu={int(limits.seconds)}", "--core=0",
               "--nofile=1024", "--"]
    if counted:
        command.insert(1, f"--nproc={limits.processes}")
    # Should the machine run out of memory all the same, these are the first to go.
    return [*command, "choom", "-n", "1000", "--", "nice"]


class _Running:
    """A command that was started. Its first process in the sandbox is that of its process ids: they all end with it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> None:
        inform, report = os.pipe()
        try:
            if command[0] == "bwrap":
                command = ["bwrap", "--info-fd", str(report), *command[1:]]
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=folder,
                                             stderr=subprocess.STDOUT, env=environment, start_new_session=True,
                                             pass_fds=[report])
        except OSError as error:
            os.close(inform)
            raise Trouble(f"{command[0]} cannot be run: {error.strerror}") from None
        finally:
            os.close(report)
        self.pid = self._process.pid
        self.stdout = self._process.stdout
        self._first = None
        with os.fdopen(inform) as told:
            if command[0] == "bwrap" and (pid := re.search(r'"child-pid": (\d+)', told.read())):
                with contextlib.suppress(ProcessLookupError):
                    self._first = os.pidfd_open(int(pid[1]))

    def ended(self, limit_s: float) -> bool:
        """Whether the command ends within the limit."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(limit_s)
        return self._process.returncode is not None

    @property
    def status(self) -> int:
        """As subprocess tells it, once the command has ended."""
        return self._process.returncode

    def end(self) -> None:
        """Ends the command and all that it started, and returns when nothing of it runs any more."""
        if self._first is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
            select.select([self._first], [], [], _END_S)
        if not self.ended(0 if self._first is None else _END_S):
            os.killpg(self.pid, signal.SIGKILL)
            self._process.wait(_END_S)

    def __enter__(self) -> _Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self.stdout.close()
        if self._first is not None:
            os.close(self._first)


def _watched(running: _Running, folder: Path | None, limits: Limits) -> Done:
    said, overrun, listening = bytearray(), None, True
    left_s = limits.seconds  # of an idle host's time
    look = time.monotonic() + _WATCH_S
    while overrun is None:
        left = max(0.0, look - time.monotonic())
        if not listening:
            if running.ended(left):  # who closed its output goes on unheard
                break
        elif select.select([running.stdout], [], [], left)[0]:
            data = os.read(running.stdout.fileno(), 65536)
            listening = bool(data)
            said += data
            if len(said) > limits.output:
                overrun = f"printed more than {limits.output >> 10} KiB"
        if time.monotonic() >= look:
            overrun = overrun or _overrun(running.pid, folder, limits)
            left_s -= (time.monotonic() - look + _WATCH_S) * max(_LEAST_SHARE, share())
            look = time.monotonic() + _WATCH_S
        if left_s <= 0:
            overrun = f"took more than {limits.seconds:g} s"
    running.end()
    return Done(running.status, said[:limits.output].decode(errors="replace"), overrun)


def _overrun(pid: int, folder: Path | None, limits: Limits) -> str | None:
    if _resident(pid) > limits.memory:
        return f"used more than {limits.memory >> 20} MiB of memory"
    if folder:
        n_files, n_bytes = _size(folder, limits.files)
        if n_bytes > limits.disk:
            return f"wrote more than {limits.disk >> 20} MiB"
        if n_files > limits.files:
            return f"made more than {limits.files} files"
    return None


def _descendants(pid: int) -> Iterator[int]:
    yield pid
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                yield from _descendants(int(child))


def _resident(pid: int) -> int:
    """Bytes of memory that a process and its descendants have, those that they share counted for each."""
    n_pages = 0
    for one in _descendants(pid):
        with contextlib.suppress(OSError):
            n_pages += int(Path(f"/proc/{one}/statm").read_text().split()[1])
    return n_pages * os.sysconf("SC_PAGESIZE")


def _size(folder: Path, most: int) -> tuple[int, int]:
    """Files in folder, counted up to one more than most, and the bytes they take on the disk."""
    n_files = n_bytes = 0
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            n_files += 1
            with contextlib.suppress(OSError):
                n_bytes += os.lstat(os.path.join(place, name)).st_blocks * 512
            if n_files > most:
                return n_files, n_bytes
    return n_files, n_bytes


"""Commands on files of a stranger: in bubblewrap, where they reach the files they are about and nothing else.

No network, no home, no other process; of this machine's files /usr and what the tools are found in, read-only. Time,
memory, processes, output and files have limits. The walls are namespaces (namespaces(7)) and a filter of system calls, the
limits those of setrlimit(2) and, where it lets us, of a control group; and a watch for what a process of many parts comes
to, which setrlimit does not know.

run() is for a command that ends; start() for QEMU and GDB, to which we talk meanwhile.
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
from typing import IO, Any

from shrimpy.kernel.macros import CROSS_PREFIXES

from .. import Trouble, piped
from ..patience import share
from . import cgroups, seccomp

NONE = "none"
_VARIABLE = "SHRIMPY_SANDBOX"
_SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"

# A user of the sandbox's own when we are root, whom no limit on processes holds (fork(2)). No system gives these to
# anybody (systemd's UIDS-GIDS).
_FIRST_USER = 0x70000000
_USERS = 0x400000  # as many as there are process ids

# Of /etc, what the loader and the names of compilers need.
_SYSTEM_FILES = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/ld.so.conf.d")

# 1 where AppArmor lets no program make user namespaces that has no profile which allows it: Ubuntu's since 23.10.
_APPARMOR = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")

# By which root, without any capability, changes the system (proc(5)).
_KERNEL_FILES = ("/proc/sys", "/proc/sysrq-trigger", "/proc/irq", "/proc/bus")

JOBS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
"""How many commands of a build run at the same time."""

_WATCH_S = 0.2
_END_S = 60.0
_PROBE_S = 300.0
_LEAST_SHARE = 0.1  # what runs here may itself be what the host is busy with


@dataclass(frozen=True)
class Limits:
    """What a command may use. Sizes in bytes; processes and files are counts."""

    seconds: float = 300.0
    memory: int = 2 << 30       # of all its processes
    processes: int = 256        # at a time
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
        raise Trouble(f"SANDBOX={said}: expected {NONE} (only for trees that you trust) or nothing")
    return said != NONE


def need(what: str) -> None:
    """Raises Trouble, in one line, when what must be locked in and cannot be."""
    if wanted() and (why := hindrance()):
        raise Trouble(f"{what} must be built and run in a sandbox, which cannot be set up: {why}; SANDBOX={NONE} runs a tree that "
                      "you trust without one")


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
        return f"bubblewrap does not work here: {said}; {_namespaces_wanted()}"
    return None


def _namespaces_wanted() -> str:
    """What to do where bubblewrap may not make namespaces."""
    try:
        restricted = _APPARMOR.read_text().strip() == "1"
    except OSError:
        restricted = False
    return "AppArmor must let bubblewrap make user namespaces: docs/install-ubuntu.md says how" if restricted and not _is_root() else \
        "in a container it needs user namespaces or CAP_SYS_ADMIN"


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
    group = cgroups.make(limits.memory, limits.processes) if walls else None
    with Running(command, environment, folder, group) as running:
        try:
            return _watched(running, folder if writable else None, limits, walls)
        finally:
            running.end()
            if walls and writable:
                if _is_root():
                    _give(folder, os.getuid())
                _disarm(folder)


def start(command: Sequence[str], folder: Path, *, readonly: Sequence[Path] = (), memory: int, network: bool = False,
          environment: Mapping[str, str] | None = None, **how: Any) -> Running:
    """Starts command, a tool of ours on a stranger's files, within the walls, and leaves it running: the caller ends it.

    folder    its own: the one place where it can write
    readonly  what else it can read; as root, it is another user who reads it
    memory    bytes of addresses
    how       as Popen takes it
    Raises Trouble when there are no walls here, or that user cannot read a file.
    """
    need("somebody else's kernel")
    environment = {"PATH": tool_path(), "LC_ALL": "C.UTF-8", "HOME": "/tmp", "TERM": "dumb", **(environment or {})}
    readonly = [*readonly, *_place_of(command[0])]
    if _is_root():
        for path in readonly:
            if not _is_open(path):
                raise Trouble(f"{path} must be readable for all: what reads a stranger's files does not run as root; "
                              "chmod -R a+rX it")
        _give(folder, _user())
    limits = Limits(seconds=0, memory=memory)
    command = [*_walls(folder, readonly, True, network, alone=True), *_limited(limits, counted=True), *command]
    return Running(command, environment, folder, cgroups.make(memory, limits.processes), **how)


def _is_open(path: Path) -> bool:
    """Whether the user of the sandbox can look there."""
    status = os.stat(path)
    return bool(status.st_mode & (0o001 if stat.S_ISDIR(status.st_mode) else 0o004)) or status.st_uid == _user()


def _place_of(tool: str) -> list[Path]:
    """The folder that a tool of ours was installed in with all that it needs, where that is not /usr."""
    folder = Path(os.path.realpath(shutil.which(tool) or tool)).parent
    return [] if _is_of_the_system(folder) else [folder.parent if folder.name in ("bin", "sbin") else folder]


def _is_of_the_system(folder: Path) -> bool:
    return Path("/usr") in folder.parents or folder in (Path("/bin"), Path("/sbin"))


def _with_ours(path: str) -> str:
    return path.replace(_SYSTEM_PATH, os.environ.get("PATH", _SYSTEM_PATH))


# The walls

def _walls(folder: Path, readonly: Sequence[Path], writable: bool, network: bool = False, alone: bool = False) -> list[str]:
    """bwrap and its options, up to the command. alone: the command is the first process there, and its end is that of all."""
    command = ["bwrap", "--unshare-pid", *(["--as-pid-1"] if alone else []), *([] if network else ["--unshare-net"]),
               "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try", "--hostname", "sandbox", "--new-session",
               "--die-with-parent", "--ro-bind", "/usr", "/usr"]
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
        dies = ["--pdeathsig", "KILL"] if alone else []  # with bwrap: it has lost that by becoming another user
        return [*command, "--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--", "setpriv",
                "--reuid", user, "--regid", user, "--clear-groups", "--inh-caps=-all", *dies, "--", "env", *there]
    return [*command, *there, "--unshare-user", "--cap-drop", "ALL", "--"]


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
            if not _is_of_the_system(folder):
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


def hand_over(path: Path) -> None:
    """Makes a file or an empty folder belong to whoever commands run as within the walls."""
    if wanted() and _is_root():
        os.lchown(path, _user(), _user())


def _disarm(folder: Path) -> None:
    """Removes what a build left that is dangerous to open: links out of the folder, and what is neither file nor folder.
    What is left is for all to read, since those who look at it next are other users."""
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
            elif not os.path.islink(path):
                mode = stat.S_IMODE(os.lstat(path).st_mode)
                wanted = mode & 0o777 | (0o755 if os.path.isdir(path) else 0o644)
                if mode != wanted:
                    os.chmod(path, wanted)


# The limits

def bounded(memory: int) -> list[str]:
    """What stands before a command of ours that reads a stranger's files, so that it cannot use all memory, in bytes."""
    return ["prlimit", f"--as={memory}", "--core=0", "--"] if shutil.which("prlimit") else []


def _limited(limits: Limits, counted: bool) -> list[str]:
    """prlimit(1) and its like, up to the command. counted: its processes are, for it is a user of its own."""
    if not shutil.which("prlimit"):
        return []
    command = ["prlimit", f"--as={limits.memory}", "--core=0", "--nofile=1024", "--"]
    if limits.seconds:
        command[1:1] = [f"--fsize={_ONE_FILE}", f"--cpu={_cpu_s(limits)}:{_cpu_s(limits) + 1}"]
    if counted:
        command.insert(1, f"--nproc={2 * limits.processes}")  # the watch ends it before, and says so
    # Should the machine run out of memory all the same, these are the first to go.
    return [*command, "choom", "-n", "1000", "--", "nice"]


def _cpu_s(limits: Limits) -> int:
    """Seconds of a CPU for each process: what one that only computes can use in its time."""
    return max(1, int(limits.seconds))


class Running:
    """A command that was started. Its first process in the sandbox is that of its process ids: they all end with it.

    process  what we started: bwrap, or the command
    pid      process's; inside: the first one's in the sandbox, as the host knows it, or process's where there is none
    """

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], folder: Path, group: cgroups.Group | None = None,
                 **how: Any) -> None:
        self.group = group
        inform, report = os.pipe()
        handed = [report]
        how = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "start_new_session": True, **how}
        try:
            walls = command[0] == "bwrap"
            if walls:
                handed += _filter()
                filters = (word for one in handed[1:] for word in ("--seccomp", str(one)))
                command = [*(group.words() if group else []), "bwrap", "--info-fd", str(report), *filters, *command[1:]]
            self.process = subprocess.Popen(command, cwd=folder, env=environment, pass_fds=handed, **how)
        except OSError as error:
            os.close(inform)
            if group:
                group.end()
            raise Trouble(f"{command[0]} cannot be run: {error.strerror}") from None
        finally:
            for one in handed:
                os.close(one)
        self.pid = self.inside = self.process.pid
        self._first: int | None = None
        try:
            with os.fdopen(inform) as told:
                if walls and (pid := re.search(r'"child-pid": (\d+)', told.read())):
                    with contextlib.suppress(ProcessLookupError):
                        self._first, self.inside = os.pidfd_open(int(pid[1])), int(pid[1])
        except BaseException:  # a Ctrl-C: nobody else knows of it yet
            self._break_off()
            raise

    def _break_off(self) -> None:
        """Ends all of it at a moment when bubblewrap's first process may not have been told yet to end with it: that waits for a
        word of bubblewrap's then, for ever, and as the first of its process ids no SIGTERM ends it."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # it starts nothing more from here on
        for one in reversed(list(_descendants(self.pid))):
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, signal.SIGKILL)
        self.process.wait()
        self.close()

    @property
    def stdout(self) -> IO[bytes]:
        return piped(self.process.stdout)

    def ended(self, limit_s: float) -> bool:
        """Whether the command ends within the limit."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(limit_s)
        return self.process.returncode is not None

    @property
    def status(self) -> int:
        """As subprocess tells it, once the command has ended."""
        return self.process.returncode

    @property
    def overrun(self) -> str | None:
        """The limit of its group that it reached, in words."""
        return self.group.overrun if self.group else None

    def send(self, number: int) -> None:
        """A signal to the command."""
        with contextlib.suppress(ProcessLookupError):
            if self._first is None:
                self.process.send_signal(number)
            else:
                signal.pidfd_send_signal(self._first, number)

    def end(self) -> None:
        """Ends the command and all that it started, and returns when nothing of it runs any more."""
        if self._first is not None:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._first, signal.SIGKILL)
            select.select([self._first], [], [], _END_S)
        if not self.ended(0 if self._first is None else _END_S):
            os.killpg(self.pid, signal.SIGKILL)
            self.process.wait(_END_S)

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()
        self.close()

    def close(self) -> None:
        """Once it has ended: nothing of it is left."""
        if self.group:
            self.group.end()
        if self.process.stdout:
            self.process.stdout.close()
        if self._first is not None:
            os.close(self._first)
            self._first = None


def _filter() -> list[int]:
    """A pipe that holds the filter of system calls, to be read; none where there is no filter for this machine."""
    program = seccomp.program()
    if not program:
        return []
    there, here = os.pipe()
    with os.fdopen(here, "wb") as file:
        file.write(program)
    return [there]


def _watched(running: Running, folder: Path | None, limits: Limits, walls: bool) -> Done:
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
            overrun = overrun or running.overrun or _overrun(running.pid, folder, limits, walls)
            left_s -= (time.monotonic() - look + _WATCH_S) * max(_LEAST_SHARE, share())
            look = time.monotonic() + _WATCH_S
        if left_s <= 0:
            overrun = f"took more than {limits.seconds:g} s"
    running.end()
    overrun = overrun or running.overrun
    if overrun is None and running.status in (-signal.SIGXCPU, 128 + signal.SIGXCPU):
        overrun = f"took more than {limits.seconds:g} s"
    return Done(running.status, said[:limits.output].decode(errors="replace"), overrun)


def _overrun(pid: int, folder: Path | None, limits: Limits, walls: bool) -> str | None:
    processes = list(_descendants(pid))
    if walls and len(processes) > limits.processes:
        return f"ran more than {limits.processes} processes at a time"
    if _resident(processes) > limits.memory:
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


def _resident(processes: Sequence[int]) -> int:
    """Bytes of memory that processes have, those that they share counted for each."""
    n_pages = 0
    for one in processes:
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


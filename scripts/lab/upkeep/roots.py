"""Other Debians on this machine: made by debootstrap, and commands run in copies of them.

A command in a root is in namespaces of its own (namespaces(7)): what it mounts or starts is gone when it ends, or when
we do, however that comes. It is walled off so that it harms nothing by mistake; it is no sandbox for strangers.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from .. import BUILD, ROOT, Trouble
from ..kernels.tree import lock

PLACE = "/srv/shrimpy"
"""Where this project is in a root."""

BARE = Path("/srv/bare")
"""Where a root has the bare Debian that it is a copy of, for reading."""

# What a person who installs Python by hand has first on PATH: another interpreter with modules of its own.
_FOREIGN = "/opt/foreign"

_ENVIRONMENT = {"HOME": "/root", "TERM": "dumb", "LANG": "C.UTF-8",
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}

# Debian's own, with what it needs beyond what every root has, but unpacked beside the system and not installed.
_MAKE_FOREIGN = r"""
set -e
apt-get -qq update
version=$(apt-cache show python3 | sed -n 's/^Version: \(3\.[0-9]*\).*/\1/p' | head -n 1)
mkdir -p /opt/foreign/debs
cd /opt/foreign/debs
apt-get -qq -o APT::Sandbox::User=root download "python$version-minimal" "libpython$version-minimal" \
    "libpython$version-stdlib" libexpat1 zlib1g
for deb in *.deb; do dpkg-deb -x "$deb" /opt/foreign; done
cd /
rm -rf /opt/foreign/debs /var/lib/apt/lists/* /var/cache/apt/*.bin
mkdir -p /opt/foreign/bin
cat >/opt/foreign/bin/python3 <<END
#!/bin/sh
LD_LIBRARY_PATH=$(find /opt/foreign -type d -name '*-linux-gnu*' -path '*lib/*' | paste -sd :)
export LD_LIBRARY_PATH
exec /opt/foreign/usr/bin/python$version "\$@"
END
chmod +x /opt/foreign/bin/python3
echo '__version__ = "0"' >"/opt/foreign/usr/lib/python$version/pexpect.py"
/opt/foreign/bin/python3 -c 'import pexpect; assert pexpect.__version__ == "0"'
"""

_VERSIONS = ("qemu-system-riscv64 --version", "gdb-multiarch --version", "riscv64-unknown-elf-gcc -dumpfullversion",
             "scripts/python --version")


class Base:
    """A bare Debian that is kept, to be copied: nothing that set-up would install is in it."""

    def __init__(self, suite: str, log: Path) -> None:
        """Made when it is not there. Raises Trouble, which names the log."""
        check_possible()
        self.suite = suite
        self.folder = BUILD / "matrix" / suite
        self.debs = self.folder / "debs"
        self.debs.mkdir(parents=True, exist_ok=True)
        with lock(self.folder):
            if not (self.folder / "base").exists():
                self._make(log)

    def _make(self, log: Path) -> None:
        new = self.folder / "new"
        _remove(new)
        with log.open("wb") as said:
            # debootstrap wants a path without blanks.
            status = run(_alone("sh", "-c", 'mount --bind "$1" /mnt && shift && exec "$@"', "sh", str(self.folder),
                                _debootstrap(), "--variant=minbase", self.suite, "/mnt/new", *_mirror()), said,
                         {**os.environ, **_proxies()})
            if status == 0:
                (new / "etc/apt/apt.conf.d/90host").write_text(_apt_configuration())
                status = run(_inside(new, self.debs, ["sh", "-c", _MAKE_FOREIGN], at="/"), said)
            if status == 0:
                status = run(_alone("mv", str(new / "opt/foreign"), str(self.folder / "foreign")), said)
        if status:
            raise Trouble(f"no root of Debian {self.suite} could be made: see {log}")
        new.rename(self.folder / "base")

    @contextlib.contextmanager
    def copy(self, foreign: bool) -> Iterator["Root"]:
        """A root of its own, with this project in it; it is gone afterwards. foreign: another python3 is first on PATH."""
        folder = Path(tempfile.mkdtemp(prefix="run-", dir=self.folder))
        try:
            root = folder / "root"
            _do("cp", "-a", "--reflink=auto", str(self.folder / "base"), str(root))
            if foreign:
                _do("cp", "-a", "--reflink=auto", str(self.folder / "foreign"), f"{root}{_FOREIGN}")
            _copy_project(Path(f"{root}{PLACE}"))
            yield Root(root, self.debs, foreign, bare=self.folder / "base")
        finally:
            _remove(folder)


class Root:
    """A Debian that commands are run in, as its root."""

    def __init__(self, folder: Path, debs: Path, foreign: bool, bare: Path) -> None:
        self._folder, self._debs, self.foreign, self._bare = folder, debs, foreign, bare

    def run(self, command: Sequence[str], said: IO[bytes]) -> int:
        """The status of a command in this project; it writes to `said`."""
        return run(_inside(self._folder, self._debs, command, foreign=self.foreign, bare=self._bare), said)

    def versions(self) -> tuple[str, ...]:
        """Of QEMU, GDB, GCC and Python; "-" for one that is not there."""
        found = []
        for line in _VERSIONS:
            with tempfile.TemporaryFile() as said:
                self.run(shlex.split(line), said)
                said.seek(0)
                match = re.search(rb"(?m)^(?:.*[^\d.])?(\d+(?:\.\d+)+)", said.readline())
            found.append(match[1].decode() if match else "-")
        return tuple(found)


def run(command: Sequence[str], said: IO[bytes], environment: Mapping[str, str] | None = None) -> int:
    """The status of a command in namespaces (`_alone`). However we leave, nothing of it runs on."""
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT, env=environment,
                               start_new_session=True)
    try:
        return process.wait()
    finally:
        if process.poll() is None:
            # The first process of the namespace, with which the kernel ends all others before it is waited for.
            first = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            for pid in [int(one) for one in first] or [process.pid]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()


def check_possible() -> None:
    """Raises Trouble: what is missing, and what to try."""
    missing = [name for name in ("debootstrap", "bwrap", "setpriv", "unshare") if _which(name) is None]
    if missing:
        raise Trouble(f"expected {', '.join(missing)} here, found none; try: scripts/setup matrix")
    tried = subprocess.run(_alone("true"), stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    if tried.returncode:
        why = (tried.stderr.strip().splitlines() or [f"status {tried.returncode}"])[-1]
        raise Trouble("expected root, or a user with namespaces and with ids of its own in /etc/subuid and /etc/subgid, "
                      f"found neither ({why}); try: sudo make matrix")


def _which(name: str) -> str | None:
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def _debootstrap() -> str:
    return _which("debootstrap") or "debootstrap"


def _alone(*command: str) -> list[str]:
    """A command as root of namespaces of its own, which end with us."""
    as_root = [] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--map-auto"]
    return [*as_root, "setpriv", "--pdeathsig", "KILL",
            "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc", *command]


def _inside(root: Path, debs: Path, command: Sequence[str], at: str = PLACE, foreign: bool = False,
            bare: Path | None = None) -> list[str]:
    """A command in a root. bare: what it finds at BARE."""
    environment = {**_ENVIRONMENT, "PATH": f"{_FOREIGN}/bin:" * foreign + _ENVIRONMENT["PATH"]}
    # Sockets of sshd's kind are not looked for: only what names are looked up with is the host's.
    names = [word for path in ("/etc/resolv.conf", "/etc/hosts") if Path(path).exists()
             for word in ("--ro-bind", os.path.realpath(path), path)]
    return _alone("bwrap", "--bind", str(root), "/", "--dev", "/dev", "--proc", "/proc", "--ro-bind", "/sys", "/sys",
                  "--tmpfs", "/run", "--bind", str(debs), "/var/cache/apt/archives", *names,
                  *(("--ro-bind", str(bare), str(BARE)) if bare else ()), "--unshare-pid", "--cap-add", "ALL",
                  "--clearenv", *(word for pair in environment.items() for word in ("--setenv", *pair)),
                  "--chdir", at, *command)


def _do(*command: str) -> None:
    """A command that only an error stops."""
    with tempfile.TemporaryFile() as said:
        if run(_alone(*command), said):
            said.seek(0)
            raise Trouble(said.read().decode(errors="replace").strip() or f"{command[0]} failed")


def _remove(folder: Path) -> None:
    """A folder whose files may be those of a root's users."""
    _do("rm", "-rf", "--one-file-system", "--", str(folder))


def _copy_project(to: Path) -> None:
    """A clone of this checkout with its files as they are now, but for those that a build made."""
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            stdin=subprocess.DEVNULL, capture_output=True)
    if listed.returncode:
        raise Trouble(f"expected a git checkout at {ROOT}, from which roots get their copy: "
                      f"{listed.stderr.decode(errors='replace').strip()}")
    _do("git", "clone", "-q", "--depth", "1", f"file://{ROOT}", str(to))
    for name in filter(None, os.fsdecode(listed.stdout).split("\0")):
        if os.path.lexists(ROOT / name):
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name, follow_symlinks=False)
        else:
            (to / name).unlink(missing_ok=True)


# What this machine's apt says: where packages come from

def _apt(*command: str) -> list[str]:
    """The lines that apt prints; none where there is no apt."""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    except FileNotFoundError:
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def _mirror() -> list[str]:
    """The mirror of Debian that this machine uses; none named where it is no Debian: debootstrap has its own."""
    told = _apt("apt-get", "indextargets", "--format", "$(ORIGIN) $(LABEL) $(REPO_URI)", "Created-By: Packages")
    return [line.split()[2] for line in told if line.startswith("Debian Debian ")][:1]


def _apt_configuration() -> str:
    """How packages are fetched from there."""
    wanted = re.compile(r"Acquire::(https?::(Proxy|CAInfo|Verify-)|Check-(Date|Valid-Until) )")
    lines = [line for line in _apt("apt-config", "dump") if wanted.match(line) and "auto-detect" not in line.lower()]
    return "".join(f"{line}\n" for line in [*(f'Acquire::{name.partition("_")[0]}::Proxy "{url}";'
                                              for name, url in _proxies().items()), *lines])


def _proxies() -> dict[str, str]:
    """By the names of their environment variables."""
    found = {}
    for scheme in ("http", "https"):
        name = f"{scheme}_proxy"
        told = _apt("apt-config", "shell", "found", f"Acquire::{scheme}::Proxy")
        url = os.environ.get(name) or (shlex.split(told[0])[0].partition("=")[2] if told else "")
        if url and url != "DIRECT":
            found[name] = url
    return found

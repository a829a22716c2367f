"""The tools that a tree is built with: ours by whatever name its Makefile calls them, with what we add to a command."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from shrimpy.kernel.macros import CROSS_PREFIXES

from .. import tools
from ..walls import sandbox

_OTHER_PREFIXES = ("riscv64-none-elf-", "riscv-none-elf-", "riscv-none-embed-", "riscv64-linux-musl-")
_COMPILERS = ("gcc", "g++", "c++", "cpp")
_BINUTILS = ("as", "ld", "ar", "nm", "objcopy", "objdump", "ranlib", "readelf", "size", "strings", "strip")

# Macros as .debug_macinfo, which DWARF 4 has and 5 has not: what GCC makes of them else are section groups, to which
# ld for RISC-V loses references.
DEBUG = ("-ggdb3", "-gdwarf-4", "-gstrict-dwarf")

# In a command's words or its folder: not the kernel's. Programs with macros would not fit on the disk.
_NOT_KERNEL = "/user/*|*/user/*|user/*|/mkfs/*|*/mkfs/*|mkfs/*"

_COMPILER = """\
#!/bin/sh
# What @REAL@ is asked for, and what is added.
kernel=yes march=
case ${PWD#"$SHRIMPY_TREE"}/ in @NOT_KERNEL@) kernel=;; esac
for word; do
  case ${word#"$SHRIMPY_TREE"} in @NOT_KERNEL@) kernel=;; -march=*) march=$word;; esac
done
[ -z "$kernel" ] || set -- "$@" @KERNEL@
@MARCH@
exec @REAL@ "$@" @ALWAYS@
"""

# Of a cross compiler for bare metal the default lacks what every kernel uses (fence.i), and so may what a Makefile says
# that is older than the extension's name.
_MARCH = '[ -n "$march@MORE@" ] && [ -z "@MORE@" ] || set -- "$@" "${march:--march=rv64gc}@MORE@"'

# What `make qemu` starts: it leaves its words, where it was started first, in a file. What is asked about is answered.
_QEMU = """\
#!/bin/sh
case " $* " in *version\\ *) echo @VERSION@; exit;; *help\\ *) exit;; esac
{ printf '%s\\0' "$PWD"; printf '%s\\0' "$@"; } >"$SHRIMPY_TREE/@SAYS@"
"""

# Whoever builds is nobody, and stays that.
_SUDO = """\
#!/bin/sh
while case $1 in -*) true;; *) false;; esac; do shift; done
exec "$@"
"""

# A raw image is all that there is where qemu-img is not installed; nobody reads what format it should have had.
_QEMU_IMG = """\
#!/bin/sh
[ "$1" = create ] || { echo "qemu-img: not installed" >&2; exit 127; }
shift
while :; do
  case $1 in -f|-o) shift 2;; -*) shift;; *) break;; esac
done
exec truncate -s "$2" "$1"
"""

SAYS = ".shrimpy-qemu"


@dataclass(frozen=True)
class Lack:
    """What a build did not find. kind: "header" (as it is included) or "tool" (without the toolchain's prefix)."""

    kind: str
    name: str


@dataclass(frozen=True)
class Toolchain:
    """A RISC-V GCC with its binutils. flags: by which it finds headers that it does not find by itself."""

    prefix: str
    flags: tuple[str, ...] = ()

    @property
    def command(self) -> str:
        return " ".join((self.prefix + "gcc", *self.flags))

    def has(self, lack: Lack) -> bool:
        """Whether it would not be lacking."""
        if lack.kind == "tool":
            return shutil.which(self.prefix + lack.name) is not None
        return any(self._includes(compiler, language, lack.name) for compiler, language in (("gcc", "c"), ("g++", "c++")))

    def _includes(self, compiler: str, language: str, header: str) -> bool:
        if not shutil.which(self.prefix + compiler):
            return False
        return not subprocess.run([self.prefix + compiler, *self.flags, "-E", "-x", language, "-"], text=True,
                                  input=f"#include <{header}>\n", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def toolchains(prefixes: Sequence[str] | None = None) -> list[Toolchain]:
    """Those that are here, the preferred one first.

    GCC for bare metal finds the headers that are GCC's own when it is told that there is no C library, and those of a C
    library where Debian has one for it; else those of Linux's, which name the same things.
    """
    found = []
    for prefix in tools.cross_prefixes() if prefixes is None else prefixes:
        found.append(Toolchain(prefix))
        if "linux" not in prefix:
            found.append(Toolchain(prefix, ("-ffreestanding",)))
            found += [Toolchain(prefix, flags) for flags in (("-isystem", f"/usr/lib/picolibc/{prefix[:-1]}/include"),
                                                             ("-idirafter", "/usr/riscv64-linux-gnu/include"))
                      if os.path.isdir(flags[-1])]
    return found


def choose(lacks: Iterable[Lack], among: Sequence[Toolchain]) -> Toolchain | None:
    """The first that has all of it."""
    lacks = tuple(lacks)
    return next((one for one in among if all(map(one.has, lacks))), None)


_HEADER = re.compile(r"fatal error: '?([\w+-][\w./+-]*?)'?(?:: No such file or directory| file not found)$", re.M)
_PREFIXES = "|".join(map(re.escape, (*CROSS_PREFIXES, *_OTHER_PREFIXES)))
_TOOL = re.compile(rf"(?:{_PREFIXES})([\w+-]+): (?:not found|command not found|No such file or directory)$", re.M)


def lacking(said: str) -> list[Lack]:
    """The headers and tools that a build says are not there."""
    return [Lack(kind, name) for kind, pattern in (("header", _HEADER), ("tool", _TOOL))
            for name in dict.fromkeys(pattern.findall(said)) if ".." not in name]


# C11, 7.1.2, and of POSIX what programs that know no system include.
_C_HEADERS = frozenset("""assert complex ctype errno fenv float inttypes iso646 limits locale math setjmp signal stdalign stdarg
    stdatomic stdbool stddef stdint stdio stdlib stdnoreturn string strings tgmath threads time uchar unistd wchar wctype
    fcntl endian getopt malloc memory poll pthread search termios ucontext utime values""".split())


def package_of(lack: Lack) -> str | None:
    """The packages of Debian that bring it, for a person; None when it is no standard library's or toolchain's."""
    if lack.kind == "tool":
        return "gcc-riscv64-unknown-elf" if lack.name in _COMPILERS else \
            "binutils-riscv64-unknown-elf" if lack.name in _BINUTILS else None
    stem, dot, _ = lack.name.partition(".h")
    if stem in _C_HEADERS and dot or re.fullmatch(r"(sys|bits|machine)/\w+\.h", lack.name):
        return "picolibc-riscv64-unknown-elf or libc6-dev-riscv64-cross"
    return "g++-riscv64-linux-gnu" if re.fullmatch("[a-z_]+", lack.name) else None


@contextlib.contextmanager
def standing_in(always: Sequence[str] = (), kernel: Sequence[str] = (), extensions: Sequence[str] = (),
                toolchain: Toolchain | None = None) -> Iterator[Path]:
    """A folder for the front of PATH.

    Compilers add flags there, so that a Makefile need not ask for any: always to every command, kernel to those on the
    kernel's sources; extensions of the instruction set to what -march says, or should. A cross tool of a prefix that is
    not installed is the preferred toolchain's; with a toolchain, all are that one's. QEMU only leaves what it was told in SAYS.
    Their environment needs SHRIMPY_TREE, the tree's folder.
    """
    with tempfile.TemporaryDirectory(prefix="shrimpy-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # for whoever builds
        ours = toolchain.prefix if toolchain else tools.cross_prefix()
        flags = toolchain.flags if toolchain else ()
        for prefix in dict.fromkeys((ours, *CROSS_PREFIXES, *_OTHER_PREFIXES)):
            for tool in (*_COMPILERS, *_BINUTILS):
                there = None if toolchain else _found(prefix + tool)
                real = there or _found(ours + tool)
                if real and tool in _COMPILERS:
                    _write(folder / (prefix + tool), _compiler(real, [*always, *flags], kernel if tool != "cpp" else (), extensions))
                elif real and not there:
                    _write(folder / (prefix + tool), f'#!/bin/sh\nexec {shlex.quote(real)} "$@"\n')
        for tool in ("cc", "gcc", "g++", "c++"):
            if always and (real := _found(tool)):
                _write(folder / tool, _compiler(real, always))
        _write(folder / "qemu-system-riscv64", _QEMU.replace("@VERSION@", shlex.quote(tools.qemu_says())).replace("@SAYS@", SAYS))
        _write(folder / "sudo", _SUDO)
        if not shutil.which("qemu-img"):
            _write(folder / "qemu-img", _QEMU_IMG)
        yield folder


def _found(name: str) -> str | None:
    """A tool's path as the sandbox has it, where a link in a folder of somebody's home is not."""
    path = shutil.which(name)
    return path if path is None or os.path.dirname(path) in sandbox.tool_path().split(":") else os.path.realpath(path)


def _compiler(real: str, always: Sequence[str], kernel: Sequence[str] = (), extensions: Sequence[str] | None = None) -> str:
    """extensions: None for the host's."""
    more = "".join(f"_{one}" for one in extensions or ())
    words = {"@MARCH@": "" if extensions is None else _MARCH.replace("@MORE@", more), "@REAL@": shlex.quote(real),
             "@NOT_KERNEL@": _NOT_KERNEL, "@ALWAYS@": shlex.join(always), "@KERNEL@": shlex.join(kernel)}
    text = _COMPILER
    for word, value in words.items():
        text = text.replace(word, value)
    return text


def _write(path: Path, script: str) -> None:
    path.write_text(script)
    path.chmod(0o755)


def is_absent(path: str) -> bool:
    """Whether path is an absolute name of a tool that is not there, and we have by another."""
    return os.path.isabs(path) and not os.access(path, os.X_OK)

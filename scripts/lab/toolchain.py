"""The tools that a tree is built with: ours by whatever name its Makefile calls them, with what we add to a command."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from shrimpy.macros import CROSS_PREFIXES

from . import tools

_OTHER_PREFIXES = ("riscv64-none-elf-", "riscv-none-elf-", "riscv-none-embed-", "riscv64-linux-musl-")
_COMPILERS = ("gcc", "g++", "cpp")
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
case " $* " in *version\\ *) echo "QEMU emulator version @VERSION@"; exit;; *help\\ *) exit;; esac
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


@contextlib.contextmanager
def standing_in(always: Sequence[str] = (), kernel: Sequence[str] = (), extensions: Sequence[str] = ()) -> Iterator[Path]:
    """A folder for the front of PATH.

    Compilers add flags there, so that a Makefile need not ask for any: always to every command, kernel to those on the
    kernel's sources; extensions of the instruction set to what -march says, or should. A cross tool of a prefix that is not installed is ours. QEMU only leaves what it was told in SAYS.
    Their environment needs SHRIMPY_TREE, the tree's folder.
    """
    with tempfile.TemporaryDirectory(prefix="shrimpy-") as name:
        folder = Path(name)
        folder.chmod(0o755)  # for whoever builds
        ours = tools.cross_prefix()
        for prefix in dict.fromkeys((ours, *CROSS_PREFIXES, *_OTHER_PREFIXES)):
            for tool in (*_COMPILERS, *_BINUTILS):
                there = shutil.which(prefix + tool)
                real = there or shutil.which(ours + tool)
                if real and tool in _COMPILERS:
                    _write(folder / (prefix + tool), _compiler(real, always, kernel if tool != "cpp" else (), extensions))
                elif real and not there:
                    _write(folder / (prefix + tool), f'#!/bin/sh\nexec {shlex.quote(real)} "$@"\n')
        for tool in ("cc", "gcc", "g++", "c++"):
            if always and (real := shutil.which(tool)):
                _write(folder / tool, _compiler(real, always))
        version = ".".join(map(str, tools.qemu_version()))
        _write(folder / "qemu-system-riscv64", _QEMU.replace("@VERSION@", version).replace("@SAYS@", SAYS))
        _write(folder / "sudo", _SUDO)
        if not shutil.which("qemu-img"):
            _write(folder / "qemu-img", _QEMU_IMG)
        yield folder


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

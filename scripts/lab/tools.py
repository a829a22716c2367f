"""Which qemu, gdb and cross tools there are. scripts/tools.tsv says how to get them."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess

from shrimpy.kernel.macros import CROSS_PREFIXES

from . import ROOT, Trouble

_TOOLS = ("gcc", "as", "ld", "objcopy")
OLDEST_QEMU = (6, 2)


def cross_prefixes() -> list[str]:
    """What stands before gcc of each RISC-V toolchain that is here with its binutils, the preferred one first."""
    return [prefix for prefix in CROSS_PREFIXES if all(shutil.which(prefix + tool) for tool in _TOOLS)]


def cross_prefix() -> str:
    """The preferred one of cross_prefixes(). Raises Trouble when there is none."""
    found = cross_prefixes()
    if not found:
        raise Trouble("no RISC-V GCC with its binutils found: run scripts/setup run")
    return found[0]


@functools.cache
def qemu(oldest: tuple[int, int] = OLDEST_QEMU) -> str:
    """QEMU's path: $QEMU, or the one on PATH. oldest: the first version that will do."""
    name = os.environ.get("QEMU") or "qemu-system-riscv64"
    path = shutil.which(name)
    if path is None:
        raise Trouble(f"{name} not found: run scripts/setup, or set QEMU")
    version = _version(path)
    if version and version < oldest:
        for_whom = "" if oldest == OLDEST_QEMU else " by this kernel's timer (the Sstc extension)"
        raise Trouble(f"{path} is version {version[0]}.{version[1]}: {oldest[0]}.{oldest[1]} or later is needed{for_whom}")
    return path


@functools.cache
def _told(qemu_path: str) -> str:
    return subprocess.run([qemu_path, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout


def _version(qemu_path: str) -> tuple[int, int] | None:
    match = re.search(r"version (\d+)\.(\d+)", _told(qemu_path))
    return (int(match[1]), int(match[2])) if match else None


def qemu_version() -> tuple[int, int]:
    """Of the QEMU that machines are started with, the first two numbers; the oldest that will do where it does not say."""
    return _version(qemu()) or OLDEST_QEMU


def qemu_says() -> str:
    """What the QEMU that machines are started with says that it is, packager's words and all."""
    return _told(qemu()).partition("\n")[0]


@functools.cache
def qemu_sandbox() -> tuple[str, ...]:
    """Options by which QEMU gives up what a machine never needs: to run programs, to change who it is. Empty for a QEMU
    that was built without seccomp."""
    options = ("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
    tried = subprocess.run([qemu(), *options, "-machine", "help"], stdin=subprocess.DEVNULL, capture_output=True)
    return options if tried.returncode == 0 else ()


@functools.cache
def _gdbs() -> list[str]:
    """The usual names of GDB, the preferred one first: the probe of the one row of tools.tsv that is for debugging."""
    rows = (line.split("\t") for line in (ROOT / "scripts/tools.tsv").read_text(encoding="utf-8").splitlines())
    return [name.removeprefix("riscv:") for row in rows if row[0] == "debug" for name in row[1].split("|")]


@functools.cache
def gdb() -> str:
    """The path of a GDB that knows RISC-V and has Python: $GDB, or one of the usual names."""
    wanted = os.environ.get("GDB")
    names = [wanted] if wanted else _gdbs()
    without_python = None
    for name in names:
        path = shutil.which(name)
        if path is None:
            continue
        told = subprocess.run([path, "-nx", "-batch", "-ex", "set architecture riscv:rv64",
                               "-ex", "python print('has' + ' python')"],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if 'set to "riscv:rv64"' not in told.stdout:
            continue
        if "has python" in told.stdout:
            return path
        without_python = path
    if without_python:
        raise Trouble(f"{without_python} was built without Python, which the kit needs: "
                      "install another one, or set GDB to it; make doctor says which are here")
    raise Trouble(f"no GDB that knows RISC-V ({', '.join(names)}): run scripts/setup, or set GDB")

"""What make lint runs: each tool on what it can judge, side by side, and not again on what was clean.

One finding is let pass by a comment on its line, with the reason; a kind of finding here or in pyproject.toml, with the
reason.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import importlib
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shrimpy import files

from .. import BUILD, ROOT, tools
from . import layout

FOLDER = BUILD / "lint"


@dataclass(frozen=True)
class Job:
    """One run of a tool.

    tool     its name in TOOLS
    version  what tells this version of it from others
    names    files that it looks at, below ROOT; each that was clean is left out the next time
    reads    other files on which it depends what is found
    find     what it says of some of them, "" for nothing
    """

    tool: str
    version: str
    names: Sequence[str]
    reads: Sequence[str]
    find: Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class Report:
    """found: what all tools said. absent: programs that are not there. times: for a person."""

    found: str
    absent: Sequence[str]
    times: str


class Absent(Exception):
    """A program is not there."""


def run(wanted: Iterable[str]) -> Report:
    """Runs these tools. Raises OSError where what is clean cannot be remembered."""
    jobs, absent = [], []
    for name in wanted:
        try:
            jobs += list(_JOBS[name]())
        except Absent as missing:
            absent.append(str(missing))
    known = _Known()
    seconds: dict[str, float] = {}
    n_looked = 0

    def do(job: Job) -> str:
        nonlocal n_looked
        keys = known.keys(job)
        dirty = [name for name in job.names if keys[name] not in known.clean[job.tool]]
        if not dirty:
            return ""
        start = time.monotonic()
        said = job.find(dirty)
        seconds[job.tool] = seconds.get(job.tool, 0) + time.monotonic() - start
        n_looked += len(dirty)
        if not said:
            known.clean[job.tool] |= {keys[name] for name in dirty}
        return said

    start = time.monotonic()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = "".join(pool.map(do, jobs))
    known.save()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in used)
    each = ", ".join(f"{name} {took:.1f}" for name, took in seconds.items())
    times = f"{n_looked} of {sum(len(job.names) for job in jobs)} looked at, {time.monotonic() - start:.1f} s, " \
            f"{cpu:.1f} s of CPU{': ' + each if each else ''}"
    return Report(found, absent, times)


class _Known:
    """What was clean, of each tool: a digest of each file with all on which it depends what a tool finds in it."""

    def __init__(self) -> None:
        self._path = FOLDER / "clean.json"
        self._contents: dict[str, bytes] = {}
        self._asked: dict[str, set[str]] = {}
        self._before: dict[str, list[str]] = {}
        with contextlib.suppress(OSError, ValueError):
            self._before = json.loads(self._path.read_text())
        self.clean: dict[str, set[str]] = {tool: set(self._before.get(tool, ())) for tool in TOOLS}

    def keys(self, job: Job) -> Mapping[str, str]:
        """A digest for each of a job's names."""
        shared = hashlib.sha256()
        # This file and the settings have the tools' options.
        for part in (job.tool, job.version, *job.reads, *_SETTINGS):
            shared.update(self._content(part) if part in job.reads or part in _SETTINGS else part.encode())
        found = {}
        for name in job.names:
            one = shared.copy()
            one.update(name.encode() + b"\0" + self._content(name))
            found[name] = one.hexdigest()
        self._asked.setdefault(job.tool, set()).update(found.values())
        return found

    def save(self) -> None:
        """What was asked for now is kept, and what other tools know."""
        kept = {tool: sorted(clean & self._asked[tool] if tool in self._asked else clean) for tool, clean in self.clean.items()}
        if kept != self._before:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            files.write(str(self._path), json.dumps(kept))

    def _content(self, name: str) -> bytes:
        if name not in self._contents:
            self._contents[name] = (ROOT / name).read_bytes()
        return self._contents[name]


_SETTINGS = ("pyproject.toml", ".clang-format", "scripts/lab/upkeep/linting.py", "scripts/lab/upkeep/layout.py")


def _names(*patterns: str) -> list[str]:
    """The files of this checkout that match."""
    return sorted(str(path.relative_to(ROOT)) for pattern in patterns for path in ROOT.glob(pattern))


def _scripts(first: str) -> list[str]:
    """The files in scripts/ without a suffix that begin so."""
    return [name for name in _names("scripts/*") if not Path(name).suffix and (ROOT / name).is_file()
            and (ROOT / name).read_text().startswith(first)]


def _python() -> list[str]:
    return _names("gdb/**/*.py", "viz/**/*.py", "scripts/**/*.py", "tests/**/*.py") + _scripts("#!/bin/sh\n''''exec")


def _need(*programs: str) -> str:
    """The first of these programs that is there."""
    found = next((one for one in programs if shutil.which(one)), None)
    if found is None:
        raise Absent(programs[0])
    return found


def _version(program: str) -> str:
    return _say([program, "--version"])


def _say(command: Sequence[str], errors: int = subprocess.STDOUT) -> str:
    """All that a command prints, run at the top of this checkout, with names from there."""
    said = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                          env={**os.environ, "LC_ALL": "C.UTF-8"}).stdout.decode(errors="replace")
    return said.replace(f"{ROOT}/", "")


_POSIX = "xv6/user/posix"
_SOURCES = ("xv6/*/*.c", f"{_POSIX}/**/*.c")
_INCLUDES = ("xv6/kernel/*.h", "xv6/user/*.h", f"{_POSIX}/**/*.h")

# -missing-field-initializers: what is left out is zero, in tables of tests on purpose.
# -unused-parameter: main and functions of one type in a table take what they may not need.
_GCC = ("-O2 -Ixv6 -Wall -Wextra -Wshadow -Wundef -Wstrict-prototypes -Wold-style-definition -Wpointer-arith -Wcast-qual "
        "-Wvla -Wlogical-op -Wduplicated-cond -Wduplicated-branches -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough=5 "
        "-Wredundant-decls -Wno-missing-field-initializers -Wno-unused-parameter -c -o /dev/null").split()
_TARGET = "-std=gnu11 -march=rv64gc -mcmodel=medany -ffreestanding -fno-builtin -fno-common -fno-pie".split()


def _gcc() -> Iterator[Job]:
    prefix = next(iter(tools.cross_prefixes()), None)
    if prefix is None:
        raise Absent("riscv64-unknown-elf-gcc")
    host = _need("gcc", "cc")
    for folder, command in (("kernel", [prefix + "gcc", *_TARGET, *_GCC]),
                            # Programs cast away the volatile of the shared pages, and test what constants do.
                            ("user", [prefix + "gcc", *_TARGET, *_GCC, "-Wno-cast-qual"]),
                            # C's string functions take const away.
                            ("user/posix/**", [prefix + "gcc", *_TARGET, *_GCC, "-Wno-cast-qual", f"-I{_POSIX}/include"]),
                            ("mkfs", [host, *_GCC])):
        yield from _each_file(folder, "gcc", command, [])


def _each_file(folder: str, tool: str, before: list[str], after: list[str], errors: int = subprocess.STDOUT) -> Iterator[Job]:
    """A job for each C file of a folder in xv6/: a command with its name in it."""
    version = _version(before[0])
    for name in _names(f"xv6/{folder}/*.c"):
        yield Job(tool, version, [name], _names(*_INCLUDES), lambda names: _say([*before, *names, *after], errors))


# variableScope: a function's variables stand at its top where that reads better.
# shadowFunction: the names of system calls are good names for variables, too.
# constVariable, constVariablePointer, constParameterPointer (since 2.11): const where nothing is written is a matter of
#     taste.
# normalCheckLevelMaxBranches (since 2.12): it says of files that it did not look at every branch of them.
# incorrectStringBooleanError: CHECK(!"what") fails, and says what.
# nullPointerOutOfMemory: usertests are killed then, as they say.
# syntaxError (since 2.17): of a variable that is a register, register long a0 asm("a0").
_CPPCHECK_OFF = ("variableScope", "shadowFunction", "constVariable", "constVariablePointer", "constParameterPointer",
                 "normalCheckLevelMaxBranches", "incorrectStringBooleanError", "nullPointerOutOfMemory",
                 "syntaxError:xv6/user/tests_args.c")


def _cppcheck() -> Iterator[Job]:
    program, names = _need("cppcheck"), _names(*_SOURCES)
    command = [program, "--enable=warning,style,performance,portability", "--std=c11", "--platform=unix64", "--inline-suppr",
               "-Ixv6", f"-I{_POSIX}/include", "--quiet", *(f"--suppress={one}" for one in _CPPCHECK_OFF),
               "--template={file}:{line}: {severity}: {message} [{id}]", "xv6/kernel", "xv6/user", "xv6/mkfs"]
    yield Job("cppcheck", _version(program), names, names + _names(*_INCLUDES), lambda _: _say(command))


# insecureAPI: memmove and its like are what C has. valist: it does not see va_start through a pointer.
# bugprone: arguments of one type, widening products of small numbers, macros of names, equal cases side by side; of Debian
# 13's: an assignment in a condition, which has its own parentheses here, and sleep()'s channel, which is any address.
_TIDY = ",".join(("-*", "clang-analyzer-*", "-clang-analyzer-security.insecureAPI.*", "-clang-analyzer-valist.*", "bugprone-*",
                  "-bugprone-easily-swappable-parameters", "-bugprone-narrowing-conversions",
                  "-bugprone-implicit-widening-of-multiplication-result", "-bugprone-macro-parentheses",
                  "-bugprone-branch-clone", "-bugprone-assignment-in-if-condition",
                  "-bugprone-multi-level-implicit-pointer-conversion"))


def _clang_tidy() -> Iterator[Job]:
    before = [_need("clang-tidy"), "--quiet", f"--checks={_TIDY}"]
    # It counts on standard error what it does not print.
    yield from _each_file("kernel", "clang-tidy", before,
                          ["--", "--target=riscv64-unknown-elf", "-march=rv64gc", "-mcmodel=medany", "-std=gnu11", "-ffreestanding",
                           "-fno-builtin", "-nostdlibinc", "-Ixv6"], subprocess.DEVNULL)
    yield from _each_file("mkfs", "clang-tidy", before, ["--", "-Ixv6"], subprocess.DEVNULL)


def _clang_format() -> Iterator[Job]:
    program = _need("clang-format")
    yield Job("clang-format", _version(program), _names(*_SOURCES, *_INCLUDES), [],
              lambda names: "".join(layout.findings(program, ROOT, names)))


def _shellcheck() -> Iterator[Job]:
    program = _need("shellcheck")
    names = [*(name for name in _scripts("#!/bin/sh\n") if name not in _python()), "scripts/probe.sh", ".ci/run",
             "scripts/course/setup.sh", "scripts/course/run_autograder"]
    # SC2086: words of a list are to be split. SC1091: it asks to be told where the file is that is read in.
    # SC2154, SC2034: variables that the file that is read in sets, or takes.
    yield Job("shellcheck", _version(program), names, [],
              lambda dirty: _say([program, "--shell=sh", "--format=gcc", "--exclude=SC2086,SC1091,SC2154,SC2034", *dirty]))


def _ruff() -> Iterator[Job]:
    """ruff, or flake8 with as many of the same rules as it has where there is no ruff, as in Debian."""
    names = _python()
    program = _need("flake8", "ruff") if not shutil.which("ruff") else "ruff"
    command = ["ruff", "check", "--quiet", "--output-format=concise", "--cache-dir", str(FOLDER / "ruff")]
    if program == "flake8":
        command = ["flake8", "--isolated", *flake8_options((ROOT / "pyproject.toml").read_text())]
    yield Job("ruff", _version(program), names, [], lambda dirty: _say([*command, *dirty]))


def flake8_options(settings: str) -> list[str]:
    """Those that say what pyproject.toml says to ruff. B, C4 and the like flake8 has in no package of Debian's."""
    lint = _toml(settings)["tool"]["ruff"]["lint"]
    ours = [code for code in lint["select"] if re.match(r"[EFW]\d*$", code)]
    return [f"--select={','.join(ours)}", f"--extend-ignore={','.join(lint['ignore'])}",
            f"--max-line-length={lint['pycodestyle']['max-line-length']}",
            "--per-file-ignores=" + " ".join(f"{name}:{','.join(codes)}" for name, codes in lint["per-file-ignores"].items())]


def _toml(text: str) -> Any:
    # Before Python 3.11 mypy brings the same.
    return importlib.import_module("tomllib" if sys.version_info >= (3, 11) else "tomli").loads(text)


def _mypy() -> Iterator[Job]:
    program, stubs = _need("mypy"), _names("typings/**/*.pyi", "gdb/**/*.pyi")
    names = [name for name in _python() if name + "i" not in stubs]
    yield Job("mypy", _version(program), names, names + stubs,
              lambda _: _say([program, "--no-error-summary", "--cache-dir", str(FOLDER / "mypy"), *names]))


OLDEST_IN_GDB = (3, 8)
"""The oldest Python that the kit is written for: a GDB may have been built with another one than scripts/python."""


def _syntax() -> Iterator[Job]:
    def find(names: Sequence[str]) -> str:
        said = ""
        for name in names:
            try:
                ast.parse((ROOT / name).read_text(), name, feature_version=OLDEST_IN_GDB)
            except SyntaxError as error:
                said += f"{name}:{error.lineno}: {error.msg} (Python {'.'.join(map(str, OLDEST_IN_GDB))})\n"
        return said
    yield Job("syntax", "", _names("gdb/**/*.py"), [], find)


# Words that it takes for slips: of the field, of other programs, names in C, and a tab before a word.
_WORDS = "hart,debians,fro,gud,copyin,iput,notin,upto,sie,sxl,vas,stati,tthe"


def _codespell() -> Iterator[Job]:
    program = _need("codespell")
    names = [*_python(), *_names("*.md", "docs/*.md", "docs/*.tsv", "scripts/*.tsv", "scripts/course/*", "Makefile", *_SOURCES, *_INCLUDES),
             *_names("xv6/*/*.S", "tests/**/*.patch"), *_scripts("#!/bin/sh\n")]
    yield Job("codespell", _version(program), list(dict.fromkeys(names)), [],
              lambda dirty: _say([program, "--quiet-level=3", f"--ignore-words-list={_WORDS}", *dirty]))


# The longest first, so that none is left alone at the end.
_JOBS: Mapping[str, Callable[[], Iterator[Job]]] = {
    "mypy": _mypy, "ruff": _ruff, "cppcheck": _cppcheck, "clang-tidy": _clang_tidy, "gcc": _gcc,
    "clang-format": _clang_format, "shellcheck": _shellcheck, "codespell": _codespell, "syntax": _syntax}
TOOLS = tuple(_JOBS)

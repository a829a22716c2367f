"""A stranger's tree built as its own `make qemu` does it, in the sandbox, up to the QEMU that this would start."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import NotBuilt
from ..patience import share
from ..tools import cross_prefix
from ..walls import sandbox
from .copying import remove_products
from .toolchain import DEBUG, SAYS, Lack, Toolchain, choose, is_absent, lacking, package_of, standing_in, toolchains

MAKEFILES = ("GNUmakefile", "makefile", "Makefile")  # in make's order
_USUAL = ("kernel/kernel", "fs.img")
# What starts QEMU in a tree, by the names that trees have for it; else what is built.
_GOALS = (("qemu",), ("run",), ("qemu-nox",), ("run-qemu",), _USUAL, ("all",))
_QCOW = b"QFI\xfb"
_QEMU_BY_PATH = re.compile(r"/qemu-system-riscv64: (not found|No such file or directory)$", re.M)
_EXTENSION = re.compile(r"\bextension `(z\w+)' required")
_DRY_S = 30.0  # of reading a Makefile, which may have anything computed; a build has what is left of sandbox.LIMITS, twice
_MOST_ROUNDS = 4
_WHOLE = "--eval=.DELETE_ON_ERROR:"  # what a command leaves half made the next round would take for made
_MOST_STAND_INS = 60
_NEEDED = ("init", "sh")

# What a student's own slip earns from any compiler; other warnings may be news to an old tree.
_SLIPS = frozenset(("format", "implicit-function-declaration", "implicit-int", "incompatible-pointer-types",
                    "int-conversion", "return-type", "unused-function", "unused-variable"))


@dataclass(frozen=True)
class Unbuilt:
    """A file of the disk that could not be made. why: the build's line that says so."""

    name: str
    why: str


@dataclass(frozen=True)
class Built:
    """What came of a tree.

    qemu     what its Makefile tells QEMU, each word, or None when it tells nothing; where: the folder it starts QEMU in
    unbuilt  what is an empty file on the disk because it does not build
    passed   warnings that were let pass
    instead  the toolchain that built it because the preferred one lacks something, and what that is
    log      all that the build said
    """

    qemu: tuple[str, ...] | None
    where: Path
    unbuilt: tuple[Unbuilt, ...]
    passed: tuple[str, ...]
    log: str
    instead: tuple[Toolchain, tuple[Lack, ...]] | None = None


def build(copy: Path, folder: Path, name: str) -> Built:
    """Builds the tree in copy, whose Makefile is in folder. name: for a person. Raises NotBuilt."""
    return _Build(copy, folder, name).run()


def make(copy: Path, folder: Path, goal: str) -> bool:
    """Whether the Makefile in folder, which was built there, makes one more file."""
    done = _Build(copy, folder, "").once((goal,), 1)
    return not done.status and not done.overrun


def raw(copy: Path, image: Path) -> Path:
    """A disk image as raw bytes: itself, or what qemu-img makes of it, in the sandbox."""
    with image.open("rb") as file:
        if file.read(4) != _QCOW:
            return image
    flat = image.with_name(image.name + ".shrimpy-raw")
    done = sandbox.run(["qemu-img", "convert", "-O", "raw", str(image), str(flat)], copy)
    if done.status or not flat.is_file():
        raise NotBuilt(f"its disk {image.name} is qcow2, and qemu-img (scripts/setup mark) does not read it: "
                       f"{first_error(done.output)}", done.output)
    return flat


def take_stand_ins_away(copy: Path) -> None:
    """Before new sources come into a copy: what they stand for may build by now, or be there."""
    for name in _read(_memory_of(copy)).get("stand_ins", []):
        (copy / name).unlink(missing_ok=True)


def forget(copy: Path) -> None:
    """Removes what is remembered of the builds of a copy."""
    _memory_of(copy).unlink(missing_ok=True)


def _memory_of(copy: Path) -> Path:
    return copy.with_name(copy.name + ".built")


class _Build:
    def __init__(self, copy: Path, folder: Path, name: str) -> None:
        self._copy, self._folder, self._name = copy, folder, name
        self._memory = _memory_of(copy)
        last = _read(self._memory)
        # What needed them may be built already.
        self._passed: list[str] = last.get("passed", [])
        self._extensions: list[str] = last.get("extensions", [])
        self._debug: Sequence[str] = () if last.get("plain") else DEBUG
        self._stand_ins: list[str] = []
        self._left_s = 2 * sandbox.LIMITS.seconds  # of an idle host's time, for all that is run
        self._lacks = [Lack(*one) for one in last.get("lacks", [])]
        # None: the preferred one.
        self._toolchain = choose(self._lacks, toolchains()) if self._lacks else None
        self._lacks = self._lacks if self._toolchain else []
        self._named = self._named_by_path()

    def run(self) -> Built:
        self._memory.unlink(missing_ok=True)
        goal, done = self._first_goal()
        while done.status and not done.overrun and self._has_another_toolchain(done.output):
            remove_products(self._copy)
            goal, done = self._first_goal()
        unbuilt: tuple[Unbuilt, ...] = ()
        if done.status and not done.overrun:
            unbuilt, done = self._without_what_fails(goal, done)
        if done.status and not done.overrun and self._debug and not _ERRORS[0].search(done.output):
            # What we add must not be what breaks it: programs may be too large with it.
            remove_products(self._copy)
            self._debug = ()
            plain = self._make(goal)
            done = done if plain.status else plain
        if done.status or done.overrun:
            for name in self._stand_ins:
                (self._folder / name).unlink(missing_ok=True)
            raise not_built(self._name, done.output, done.overrun, self._missing_submodules())
        words, where = self._told(goal)
        if words and self._lacks_kernel(words, where):
            # Its `make qemu` only starts what another make has made.
            for first in ((words[words.index("-kernel") + 1],), ("all",), ()):
                if not self._make(first).status and not self._lacks_kernel(words, where):
                    done = self._make(goal)
                    break
        self._memory.write_text(json.dumps({"lacks": [(one.kind, one.name) for one in self._lacks], "passed": self._passed,
                                            "extensions": self._extensions, "plain": not self._debug,
                                            "stand_ins": [str((self._folder / name).relative_to(self._copy)) for name in self._stand_ins]}))
        return Built(words, where, unbuilt, tuple(self._passed), done.output,
                     (self._toolchain, tuple(self._lacks)) if self._toolchain else None)

    def _has_another_toolchain(self, said: str) -> bool:
        """Whether one is here that has what the build lacked, and has not been tried; then that is taken from now on."""
        more = [one for one in lacking(said) if one not in self._lacks]
        here = toolchains()
        other = choose([*self._lacks, *more], here) if more else None
        if other in (None, self._toolchain or here[0]):
            return False
        self._lacks += more
        self._toolchain = other
        return True

    def _first_goal(self) -> tuple[tuple[str, ...], sandbox.Done]:
        for goal in _GOALS:
            done = self._make(goal)
            if not re.search(r"No rule to make target '(%s)'\.  Stop" % "|".join(map(re.escape, goal)), done.output):
                return goal, done
        return (), self._make(())

    def _make(self, goal: Sequence[str], *options: str) -> sandbox.Done:
        """Makes goal. Errors that are only a newer compiler's warnings are let pass."""
        jobs = sandbox.JOBS
        while True:
            done = self.once(goal, jobs, *options)
            if _QEMU_BY_PATH.search(done.output):
                done = dataclasses.replace(done, status=0)  # all that it needs is there
            if not done.status or done.overrun:
                return done
            if more := set(_EXTENSION.findall(done.output)) - set(self._extensions):
                self._extensions += sorted(more)
                continue
            # A compiler stops at the first file it rejects, so names come one by one.
            said = set(re.findall(r"\berror: .*\[-W(?:error=)?([a-z0-9+-]+)=?[0-9]*\]", done.output))
            names = said - _SLIPS - {"error"} - set(self._passed)
            if not names and (jobs == 1 or options):
                return done
            if not names:
                jobs = 1  # some Makefiles are only fit for that
            self._passed += sorted(names)

    def once(self, goal: Sequence[str], jobs: int, *options: str) -> sandbox.Done:
        (self._copy / SAYS).unlink(missing_ok=True)
        for path in (self._folder / name for name in self._stand_ins):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        kept = [word for name in self._stand_ins for word in ("-o", name)]
        variables = [f"TOOLPREFIX={self._toolchain.prefix if self._toolchain else cross_prefix()}", "QEMU=qemu-system-riscv64",
                     *self._named]
        with standing_in([f"-Wno-error={one}" for one in self._passed], self._debug, self._extensions,
                         self._toolchain) as tools_folder:
            start = time.monotonic()
            done = run_make(self._copy, self._folder, "--output-sync=target", _WHOLE, f"-j{jobs}", *options, *kept, *variables, *goal,
                            tools=tools_folder, limit_s=max(1.0, min(sandbox.LIMITS.seconds, self._left_s)))
            self._left_s -= (time.monotonic() - start) * share()
            return done

    def _named_by_path(self) -> list[str]:
        """Variables that name a tool of another machine by its path, given the name alone."""
        said = run_make(self._copy, self._folder, "-npq", limit_s=_DRY_S)
        if said.overrun:
            raise NotBuilt(f"{self._name} does not build: to read its Makefile {said.overrun}", said.output)
        found = re.findall(r"^(\w+) :?:?= (/\S*?(?:riscv\S*-(?:\w+|g\+\+)?|qemu-system-riscv64))$", said.output, re.M)
        return [f"{name}={value.rpartition('/')[2]}" for name, value in found
                if is_absent(value if not value.endswith("-") else value + "gcc")]

    # What does not build

    def _without_what_fails(self, goal: Sequence[str], first: sandbox.Done) -> tuple[tuple[Unbuilt, ...], sandbox.Done]:
        """Once more, with an empty file for each file of the disk that cannot be made, if the kernel can."""
        unbuilt: list[Unbuilt] = []
        done = first
        for _ in range(_MOST_ROUNDS):
            dry = self.once(goal, 1, "-n", "-k")
            if not self._stand_ins and self._kernel_fails(dry.output):
                return (), first
            whole = self._make(goal, "-k")
            missing = [name for name in self._missing_of_disk(whole.output, dry.output) if name not in self._stand_ins]
            if any(name.rpartition("/")[2].lstrip("_") in _NEEDED for name in missing):
                return (), first  # nothing could be run
            if not missing or len(self._stand_ins) + len(missing) > _MOST_STAND_INS:
                return tuple(unbuilt), first
            unbuilt += (Unbuilt(name, _with_package(_error_about(name, whole.output))) for name in missing)
            self._stand_ins += missing
            done = self._make(goal)
            if not done.status:
                return tuple(unbuilt), sandbox.Done(0, first.output + done.output)
        return tuple(unbuilt), first

    def _missing_of_disk(self, said: str, would: str) -> list[str]:
        """Of the files that the disk is made from, those that are not there when all that can be made is."""
        found = [name for name, whose in re.findall(r"No rule to make target '([^']+)', needed by '([^']+)'", said)
                 if whose.endswith(".img")]
        for line in _commands(would):
            words = _words(line)
            if any(word.endswith(".img") for word in words[1:]) and "-kernel" not in words:
                found += [word for word in words[1:] if re.fullmatch(r"[\w.+-]+(/[\w.+-]+)+", word) and not word.endswith(".img")
                          and not (self._folder / word).exists()]
        return [name for name in dict.fromkeys(found) if _is_below(name)]

    def _kernel_fails(self, would: str) -> bool:
        line = next((line for line in map(_words, reversed(_commands(would))) if "-kernel" in line[:-1]), None)
        kernel = line[line.index("-kernel") + 1] if line else _USUAL[0]
        return bool(self.once((kernel,), 1).status)

    def _missing_submodules(self) -> tuple[str, ...]:
        """Folders that git would have filled."""
        file = self._folder / ".gitmodules"
        names = re.findall(r"^\s*path\s*=\s*(\S+)", file.read_text(errors="replace"), re.M) if file.is_file() else []
        return tuple(name for name in names if _is_below(name) and not any((self._folder / name).glob("*")))

    # What it tells QEMU

    @staticmethod
    def _lacks_kernel(words: tuple[str, ...], where: Path) -> bool:
        return "-kernel" in words[:-1] and not (where / words[words.index("-kernel") + 1]).exists()

    def _told(self, goal: Sequence[str]) -> tuple[tuple[str, ...] | None, Path]:
        says = self._copy / SAYS
        if says.is_file():
            where, *words = os.fsdecode(says.read_bytes()).split("\0")[:-1]
            return tuple(words), Path(where)
        return told_by_text(self.once(goal or ("qemu",), 1, "-n", "-B").output), self._folder


def run_make(tree: Path, folder: Path, *arguments: str, tools: Path | None = None, writable: bool = True,
             limit_s: float = _DRY_S) -> sandbox.Done:
    """make in folder, of the tree that it is in, in the sandbox. tools: a folder that comes first on PATH."""
    path = f"{tools}:{sandbox.tool_path()}" if tools else sandbox.tool_path()
    return sandbox.run(["make", "--no-print-directory", "-C", str(folder), *arguments], tree, readonly=[tools] if tools else [],
                       environment={"PATH": path, "SHRIMPY_TREE": str(tree)}, writable=writable,
                       limits=dataclasses.replace(sandbox.LIMITS, seconds=limit_s))


def makefile_in(folder: Path) -> Path | None:
    """The file that make reads there."""
    return next((folder / name for name in MAKEFILES if (folder / name).is_file()), None)


def _read(memory: Path) -> dict:
    try:
        return json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}


def told_by_text(would: str) -> tuple[str, ...] | None:
    """QEMU's words in what `make -n` prints."""
    for line in map(_words, reversed(_commands(would))):
        for at, word in enumerate(line):
            if re.fullmatch(r"(\S*/)?qemu(-system-riscv64)?", word) and "-kernel" in line[at:]:
                return tuple(line[at + 1:])
    return None


def _commands(would: str) -> list[str]:
    return re.sub(r"\\\n\s*", " ", would).splitlines()


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line) or [""]
    except ValueError:
        return [""]


def _is_below(name: str) -> bool:
    return not name.startswith("/") and ".." not in name.split("/")


# The line that says why

_COMMAND = re.compile(r"\s*(@|\S*\b(gcc|g\+\+|cc|clang|ld|ar|as|objcopy|objdump|perl|python3?|sed|mkfs|make|dd|cp|rm|mv|echo)\s+[-/.\w])")
# What no tool counts as an error, what only says where, and what only says that there was one.
_NOISE = re.compile(r"\bwarning:|\bnote:|^\s*(in file included|from) |: in function|: at top level|^\s*\d* \||"
                    r"^\S*make\S*: (entering|leaving|circular|\*\*\* waiting)|clock skew|collect2: error|"
                    r"all warnings being treated|compilation terminated|final link failed|not remade because of errors", re.I)
_ERRORS = tuple(re.compile(one, re.I) for one in (
    r":\s*(fatal |internal compiler )?error:",
    r"undefined reference|multiple definition|cannot find |relocation truncated|will not fit|overflowed by|"
    r"file format not recognized|^\S*\bld: ",
    r"missing separator|unterminated|recipe commences|\*\*\* (?!\[|no rule)",
    r"not found|no such file|permission denied|exec format error|cannot execute|bad interpreter",
    r"no rule to make target",
    r"assertion .*failed|syntax error|can't locate|^\s*[\w.]*(error|exception)\b:|segmentation fault|core dumped|killed|"
    r"no space left|file size limit",
    r"\b(error|errors|fail|failed|failure|fatal|panic|invalid|unknown|unrecogni[sz]ed)\b",
))
_STOPPED = re.compile(r"^\S*make\S*: \*\*\* \[", re.M)


def _lines(said: str) -> list[str]:
    return [line for line in said.splitlines() if line.strip()] or ["make said nothing"]


def first_error(said: str) -> str:
    """The line of what a build said that tells why it failed. It stands before make's first word that it stops."""
    stop = _STOPPED.search(said)
    before = _telling(_lines(said[:stop.start()])) if stop else []
    return _worst(before) or (before or [""])[-1].strip() or _worst(_telling(_lines(said))) or _lines(said)[-1].strip()


def _telling(lines: list[str]) -> list[str]:
    return [line for line in lines if not _NOISE.search(line) and not _COMMAND.match(line) and not _STOPPED.match(line)]


def _worst(lines: list[str]) -> str | None:
    return next((line.strip() for kind in _ERRORS for line in lines if kind.search(line)), None)


def _error_about(name: str, said: str) -> str:
    """Why a file was not made, of what a build said that went on."""
    stem = name.rpartition("/")[2].lstrip("_").partition(".")[0]
    about = [line for line in _lines(said) if re.search(rf"(\b|_){re.escape(stem)}\b", line)]
    return _worst(_telling(about)) or first_error(said)


def _with_package(line: str) -> str:
    """A build's line, and which package brings what it lacks."""
    package = next(filter(None, map(package_of, lacking(line))), None)
    return f"{line}; install {package}" if package else line


def not_built(name: str, said: str, overrun: str | None = None, submodules: Sequence[str] = ()) -> NotBuilt:
    first = f"its build {overrun}" if overrun else _with_package(first_error(said))
    if submodules:
        first = f"its git submodule {submodules[0]} is not there: run git submodule update --init in it; {first}"
    return NotBuilt(f"{name} does not build: {first}\n" + "\n".join("  | " + line for line in _lines(said)[-12:]), said)

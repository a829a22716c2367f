"""What every command of the kit is made of: a declaration of its arguments,
and one place where errors become one line."""

from __future__ import annotations

import json
import locale
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import gdb

from ..kernel import gdbinfo
from ..live import checkpoints, faults, recording, stop, writers
from ..live.programs import program_file
from ..live.session import core_path, session
from ..memory import elf, remote
from ..memory.readers import ReadError
from ..show.text import Painter, in_ascii
from ..snapshot import Process, Snapshot
from ..snapshot.regions import places
from ..step.runner import Interrupted


class Arg(NamedTuple):
    """A positional argument. kind: "pid" "table" (a pid, or "kernel") "who" (a
    pid or a name) "va" "pid or va" "pa" "file" "program" "function" or "word";
    choices: what a word may be."""

    name: str
    kind: str
    optional: bool = False
    choices: tuple[str, ...] = ()


class Opt(NamedTuple):
    """An option: `-json`, or with a value, `-o FILE`."""

    flag: str
    value: str | None = None        # the value's name in the usage line


class Bad(Exception):
    """A person's mistake: expected, found, what to try."""


class Command(gdb.Command):
    """Subclasses set `name`, `args`, `opts`, a docstring and `run`. live: it is
    for a machine that will run, which a core does not, and an empty line does
    not do it again."""

    name = ""
    args: tuple[Arg, ...] = ()
    opts: tuple[Opt, ...] = ()
    kind = gdb.COMMAND_DATA
    live = False
    repeats = False     # it is live, and says itself when an empty line does it again
    running = ""        # the name of the one that was invoked last

    def __init__(self) -> None:
        summary, _, rest = (type(self).__doc__ or "").partition("\n")
        rest = re.sub(r"(?m)^    ", "", rest).strip()
        self.__doc__ = f"{summary}\nUsage: {self.usage()}\n" + (f"\n{rest}" if rest else "")
        super().__init__(self.name, self.kind)

    def usage(self) -> str:
        words = [self.name]
        words += [f"[{o.flag} {o.value}]" if o.value else f"[{o.flag}]" for o in self.opts]
        words += [f"[{a.name}]" if a.optional else a.name for a in self.args]
        return " ".join(words)

    def run(self, given: dict[str, str]) -> None:
        """Does the work. `given` has the arguments by name, options by flag."""
        raise NotImplementedError

    def invoke(self, argument: str, _from_tty: bool) -> None:
        Command.running = self.name
        if self.live and not self.repeats:
            self.dont_repeat()
        try:
            given = self._parse(gdb.string_to_argv(argument))
            if self.live and core_path():
                raise Bad("a core does not run; for a machine that does, try: make qemu-gdb")
            self.run(given)
            if "-json" not in given:
                tell_once()
        except KNOWN_ERRORS as error:
            raise gdb.GdbError(f"{self.name}: {one_line(error)}") from None
        except Exception as error:
            if gdb.parameter("python print-stack") == "full":
                raise
            raise gdb.GdbError(f"{self.name}: internal error: {error!r}; for where, try: "
                               "set python print-stack full") from None

    def complete(self, text: str, word: str | None) -> Sequence[str] | int:
        """What TAB offers for the last word of what was typed. GDB asks twice: first, with None for the word, only
        whether files are completed, which says where a word begins; GDB 16 prints what is raised then."""
        try:
            wanted = self._wanted(gdb.string_to_argv(text) if text.strip() else [], text, word)
            if isinstance(wanted, int):
                return wanted
            return [] if word is None else [c for c in self._offered(wanted) if c.startswith(word)]
        except Exception:       # in the middle of a line that is being typed nothing can be said
            if gdb.parameter("python print-stack") == "full":
                raise
            return []

    def _wanted(self, words: list[str], text: str, word: str | None) -> Arg | Sequence[str] | int:
        """What the last word can be: one of these, or an argument; or COMPLETE_FILENAME."""
        begun = word if word is not None else "" if not text or text[-1].isspace() else words[-1]
        before = words[:-1] if begun and words else words
        values = {o.flag: o.value for o in self.opts}
        if before and values.get(before[-1]) == "FILE":
            return gdb.COMPLETE_FILENAME
        flags = [o.flag for o in self.opts]
        done = sum(1 for at, w in enumerate(before)
                   if w not in flags and not (at and values.get(before[at - 1])))
        # GDB takes "-" for the start of a new word, if it does not complete files.
        if flags and (text.endswith("-" + begun) or word is None and begun.startswith("-")):
            return [f[1:] for f in flags]
        if done >= len(self.args):
            return []
        wanted = self.args[done]
        return gdb.COMPLETE_FILENAME if wanted.kind == "file" else wanted

    @staticmethod
    def _offered(wanted: Arg | Sequence[str]) -> list[str]:
        if not isinstance(wanted, Arg):
            return list(wanted)
        offered = candidates(wanted)
        if wanted.kind.endswith("va"):  # FRY or fry, as `virtual` has it
            offered += [c.upper() for c in offered]
        return offered

    def _parse(self, words: list[str]) -> dict[str, str]:
        given: dict[str, str] = {}
        rest = list(words)
        plain = []
        known = {o.flag: o.value for o in self.opts}
        while rest:
            word = rest.pop(0)
            if word in known:
                if known[word] is None:
                    given[word] = ""
                elif not rest:
                    raise Bad(f"expected {known[word]} after {word}; usage: {self.usage()}")
                else:
                    given[word] = rest.pop(0)
            elif re.match(r"--?[a-z]", word) and "-" + word.lstrip("-") not in known:
                raise Bad(f"no option {word}; usage: {self.usage()}")
            elif word.startswith("--"):
                rest.insert(0, word[1:])
            else:
                plain.append(word)
        if plain and [a.kind for a in self.args] == ["pa"]:
            plain = [" ".join(plain)]       # an expression may have blanks
        if len(plain) > len(self.args):
            raise Bad(f"expected {self._expected()}, found {len(plain)}; usage: {self.usage()}")
        for wanted, word in zip(self.args, plain):
            given[wanted.name] = word
            if wanted.choices and word not in wanted.choices:
                raise Bad(f"expected one of {', '.join(wanted.choices)}, found {word!r}")
        missing = [a.name for a in self.args if not a.optional and a.name not in given]
        if missing:
            raise Bad(f"expected {' '.join(missing)}; usage: {self.usage()}")
        return given

    def _expected(self) -> str:
        most = len(self.args)
        return "no arguments" if most == 0 else f"at most {most} argument{'s' * (most > 1)}"


_told: set[tuple[str, str]] = set()


def tell_once() -> None:
    """What cannot be known of this kernel, a line each, once for each kernel and run of GDB."""
    taken = session.known()
    if taken is None:
        return
    for finding in taken.findings:
        if finding.kind in ("no-proc-table", "no-debug-info") and (taken.kernel, finding.text) not in _told:
            _told.add((taken.kernel, finding.text))
            gdb.write(f"note: {finding.text}\n")


KNOWN_ERRORS = (Bad, gdbinfo.NoKernel, stop.NotStopped, faults.NoTrap, recording.NotRecorded, checkpoints.NotKept, writers.NotNoted,
                Interrupted, remote.StubError, ReadError, elf.ElfError, OSError, UnicodeError, gdb.error, gdb.MemoryError)


def one_line(error: BaseException) -> str:
    """An error as one line for a person."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, UnicodeDecodeError):
        return f"expected a name in UTF-8, found {error.object!r}"
    text = " ".join(str(error).split())
    return text or type(error).__name__


def painter() -> Painter:
    """Colour, where GDB styles its own output: where it may, on a terminal
    that can. Not where what is printed is caught, by `pipe` or by
    gdb.execute(to_string=True), nor for a machine interface.

    GDB tells nobody where its output goes. While it is caught, neither lines
    nor pages have an end; where a person has set that too, only a command that
    was typed by itself is surely not caught.
    """
    return Painter(bool(gdb.parameter("style enabled")) and os.isatty(1)
                   and os.environ.get("TERM", "dumb") != "dumb" and _is_edited()
                   and (not _is_endless() or _was_typed(Command.running)))


def _is_endless() -> bool:
    return not gdb.parameter("width") and not gdb.parameter("height")


def _is_edited() -> bool:
    """Whether the lines of this user interface are typed by a person: those of MI are not."""
    return "is on" in gdb.execute("show editing", to_string=True)


def _was_typed(command: str) -> bool:
    """Whether the last line that a person typed begins with that command, or with its first letters."""
    last = gdb.execute("show commands", to_string=True).rstrip().rpartition("\n")[2].split()
    return len(last) > 1 and bool(command) and command.startswith(last[1])


def width() -> int:
    """Columns for sentences: GDB's, within what is pleasant to read."""
    return min(gdb.parameter("width") or 96, 100) - 2


def speakable(text: str) -> str:
    """The text, in ASCII where the locale's characters are not Unicode's: curses would show bytes."""
    return text if locale.nl_langinfo(locale.CODESET) == "UTF-8" else in_ascii(text)


def write_json(value: object) -> None:
    gdb.write(json.dumps(value) + "\n")


def number(word: str, what: str) -> int:
    """The value of a GDB expression. Raises Bad."""
    try:
        value = gdb.parse_and_eval(word)
        if value.type.strip_typedefs().code in (gdb.TYPE_CODE_ARRAY, gdb.TYPE_CODE_FUNC):
            value = value.address
        return int(value) & (1 << 64) - 1
    except (gdb.error, ValueError, TypeError) as error:
        raise Bad(f"expected {what}, found {word!r}: {one_line(error)}") from None


def process(word: str | None, snapshot: Snapshot) -> Process:
    """The process with the pid that `word` says; without one, the stop's own.
    Raises Bad, which lists the pids there are."""
    if word is not None:
        return with_pid(number(word, "a pid"), snapshot)
    if not snapshot.processes:
        raise Bad(_no_processes(snapshot))
    if snapshot.stop.pid is None:
        raise Bad(f"no process runs on hart {snapshot.stop.hart}; give a PID: {_pids(snapshot)}")
    return with_pid(snapshot.stop.pid, snapshot)


def with_pid(pid: int, snapshot: Snapshot) -> Process:
    """The process with that pid. Raises Bad, which lists the pids there are."""
    found = snapshot.process(pid)
    if found is None and not snapshot.processes:
        raise Bad(_no_processes(snapshot))
    if found is None:
        raise Bad(f"no process has pid {pid}; pids: {_pids(snapshot)}")
    return found


def _pids(snapshot: Snapshot) -> str:
    return ", ".join(str(p.pid) for p in snapshot.processes)


def _no_processes(snapshot: Snapshot) -> str:
    """Why no process is known, and what works all the same."""
    why = snapshot.finding("no-proc-table")
    return "there is no process yet" if why is None else f"{why.text}; \"satp\" and \"kernel\" in place of a PID work"


def virtual(word: str, snapshot: Snapshot, of: Process | None) -> int:
    """A virtual address: a region's name (its first page), or an expression."""
    layout = snapshot.layout
    named = {"fry": layout.fry, "shrimp": layout.shrimp, "trapframe": layout.trapframe,
             "trampoline": layout.trampoline}
    low = word.lower()
    at = named.get(low)
    if at is not None:
        return at
    for mapping in of.mappings if of else ():
        if mapping.region == low:
            return mapping.va
    for va, name in places(session.debuginfo()[0], layout.maxva).items():
        if name.lower() == low:
            return va
    return number(word, "a virtual address or the name of a region")


def candidates(wanted: Arg) -> list[str]:
    """What TAB offers for an argument."""
    if wanted.choices:
        return list(wanted.choices)
    if wanted.kind == "program":
        return programs()
    try:
        snapshot = session.snapshot()
    except KNOWN_ERRORS:
        return []
    pids = [str(p.pid) for p in snapshot.processes]
    regions = sorted({m.region for p in snapshot.processes for m in p.mappings} - {"other", "user"})
    offered = {"pid": pids, "table": [*pids, "kernel", "satp"], "va": regions, "pid or va": pids + regions,
               "who": sorted({*pids, *(p.name for p in snapshot.processes), *programs()})}
    if wanted.kind in offered:
        return offered[wanted.kind]
    if wanted.kind == "function":
        return _user_functions({p.name for p in snapshot.processes})
    return []


def programs() -> list[str]:
    """The names of the programs in the kernel's tree."""
    try:
        kernel = Path(gdbinfo.kernel_objfile().filename)
    except gdbinfo.NoKernel:
        return []
    return sorted(path.name[1:] for path in (kernel.parent.parent / "user").glob("_*"))


def _user_functions(names: set[str]) -> list[str]:
    """The functions of the programs with these names, as far as they are found."""
    found: set[str] = set()
    for name in names:
        try:
            path = program_file(Path(gdbinfo.kernel_objfile().filename), name)
            if path is not None:
                found.update(f.name for f in elf.symbols(str(path))[0])
        except KNOWN_ERRORS:
            continue
    return sorted(found)

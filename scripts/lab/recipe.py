"""What a tree's Makefile says is to be built, read as text: none of it is run.

Enough of make is understood for the Makefiles that xv6 trees have: variables, conditionals on them, included files,
the rules that name what a program is linked from (GNU make manual, 3.1, 6, 7).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_MOST_DEEP = 30
_OBJECT = re.compile(r"(kernel|user)/(\w[\w.-]*)\.o")
_PROGRAM = re.compile(r"user/_\w[\w.-]*")
_FILE = re.compile(r"[\w][\w./+-]*")
_OPTION = re.compile(r"-[DI][\w./=+-]+")
_SHOUTED = re.compile(r"echo\s+(\S+)\s*\|\s*tr\s+\S*a-z\S*\s+\S*A-Z\S*")


class Unreadable(Exception):
    """The Makefile says it in a way that is not understood; the message says where."""


@dataclass(frozen=True)
class Recipe:
    """What rules.mk is given. Names are below the tree.

    programs  each with the objects it is linked from besides its own and the library's
    """

    kernel_objects: tuple[str, ...]
    library: tuple[str, ...]
    programs: tuple[tuple[str, tuple[str, ...]], ...]
    files: tuple[str, ...]
    options: tuple[str, ...]
    warnings_are_errors: bool
    user_link: str

    def makefile(self, rules: Path, itself: str) -> str:
        """For make, in the tree; itself: the name it will have there."""
        lines = [f"RECIPE = {itself}", f"KOBJS = {' '.join(self.kernel_objects)}", f"ULIB = {' '.join(self.library)}",
                 f"UPROGS = {' '.join(name for name, _ in self.programs)}", f"FILES = {' '.join(self.files)}",
                 f"DEFINES = {' '.join(self.options)}", f"WERROR = {'-Werror' if self.warnings_are_errors else ''}",
                 f"ULINK = {self.user_link}", f"include {rules}"]
        lines += [f"{name}: {' '.join(more)}" for name, more in self.programs if more]
        return "\n".join(lines) + "\n"


def read(tree: Path) -> Recipe:
    """The recipe of a tree. Raises Unreadable when its Makefile, or what lies there, is of another kind."""
    said = _Makefile(tree)
    objects = said.words("OBJS")
    for name in said.words("OBJS_KCSAN", optional=True):
        objects += [name] if name not in objects else []
    library = said.words("ULIB")
    programs = said.words("UPROGS")
    for name in (*objects, *library):
        match = _OBJECT.fullmatch(name)
        if not match:
            raise Unreadable(f"{name} is no object of kernel/ or user/")
        if not any((tree / match[1] / (match[2] + suffix)).is_file() for suffix in (".c", ".S", ".pl")):
            raise Unreadable(f"{name} has no source")
    if not objects or not library or not programs:
        raise Unreadable("its OBJS, ULIB or UPROGS is empty")
    for name in programs:
        if not _PROGRAM.fullmatch(name):
            raise Unreadable(f"{name} is no program of user/")
    for needed in ("kernel/kernel.ld", "mkfs/mkfs.c"):
        if not (tree / needed).is_file():
            raise Unreadable(f"it has no {needed}")
    files = said.disk_files()
    for name in files:
        if not _FILE.fullmatch(name) or ".." in name:
            raise Unreadable(f"{name} is not a file's name")
    return Recipe(tuple(objects), tuple(library), tuple((name, said.more_objects(name, library)) for name in programs),
                  tuple(files), tuple(said.options()), said.has("CFLAGS", "-Werror"), said.user_link())


class _Makefile:
    def __init__(self, tree: Path) -> None:
        self._tree = tree
        self._values: dict[str, list[str]] = {}
        self._rules: list[tuple[str, str]] = []       # targets, prerequisites; not expanded
        self._commands: list[str] = []
        self._read(tree / "Makefile", 0)

    def words(self, name: str, optional: bool = False) -> list[str]:
        if name not in self._values:
            if optional:
                return []
            raise Unreadable(f"it sets no {name}")
        return self._expand(f"$({name})").split()

    def has(self, name: str, word: str) -> bool:
        return any(word in value.split() for value in self._values.get(name, []))

    def options(self) -> list[str]:
        """-D and -I of what kernel and programs are compiled with."""
        found: list[str] = []
        for name in ("CFLAGS", "XCFLAGS"):
            for value in self._values.get(name, []):
                for word in re.findall(r"-[DI]\S+", value):
                    option = self._expand(word)
                    if not _OPTION.fullmatch(option) or option.startswith("-I/") or ".." in option:
                        raise Unreadable(f"it compiles with {option}")
                    found += [option] if option not in found else []
        return found

    def more_objects(self, program: str, library: list[str]) -> tuple[str, ...]:
        """What its own rule links it from, if it has one, beyond what all programs have."""
        own = "user/" + program[len("user/_"):] + ".o"
        for targets, prerequisites in self._rules:
            if "_" in targets and "%" not in targets and program in self._expand(targets).split():
                objects = [name for name in self._expand(prerequisites).split() if name.endswith(".o")]
                return tuple(name for name in objects if name != own and name not in library)
        return ()

    def disk_files(self) -> list[str]:
        for command in self._commands:
            if match := re.fullmatch(r"\t[@-]?(?:\./)?mkfs/mkfs\s+(?:fs\.img|\$@)\s+(.*)", command):
                return self._expand(match[1]).split()
        raise Unreadable("it has no line that runs mkfs/mkfs fs.img")

    def user_link(self) -> str:
        """Options of ld for programs: a linker script of the tree's, or the entry and the address in its command."""
        for command in self._commands:
            if re.search(r"-T\s*(\$U|\$\(U\)|\$\{U\}|user)/user\.ld", command) and (self._tree / "user/user.ld").is_file():
                return "-T user/user.ld"
        for command in self._commands:
            if match := re.search(r"-N -e (\w+) -Ttext (\w+)\s.*_?(?:\$@|forktest)", command):
                return f"-N -e {match[1]} -Ttext {match[2]}"
        raise Unreadable("it has no line that links programs")

    def _read(self, path: Path, depth: int) -> None:
        if depth > _MOST_DEEP:
            raise Unreadable(f"{path.name} includes itself")
        try:
            text = path.read_text(errors="replace")
        except OSError as error:
            raise Unreadable(f"{path.name}: {error.strerror}") from None
        # What each open conditional says of the lines in it: whether they hold, and whether one branch has; None: who knows?
        open_ones: list[tuple[bool | None, bool | None]] = []
        for line in _logical_lines(text):
            if self._conditional(line, open_ones) or any(holds is False for holds, _ in open_ones):
                continue
            known = all(holds for holds, _ in open_ones)
            if line.startswith("\t"):
                self._commands.append(line.rstrip())
            elif match := re.match(r"-?include\s+(.*)", line):
                self._include(match[1], line.startswith("-"), depth)
            elif match := re.match(r"\s*(?:override\s+|export\s+)?([\w.-]+)\s*(\?|\+|::?)?=\s*(.*)", line):
                if known:
                    self._assign(match[1], match[2] or "", match[3].rstrip())
                elif re.search(r"^[A-Z]+FLAGS$", match[1]) is None or re.search(r"-[DI]", match[3]):
                    self._assign(match[1], "+", "$(shell conditional)")
            elif match := re.match(r"([^\s:=][^:=]*):(?![:=])([^=]*)$", line):
                self._rules.append((match[1].strip(), match[2].partition(";")[0].strip()))
        if open_ones:
            raise Unreadable(f"{path.name} has a conditional without an end")

    def _conditional(self, line: str, open_ones: list[tuple[bool | None, bool | None]]) -> bool:
        """Whether the line opens, turns or closes a conditional; then that is done."""
        word, _, rest = line.strip().partition(" ")
        if line.startswith("\t") or word not in ("ifdef", "ifndef", "ifeq", "ifneq", "else", "endif"):
            return False
        if word.startswith("if"):
            # What does not count is not asked: it may not be understood.
            counts = not any(holds is False for holds, _ in open_ones)
            holds = self._holds(word, rest.strip()) if counts else False
            open_ones.append((holds, holds))
            return True
        if not open_ones:
            raise Unreadable(f"{word} without a beginning")
        _, before = open_ones.pop()
        if word == "else":
            now = not before if before is not False else self._holds(*rest.split(None, 1)) if rest.strip() else True
            open_ones.append((None, None) if before is None else (now, before or now))
        return True

    def _holds(self, word: str, rest: str) -> bool | None:
        """Whether a condition does; None when it takes a command to know."""
        if word in ("ifdef", "ifndef"):
            return any(self._values.get(rest, [])) == (word == "ifdef")
        if rest.startswith("(") and rest.endswith(")"):
            sides = _split(rest[1:-1])
        else:
            match = re.fullmatch(r"[\"'](.*?)[\"']\s+[\"'](.*)[\"']", rest)
            sides = list(match.groups()) if match else []
        if len(sides) != 2:
            raise Unreadable(f"{word} {rest}")
        try:
            return (self._expand(sides[0]).strip() == self._expand(sides[1]).strip()) == (word == "ifeq")
        except Unreadable:
            return None

    def _include(self, names: str, optional: bool, depth: int) -> None:
        for name in names.split():
            if "*" in name or name.endswith(".d"):
                continue  # what depends on what: rules.mk finds out by itself
            path = self._tree / self._expand(name)
            if self._tree.resolve() not in path.resolve().parents:
                raise Unreadable(f"it includes {name}")
            if path.is_file():
                self._read(path, depth + 1)
            elif not optional:
                raise Unreadable(f"it includes {name}, which is not there")

    def _assign(self, name: str, kind: str, value: str) -> None:
        if kind == "+":
            self._values.setdefault(name, []).append(value)
        elif kind != "?" or name not in self._values:
            self._values[name] = [value]

    def _expand(self, text: str, depth: int = 0) -> str:
        if depth > _MOST_DEEP:
            raise Unreadable("variables that mean each other")
        out, at = "", 0
        while (dollar := text.find("$", at)) >= 0:
            out += text[at:dollar]
            opening = text[dollar + 1:dollar + 2]
            if opening in ("(", "{"):
                end = _closing(text, dollar + 1)
                out += self._reference(text[dollar + 2:end], depth)
                at = end + 1
            else:
                out += "$" if opening == "$" else self._reference(opening, depth)
                at = dollar + 2
        return out + text[at:]

    def _reference(self, inside: str, depth: int) -> str:
        function, _, rest = inside.partition(" ")
        if re.fullmatch(r"[\w.-]+", inside):
            return self._expand(" ".join(self._values.get(inside, [])), depth + 1)
        if match := re.fullmatch(r"([\w.-]+):([^=]*)=(.*)", inside):
            return _substituted(self._expand(f"$({match[1]})", depth + 1), *match.groups()[1:])
        if function == "shell":
            if match := _SHOUTED.fullmatch(self._expand(rest, depth + 1).strip()):
                return match[1].upper()
            raise Unreadable(f"$({inside}) is to be run")
        arguments = [self._expand(one, depth + 1) for one in _split(rest)]
        if function in ("filter", "filter-out") and len(arguments) == 2:
            patterns = arguments[0].split()
            return " ".join(word for word in arguments[1].split() if _matches(word, patterns) == (function == "filter"))
        if function == "addprefix" and len(arguments) == 2:
            return " ".join(arguments[0] + word for word in arguments[1].split())
        if function == "addsuffix" and len(arguments) == 2:
            return " ".join(word + arguments[0] for word in arguments[1].split())
        if function == "patsubst" and len(arguments) == 3:
            return _substituted(arguments[2], arguments[0].strip(), arguments[1].strip())
        if function == "strip":
            return " ".join(",".join(arguments).split())
        raise Unreadable(f"$({inside})")


def _logical_lines(text: str) -> Iterator[str]:
    """Lines without comments, those that end in a backslash joined with the next."""
    held = ""
    for line in text.splitlines():
        line = held + (line.lstrip() if held else line)
        if line.endswith("\\") and not line.endswith("\\\\"):
            held = line[:-1] + " "
            continue
        held = ""
        yield line if line.startswith("\t") else re.sub(r"(^|\s)#.*", "", line).rstrip()
    if held:
        yield held


def _closing(text: str, at: int) -> int:
    pair = {"(": ")", "{": "}"}[text[at]]
    depth = 0
    for where in range(at, len(text)):
        depth += (text[where] == text[at]) - (text[where] == pair)
        if not depth:
            return where
    raise Unreadable(f"{text[at - 1:]} has no end")


def _split(arguments: str) -> list[str]:
    """What commas part that are in no parentheses."""
    parts, depth = [""], 0
    for letter in arguments:
        depth += (letter in "({") - (letter in ")}")
        if letter == "," and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def _matches(word: str, patterns: list[str]) -> bool:
    return any(re.fullmatch(re.escape(one).replace("%", ".*", 1), word) for one in patterns)


def _substituted(words: str, pattern: str, new: str) -> str:
    if "%" not in pattern:
        pattern, new = "%" + pattern, "%" + new
    expression = re.compile(re.escape(pattern).replace("%", "(.*)", 1))
    return " ".join(new.replace("%", match[1], 1) if (match := expression.fullmatch(word)) else word for word in words.split())

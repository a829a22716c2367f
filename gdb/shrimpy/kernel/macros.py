"""Integer values of C macros, from `#define` lines.

The lines come from GDB's macro information or from `cpp -dM`; neither GDB nor
a compiler is needed here. What is understood is what headers say about
addresses: integer constants, + - * / % << >> & | ^ ~, parentheses, casts, and
macros with and without parameters. Anything else has no value (None).
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from ..records import record

# In the order of preference of all that builds here.
CROSS_PREFIXES = (
    "riscv64-unknown-elf-",
    "riscv64-linux-gnu-",
    "riscv64-elf-",
    "riscv64-none-elf-",
    "riscv64-unknown-linux-gnu-",
)
CROSS_COMPILERS = (*(prefix + "gcc" for prefix in CROSS_PREFIXES), "clang")

# Headers of every xv6 tree that later ones lean on, in the order they need.
BASE_HEADERS = ("types.h", "param.h", "riscv.h", "memlayout.h")

_DEFINE = re.compile(
    r"^#define\s+([A-Za-z_]\w*)(?:\(([^()]*)\))?(?:[ \t]+(.*))?$", re.M)
_TOKEN = re.compile(r"\s*(?:(0[xX][0-9a-fA-F]+|\d+)[uUlL]*|([A-Za-z_]\w*)"
                    r"|(<<|>>|[-+*/%&|^~()!,]))")
_TYPE_WORDS = frozenset(
    "unsigned signed char short int long uint uchar ushort uint8 uint16 uint32 "
    "uint64 uintptr_t uint64_t int64 int64_t size_t pte_t pde_t".split())

_MISSING = re.compile(r"fatal error: ([\w+-][\w./+-]*): No such file or directory")
_MOST_MISSING = 20

_MAX_DEPTH = 64
_MAX_TOKENS = 4096
_MAX_EXPANSIONS = 10_000    # of macros, for one value: each may stand for two of the next
_MAX_SOURCE = 1 << 20     # bytes

# How tightly each binary operator binds (C11 6.5.5 to 6.5.12).
_BINDING = {"|": 1, "^": 2, "&": 3, "<<": 4, ">>": 4, "+": 5, "-": 5,
            "*": 6, "/": 6, "%": 6}


@record
class Macro:
    parameters: tuple[str, ...] | None      # None: not function-like
    body: str


class NoValue(Exception):
    """The macro is not an integer that this module can work out."""


def parse(text: str) -> dict[str, Macro]:
    """The macros that `#define` lines define; the last one of a name holds."""
    found = {}
    for name, parameters, body in (m.groups() for m in _DEFINE.finditer(text)):
        names = None
        if parameters is not None:
            names = tuple(p.strip() for p in parameters.split(",") if p.strip())
        found[name] = Macro(names, (body or "").strip())
    return found


def listed(text: str) -> dict[str, Macro]:
    """The macros of GDB's `info macros`, which shows one of the compiler's command line as -DNAME=BODY."""
    return parse(re.sub(r"^-D(\w+)=?", r"#define \1 ", text, flags=re.M))


def value(name: str, macros: Mapping[str, Macro]) -> int | None:
    """What `name` comes to as a 64-bit unsigned number, or None."""
    try:
        if name not in macros or macros[name].parameters is not None:
            return None
        tokens = _expand([name], macros, 0, [_MAX_EXPANSIONS])
        parser = _Expression(tokens)
        result = parser.binary(0)
        parser.expect_end()
        return result & (1 << 64) - 1
    except (NoValue, ZeroDivisionError, RecursionError):
        return None


def from_headers(tree: Path, wanted: Iterable[str]) -> dict[str, Macro]:
    """The macros of the headers beside a kernel, as the cross compiler's
    preprocessor sees them: the usual ones, and those that mention `wanted`.

    `tree` is the folder of the kernel's sources. Empty when there are no
    such headers or no such compiler.
    """
    mention = re.compile(r"\b(" + "|".join(map(re.escape, wanted)) + r")\b")
    headers = [name for name in BASE_HEADERS if (tree / name).is_file()]
    if "memlayout.h" not in headers:
        return {}
    for path in sorted(tree.glob("*.h")):
        if path.name not in headers \
                and mention.search(path.read_text(errors="replace")):
            headers.append(path.name)
    source = "".join(f'#include "{name}"\n' for name in headers)
    for compiler in CROSS_COMPILERS:
        found = _preprocessed(compiler, source, tree)
        if found:
            return parse(found)
    return {}


def _preprocessed(compiler: str, source: str, tree: Path) -> str:
    """The `#define` lines of a source that includes headers of a tree; empty
    when there is no such compiler, or it cannot.

    A compiler for bare metal has no headers of a C library. One that is
    missing is taken for empty: no address is defined there.
    """
    with tempfile.TemporaryDirectory(prefix="shrimpy-") as folder:
        command = [compiler, "-E", "-dM", "-ffreestanding", "-xc", f"-I{tree}",
                   f"-I{tree.parent}", f"-idirafter{folder}", "-"]
        for _ in range(_MOST_MISSING):
            try:
                done = subprocess.run(command, input=source, text=True, timeout=20, capture_output=True, cwd=tree,
                                      errors="replace", env={**os.environ, "LC_ALL": "C"})
            except (OSError, subprocess.TimeoutExpired):
                return ""
            missing = _MISSING.search(done.stderr)
            if done.returncode == 0 or missing is None:
                return done.stdout
            stand_in = Path(folder, missing.group(1))
            if stand_in.exists() or ".." in stand_in.parts:
                return done.stdout
            stand_in.parent.mkdir(parents=True, exist_ok=True)
            stand_in.touch()
    return ""


def written_in(tree: Path) -> dict[str, Macro]:
    """The macros that the sources in a folder define, as written: whether a condition leaves them out is not
    looked at."""
    found: dict[str, Macro] = {}
    for path in sorted([*tree.glob("*.c"), *tree.glob("*.h")]):
        try:
            if path.is_file() and path.stat().st_size <= _MAX_SOURCE:
                found.update(parse(path.read_text(errors="replace")))
        except OSError:
            continue
    return found


def _lex(text: str) -> list[str]:
    text = re.sub(r"/\*.*?\*/|//.*", " ", text)
    tokens, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if not match:
            raise NoValue(text)
        tokens.append(match.group(1) or match.group(2) or match.group(3))
        at = match.end()
    return tokens


def _expand(tokens: list[str], macros: Mapping[str, Macro],
            depth: int, left: list[int]) -> list[str]:
    left[0] -= 1
    if depth > _MAX_DEPTH or len(tokens) > _MAX_TOKENS or left[0] < 0:
        raise NoValue("macros that define each other")
    out: list[str] = []
    rest = list(tokens)
    while rest:
        token = rest.pop(0)
        macro = macros.get(token)
        if macro is None:
            out.append(token)
        elif macro.parameters is None:
            out += _expand(_lex(macro.body), macros, depth + 1, left)
        else:
            arguments = _arguments(rest)
            if len(arguments) != len(macro.parameters):
                raise NoValue(token)
            bound = dict(zip(macro.parameters, arguments))
            body = [t for word in _lex(macro.body)
                    for t in bound.get(word, [word])]
            out += _expand(body, macros, depth + 1, left)
    return out


def _arguments(rest: list[str]) -> list[list[str]]:
    """Takes a parenthesised argument list off the front of `rest`."""
    if not rest or rest.pop(0) != "(":
        raise NoValue("a macro with parameters, used without")
    arguments: list[list[str]] = [[]]
    open_parens = 1
    while rest:
        token = rest.pop(0)
        open_parens += (token == "(") - (token == ")")
        if open_parens == 0:
            return arguments
        if token == "," and open_parens == 1:
            arguments.append([])
        else:
            arguments[-1].append(token)
    raise NoValue("an argument list without an end")


class _Expression:
    """Precedence climbing over expanded tokens."""

    def __init__(self, tokens: list[str]) -> None:
        self._tokens = tokens
        self._at = 0

    def _peek(self) -> str | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _next(self) -> str:
        token = self._peek()
        if token is None:
            raise NoValue("an expression without an end")
        self._at += 1
        return token

    def expect_end(self) -> None:
        if self._peek() is not None:
            raise NoValue(self._peek())

    def binary(self, least: int) -> int:
        left = self._unary()
        while _BINDING.get(self._peek() or "", 0) > least:
            operator = self._next()
            left = _apply(operator, left, self.binary(_BINDING[operator]))
        return left

    def _unary(self) -> int:
        token = self._next()
        if token == "-":
            return -self._unary()
        if token == "+":
            return self._unary()
        if token == "~":
            return ~self._unary()
        if token == "(":
            if self._skip_cast():
                return self._unary()
            inside = self.binary(0)
            if self._next() != ")":
                raise NoValue("unbalanced parentheses")
            return inside
        if token[0].isdigit():
            octal = re.fullmatch(r"0[0-7]+", token)
            return int(token, 8) if octal else int(token, 0)
        raise NoValue(token)

    def _skip_cast(self) -> bool:
        at = self._at
        while at < len(self._tokens) and self._tokens[at] in _TYPE_WORDS | {"*"}:
            at += 1
        if at == self._at or self._tokens[at:at + 1] != [")"]:
            return False
        self._at = at + 1
        return True


def _apply(operator: str, left: int, right: int) -> int:
    if operator in ("<<", ">>") and not 0 <= right < 64:
        raise NoValue(f"shift by {right}")
    results: dict[str, Callable[[], int]] = {
        "+": lambda: left + right, "-": lambda: left - right,
        "*": lambda: left * right, "/": lambda: left // right,
        "%": lambda: left % right, "<<": lambda: left << right,
        ">>": lambda: left >> right, "&": lambda: left & right,
        "|": lambda: left | right, "^": lambda: left ^ right,
    }
    return results[operator]()

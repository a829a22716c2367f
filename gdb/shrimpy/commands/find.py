"""xv6-find: where a value or a text is in RAM."""

from __future__ import annotations

import re

import gdb

from ..live.session import session
from ..records import encode
from ..show import search as said
from ..snapshot import Snapshot, search
from .base import Arg, Bad, Command, Opt, number, painter, process, write_json

_SIZES = {"1": 1, "2": 2, "4": 4, "8": 8}
_VALUE = re.compile(r"[-+~(&$*\d]")
_RANGE = re.compile(r"(0x[0-9a-fA-F]+)(?:-(0x[0-9a-fA-F]+))?$")


class Xv6Find(Command):
    """Find a value or a text in RAM: which frames have it, whose they are, at which virtual addresses.

    What begins with a digit or with one of $ & ( * - + ~ is an expression, and its value is looked for as a word of -size 8
    bytes (or 4, 2, 1) at multiples of that. All else is a text, and so is everything with -text; one with blanks is given in
    quotes. WHERE is a PID, whose pages are looked at, or frames: 0x80100000, or a range, 0x80100000-0x80200000. Without it
    all of RAM is searched, what is free too.
    """

    name = "xv6-find"
    args = (Arg("VALUE", "word"), Arg("WHERE", "pid", optional=True))
    opts = (Opt("-text"), Opt("-size", "BYTES"), Opt("-json"))

    def run(self, given):
        taken = session.snapshot()
        wanted, align = _wanted(given)
        where = _where(given.get("WHERE"), taken)
        with session.memory() as reader:
            found = search.find(reader, taken, session.debuginfo()[0], wanted, align, where)
        if "-json" in given:
            write_json({"hits": [encode(hit) for hit in found.hits], "more": found.more})
        else:
            gdb.write(said.hits(found, taken, painter()))


def _wanted(given: dict[str, str]) -> tuple[bytes, int]:
    """(what is looked for, at multiples of how many bytes)."""
    text, size = given["VALUE"], given.get("-size", "8")
    if size not in _SIZES:
        raise Bad(f"expected 1, 2, 4 or 8 bytes after -size, found {size!r}")
    if "-text" in given or not _VALUE.match(text):
        if not text:
            raise Bad("expected a value or a text, found an empty one")
        return text.encode(), 1
    value, n = number(text, "a value; for a text, add -text"), _SIZES[size]
    if value >= 1 << 8 * n and value < (1 << 64) - (1 << 8 * n - 1):
        raise Bad(f"{value:#x} does not fit in {n} byte{'s' * (n > 1)}")
    return search.pattern(value & (1 << 8 * n) - 1, n), n


def _where(word: str | None, taken: Snapshot) -> search.Where:
    base, end = taken.layout.ram_base, taken.layout.ram_end
    match = _RANGE.match(word or "")
    if word is None or match is None:
        return search.Where(base, end, None if word is None else process(word, taken))
    first = int(match[1], 16)
    past = int(match[2], 16) if match[2] else (first & -4096) + 4096
    if not base <= first < past <= end:
        raise Bad(f"expected frames of RAM, [{base:#x}, {end:#x}), found {word}")
    return search.Where(first, past)


def register() -> None:
    Xv6Find()

"""A page table as the courses' vmprint prints it, and how a printout differs from a table.

The forms are those of the pgtbl labs of MIT 6.S081 and 6.1810, "Print a page table": a line for each valid entry, depth
first, " .." for each level. Until 2023 an entry is named by its index in its table, since then by its virtual address.
"""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from . import sv39
from .readers import Reader

_MOST_ROWS = 1 << 16
"""Of one table: noise may have millions."""

_FLAGS = 0xFF & ~(sv39.A | sv39.D)
"""Hardware sets A and D when it likes (Privileged, 4.3.1)."""

_HEAD = re.compile(r"page table\s+(?:0x)?([0-9a-f]+)\s*$")
_ROW = re.compile(r"((?:\.\.\s*)+)(0x[0-9a-f]+|\d+)\s*:\s*pte\s+(0x[0-9a-f]+)\s+pa\s+(0x[0-9a-f]+)\s*$")


class Row(NamedTuple):
    """A valid entry: path has its index in the root, in the next table, and so on; va is the first address that it covers."""

    path: Tuple[int, ...]
    pte: int
    pa: int
    line: int = 0           # of the printout that it was read in, from 1

    @property
    def va(self) -> int:
        return sum(index << 30 - 9 * depth for depth, index in enumerate(self.path))

    @property
    def level(self) -> int:
        return 3 - len(self.path)


class Printout(NamedTuple):
    """A table's entries. complete: False when there were more than a table can mean."""

    root: int
    rows: Tuple[Row, ...]
    complete: bool = True


class Difference(NamedTuple):
    """The first line of a printout that means something else than the table.

    kind: "missing" (the table has no such entry), "extra" (it has one more, before that line or at its end: line is then the
    last), "flags", "frame" (lines with one frame in the one are not in the other), "itself" (pte and pa of a line do not belong
    together), "form" (a line that is none of vmprint's), "order".
    """

    kind: str
    line: int
    expected: Optional[Row] = None
    found: Optional[Row] = None
    text: str = ""              # of the line, where it is not vmprint's


class NoPrintout(Exception):
    """A text without a line "page table 0x..."."""


def of(reader: Reader, root: int) -> Printout:
    """The table under `root`, a physical address. Raises ReadError unless that is in RAM."""
    found: List[Row] = []
    for row in _below(reader, root, ()):
        if len(found) == _MOST_ROWS:
            return Printout(root, tuple(found), False)
        found.append(row)
    return Printout(root, tuple(found))


def _below(reader: Reader, table: int, path: Tuple[int, ...]) -> Iterator[Row]:
    base, end = reader.ram
    for index, pte in sv39.entries(reader.page(table)):
        if pte & sv39.V:
            pa = sv39.pa_of(pte)
            yield Row((*path, index), pte, pa)
            if len(path) < 2 and not pte & (sv39.R | sv39.W | sv39.X) and base <= pa < end:
                yield from _below(reader, pa, (*path, index))


def text(printed: Printout, with_va: bool = False) -> str:
    """As vmprint prints it: with each entry's index, or with_va its virtual address."""
    lines = [f"page table {printed.root:#018x}"]
    lines += [line(row, with_va) for row in printed.rows]
    return "\n".join(lines) + "\n"


def line(row: Row, with_va: bool = False) -> str:
    named = f"{row.va:#018x}" if with_va else str(row.path[-1])
    return f"{' ..' * len(row.path)}{named}: pte {row.pte:#018x} pa {row.pa:#018x}"


def first_difference(expected: str, table: Printout) -> Optional[Difference]:
    """Where a text that has a printout in it, as a console's log does, first means something else than the table; None: nowhere.

    Addresses of frames are those of one run, so it is compared whether entries that share a frame do so in both, and A
    and D are left out. Raises NoPrintout.
    """
    wanted, trouble = _read(expected)
    frames: Dict[int, int] = {}
    for row, there in zip(wanted, table.rows):
        found = _compared(row, there, frames)
        if found is not None:
            return found
    n = min(len(wanted), len(table.rows))
    if len(wanted) > n:
        return Difference("missing", wanted[n].line, wanted[n])
    if trouble is None and len(table.rows) > n:
        return Difference("extra", wanted[-1].line if wanted else 1, None, table.rows[n])
    return trouble


def _compared(row: Row, there: Row, frames: Dict[int, int]) -> Optional[Difference]:
    """frames: of the printout, each with the table's."""
    if sv39.pa_of(row.pte) != row.pa:
        return Difference("itself", row.line, row, there)
    if row.path != there.path:
        return Difference("missing" if row.path < there.path else "extra", row.line, row, there)
    if (row.pte ^ there.pte) & _FLAGS:
        return Difference("flags", row.line, row, there)
    if frames.setdefault(row.pa, there.pa) != there.pa:
        return Difference("frame", row.line, row, there)
    return None


def _read(printed: str) -> Tuple[List[Row], Optional[Difference]]:
    """(the rows of the first printout, what is wrong in the line behind them)."""
    lines = printed.splitlines()
    start = next((at for at, one in enumerate(lines) if _HEAD.search(one)), None)
    if start is None:
        raise NoPrintout("expected a line \"page table 0x...\", as vmprint begins")
    rows: List[Row] = []
    for number, one in enumerate(lines[start + 1:], start + 2):
        if ".." not in one and rows:
            break
        match = _ROW.search(one)
        path = None if match is None else _path(match[1].count(".."), match[2], rows)
        if match is None or path is None:
            return rows, Difference("form", number, text=one.strip()) if one.strip() else None
        row = Row(path, int(match[3], 16), int(match[4], 16), number)
        if rows and row.path <= rows[-1].path:
            return rows, Difference("order", number, row, rows[-1])
        rows.append(row)
    return rows, None


def _path(depth: int, named: str, before: Sequence[Row]) -> Optional[Tuple[int, ...]]:
    """The indices that lead to an entry of that depth, 1 to 3; None where the lines before do not lead to its table."""
    above = before[-1].path[:depth - 1] if before else ()
    if not 1 <= depth <= 3 or len(above) != depth - 1:
        return None
    if named.startswith("0x"):
        return sv39.indices(int(named, 16))[:depth]
    return (*above, int(named)) if int(named) < 512 else None

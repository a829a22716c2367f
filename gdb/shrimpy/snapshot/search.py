"""Where in RAM a value or a text is, and whose that is."""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..kernel.debuginfo import DebugInfo
from ..memory.readers import PAGE, Reader
from ..records import address, many, record
from .frames import User
from .index import Index
from .model import Process, Snapshot

MOST = 64
"""Places that are told, of one search."""

_CHUNK = 1 << 20


@record
class Hit:
    """A place. users: of its frame, each with the virtual address of the place there; kind, where the frame has none: "free"
    "kernel-image" "lost" "unknown". variable: of the kernel's image, with the bytes from its beginning."""

    pa: int = address()
    users: Tuple[User, ...] = many(User)
    kind: Optional[str] = None
    variable: Optional[str] = None
    offset: int = 0


class Found(NamedTuple):
    """The first places, by physical address. more: whether there are others."""

    hits: Tuple[Hit, ...]
    more: bool


class Where(NamedTuple):
    """What is searched: frames [first, end) of RAM, and of a process only what it maps."""

    first: int
    end: int
    process: Optional[Process] = None


def pattern(value: int, n_bytes: int) -> bytes:
    """A value of 1, 2, 4 or 8 bytes as memory holds it. Raises OverflowError for one that does not fit."""
    return value.to_bytes(n_bytes, "little")


def find(reader: Reader, taken: Snapshot, info: DebugInfo, wanted: bytes, align: int, where: Where, most: int = MOST) -> Found:
    """The first places at multiples of `align` that hold `wanted`, which is not empty."""
    index = Index(taken)
    hits: List[Hit] = []
    for pa in _places(reader, wanted, align, where):
        if len(hits) == most:
            return Found(tuple(hits), True)
        hits.append(_hit(pa, index, info, where.process))
    return Found(tuple(hits), False)


def _places(reader: Reader, wanted: bytes, align: int, where: Where) -> Iterator[int]:
    for first, end in _ranges(where):
        for start in range(first, end, _CHUNK):
            past = min(start + _CHUNK + len(wanted) - 1, end)
            data = reader.read(start, past - start)
            at = data.find(wanted)
            while at >= 0:
                if (start + at) % align == 0:
                    yield start + at
                at = data.find(wanted, at + 1)


def _ranges(where: Where) -> Sequence[Tuple[int, int]]:
    """What is searched, ascending, in runs: a value may lie across two frames that are neighbours."""
    if where.process is None:
        return [(where.first, where.end)]
    runs: List[Tuple[int, int]] = []
    for pa, end in sorted({(m.pa, m.pa + m.n_pages * PAGE) for m in where.process.mappings}):
        first, past = max(pa, where.first), min(end, where.end)
        if runs and runs[-1][1] >= first:
            runs[-1] = (runs[-1][0], max(past, runs[-1][1]))
        elif first < past:
            runs.append((first, past))
    return runs


def _hit(pa: int, index: Index, info: DebugInfo, process: Optional[Process]) -> Hit:
    frame, offset = pa & -PAGE, pa % PAGE
    users = tuple(User(u.kind, u.pid, None if u.va is None else u.va + offset, u.name) for u in index.users(frame))
    if process is not None and not any(u.pid == process.pid for u in users):
        users = (*(User("user", process.pid, m.va + pa - m.pa) for m in process.mappings if m.pa <= pa < m.pa + m.n_pages * PAGE), *users)
    name = info.object_at(pa) or info.function_at(pa)
    base = next((one.address for one in (*info.objects, *info.functions) if one.name == name and one.address <= pa), pa)
    return Hit(pa, users, None if users else _kind(frame, index), name, pa - base if name else 0)


def _kind(frame: int, index: Index) -> str:
    base, end = index.layout.kernel_base, index.layout.kernel_end
    if base is not None and end is not None and base <= frame < end:
        return "kernel-image"
    return "free" if index.is_free(frame) else "lost" if index.is_lost(frame) else "unknown"

"""Which instructions of a kernel accessed which of its variables, and which spinlocks the hart held then, as the plugin of a machine
that runs with it has noted (scripts/plugin/locks.c)."""

from __future__ import annotations

import struct
from typing import Iterator, List, NamedTuple, Sequence, Tuple

from ..memory.elf import Range

_MAX_HARTS, _MAX_HELD = 8, 5
_N_SEEN = 1 << 18
_HEAD = 4096
_SEEN = struct.Struct(f"<III{_MAX_HELD}i")
_HART_BYTES = _HEAD + _N_SEEN * _SEEN.size
SIZE = _MAX_HARTS * _HART_BYTES
"""Bytes of the file."""

UNNOTED = ("acquire", "release", "holding", "initlock", "push_off", "pop_off", "mycpu")
"""Functions whose accesses are not noted: they are the locks' own."""


def span(some: Sequence[Range]) -> range:
    """The addresses from the first of some functions, or variables, to the end of the last."""
    return range(min(one.address for one in some), max(one.address + one.size for one in some))


class Access(NamedTuple):
    """pc: of the instruction; at: the address; is_store; held: the addresses of the locks, outermost first; hart; n: how often."""

    pc: int
    at: int
    is_store: bool
    held: Tuple[int, ...]
    hart: int
    n: int


class Noted(NamedTuple):
    """n_acquired: how often a lock was; n_lost: accesses that found no room."""

    accesses: Tuple[Access, ...]
    n_acquired: int
    n_lost: int


def read(path: str, text: int, data: int) -> Noted:
    """What a file has. text, data: where the kernel's code and its variables begin. Raises OSError."""
    found: List[Access] = []
    n_acquired = n_lost = 0
    with open(path, "rb") as file:
        for hart in range(_MAX_HARTS):
            file.seek(hart * _HART_BYTES)
            head = file.read(_HEAD)
            if len(head) < _HEAD:
                raise OSError(f"{path} is too short")
            n, lost, acquired = struct.unpack_from("<III", head)
            n_acquired, n_lost = n_acquired + acquired, n_lost + lost
            found += _of_hart(file.read(min(n, _N_SEEN) * _SEEN.size), hart, text, data)
    return Noted(tuple(found), n_acquired, n_lost)


def _of_hart(seen: bytes, hart: int, text: int, data: int) -> Iterator[Access]:
    for pc, at, n, *held in _SEEN.iter_unpack(seen[:len(seen) // _SEEN.size * _SEEN.size]):
        yield Access(text + pc, data + at, bool(n & 1), tuple(data + (one - 1) * 4 for one in held if one), hart, n >> 1)

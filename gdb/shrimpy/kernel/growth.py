"""Which of a kernel's functions moves the end of a process's memory: the one whose bound it is.

By their code: sbrk's call goes to sys_sbrk; of what that calls, those move the end that store at struct
proc's `sz`. RISC-V Unprivileged, chapters 2 and 16, has the encodings.
"""

from __future__ import annotations

from typing import Iterator, List, Optional, Set, Tuple

from ..memory.elf import Range
from ..memory.readers import Reader, ReadError
from ..memory.riscv import cj_offset, instructions, jal_offset, signed
from .cnames import GROWING, NOT_GROWING
from .debuginfo import DebugInfo

_MAX_DEPTH = 3          # of calls
_MAX_BYTES = 1 << 14    # of one function
_FRAME = (2, 8)         # sp and s0: what is stored by them is a local variable


def movers(reader: Reader, info: DebugInfo) -> Tuple[str, ...]:
    """The functions that the system call sbrk reaches and that store a process's `sz`, nearest first."""
    field = info.field("proc", "sz")
    start = next((f for f in info.functions if f.name in GROWING), None)
    if field is None or start is None:
        return ()
    found: List[str] = []
    seen: Set[int] = set()
    level = [start]
    for _ in range(_MAX_DEPTH):
        below: List[Range] = []
        for function in level:
            if function.address in seen or function.name in NOT_GROWING:
                continue
            seen.add(function.address)
            code = _code(reader, function)
            if any(at == field.offset and size == field.type.size for at, size in _stores(code)):
                found.append(function.name)
            targets = sorted(set(_targets(code, function.address)))
            below += [f for t in targets for f in [_starting(info, t)] if f is not None]
        level = below
    return tuple(found)


def lazy_mover(reader: Reader, info: DebugInfo) -> Optional[str]:
    """The function that moves the end without giving memory: growproc only where no other does."""
    found = movers(reader, info)
    return next((name for name in found if name != "growproc"), found[0] if found else None)


def _code(reader: Reader, function: Range) -> bytes:
    try:
        return reader.read(function.address, min(function.size, _MAX_BYTES) & -2)
    except ReadError:
        return b""


def _starting(info: DebugInfo, address: int) -> Optional[Range]:
    return next((f for f in info.functions if f.address == address), None)


def _stores(code: bytes) -> Iterator[Tuple[int, int]]:
    """(offset from its base register, bytes) of each store by another register than sp and s0."""
    for _, bits, n in instructions(code):
        if n == 4 and bits & 0x7F == 0x23 and bits >> 12 & 7 in (2, 3):
            if bits >> 15 & 31 not in _FRAME:
                yield signed(bits >> 25 << 5 | bits >> 7 & 31, 12), 4 if bits >> 12 & 7 == 2 else 8
        elif n == 2 and bits & 3 == 0 and bits >> 13 in (6, 7) and 8 + (bits >> 7 & 7) not in _FRAME:
            high = (bits >> 10 & 7) << 3
            if bits >> 13 == 7:                                     # c.sd
                yield high | (bits >> 5 & 3) << 6, 8
            else:                                                   # c.sw
                yield high | (bits >> 6 & 1) << 2 | (bits >> 5 & 1) << 6, 4


def _targets(code: bytes, address: int) -> Iterator[int]:
    """Where the code jumps to: jal, auipc with jalr, c.j."""
    upper = {}          # register -> what auipc put there
    for at, bits, n in instructions(code):
        if n == 4 and bits & 0x7F == 0x6F:
            yield address + at + jal_offset(bits)
        elif n == 4 and bits & 0x7F == 0x17:
            upper[bits >> 7 & 31] = address + at + signed(bits & 0xFFFFF000, 32)
        elif n == 4 and bits & 0x7F == 0x67 and bits >> 15 & 31 in upper:
            yield upper[bits >> 15 & 31] + signed(bits >> 20, 12)
        elif n == 2 and bits & 3 == 1 and bits >> 13 == 5:
            yield address + at + cj_offset(bits)

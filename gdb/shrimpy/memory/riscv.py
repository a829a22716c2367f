"""How RISC-V encodes what several readers of machine code need: how long an instruction is, how far it jumps, what it
reads and writes.

Source: RISC-V Unprivileged, 1.5 (lengths), 2.5.1 (jal) and 16.4 (c.j).
"""

from __future__ import annotations

from typing import Iterator, NamedTuple, Optional, Tuple


def length(first: int) -> int:
    """Bytes of the instruction whose first byte (or more of it, little-endian) that is: 2, 4, 6 or 8."""
    return 2 if first & 0b11 != 0b11 else 4 if first & 0b11100 != 0b11100 else 6 if not first & 0b100000 else 8


def instructions(code: bytes, at: int = 0, end: Optional[int] = None) -> Iterator[Tuple[int, int, int]]:
    """(offset, bits, bytes) of each instruction from offset `at` on that is complete before `end`, the code's own."""
    end = len(code) if end is None else end
    while at + 2 <= end:
        n = length(code[at])
        if at + n > end:
            return
        yield at, int.from_bytes(code[at:at + n], "little"), n
        at += n


def signed(value: int, bits: int = 64) -> int:
    """The low bits of a number as two's complement."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def jal_offset(word: int) -> int:
    """imm[20|10:1|11|19:12]."""
    return signed(word >> 31 << 20 | (word >> 12 & 0xFF) << 12 | (word >> 20 & 1) << 11 | (word >> 21 & 0x3FF) << 1, 21)


def cj_offset(half: int) -> int:
    """imm[11|4|9:8|10|6|7|3:1|5]."""
    return signed((half >> 12 & 1) << 11 | (half >> 11 & 1) << 4 | (half >> 9 & 3) << 8 | (half >> 8 & 1) << 10
                  | (half >> 7 & 1) << 6 | (half >> 6 & 1) << 7 | (half >> 3 & 7) << 1 | (half >> 2 & 1) << 5, 12)


class Access(NamedTuple):
    """What an instruction does to memory: kind "load", "store" or "amo" (which does both, as lr and sc do the one of
    their names), `n_bytes` at the register `base` plus `offset`."""

    kind: str
    n_bytes: int
    base: int
    offset: int


def access(bits: int) -> Optional[Access]:
    """What an instruction reads or writes besides itself, or None: loads and stores of integers and of numbers with a point
    (Unprivileged 2.6, 20.5), A (13) and C (28.3)."""
    if length(bits & 0xFF) == 2:
        return _compressed_access(bits)
    opcode, base, width = bits & 0x7F, bits >> 15 & 31, 1 << (bits >> 12 & 3)
    if opcode in (0x03, 0x07):
        return Access("load", width, base, signed(bits >> 20, 12))
    if opcode in (0x23, 0x27):
        return Access("store", width, base, signed(bits >> 25 << 5 | bits >> 7 & 31, 12))
    if opcode == 0x2F:
        return Access({0b00010: "load", 0b00011: "store"}.get(bits >> 27, "amo"), width, base, 0)
    return None


def _compressed_access(half: int) -> Optional[Access]:
    """Of 16 bits: funct3 says load or store and how wide, the quadrant whether sp is the base. fld, lw, ld, fsd, sw, sd."""
    quadrant, funct3 = half & 3, half >> 13
    if quadrant not in (0, 2) or funct3 & 3 == 0:
        return None
    kind, wide = ("store" if funct3 & 4 else "load"), funct3 & 3 != 2
    if quadrant == 0:
        offset = (half >> 10 & 7) << 3 | ((half >> 5 & 3) << 6 if wide else (half >> 6 & 1) << 2 | (half >> 5 & 1) << 6)
        return Access(kind, 8 if wide else 4, 8 + (half >> 7 & 7), offset)
    if kind == "load":
        offset = (half >> 12 & 1) << 5 | ((half >> 5 & 3) << 3 | (half >> 2 & 7) << 6 if wide
                                          else (half >> 4 & 7) << 2 | (half >> 2 & 3) << 6)
    else:
        offset = (half >> 10 & 7) << 3 | (half >> 7 & 7) << 6 if wide else (half >> 9 & 15) << 2 | (half >> 7 & 3) << 6
    return Access(kind, 8 if wide else 4, 2, offset)

"""How RISC-V encodes what several readers of machine code need: how long an instruction is, and how far it jumps.

Source: RISC-V Unprivileged, 1.5 (lengths), 2.5.1 (jal) and 16.4 (c.j).
"""

from __future__ import annotations

from typing import Iterator, Optional, Tuple


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

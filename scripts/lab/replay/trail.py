"""The places before one, as they were seen by a machine that stepped up to it.

GDB steps back over a line instruction by instruction, and asks at each for the registers and now and then for some of the
stack. These are kept for the last places, so that not each of them takes a machine; and what it has asked for besides, since it asks
that again: in a trap vector, the kit's unwinder reads a CSR.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .place import Place

STEPS = 64  # places that are kept
MOST_ASKED = 16  # packets that are kept besides
_KEPT = re.compile(rb"p[0-9a-f]+|m[0-9a-f]+,[0-9a-f]{1,3}")  # of one register, or of less than a page of memory
_LINE, _LINES = 64, 4  # bytes that GDB reads at once, and how many of these from the stack pointer on
_SP, _PC = 2, 32  # of the registers in the answer to g
_REGISTER = 16  # hexadecimal digits of one


class Seen(NamedTuple):
    """A place. at: how many instructions were executed; registers: the answer to g; stack: the digits of the memory from
    stack_at on; also: the answers to other packets."""

    at: int
    registers: bytes
    stack_at: int
    stack: bytes
    also: Mapping[bytes, bytes]

    @property
    def pc(self) -> int:
        """The address of the next instruction."""
        return _register(self.registers, _PC)

    def answer(self, packet: bytes) -> bytes | None:
        """What a stub would say there to g, p or m; None where that is not known."""
        if packet == b"g":
            return self.registers
        if packet in self.also:
            return self.also[packet]
        try:
            if packet[:1] == b"p" and (number := int(packet[1:], 16)) <= _PC:
                return self.registers[number * _REGISTER:(number + 1) * _REGISTER]
            if packet[:1] == b"m":
                at, length = (int(word, 16) for word in packet[1:].split(b","))
                start, end = 2 * (at - self.stack_at), 2 * (at - self.stack_at + length)
                return self.stack[start:end] if 0 <= start < end <= len(self.stack) else None
        except ValueError:
            pass
        return None


def is_kept(packet: bytes) -> bool:
    """Whether the answer to a packet can be kept: it is one register, or not much memory."""
    return _KEPT.fullmatch(packet) is not None


def look(place: Place, also: Iterable[bytes] = ()) -> Seen:
    """What is kept of the place where a machine stands. also: packets that GDB may ask there besides."""
    registers = place.ask(b"g")
    stack_at = _register(registers, _SP) & -_LINE
    stack = place.ask(b"m%x,%x" % (stack_at, _LINE * _LINES))
    return Seen(place.count, registers, stack_at, stack if len(stack) == 2 * _LINE * _LINES else b"",
                {packet: place.ask(packet) for packet in also})


def _register(registers: bytes, number: int) -> int:
    return int.from_bytes(bytes.fromhex(registers[number * _REGISTER:(number + 1) * _REGISTER].decode()), "little")

"""Which function of a kernel moves the end of a process's memory, by its code."""

from __future__ import annotations

import struct

import pytest

from machine import BASE, CHAR, WORD, fields
from shrimpy.kernel.debuginfo import DebugInfo
from shrimpy.memory.elf import Range
from shrimpy.kernel.growth import lazy_mover, movers
from shrimpy.memory.readers import PAGE, BytesReader

SYS_SBRK, GROWPROC, HELPER, FAR = BASE + 0x100, BASE + 0x200, BASE + 0x300, BASE + 0x800
NOP = struct.pack("<I", 0x13)
SD = struct.pack("<I", 0x04B7B423)              # sd a1, 72(a5)... the offset is struct proc's sz
C_SD = struct.pack("<H", 0xE7AC)                # c.sd a1, 72(a5)
LOCAL = struct.pack("<I", 0x04B43423)           # sd a1, 72(s0): a local variable


def jal(at: int, to: int) -> bytes:
    offset = to - at & 0x1FFFFF
    return struct.pack("<I", (offset >> 20 & 1) << 31 | (offset >> 1 & 0x3FF) << 21 | (offset >> 11 & 1) << 20
                       | (offset >> 12 & 0xFF) << 12 | 0xEF)


def auipc_jalr(at: int, to: int) -> bytes:
    offset = to - at
    high = offset + 0x800 & 0xFFFFF000
    return struct.pack("<II", high | 0x317, (offset - high & 0xFFF) << 20 | 0x300E7)


def c_j(at: int, to: int) -> bytes:
    offset = to - at
    places = (5, 1, 2, 3, 7, 6, 10, 8, 9, 4, 11)
    return struct.pack("<H", 5 << 13 | 1 | sum((offset >> place & 1) << 2 + i for i, place in enumerate(places)))


def kernel(code: dict) -> tuple:
    ram = bytearray(PAGE)
    for at, parts in code.items():
        put = b"".join(parts)
        ram[at - BASE:at - BASE + len(put)] = put
    names = {SYS_SBRK: "sys_sbrk", GROWPROC: "growproc", HELPER: "growlazily", FAR: "far"}
    return BytesReader(bytes(ram)), DebugInfo(
        structs={"proc": fields(("name", 0, CHAR), ("sz", 72, WORD))},
        functions=tuple(Range(at, 0x80, name) for at, name in names.items()))


@pytest.mark.parametrize("store", [SD, C_SD])
def test_the_system_call_itself_may_move_the_end(store):
    made = kernel({SYS_SBRK: [NOP, jal(SYS_SBRK + 4, GROWPROC), store], GROWPROC: [store]})
    assert movers(*made) == ("sys_sbrk", "growproc") and lazy_mover(*made) == "sys_sbrk"


@pytest.mark.parametrize("call", [jal, auipc_jalr, c_j])
def test_what_it_calls_may_move_it(call):
    made = kernel({SYS_SBRK: [LOCAL, call(SYS_SBRK + 4, HELPER)], HELPER: [C_SD]})
    assert lazy_mover(*made) == "growlazily"


def test_growproc_moves_it_where_nothing_else_does():
    made = kernel({SYS_SBRK: [jal(SYS_SBRK, GROWPROC)], GROWPROC: [LOCAL, SD], FAR: [SD]})
    assert movers(*made) == ("growproc",) and lazy_mover(*made) == "growproc"


def test_a_kernel_of_which_no_code_is_known_has_none():
    assert lazy_mover(*kernel({})) is None and lazy_mover(BytesReader(bytes(PAGE)), DebugInfo()) is None

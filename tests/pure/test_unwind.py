"""Who called, at every instruction of a function."""

from __future__ import annotations

import pytest

from shrimpy.kernel import stacks, unwind
from shrimpy.kernel.cnames import OUTERMOST, outermost
from shrimpy.kernel.debuginfo import DebugInfo
from shrimpy.memory.elf import Range

START, SP, RA, FP = 0x100, 0x3fe0, 0xabc, 0x3ff0

# (bytes, what it does), of a function with a frame of 16 bytes, as whole instructions and as compressed ones.
WHOLE = [(0xff010113, "take"), (0x00113423, "save ra"), (0x00813023, "save fp"), (0x01010413, "set fp"), (0x00000013, "nop"),
         (0x00813083, "load ra"), (0x00013403, "load fp"), (0x01010113, "give"), (0x00008067, "ret")]
SHORT = [(0x1141, "take"), (0xe406, "save ra"), (0xe022, "save fp"), (0x0800, "set fp"), (0x0001, "nop"),
         (0x60a2, "load ra"), (0x6402, "load fp"), (0x0141, "give"), (0x8082, "ret")]


def machine(steps: list[tuple[int, str]]):
    """(the code, for each instruction: its address, and ra, sp, fp and memory before it)"""
    code, states = b"", []
    ra, sp, fp = RA, SP, FP
    memory: dict[int, int] = {}
    for word, what in steps:
        states.append((START + len(code), ra, sp, fp, dict(memory)))
        code += word.to_bytes(4 if word & 3 == 3 else 2, "little")
        if what == "take":
            sp -= 16
        elif what == "give":
            sp += 16
        elif what == "save ra":
            memory[sp + 8] = ra
        elif what == "save fp":
            memory[sp] = fp
        elif what == "set fp":
            fp = sp + 16
        elif what == "nop":
            ra = 0x555          # a call came back here
        elif what == "load ra":
            ra = memory[sp + 8]
        elif what == "load fp":
            fp = memory[sp]
    return code, states


@pytest.mark.parametrize("steps", [WHOLE, SHORT], ids=["whole", "compressed"])
def test_the_caller_is_the_same_at_every_instruction(steps):
    code, states = machine(steps)
    assert len(states) == 9
    for pc, ra, sp, fp, memory in states:
        assert unwind.caller(code, START, pc, ra, sp, fp, memory.get) == unwind.Caller(RA, SP, FP), hex(pc)


def test_a_stub_without_a_frame_goes_back_by_ra():
    code = b"".join(word.to_bytes(n, "little") for word, n in ((0x4885, 2), (0x00000073, 4), (0x8082, 2)))   # li; ecall; ret
    for pc in (START, START + 2, START + 6):
        assert unwind.caller(code, START, pc, RA, SP, FP, lambda va: None) == unwind.Caller(RA, SP, FP)


def test_a_large_frame():
    steps = [(0x7139, "c.addi16sp sp, -64"), (0xfc06, "c.sdsp ra, 56(sp)"), (0xf822, "c.sdsp s0, 48(sp)"), (0x0080, "addi4spn s0, 64")]
    code = b"".join(word.to_bytes(2, "little") for word, _ in steps)
    assert unwind.made(code, START, START + 8) == (64, {1: 56, 8: 48}, True)
    assert unwind.made(code, START, START + 2) == (64, {}, False)


def test_memory_that_is_not_there_is_no_caller():
    code, _ = machine(WHOLE)
    assert unwind.caller(code, START, START + 16, RA, SP - 16, SP, lambda va: None) is None


def test_sepc_and_where_it_is_kept():
    code = b"".join(word.to_bytes(4, "little") for word in (0xf7010113, 0x141022f3, 0x08513423, 0x000780e7))
    assert unwind.reads_sepc(code, START) == START + 4      # csrr t0, sepc
    assert unwind.copy_of_sepc(code, START, START + 12) == 136
    assert unwind.copy_of_sepc(code, START, START + 8) is None
    assert unwind.after_jump(code, START) == START + 16     # jalr a5


@pytest.mark.parametrize("code", [b"", b"\xff", b"\xff\xff", b"\x13\x01", bytes(64), b"\xff" * 64])
def test_nonsense_ends(code):
    assert unwind.caller(code, START, START + 32, RA, SP, FP, lambda va: 0) is not None


def test_stores_of_integers_that_are_not_to_the_own_frame():
    code = b"".join(word.to_bytes(4 if word & 3 == 3 else 2, "little") for word in (
        0xcc9c,         # sw a5,24(s1)
        0x04a93823,     # sd a0,80(s2)
        0xe406,         # sd ra,8(sp)
        0xfef42623,     # sw a5,-20(s0)
        0x00a581a3,     # sb a0,3(a1)
        0xac88,         # fsd fa0,24(s1)
        0xdf7c,         # sw a5,124(a4)
        0xff7c,         # sd a5,248(a4)
        0x4c9c,         # lw a5,24(s1)
        0x7e02afa3))    # sw zero,2047(t0)
    assert list(stacks.stores(code)) == [(2, 9, 24, 4), (6, 18, 80, 8), (12, 8, -20, 4), (16, 11, 3, 1), (20, 14, 124, 4),
                                         (22, 14, 248, 8), (28, 5, 2047, 4)]
    assert list(stacks.stores(code[:-1]))[-1] == (22, 14, 248, 8), "cut off"


def test_a_function_that_is_called_as_the_first_one_is_begins_no_stack():
    functions = tuple(Range(0x80000000 + 16 * at, 16, name) for at, name in enumerate(("_entry", "start", "main", "fork", "start")))
    assert outermost(DebugInfo(functions=functions)) == OUTERMOST - {"start"} and outermost(DebugInfo()) == OUTERMOST

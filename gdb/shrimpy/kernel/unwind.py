"""Who called, by what a function's instructions do to its stack.

For code that says no more about itself: user programs that run on another
page table than the one in use, and assembly. As much of RISC-V is decoded as
a compiler's prologues and epilogues are made of (Unprivileged, chapters 2 and
16; calling convention of the psABI).
"""

from __future__ import annotations

from typing import Callable, Dict, Iterator, NamedTuple, Optional, Tuple

from ..memory import riscv

RA, SP, FP = 1, 2, 8

_MOST_INSTRUCTIONS = 256        # of a function, until its frame is made
_LONGEST_EPILOGUE = 24
_WORD = (1 << 64) - 1
_CSRR_SEPC = 0x14102073         # csrr x0, sepc
_SRET = 0x10200073
_MRET = 0x30200073


class Instruction(NamedTuple):
    """kind: "sp" (adds `value` to sp), "fp" (sets s0 to sp + `value`), "save"
    and "restore" (`register` at sp + `value`), "ret", "jump" (anything else
    that goes elsewhere), "sepc" (reads it), "" (what does none of these)."""

    address: int
    size: int                   # bytes
    kind: str
    register: int = 0
    value: int = 0


class Caller(NamedTuple):
    """What a function returns to."""

    pc: int
    sp: int
    fp: int


def instructions(code: bytes, start: int, at: int) -> Iterator[Instruction]:
    """The instructions from `at` on, of `code`, which begins at `start`."""
    if at < start:
        return
    for offset, bits, n in riscv.instructions(code, at - start):
        yield Instruction(start + offset, n, *(_compressed(bits) if n == 2 else _whole(bits)))


def caller(code: bytes, start: int, pc: int, ra: int, sp: int, fp: int,
           word: Callable[[int], Optional[int]]) -> Optional[Caller]:
    """Where the function that begins at `start` goes back to from `pc`.

    code: the function's. ra, sp, fp: the registers at pc. word: the word at a
    virtual address, None where there is none. None: the stack does not say.
    """
    size, saved, has_fp = made(code, start, pc)
    leaving = _left(code, start, pc)
    if leaving is not None:
        size, saved = leaving
        base = sp
    else:
        base = (fp if has_fp else sp + size) - size
    found = {RA: ra, FP: fp}
    for register in found:
        if register in saved:
            there = word(base + saved[register] & _WORD)
            if there is None:
                return None
            found[register] = there
    return Caller(found[RA], base + size & _WORD, found[FP])


def made(code: bytes, start: int, pc: int) -> Tuple[int, Dict[int, int], bool]:
    """(the bytes that the function has taken of the stack before pc, register
    -> where it has been saved above sp, whether s0 points to the frame's end)."""
    size, has_fp = 0, False
    saved: Dict[int, int] = {}
    for count, one in enumerate(instructions(code, start, start)):
        if one.address >= pc or one.kind in ("jump", "ret") or count > _MOST_INSTRUCTIONS:
            break
        if one.kind == "sp":
            size -= one.value
        elif one.kind == "save":
            saved.setdefault(one.register, one.value)
        elif one.kind == "fp":
            has_fp = one.value == size
    return size, saved, has_fp


def _left(code: bytes, start: int, pc: int) -> Optional[Tuple[int, Dict[int, int]]]:
    """When only an epilogue is left from pc on: (the bytes that it gives back,
    register -> where above sp it takes that from)."""
    size = 0
    saved: Dict[int, int] = {}
    for count, one in enumerate(instructions(code, start, pc)):
        if one.kind == "ret":
            return size, saved
        if one.kind == "sp":
            size += one.value
        elif one.kind == "restore":
            saved[one.register] = one.value + size
        else:
            return None
        if count > _LONGEST_EPILOGUE:
            break
    return None


def taken(code: bytes, start: int, pc: int) -> int:
    """The bytes of the stack that a function without branches still holds at pc, calls that have returned included."""
    return -sum(one.value for one in instructions(code, start, start) if one.kind == "sp" and one.address < pc)


def reads_sepc(code: bytes, start: int) -> Optional[int]:
    """Where a function first reads sepc, or None."""
    return next((one.address for one in instructions(code, start, start) if one.kind == "sepc"), None)


def copy_of_sepc(code: bytes, start: int, pc: int) -> Optional[int]:
    """How far above sp the function has kept sepc before pc, or None."""
    register = None
    for one in instructions(code, start, start):
        if one.address >= pc:
            break
        if one.kind == "sepc":
            register = one.register
        elif one.kind == "save" and one.register == register:
            return one.value
    return None


def after_jump(code: bytes, start: int) -> Optional[int]:
    """The address after the first instruction that goes elsewhere by a register."""
    return next((one.address + one.size for one in instructions(code, start, start)
                 if one.kind == "jump" and one.value), None)


def has_sret(code: bytes, start: int, end: int) -> bool:
    """Whether the code in [start, end) returns from a trap."""
    return any(code[at:at + 4] == _SRET.to_bytes(4, "little") for at in range(0, min(end - start, len(code)), 2))


def is_machine_vector(code: bytes) -> bool:
    """Whether a function is entered by a trap to machine mode: it begins by swapping a register with mscratch, as
    whoever has no stack of its own must (Privileged 3.1.13), and returns by mret."""
    first = int.from_bytes(code[:4], "little")
    is_swap = first & 0x7F == 0x73 and first >> 12 & 7 == 1 and first >> 20 == 0x340 and first >> 7 & 31 == first >> 15 & 31
    return is_swap and any(code[at:at + 4] == _MRET.to_bytes(4, "little") for at in range(0, len(code), 2))


def _whole(word: int) -> Tuple[str, int, int]:
    """(kind, register, value) of a 32-bit instruction."""
    opcode, rd, funct3, rs1, rs2 = word & 127, word >> 7 & 31, word >> 12 & 7, word >> 15 & 31, word >> 20 & 31
    if opcode == 0x13 and funct3 == 0 and rs1 == SP and rd in (SP, FP):
        return ("sp" if rd == SP else "fp", rd, riscv.signed(word >> 20, 12))
    if opcode == 0x23 and funct3 == 3 and rs1 == SP:
        return "save", rs2, riscv.signed(word >> 25 << 5 | rd, 12)
    if opcode == 0x03 and funct3 == 3 and rs1 == SP:
        return "restore", rd, riscv.signed(word >> 20, 12)
    if opcode == 0x67:
        return ("ret", 0, 0) if rd == 0 and rs1 == RA and not word >> 20 else ("jump", rs1, 1)
    if opcode in (0x63, 0x6f):
        return "jump", 0, 0
    if word & ~0xf80 == _CSRR_SEPC:
        return "sepc", rd, 0
    return ("jump", 0, 0) if word == _SRET else ("", 0, 0)


def _compressed(half: int) -> Tuple[str, int, int]:
    """(kind, register, value) of a 16-bit instruction."""
    def bits(*places: Tuple[int, int, int]) -> int:
        """The number that is made of (lowest bit there, how many, lowest bit here)."""
        return sum((half >> there & (1 << n) - 1) << here for there, n, here in places)
    kind, rd, rs2 = half & 3, half >> 7 & 31, half >> 2 & 31
    funct3 = half >> 13
    if kind == 0 and funct3 == 0 and half:
        value = bits((11, 2, 4), (7, 4, 6), (6, 1, 2), (5, 1, 3))
        return ("fp", FP, value) if half >> 2 & 7 == 0 else ("", 0, 0)
    if kind == 1:
        if funct3 == 0 and rd == SP:
            return "sp", SP, riscv.signed(bits((12, 1, 5), (2, 5, 0)), 6)
        if funct3 == 3 and rd == SP:
            return "sp", SP, riscv.signed(bits((12, 1, 9), (6, 1, 4), (5, 1, 6), (3, 2, 7), (2, 1, 5)), 10)
        return ("jump", 0, 0) if funct3 >= 5 else ("", 0, 0)
    if kind == 2:
        if funct3 == 7:
            return "save", rs2, bits((10, 3, 3), (7, 3, 6))
        if funct3 == 3:
            return "restore", rd, bits((12, 1, 5), (5, 2, 3), (2, 3, 6))
        if funct3 == 4 and rs2 == 0 and rd:
            return ("ret", 0, 0) if rd == RA and not half >> 12 & 1 else ("jump", rd, 1)
    return "", 0, 0

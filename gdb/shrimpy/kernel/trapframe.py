"""A struct trapframe in memory: what a trap saved of a user program."""

from __future__ import annotations

from typing import Dict, Tuple

from .debuginfo import DebugInfo

BYTES = 512
"""As much of its page as is read."""

NAMES = ("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7",
         "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6")
"""Of the registers, by number (ELF psABI, "Integer Register Convention")."""

_FIRST_SAVED = 40               # of ra in a struct trapframe whose fields nobody names
_EPC = 24


def registers(page: bytes, info: DebugInfo) -> Tuple[int, Dict[int, int]]:
    """(the user program's pc, its registers by number) of a trapframe's page."""

    def word(usual: int, *names: str) -> int:
        field = info.field("trapframe", *names)
        at = field.offset if field else usual
        return int.from_bytes(page[at:at + 8], "little")
    saved = {number: word(_FIRST_SAVED + 8 * number - 8, name, *(("fp",) if name == "s0" else ()))
             for number, name in enumerate(NAMES) if number}
    return word(_EPC, "epc"), saved

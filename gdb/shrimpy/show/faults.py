"""What xv6-fault says of a Fault."""

from __future__ import annotations

from typing import Dict, Optional

from ..kernel.trapframe import NAMES
from ..memory import sv39
from ..snapshot.fault import ECALL, INTERRUPT, Fault, Instruction, Near
from ..snapshot.model import Place
from .text import Painter

CAUSES: Dict[int, str] = {
    0: "instruction address misaligned", 1: "instruction access fault", 2: "illegal instruction", 3: "breakpoint",
    4: "load address misaligned", 5: "load access fault", 6: "store/AMO address misaligned", 7: "store/AMO access fault",
    8: "environment call from user mode", 9: "environment call from supervisor mode", 12: "instruction page fault",
    13: "load page fault", 15: "store/AMO page fault", 18: "software check", 19: "hardware error",
    INTERRUPT | 1: "supervisor software interrupt", INTERRUPT | 5: "supervisor timer interrupt",
    INTERRUPT | 9: "supervisor external interrupt", INTERRUPT | 13: "counter overflow interrupt"}
"""scause in words (Privileged, table 4.2)."""

_BROKEN: Dict[str, str] = {
    "no-address": "bits 63 to 39 do not all equal bit 38: no such Sv39 address",
    "unreadable": "level {level}: the table is outside RAM",
    "not-valid": "level {level}: V is clear: nothing is mapped there",
    "reserved": "level {level}: reserved bits are set",
    "w-without-r": "level {level}: W without R",
    "misaligned": "level {level}: a superpage that is not aligned",
    "pointer": "level 0: a pointer (R, W and X are clear) where only a leaf may be",
}

_RIGHTS: Dict[str, str] = {
    "U": "U is clear: the page is not for user mode", "-U": "U is set: the supervisor may not go there (sstatus.SUM is clear)",
    "R": "R is clear: it may not be read", "W": "W is clear: it may not be written", "X": "X is clear: it may not be executed",
}

_NEAR: Dict[str, str] = {
    "null": "page 0: a null pointer, with an offset where it is not 0",
    "beyond": "no address that a user program can have: beyond MAXVA",
    "region": "it is in {region}",
    "shared": "it is where {region} would be, and this process has none",
    "hole": "it is below the end of the heap (sz), but nothing is mapped: memory that was unmapped, or not allocated at the first touch",
    "stack-guard": "the page below the kernel stack of pid {pid}: that stack is full",
    "ram": "it is an address in RAM: the kernel's, which a user program's table does not have",
    "between": "{n} above the end of {region}, the last that is mapped below it",
    "nothing": "nothing is mapped below it",
    "above-heap": "{n} above the end of the heap (sz): an array or a pointer went past it, or sbrk was not called",
}

_REGIONS: Dict[str, str] = {
    "guard": "the guard page below the stack: the stack is full",
    "text": "text, the program's code",
    "trapframe": "the trapframe, which is the kernel's",
    "trampoline": "the trampoline, which is the kernel's",
}

_FILLINGS: Dict[str, str] = {"freed": "0x01, with which kfree fills a frame: it was read from memory that had been freed",
                             "fresh": "0x05, with which kalloc fills a frame: it was read from memory that nobody had written"}


def fault(found: Fault, walk: Optional[sv39.Translation], who: str, paint: Painter) -> str:
    """All that is known, a line each, the answer first."""
    lines = [paint("title" if found.cause is None else "bad", f"{who}: {_title(found)}"), f"  at        {_place(found)}"]
    if found.cause is None and found.why == "none":
        lines.append("  nothing   the instruction there may do what it does: it was interrupted, or is in a system call")
        return "\n".join(lines) + "\n"
    if found.ra is not None and found.caller.function:
        lines.append(f"  from      {_where(found.ra, found.caller)}, as ra has it")
    if found.instruction is not None:
        lines.append(f"  does      {_instruction(found.instruction)}")
    if walk is not None:
        lines += [f"  walk      level {s.level} entry {s.index} at {s.pte_at:#x}: {s.text}" for s in walk.steps]
    if found.va is not None:
        lines.append(f"  why       {_why(found)}")
    if found.near is not None:
        lines.append(f"  near      {near(found.near)}")
    if found.is_free:
        lines.append(f"  frame     {found.pa & -4096 if found.pa else 0:#x} is on a free list")
    if found.known_by == "instruction":
        lines.append("  known by  the instruction and the page table: scause is not kept")
    return "\n".join(lines) + "\n"


def cause(number: Optional[int]) -> str:
    """scause in words."""
    if number is None:
        return "no fault"
    code = number & ~INTERRUPT
    return CAUSES.get(number, f"{'interrupt' if number & INTERRUPT else 'exception'} {code}")


def _title(found: Fault) -> str:
    if found.cause is None:
        return "no fault"
    said = f"{cause(found.cause)} (scause {found.cause:#x})"
    if found.cause in (ECALL, ECALL + 1):
        return f"{said}: a system call, no fault"
    return said if found.va is None else f"{said}, address {found.va:#x}"


def _place(found: Fault) -> str:
    return f"pc {_where(found.pc, found.place)}" + ("" if found.mode == "U" else " (in the kernel)")


def _where(pc: int, place: Place) -> str:
    where = f"{pc:#x}" + (f" in {place.function}" if place.function else "") + (f", {place.file}:{place.line}" if place.file else "")
    return where + (f": {place.source}" if place.source else "")


def _instruction(one: Instruction) -> str:
    kind = {"load": "reads", "store": "writes", "amo": "reads and writes"}[one.kind]
    at = f"{NAMES[one.base]} {'+' if one.offset >= 0 else '-'} {abs(one.offset)}"
    return f"{kind} {one.n_bytes} byte{'s' * (one.n_bytes > 1)} at {at}" + ("" if one.at is None else f" = {one.at:#x}")


def _why(found: Fault) -> str:
    if found.why == "walk":
        return _BROKEN[found.broken or "not-valid"].format(level=found.level)
    if found.why == "right":
        return f"level {found.level}: {_RIGHTS[found.right or 'R']}"
    return "the entry allows it now: it was changed since, or the TLB still had the one before"


def near(one: Near) -> str:
    """What is at the address, or next to it."""
    if one.kind == "filling":
        return f"no address, but bytes of {_FILLINGS[one.region or 'freed']}"
    if one.kind == "region" and one.region in _REGIONS:
        return _REGIONS[one.region]
    return _NEAR[one.kind].format(region=(one.region or "").upper() if one.kind == "shared" else one.region, pid=one.pid,
                                  n=_bytes(one.n_bytes))


def _bytes(n: Optional[int]) -> str:
    if n is None:
        return ""
    return f"{n} byte{'s' * (n != 1)}" if n < 1 << 16 else f"{n:#x} bytes"


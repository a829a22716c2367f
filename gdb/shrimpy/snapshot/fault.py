"""Why an access to memory faulted: the cause, the walk to where it breaks, the right that is missing, what is near.

Pure: registers come from who knows them. Of a trap whose scause nobody has kept (of a core, or of a process that was put
aside) the cause is what the instruction there would run into by the page table.
"""

from __future__ import annotations

from typing import Mapping as Map, NamedTuple, Optional, Tuple

from ..memory import riscv, sv39
from ..memory.readers import PAGE, Reader, ReadError
from ..records import address, one, record
from .index import Index
from .model import KernelTable, Mapping, Place, Process, Snapshot

FETCH, LOAD, STORE = 12, 13, 15
"""Page faults (Privileged, table 4.2: values of scause)."""

ILLEGAL, BREAKPOINT, ECALL = 2, 3, 8

INTERRUPT = 1 << 63
"""scause's highest bit."""

_ACCESS = {0: "execute", 1: "execute", FETCH: "execute", 4: "read", 5: "read", LOAD: "read", 6: "write", 7: "write", STORE: "write"}

_ABOVE_HEAP = 64 * PAGE         # what is so near the heap's end has run over it

FILLINGS = ((0x0101, "freed"), (0x0505, "fresh"))
"""What xv6's kfree and kalloc fill frames with, twice; whose bytes an address is, was read from such a frame."""


class Trap(NamedTuple):
    """What is known of a trap. user: from user mode; registers: by number, of what was interrupted; cause, value: scause and
    stval, None where they are not kept."""

    user: bool
    pc: int
    registers: Map[int, int]
    cause: Optional[int] = None
    value: Optional[int] = None


@record
class Instruction:
    """What an instruction reads or writes: `kind` of riscv.Access, `at` where, by the registers, None where one is not known."""

    kind: str
    n_bytes: int
    base: int
    offset: int
    at: Optional[int] = address(default=None)


@record
class Near:
    """What is at an address, or next to it.

    kind: "filling" (no address, but the bytes that a freed or fresh frame is filled with: `region` is which), "null" (in
    page 0), "beyond" (no address of Sv39's lower half), "region" (it is in `region`), "shared" (`region` is where
    FRY or SHRIMP would be), "above-heap" (`n_bytes` above the end of the heap), "hole" (below that end, and not mapped),
    "stack-guard" (in the page below the kernel stack of `pid`), "ram" (RAM, whose addresses are the kernel's), "between"
    (`n_bytes` above the end of `region`), "nothing".
    """

    kind: str
    region: Optional[str] = None
    n_bytes: Optional[int] = None
    pid: Optional[int] = None


@record
class Fault:
    """Why the instruction at `pc` faulted.

    cause: scause; known_by: "scause" or "instruction" (nobody has kept scause; cause None: it would not fault). why: "walk"
    (it breaks at `level`: how, says `broken`), "right" (the leaf lacks `right`, a letter; "-U": it has U, and the supervisor
    may not go there), "none" (the entry allows it now), "not-memory" (an exception that is not about memory), "interrupt".
    broken: "no-address" "unreadable" "not-valid" "reserved" "w-without-r" "misaligned" "pointer".
    """

    mode: str
    pid: Optional[int]
    pc: int = address()
    cause: Optional[int] = None
    known_by: str = "scause"
    va: Optional[int] = address(default=None)
    access: Optional[str] = None        # "read" "write" "execute"
    instruction: Optional[Instruction] = one(Instruction, default=None)
    why: str = "none"
    broken: Optional[str] = None
    level: Optional[int] = None
    right: Optional[str] = None
    pa: Optional[int] = address(default=None)
    is_free: bool = False               # the frame there is on a free list
    near: Optional[Near] = one(Near, default=None)
    place: Place = one(Place, default=Place())
    ra: Optional[int] = address(default=None)       # of a fetch: what was to be returned to, so who jumped there
    caller: Place = one(Place, default=Place())


def examine(reader: Reader, taken: Snapshot, process: Optional[Process], trap: Trap, root: Optional[int]
            ) -> Tuple[Fault, Optional[sv39.Translation]]:
    """(why it faulted, the walk of the address). process: whose table is walked, None for the kernel's; root: that table's."""
    instruction = _instruction(reader, root, trap)
    cause, known_by = trap.cause, "scause"
    if cause is None:
        cause, known_by = _deduced(reader, root, trap, instruction), "instruction"
    access = _ACCESS.get(cause) if cause is not None else None
    pid = process.pid if process else None
    if cause is None or access is None:
        why = "none" if cause is None else "interrupt" if cause & INTERRUPT else "not-memory"
        return Fault("U" if trap.user else "S", pid, trap.pc, cause, known_by, None, None, instruction, why), None
    va = _address(trap, access, instruction)
    if va is None:
        return Fault("U" if trap.user else "S", pid, trap.pc, cause, known_by, None, access, instruction), None
    walk = sv39.translate(reader, root, va, taken.layout.rsw) if root is not None else None
    why, broken, level, right = _why(walk, access, trap.user)
    pa = walk.pa if walk else None
    return Fault("U" if trap.user else "S", pid, trap.pc, cause, known_by, va, access, instruction, why, broken, level, right, pa,
                 pa is not None and Index(taken).is_free(pa & -PAGE), near(va, taken, process),
                 ra=trap.registers.get(1) if access == "execute" else None), walk


def _instruction(reader: Reader, root: Optional[int], trap: Trap) -> Optional[Instruction]:
    bits = code_at(reader, root, trap.pc)
    found = riscv.access(bits) if bits is not None else None
    if found is None:
        return None
    base = 0 if found.base == 0 else trap.registers.get(found.base)
    at = None if base is None else base + found.offset & (1 << 64) - 1
    return Instruction(found.kind, found.n_bytes, found.base, found.offset, at)


def code_at(reader: Reader, root: Optional[int], pc: int) -> Optional[int]:
    """The bits of the instruction at a virtual address; None where there is none."""
    def half(va: int) -> int:
        pa = va if root is None else sv39.translate(reader, root, va).pa
        if pa is None:
            raise ReadError(f"{va:#x} is not mapped")
        return int.from_bytes(reader.read(pa, 2), "little")
    try:
        first = half(pc)
        return first if riscv.length(first & 0xFF) == 2 else first | half(pc + 2) << 16
    except ReadError:
        return None


def _deduced(reader: Reader, root: Optional[int], trap: Trap, instruction: Optional[Instruction]) -> Optional[int]:
    """The cause that the instruction would have now; None where it would have none."""
    if root is None:
        return None
    if _refused(reader, root, trap.pc, "execute", trap.user):
        return FETCH
    bits = code_at(reader, root, trap.pc)
    if bits in (0, 0xFFFFFFFF):
        return ILLEGAL
    if bits in (0x100073, 0x9002):
        return BREAKPOINT
    if instruction is None or instruction.at is None:
        return None
    if instruction.kind != "load" and _refused(reader, root, instruction.at, "write", trap.user):
        return STORE
    return LOAD if instruction.kind == "load" and _refused(reader, root, instruction.at, "read", trap.user) else None


def _refused(reader: Reader, root: int, va: int, access: str, user: bool) -> bool:
    return _why(sv39.translate(reader, root, va), access, user)[0] != "none"


def _address(trap: Trap, access: str, instruction: Optional[Instruction]) -> Optional[int]:
    if trap.cause is not None and trap.value is not None:
        return trap.value
    return trap.pc if access == "execute" else instruction.at if instruction else None


def _why(walk: Optional[sv39.Translation], access: str, user: bool) -> Tuple[str, Optional[str], Optional[int], Optional[str]]:
    """(why, broken, level, right) as Fault has them."""
    if walk is None:
        return "none", None, None, None
    if walk.pte is None:
        return ("walk", *_broken(walk), None)
    pte = walk.pte
    if sv39.refusal(pte, access, user) is None:
        return "none", None, walk.level, None
    if user != bool(pte & sv39.U):
        return "right", None, walk.level, "U" if user else "-U"
    return "right", None, walk.level, {"read": "R", "write": "W", "execute": "X"}[access]


def _broken(walk: sv39.Translation) -> Tuple[str, Optional[int]]:
    """How a walk that found no leaf ended, and at which level (Privileged, 4.3.2, steps 2 to 6)."""
    if not walk.steps:
        return ("unreadable", 2) if sv39.canonical(walk.va) == walk.va else ("no-address", None)
    last = walk.steps[-1]
    if not last.pte & sv39.V:
        return "not-valid", last.level
    if last.pte & sv39.RESERVED:
        return "reserved", last.level
    if last.pte & (sv39.R | sv39.W) == sv39.W:
        return "w-without-r", last.level
    if last.pte & (sv39.R | sv39.X):
        return "misaligned", last.level
    return ("pointer", 0) if last.level == 0 else ("unreadable", last.level - 1)


def near(va: int, taken: Snapshot, process: Optional[Process]) -> Near:
    """What is at an address of a process, or without one of the kernel, or next to it."""
    layout = taken.layout
    if va < PAGE:
        return Near("null")
    owner = process or taken.kernel_table
    there = next((m for m in owner.mappings if m.va <= va < _end(m)), None)
    if there is not None:
        return Near("region", there.region)
    filling = next((name for twice, name in FILLINGS if _is_filled(va, twice)), None)
    if filling is not None:
        return Near("filling", filling)
    if va >= layout.maxva:
        return Near("beyond")
    return _near_process(va, taken, process) if process else _near_kernel(va, taken)


def _is_filled(va: int, twice: int) -> bool:
    """Whether an address is a word or half a word of a filling, but for what an index added to it."""
    word = twice << 16 | twice
    return min(abs(va - word), abs(va - (word << 32 | word))) < PAGE


def _near_process(va: int, taken: Snapshot, process: Process) -> Near:
    layout, page, end = taken.layout, va & -PAGE, process.sz + PAGE - 1 & -PAGE
    shared = {layout.fry: "fry", layout.shrimp: "shrimp"}.get(page)
    if shared:
        return Near("shared", shared)
    if va < process.sz:
        return Near("hole")
    if va < end + _ABOVE_HEAP:
        return Near("above-heap", None, va - process.sz)
    if layout.ram_base <= va < layout.ram_end:
        return Near("ram")
    return _above(va, process)


def _near_kernel(va: int, taken: Snapshot) -> Near:
    page = va & -PAGE
    for process in taken.processes:
        if process.kstack and page == process.kstack - PAGE:
            return Near("stack-guard", None, None, process.pid)
    return _above(va, taken.kernel_table)


def _above(va: int, owner: "Process | KernelTable") -> Near:
    below = max((m for m in owner.mappings if _end(m) <= va), key=_end, default=None)
    return Near("nothing") if below is None else Near("between", below.region, va - _end(below))


def _end(m: Mapping) -> int:
    return m.va + m.n_pages * PAGE

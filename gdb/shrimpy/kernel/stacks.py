"""The functions on a kernel stack, and their arguments, from machine code alone.

A function's code says where it keeps what its caller needs: each path through it
is followed with values that have names instead of numbers, until the place is
reached where it stands. So neither frame pointers nor debugging information are
needed, and a trap from the kernel is one more caller: the vector's code says
where it saved which register, kerneltrap's where sepc is.

Sources: RISC-V Unprivileged, chapters 2 and 28 (C); ELF psABI, "Integer Register
Convention" and "Frame Pointer Convention".
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..memory.readers import PAGE, Reader, ReadError
from ..memory import riscv
from ..memory.elf import Range
from .cnames import outermost
from .debuginfo import DebugInfo

RA, SP, FP, A0 = 1, 2, 8, 10
CSR = 0x1000
"""A CSR's number plus this is its key among the registers."""
SEPC, MEPC, SSCRATCH, MSCRATCH = CSR + 0x141, CSR + 0x341, CSR + 0x140, CSR + 0x340
SCAUSE, STVAL = CSR + 0x142, CSR + 0x143

REGISTERS = {RA: "ra", SP: "sp", 3: "gp", 4: "tp", 5: "t0", 6: "t1", 7: "t2", FP: "fp", 9: "s1",
             **{10 + i: f"a{i}" for i in range(8)}, **{16 + i: f"s{i}" for i in range(2, 12)},
             **{25 + i: f"t{i}" for i in range(3, 7)},
             SEPC: "sepc", MEPC: "mepc", SSCRATCH: "sscratch", MSCRATCH: "mscratch"}
"""What GDB calls each register that a stack is followed with."""

_SLOT = 0x100000        # plus an offset from the function's first sp: 8 bytes of its frame
_FROM_SLOT = _SLOT - 0x80000
_SAVED = frozenset((SP, FP, 9, *range(18, 28)))
_LOST = tuple(r for r in range(1, 32) if r not in _SAVED and r not in (3, 4))

_MAX_CODE = 1 << 16     # bytes of a function that are followed
_MAX_STEPS = 1 << 15
_MAX_CALLS = 64
_MAX_JUMPS = 4          # from function to function, of which none is on the stack
_WORD = (1 << 64) - 1

Value = Tuple[Any, ...]
"""("entry", key): what a register or slot had at the function's first instruction; ("sp", n):
its first sp + n; ("pc", n): the function's address + n; ("const", n); ("def", place, key): what an
instruction gave; ("join", place, key): one of several."""

State = Dict[int, Value]
Registers = Dict[int, int]
StackAt = Callable[[int], Optional[Tuple[int, int]]]
"""(pa, bytes mapped there and after) of a virtual address, or None."""


class Frame(NamedTuple):
    """A function on a stack. exact: pc is its next instruction, and not where a
    call returns to; cfa: sp at its first instruction, None when its code does not say."""

    name: str
    pc: int
    exact: bool
    start: int
    state: State
    kept: Dict[Value, Tuple[int, ...]]      # where the state has which value
    registers: Registers
    cfa: Optional[int]
    through: Tuple[str, ...] = ()       # functions that it called and that jumped on, innermost first


class Stack(NamedTuple):
    """The frames, innermost first. whole: they were followed to the stack's top,
    or to `main` of a hart."""

    frames: Tuple[Frame, ...]
    whole: bool

    @property
    def names(self) -> Tuple[str, ...]:
        return tuple(name for f in self.frames for name in (*f.through, f.name))


class Unwinder:
    """Follows the stacks of one kernel in one machine's memory."""

    def __init__(self, reader: Reader, info: DebugInfo, stack_at: StackAt) -> None:
        self._reader = reader
        self._info = info
        self._stack_at = stack_at

    def follow(self, pc: int, registers: Registers, exact: bool, top: Optional[int] = None) -> Stack:
        """The calls from `pc` outwards. exact: pc is an instruction that is to be
        executed; else a call has returned there. top: where the stack begins."""
        frames: List[Frame] = []
        epc: Optional[int] = None       # sepc as kerneltrap keeps it
        self._sp = registers.get(SP, 0)
        while len(frames) < _MAX_CALLS:
            function = self._info.function_range(pc if exact else pc - 1)
            if function is None:
                # A call to where no code is: the caller is in ra.
                if not (frames and exact and RA in registers) or pc == registers[RA]:
                    return Stack(tuple(frames), False)
                pc, exact = registers[RA], False
                continue
            frame, vector = self._frame(function, pc, exact, registers)
            if frames and not exact:
                frame = frame._replace(through=self._jumped_through(frame, frames[-1].start))
            frames.append(frame)
            if function.name in outermost(self._info) or frame.cfa is not None and frame.cfa == top:
                return Stack(tuple(frames), True)
            if frame.cfa is None:
                ra, registers = self._by_frame_pointer(frame)
                following = (ra, False)
            else:
                key = MEPC if vector == _MRET else SEPC
                caller = self._caller(frame, bool(vector))
                caller.update({k: v for k, v in registers.items() if k >= CSR})
                kept = self._location(frame, ("entry", key))
                epc = epc if kept is None else kept
                following = (caller.get(RA), False)
                if vector:      # no call, but what was interrupted; the CSR is that of the innermost trap
                    following = (caller.pop(key, None) if epc is None else epc, True)
                    caller.pop(key, None)
                    epc = None
                registers = caller
            if following[0] is None or following[0] == pc and registers.get(SP) == frame.registers.get(SP):
                return Stack(tuple(frames), False)
            pc, exact = following[0], following[1]
        return Stack(tuple(frames), False)

    def argument(self, stack: Stack, at: int, n: int) -> Optional[int]:
        """Argument `n` of frame `at`, from 0: where the function keeps it, or what
        its caller made of it; None where neither is known."""
        frame = stack.frames[at]
        found = self._location(frame, ("entry", A0 + n))
        if found is None and at + 1 < len(stack.frames):
            caller = stack.frames[at + 1]
            value = caller.state.get(A0 + n)
            found = None if value is None or caller.exact else self._concrete(caller, value)
        return found

    def call_with(self, frames: Sequence[Frame], callee: int, first: int, again: bool = False) -> Optional[Tuple[str, int]]:
        """(function, address) of the innermost call of the function at `callee` with `first` for its first argument, that one of
        these frames has behind it; None where no frame still knows of one. again: another call than the frame is in."""
        for frame in frames:
            function = self._info.function_range(frame.start)
            flow_ = None if function is None else self._flow(function)
            for at in sorted(flow_.states, reverse=True) if flow_ else ():
                one = decode(flow_.code, at) if flow_ else None
                here = one is not None and frame.start + at + one.size == frame.pc
                if one is None or one.kind != "call" or frame.start + at >= frame.pc or again and here or flow_ is None:
                    continue
                target = _target(flow_.states[at], one)
                value = flow_.states[at].get(A0)
                if target is not None and frame.start + target == callee and value is not None \
                        and self._concrete(frame, value) == first:
                    return frame.name, frame.start + at
        return None

    def never_returns(self, function: Range, depth: int = 2) -> bool:
        """Whether no way through a function's code returns, and one ends in a loop
        that only waits, there or in what it calls."""
        flow_ = self._flow(function)
        if flow_ is None or flow_.returns or flow_.vector or depth == 0:
            return False
        return flow_.spins or any(self.never_returns(callee, depth - 1) for at in self.calls(function)
                                  for callee in [self._info.function_range(at)] if callee)

    def calls(self, function: Range) -> Tuple[int, ...]:
        """The addresses that a function's code calls."""
        flow_ = self._flow(function)
        return () if flow_ is None else tuple(function.address + n for n in flow_.calls + flow_.tails)

    # One frame

    def _frame(self, function: Range, pc: int, exact: bool, registers: Registers) -> Tuple[Frame, int]:
        """(the frame, the instruction that returns when the function is a trap's vector)."""
        flow_ = self._flow(function)
        at = pc - function.address
        if flow_ is not None and not exact:
            at = _call_before(flow_.code, at)
        state = None if flow_ is None else flow_.states.get(at)
        if flow_ is None or state is None:
            return Frame(function.name, pc, exact, function.address, {}, {}, registers, None), 0
        kept = flow_.kept.get(at)
        if kept is None:
            kept = flow_.kept[at] = _places(state)
        frame = Frame(function.name, pc, exact, function.address, state, kept, registers, None)
        cfa = None
        for key in (SP, FP):
            value = state.get(key, ("entry", key))
            if cfa is None and value[0] == "sp" and key in registers:
                cfa = registers[key] - value[1] & _WORD
        if cfa is None:     # a stack that was exchanged for another
            cfa = self._location(frame, ("sp", 0))
        return frame._replace(cfa=cfa), flow_.vector

    def _jumped_through(self, frame: Frame, callee: int) -> Tuple[str, ...]:
        """The functions between the one that a frame called and the one at `callee`,
        which runs: each ended in a jump to the next."""
        flow_ = self._info.learnt.get(frame.start)
        if flow_ is None:
            return ()
        at = _call_before(flow_.code, frame.pc - frame.start)
        one = decode(flow_.code, at) if at >= 0 else None
        target = None if one is None else _target(frame.state, one)
        if target is None or frame.start + target == callee:
            return ()
        todo: List[Tuple[int, Tuple[str, ...]]] = [(frame.start + target, ())]
        seen: Set[int] = set()
        while todo:
            start, before = todo.pop(0)
            function = self._info.function_range(start)
            if function is None or function.address != start or start in seen or len(before) > _MAX_JUMPS:
                continue
            seen.add(start)
            jumped = self._flow(function)
            names = (function.name, *before)
            for place in () if jumped is None else jumped.tails:
                if start + place == callee:
                    return names
                todo.append((start + place, names))
        return ()

    def _caller(self, frame: Frame, interrupted: bool) -> Registers:
        """What the caller had in its registers when it called, or was interrupted: then the vector has saved them all."""
        state = frame.state
        found = {key: value for key, value in frame.registers.items()
                 if key < CSR and key not in state and (frame.exact or key in _SAVED)}
        saved = (value[1] for value in frame.kept if value[0] == "entry") if interrupted else ()
        for key in (RA, *state, *saved):    # ra, because a call changes it that the state is before
            if 0 < key < 32:
                value = self._location(frame, ("entry", key))
                if value is not None:
                    found[key] = value
        if frame.cfa is not None:
            found[SP] = frame.cfa
        return found

    def _location(self, frame: Frame, wanted: Value) -> Optional[int]:
        """The number that has a name, from wherever the function keeps it: a
        register or a slot of its frame. Not from a CSR, which other traps overwrite."""
        if wanted[0] == "entry" and wanted[1] < CSR and wanted[1] not in frame.state \
                and (frame.exact or wanted[1] in _SAVED):
            return frame.registers.get(wanted[1])
        for key in frame.kept.get(wanted, ()):
            if key >= _FROM_SLOT:
                found = None if frame.cfa is None else self._memory(frame.cfa + key - _SLOT)
            else:
                found = frame.registers.get(key) if frame.exact or key in _SAVED else None
            if found is not None:
                return found
        return None

    def _concrete(self, frame: Frame, value: Value) -> Optional[int]:
        kind = value[0]
        if kind == "const":
            return int(value[1]) & _WORD
        if kind == "pc":
            return frame.start + int(value[1]) & _WORD
        if kind == "sp":
            return None if frame.cfa is None else frame.cfa + int(value[1]) & _WORD
        return self._location(frame, value)

    def _memory(self, va: int) -> Optional[int]:
        """The word of a stack at a virtual address."""
        place = self._stack_at(va)
        base, end = self._reader.ram
        pa = place[0] if place is not None else va
        if va & 7 or not base <= pa <= end - 8:
            return None
        first, data = self._kept
        if not first <= pa <= first + len(data) - 8:
            # From sp on, where that is in the page: a stack is one page, or two.
            first = pa & -PAGE
            if va & -PAGE == self._sp & -PAGE and self._sp <= va:
                first += self._sp % PAGE & -8
            try:
                data = self._reader.read(first, (pa & -PAGE) + PAGE - first)
            except ReadError:
                return None
            self._kept = (first, data)
        return int.from_bytes(data[pa - first:pa - first + 8], "little")

    _kept: Tuple[int, bytes] = (0, b"")
    _sp = 0     # of the stack that is followed

    def _by_frame_pointer(self, frame: Frame) -> Tuple[Optional[int], Registers]:
        """(return address, the caller's registers) where the code says nothing: ra
        is at fp - 8, the caller's fp at fp - 16; a leaf saves no ra."""
        fp = frame.registers.get(FP, 0)
        sp = frame.registers.get(SP, 0)
        if not sp <= fp - 16 or fp & 7:
            return None, {}
        ra, below = self._memory(fp - 8), self._memory(fp - 16)
        if ra is None or below is None:
            return None, {}
        if self._info.function_at(ra) is None:
            if fp < ra <= fp + 8 * PAGE and RA in frame.registers:
                return frame.registers[RA], {SP: fp, FP: ra}
            if not fp < ra <= fp + 8 * PAGE:
                return None, {}
            below = self._memory(ra - 16)
            return self._memory(ra - 8), {} if below is None else {SP: fp, FP: below}
        return ra, {SP: fp, FP: below}

    # Code

    def _flow(self, function: Range) -> Optional["Flow"]:
        known = self._info.learnt
        if function.address not in known:
            known[function.address] = None      # a reader of a CSR may call itself
            base, end = self._reader.ram
            first, n = function.address, min(function.size, _MAX_CODE)
            if base <= first <= first + n <= end:
                try:
                    code = self._reader.read(first, n)
                    known[first] = flow(code, lambda at: self._csr_that(first + at))
                except ReadError:
                    pass
        found: Optional[Flow] = known[function.address]
        return found

    def _csr_that(self, address: int) -> Optional[int]:
        """The key of the CSR that the small function at `address` returns, or None:
        without optimisation r_sepc() is called."""
        function = self._info.function_range(address)
        if function is None or function.address != address or not 0 < function.size <= _SMALL:
            return None
        flow_ = self._flow(function)
        return None if flow_ is None else flow_.returned_csr


_SMALL = 64             # bytes of a function that does no more than read a CSR
_SRET, _MRET = 0x10200073, 0x30200073


class Flow(NamedTuple):
    """What a function's code does: the state before each instruction that can be
    reached, by offset; vector: the sret or mret that ends it, else 0."""

    code: bytes
    states: Dict[int, State]
    vector: int
    returns: bool
    spins: bool
    calls: Tuple[int, ...]              # offsets of the functions that it calls
    tails: Tuple[int, ...]              # of those that it jumps to
    returned_csr: Optional[int]
    kept: Dict[int, Dict[Value, Tuple[int, ...]]]     # of the states that were asked for


def _places(state: State) -> Dict[Value, Tuple[int, ...]]:
    """Which registers and slots have each value."""
    found: Dict[Value, Tuple[int, ...]] = {}
    for key, value in state.items():
        if not CSR <= key < _FROM_SLOT:
            found[value] = found.get(value, ()) + (key,)
    return found


def flow(code: bytes, csr_of: Callable[[int], Optional[int]] = lambda _: None) -> Flow:
    """`code` followed along each path. csr_of(offset of a function that is called)
    gives the CSR that it returns, or None."""
    states: Dict[int, State] = {0: {SP: ("sp", 0)}}
    todo = [0]
    dispatches: List[State] = []
    vector, returns, spins, steps = 0, False, False, 0
    calls: Dict[int, None] = {}
    tails: Dict[int, None] = {}
    returned: Set[Value] = set()
    while True:
        while todo and steps < _MAX_STEPS:
            steps += 1
            at = todo.pop()
            state = states[at]
            one = decode(code, at)
            if one is None:
                continue
            after = state if one.writes is None else one.writes(state)
            if one.kind == "call":
                target = _target(state, one)
                csr = None if target is None else csr_of(target)
                if target is not None:
                    calls[target] = None
                after = dict(after)
                for key in _LOST:
                    after[key] = ("def", at, key)
                if csr is not None:
                    after[A0] = ("entry", csr)
            following = [at + one.size] if one.falls else []
            if one.target is not None and one.kind != "call":
                if 0 <= one.target < len(code):
                    following.append(one.target)
                    spins = spins or one.kind == "jump" and one.target <= at \
                        and _waits(code, one.target, at)
                else:
                    tails[one.target] = None    # which returns for it
                    returns = True
            if one.kind == "indirect":
                jump = _target(state, one)
                if one.base is not None and state.get(one.base, ("entry", one.base)) == ("entry", RA):
                    returns = True
                    returned.add(state.get(A0, ("entry", A0)))
                elif jump is not None:
                    tails[jump] = None
                    returns = True
                else:
                    dispatches.append(state)
            if one.kind == "return":
                vector = one.word
            for place in following:
                if place < len(code) and _reach(states, place, after):
                    todo.append(place)
        if not dispatches or steps >= _MAX_STEPS:
            break
        # What a table of addresses leads to: whatever else nobody reaches.
        state = dispatches.pop()
        at = 0
        while at < len(code):
            if at not in states and decode(code, at) is not None:
                states[at] = state
                todo.append(at)
                break
            at += riscv.length(code[at])
        else:
            continue
        dispatches.append(state)
    one_csr = next(iter(returned)) if len(returned) == 1 else ("none",)
    csr = one_csr[1] if one_csr[0] == "entry" and one_csr[1] >= CSR else None
    return Flow(code, states, vector, returns, spins, tuple(calls), tuple(tails), csr, {})


def _reach(states: Dict[int, State], place: int, state: State) -> bool:
    """Whether what is known at `place` has changed, now that `state` comes there too."""
    known = states.get(place)
    if known is None:
        states[place] = state
        return True
    if known is state:
        return False
    merged = None
    for key in known.keys() | state.keys():
        usual = ("sp", 0) if key == SP else ("entry", key)
        here, there = known.get(key, usual), state.get(key, usual)
        if here != there and here != ("join", place, key):
            merged = merged or dict(known)
            merged[key] = ("join", place, key)
    if merged is None:
        return False
    states[place] = merged
    return True


def _waits(code: bytes, first: int, last: int) -> bool:
    """Whether the loop from `first` to the jump at `last` does nothing but wait."""
    at = first
    for at, word, n in riscv.instructions(code, first):
        if at >= last or not (n == 2 and word == 1 or n == 4 and (word == 0x13 or word & 0x7F in (0x73, 0x0F))):
            break
    return at == last


def _target(state: State, one: "Instruction") -> Optional[int]:
    """Where a call or an indirect jump leads, as an offset from the function."""
    if one.base is None:
        return one.target
    value = state.get(one.base)
    return value[1] + one.offset if value is not None and value[0] == "pc" else None


def _call_before(code: bytes, at: int) -> int:
    """The offset of the call that returns to `at`; -1 when none does."""
    if at >= 4:
        word = int.from_bytes(code[at - 4:at], "little")
        if len(code) >= at and word & 0xFFF in (0xEF, 0xE7):     # jal ra, jalr ra
            return at - 4
    if at >= 2:
        half = int.from_bytes(code[at - 2:at], "little")
        if half & 0xF07F == 0x9002 and half & 0xF80:             # c.jalr
            return at - 2
    return -1


class Instruction(NamedTuple):
    """An instruction as far as paths and registers go. kind: "plain" "jump"
    "call" "indirect" "return"; falls: whether the next one may follow; base and
    offset: of an indirect jump; writes: what it does to a state."""

    size: int
    kind: str = "plain"
    falls: bool = True
    target: Optional[int] = None
    base: Optional[int] = None
    offset: int = 0
    word: int = 0
    writes: Optional[Callable[[State], State]] = None


def decode(code: bytes, at: int) -> Optional[Instruction]:
    """The instruction at an offset; None for what is none."""
    size = riscv.length(code[at]) if at < len(code) else 0
    if not 0 < size <= len(code) - at:
        return None
    word = int.from_bytes(code[at:at + size], "little")
    if size == 2:
        return _compressed(word, at)
    opcode, rd, rs1, rs2, f3 = word & 0x7F, word >> 7 & 31, word >> 15 & 31, word >> 20 & 31, word >> 12 & 7
    imm = riscv.signed(word >> 20, 12)
    if opcode == 0x6F:                                           # jal
        return Instruction(4, "call" if rd else "jump", bool(rd), at + riscv.jal_offset(word))
    if opcode == 0x67:                                           # jalr
        return Instruction(4, "call" if rd else "indirect", bool(rd), None, rs1, imm)
    if opcode == 0x63:                                           # branches
        place = riscv.signed((word >> 31 << 12) | (word >> 7 & 1) << 11 | (word >> 25 & 0x3F) << 5
                        | (word >> 8 & 15) << 1, 13)
        return Instruction(4, "branch", True, at + place)
    if opcode == 0x13 and f3 == 0:                               # addi
        return Instruction(4, writes=_add(at, rd, rs1, imm))
    if opcode == 0x13 and f3 == 1:                               # slli
        return Instruction(4, writes=_shift(at, rd, rs1, word >> 20 & 63))
    if opcode == 0x1B and f3 == 0:                               # addiw
        return Instruction(4, writes=_add(at, rd, rs1, imm, narrow=True))
    if opcode == 0x37:                                           # lui
        return Instruction(4, writes=_put(rd, ("const", riscv.signed(word & 0xFFFFF000, 32))))
    if opcode == 0x17:                                           # auipc
        return Instruction(4, writes=_put(rd, ("pc", at + riscv.signed(word & 0xFFFFF000, 32))))
    if opcode == 0x33 and f3 == 0 and word >> 25 == 0:           # add
        return Instruction(4, writes=_sum(at, rd, rs1, rs2))
    if opcode == 0x03:                                           # loads
        return Instruction(4, writes=_load(at, rd, rs1, imm) if f3 == 3 else _define(at, rd))
    if opcode == 0x23:                                           # stores
        place = riscv.signed(word >> 25 << 5 | rd, 12)
        return Instruction(4, writes=_store(at, rs2, rs1, place, f3))
    if opcode == 0x73:
        if word in (_SRET, _MRET):
            return Instruction(4, "return", False, word=word)
        if f3 == 0:                                              # ecall, ebreak, wfi, sfence
            return Instruction(4)
        return Instruction(4, writes=_csr(at, rd, rs1, word >> 20, f3))
    if opcode in (0x27, 0x0F):                                   # stores of numbers with a point, fences
        return Instruction(4)
    if opcode in (0x13, 0x1B, 0x33, 0x3B, 0x2F, 0x53, 0x07, 0x43, 0x47, 0x4B, 0x4F):
        return Instruction(4, writes=None if opcode == 0x07 else _define(at, rd))
    return None


def _compressed(word: int, at: int) -> Optional[Instruction]:
    quadrant, f3 = word & 3, word >> 13
    rd, low, high = word >> 7 & 31, 8 + (word >> 2 & 7), 8 + (word >> 7 & 7)
    rs2 = word >> 2 & 31
    small = riscv.signed((word >> 12 & 1) << 5 | word >> 2 & 31, 6)
    if word == 0:
        return None
    if quadrant == 0:
        wide = (word >> 10 & 7) << 3 | (word >> 5 & 3) << 6
        if f3 == 0:                                              # c.addi4spn
            up = (word >> 11 & 3) << 4 | (word >> 7 & 15) << 6 | (word >> 6 & 1) << 2 | (word >> 5 & 1) << 3
            return Instruction(2, writes=_add(at, low, SP, up))
        if f3 == 3:                                              # c.ld
            return Instruction(2, writes=_load(at, low, high, wide))
        if f3 == 7:                                              # c.sd
            return Instruction(2, writes=_store(at, low, high, wide, 3))
        if f3 == 6:                                              # c.sw
            up = (word >> 10 & 7) << 3 | (word >> 6 & 1) << 2 | (word >> 5 & 1) << 6
            return Instruction(2, writes=_store(at, low, high, up, 2))
        return Instruction(2, writes=_define(at, low) if f3 == 2 else None)
    if quadrant == 1:
        if f3 in (0, 1):                                         # c.addi, c.addiw
            return Instruction(2, writes=_add(at, rd, rd, small, narrow=f3 == 1) if rd else None)
        if f3 == 2:                                              # c.li
            return Instruction(2, writes=_put(rd, ("const", small)))
        if f3 == 3 and rd == SP:                                 # c.addi16sp
            up = riscv.signed((word >> 12 & 1) << 9 | (word >> 6 & 1) << 4 | (word >> 5 & 1) << 6
                         | (word >> 3 & 3) << 7 | (word >> 2 & 1) << 5, 10)
            return Instruction(2, writes=_add(at, SP, SP, up))
        if f3 == 3:                                              # c.lui
            return Instruction(2, writes=_put(rd, ("const", small << 12)))
        if f3 == 4:
            return Instruction(2, writes=_define(at, high))
        if f3 == 5:                                              # c.j
            return Instruction(2, "jump", False, at + riscv.cj_offset(word))
        place = riscv.signed((word >> 12 & 1) << 8 | (word >> 10 & 3) << 3 | (word >> 5 & 3) << 6
                        | (word >> 3 & 3) << 1 | (word >> 2 & 1) << 5, 9)
        return Instruction(2, "branch", True, at + place)        # c.beqz, c.bnez
    if f3 == 0:                                                  # c.slli
        return Instruction(2, writes=_shift(at, rd, rd, small & 63))
    if f3 == 3:                                                  # c.ldsp
        up = (word >> 12 & 1) << 5 | (word >> 5 & 3) << 3 | (word >> 2 & 7) << 6
        return Instruction(2, writes=_load(at, rd, SP, up))
    if f3 == 4:
        if rs2 == 0 and rd:
            called = bool(word >> 12 & 1)                        # c.jalr, c.jr
            return Instruction(2, "call" if called else "indirect", called, None, rd)
        if rs2 == 0:
            return Instruction(2)                                # c.ebreak
        if word >> 12 & 1:
            return Instruction(2, writes=_sum(at, rd, rd, rs2))  # c.add
        return Instruction(2, writes=_add(at, rd, rs2, 0))       # c.mv
    if f3 == 7:                                                  # c.sdsp
        up = (word >> 10 & 7) << 3 | (word >> 7 & 7) << 6
        return Instruction(2, writes=_store(at, rs2, SP, up, 3))
    if f3 == 6:                                                  # c.swsp
        up = (word >> 9 & 15) << 2 | (word >> 7 & 3) << 6
        return Instruction(2, writes=_store(at, rs2, SP, up, 2))
    return Instruction(2, writes=_define(at, rd) if f3 == 2 else None)


def stores(code: bytes) -> Iterator[Tuple[int, int, int, int]]:
    """(offset of the instruction behind it, base register, offset from that, bytes written) of each store of an integer
    in code that has no data in it (Unprivileged, chapters 2 and 28); those to a function's own frame left out."""
    for at, word, size in riscv.instructions(code):
        if word & 0x7F == 0x23:
            base, offset, n_bytes = word >> 15 & 31, riscv.signed(word >> 25 << 5 | word >> 7 & 31, 12), 1 << (word >> 12 & 3)
        elif word & 0xE003 == 0xC000:                            # c.sw
            base, offset, n_bytes = 8 + (word >> 7 & 7), (word >> 10 & 7) << 3 | (word >> 6 & 1) << 2 | (word >> 5 & 1) << 6, 4
        elif word & 0xE003 == 0xE000:                            # c.sd
            base, offset, n_bytes = 8 + (word >> 7 & 7), (word >> 10 & 7) << 3 | (word >> 5 & 3) << 6, 8
        else:
            continue
        if base not in (0, SP):
            yield at + size, base, offset, n_bytes


# What an instruction does to a state: each returns a function from state to state.

def _read(state: State, key: int) -> Value:
    if key == 0:
        return ("const", 0)
    return state.get(key, ("sp", 0) if key == SP else ("entry", key))


def _set(state: State, key: int, value: Value) -> State:
    if key == 0 or state.get(key) == value:
        return state
    after = dict(state)
    after[key] = value
    return after


def _put(rd: int, value: Value) -> Callable[[State], State]:
    return lambda state: _set(state, rd, value)


def _define(at: int, rd: int) -> Callable[[State], State]:
    return _put(rd, ("def", at, rd))


def _add(at: int, rd: int, rs: int, n: int, narrow: bool = False) -> Callable[[State], State]:
    def apply(state: State) -> State:
        value = _read(state, rs)
        if value[0] in ("sp", "pc", "const") and (not narrow or value[0] == "const"):
            total = value[1] + n
            return _set(state, rd, (value[0], riscv.signed(total, 32) if narrow else total))
        return _set(state, rd, value if n == 0 and not narrow else ("def", at, rd))
    return apply


def _sum(at: int, rd: int, rs1: int, rs2: int) -> Callable[[State], State]:
    def apply(state: State) -> State:
        for one, other in ((rs1, rs2), (rs2, rs1)):
            value, addend = _read(state, one), _read(state, other)
            if addend[0] == "const" and (value[0] in ("sp", "pc", "const") or addend[1] == 0):
                return _set(state, rd, (value[0], value[1] + addend[1], *value[2:]) if addend[1] else value)
        return _set(state, rd, ("def", at, rd))
    return apply


def _shift(at: int, rd: int, rs: int, n: int) -> Callable[[State], State]:
    def apply(state: State) -> State:
        value = _read(state, rs)
        return _set(state, rd, ("const", riscv.signed(value[1] << n, 64)) if value[0] == "const" else ("def", at, rd))
    return apply


def _place(state: State, base: int, offset: int) -> Optional[int]:
    """The key of the slot that an address in the frame is in, or None."""
    value = _read(state, base)
    if value[0] != "sp" or not -0x80000 <= value[1] + offset < 0x80000:
        return None
    return _SLOT + int(value[1]) + offset


def _load(at: int, rd: int, base: int, offset: int) -> Callable[[State], State]:
    def apply(state: State) -> State:
        key = _place(state, base, offset)
        value = ("def", at, rd) if key is None else state.get(key, ("entry", key))
        return _set(state, rd, value)
    return apply


def _store(at: int, rs: int, base: int, offset: int, f3: int) -> Callable[[State], State]:
    def apply(state: State) -> State:
        key = _place(state, base, offset)
        if key is None:
            return state
        if f3 == 3 and not key & 7:
            return _set(state, key, _read(state, rs))
        return _set(state, key & ~7, ("def", at, key & ~7))
    return apply


def _csr(at: int, rd: int, rs: int, number: int, f3: int) -> Callable[[State], State]:
    def apply(state: State) -> State:
        key = CSR + number
        old = state.get(key, ("entry", key))
        if f3 & 3 == 1:                                          # csrrw
            new: Value = _read(state, rs) if f3 == 1 else ("const", rs)
            state = _set(state, key, new)
        elif rs:                                                 # csrrs, csrrc
            state = _set(state, key, ("def", at, key))
        return _set(state, rd, old)
    return apply

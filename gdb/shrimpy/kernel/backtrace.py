"""A hart's calls from the user program through the trap into the kernel, and those of all harts as one tree."""

from __future__ import annotations

from typing import Callable, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple

from ..memory.program import Program
from . import unwind
from .stacks import FP, RA, SP, Stack

_MOST_FRAMES = 64               # of a user program

Word = Callable[[int], Optional[int]]
"""The word at a user program's virtual address, or None."""


class Calls(NamedTuple):
    """names: of the functions, outermost first; a user program's begin with the program's own name. whole: they were followed to
    where each begins."""

    hart: int
    pid: Optional[int]
    names: Tuple[str, ...]
    whole: bool


class Node(NamedTuple):
    """Calls that all of these harts have in common, outermost first, and how they go on."""

    names: Tuple[str, ...]
    harts: Tuple[int, ...]
    children: Tuple["Node", ...]


def of_kernel(stack: Stack, inlined: Callable[[int], Sequence[str]]) -> Tuple[str, ...]:
    """The functions of a kernel stack, outermost first, with those that were inlined."""
    names: List[str] = []
    for frame in stack.frames:
        names += [*frame.through, *inlined(frame.pc if frame.exact else frame.pc - 1), frame.name]
    return tuple(reversed(names))


def of_program(program: Optional[Program], name: str, word: Word, pc: int, registers: Mapping[int, int]
               ) -> Tuple[Tuple[str, ...], bool]:
    """(the program's name and its functions, outermost first; whether they were followed to its first function)."""
    if program is None:
        return (name, f"{pc:#x}"), False
    names: List[str] = []
    exact, ra, sp, fp = True, registers.get(RA, 0), registers.get(SP, 0), registers.get(FP, 0)
    while len(names) < _MOST_FRAMES:
        function = program.function(pc if exact else pc - 1)
        if function is None:
            return (name, *reversed(names), *([f"{pc:#x}"] if not names else [])), False
        names.append(function.name)
        if function == program.function(program.entry):
            return (name, *reversed(names)), True
        found = unwind.caller(program.body(function), function.address, pc, ra, sp, fp, word)
        if found is None or found.sp < sp:
            break
        (pc, sp, fp), ra, exact = found, found.pc, False
    return (name, *reversed(names)), False


def tree(stacks: Sequence[Calls]) -> Tuple[Node, ...]:
    """The calls of all harts merged where they begin alike."""
    return _merged([(one.hart, one.names) for one in stacks])


def _merged(stacks: Sequence[Tuple[int, Tuple[str, ...]]]) -> Tuple[Node, ...]:
    groups: Dict[str, List[Tuple[int, Tuple[str, ...]]]] = {}
    for hart, names in stacks:
        if names:
            groups.setdefault(names[0], []).append((hart, names))
    return tuple(_node(group) for group in groups.values())


def _node(group: Sequence[Tuple[int, Tuple[str, ...]]]) -> Node:
    """group: stacks whose outermost functions are the same."""
    first = group[0][1]
    n = min(len(names) for _, names in group)
    alike = next((i for i in range(n) if any(names[i] != first[i] for _, names in group)), n)
    return Node(first[:alike], tuple(hart for hart, _ in group), _merged([(hart, names[alike:]) for hart, names in group]))

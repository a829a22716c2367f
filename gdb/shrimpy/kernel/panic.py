"""A kernel that has panicked: which function of it panics, on whose stack it is,
with which words, which page was still mapped, and which frame was free already."""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from ..memory import sv39
from ..memory.readers import PAGE, Reader
from ..records import address, later_address, record
from .cnames import FREEING, FUNCTION_NAMES, NO_PANICS, PANICS, REFERRING
from .debuginfo import DebugInfo
from .stacks import Stack, Unwinder

_FEWEST_CALLERS = 3
"""Of a function that never returns: with fewer it may be a part of panic."""

_LONGEST = 80           # characters of a panic's words
_NEAR = 2               # callers of panic among which is who was given a frame: it may call one that finds its count


@record
class Panic:
    """What is known of a panic besides its callers.

    function: this kernel's; text: its words; va, pte_at, pte: the page that was
    still mapped, and its entry, where that is what it panicked about; frame: that
    it was to free, or to count one more user of.
    """

    function: str
    text: Optional[str] = None
    va: Optional[int] = address(default=None)
    pte_at: Optional[int] = address(default=None)
    pte: Optional[int] = address(default=None)
    frame: Optional[int] = later_address(default=None)


def function_name(info: DebugInfo, unwinder: Unwinder) -> str:
    """What this kernel calls the function that panics: the usual name, else the
    function that never returns and that most functions call."""
    if "panic" not in info.learnt:
        info.learnt["panic"] = info.has_function(*PANICS) or _most_called(info, unwinder) or PANICS[0]
    return info.learnt["panic"]


def _most_called(info: DebugInfo, unwinder: Unwinder) -> Optional[str]:
    callers: Dict[int, int] = {}
    for function in info.functions:
        for at in set(unwinder.calls(function)) - {function.address}:
            callers[at] = callers.get(at, 0) + 1
    for at in sorted((a for a, n in callers.items() if n >= _FEWEST_CALLERS), key=lambda a: -callers[a]):
        found = info.function_range(at)
        if found is not None and found.address == at and found.name not in NO_PANICS and unwinder.never_returns(found):
            return found.name
    return None


def about(stack: Stack, function: str, unwinder: Unwinder, reader: Reader) -> Panic:
    """What a stack with `function` on it says of the panic."""
    names = [frame.name for frame in stack.frames]
    at = names.index(function)
    text = _text(stack, at, unwinder, reader)
    first = names[at + 1] if at + 1 < len(names) else ""
    found = None
    if first in FUNCTION_NAMES["mappages"] or text and "remap" in text:
        found = _mapped_again(stack, at + 1, unwinder, reader)
    elif first in FREEING or text and "leaf" in text:
        found = _still_mapped(stack, at + 1, unwinder, reader)
    va, pte_at, pte = found or (None, None, None)
    return Panic(function, text, va, pte_at, pte, _frame_given(stack, at + 1, unwinder, reader))


def _frame_given(stack: Stack, at: int, unwinder: Unwinder, reader: Reader) -> Optional[int]:
    """The frame that a function was given to free, or to count a user of, and panicked about."""
    for i, frame in list(enumerate(stack.frames))[at:at + _NEAR]:
        if frame.name in REFERRING or "ref" in frame.name:
            pa = unwinder.argument(stack, i, 0)
            if pa is not None and not pa % PAGE and reader.ram[0] <= pa < reader.ram[1]:
                return pa
    return None


def _text(stack: Stack, at: int, unwinder: Unwinder, reader: Reader) -> Optional[str]:
    """The first string among panic's arguments that is no file's name."""
    for n in range(4):
        pointer = unwinder.argument(stack, at, n)
        text = None if pointer is None else _string(reader, pointer)
        if text and not text.endswith((".c", ".h", ".cc", ".cpp")):
            return text
    return None


def _string(reader: Reader, pa: int) -> Optional[str]:
    base, end = reader.ram
    if not base <= pa < end:
        return None
    text = reader.read(pa, min(_LONGEST, end - pa)).split(b"\0", 1)[0].strip()
    printable = all(32 <= c < 127 or c in b"\n\t" for c in text)
    return " ".join(text.decode("ascii").split()) if text and printable else None


Entry = Tuple[int, int, int]
"""(va, the entry's address, the entry)."""


def _still_mapped(stack: Stack, at: int, unwinder: Unwinder, reader: Reader) -> Optional[Entry]:
    """The first leaf of the table that is being freed, of that part where freewalk is."""
    part = unwinder.argument(stack, at, 0)
    for i in reversed(range(at, len(stack.frames))):
        if stack.frames[i].name in FREEING or stack.frames[i].name == stack.frames[at].name:
            root = unwinder.argument(stack, i, 0)
            leaves = sv39.walk(reader, root).leaves if root is not None and _is_table(reader, root) else []
            here = [leaf for leaf in leaves if leaf.pte_at & -PAGE == part] or leaves
            if here:
                first = min(here, key=lambda leaf: leaf.va)
                return first.va, first.pte_at, first.pte
    return None


def _mapped_again(stack: Stack, at: int, unwinder: Unwinder, reader: Reader) -> Optional[Entry]:
    """The first page that mappages was to map, and that is mapped to something else."""
    if at >= len(stack.frames):
        return None
    root, va, size, pa = (unwinder.argument(stack, at, n) for n in range(4))
    if va is None or root is None or not _is_table(reader, root):
        return None
    if size is not None and pa is not None and pa < reader.ram[0] <= size:
        size, pa = pa, size                 # (table, va, pa, size, flags)
    found: List[Entry] = []
    for page in range(va & -PAGE, min((va & -PAGE) + max(size or 1, 1), sv39.MAXVA), PAGE):
        step = sv39.translate(reader, root, page)
        if step.pa is None:
            break
        entry = (page, step.steps[-1].pte_at, step.steps[-1].pte)
        found.append(entry)
        if pa is None or step.pa != (pa & -PAGE) + page - (va & -PAGE):
            return entry
    return found[0] if found else None


def _is_table(reader: Reader, root: Optional[int]) -> bool:
    base, end = reader.ram
    return root is not None and not root & PAGE - 1 and base <= root <= end - PAGE

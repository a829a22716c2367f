"""Which store was the last to each word of RAM, as the plugin of a machine that runs with it has noted (scripts/plugin/who.c)."""

from __future__ import annotations

import mmap
import struct
from typing import List, NamedTuple, Optional, Tuple

from .cnames import outermost
from .debuginfo import DebugInfo

WORD = 8
"""Bytes of memory of which one store is noted."""

_RING = 65536           # calls and returns
_MAX_HARTS = 8
_RETURN = 1 << 63
_PLACES = (1 << 18) - 2
_PLACE_SHIFT, _HART_SHIFT = 46, 43
_HEAD, _PLACE, _STEP, _NOTE = 4096, 8, 16, 8
_RINGS = _HEAD + _PLACES * _PLACE
_RING_BYTES = 64 + _RING * _STEP
_WORDS = _RINGS + _MAX_HARTS * _RING_BYTES


class LastStore(NamedTuple):
    """pc: of the instruction, 0 where its place found no room; hart; number: how many stores of the hart there were up to this one,
    it included, and before them of others as far as harts have synchronised; callers: where the functions were called that the kernel
    was in, innermost first, as far back as is known."""

    pc: int
    hart: int
    number: int
    callers: Tuple[int, ...] = ()


def size(ram_bytes: int) -> int:
    """Of the file for so much RAM."""
    return _WORDS + ram_bytes // WORD * _NOTE


class Who:
    """The file of a machine that is stopped. Raises OSError where there is none."""

    def __init__(self, path: str, ram: Tuple[int, int], info: DebugInfo) -> None:
        self._base, self._info = ram[0], info
        with open(path, "rb") as file:
            try:
                self._map = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
            except ValueError:
                raise OSError(f"{path}: an empty file") from None
        if len(self._map) < size(ram[1] - ram[0]):
            self._map.close()
            raise OSError(f"{path} is of a machine with less memory")

    def close(self) -> None:
        self._map.close()

    def last(self, pa: int) -> Optional[LastStore]:
        """The last store of an instruction to the 8 bytes that have an address in RAM; None: none since the start."""
        note = self._word(_WORDS + (pa - self._base) // WORD * _NOTE)
        if not note:
            return None
        place, hart, number = note >> _PLACE_SHIFT, note >> _HART_SHIFT & _MAX_HARTS - 1, note & (1 << _HART_SHIFT) - 1
        pc = self._word(_HEAD + (place - 1) * _PLACE) - 1 if place <= _PLACES else 0
        store = LastStore(pc, hart, number)
        return store._replace(callers=tuple(self._callers(store)))

    def _word(self, at: int) -> int:
        return int(struct.unpack_from("<Q", self._map, at)[0])

    def _callers(self, store: LastStore) -> List[int]:
        """The pc of each call that had not returned when a store was made, innermost first. They end where the kernel was entered,
        where the hart had come from another stack, or where the ring knows no more."""
        if self._info.function_at(store.pc) in (None, *outermost(self._info)):
            return []
        at = _RINGS + store.hart * _RING_BYTES
        n = self._word(at)
        found: List[int] = []
        depth = 0
        for i in range(self._behind(at + 64, n, store.number) - 1, max(n - _RING, 0) - 1, -1):
            pc = self._step(at + 64, i)[1]
            function = self._info.function_at(pc & ~_RETURN)
            if pc & _RETURN:
                if function == "swtch":
                    break
                depth += 1
            elif depth:
                depth -= 1
            else:
                found.append(pc)
                if function in outermost(self._info):
                    break
        return found

    def _behind(self, ring: int, n: int, number: int) -> int:
        """The first step of a ring that was not before a store."""
        low, high = max(n - _RING, 0), n
        while low < high:
            middle = (low + high) // 2
            if self._step(ring, middle)[0] < number:
                low = middle + 1
            else:
                high = middle
        return low

    def _step(self, ring: int, i: int) -> Tuple[int, int]:
        before, pc = struct.unpack_from("<QQ", self._map, ring + i % _RING * _STEP)
        return before, pc

"""All that the kit reads of a kernel's data."""

from __future__ import annotations

from typing import List, Tuple

from ..memory.readers import PAGE
from .allocator import Allocator
from .segments import Segments
from .slots import Slots
from .variables import of_memory, word


class Kernel(Allocator, Segments, Slots):
    """The kernel's data in one stopped machine's memory: see Variables for what its methods promise."""

    @of_memory
    def pipes(self) -> List[int]:
        """The frames of open pipes, ascending."""
        found = set()
        for place in self._parts("ftable"):
            if place.type.kind != "array" or place.type.element is None:
                continue
            fields = self.info.structs.get(place.type.element.name, {})
            if not {"type", "ref", "pipe"} <= set(fields):
                continue
            size, number = place.type.element.size, min(place.type.count, 4096)
            data = self._bytes(place.address, size * number, place.path) or b""
            is_pipe = self._enumerator("FD_PIPE", 1)
            kind, users, pipe = (fields[one] for one in ("type", "ref", "pipe"))
            for at in range(0, len(data), size):
                if word(data, at + kind.offset, kind.type.size) == is_pipe and 0 < word(data, at + users.offset, users.type.size) < 1 << 31:
                    found.add(word(data, at + pipe.offset, pipe.type.size) & -PAGE)
        return sorted(found - {0})

    @of_memory
    def driver_frames(self) -> List[Tuple[int, str]]:
        """(frame, the variable that points to it) of the disk's rings."""
        rings = ("disk.desc", "disk.avail", "disk.used")
        pointers = [place for place in self._parts("disk")
                    if place.type.kind == "ptr" and place.path in rings]
        return [(pa, place.path) for place in pointers
                for pa in [self._number(place.address, 8)] if pa]

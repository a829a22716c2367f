"""Segments of shared memory, where a kernel has a table of them (System V: shmget).

A table is an array of structs, in a variable whose name says so, each with a size, perhaps a key and a number of attachments,
and its memory: an array of addresses, or a pointer to a frame of addresses.
"""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..memory.readers import PAGE
from .cnames import SEGMENT_FIELDS, SEGMENT_REMOVED, SEGMENT_WORDS
from .debuginfo import Field, Type
from .variables import Place, Variables, word, words_of

_MOST_SEGMENTS = 1024
_MOST_PAGES = 1 << 15
_DEPTH = 3


class Segment(NamedTuple):
    """name: the variable. id: its identifier, or its place in the table. frames: its memory, in order. listing: the frame that
    lists them, or None. What the kernel does not say is None: key, size in bytes, n_attached, mode."""

    name: str
    id: int
    frames: Tuple[int, ...]
    listing: Optional[int]
    key: Optional[int]
    size: Optional[int]
    n_attached: Optional[int]
    mode: Optional[int]

    @property
    def removed(self) -> bool:
        """Whether it goes with its last attachment."""
        return self.mode is not None and bool(self.mode & SEGMENT_REMOVED)

    @property
    def is_over(self) -> bool:
        """Whether it was removed, and nobody has it attached: it should be gone."""
        return self.removed and self.n_attached == 0


class Segments(Variables):
    """The segments that a kernel has."""

    def segments(self) -> List[Segment]:
        """Those in use, in the order of their table."""
        return [segment for table in self._tables() for segment in self._in_table(table)]

    def _tables(self) -> Iterator[Place]:
        for name in sorted(self.info.symbols):
            if any(one in name.lower() for one in SEGMENT_WORDS):
                for place in self._parts(name):
                    element = place.type.element if place.type.kind == "array" else None
                    if element is not None and element.kind == "struct" and {"frames", "size"} <= self._fields(element).keys():
                        yield place

    def _in_table(self, table: Place) -> Iterator[Segment]:
        element = table.type.element
        assert element is not None
        fields = self._fields(element)
        data = self._bytes(table.address, element.size * min(table.type.count, _MOST_SEGMENTS), table.path) or b""
        for i in range(len(data) // element.size if element.size else 0):
            one = data[i * element.size:(i + 1) * element.size]
            values = {name: word(one, f.offset, f.type.size) for name, f in fields.items() if name != "frames"}
            listing, frames = self._memory(one, fields["frames"], values["size"])
            if frames:
                # POSIX leaves open what an identifier is: ours, as Linux's, say how often the place has been used.
                number = values.get("id", values.get("n_before", 0) * table.type.count + i)
                yield Segment(f"{table.path}[{i}]", number, frames, listing, values.get("key"), values["size"],
                              values.get("n_attached"), values.get("mode"))

    def _memory(self, one: bytes, field: Field, size: int) -> Tuple[Optional[int], Tuple[int, ...]]:
        """(the frame that lists its frames, these)."""
        n_pages = min((size + PAGE - 1) // PAGE, _MOST_PAGES)
        words: Sequence[int] = words_of(one[field.offset:field.offset + (field.type.size & -8)])
        listing = None
        if field.type.kind == "ptr":
            listing = words[0]
            words = self.words(listing, min(n_pages * 8, PAGE)) if listing and not listing % PAGE else ()
        found = [pa for pa in words[:n_pages] if pa and not pa % PAGE and self._in_ram(pa, PAGE) is not None]
        return listing or None, tuple(found)

    def _fields(self, struct: Type) -> Dict[str, Field]:
        """What SEGMENT_FIELDS calls the parts of a struct that it has, each at its offset in it."""
        found: Dict[str, Field] = {}
        for name, field in self._flat(struct, 0, _DEPTH):
            usual = next((usual for usual, names in SEGMENT_FIELDS.items() if name in names), None)
            if usual is not None and _may_be(usual, field.type):
                found.setdefault(usual, field)
        return found

    def _flat(self, struct: Type, offset: int, depth: int) -> Iterator[Tuple[str, Field]]:
        for name, field in self.info.structs.get(struct.name, {}).items():
            if field.type.kind == "struct" and depth:
                yield from self._flat(field.type, offset + field.offset, depth - 1)
            else:
                yield name, Field(offset + field.offset, field.type)


def _may_be(usual: str, kind: Type) -> bool:
    if usual == "frames":
        of_words = kind.element is not None and kind.element.size == 8
        return of_words and kind.kind in ("ptr", "array")
    return kind.kind in ("int", "uint", "enum") and 0 < kind.size <= 8

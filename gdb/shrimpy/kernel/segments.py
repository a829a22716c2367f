"""Segments of shared memory, where a kernel has them (System V: shmget), and what each process keeps of those that it attached.

They are structs with a key or an identifier, perhaps a size and a number of attachments, and their memory: an array of
addresses, a pointer to a frame of addresses, or the address of one page. Such structs are in an array, in a list, or in an array
of pointers, in a variable whose name says so.
"""

from __future__ import annotations

from functools import cached_property
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..memory.readers import PAGE
from ..memory.sv39 import W
from . import processes
from .cnames import ATTACHMENT_FIELDS, PROT_WRITE, SEGMENT_FIELDS, SEGMENT_REMOVED, SEGMENT_WORDS, SHM_RDONLY
from .debuginfo import Field, Type
from .slots import Proc
from .variables import Place, Variables, of_memory, word, words_of

_MOST_SEGMENTS = 1024
_MOST_PAGES = 1 << 15
_MOST_RECORDS = 16      # of a process, that are asked who wrote them
_DEPTH = 3


class Segment(NamedTuple):
    """name: the variable. address: of its struct. id: its identifier, or its place in the table. frames: its memory, in order.
    listing: the frame that lists them, or None. counted: what the kernel calls n_attached. What the kernel does not say is None:
    key, size in bytes, n_attached, mode."""

    name: str
    address: int
    id: int
    frames: Tuple[int, ...]
    listing: Optional[int]
    key: Optional[int]
    size: Optional[int]
    n_attached: Optional[int]
    counted: Optional[str]
    mode: Optional[int]
    removed: bool

    @property
    def is_over(self) -> bool:
        """Whether it was removed, and nobody has it attached: it should be gone."""
        return self.removed and self.n_attached == 0


class Attachment(NamedTuple):
    """What a process keeps of a segment that it has attached.

    name: the segment's variable. id: the segment's, None where it is not in use. writes: whether it may write there, None where the
    kernel does not say."""

    va: int
    name: str
    id: Optional[int]
    writes: Optional[bool]


class _Table(NamedTuple):
    """Where segments are: at `place`, whose type is an array of the struct, an array of pointers to it, or a pointer to the first
    of a list."""

    place: Place
    struct: Type
    fields: Dict[str, Tuple[str, Field]]


class _Records(NamedTuple):
    """Where a process keeps its attachments: the array, its length in use if that is kept, and the parts of its elements; each
    field of the process's with its name."""

    name: str
    array: Field
    used: Optional[Tuple[str, Field]]
    parts: Dict[str, Field]


class Segments(Variables):
    """The segments that a kernel has."""

    @of_memory
    def segments(self) -> List[Segment]:
        """Those in use, in the order of their tables."""
        return [one for table in self._tables for i, at in enumerate(self._elements(table))
                for one in [self._segment(table, i, *at)] if one]

    def segment_tables(self) -> Tuple[str, ...]:
        """The variables that segments are in, whether any is in use or not."""
        return tuple(table.place.path for table in self._tables)

    def attachments(self, process: Proc, segments: Sequence[Segment]) -> List[Attachment]:
        """What a process keeps of those that it has attached. segments: those in use."""
        kept = self._records
        if kept is None:
            return []
        element = kept.array.type.element
        assert element is not None
        number = kept.array.type.count if kept.used is None else min(_value(process.data, kept.used[1]), kept.array.type.count)
        found = [self._attachment(process.data, kept, kept.array.offset + i * element.size, segments) for i in range(number)]
        return [one for one in found if one is not None]

    def parts_of(self, name: str, parts: Sequence[str]) -> List[Tuple[int, int, str]]:
        """(address, size in bytes, what the kernel calls it) of the parts that a segment has, in use or not. name: the segment's
        variable; parts: as SEGMENT_FIELDS calls them."""
        return [(address + field.offset, min(field.type.size, 8), called)
                for table in self._tables for one, address, _ in self._elements(table) if one == name
                for called, field in (table.fields[part] for part in parts if part in table.fields)]

    def attached_in(self, process: int) -> List[Tuple[int, int, str]]:
        """The same of what in the struct proc at an address says how much that has attached: a number, or a word of each record."""
        kept = self._records
        if kept is None:
            return []
        if kept.used is not None:
            name, field = kept.used
            return [(process + field.offset, field.type.size, name)]
        marks = [kept.parts[one] for one in ("used", "segment", "va") if one in kept.parts][:1]
        element = kept.array.type.element
        assert element is not None
        return [(process + kept.array.offset + i * element.size + mark.offset, mark.type.size, kept.name)
                for mark in marks for i in range(min(kept.array.type.count, _MOST_RECORDS))]

    # Where they are

    @cached_property
    def _tables(self) -> List[_Table]:
        return self._learnt("segments", lambda: [
            table for name in self._names((), SEGMENT_WORDS)
            for place in self._parts(name) for table in [self._table(place)] if table])

    def _table(self, place: Place) -> Optional[_Table]:
        kind = place.type
        struct = kind.element
        if struct is not None and kind.kind == "array" and struct.kind == "ptr":
            struct = struct.element
        if struct is None or struct.kind != "struct" or kind.kind not in ("array", "ptr"):
            return None
        fields = self._fields(struct, SEGMENT_FIELDS)
        several = {"frames", "size"} <= fields.keys()
        single = "frame" in fields and not fields.keys().isdisjoint(("key", "id", "n_attached", "n_users"))
        if not (several or single) or kind.kind == "ptr" and ("next" not in fields or "[" in place.path):
            return None
        return _Table(place, struct, fields)

    def _elements(self, table: _Table) -> Iterator[Tuple[str, int, bytes]]:
        """(its name, its address, its bytes) of each struct."""
        place, size = table.place, self.info.struct_sizes.get(table.struct.name) or table.struct.size
        kind = place.type
        if kind.kind == "array" and kind.element is not None and kind.element.kind == "struct":
            data = self._bytes(place.address, size * min(kind.count, _MOST_SEGMENTS), place.path) or b""
            for i in range(len(data) // size if size else 0):
                yield f"{place.path}[{i}]", place.address + i * size, data[i * size:(i + 1) * size]
        elif kind.kind == "array":
            for i in range(min(kind.count, _MOST_SEGMENTS)):
                at = self._pointer(place.address + 8 * i)
                data = (self._in_ram(at, size) if at else None) or b""
                yield f"{place.path}[{i}]", at, data
        else:
            at = self._pointer(place.address)
            seen: Set[int] = set()
            while at and at not in seen and len(seen) < _MOST_SEGMENTS:
                data = self._in_ram(at, size) or b""
                yield f"node {len(seen)} of {place.path}", at, data
                seen.add(at)
                at = _value(data, table.fields["next"][1]) if data else 0

    def _segment(self, table: _Table, i: int, name: str, address: int, data: bytes) -> Optional[Segment]:
        values = {usual: _value(data, field) for usual, (_, field) in table.fields.items()} if data else {}
        listing, frames = self._memory(data, table, values.get("size")) if data else (None, ())
        if not frames:
            return None
        # POSIX leaves open what an identifier is: ours, as Linux's, say how often the place has been used.
        number = values.get("id", values.get("n_before", 0) * table.place.type.count + i)
        counted = next((one for one in ("n_attached", "n_users") if one in values), None)
        size = values.get("size", PAGE)
        mode = values.get("mode")
        return Segment(name, address, number, frames, listing, values.get("key"),
                       size if "frames" in table.fields or size <= PAGE else None,
                       _signed(data, table.fields[counted][1]) if counted else None, table.fields[counted][0] if counted else None, mode,
                       bool(values.get("removed") or mode is not None and mode & SEGMENT_REMOVED))

    def _memory(self, one: bytes, table: _Table, size: Optional[int]) -> Tuple[Optional[int], Tuple[int, ...]]:
        """(the frame that lists its frames, these)."""
        several = "frames" in table.fields and size is not None
        field = table.fields["frames" if several else "frame"][1]
        n_pages = min(((size or 0) + PAGE - 1) // PAGE, _MOST_PAGES) if several else 1
        words: Sequence[int] = words_of(one[field.offset:field.offset + (field.type.size & -8)])
        listing = None
        if several and field.type.kind == "ptr":
            listing = words[0]
            words = self.words(listing, min(n_pages * 8, PAGE)) if listing and not listing % PAGE else ()
        found = [pa for pa in words[:n_pages] if pa and not pa % PAGE and self._in_ram(pa, PAGE) is not None]
        return listing or None, tuple(found)

    # What a process keeps

    @cached_property
    def _records(self) -> Optional[_Records]:
        return next(iter(self._learnt("attachments", lambda: list(self._arrays_of_attachments()))), None)

    def _arrays_of_attachments(self) -> Iterator[_Records]:
        kind, tables = processes.shape(self.info), {table.struct.name for table in self._tables}
        fields = self.info.structs.get(kind.struct, {}) if kind and tables else {}
        for name, field in fields.items():
            element = field.type.element
            if field.type.kind != "array" or element is None or element.kind != "struct":
                continue
            parts = {usual: part for usual, (_, part) in self._fields(element, ATTACHMENT_FIELDS).items()}
            target = parts["segment"].type.element if "segment" in parts else None
            leads = target is not None and target.name in tables or "id" in parts and any(
                one in name.lower() for one in (*SEGMENT_WORDS, "attach"))
            if "va" in parts and leads:
                lengths = (f"n{name}", f"n_{name}", f"num_{name}", f"{name}_count")
                used = next(((one, fields[one]) for one in lengths if one in fields), None)
                yield _Records(name, field, used, parts)

    def _attachment(self, data: bytes, kept: _Records, at: int, segments: Sequence[Segment]) -> Optional[Attachment]:
        def part(usual: str) -> Optional[int]:
            field = kept.parts.get(usual)
            return None if field is None else word(data, at + field.offset, field.type.size)
        va, pointer = part("va"), part("segment")
        if not va or part("used") == 0:
            return None
        found = next((one for one in segments if (one.address == pointer if pointer is not None else one.id == part("id"))), None)
        if found is None and (kept.used is None and "used" not in kept.parts or not pointer and pointer is not None):
            return None         # what has been detached may still stand there
        entry, prot, flags = part("entry"), part("prot"), part("flags")
        writes = bool(entry & W) if entry is not None else bool(prot & PROT_WRITE) if prot is not None else \
            not flags & SHM_RDONLY if flags is not None else None
        return Attachment(va, found.name if found else self._name_of(pointer, part("id")), found.id if found else None, writes)

    def _name_of(self, pointer: Optional[int], number: Optional[int]) -> str:
        """What a segment is called that is not in use."""
        for path, address, size, count in (
                (table.place.path, table.place.address, table.struct.size, table.place.type.count) for table in self._tables
                if table.place.type.element == table.struct):
            if pointer is not None and address <= pointer < address + size * count:
                return f"{path}[{(pointer - address) // size}]"
        return f"segment {number}" if pointer is None else f"segment at {pointer:#x}"

    # Types

    def _fields(self, struct: Type, names: Dict[str, Tuple[str, ...]]) -> Dict[str, Tuple[str, Field]]:
        """What `names` calls the parts of a struct that it has: each with the tree's name, at its offset in the struct."""
        found: Dict[str, Tuple[str, Field]] = {}
        for name, field in self._flat(struct, 0, _DEPTH):
            for usual, known in names.items():
                if name in known and _may_be(usual, field.type, struct):
                    found.setdefault(usual, (name, field))
        return found

    def _flat(self, struct: Type, offset: int, depth: int) -> Iterator[Tuple[str, Field]]:
        for name, field in self.info.structs.get(struct.name, {}).items():
            if field.type.kind == "struct" and depth:
                yield from self._flat(field.type, offset + field.offset, depth - 1)
            else:
                yield name, Field(offset + field.offset, field.type)


def _may_be(usual: str, kind: Type, struct: Type) -> bool:
    if usual == "frames":
        of_words = kind.element is not None and kind.element.size == 8
        return of_words and kind.kind in ("ptr", "array")
    if usual == "segment":
        return kind.kind == "ptr" and kind.element is not None and kind.element.kind == "struct"
    if usual == "next":
        return kind.kind == "ptr" and kind.element is not None and kind.element.name == struct.name
    if usual in ("frame", "va"):
        return kind.size == 8 and kind.kind in ("ptr", "uint", "int")
    return kind.kind in ("int", "uint", "enum") and 0 < kind.size <= 8


def _signed(data: bytes, field: Field) -> int:
    """A number that may have been counted down once too often."""
    return int.from_bytes(data[field.offset:field.offset + field.type.size], "little", signed=True)


def _value(data: bytes, field: Field) -> int:
    return word(data, field.offset, field.type.size)

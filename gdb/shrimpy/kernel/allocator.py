"""The allocator of a kernel: its lists of free frames, and its counts of users."""

from __future__ import annotations

import re
from array import array
from collections import Counter
from functools import lru_cache
from itertools import compress, count
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from ..memory.readers import PAGE, Reader, ReadError
from ..memory.sv39 import Finding
from ..reasons import Kind
from ..records import Runs
from ..words import findings as said
from .cnames import ALLOCATOR_WORDS, COUNT_WORDS, COUNTS, FREE_LISTS
from .debuginfo import Type
from .variables import Place, Variables, of_memory, word, words_of

_MAX_ORDERS = 20
_MAX_BLOCKS = 64
"""Nodes of a list that are looked at to know how it is ordered."""

_STRAIGHT = 256
"""Frames of a stretch. After boot the free list is one long stretch: taken 256
frames at a time, walking 32,000 of them costs 1 ms instead of 4."""


class FreeHead(NamedTuple):
    """A list of the allocator: its name, its first node, pages to a node, and
    whether its type says that it is one."""

    name: str
    head: int
    n_pages: int
    is_typed: bool = True


class FreeWalk(NamedTuple):
    """The free frames: `marks` has a byte for each frame of RAM, 1 when it is free; counts are frames, by list;
    hindrance: why they are not all of them."""

    marks: bytearray
    counts: List[Tuple[str, int]]
    complete: bool
    hindrance: Optional[Kind]
    findings: List[Finding]
    sizes: Mapping[str, int] = {}       # pages to a node, by list


class _Nodes(NamedTuple):
    """How to step through free frames, by their index in RAM: the address in
    each frame's link, and the first and the last index of stretches in which
    each frame links to its neighbour."""

    words: Union[Sequence[int], "_WordByWord"]
    shortcuts: Dict[int, int]


class Allocator(Variables):
    """The free frames, and how many users the kernel counts of each frame."""

    def free_heads(self) -> List[FreeHead]:
        """The heads of the allocator's lists, by name."""
        heads = {}
        for name in self._names(FREE_LISTS, ALLOCATOR_WORDS):
            for place in self._parts(name):
                if is_free_list(place, name in FREE_LISTS):
                    head = self._number(place.address, 8)
                    if head is not None:
                        big = any(w in place.path.lower() for w in ("super", "huge", "mega"))
                        heads[place.path] = FreeHead(place.path, head, 512 if big else 1,
                                                     is_free_list(place, False))
                elif place.type.kind == "other" and name in FREE_LISTS:
                    heads.update((head.name, head) for head in self._heads_in(place))
        return list(heads.values())

    @of_memory
    def free_frames(self, lowest: int, end: int) -> FreeWalk:
        """The allocator's lists walked to their ends, in [lowest, end).

        Finite whatever they hold: a frame met twice ends its list. Reads RAM
        in bulk where the reader can, else once per node.
        """
        ram_base, ram_end = self.reader.ram
        # One that only its name says may be a list of something else, such as of structs that describe frames.
        heads = [head for head in self.free_heads()
                 if head.is_typed or not head.head or not head.head & PAGE - 1 and lowest <= head.head < end]
        walk = FreeWalk(bytearray((ram_end - ram_base) // PAGE), [], True, None, [])
        if not heads:
            return walk._replace(complete=False, hindrance=Kind.NO_FREE_LIST)
        lowest, end = max(lowest, ram_base), min(end, ram_end)
        heads = self._by_order(heads, lowest, end)
        nodes = self._nodes(lowest, end)
        complete = True
        for head in heads:
            n, wrong = self._walk_list(head, walk.marks, nodes, lowest, end)
            walk.counts.append((head.name, n * head.n_pages))
            if wrong:
                walk.findings.append(wrong)
                complete = False
        return walk._replace(complete=complete, sizes={head.name: head.n_pages for head in heads},
                             hindrance=None if complete else Kind.FREE_LIST_BROKEN)

    def counts(self, lowest: int, end: int, free: bytes = b"") -> Optional[Tuple[str, Runs]]:
        """(name, ((frame, count), ...)) of the kernel's counts of users per
        frame, those that are not 0; None when it keeps none that is known.

        lowest, end: of the frames that the allocator hands out; free: FreeWalk's
        marks, or nothing where it was not walked.
        """
        counted = self._counted(lowest, end, free)
        return None if counted is None else (counted.name, counted.values)

    def count_of(self, frame: int) -> Optional[Tuple[int, int]]:
        """(where the kernel's count of a frame's users is, its bytes); None when it keeps none that is known."""
        base, end = self.reader.ram
        end = min(self.constant("PHYSTOP", end), end) & -PAGE
        lowest = min(max(base, self.image()[1] or base), end) + PAGE - 1 & -PAGE
        counted = self._counted(lowest, end, self.free_frames(lowest, end).marks)
        return None if counted is None else (counted.first + (frame - base >> 12) * counted.stride, counted.size)

    @of_memory
    def _counted(self, lowest: int, end: int, free: bytes) -> "Optional[_Counted]":
        for name in self._names(COUNTS, COUNT_WORDS):
            for place in self._parts(name):
                if place.type.kind == "ptr" and not _is_of_counts(place.path):
                    continue
                shape = self._count_shape(place.type, end - lowest >> 12)
                found = self._counted_in(place, shape, lowest, end, free) if shape else None
                if found:
                    return found
        return None

    def _counted_in(self, place: Place, shape: Tuple[int, int, int], lowest: int, end: int, free: bytes) -> "Optional[_Counted]":
        """The counts in a variable. An array as long as RAM has frames is indexed from RAM's base, or from the first frame behind the
        kernel's image, as a shorter one must be. One as long as physical memory may be so, too, or from address 0. What a pointer
        points to may be anything, and is taken for counts where it agrees with the lists of free frames."""
        base = self.reader.ram[0]
        n_frames, n_behind = end - base >> 12, end - lowest >> 12
        points, known = place.type.kind == "ptr", any(free)
        if points:
            place = Place(place.path, self._number(place.address, 8) or 0 if known else 0, place.type)
        first = (0,) if points else tuple(at for at in (0, base >> 12) if place.type.count >= at + n_frames)
        found = [one for at in first for one in [self._counts_from(place, at, n_frames, shape)] if one]
        if len(found) > 1:
            found.sort(key=lambda one: -_unlike_most(one.values, n_frames))
        likely = found[0] if found else None
        wrong = _wrong(likely.values, free, base, lowest, end) if likely and known else n_behind
        if wrong and (known or likely is None):
            behind = self._counts_from(place, n_behind - n_frames, n_frames, shape)
            fewer = _wrong(behind.values, free, base, lowest, end) if behind and known else 0
            if behind and 2 * fewer < wrong:
                likely, wrong = behind._replace(values=tuple((pa, n) for pa, n in behind.values if pa >= lowest)), fewer
        if points and 2 * wrong >= free.count(0, lowest - base >> 12, end - base >> 12):
            return None
        return likely

    def _counts_from(self, place: Place, first: int, n_frames: int, shape: Tuple[int, int, int]) -> "Optional[_Counted]":
        """The counts in an array in which number `first` is RAM's first frame's."""
        offset, size, stride = shape
        at = place.address + first * stride
        data = self._in_ram(at, n_frames * stride)
        return _Counted(place.path, at + offset, size, stride, self._nonzero(at, data, *shape, self.reader.ram[0])) if data else None

    def _nonzero(self, at: int, data: bytes, offset: int, size: int, stride: int, ram_base: int) -> Runs:
        """((frame, number), ...) of the numbers in `data`, what is at `at`, one for each frame of RAM, that are not 0."""
        found: List[Tuple[int, int]] = []
        zeros = bytes(512 * stride)     # of most frames, which are free
        for start in range(0, len(data), len(zeros)):
            piece = data[start:start + len(zeros)]
            if piece != zeros:
                what = piece, offset, size, stride, ram_base + start // stride * PAGE
                found += self.reader.remembered(at + start, lambda what=what: _numbers(*what), what)    # type: ignore[misc]
        return tuple(found)

    # Finding the lists

    def _by_order(self, heads: List[FreeHead], lowest: int, end: int) -> List[FreeHead]:
        """The heads, where those of an array are lists of blocks of 1, 2, 4, ... pages (a buddy allocator's): there
        are not as many as harts, and each node is aligned as such a block is."""
        arrays: Dict[str, List[Tuple[int, FreeHead]]] = {}
        for head in heads:
            index = re.search(r"\[(\d+)\]", head.name)
            if index and head.n_pages == 1:
                arrays.setdefault(head.name[:index.start()] + head.name[index.end():], []).append(
                    (int(index[1]), head))
        cpus = self.info.symbol("cpus")
        n_harts = cpus.type.count if cpus else self.constant("NCPU", 8)
        sizes: Dict[str, int] = {}
        for lists in arrays.values():
            if 1 < len(lists) <= _MAX_ORDERS and len(lists) != n_harts and any(
                    head.head for order, head in lists if order) and all(
                    self._are_blocks(head.head, 1 << order, lowest, end) for order, head in lists):
                sizes.update((head.name, 1 << order) for order, head in lists)
        return [head._replace(n_pages=sizes.get(head.name, head.n_pages)) for head in heads]

    def _are_blocks(self, node: int, n_pages: int, lowest: int, end: int) -> bool:
        """Whether the nodes of a list are aligned to `n_pages`, from address 0 or from the first frame."""
        nodes: List[int] = []
        while node and len(nodes) < _MAX_BLOCKS:
            if node & PAGE - 1 or not lowest <= node <= end - n_pages * PAGE:
                return False
            nodes.append(node)
            node = self._number(node, 8) or 0
        return any(all((node - start) % (n_pages * PAGE) == 0 for node in nodes) for start in (0, lowest))

    def _heads_in(self, place: Place) -> Iterator[FreeHead]:
        """The lists in a variable of which only the symbol table tells: its words that
        are the address of a frame behind the kernel's image."""
        base, end = self.image()
        data = self._bytes(place.address, min(place.type.size, PAGE) & -8, place.path) or b""
        for at in range(0, len(data), 8):
            node = word(data, at, 8)
            if end is not None and not node & PAGE - 1 and end <= node < self.reader.ram[1]:
                yield FreeHead(f"{place.path}+{at}", node, 1)

    # Walking them

    def _nodes(self, lowest: int, end: int) -> "_Nodes":
        field = self.info.field("run", "next")
        next_at = field.offset if field else 0
        base = self.reader.ram[0]
        words = self.reader.first_words() if next_at == 0 else None
        if words is None:
            return _Nodes(_WordByWord(self.reader, next_at), {})
        return _Nodes(words_of(words), _shortcuts(words, base, lowest, end))

    def _walk_list(self, head: FreeHead, marks: bytearray, nodes: "_Nodes", lowest: int,
                   end: int) -> Tuple[int, Optional[Finding]]:
        """Mark the frames of one list; (nodes, what stopped it early or None)."""
        words, shortcuts = nodes
        base, n_pages = self.reader.ram[0], head.n_pages
        last = end - n_pages * PAGE
        node, n, before = head.head, 0, None
        while node:
            if node & PAGE - 1 or not lowest <= node <= last:
                return n, Finding("free-node-outside", before, said.node_outside(head.name, n, node, (lowest, end)), list=head.name)
            i = node - base >> 12
            if marks[i]:
                return n, Finding("free-node-twice", node, said.node_twice(head.name, n, node), list=head.name)
            if i in shortcuts and n_pages == 1:
                past = shortcuts[i]
                low = min(i, past)
                if marks.find(1, low, low + _STRAIGHT) < 0:
                    marks[low:low + _STRAIGHT] = b"\1" * _STRAIGHT
                    n += _STRAIGHT
                    before = base + past * PAGE
                    node = words[past]
                    continue
            marks[i] = 1
            if n_pages > 1:
                marks[i:i + n_pages] = b"\1" * n_pages
            n += 1
            before = node
            try:
                node = words[i]
            except ReadError as error:
                return n, Finding("unreadable", node, said.node_unreadable(head.name, error), list=head.name)
        return n, None

    def _count_shape(self, t: Type, n_frames: int) -> Optional[Tuple[int, int, int]]:
        """(offset in an element, bytes, stride) when `t` could hold counts of so many frames, or points to such."""
        if t.element is None or not (t.kind == "array" and t.count >= n_frames or t.kind == "ptr"):
            return None
        element = t.element
        if element.kind in ("int", "uint", "char") and element.size in (1, 2, 4, 8):
            return 0, element.size, element.size
        if element.kind == "struct":
            for name, field in self.info.structs.get(element.name, {}).items():
                if field.type.kind in ("int", "uint", "char") and any(
                        w in name.lower() for w in ("ref", "count", "cnt")):
                    return field.offset, field.type.size, element.size
        return None


def _is_of_counts(path: str) -> bool:
    """Whether a variable or field has a name of counts: what `kmem.lock.name` points to need not be looked at."""
    name = path.rpartition(".")[2].lower()
    return name in COUNTS or any(word in name for word in COUNT_WORDS)


def _unlike_most(values: Runs, n_frames: int) -> int:
    """How many of the counts of so many frames, those that are not 0, are not what most are: memory that no count is in is all 0,
    or all as the kernel has set it at boot. (A kalloc that is out of memory may count page 0.)"""
    return n_frames - max(n_frames - len(values), *Counter(n for _, n in values).values(), 0)


def _wrong(values: Runs, free: bytes, base: int, lowest: int, end: int) -> int:
    """How many of the frames in [lowest, end) are free and counted, or in use and not. free: a mark for each frame from base on."""
    counted = [free[pa - base >> 12] for pa, _ in values if lowest <= pa < end]
    in_use = free.count(0, lowest - base >> 12, end - base >> 12)
    return sum(counted) + in_use - counted.count(0)


class _Counted(NamedTuple):
    """An array of counts. first: where the first frame's is; size: its bytes; stride: from one to the next; values: those that
    are not 0, by frame."""

    name: str
    first: int
    size: int
    stride: int
    values: Runs


class _WordByWord:
    """The link of frame i, a read each: for readers without bulk reads."""

    def __init__(self, reader: Reader, next_at: int) -> None:
        self._reader, self._start = reader, reader.ram[0] + next_at

    def __getitem__(self, i: int) -> int:
        return int.from_bytes(self._reader.read(self._start + i * PAGE, 8), "little")


@lru_cache(maxsize=2)
def _neighbours(base: int, n_frames: int) -> Tuple[bytes, bytes]:
    """For each frame the address of the one below, and of the one above, as
    memory holds them: the same for every snapshot of a machine."""
    down, up = (array("Q", range(base + by, base + by + n_frames * PAGE, PAGE)).tobytes() for by in (-PAGE, PAGE))
    return down, up


def _shortcuts(words: bytes, base: int, lowest: int, end: int) -> Dict[int, int]:
    """The stretches of [lowest, end) in which frames link downward or upward."""
    down, up = _neighbours(base, len(words) // 8)
    found = {}
    for low in range(lowest - base >> 12, (end - base >> 12) - _STRAIGHT + 1, _STRAIGHT):
        high = low + _STRAIGHT - 1
        # The last frame of a stretch may link anywhere.
        if words[8 * low + 8:8 * high + 8] == down[8 * low + 8:8 * high + 8]:
            found[high] = low
        elif words[8 * low:8 * high] == up[8 * low:8 * high]:
            found[low] = high
    return found


def is_free_list(place: Place, usual: bool) -> bool:
    """Whether a place heads a list of free frames: a pointer to a struct run,
    or in a variable with a `usual` name, one whose own name says so."""
    target = place.type.element
    if place.type.kind != "ptr":
        return False
    if target is not None and target.kind == "struct" and "run" in target.name:
        return True
    return usual and "free" in place.path.rsplit(".", 1)[-1].lower()


def _numbers(piece: bytes, offset: int, size: int, stride: int, first: int) -> Runs:
    """((frame, number), ...) of the numbers in a piece of an array that are not 0; first: the frame of its first."""
    if stride == size:
        values: Sequence[int] = array({1: "B", 2: "H", 4: "I", 8: "Q"}[size], piece)
    else:
        values = [word(piece, at + offset, size) for at in range(0, len(piece), stride)]
    return tuple((first + i * PAGE, values[i]) for i in compress(count(), values))

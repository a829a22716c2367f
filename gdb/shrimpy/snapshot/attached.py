"""Where processes have segments of shared memory attached: by their page tables, and by what the kernel keeps of it."""

from __future__ import annotations

from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from ..memory.readers import PAGE
from .frames import pages_of
from .model import Attachment, Mapping, Process, Segment, Snapshot


class Attached(NamedTuple):
    """One attachment: `segment` from `va` on. None: the kernel keeps one of a segment that is not in use.

    record: what the kernel keeps of it, None where nothing. pages: by their numbers in the segment, the pages of it that are
    mapped where they belong."""

    process: Process
    name: str
    segment: Optional[Segment]
    va: int
    record: Optional[Attachment]
    pages: Dict[int, Mapping]

    @property
    def n_pages(self) -> int:
        """Of the whole segment."""
        return n_pages(self.segment) if self.segment else 1

    @property
    def is_complete(self) -> bool:
        """Whether each page of the segment is mapped."""
        return self.segment is not None and len(self.pages) == self.n_pages


def n_frames(segment: Segment) -> int:
    """The frames that it has."""
    return sum(n for _, n in segment.frames)


def n_pages(segment: Segment) -> int:
    """What its size needs; the frames that it has where it does not say its size."""
    return n_frames(segment) if segment.size is None else max((segment.size + PAGE - 1) // PAGE, n_frames(segment))


def attachments(snapshot: Snapshot) -> Tuple[Attached, ...]:
    """Each, by process and address: what the kernel keeps, and what page tables map besides. Zombies' count, too."""
    by_id = {one.id: one for one in reversed(snapshot.segments)}
    place: Dict[int, Tuple[Segment, int]] = {}
    for segment in snapshot.segments:
        for i, pa in enumerate(pages_of(segment.frames)):
            place.setdefault(pa, (segment, i))
    if not place and not any(p.attachments for p in snapshot.processes):
        return ()
    return tuple(sorted((one for p in snapshot.processes for one in _of(p, by_id, place)), key=lambda one: (one.process.pid, one.va)))


def _of(p: Process, by_id: Dict[int, Segment], place: Dict[int, Tuple[Segment, int]]) -> Iterator[Attached]:
    there = {m.va: m for m in p.mappings if m.pa in place and m.n_pages == 1}
    for record in p.attachments:
        segment = None if record.segment is None else by_id.get(record.segment)
        mine: Dict[int, Mapping] = {}
        for i, pa in enumerate(pages_of(segment.frames) if segment else ()):
            mapping = there.get(record.va + i * PAGE)
            if mapping is not None and mapping.pa == pa:
                mine[i] = there.pop(mapping.va)
        yield Attached(p, record.name, segment, record.va, record, mine)
    others: Dict[Tuple[str, int], List[Mapping]] = {}
    for m in there.values():
        segment, i = place[m.pa]
        others.setdefault((segment.name, m.va - i * PAGE), []).append(m)
    for (name, va), pages in others.items():
        segment = place[pages[0].pa][0]
        yield Attached(p, name, segment, va, None, {place[m.pa][1]: m for m in pages})

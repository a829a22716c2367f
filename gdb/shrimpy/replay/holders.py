"""What led to a frame in a recorded run, from when it was taken: of a frame that nobody can reach any more it is asked who took the
last of that away."""

from __future__ import annotations

from typing import Dict, Iterator, List, Set, Tuple

from ..kernel import Kernel
from ..kernel.debuginfo import DebugInfo
from ..memory import sv39
from ..memory.readers import Reader
from ..origins import What
from . import stores
from .aside import Aside
from .questions import Question
from .stores import Bytes, Store

_FIRST = 1 << 10    # instructions after it was taken, at which is first looked whether anything leads to it
_TIMES = 2          # as late, at the next look: what something leads to for as long as it took to come there is seen
_MOST = 16          # places
_TOLD = (What.FIELD.value, What.UNMAPPED.value)


def last(machine: Aside, frame: int, taken: int, now: int, info: DebugInfo) -> List[Tuple[Question, Store]]:
    """Who took away the last field, and who the last entry, that led to a frame which was taken at one instruction and is lost at
    another. Nothing where none was seen, or it stays."""
    gone: Dict[str, Tuple[Question, Store]] = {}     # the last of each
    here, later, places = taken, _FIRST, dict[Bytes, Question]()
    seen: Set[Bytes] = set()
    while here < now and len(seen) < _MOST:
        until = min(taken + later, now)
        changed = stores.firsts(machine, places, here, until, info) if places else {}
        machine.seek(until)
        before, places = places, {Bytes(one.pa, one.size): one for one in _leading(frame, machine.look()[1], info)}
        gone.update((before[place].what, (before[place], store)) for place, store in changed.items())
        for one in places.values():
            gone.pop(one.what, None)
        if before and not places:
            break
        seen.update(places)
        here, later = until, later * _TIMES
    return [gone[what] for what in _TOLD if what in gone]


def _leading(frame: int, reader: Reader, info: DebugInfo) -> Iterator[Question]:
    kernel = Kernel(reader, info)
    for process in kernel.processes():
        for name, at, value in kernel.words_of_proc(process.address):
            if value == frame:
                yield Question(What.FIELD.value, at, 8, name)
        if process.root:
            walk = sv39.walk(reader, process.root)
            for entry, pa in [*((one.entry, one.pa) for one in walk.tables), *((one.pte_at, one.pa) for one in walk.leaves)]:
                if entry is not None and pa == frame:
                    yield Question(What.UNMAPPED.value, entry)

"""Who wrote a word last, where the machine runs with the plugin that notes it: the lines of source, by GDB's symbols."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from ..kernel.cnames import GENERIC
from ..kernel.debuginfo import DebugInfo
from ..kernel.who import LastStore, Who
from ..memory.readers import PAGE, RamFileReader
from ..snapshot.model import Place
from .callstack import place_at
from .session import session


class NotNoted(Exception):
    """Nobody notes the stores of this machine."""


class Writer(NamedTuple):
    """store: the last to a word; calls: where it was and who called, innermost first; of a user program's only the trampoline is known
    by name."""

    store: LastStore
    calls: tuple[Place, ...]

    @property
    def briefly(self) -> str:
        """Where it was, in a few words: the line in the first function that does not do it for another, and who called that."""
        known = [one for one in self.calls if one.function]
        asked = [one for one in known if one.function not in GENERIC] or known
        if not asked:
            return f"a program at {self.store.pc:#x}, hart {self.store.hart}"
        first = next((one for one in asked if one.file), asked[0])
        where = f"{os.path.basename(first.file)}:{first.line} " if first.file else ""
        return f"{where}{' < '.join(one.function or '?' for one in asked[:2])}, hart {self.store.hart}"


class Writers:
    """Of the words of a stopped machine."""

    def __init__(self, who: Who, info: DebugInfo, trampoline: int | None) -> None:
        self._who, self._trampoline = who, trampoline
        symbol = info.symbol("trampoline")
        self._code = symbol.address if symbol else None

    def last(self, pa: int) -> Writer | None:
        """Of the word at a physical address; None where no instruction has stored there."""
        store = self._who.last(pa)
        if store is None:
            return None
        pc = store.pc
        if self._code is not None and self._trampoline is not None and 0 <= pc - self._trampoline < PAGE:
            pc += self._code - self._trampoline
        return Writer(store, tuple(place for at in (pc, *store.callers) for place in place_at(at)))

    def newest(self, pas: Sequence[int]) -> str:
        """The last store to any of some words, briefly; "-" without one."""
        found = [one for one in map(self.last, pas) if one]
        return max(found, key=lambda one: one.store.number).briefly if found else "-"


def noted_in(name: str, try_: str) -> str:
    """The file of that name that a plugin of this machine writes. Raises NotNoted where it runs without it, or the file cannot be seen."""
    with session.memory() as reader:
        path = os.path.join(os.path.dirname(reader.path), name) if isinstance(reader, RamFileReader) else ""
    if not os.path.isfile(path):
        raise NotNoted(f"nobody notes the {'stores' if name == 'who' else 'locks'} of this machine; try: {try_}")
    return path


@contextmanager
def noted() -> Iterator[Writers]:
    """Raises NotNoted where the machine runs without the plugin, or where its file cannot be seen."""
    info, _ = session.debuginfo()
    path = noted_in("who", "make qemu-gdb WHO=1, or on a recording xv6-why")
    with session.memory() as reader:
        who = Who(path, reader.ram, info)
    try:
        yield Writers(who, info, session.snapshot().layout.trampoline)
    finally:
        who.close()


@contextmanager
def if_noted() -> Iterator[Writers | None]:
    """The same, or None."""
    try:
        opened = noted()
        found = opened.__enter__()
    except (NotNoted, OSError):
        yield None
        return
    try:
        yield found
    finally:
        opened.__exit__(None, None, None)

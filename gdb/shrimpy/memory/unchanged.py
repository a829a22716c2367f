"""What was made of memory, kept as long as the pages that it was made of have the same bytes.

A result is a function of its key and of the pages that were read for it, nothing else: so it may be used again where these pages
are what they were. Pages are compared with copies, never taken to be the same; a page whose role has changed is asked for by other
keys. What one look does not use is dropped with the next.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Hashable, List, NamedTuple, Optional, Tuple, TypeVar

from .readers import PAGE, Reader, ReadError

T = TypeVar("T")


class _Kept(NamedTuple):
    """A result; the pages that it was made of, copies by address; and the keys of results that are parts of it."""

    result: Any
    pages: Dict[int, bytes]
    parts: List[Hashable]


class _Notes:
    """What a result that is being made was made of, and whether it may be kept."""

    def __init__(self) -> None:
        self.pages: Dict[int, bytes] = {}
        self.parts: List[Hashable] = []
        self.holds = True


class UnchangedReader(Reader):
    """Reads one machine's memory again and again, a look at a time; what has been made of pages that did not change is not made again.

    Only for snapshots: within a look a page is read once, and what is asked for later is its copy. n_made: how many results were
    made, of all that were asked for.
    """

    def __init__(self, below: Reader) -> None:
        """below: reads pages fast; it is not closed with this one."""
        super().__init__(below.ram)
        self.source = below.source
        self._below = below
        self._seen: Dict[int, bytes] = {}           # the pages read in this look
        self._kept: Dict[Hashable, _Kept] = {}      # the results of this look
        self._before: Dict[Hashable, _Kept] = {}    # those of the look before
        self._making: List[_Notes] = []
        self._relied_on: Optional[object] = None
        self.n_made = 0

    def look(self) -> None:
        self._seen, self._kept, self._before = {}, {}, self._kept

    def rely_on(self, what: object) -> None:
        if what != self._relied_on:
            self._before, self._relied_on = {}, what

    def remembered(self, key: Hashable, make: Callable[[], T]) -> T:
        kept = self._kept.get(key) or self._before.get(key)
        if kept is None or not self._are_same(kept.pages):
            kept, holds = self._made(make)
            if not holds:
                return kept.result
        if self._making:
            self._making[-1].pages.update(kept.pages)
            self._making[-1].parts.append(key)
        self._keep(key, kept)
        return kept.result

    def _keep(self, key: Hashable, kept: _Kept) -> None:
        self._kept[key] = kept
        for part in kept.parts:
            if part not in self._kept and part in self._before:
                self._keep(part, self._before[part])

    def _made(self, make: Callable[[], Any]) -> Tuple[_Kept, bool]:
        notes = _Notes()
        self._making.append(notes)
        self.n_made += 1
        holds = False
        try:
            result = make()
            holds = notes.holds
        finally:
            self._making.pop()
            if not holds:
                self.forget()       # neither is what it is a part of
        return _Kept(result, notes.pages, notes.parts), holds

    def forget(self) -> None:
        if self._making:
            self._making[-1].holds = False

    def page(self, pa: int) -> bytes:
        data = self._seen.get(pa)
        if data is None:
            try:
                data = self._seen[pa] = self._below.page(pa)
            except ReadError:
                self.forget()
                raise
        if self._making:
            self._making[-1].pages[pa] = data
        return data

    def read(self, pa: int, n: int) -> bytes:
        first = pa & -PAGE
        if not self._making or n <= 0:
            return self._below.read(pa, n)
        try:
            pages = b"".join(map(self.page, range(first, pa + n, PAGE)))
        except ReadError:       # RAM need not end with a page
            return self._below.read(pa, n)
        return pages[pa - first:pa - first + n]

    def first_words(self) -> Optional[bytes]:
        self.forget()       # of every page
        return self._below.first_words()

    def _are_same(self, pages: Dict[int, bytes]) -> bool:
        seen, read = self._seen, self._below.page
        for pa, data in pages.items():
            now = seen.get(pa)
            if now is None:
                now = read(pa)
                seen[pa] = now = data if now == data else now   # one copy of each, so that comparing it again costs nothing
            if now is not data and now != data:
                return False
        return True

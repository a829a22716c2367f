"""What was made of memory, kept as long as the pages that it was made of have the same bytes.

A look begins by comparing the pages that the look before was made of with copies of them, in one loop; pages are never taken to be the
same. What is made of memory is a tree: a snapshot's parts, and the parts that each was made of. A part is used again where it was
given the same and none of its pages has changed; else it is made again, of those of its own parts that still stand. What a look does
not use goes with it.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Hashable, Optional, Set, TypeVar

from .readers import PAGE, Reader, ReadError

T = TypeVar("T")

_FIRST_WORDS = -1
"""Stands among the pages for the first word of every page."""


class _Part:
    """Something made of memory. given: beside memory; pages: those that it and its parts were made of; parts: by key, and before:
    those of the one that it replaces; holds: whether it may be used again."""

    __slots__ = ("given", "result", "pages", "parts", "before", "holds")

    def __init__(self, given: object, before: "Dict[Hashable, _Part]") -> None:
        self.given, self.before = given, before
        self.result: Any = None
        self.pages: Set[int] = set()
        self.parts: Dict[Hashable, _Part] = {}
        self.holds = True


class UnchangedReader(Reader):
    """Reads one machine's memory again and again, a look at a time; what has been made of pages that did not change is not made again.

    Only for snapshots: within a look a page is read once, and what is asked for later is its copy. n_made: how many parts were made,
    of all that were asked for; n_compared: how many pages.
    """

    def __init__(self, below: Reader) -> None:
        """below: reads pages fast; it is not closed with this one."""
        super().__init__(below.ram)
        self.source = below.source
        self._below = below
        self._copies: Dict[int, bytes] = {}     # of the pages that this look is made of
        self._words: Optional[bytes] = None     # the first word of every page
        self._changed: Set[int] = set()         # pages, since the look before
        self._part = _Part(None, {})            # what is being made: at first, all of a look
        self._relied_on: Optional[object] = None
        self.n_made = self.n_compared = 0

    def look(self, info: object) -> None:
        last = self._part
        before, pages = (last.parts, last.pages) if info is last.given else ({}, set())
        self._part = _Part(info, before)
        if len(self._copies) != len(pages) - (_FIRST_WORDS in pages):
            self._copies = {pa: data for pa, data in self._copies.items() if pa in pages}
        self._changed = set(self._below.changed(self._copies))
        self.n_compared += len(self._copies)
        for pa in self._changed:
            del self._copies[pa]
        if self._words is not None and not (_FIRST_WORDS in pages and self._below.has_first_words(self._words)):
            self._words = None
            self._changed.add(_FIRST_WORDS)

    def rely_on(self, what: object) -> None:
        if what != self._relied_on:
            self._part.before, self._relied_on = {}, what

    def remembered(self, key: Hashable, make: Callable[[], T], given: object = None) -> T:
        above = self._part
        known = above.parts.get(key) or above.before.get(key)
        if known is not None and known.holds and known.given == given and self._changed.isdisjoint(known.pages):
            part = known
        else:
            part = _Part(given, known.parts if known else {})
        try:
            if part is not known:
                self._make(part, make)
        finally:
            above.parts[key] = part
            above.pages |= part.pages
            above.holds &= part.holds
        result: T = part.result
        return result

    def _make(self, part: _Part, make: Callable[[], Any]) -> None:
        """What has come of it before it fails stays, for the next time."""
        above, self._part = self._part, part
        self.n_made += 1
        try:
            part.result = make()
        except BaseException:
            part.holds = False
            raise
        finally:
            self._part = above
            part.before = {}

    def forget(self) -> None:
        self._part.holds = False

    def confirm(self) -> None:
        if self._below.changed(self._copies) or self._words is not None and not self._below.has_first_words(self._words):
            raise ReadError("memory has changed while it was read")

    def page(self, pa: int) -> bytes:
        data = self._copies.get(pa)
        if data is None:
            try:
                data = self._copies[pa] = self._below.page(pa)
            except ReadError:
                self.forget()
                raise
        self._part.pages.add(pa)
        return data

    def read(self, pa: int, n: int) -> bytes:
        first = pa & -PAGE
        if n <= 0:
            return self._below.read(pa, n)
        try:
            pages = b"".join(map(self.page, range(first, pa + n, PAGE)))
        except ReadError:       # RAM need not end with a page
            return self._below.read(pa, n)
        return pages[pa - first:pa - first + n]

    def first_words(self) -> Optional[bytes]:
        if self._words is None:
            self._words = self._below.first_words()
        self._part.pages.add(_FIRST_WORDS)
        return self._words

"""What a page that follows a machine is told: the newest state, and those of the last minute, so that they can be kept."""
from __future__ import annotations

import threading
import zlib
from collections import deque
from dataclasses import dataclass, field
from time import monotonic

from ..model.kit import Snapshot
from .parts import Change, Drawn, Parts, change, dots

KEPT_S = 60.0
_MOST_CHARS = 48 << 20   # of all that changed in the states that are kept: a machine in which all changes has a shorter minute
_SNAPSHOT_S = 0.25      # between two snapshots that are kept, where each was shown for less


class Document:
    """A snapshot of the states that show it; as JSON, compressed, when others are shown."""

    def __init__(self, snapshot: Snapshot, at: float) -> None:
        self.at = at
        self._snapshot: Snapshot | None = snapshot
        self._packed = b""

    def pack(self) -> int:
        """How many bytes it takes from now on."""
        self._packed = zlib.compress(self.json() or b"", 1)
        self._snapshot = None
        return len(self._packed)

    def drop(self) -> None:
        self._snapshot = None

    def json(self) -> bytes | None:
        """None of one that was dropped."""
        kept = self._snapshot
        return kept.to_json().encode("utf-8") if kept else zlib.decompress(self._packed) if self._packed else None


@dataclass(frozen=True)
class State:
    """n: counted from 1; at: by monotonic(); document: the snapshot that it shows; drawn: its figures; size: of what changed, and of
    what is kept of the snapshot before."""
    n: int
    at: float
    parts: Parts
    document: Document | None = None
    drawn: Drawn = field(default_factory=dict)
    size: int = 0


class Board:
    """Any thread may post and read. What is posted is never changed."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._states: deque[State] = deque([State(0, monotonic(), {})])
        self._size = 0
        self._snapshot_s = 0.0
        self._n_pages = 0
        self._over = False

    @property
    def n_pages(self) -> int:
        """How many pages follow it now."""
        return self._n_pages

    @property
    def n_states(self) -> int:
        """How many it keeps."""
        return len(self._states)

    @property
    def newest(self) -> State:
        return self._states[-1]

    def post(self, told: Parts, snapshot: Snapshot | None = None, drawn: Drawn | None = None) -> None:
        """Parts that take the place of those of their names; with a snapshot, and its figures, they are all there is of the machine:
        the others that a Scribe makes are gone."""
        now = monotonic()
        with self._news:
            last = self.newest
            kept = last.parts if snapshot is None else {name: said for name, said in last.parts.items() if name in _BESIDE}
            parts = {**kept, **told}
            if parts != last.parts:
                document = last.document if snapshot is None else Document(snapshot, now)
                size = sum(len(said) for name, said in parts.items() if last.parts.get(name) != said)
                if last.document and document is not last.document:
                    size += self._replaced(last.document, now)
                self._states.append(State(last.n + 1, now, parts, document, last.drawn if drawn is None else drawn, size))
                self._size += size
                while len(self._states) > 1 and (self._states[0].at < now - KEPT_S or self._size > _MOST_CHARS):
                    self._size -= self._states.popleft().size
            self._news.notify_all()

    def _replaced(self, document: Document, now: float) -> int:
        """How many bytes are kept of a snapshot that is not shown any more: of one that nobody could see, none."""
        if now < self._snapshot_s + _SNAPSHOT_S and now < document.at + _SNAPSHOT_S:
            document.drop()
            return 0
        self._snapshot_s = now
        return document.pack()

    def close(self, limit_s: float) -> None:
        """Nothing more comes; returns when all pages have what was posted last, or after limit_s."""
        with self._news:
            self._over = True
            self._news.notify_all()
            self._news.wait_for(lambda: not self._n_pages, limit_s)

    def after(self, n: int, limit_s: float) -> State | None:
        """The newest state once it is not number n; None after limit_s, or at the end."""
        with self._news:
            self._news.wait_for(lambda: self.newest.n != n or self._over, limit_s)
            return self.newest if self.newest.n != n else None

    @property
    def is_over(self) -> bool:
        return self._over

    def wait_for_pages(self, limit_s: float) -> bool:
        """Returns when a page follows, or after limit_s; whether one does."""
        with self._news:
            return self._news.wait_for(lambda: self._n_pages > 0 or self._over, limit_s) and not self._over

    def other_pages(self, n: int) -> int:
        """How many pages follow, once it is not n, or at the end."""
        with self._news:
            self._news.wait_for(lambda: self._n_pages != n or self._over)
            return self._n_pages

    def __enter__(self) -> Board:
        """A page begins to follow."""
        with self._news:
            self._n_pages += 1
            self._news.notify_all()
        return self

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._n_pages -= 1
            self._news.notify_all()

    def snapshot(self, n: int) -> bytes | None:
        """JSON of the last snapshot that was kept until state n."""
        with self._news:
            states = list(self._states)
        until, later = ([one.document for one in states if one.document and (one.n <= n) == shown] for shown in (True, False))
        return next((found for one in (*reversed(until), *later) if (found := one.json())), None)

    def tape(self) -> tuple[list[Change], list[str]]:
        """The last minute, for a page that stands alone, and the figures of each state as DOT."""
        with self._news:
            states = [one for one in self._states if "now" in one.parts]
        found, pictures, before = [], [], {}  # type: list[Change], list[str], Parts
        for one in states:
            said = {name: part for name, part in one.parts.items() if name != "line"}
            if said != before:
                found.append(change(before, said, f"{one.at - states[-1].at:.1f} s"))
                pictures += dots(one.drawn)
            before = said
        return found, pictures


_BESIDE = ("line", "console", "step")
"""Parts that are not a snapshot's."""

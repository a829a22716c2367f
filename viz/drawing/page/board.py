"""What a page that follows a machine is told: the newest state, and those of the last minute, so that they can be kept."""
from __future__ import annotations

import threading
import zlib
from collections import deque
from dataclasses import dataclass
from time import monotonic

from ..model.kit import Snapshot
from .parts import Change, Parts, change

KEPT_S = 60.0
_MOST_CHARS = 48 << 20   # of all that changed in the states that are kept: a machine in which all changes has a shorter minute
_SNAPSHOT_S = 0.25      # between two snapshots that are kept


@dataclass(frozen=True)
class State:
    """n: counted from 1; at: by monotonic(); document: a snapshot as JSON, compressed, where one was kept; size: of it and of what
    changed."""
    n: int
    at: float
    parts: Parts
    document: bytes | None = None
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

    def post(self, told: Parts, snapshot: Snapshot | None = None) -> None:
        """Parts that take the place of those of their names; with a snapshot, they are all there is of the machine: the others
        that a Scribe makes are gone."""
        document = None
        if snapshot is not None and monotonic() >= self._snapshot_s + _SNAPSHOT_S:
            document, self._snapshot_s = zlib.compress(snapshot.to_json().encode("utf-8"), 1), monotonic()
        with self._news:
            last = self.newest
            kept = last.parts if snapshot is None else {name: said for name, said in last.parts.items() if name in _BESIDE}
            parts = {**kept, **told}
            if parts != last.parts:
                size = len(document or b"") + sum(len(said) for name, said in parts.items() if last.parts.get(name) != said)
                self._states.append(State(last.n + 1, monotonic(), parts, document, size))
                self._size += size
                while len(self._states) > 1 and (self._states[0].at < monotonic() - KEPT_S or self._size > _MOST_CHARS):
                    self._size -= self._states.popleft().size
            self._news.notify_all()

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
        found = next((one.document for one in reversed(states) if one.document and one.n <= n),
                     next((one.document for one in states if one.document), None))
        return zlib.decompress(found) if found else None

    def tape(self) -> list[Change]:
        """The last minute, for a page that stands alone."""
        with self._news:
            states = [one for one in self._states if "now" in one.parts]
        found, before = [], {}  # type: list[Change], Parts
        for one in states:
            said = {name: part for name, part in one.parts.items() if name != "line"}
            if said != before:
                found.append(change(before, said, f"{one.at - states[-1].at:.1f} s"))
            before = said
        return found


_BESIDE = ("line", "console", "step")
"""Parts that are not a snapshot's."""

"""A page of what a debugger tells on standard input: `python3 viz serve`.

Each line is a JSON object: "snapshot", a document of xv6-snapshot's, "step", null or a film's step without one; or "says", why there
is nothing to show. Of lines that come faster than they are drawn the newest counts. On standard output: the page's address, and from
then on, how many pages follow, whenever that changes. It ends with its input.
"""
from __future__ import annotations

import json
import sys
import threading
from typing import Any

from ..film.document import Step
from ..model import documents
from ..model.kit import records
from .board import Board
from .parts import Scribe, encoded, told_step
from .server import Server


class _Inbox:
    """The newest line that was not read yet."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._line: bytes | None = None
        self._over = False

    def fill(self) -> None:
        """Reads standard input to its end."""
        for line in sys.stdin.buffer:
            self._put(line, False)
        self._put(None, True)

    def _put(self, line: bytes | None, over: bool) -> None:
        with self._news:
            self._line, self._over = line or self._line, over
            self._news.notify()

    def take(self) -> bytes | None:
        """The next line; None at the end."""
        with self._news:
            self._news.wait_for(lambda: self._line is not None or self._over)
            line, self._line = self._line, None
            return line


def serve(title: str) -> int:
    """Serves a page until standard input ends."""
    board, inbox, scribe = Board(), _Inbox(), Scribe()
    with Server(board, title) as server:
        print(server.url, flush=True)
        threading.Thread(target=inbox.fill, daemon=True).start()
        threading.Thread(target=_count, args=(board,), daemon=True).start()
        while (line := inbox.take()) is not None:
            try:
                _show(json.loads(line), board, scribe)
            except (ValueError, records.Unfit) as error:
                board.post({"line": encoded({"says": str(error)})})
        board.post({"line": encoded({"says": "shrimp-live has ended: this is what it told last.", "over": True})})
    return 0


def _show(told: dict[str, Any], board: Board, scribe: Scribe) -> None:
    if "snapshot" not in told:
        return board.post({"line": encoded({"says": told.get("says", "")})})
    index = documents.snapshot_of(told["snapshot"])
    step = told.get("step")
    said = encoded(None) if step is None else told_step(records.decode(Step, {**step, "snapshot": told["snapshot"]}))
    board.post(scribe.parts(index) | {"step": said, "line": encoded({"says": ""})}, index.snapshot, scribe.drawn)


def _count(board: Board) -> None:
    n = 0
    while not board.is_over:
        n = board.other_pages(n)
        print(n, flush=True)

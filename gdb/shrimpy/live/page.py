"""The page of shrimp-live: a process of its own, `viz serve`, that is told where the machine stands whenever GDB's prompt is back.

Neither a browser nor that process can hold GDB up: a thread writes to it, and the newest place counts. While no page is open nothing
is read at a stop.
"""

from __future__ import annotations

import json
import queue
import select
import signal
import subprocess
import threading
from pathlib import Path
from typing import Callable

import gdb

_CHECKOUT = Path(__file__).resolve().parents[3]
_COMMAND = (str(_CHECKOUT / "scripts" / "python"), str(_CHECKOUT / "viz"), "serve")
_LIMIT_SECONDS = 60


class Broken(Exception):
    """The page's process cannot be started, or has ended: in one line."""


class Page:
    """One process that serves the page. n_told: how often it was told where the machine stands."""

    def __init__(self, title: str, state: Callable[[], object], tell: Callable[[], dict[str, object]]) -> None:
        """Both are called in GDB's thread. state: differs where there is something new to tell; tell: what viz/drawing/page/feed.py
        takes. Raises Broken."""
        self._state, self._tell = state, tell
        self._told: object = None
        self.n_told, self.n_pages = 0, 0
        self._newest: queue.Queue[bytes] = queue.Queue()
        try:
            # A session of its own: Ctrl-C is for GDB.
            self._process = subprocess.Popen([*_COMMAND, "--title", title], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                             start_new_session=True)
        except OSError as error:
            raise Broken(f"the page cannot be served: {error.strerror}") from None
        assert self._process.stdin is not None and self._process.stdout is not None, "both are pipes"
        self._in, self._out = self._process.stdin, self._process.stdout
        self.url = self._first_line()
        _in_thread(self._write)
        _in_thread(self._read)
        gdb.events.before_prompt.connect(self.at_prompt)

    def _first_line(self) -> str:
        ready = select.select([self._out], [], [], _LIMIT_SECONDS)[0]
        line = self._out.readline().decode().strip() if ready else ""
        if not line:
            self._process.kill()
            self._process.wait()
            raise Broken("the page cannot be served: viz did not say where")
        return line

    @property
    def is_open(self) -> bool:
        """Whether the process is there."""
        return self._process.poll() is None

    def close(self) -> None:
        """Ends the process; pages say so."""
        gdb.events.before_prompt.disconnect(self.at_prompt)
        self._newest.put(b"")

    def at_prompt(self) -> None:
        """Tells where the machine stands, where a page is open and it has moved."""
        if self.n_pages and self._told != (state := self._state()) and self.is_open:
            self._told = state
            self.n_told += 1
            self._newest.put(json.dumps(self._tell(), separators=(",", ":")).encode() + b"\n")

    def _write(self) -> None:
        while line := self._newest.get():
            while not self._newest.empty() and line:
                line = self._newest.get()
            try:
                self._in.write(line)
                self._in.flush()
            except OSError:
                return
        self._in.close()

    def _read(self) -> None:
        for line in self._out:
            self.n_pages = int(line)
            gdb.post_event(self.at_prompt)


def _in_thread(work: Callable[[], None]) -> None:
    """In a thread that gets none of GDB's signals."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        threading.Thread(target=work, daemon=True).start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

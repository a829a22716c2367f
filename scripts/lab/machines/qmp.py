"""QEMU's machine protocol over a unix socket (docs/interop/qmp-spec of QEMU)."""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .. import Trouble


_MOST_AT_ONCE = 1 << 16  # bytes


class Gone(Trouble):
    """QEMU ended by itself."""


def _gone() -> Gone:
    return Gone("QEMU closed its monitor")


class Qmp:
    """One connection. QEMU serves one at a time, so keep it no longer than needed.

    gone: makes what is raised where QEMU ends, whenever it does. Raises Trouble, too, where QEMU says nothing for limit_s, and
    OSError where there is no monitor yet.
    """

    def __init__(self, path: Path | str, limit_s: float = 300, gone: Callable[[], Trouble] = _gone) -> None:
        self._gone, self._limit_s = gone, limit_s
        self._replies: queue.SimpleQueue[dict | None] = queue.SimpleQueue()     # None: it has ended
        self._changed = threading.Condition()
        self._was_told = False      # something unasked, or that it has ended, since the last wait()
        self._stands: bool | None = None
        self._has_ended = False
        self._n_turns = 0           # how often it has stopped or gone on
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(str(path))
            threading.Thread(target=self._read, daemon=True).start()
            self._next()  # the greeting
            self.execute("qmp_capabilities")
        except (OSError, Trouble):
            self.close()
            raise

    def __enter__(self) -> Qmp:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets the next one in."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def wait(self, limit_s: float) -> None:
        """Returns when QEMU says something unasked, as where the machine stops or goes on, or has gone; or after limit_s. What it has
        said so beside an answer counts, too: that may have been after what was asked."""
        with self._changed:
            self._changed.wait_for(lambda: self._was_told, max(0.0, limit_s))
            self._was_told = False

    def _read(self) -> None:
        """All that QEMU says, as it comes: a QEMU whose events nobody reads (two for each stop of GDB's, asked for or not) waits until
        somebody does, and its machine with it."""
        unread = b""
        with contextlib.suppress(OSError, ValueError):     # an end with something unread is a reset
            while more := self._socket.recv(_MOST_AT_ONCE):
                *lines, unread = (unread + more).split(b"\n")
                replies = [dict(json.loads(line)) for line in lines]
                for reply in replies:
                    if "event" in reply:
                        self._told(reply["event"])
                for reply in replies:       # so that whoever asked knows what was said beside the answer
                    if "event" not in reply:
                        self._replies.put(reply)
        self._has_ended = True
        self._replies.put(None)
        self._told("")

    def _next(self) -> dict:
        try:
            reply = self._replies.get(timeout=self._limit_s)
        except queue.Empty:
            raise Trouble(f"QEMU's monitor has said nothing for {self._limit_s:g} s") from None
        if reply is None:
            self._replies.put(None)     # for whoever asks again
            raise self._gone()
        return reply

    def execute(self, command: str, **arguments: object) -> Any:
        """Runs a QMP command."""
        request: dict = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            raise self._gone() from None
        reply = self._next()
        if "error" in reply:
            raise Trouble(f"QEMU refuses {command}: {reply['error'].get('desc', reply['error'])}")
        return reply.get("return")

    def stands(self, exactly: bool = False) -> tuple[bool, int]:
        """Whether the machine is stopped, and how often it has stopped or gone on, by the events that have come. exactly: by all there
        are until now, for which QEMU is asked; else it is not disturbed. Raises Trouble where QEMU has gone."""
        if exactly or self._stands is None:
            turns = self._n_turns
            stands = not self.execute("query-status")["running"]
            with self._changed:
                if self._n_turns == turns:      # else an event has said it since
                    self._stands = stands
        if self._has_ended:
            raise self._gone()
        with self._changed:
            return bool(self._stands), self._n_turns

    def _told(self, event: str) -> None:
        with self._changed:
            self._was_told = True
            if event in ("STOP", "RESUME"):
                self._stands = event == "STOP"
                self._n_turns += 1
            self._changed.notify_all()

    def human(self, line: str) -> str:
        """Runs a line of the human monitor and returns what it prints."""
        return str(self.execute("human-monitor-command", **{"command-line": line}))

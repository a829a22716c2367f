"""QEMU's machine protocol over a unix socket (docs/interop/qmp-spec of QEMU)."""

from __future__ import annotations

import json
import select
import socket
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
        self._unread = b""
        self._was_told = False      # something unasked, since the last wait()
        self._stands: bool | None = None
        self._n_turns = 0           # how often it has stopped or gone on
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(limit_s)
        try:
            self._socket.connect(str(path))
            self._next()  # the greeting
            self.execute("qmp_capabilities")
        except (OSError, Trouble):
            self._socket.close()
            raise

    def __enter__(self) -> Qmp:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Lets the next one in."""
        self._socket.close()

    def wait(self, limit_s: float) -> None:
        """Returns when QEMU says something unasked, as where the machine stops or goes on, or has gone; or after limit_s. What it has
        said so beside an answer counts, too: that may have been after what was asked."""
        if not self._was_told and not self._unread:
            select.select([self._socket], [], [], max(0.0, limit_s))
        self._was_told = False

    def _next(self) -> dict:
        while b"\n" not in self._unread:
            try:
                more = self._socket.recv(_MOST_AT_ONCE)
            except TimeoutError:
                raise Trouble(f"QEMU's monitor has said nothing for {self._limit_s:g} s") from None
            except OSError:  # an end with something unread is a reset
                more = b""
            if not more:
                raise self._gone()
            self._unread += more
        line, _, self._unread = self._unread.partition(b"\n")
        return dict(json.loads(line))

    def execute(self, command: str, **arguments: object) -> Any:
        """Runs a QMP command."""
        request: dict = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError:
            raise self._gone() from None
        while True:
            reply = self._next()
            if "return" in reply:
                return reply["return"]
            if "error" in reply:
                raise Trouble(f"QEMU refuses {command}: {reply['error'].get('desc', reply['error'])}")
            self._told(reply)

    def stands(self, exactly: bool = False) -> tuple[bool, int]:
        """Whether the machine is stopped, and how often it has stopped or gone on, by the events that have come. exactly: by all there
        are until now, for which QEMU is asked; else it is not disturbed."""
        if exactly or self._stands is None:
            self._stands = not self.execute("query-status")["running"]
        while self._unread or select.select([self._socket], [], [], 0)[0]:
            self._told(self._next())
        return self._stands, self._n_turns

    def _told(self, event: dict) -> None:
        self._was_told = True
        if event.get("event") in ("STOP", "RESUME"):
            self._stands = event["event"] == "STOP"
            self._n_turns += 1

    def human(self, line: str) -> str:
        """Runs a line of the human monitor and returns what it prints."""
        return str(self.execute("human-monitor-command", **{"command-line": line}))

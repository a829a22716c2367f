"""QEMU's machine protocol over a unix socket (docs/interop/qmp-spec of QEMU)."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from .. import Trouble


class Qmp:
    """One connection. QEMU serves one at a time, so keep it no longer than needed."""

    def __init__(self, path: Path | str, limit_s: float = 300) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(limit_s)
        try:
            self._socket.connect(str(path))
            self._lines = self._socket.makefile("r", encoding="utf-8")
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
        self._lines.close()
        self._socket.close()

    def _next(self) -> dict:
        line = self._lines.readline()
        if not line:
            raise Trouble("QEMU closed its monitor")
        return json.loads(line)

    def execute(self, command: str, **arguments: object) -> Any:
        """Runs a QMP command; events on the way are dropped."""
        request: dict = {"execute": command}
        if arguments:
            request["arguments"] = arguments
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            reply = self._next()
            if "return" in reply:
                return reply["return"]
            if "error" in reply:
                raise Trouble(f"QEMU refuses {command}: {reply['error'].get('desc', reply['error'])}")

    def human(self, line: str) -> str:
        """Runs a line of the human monitor and returns what it prints."""
        return str(self.execute("human-monitor-command", **{"command-line": line}))

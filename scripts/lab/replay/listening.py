"""A gdbserver's socket: one GDB after another is served there, by a thread, until it is closed."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from ..machines.rundir import RunDir
from .wire import Wire


class Listening:
    """Listens at `target`, a unix socket in a folder of its own or 127.0.0.1:port. A context manager.

    _closing  can be read once it is to end
    """

    def __init__(self, within: Path | None = None, port: int | None = None) -> None:
        self._run = RunDir(0, within)
        self.target = f"127.0.0.1:{port}" if port else str(self._run.path / "gdb.sock")
        self._closing, self._close = os.pipe()
        self._listener = socket.socket(socket.AF_INET if port else socket.AF_UNIX, socket.SOCK_STREAM)
        if port:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", port) if port else self.target)
        self._listener.listen(1)

    def begin(self, serve: Callable[[], None]) -> None:
        """Has serve(), which serve_each() is for, run in a thread."""
        self._thread = threading.Thread(target=serve, name="gdbserver")
        self._thread.start()

    def serve_each(self, serve: Callable[[Wire], None], *ends: type[Exception]) -> None:
        """Serves each GDB that comes until this is closed; one of `ends` is the end of that GDB only."""
        while self._closing not in select.select([self._listener, self._closing], [], [])[0]:
            connection, _ = self._listener.accept()
            with contextlib.closing(Wire(connection)) as wire, contextlib.suppress(*ends):
                serve(wire)

    def close(self) -> None:
        """Ends it, once serve() has returned. Harmless when done twice."""
        if self._close >= 0:
            os.close(self._close)
            self._close = -1
            self._thread.join()
            os.close(self._closing)
            self._listener.close()
            self._run.remove()

    def __exit__(self, *_: object) -> None:
        self.close()

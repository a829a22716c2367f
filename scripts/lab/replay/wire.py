"""Packets of GDB's remote protocol over a socket (GDB's manual, appendix "GDB Remote Serial Protocol": Overview, Packets)."""

from __future__ import annotations

import select
import socket

INTERRUPT = b"\x03"
_CHUNK = 1 << 16


class Closed(Exception):
    """The other end is gone."""


class Wire:
    """One end of a connection. What is between "$" and "#" is handed over as it came, its escapes too; each packet is
    acknowledged, and no other acknowledgement is waited for: a local socket loses nothing."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._read = b""

    @classmethod
    def to(cls, path: str) -> Wire:
        """Connected to a unix socket. Raises OSError."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.connect(path)
        return cls(connection)

    def fileno(self) -> int:
        """For select()."""
        return self._socket.fileno()

    def close(self) -> None:
        """The other end is told by the end of the stream."""
        self._socket.close()

    def send(self, packet: bytes) -> None:
        """Raises Closed."""
        self._send(b"$%s#%02x" % (packet, sum(packet) & 0xff))

    def interrupt(self) -> None:
        """Asks the machine at the other end to stop. Raises Closed."""
        self._send(INTERRUPT)

    def _send(self, data: bytes) -> None:
        try:
            self._socket.sendall(data)
        except OSError:
            raise Closed from None

    def has_one(self) -> bool:
        """Whether receive() returns without waiting."""
        return self._next() is not None

    def receive(self, limit_s: float | None = None) -> bytes | None:
        """The next packet, or INTERRUPT; None when none comes within the limit. Raises Closed."""
        while (found := self._next()) is None:
            if not select.select([self], [], [], limit_s)[0]:
                return None
            self._fill()
        packet, self._read = found
        if packet != INTERRUPT:
            self._send(b"+")
        return packet

    def _fill(self) -> None:
        try:
            data = self._socket.recv(_CHUNK)
        except OSError:
            data = b""
        if not data:
            raise Closed
        self._read += data

    def _next(self) -> tuple[bytes, bytes] | None:
        """The first packet that has been read, and what follows it."""
        rest = self._read.lstrip(b"+-")
        if rest.startswith(INTERRUPT):
            return INTERRUPT, rest[1:]
        end = rest.find(b"#")
        if end < 0 or len(rest) < end + 3:
            return None
        return rest[rest.index(b"$") + 1:end], rest[end + 3:]

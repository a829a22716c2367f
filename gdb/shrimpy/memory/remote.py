"""Physical memory of a live machine, through QEMU's gdb stub.

This file owns the stub's physical mode. The stub reads memory through the
stopped hart's satp unless that mode is on (QEMU, docs/system/gdb.rst,
"qemu.PhyMemMode"), the mode is one global that outlives the connection, and
GDB's own reads go wrong while it is on. So it is on only inside
``RemoteReader``'s ``with`` block, and leaving the block proves it off.
"""

from __future__ import annotations

import mmap
import os
import re
import tempfile
from types import TracebackType

import gdb

from .readers import RAM_BASE, BytesReader, RamFileReader, ReadError, Reader

# A stub answers a read with two digits a byte, in a packet whose size it
# announced; QEMU's announces 4,096 and takes 0x800 bytes at a time.
CHUNK_BYTES = 0x800

# Past this many packets in one use, one image of all RAM (some 0.2 s for
# 128 MiB, one packet) is cheaper than going on (some 0.1 ms a packet).
PACKETS_BEFORE_IMAGE = 2048
IMAGE_LIMIT_BYTES = 1 << 30


class StubError(Exception):
    """Whoever is at the other end is not a QEMU that can do this."""


class Stub:
    """The far end of GDB's connection. Counts what it sends."""

    def __init__(self) -> None:
        self.packets = 0
        connection = getattr(gdb.selected_inferior(), "connection", None)
        self._send = getattr(connection, "send_packet", None)

    def packet(self, text: str) -> str:
        """The reply to one packet; "" is the stub's "I do not know that"."""
        self.packets += 1
        try:
            if self._send is not None:
                return (self._send(text) or b"").decode("ascii", "replace")
            # GDB 11 and older.
            shown = gdb.execute(f"maintenance packet {text}", to_string=True)
        except gdb.error as error:
            raise StubError(f"no answer from the machine: {error}") from None
        reply = re.search(r'^received: "(.*)"', shown, re.M)
        return reply.group(1) if reply else ""

    def monitor(self, command: str) -> str:
        """What QEMU's monitor prints for `command`."""
        self.packets += 1
        try:
            return gdb.execute(f"monitor {command}", to_string=True).strip()
        except gdb.error as error:
            raise StubError(f"the stub has no monitor: {error}") from None

    def physical_mode(self) -> bool:
        reply = self.packet("qqemu.PhyMemMode")
        if reply not in ("0", "1"):
            raise StubError("the stub cannot read physical memory: "
                            "expected QEMU 4.1 or later")
        return reply == "1"

    def physical_mode_off(self) -> None:
        """Off, and seen to be off, even while Ctrl-C is being hit."""
        interrupt: KeyboardInterrupt | None = None
        for _ in range(8):
            try:
                self.packet("Qqemu.PhyMemMode:0")
                if not self.physical_mode():
                    break
            except KeyboardInterrupt as signal:
                interrupt = signal
        if interrupt is not None:
            raise interrupt

    def ram_size(self) -> int:
        """Bytes of RAM that the machine was given."""
        text = self.monitor("info memory_size_summary")
        found = re.search(r"base memory:\s*(\d+)", text)
        if not found:
            raise StubError(f"QEMU does not say how much RAM there is: {text!r}")
        return int(found.group(1))


class RemoteReader(Reader):
    """Reads RAM by packets, or from an image of it where that is cheaper.

    A context manager: ``read`` works inside ``with`` only. `packets` counts
    what the present or last ``with`` sent.
    """

    source = "remote"

    def __init__(self, stub: Stub, ram_size: int) -> None:
        super().__init__((RAM_BASE, RAM_BASE + ram_size))
        self._stub = stub
        self._image: BytesReader | None = None
        self._image_tried = False
        self._inside = False
        self._packets_before = stub.packets

    @property
    def packets(self) -> int:
        return self._stub.packets - self._packets_before

    def __enter__(self) -> RemoteReader:
        self._packets_before = self._stub.packets
        self._image_tried = False
        self._stub.physical_mode()      # raises where there is no such mode
        self._inside = True
        try:
            self._stub.packet("Qqemu.PhyMemMode:1")
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None,
                 error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Leaves physical mode; does nothing outside ``with``."""
        if self._inside:
            self._inside = False
            self._image = None
            self._stub.physical_mode_off()

    def first_words(self) -> bytes | None:
        image = self._whole()
        return image.first_words() if image else None

    def _read(self, pa: int, n: int) -> bytes:
        if not self._inside:
            raise ReadError("the machine is read inside a with block only")
        if self._image is None and self.packets > PACKETS_BEFORE_IMAGE:
            self._whole()
        if self._image is not None:
            return self._image.read(pa, n)
        return b"".join(self._chunk(pa + at, min(CHUNK_BYTES, n - at))
                        for at in range(0, n, CHUNK_BYTES))

    def _chunk(self, pa: int, n: int) -> bytes:
        reply = self._stub.packet(f"m{pa:x},{n:x}")
        if len(reply) != 2 * n:
            raise ReadError(f"expected {n} bytes at {pa:#x}, "
                            f"the stub said {reply[:16]!r}")
        return bytes.fromhex(reply)

    def _whole(self) -> BytesReader | None:
        """An image of RAM, taken once in a ``with``; None when it is too big,
        or when QEMU cannot write where this process can read."""
        if not self._image_tried and self._inside:
            self._image_tried = True
            base, end = self.ram
            if end - base <= IMAGE_LIMIT_BYTES:
                self._image = _take_image(self._stub, base, end - base)
        return self._image


class MappedReader(Reader):
    """RAM through the page table that the selected hart uses, as GDB reads it. No packet of our own is sent, which would
    make GDB forget the frames that it is in the middle of finding or printing."""

    source = "remote"

    def _read(self, pa: int, n: int) -> bytes:
        try:
            return bytes(gdb.selected_inferior().read_memory(pa, n))
        except gdb.MemoryError as error:
            raise ReadError(str(error)) from None


def _take_image(stub: Stub, base: int, size: int) -> BytesReader | None:
    """[base, base + size) through a file that is gone before this returns."""
    with tempfile.TemporaryDirectory(prefix="shrimpy-") as folder:
        path = os.path.join(folder, "ram")
        try:
            stub.monitor(f'pmemsave {base:#x} {size:#x} "{path}"')
            with open(path, "rb") as file:
                if os.fstat(file.fileno()).st_size != size:
                    return None
                mapped = mmap.mmap(file.fileno(), size, access=mmap.ACCESS_READ)
        except (OSError, StubError):
            return None
    return BytesReader(mapped, base)


def ram_file(stub: Stub) -> str | None:
    """The file that this machine's RAM is shared with, as QEMU names it."""
    backends = [_unquoted(stub.monitor("qom-get /machine memory-backend")),
                "/objects/ram"]
    for backend in dict.fromkeys(backends):
        if not backend or not backend.startswith("/"):
            continue
        path = _unquoted(stub.monitor(f"qom-get {backend} mem-path"))
        shared = stub.monitor(f"qom-get {backend} share")
        if path and os.path.isfile(path) and shared == "true":
            return path
    return None


def open_live(probes: list[int], wanted: str = "auto") -> Reader:
    """The best reader of the machine GDB is connected to.

    `probes` are physical addresses whose pages must agree between the RAM
    file and the stub before the file is believed: a stub may be on another
    computer where that path is another machine's RAM.

    `wanted` is "auto", or "remote" for the stub whatever else there is.
    Raises StubError where the stub is not QEMU's.
    """
    stub = Stub()
    if stub.physical_mode():
        stub.physical_mode_off()
    remote = RemoteReader(stub, stub.ram_size())
    path = ram_file(stub) if wanted == "auto" else None
    if path is None:
        return remote
    try:
        mapped = RamFileReader(path)
    except (OSError, ValueError):
        return remote
    with remote:
        same = mapped.ram == remote.ram and all(
            mapped.read(pa, CHUNK_BYTES) == remote.read(pa, CHUNK_BYTES)
            for pa in probes)
    if same:
        return mapped
    mapped.close()
    return remote


def _unquoted(text: str) -> str | None:
    """The string in a monitor's JSON answer; None for anything else."""
    found = re.fullmatch(r'"(.*)"', text.strip())
    return found.group(1) if found else None

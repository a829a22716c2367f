"""A line typed at the console of a stopped machine, whoever has its terminal: through the UART's loopback.

While bit 4 of the modem control register is set, what is written to a 16550 comes back as received, which is how drivers test it
(National Semiconductor, PC16550D, 8.7); QEMU does that at once, and interrupts the guest. The machine has been stopped all the while,
so that nothing of the guest's own is looped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..kernel.debuginfo import DebugInfo
from ..memory.remote import Stub, StubError

UART = 0x10000000       # of QEMU's virt machine (hw/riscv/virt.c, virt_memmap)
FIFO_BYTES = 16         # that wait in the UART until the guest takes them
_DATA, _MODEM, _LINE = 0, 4, 5
_LOOPBACK, _READY = 1 << 4, 1 << 0


def keys(info: DebugInfo, typed: bytes) -> None:
    """Types up to FIFO_BYTES, of which the guest has taken none yet. Raises StubError where that is not possible."""
    at = info.macros.get("UART0", UART)
    with _registers() as stub:
        before = _read(stub, at + _MODEM)
        _write(stub, at + _MODEM, before | _LOOPBACK)
        try:
            for key in typed:
                _write(stub, at + _DATA, key)
        finally:
            _write(stub, at + _MODEM, before)
        if not _read(stub, at + _LINE) & _READY:
            raise StubError(f"there is no UART at {at:#x} that takes what is typed")


@contextmanager
def _registers() -> Iterator[Stub]:
    """The stub in its physical mode, where addresses of devices are what they are."""
    stub = Stub()
    stub.physical_mode()        # raises where there is no such mode
    try:
        stub.packet("Qqemu.PhyMemMode:1")
        yield stub
    finally:
        stub.physical_mode_off()


def _read(stub: Stub, at: int) -> int:
    reply = stub.packet(f"m{at:x},1")
    if len(reply) != 2:
        raise StubError(f"the register at {at:#x} cannot be read: the stub said {reply[:16]!r}")
    return int(reply, 16)


def _write(stub: Stub, at: int, byte: int) -> None:
    reply = stub.packet(f"M{at:x},1:{byte:02x}")
    if reply != "OK":
        raise StubError(f"the register at {at:#x} cannot be written: the stub said {reply[:16]!r}")

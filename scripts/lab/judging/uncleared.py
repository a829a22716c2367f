"""A kernel that boots only where memory is zero before it starts, as a new machine's is, and not after a reset."""

from __future__ import annotations

from dataclasses import dataclass

from shrimpy.memory import elf

from .. import Trouble
from ..kernels.tree import Kernel
from ..machines.machine import Machine
from ..patience import limit_s

_FILLING = b"\xff"


@dataclass(frozen=True)
class Uncleared:
    """Memory that nobody clears: neither QEMU, for the kernel's file has nothing of that segment, nor the kernel."""

    address: int
    size: int  # bytes

    @property
    def line(self) -> str:
        return (f"it boots only where RAM is zero, so not after a reset: nobody clears .bss ({self.size} bytes from "
                f"{self.address:#x}). QEMU does not, for the file holds no byte of that segment; hart 0 should, before any "
                "other hart goes on")


def find(kernel: Kernel, cpus: int) -> Uncleared | None:
    """What a kernel that has booted leaves uncleared, if it does not boot once more where RAM is full of ones."""
    try:
        segments = elf.Elf(kernel.elf.read_bytes()).segments
    except (OSError, elf.ElfError):
        return None
    empty = next((one for one in segments if one.is_load and one.mem_size and not one.file_size), None)
    if empty is None:
        return None
    with Machine(kernel, cpus, filled=_FILLING) as machine:
        try:
            machine.boot(limit_s() / 4)  # one like it has come to its prompt
        except Trouble:
            return Uncleared(empty.paddr, empty.mem_size)
    return None

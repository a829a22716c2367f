"""Physical memory: n bytes at address a, and RAM's bounds.

These readers never remember what they read: RAM changes between two stops. See unchanged.py for one that compares.
"""

from __future__ import annotations

import mmap
from typing import Callable, Dict, Hashable, List, Mapping, Optional, Tuple, TypeVar, Union

from . import elf

T = TypeVar("T")

PAGE = 4096
"""Bytes of a page and of a page table (RISC-V Privileged, 4.3.1)."""

RAM_BASE = 0x80000000
"""Where RAM starts on QEMU's virt machine (hw/riscv/virt.c, virt_memmap)."""


class ReadError(Exception):
    """A read of physical memory that is not RAM, or that the source refused."""


class Reader:
    """Physical memory of a stopped machine.

    source: what a snapshot calls it: "ram-file" "remote" "core" "bytes".
    ram: (base, end), RAM is [base, end).
    """

    source = "bytes"

    def __init__(self, ram: Tuple[int, int]) -> None:
        self.ram = ram

    def read(self, pa: int, n: int) -> bytes:
        """The `n` bytes at `pa`. Raises ReadError unless all of them are RAM."""
        base, end = self.ram
        if n < 0 or pa < base or pa + n > end:
            raise ReadError(f"[{pa:#x}, {pa + n:#x}) is outside RAM [{base:#x}, {end:#x})")
        return self._read(pa, n)

    def page(self, pa: int) -> bytes:
        """The 4096 bytes at `pa`. Raises ReadError outside RAM."""
        return self.read(pa, PAGE)

    def first_words(self) -> Optional[bytes]:
        """The first 8 bytes of every frame of RAM, in order: where the free
        list's links are. None when that costs as much as reading all of RAM,
        as through a stub; the list is then walked a read per node."""
        return None

    def changed(self, pages: Mapping[int, bytes]) -> List[int]:
        """Which of these pages, by address, do not have these bytes any more, or cannot be read."""
        return [pa for pa, data in pages.items() if not self._has(pa, data)]

    def has_first_words(self, words: bytes) -> bool:
        """Whether first_words() would be `words`."""
        return self.first_words() == words

    # What an UnchangedReader does something about

    def look(self, info: object) -> None:
        """A new look at memory, which may have changed since the last, by a kernel's debugging information."""

    def rely_on(self, what: object) -> None:
        """What is made in this look from now on depends on `what` too, beside what it is given and memory."""

    def remembered(self, key: Hashable, make: Callable[[], T], given: object = None) -> T:
        """What `make` gives, or gave for this key when it was given the same and all that it read was as it is now. make: a function of
        the key, of `given` and of what it reads here; what it gives is never changed."""
        return make()

    def forget(self) -> None:
        """What is being made is more than a function of what was read: it is not to be used again."""

    def confirm(self) -> None:
        """Before something that takes long: raises ReadError where what this look has read is known to have changed since, as it may
        while a machine runs."""

    def close(self) -> None:
        """Give back what the reader holds; reading afterwards is an error."""

    def _has(self, pa: int, data: bytes) -> bool:
        try:
            return self.page(pa) == data
        except ReadError:
            return False

    def _read(self, pa: int, n: int) -> bytes:
        raise NotImplementedError


class _ViewReader(Reader):
    """Memory that is one buffer from RAM's base."""

    def __init__(self, view: memoryview, base: int) -> None:
        super().__init__((base, base + len(view)))
        self._view = view
        self._links = view[:len(view) // PAGE * PAGE].cast("Q")[::PAGE // 8]
        self._copied = bytearray(8 * len(self._links))

    def page(self, pa: int) -> bytes:
        offset = pa - self.ram[0]
        page = bytes(self._view[offset:offset + PAGE]) if offset >= 0 else b""
        if len(page) != PAGE:
            raise ReadError(f"page {pa:#x} is outside RAM [{self.ram[0]:#x}, {self.ram[1]:#x})")
        return page

    def changed(self, pages: Mapping[int, bytes]) -> List[int]:
        base, view = self.ram[0], self._view    # no page that is outside RAM has been read
        return [pa for pa, data in pages.items() if view[pa - base:pa - base + PAGE].tobytes() != data]

    def first_words(self) -> Optional[bytes]:
        memoryview(self._copied).cast("Q")[:] = self._links      # a fifth of tobytes()'s time, and no memory that is new
        return bytes(self._copied)

    def has_first_words(self, words: bytes) -> bool:
        return self._links == memoryview(words).cast("Q")

    def close(self) -> None:
        self._links.release()
        self._view.release()

    def _read(self, pa: int, n: int) -> bytes:
        offset = pa - self.ram[0]
        return bytes(self._view[offset:offset + n])


class BytesReader(_ViewReader):
    """RAM that is a bytes object, for tests and recorded images."""

    def __init__(self, data: Union[bytes, mmap.mmap], base: int = RAM_BASE) -> None:
        super().__init__(memoryview(data).cast("B"), base)


_MAP_WHOLE = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
"""Map all pages at once: the free list touches each, and 32,768 page faults
would triple the time of the first snapshot."""


class RamFileReader(_ViewReader):
    """RAM in a file that QEMU shares (-object memory-backend-file,share=on).

    Maps it read-only: a read shows what the machine has there now. Raises
    OSError when the file cannot be opened or mapped.
    """

    source = "ram-file"

    def __init__(self, path: str, base: int = RAM_BASE) -> None:
        self.path = path
        with open(path, "rb") as file:
            try:
                self._map = mmap.mmap(file.fileno(), 0, flags=_MAP_WHOLE, prot=mmap.PROT_READ)
            except ValueError:
                raise OSError(f"{path}: an empty file") from None
        super().__init__(memoryview(self._map), base)

    def close(self) -> None:
        super().close()
        self._map.close()


class CoreReader(_ViewReader):
    """An ELF core that QEMU's dump-guest-memory wrote.

    Its PT_LOAD segments say, by p_paddr, where each piece of the file was.
    RAM is the segment that has RAM_BASE, or the largest one. `harts` are the
    registers of each hart, by its PRSTATUS note. Raises elf.ElfError for a
    file that is no such core, OSError when it cannot be read.
    """

    source = "core"

    def __init__(self, path: str) -> None:
        with open(path, "rb") as file:
            try:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError:
                raise elf.ElfError(f"{path}: an empty file") from None
        image = elf.Elf(self._map)
        if not image.is_core:
            raise elf.ElfError(f"{path}: an ELF file, but not a core")
        loads = [s for s in image.segments if s.is_load and s.file_size]
        if not loads:
            raise elf.ElfError(f"{path}: a core without memory")
        ram = next((s for s in loads if s.paddr <= RAM_BASE < s.paddr + s.file_size),
                   max(loads, key=lambda s: s.file_size))
        self.harts = image.core_registers()
        view = memoryview(self._map)[ram.offset:ram.offset + ram.file_size]
        super().__init__(view, ram.paddr)

    def close(self) -> None:
        super().close()
        self._map.close()


class PatchedReader(Reader):
    """Memory as it will be: some words replaced, by address: (value, bytes)."""

    def __init__(self, below: Reader, words: Dict[int, Tuple[int, int]]) -> None:
        super().__init__(below.ram)
        self.source = below.source
        self._below, self._words = below, words

    def first_words(self) -> Optional[bytes]:
        return self._below.first_words()

    def _read(self, pa: int, n: int) -> bytes:
        data = bytearray(self._below.read(pa, n))
        for at, (word, size) in self._words.items():
            if pa <= at and at + size <= pa + n:
                data[at - pa:at - pa + size] = word.to_bytes(size, "little")
        return bytes(data)

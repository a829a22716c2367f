"""When a shell waits for a line, and what it prints then: learnt from the machine, whichever shell it is.

Memory says when: a process waits at the console while its slot in the array of processes points into the console's
struct (what it sleeps on), and all that was typed has been consumed. Where memory does not say, the text does.
"""

from __future__ import annotations

import functools
import mmap
import os
import re
import struct
from collections.abc import Sequence
from pathlib import Path

from shrimpy import elf

_RAM_BASE = 0x80000000
# Names of the variables in xv6 trees: the array of processes, and what is known of the console's input.
_PROCESSES = re.compile(r"proc|procs|ptable|proctable|proc_table|tasks?|process(es)?", re.I)
_CONSOLE = re.compile(r"cons|console|cons_?dev|input|tty\w*|term\w*|kbd\w*|con|stdin_?\w*", re.I)
_LARGEST = 1 << 20  # bytes of either
_USUAL = re.compile(r"(?:^|\n)[^\n]*[$#>%](?:\x1b\[[\d;]*m)* ?(?:\x1b\[[\d;]*m)*$")
_NUMBER = re.compile(r"-?\d+")
_CHANGING = re.compile(r"-?\d+|.", re.S)


class Waiting:
    """Who waits at the console of a machine. Reads its RAM while it runs."""

    def __init__(self, kernel: Path, ram: Path) -> None:
        self._places = _places(kernel, kernel.stat().st_mtime_ns)
        self._file = open(ram, "rb")
        self._ram = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ) if os.path.getsize(ram) else b""

    @property
    def knows(self) -> bool:
        """Whether the kernel's file says where to look."""
        return self._places is not None

    def readers(self) -> frozenset[int]:
        """Where in the array of processes something points into the console: nowhere when nobody waits, or nobody knows."""
        if not self._places:
            return frozenset()
        processes, consoles = self._places
        words = self._words(processes, "Q")
        return frozenset(8 * at for at, word in enumerate(words) if any(word in console for console in consoles))

    def consumed(self) -> frozenset[int]:
        """Each number that three words running of the console have in common: how many characters were read, written
        and edited, when all are consumed."""
        found = set()
        for console in self._places[1] if self._places else ():
            words = self._words(console, "I")
            found |= {one for one, two, three in zip(words, words[1:], words[2:]) if one == two == three}
        return frozenset(found)

    def _words(self, place: range, form: str) -> Sequence[int]:
        size = struct.calcsize(form)
        start = place.start - _RAM_BASE
        data = self._ram[start:start + len(place) // size * size]
        return struct.unpack(f"<{len(data) // size}{form}", data)

    def close(self) -> None:
        if self._ram:
            self._ram.close()
        self._file.close()


@functools.lru_cache(maxsize=16)
def _places(kernel: Path, _mtime_ns: int) -> tuple[range, tuple[range, ...]] | None:
    """Where the processes and the console are, in physical memory; None when the kernel's file does not say."""
    try:
        file = elf.Elf(kernel.read_bytes())
        _, objects = file.symbols()
    except (elf.ElfError, OSError):
        return None

    def found(names: re.Pattern[str]) -> list[range]:
        there = []
        for one in objects:
            if names.fullmatch(one.name) and 8 <= one.size <= _LARGEST:
                for segment in file.segments:
                    at = one.address - segment.vaddr
                    if segment.is_load and 0 <= at < 1 << 26:
                        there.append(range(segment.paddr + at, segment.paddr + at + one.size))
                        break
        return sorted(there, key=len)
    processes, consoles = found(_PROCESSES), found(_CONSOLE)
    return (processes[-1], tuple(consoles)) if processes and consoles else None


def usual(text: str) -> str:
    """The prompt at the end of text, if it is one as most shells have it; else nothing."""
    match = _USUAL.search(text)
    return match[0].lstrip("\n") if match else ""


def common(before: str, after: str) -> re.Pattern[str] | None:
    """What both texts end with, as a pattern, a number standing for any; None when that is nothing."""
    one, other = (_CHANGING.findall(text[-1000:]) for text in (before, after))
    length = 0
    while length < min(len(one), len(other)) and _kind(one[-1 - length]) == _kind(other[-1 - length]):
        length += 1
    shared = other[len(other) - length:]
    while shared and shared[0] == "\n":  # what came before it ended a line
        del shared[0]
    if not shared:
        return None
    return re.compile("".join(_NUMBER.pattern if _NUMBER.fullmatch(part) else re.escape(part) for part in shared))


def _kind(part: str) -> str:
    return "0" if _NUMBER.fullmatch(part) else part

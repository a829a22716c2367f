"""Whether a kernel has panicked, whatever its panic is called and prints.

What it printed is a hint. Memory tells more: a variable by which it stops all printing, and a hart that jumps for ever to the
instruction it is at, where no kernel means to stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from .kernelram import KernelRam

# As xv6 says it; and as others may, which memory must bear out.
_SAID = re.compile(r"panic: ([^\n]*)")
NOTHING = "it says nothing"
_LAST_WORDS = 4096  # characters: what a kernel that panics says is among them
_LIKE = re.compile(r"[^\n]*\b(?:panic\w*|oops|fatal|bug|assert\w*|die[ds]?|dead|halt\w*|abort\w*|crash\w*)\b[^\n]*", re.I)
_PANIC_FIRST = re.compile(r"[^\na-z]*(?:kernel[ _-]?)?panic\w*\W*([^\n]*)", re.I)

_VARIABLES = re.compile(r"(kernel_?)?panic(k?ed|k?ing)?", re.I)
# Functions in which a hart may stay: at the start, where there are more harts than the kernel wants, and without work.
_RESTS = re.compile(r"\$?_?(start|entry|main|\w*(spin|park|idle|wait|sched|boot|second)\w*)", re.I)
_ENDS = re.compile(r"\w*(panic|die|dead|fatal|halt|abort|assert|oops|hang|stop|bug|crash|shutdown|exit)\w*", re.I)

_JUMPS_TO_ITSELF = (b"\x01\xa0", b"\x6f\x00\x00\x00")  # c.j 0; jal x0, 0
_WFI = b"\x73\x00\x50\x10"
_JUMPS_TO_WFI = (b"\xf5\xbf", b"\x6f\xf0\xdf\xff")     # c.j -4; jal x0, -4
_MANY_CALLS = 8
_ENOUGH_LOOKS = 3
_MOST_LOOKED_AT = 4096  # characters

Harts = Callable[[], Iterable[int]]
"""The pc of each hart, now."""


class Panics:
    """harts is asked only where the console does not say, or memory is to bear it out."""

    def __init__(self, ram: KernelRam, harts: Harts) -> None:
        self._ram, self._harts = ram, harts
        self._variables = [one for one in ram.variables(_VARIABLES) if len(one) in (1, 2, 4, 8)]
        self._cleared: set[range] = set()  # what was there before the kernel began is none of its
        self._calm = 0     # no panic is said before, in xv6's words
        self._length = -1  # of what was said at the last look
        self._looks = 0    # in how many running a hart has jumped to itself

    def said(self, text: str, whole: bool) -> str | None:
        """What a panic of which the console tells has said; text: all of the console's. whole: nothing more will come."""
        match = _SAID.search(text, self._calm)
        if not match:
            self._calm = max(0, len(text) - len("panic: "))
            return None
        if not self._is_set() and self._cleared:
            return None  # a program's words; or its very beginning
        return match[1] if text[match.end():] or whole else None

    def shown(self, text: str, start: int, whole: bool) -> str | None:
        """What was said by a kernel of which memory shows that it has panicked. start: where it was well; whole: as in said()."""
        said = text[max(start, len(text) - _LAST_WORDS):]     # a machine may print without end
        calm, self._length = len(text) == self._length, len(text)
        settled = whole or calm and (bool(said.strip()) and said.endswith("\n") or self._is_at_its_end())
        if self._is_set() and settled or self._stays(said):
            return _message(said or text[-_LAST_WORDS:])
        return None

    def _is_set(self) -> bool:
        self._cleared |= {one for one in self._variables if not any(self._ram.read(one))}
        return any(any(self._ram.read(one)) for one in self._cleared)

    def _is_at_its_end(self) -> bool:
        """Whether a hart is where it stays: else what it has to say may be to come, on a host that lets it wait."""
        return any(self._jumps_to_itself(pc) or self._waits_for_ever(pc) for pc in self._harts())

    def _stays(self, said: str) -> bool:
        """Whether a hart has said something, and stays where it is since. Without a word it hangs."""
        if not said.strip():
            return False
        like = bool(_LIKE.search(said))
        places = [(pc, self._ram.function(pc)) for pc in self._harts()]
        ends = [name for pc, name in places if name and not _RESTS.fullmatch(name) and self._jumps_to_itself(pc)
                and (like or self._is_panic(name))]
        rests = [name for pc, name in places if name and _ENDS.fullmatch(name) and self._waits_for_ever(pc)]
        if not ends and not rests:
            self._looks = 0
            return False
        self._looks += 1
        return self._looks >= (1 if like else _ENOUGH_LOOKS)

    def _is_panic(self, function: str) -> bool:
        """Whether a function that never returns is called from all over: else it is a loop without an end, a hang."""
        return bool(_ENDS.fullmatch(function)) or self._ram.n_calls(function) >= _MANY_CALLS

    def _jumps_to_itself(self, pc: int) -> bool:
        return self._ram.code(pc, 4).startswith(_JUMPS_TO_ITSELF)

    def _waits_for_ever(self, pc: int) -> bool:
        """At one of the two instructions of `for (;;) wfi`."""
        around = self._ram.code(pc - 4, 12)
        return around[:4] == _WFI and around[4:].startswith(_JUMPS_TO_WFI) \
            or around[4:8] == _WFI and around[8:].startswith(_JUMPS_TO_WFI)


def _message(text: str) -> str:
    """The line that tells of it: the last that begins as a panic's, or is like one, or else the last."""
    lines = [line.strip() for line in reversed(text[-_MOST_LOOKED_AT:].splitlines()) if line.strip()]
    said: str = next((match[1] for match in map(_PANIC_FIRST.fullmatch, lines) if match and match[1]), "")
    return said or next((line for line in lines if _LIKE.fullmatch(line)), lines[0] if lines else NOTHING)


def harts_of(monitor_says: str) -> list[int]:
    """The pc of each hart, in what QEMU's monitor prints for `info registers -a`."""
    return [int(pc, 16) for pc in re.findall(r"^\s*pc\s+([0-9a-f]+)", monitor_says, re.M)]

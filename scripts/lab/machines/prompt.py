"""When a shell waits for a line, and what it prints then: learnt from the machine, whichever shell it is.

Memory says when: a process waits at the console while its slot in the array of processes points into the console's
struct (what it sleeps on), and all that was typed has been consumed. Where memory does not say, the text does.
"""

from __future__ import annotations

import re

from .kernelram import KernelRam

# Names of the variables in xv6 trees: the array of processes, and what is known of the console's input.
_PROCESSES = re.compile(r"proc|procs|ptable|proctable|proc_table|tasks?|process(es)?", re.I)
_CONSOLE = re.compile(r"cons|console|cons_?dev|input|tty\w*|term\w*|kbd\w*|con|stdin_?\w*", re.I)
_LONGEST = 1000  # characters of a prompt
_USUAL = re.compile(r"(?:^|\n)[^\n]*[$#>%](?:\x1b\[[\d;]*m)* ?(?:\x1b\[[\d;]*m)*$")
_NUMBER = re.compile(r"-?\d+")
_CHANGING = re.compile(r"-?\d+|.", re.S)


class Waiting:
    """Who waits at the console of a machine."""

    def __init__(self, ram: KernelRam) -> None:
        self._ram = ram
        processes = ram.variables(_PROCESSES)
        self._processes = processes[-1] if processes else None
        self._consoles = [one for one in ram.variables(_CONSOLE) if len(one) >= 8]

    @property
    def knows(self) -> bool:
        """Whether the kernel's file says where to look."""
        return bool(self._processes and self._consoles)

    def readers(self) -> frozenset[int]:
        """Where in the array of processes something points into the console: nowhere when nobody waits, or nobody knows."""
        words = self._ram.words(self._processes, "Q") if self._processes else ()
        return frozenset(8 * at for at, word in enumerate(words) if any(word in console for console in self._consoles))

    def consumed(self) -> frozenset[int]:
        """Each number that three words running of the console have in common: how many characters were read, written
        and edited, when all are consumed."""
        found = set()
        for console in self._consoles:
            words = self._ram.words(console, "I")
            found |= {one for one, two, three in zip(words, words[1:], words[2:]) if one == two == three}
        return frozenset(found)


def usual(text: str) -> str:
    """The prompt at the end of text, if it is one as most shells have it; else nothing."""
    match = _USUAL.search(text[-_LONGEST:])
    return match[0].lstrip("\n") if match else ""


def common(before: str, after: str) -> re.Pattern[str] | None:
    """What both texts end with, as a pattern, a number standing for any; None when that is nothing."""
    one, other = (_CHANGING.findall(text[-_LONGEST:]) for text in (before, after))
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

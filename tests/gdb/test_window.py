"""`layout shrimpy` as a person sees it: the cells of a terminal."""

from __future__ import annotations

import functools
import os
import re
import signal
from collections.abc import Callable, Iterator

import pexpect
import pytest

from lab import tools
from lab.machines import debugger
from lab.machines.machine import Machine

try:
    import pyte
except ImportError:
    pyte = None

FAMILY = 7      # init, sh, the four of shrimpdemo, and the child
DOWN, UP, PAGE_DOWN = "\x1b[B", "\x1b[A", "\x1b[6~"     # as console_codes(4) has them


class Terminal:
    """A GDB with the kit, and what is to be seen of it."""

    def __init__(self, machine: Machine, columns: int, rows: int, **environment: str) -> None:
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self.said = ""
        self._gdb = pexpect.spawn(
            tools.gdb(), ["-nx", "-q", "-ex", "set confirm off", "-ex", f"source {debugger.KIT}",
                          "-ex", f"target remote {machine.gdb_target}", str(machine.kernel.elf)],
            encoding="utf-8", timeout=600, dimensions=(rows, columns),
            env={**os.environ, "TERM": "linux", "LC_ALL": "C.UTF-8", "DEBUGINFOD_URLS": "", **environment})
        self.until(r" \(.*\) at ", at_prompt=True)

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def window(self) -> list[str]:
        """The lines inside the window; none while its border is not whole: half drawn, or drawn over."""
        display = self.screen.display
        top = next((y for y, line in enumerate(display) if "─shrimpy─" in line), None)
        if top is None:
            return []
        left = display[top].index("─shrimpy─") - 1
        height = next((y for y, line in enumerate(display[top + 1:]) if line.startswith("└")), 0)
        rows = display[top + 1:top + 1 + height]
        is_whole = all(line[left] == line[-1] == "│" for line in rows)
        return [line[left + 1:-1].rstrip() for line in rows] if is_whole else []

    def shows(self, words: str) -> Callable[[], object]:
        """Whether these words are in the window, for until()."""
        return lambda: re.search(words, "\n".join(self.window()), re.M)

    def _has(self, words: str) -> bool:
        return re.search(words, self.text(), re.M) is not None

    def until(self, words: str | Callable[[], object], at_prompt: bool = False) -> str:
        """The screen, as soon as words are on it or something is true of it; at_prompt: and GDB waits for a command."""
        wanted = words if callable(words) else functools.partial(self._has, words)
        while not (wanted() and (not at_prompt or self._is_at_prompt())):
            try:
                got = self._gdb.read_nonblocking(65536, timeout=600)
            except (pexpect.TIMEOUT, pexpect.EOF) as error:
                pytest.fail(f"{type(error).__name__}; the screen:\n{self.text()}", pytrace=False)
            self.said += got
            self._stream.feed(got)
        return self.text()

    def _is_at_prompt(self) -> bool:
        at = self.screen.cursor
        return self.screen.display[at.y][:at.x] == "(gdb) "

    def type(self, line: str, words: str | Callable[[], object]) -> str:
        """A command, and the screen once words that only it can bring are there."""
        self.press(line + "\r")
        return self.until(words, at_prompt=True)

    def press(self, keys: str) -> None:
        self._gdb.send(keys)

    def resize(self, columns: int, rows: int) -> None:
        self.screen.resize(rows, columns)
        self._gdb.setwinsize(rows, columns)

    def close(self) -> None:
        self._gdb.kill(signal.SIGKILL)
        self._gdb.wait()
        self._gdb.close()


@pytest.fixture
def terminal(machine) -> Iterator[Callable[..., Terminal]]:
    """terminal(columns, rows): a GDB with the window, on a machine where shrimpdemo's family lives and the shell is
    about to fork."""
    if pyte is None:
        pytest.fail("python3-pyte: expected, found nothing; try scripts/setup test", pytrace=False)
    started: list[Terminal] = []

    def start(columns: int = 80, rows: int = 24, **environment: str) -> Terminal:
        one = machine(1)
        one.send("shrimpdemo &")
        one.wait_for(r"shrimpdemo: ready[^\n]*\n")
        started.append(Terminal(one, columns, rows, **environment))
        started[0].type("layout shrimpy", "6 FRY")
        one.send("echo hello")
        return started[0]

    yield start
    for one in started:
        one.close()


def to_shrimp(seen: Terminal) -> str:
    """Steps to the one that maps SHRIMP."""
    shown = seen.type("shrimp-step", r"^1  pid 2 \(sh\) calls fork")
    for n in range(2, 20):
        assert "No Source Available" not in shown, shown
        if "SHRIMP of the child is mapped" in shown:
            return shown
        shown = seen.type("shrimp-step", rf"^{n}  \w")
    pytest.fail(shown)


def test_80_by_24_has_room_for_what_the_step_did_and_to_whom(terminal):
    seen = terminal()
    to_shrimp(seen)
    lines = seen.window()
    assert lines[:4] == ["SHRIMP of the child is mapped", "pairing holds",
                         "2 sh RUNNING (parent, here)", "  7 - USED (child)"]
    shown = "\n".join(lines)
    frame = re.search(r"^(0x\w+): 2 FRY, 7 SHRIMP, and\n  1 more$", shown, re.M)[1]
    entry, after = re.search(rf"^\+ pid 7 0x3fffffc000 level 0:\n  {frame} VRW-U--- shrimp\n"
                             r"  (0x\w+): 0x0 -> (0x\w+)$", shown, re.M).groups()
    assert hex(int(after, 16) >> 10 << 12) == frame
    # What is not there is counted, and can be scrolled to.
    n_below = int(re.search(r"^below: (\d) processes, 7 frames$", lines[-1])[1])
    people = re.findall(r"\d (?:init|sh|shrimp.*|-) [A-Z]+", "\n".join(lines[lines.index("1 init SLEEPING"):]))
    assert 0 < len(people) == FAMILY - n_below
    seen.type("focus shrimpy", "Focus set to shrimpy")
    seen.press(DOWN)
    seen.until(seen.shows("^above: 2 lines$"))
    seen.press(PAGE_DOWN)
    seen.until(seen.shows(r"^above: \d process.*\n(.*\n)+0x\w+: 6 FRY$"))
    seen.press(UP)
    seen.until(seen.shows("^below: 1 frame$"))
    # A larger terminal has room for all of it.
    seen.resize(120, 40)
    seen.until(seen.shows(r"\ASHRIMP of the child is mapped\npairing holds: SHRIMP of pid 7 is FRY of pid 2:\n"
                          rf"frame {frame}\n(.*\n)+0x\w+: 6 FRY$"))
    lines = seen.window()
    assert f"{frame}: 2 FRY, 3 SHRIMP, 7 SHRIMP" in lines and not re.search("above|below", "\n".join(lines))
    # Without it, everything is told where the commands are typed.
    seen.type("tui disable", lambda: "tui disable" in seen.text())
    said = seen.type("shrimp-step", "pairing holds: SHRIMP of pid 7 is FRY of pid 2: frame")
    assert "11  The user image is copied" in said and "+ pid 7 pte 0x0" in said
    said = seen.type(f"monitor xp /1gx {entry}", rf"^0*{entry[2:]}: 0x\w+")
    assert int(re.search(rf"{entry[2:]}: (0x\w+)", said)[1], 16) == int(after, 16)
    seen.type("layout shrimpy", seen.shows("^The user image is copied: 9 pages$"))
    seen.type("shrimp-step -finish", seen.shows(r"\Apid 7 is RUNNABLE$"))
    assert "end: pid 7 can run" in seen.text()
    assert "Python Exception" not in seen.said and "Traceback" not in seen.said


def test_a_locale_without_unicode_gets_branches_of_ascii(terminal):
    seen = terminal(LC_ALL="C")
    shown = seen.type("shrimp-step", r"^1  pid 2 \(sh\) calls fork")
    assert "`- 2 sh RUNNING (parent, here)" in shown and "      |  `- 6 shrimp" in shown
    shown = seen.type("xv6-tree", "6 shrimpdemo SLEEPING  FRY")
    assert "      |  `- 6 shrimpdemo SLEEPING  FRY" in shown and shown.isascii()


def test_where_the_person_stops_the_machine_the_window_shows_memory_as_it_is_there(terminal):
    seen = terminal(120, 40)
    to_shrimp(seen)
    seen.type("tbreak setrunnable", "breakpoint 1 at")
    seen.type("continue", seen.shows(r"^   └─ 7 sh USED$"))
    lines = seen.window()
    assert lines[0] == "family" and any(line.endswith(": 2 FRY, 3 SHRIMP, 7 SHRIMP") for line in lines)
    # The fork goes on from there.
    seen.type("shrimp-step", seen.shows(r"\Apid 7 is RUNNABLE$"))

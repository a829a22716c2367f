"""The QEMU that records a run, or runs a recorded one again."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from shrimpy.memory.readers import PAGE

from .. import Trouble
from ..kernels.tree import Kernel
from ..machines import sparse
from ..machines.machine import Machine
from ..machines.plugin import Plugin
from ..machines.qmp import Qmp
from ..patience import Patience

LOG = "log"
_KEYS, _ROOM = 8, 16    # an xv6's UART has room for 16; some of the keys before may still be there, until they are echoed
_KEYS_TAKE = 1 << 18    # instructions in which any kernel has taken them
_MOST_LOGGED = 8 << 20  # bytes, of a boot, which takes some thousand
_MUCH_LOGGED = 1 << 17  # bytes: more than boots take; QEMU may answer nobody already
_PER_S = 80_000_000     # a kernel that clears memory byte by byte takes 150 million for a whole family
_WORK_PER_S = 50_000_000
_BETWEEN_S = 0.002      # two looks: who is asked all the time hardly comes to its work on a busy host
_LOOK_S, _LOOKS = 0.05, 8  # on a busy host the guest goes round and round until we are there to see what has come
_ASLEEP = 50_000_000    # instructions, 500 ticks: whoever has slept for so long waits for what does not come
SHIFT = 10  # an instruction takes 2**10 ns of the guest's time: its clock ticks as often as on a slow machine


class RecordedMachine(Machine):
    """A machine with one hart. log: of the run that it runs again, stopped before its first instruction; None: it records.
    within, plugged: see Machine.

    per_s   instructions, for which a machine that records has a second: by itself, as many as on a slow host
    asleep  asked who sleeps, and where, of a kernel in which nobody runs or is about to; None: somebody does, or it is not known
    """

    def __init__(self, kernel: Kernel, log: Path | None = None, within: Path | None = None, plugged: Plugin | None = None) -> None:
        self._recorded = log
        self._next_keys_at = 0
        self._line, self._line_from = "", 0     # the keys of the last line, and how much the console had printed before them
        self._is_booting = log is None
        self.per_s = _PER_S
        self.asleep: Callable[[], object] = lambda: None
        super().__init__(kernel, 1, paused=log is not None, within=within, plugged=plugged)

    def __enter__(self) -> RecordedMachine:
        return self

    def _arguments(self, paused: bool, icount: bool) -> list[str]:
        log = self.folder / LOG
        if self._recorded:
            shutil.copyfile(self._recorded, log)
        words = []
        for word in super()._arguments(paused, icount):
            drive, found, number = word.partition(",if=none,format=raw,id=x")
            if found:  # what reads the disk is blkreplay, and that reads the image
                words += [f"{drive},if=none,format=raw,id=image{number}", "-drive",
                          f"driver=blkreplay,if=none,image=image{number},id=x{number}"]
            else:
                words.append(word)
        mode, name = "replay" if self._recorded else "record", str(log).replace(",", ",,")
        return [*words, "-icount", f"shift={SHIFT},rr={mode},rrfile={name}", "-no-shutdown"]

    def boot(self, limit_s: float | None = None) -> RecordedMachine:
        super().boot(limit_s)
        self._is_booting = False
        return self

    def patience(self, limit_s: float | None = None) -> Patience:
        """As Machine has it; and no more instructions than per_s for each second, and no more than some when all sleep: all that a
        kernel executes while nothing comes is in the recording, and is run again as often as that is asked."""
        if self._recorded or self._is_booting:
            return super().patience(limit_s)
        return _Counted(limit_s, self.pid, self.executed, self.per_s, self.asleep)

    def work(self, seconds: float) -> None:
        """As Machine has it, or for as many instructions as some hundred ticks take: they are all run again, too."""
        until, patience = self.executed() + int(seconds * _WORK_PER_S), super().patience(seconds)
        while not patience.is_over and self.executed() < until:
            time.sleep(min(patience.look_s, _BETWEEN_S))

    def executed(self) -> int:
        """How many instructions have been."""
        return int(self._asked("query-replay")["icount"])

    def check(self, last_chance: bool = False) -> None:
        """Raises Trouble, too, where a kernel traps without end before its prompt: a QEMU that records it answers nobody."""
        logged = self.log.stat().st_size if self._is_booting and self.log.is_file() else 0
        if logged > _MOST_LOGGED:
            self._running.send(signal.SIGKILL)  # it would not end by itself either
            raise Trouble("it cannot be recorded: it takes traps without end" + self.tail())
        if logged <= _MUCH_LOGGED:
            super().check(last_chance)

    def type(self, keys: str) -> None:
        """Types keys, some at a time. While QEMU records, it reads as many as the UART has room for, however many it has read
        and not delivered yet, and those that find no room are lost."""
        at = 0
        while at < len(keys):
            while not (echoed := self._echoed()) and self._asked("query-status")["running"] and self.executed() < self._next_keys_at:
                self.check()
                with self._changed:
                    self._changed.wait(_BETWEEN_S)
            some = keys[at:at + (_ROOM if echoed else _KEYS)]
            if at == 0:
                self._line, self._line_from = "", len(self.console)
            super().type(some)
            self._line += some
            self._next_keys_at = self.executed() + _KEYS_TAKE
            at += len(some)

    def _echoed(self) -> bool:
        """Whether the kernel has taken all keys that were typed, as it echoes each of them. A single key is one that something else
        may have printed."""
        return len(self._line) > 1 and self.console.find(self._line, self._line_from) >= 0

    def _asked(self, command: str) -> Any:
        """What QEMU says to a command, on the monitor that is nobody else's."""
        self.wake()
        if self._watching is None:
            self._watching = Qmp(self.folder / "harts.sock", gone=self._gone)
        return self._watching.execute(command)

    @property
    def log(self) -> Path:
        """QEMU's, which is complete when it has ended."""
        return self.folder / LOG

    @property
    def complaint(self) -> str:
        """The first line that QEMU itself has printed; else how it ended, once it has. After an abort it prints all registers."""
        return (self._log.read_text(errors="replace").strip().splitlines() or [self.last_words()])[0]

    def ram_hash(self) -> str:
        """Of all RAM that is not zero, and where that is, while the machine stands still."""
        hashed = hashlib.sha256()
        with self.ram_file.open("rb") as file:
            for start, end in sparse.data(file.fileno()):
                for at in range(start & -PAGE, end, PAGE):
                    page = os.pread(file.fileno(), PAGE, at)
                    if any(page):
                        hashed.update(at.to_bytes(8, "little") + page)
        return hashed.hexdigest()


class _Counted(Patience):
    """It is over, too, after per_s instructions for each second, or once all have slept for _ASLEEP of them. executed: how many there
    have been; asleep: see RecordedMachine."""

    def __init__(self, limit: float | None, pid: int, executed: Callable[[], int], per_s: int,
                 asleep: Callable[[], object] = lambda: None) -> None:
        super().__init__(limit, pid)
        self._executed, self._asleep = executed, asleep
        self._until = executed() + int(self.limit_s * per_s)
        self._sleep: object = None      # at the look before
        self._awake_at = 0              # how many had been executed when somebody was seen awake, or elsewhere, for the last time
        self._next_look, self._n_looks = 0.0, 0

    @property
    def is_over(self) -> bool:
        if (now := time.monotonic()) >= self._next_look:
            self._next_look = now + _LOOK_S
            self._n_looks += 1
            count, before, self._sleep = self._executed(), self._sleep, self._asleep()
            if self._sleep is None or self._sleep != before:
                self._awake_at = count
            return self._n_looks > _LOOKS and count >= min(self._until, self._awake_at + _ASLEEP) or super().is_over
        return False

    @property
    def look_s(self) -> float:
        return min(_LOOK_S, super().look_s)

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
_KEYS, _KEYS_TAKE = 8, 1 << 18  # of the 16 that an xv6's UART has room for; instructions in which any kernel has taken them
_MOST_LOGGED = 8 << 20  # bytes, of a boot, which takes some thousand
_MUCH_LOGGED = 1 << 17  # bytes: more than boots take; QEMU may answer nobody already
_PER_S = 80_000_000     # a kernel that clears memory byte by byte takes 150 million for a whole family
_WORK_PER_S, _WORK_LOOK_S = 50_000_000, 0.002
_LOOK_S, _LOOKS = 0.05, 8  # on a busy host the guest goes round and round until we are there to see what has come
SHIFT = 10  # an instruction takes 2**10 ns of the guest's time: its clock ticks as often as on a slow machine


class RecordedMachine(Machine):
    """A machine with one hart. log: of the run that it runs again, stopped before its first instruction; None: it records.
    within, plugged: see Machine.

    per_s   instructions, for which a machine that records has a second: by itself, as many as on a slow host
    """

    def __init__(self, kernel: Kernel, log: Path | None = None, within: Path | None = None, plugged: Plugin | None = None) -> None:
        self._recorded = log
        self._next_keys_at = 0
        self._is_booting = log is None
        self.per_s = _PER_S
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
        """As Machine has it; and no more instructions than per_s for each second: all that a kernel executes while nothing comes is in
        the recording, and is run again as often as that is asked."""
        return super().patience(limit_s) if self._recorded or self._is_booting else _Counted(limit_s, self.pid, self.executed, self.per_s)

    def work(self, seconds: float) -> None:
        """As Machine has it, or for as many instructions as some hundred ticks take: they are all run again, too."""
        until, patience = self.executed() + int(seconds * _WORK_PER_S), super().patience(seconds)
        while not patience.is_over and self.executed() < until:
            time.sleep(min(patience.look_s, _WORK_LOOK_S))

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
        for at in range(0, len(keys), _KEYS):
            while self._asked("query-status")["running"] and self.executed() < self._next_keys_at:
                self.check()
            super().type(keys[at:at + _KEYS])
            self._next_keys_at = self.executed() + _KEYS_TAKE

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
    """It is over, too, after per_s instructions for each second. executed: how many there have been."""

    def __init__(self, limit: float | None, pid: int, executed: Callable[[], int], per_s: int) -> None:
        super().__init__(limit, pid)
        self._executed = executed
        self._until = executed() + int(self.limit_s * per_s)
        self._next_look, self._n_looks = 0.0, 0

    @property
    def is_over(self) -> bool:
        if (now := time.monotonic()) >= self._next_look:
            self._next_look = now + _LOOK_S
            self._n_looks += 1
            return self._n_looks > _LOOKS and self._executed() >= self._until or super().is_over
        return False

    @property
    def look_s(self) -> float:
        return min(_LOOK_S, super().look_s)

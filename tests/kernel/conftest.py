"""What the kernel's tests share: counting from outside, and stops at moments of our choosing."""

from __future__ import annotations

import json
import random
import select
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab import debugger, tools
from lab.machine import Machine

HERE = Path(__file__).resolve().parent
MUTANTS = HERE.parent / "mutants"
VARIANTS = HERE / "variants"


@pytest.fixture
def free_frames(gdb: Callable[..., str], tmp_path: Path) -> Callable[[Machine], int]:
    """free_frames(machine): the length of the kernel's free list, counted by the kit from physical memory."""
    def count(machine: Machine) -> int:
        path = tmp_path / "snapshot.json"
        gdb(machine.kernel.elf, [f"xv6-snapshot {path}"], target=machine.gdb_target)
        free = json.loads(path.read_text())["free"]
        assert free["complete"] and not free["findings"]
        return free["count"]
    return count


class Stopper:
    """A GDB that stays attached; each stop() is at a random moment, followed by a command whose output returns."""

    def __init__(self, machine: Machine, seed: int) -> None:
        self._machine = machine
        self._random = random.Random(seed)
        self._gdb = subprocess.Popen(
            [tools.gdb(), "-nx", "-q", str(machine.kernel.elf)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        self._said = b""
        for line in ("set pagination off", "set confirm off", "set width 0", f"source {debugger.KIT}",
                     f"target remote {machine.gdb_target}"):
            self._tell(line)
        self.ask("echo attached\\n")

    def _tell(self, line: str) -> None:
        self._gdb.stdin.write(line.encode() + b"\n")
        self._gdb.stdin.flush()

    def ask(self, *lines: str, limit_s: float = 60) -> str:
        """What GDB prints for these commands."""
        for line in lines:
            self._tell(line)
        self._tell("echo @done@\\n")
        return self._until(b"@done@\n", limit_s)

    def _until(self, mark: bytes, limit_s: float) -> str:
        deadline = time.monotonic() + limit_s
        while mark not in self._said:
            left = deadline - time.monotonic()
            assert left > 0, f"GDB said nothing more within {limit_s} s:\n{self._said.decode()[-2000:]}"
            if select.select([self._gdb.stdout], [], [], left)[0]:
                data = self._gdb.stdout.read1(65536)
                assert data, f"GDB ended:\n{self._said.decode()[-2000:]}"
                self._said += data
        said, _, self._said = self._said.partition(mark)
        return said.decode(errors="replace")

    def stop(self, *lines: str) -> str:
        """Lets the machine run, stops it at a random moment, and asks."""
        self._tell("continue")
        with self._machine.qmp() as monitor:
            while not monitor.execute("query-status")["running"]:
                time.sleep(0.001)
            time.sleep(self._random.uniform(0.0, 0.05))
            monitor.execute("stop")
        return self.ask(*lines)

    def close(self) -> None:
        self._gdb.stdin.close()
        try:
            self._gdb.wait(10)
        except subprocess.TimeoutExpired:
            self._gdb.kill()
            self._gdb.wait()
        self._gdb.stdout.close()


@pytest.fixture
def stopper() -> Iterator[Callable[..., Stopper]]:
    """stopper(machine, seed=1): a Stopper, closed after the test."""
    made: list[Stopper] = []

    def make(machine: Machine, seed: int = 1) -> Stopper:
        made.append(Stopper(machine, seed))
        return made[-1]
    yield make
    for one in made:
        one.close()

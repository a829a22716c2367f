"""What the kernel's tests share: counting from outside, and stops at moments of our choosing."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.kernels import variant
from lab.kernels.tree import Kernel
from lab.machines import debugger
from lab.machines.machine import Machine

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

from facts import Facts  # noqa: E402

VARIANTS = HERE / "variants"
PROGRAMS = HERE / "programs"


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


class Stopper(debugger.Session):
    """A GDB that stays attached; each stop() is at a random moment, followed by a command whose output returns."""

    def __init__(self, machine: Machine, seed: int) -> None:
        super().__init__(machine.kernel.elf, machine.gdb_target)
        self._machine = machine
        self._random = random.Random(seed)

    def stop(self, *lines: str) -> str:
        """Lets the machine run, stops it at a random moment, and asks."""
        self.tell("continue")
        with self._machine.qmp() as monitor:
            while not monitor.execute("query-status")["running"]:
                time.sleep(0.001)
            time.sleep(self._random.uniform(0.0, 0.05))
            monitor.execute("stop")
        return self.ask(*lines)


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


@pytest.fixture(scope="session")
def loads() -> Kernel:
    """Our kernel, with the programs of these tests on its disk."""
    return variant.build("loads", programs=sorted(PROGRAMS.glob("*.[ch]")))


@pytest.fixture(scope="session")
def small_loads() -> Kernel:
    """The same with little memory."""
    return variant.build("small-loads", variables=["MEM=8"],
                         programs=sorted(PROGRAMS.glob("*.[ch]")))


@pytest.fixture(scope="session")
def facts(loads: Kernel) -> Facts:
    """Where that kernel keeps what is counted from outside."""
    return Facts(loads.elf)


@dataclass(frozen=True)
class Holdings:
    """What a leak would change: free frames, entries of the tables of open files and inodes, live processes."""

    free: int
    files: int
    inodes: int
    processes: int


@pytest.fixture
def holdings(free_frames: Callable[[Machine], int], facts: Facts) -> Callable[..., Holdings]:
    """holdings(machine, wanted=None): counted from outside; again until they are what is wanted, as init buries
    orphans in its own time, but not for ever."""
    def count(machine: Machine, wanted: Holdings | None = None) -> Holdings:
        for _ in range(20 if wanted else 1):
            with facts.memory(machine) as memory:
                now = Holdings(free_frames(machine), memory.open_files(), memory.inodes(), len(memory.procs()))
            if now == wanted:
                break
        return now
    return count

"""What the kit's tests share: a family to look at, GDBs that look."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pexpect
import pytest

from lab import tools
from lab.kernels import tree
from lab.machines import debugger
from lab.machines.machine import Machine

PROMPT = "(gdb) "


@pytest.fixture(scope="module")
def family(kernel: tree.Kernel) -> Iterator[Machine]:
    """A machine with shrimpdemo's four processes alive; do not write to it."""
    with Machine(kernel, 3) as one:
        one.boot()
        one.send("shrimpdemo &")
        one.wait_for(r"shrimpdemo: ready[^\n]*\n")
        yield one


def _whatever_the_others_say(commands: Sequence[str]) -> list[str]:
    tries = (f"try: gdb.execute({line!r})\nexcept gdb.error as e: print('error:', e)" for line in commands)
    return [f"python exec({code!r})" for code in tries]


@pytest.fixture(scope="module")
def asked(family: Machine) -> Iterator[Callable[..., str]]:
    """asked(command, ...): as ask(family, ...), by one GDB for all: for what leaves GDB as it was."""
    with debugger.Session(family.kernel.elf) as gdb:
        def look(*commands: str) -> str:
            gdb.attach(family.gdb_target)
            said = gdb.ask("echo @begin@\\n", *_whatever_the_others_say(commands))
            gdb.ask("disconnect")
            return said.partition("@begin@\n")[2]
        yield look


@pytest.fixture
def ask() -> Callable[..., str]:
    """ask(machine or core, command, ...): what a headless GDB with the kit
    prints, errors too; every command runs whatever the others say."""
    def look(at: Machine | Path, *commands: str, elf: Path | None = None) -> str:
        lines = _whatever_the_others_say(commands)
        if isinstance(at, Machine):
            said = debugger.batch(elf or at.kernel.elf, lines, target=at.gdb_target)
        else:
            assert elf is not None, "a core is of a kernel"
            said = debugger.batch(elf, lines, core=at)
        assert said.status == 0, said.err
        return said.out + said.err
    return look


class Session:
    """A GDB with the kit at a terminal, attached to a machine."""

    def __init__(self, machine: Machine, term: str) -> None:
        self.machine = machine
        self._gdb = pexpect.spawn(
            tools.gdb(), ["-nx", "-q", "-ex", "set pagination off", "-ex", "set width 0",
                          "-ex", "set confirm off", "-ex", "set style enabled off",
                          "-ex", f"source {debugger.KIT}",
                          "-ex", f"target remote {machine.gdb_target}", str(machine.kernel.elf)],
            encoding="utf-8", timeout=600, echo=False, dimensions=(50, 250),
            env={**os.environ, "TERM": term, "DEBUGINFOD_URLS": ""})
        self.ask("echo")

    def tell(self, command: str) -> None:
        """Types a command and does not wait."""
        self._gdb.sendline(command)

    def until(self, words: str) -> str:
        """Waits for words, and returns what came before them."""
        self._gdb.expect_exact(words)
        return self._gdb.before

    def ask(self, command: str) -> str:
        """What a command prints."""
        self.tell(command)
        self.tell("echo @end@\\n")
        said = self.until("@end@\r\n")
        return said.replace(PROMPT, "").replace("\r", "")

    def stop_in(self, function: str, typed: str) -> str:
        """Types a line at the machine's shell and runs to the kernel function that it leads to; what GDB prints."""
        self.ask(f"tbreak {function}")
        self.machine.send(typed)
        return self.ask("continue")

    def resume(self) -> None:
        """Types `continue` and waits until the machine runs: a Ctrl-C before would be for GDB's prompt."""
        self.tell("continue")
        self.until("Continuing.")
        self.until_it_runs()

    def until_it_runs(self) -> None:
        with self.machine.qmp() as monitor:
            while not monitor.execute("query-status")["running"]:
                pass

    def interrupt(self) -> None:
        self._gdb.sendintr()

    def close(self) -> None:
        # pexpect's own close() gives a busy machine a tenth of a second.
        self._gdb.kill(signal.SIGKILL)
        self._gdb.wait()
        self._gdb.close()


@pytest.fixture
def session() -> Iterator[Callable[..., Session]]:
    """session(machine): a GDB to type at."""
    open_ones: list[Session] = []

    def start(machine: Machine, term: str = "dumb") -> Session:
        open_ones.append(Session(machine, term))
        return open_ones[-1]

    yield start
    for one in open_ones:
        one.close()

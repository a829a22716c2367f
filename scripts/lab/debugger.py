"""GDB with the kit: for a person, or headless on a list of commands."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from . import ROOT, Trouble, sandbox, tools
from .patience import Patience

KIT = ROOT / "gdb" / "load.py"

# GDB 16 takes the name of what it sources by the charset of its terminal, which under LC_ALL=C has no letters beyond ASCII.
_CHARSET = () if str(KIT).isascii() else ("set host-charset UTF-8",)
_LIMIT_S = 120.0  # of GDB's own time: see patience
# Before the kernel is opened, which may bring scripts: in a section, in a file beside it, as a .gdbinit. None is run.
_NOTHING_OF_THE_TREE = ("-iex", "set auto-load off")
_MEMORY = 6 << 30


class Late(Trouble):
    """GDB did not answer in time."""


@dataclass(frozen=True)
class Said:
    """What a headless GDB left: its exit status and what it printed."""

    status: int
    out: str
    err: str


def _environment() -> dict[str, str]:
    return {**os.environ, "DEBUGINFOD_URLS": ""}


def batch(elf: Path | str, commands: list[str], *, target: str | None = None, core: Path | None = None,
          kit: bool = True, limit_s: float = _LIMIT_S) -> Said:
    """Runs commands one by one in a GDB that ends after them; the first error ends it with status 1.

    target: what `target remote` takes; the machine stops when GDB attaches, and runs on when it leaves.
    """
    first = ["set pagination off", "set width 0", "set confirm off", "set tcp auto-retry off"]
    if kit:
        first += [*_CHARSET, f"source {KIT}"]
    if target:
        first.append(f"target remote {target}")
    if core:
        first.append(f"core-file {core}")
    # -batch alone would exit with the status of the last command only.
    script = "\n".join([*first, *commands, "quit 0"]) + "\n"
    with tempfile.NamedTemporaryFile("w", prefix="shrimpy-", suffix=".gdb", errors="surrogateescape") as file:
        file.write(script)
        file.flush()
        with subprocess.Popen([*sandbox.bounded(_MEMORY), tools.gdb(), "-nx", *_NOTHING_OF_THE_TREE, "-q", "-batch",
                               "-x", file.name, str(elf)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, errors="replace", env=_environment()) as gdb:
            patience = Patience(limit_s, gdb.pid)
            try:
                while True:
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        out, err = gdb.communicate(timeout=patience.look_s)
                        return Said(gdb.returncode, out, err)
                    if patience.is_over:
                        raise Late(f"GDB did not finish within {limit_s:g} s: {commands}")
            finally:
                gdb.kill()


def checked(elf: Path | str, commands: list[str], **how: object) -> str:
    """batch(), with Trouble for a status that is not 0; returns what GDB printed."""
    said = batch(elf, commands, **how)
    if said.status:
        lines = [line for line in said.err.splitlines() if line.strip()] or [f"status {said.status}"]
        raise Trouble(f"GDB failed: {lines[-1]}\n" + "\n".join("  | " + line for line in lines[-8:]))
    return said.out


class Session:
    """A GDB with the kit that stays attached to a machine, and answers commands."""

    def __init__(self, elf: Path | str, target: str | None = None) -> None:
        self._said = b""
        self._asked = 0
        self._gdb = subprocess.Popen([*sandbox.bounded(_MEMORY), tools.gdb(), "-nx", *_NOTHING_OF_THE_TREE, "-q", str(elf)],
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                     env=_environment(), start_new_session=True)
        self.ask("set pagination off", "set confirm off", "set width 0", *_CHARSET, f"source {KIT}")
        if target:
            self.attach(target)

    def attach(self, target: str) -> None:
        """To a machine, which stops; the one before may be gone. What is known of the kernel's file stays known."""
        self.ask("disconnect", f"target remote {target}")

    def tell(self, command: str) -> None:
        """Sends a command and does not wait for what it prints: `continue`, before the machine is stopped."""
        try:
            self._gdb.stdin.write(os.fsencode(command) + b"\n")
            self._gdb.stdin.flush()
        except BrokenPipeError:
            raise Trouble(f"GDB ended: {self._said.decode(errors='replace')[-500:]}") from None

    @property
    def pid(self) -> int:
        """GDB's process id."""
        return self._gdb.pid

    def ask(self, *commands: str, patience: Patience | None = None, alive: Callable[[], object] = lambda: None) -> str:
        """What GDB prints for these commands.

        patience  how long it may take, Late is raised then; where the machine runs meanwhile, a limit for both of them
        alive     is called now and then while they run, and may raise
        """
        self._asked += 1  # an earlier question's answer may still come, if alive raised
        for command in (*commands, f"echo @asked {self._asked}@\\n"):
            self.tell(command)
        end = b"@asked %d@\n" % self._asked
        patience = patience or Patience(_LIMIT_S, self.pid)
        while end not in self._said:
            if patience.is_over:
                raise Late(f"GDB did not answer {commands} within {patience.limit_s:g} s")
            if select.select([self._gdb.stdout], [], [], 0.1)[0]:
                data = self._gdb.stdout.read1(65536)
                if not data:
                    raise Trouble(f"GDB ended: {self._said.decode(errors='replace')[-500:]}")
                self._said += data
            else:
                alive()
        said, _, self._said = self._said.partition(end)
        return said.decode(errors="replace").replace("(gdb) ", "")

    def close(self) -> None:
        """Detaches, if the machine is stopped; the machine runs on."""
        with contextlib.suppress(BrokenPipeError):  # it has ended by itself
            self._gdb.stdin.close()
        try:
            self._gdb.wait(5)
        except subprocess.TimeoutExpired:
            self._gdb.kill()
            self._gdb.wait()
        self._gdb.stdout.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def interactive(elf: str, *, target: str | None = None, core: str | None = None) -> int:
    """A GDB for a person, until it ends; returns its status.

    It gets the terminal for itself: Ctrl-C is for GDB, and would be the end of the make that started us.
    """
    command = [tools.gdb(), *_NOTHING_OF_THE_TREE, "-q", *(word for line in (*_CHARSET, f"source {KIT}") for word in ("-ex", line)), elf]
    command += ["-ex", f"target remote {target}" if target else f"core-file {core}"]
    if not sys.stdin.isatty():
        return subprocess.run(command, env=_environment()).returncode
    terminal = sys.stdin.fileno()
    ours = os.tcgetpgrp(terminal)
    # Who is not in front may not hand the terminal over, unless it ignores this.
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)

    def take_terminal() -> None:
        os.setpgid(0, 0)
        os.tcsetpgrp(terminal, os.getpid())
        signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    try:
        return subprocess.run(command, env=_environment(), preexec_fn=take_terminal).returncode
    finally:
        os.tcsetpgrp(terminal, ours)

"""GDB with the kit: for a person, or headless on a list of commands."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import ROOT, TREES, Trouble, piped, tools
from ..patience import Patience
from ..walls import sandbox

KIT = ROOT / "gdb" / "load.py"

# GDB 16 takes the name of what it sources by the charset of its terminal, which under LC_ALL=C has no letters beyond ASCII.
_CHARSET = () if str(KIT).isascii() else ("set host-charset UTF-8",)
_LIMIT_S = 120.0  # of GDB's own time: see patience
_PATIENT = "set remotetimeout 30"   # as the kit has it: see gdb/load.py
# Before the kernel is opened, which may bring scripts: in a section, in a file beside it, as a .gdbinit. None is run.
_NOTHING_OF_THE_TREE = ("-iex", "set auto-load off")
_MEMORY = 6 << 30
_OF_THE_KIT = ("SHRIMPY_FRY", "SHRIMPY_SHRIMP")  # what a person may have said of the kernel


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


def _start(words: Sequence[str], elf: Path | str, folder: Path, seen: Sequence[Path], walls: bool, network: bool = False,
           **how: Any) -> sandbox.Running:
    """GDB with an ELF file. folder: where it may write; seen: what else it sees where there are walls."""
    command = [tools.gdb(), "-nx", *_NOTHING_OF_THE_TREE, "-q", *words, str(elf)]
    if walls and sandbox.wanted():
        return sandbox.start(command, folder, readonly=[ROOT / "gdb", *_of_tree(Path(elf)), *seen], memory=_MEMORY, network=network,
                             environment={"DEBUGINFOD_URLS": "", **{name: os.environ[name] for name in _OF_THE_KIT if name in os.environ}},
                             **how)
    return sandbox.Running([*sandbox.bounded(_MEMORY), *command], _environment(), Path.cwd(), **how)


def _of_tree(elf: Path) -> list[Path]:
    """An ELF file, and the folders of its sources and their headers."""
    if TREES in elf.parents:
        return [TREES / elf.relative_to(TREES).parts[0]]
    if not any(elf.parent.glob("*.h")):
        return [elf]
    return [elf.parent.parent if elf.parent.name == "kernel" else elf.parent]


def batch(elf: Path | str, commands: list[str], *, target: str | None = None, core: Path | None = None,
          kit: bool = True, limit_s: float = _LIMIT_S, walls: bool = False, folder: Path | None = None,
          before: Sequence[str] = ()) -> Said:
    """Runs commands one by one in a GDB that ends after them; the first error ends it with status 1.

    target  what `target remote` takes; the machine stops when GDB attaches, and runs on when it leaves
    walls   GDB runs in the sandbox, where it sees the kernel's tree, the machine and the core, and writes only in folder
    before  commands before it attaches
    """
    first = ["set pagination off", "set width 0", "set confirm off", "set tcp auto-retry off", *before]
    first += [*_CHARSET, f"source {KIT}"] if kit else [_PATIENT]
    if target:
        first.append(f"target remote {target}")
    with tempfile.TemporaryDirectory(prefix="shrimpy-", dir=folder) as own:
        if core:
            # As root it is nobody else's to read.
            first.append(f"core-file {shutil.copyfile(core, Path(own, 'core')) if walls else core}")
        # -batch alone would exit with the status of the last command only.
        file = Path(own, "commands.gdb")
        file.write_text("\n".join([*first, *commands, "quit 0"]) + "\n", errors="surrogateescape")
        os.chmod(own, 0o755)
        seen = [Path(target).parent] if target and target.startswith("/") else []
        with _start(["-batch", "-x", str(file)], elf, folder or Path(own), seen, walls, bool(target and not target.startswith("/")),
                    stderr=subprocess.PIPE) as running:
            patience = Patience(limit_s, running.inside)
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    out, err = running.process.communicate(timeout=patience.look_s)
                    return Said(running.status, out.decode(errors="replace"), err.decode(errors="replace"))
                if patience.is_over:
                    raise Late(f"GDB did not finish within {limit_s:g} s: {commands}")


def checked(elf: Path | str, commands: list[str], **how: Any) -> str:
    """batch(), with Trouble for a status that is not 0; returns what GDB printed."""
    said = batch(elf, commands, **how)
    if said.status:
        lines = [line for line in said.err.splitlines() if line.strip()] or [f"status {said.status}"]
        raise Trouble(f"GDB failed: {lines[-1]}\n" + "\n".join("  | " + line for line in lines[-8:]))
    return said.out


class Session:
    """A GDB with the kit that stays attached to a machine, and answers commands.

    walls   it runs in the sandbox, where it sees the kernel's tree, and the machines whose folder is in `within`
    folder  what commands may write, a path without spaces
    """

    def __init__(self, elf: Path | str, target: str | None = None, *, walls: bool = False, within: Path | None = None) -> None:
        self._said = b""
        self._asked = 0
        self.folder = Path(tempfile.mkdtemp(prefix="shrimpy-", dir=within))
        seen = [within] if within else [Path(target).parent] if target and target.startswith("/") else []
        self._gdb = _start([], elf, self.folder, seen, walls, stdin=subprocess.PIPE)
        self._in, self._out = piped(self._gdb.process.stdin), self._gdb.stdout
        self.ask("set pagination off", "set confirm off", "set width 0", *_CHARSET, f"source {KIT}")
        if target:
            self.attach(target)

    def attach(self, target: str) -> None:
        """To a machine, which stops; the one before may be gone. What is known of the kernel's file stays known."""
        self.ask("disconnect", f"target remote {target}")

    def tell(self, command: str) -> None:
        """Sends a command and does not wait for what it prints: `continue`, before the machine is stopped."""
        try:
            self._in.write(os.fsencode(command) + b"\n")
            self._in.flush()
        except BrokenPipeError:
            raise Trouble(f"GDB ended: {self._said.decode(errors='replace')[-500:]}") from None

    @property
    def pid(self) -> int:
        """GDB's process id."""
        return self._gdb.inside

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
            if select.select([self._out], [], [], 0.1)[0]:
                data = os.read(self._out.fileno(), 65536)
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
            self._in.close()
        with self._gdb:
            self._gdb.ended(5)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def interactive(elf: str, *, target: str | None = None, core: str | None = None, first: Sequence[str] = (),
                then: Sequence[str] = ()) -> int:
    """A GDB for a person, until it ends; returns its status. first, then: commands before and after it attaches.

    It gets the terminal for itself: Ctrl-C is for GDB, and would be the end of the make that started us.
    """
    before = (*_CHARSET, f"source {KIT}", *first)
    command = [tools.gdb(), *_NOTHING_OF_THE_TREE, "-q", *(word for line in before for word in ("-ex", line)), elf]
    after = (f"target remote {target}" if target else f"core-file {core}", *then)
    command += [word for line in after for word in ("-ex", line)]
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

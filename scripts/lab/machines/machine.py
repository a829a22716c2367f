"""A QEMU machine: started in a folder of its own, watched through its console, ended with us."""

from __future__ import annotations

import array
import ctypes
import fcntl
import os
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeVar

from shrimpy.memory.readers import RAM_BASE

from .. import Trouble, piped, printable, tools
from ..kernels.tree import Kernel
from ..patience import Patience
from ..walls import sandbox
from . import panics, plugin, prompt
from .kernelram import KernelRam
from .qmp import Gone, Qmp
from .rundir import Note, RunDir, publish, started_at

T = TypeVar("T")
_FIRST_PROMPT = "the shell's first prompt"
_USUAL_PROMPT = "\n$ "
_POLL_S = 0.02  # between two looks into memory while the console says nothing
_SETTLED_POLLS = 50  # of a console that ends like a prompt, though memory knows of nobody who waits
_CTRL_D = "\x04"
_NOTHING = "cd /\n"  # a command that no shell forks for, and that changes nothing at its start
_LOOK_S = 0.25  # between two looks at the harts
_HARTS_S = 10.0  # for one of them: a QEMU that says nothing is asked again
_BLOCK = 1 << 20  # bytes that are written at once
_TAIL_LINES = 12
_WIDEST = 200
_LONGEST_MATCH = 16 << 10  # of a pattern: what was searched is not searched again
_MUCH_PRINTED, _MOST_PRINTED = 32 << 10, 1 << 20  # characters
_END_S = 5.0
_QEMU_BYTES = 6 << 30  # of addresses, besides RAM: a GiB for the code it makes, and its threads' stacks
_MOST_WRITTEN = 512 << 20  # bytes of one file, by QEMU, besides RAM
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Panicked(Trouble):
    """The kernel has panicked: it printed so, or memory shows it. words: what it printed, of the guest."""

    def __init__(self, words: str, tail: str) -> None:
        super().__init__(f"the kernel panicked: {words}{tail}")
        self.words = words


class Silent(Trouble):
    """What was waited for did not come within the limit."""


class Endless(Silent):
    """The console printed more than any kernel has to say."""


class AtPrompt(NamedTuple):
    """What is known of a shell that waits for a line, and what its machine's console has printed: see Machine."""

    text: str
    prompt: re.Pattern[str] | None
    shell: frozenset[int]
    consumed: frozenset[int]
    typed: int


class Machine:
    """One QEMU. A context manager; stop() may be called at any time.

    cpus        harts
    gdb_port    None: GDB's stub listens on a unix socket; else on 127.0.0.1:gdb_port
    paused      wait for GDB before the first instruction
    interactive the console is this terminal; else it is read by wait_for()
    logged      what an interactive console prints is also in the file "console" of the machine's folder
    icount      one instruction is one nanosecond of the guest's time
    filled      what RAM holds, again and again, before the kernel is loaded; nothing but zeros when not given
    within      the folder that its own is made in; None: wherever there is room
    plugged     a plugin that QEMU loads

    QEMU runs a stranger's kernel within the walls of the sandbox, where of this machine's files it has that folder.
    """

    def __init__(self, kernel: Kernel, cpus: int = 3, *, gdb_port: int | None = None, paused: bool = False,
                 interactive: bool = False, logged: bool = False, icount: bool = False, filled: bytes = b"",
                 within: Path | None = None, plugged: plugin.Plugin | None = None) -> None:
        if not 1 <= cpus <= kernel.max_cpus:
            raise Trouble(f"CPUS={cpus} is out of range: {kernel.name} runs on 1 to {kernel.max_cpus} harts")
        if gdb_port is not None:
            check_port(gdb_port)
        self.kernel = kernel
        self.cpus = cpus
        self.interactive, self.logged = interactive, logged
        self._has_monitor = False
        self._text = ""
        self._mark = 0
        self._looked_s = 0.0  # when the harts were last looked at, by time.monotonic()
        self._watching: Qmp | None = None
        self._ended = False
        self._rests = False
        self._waiting: prompt.Waiting | None = None
        self._shell: frozenset[int] = frozenset()  # where it is in the array of processes; empty: memory does not say
        self._consumed: frozenset[int] = frozenset()  # what may count the characters that were read, less those that we typed
        self._typed = 0  # characters, since then
        self._prompt: re.Pattern[str] | None = None
        self._changed = threading.Condition()
        self._note: Path | None = None
        self._plugin = plugged
        self._run = RunDir(kernel.ram_bytes + (plugged.size if plugged else 0), within)
        self.folder = self._run.path
        self.ram_file = self.folder / "ram"
        self.gdb_target = f"127.0.0.1:{gdb_port}" if gdb_port else str(self.folder / "gdb.sock")
        self.ram = KernelRam(kernel.elf, self.ram_file)
        self._panics = panics.Panics(self.ram, self._pcs)
        try:
            if filled:
                self._fill(filled)
            self._start(self._arguments(paused, icount))
        except BaseException:
            self.stop()
            raise

    def _fill(self, pattern: bytes) -> None:
        """Makes the file that is to be RAM; QEMU takes what is there."""
        block = pattern * -(-_BLOCK // len(pattern))
        with self.ram_file.open("wb") as file:
            while (left := self.kernel.ram_bytes - file.tell()) > 0:
                file.write(block[:left])

    def _arguments(self, paused: bool, icount: bool) -> list[str]:
        folder = str(self.folder).replace(",", ",,")
        size = f"{self.kernel.ram_bytes >> 20}M"
        arguments = [
            tools.qemu(self.kernel.oldest_qemu), "-machine", "virt,memory-backend=ram", "-bios", "none",
            "-kernel", str(self._kernel_file()), "-m", size, "-smp", str(self.cpus),
            "-object", f"memory-backend-file,id=ram,size={size},mem-path={folder}/ram,share=on",
            *tools.qemu_sandbox(), "-display", "none", "-qmp", f"unix:{folder}/qmp.sock,server=on,wait=off",
            *(word for name in ("harts", "live") for word in ("-qmp", f"unix:{folder}/{name}.sock,server=on,wait=off"))]
        for number, disk in enumerate(self.kernel.disks):
            copy = self.folder / f"disk{number}"
            shutil.copyfile(disk, copy)
            copy.chmod(0o600)
            arguments += ["-drive", f"file={folder}/disk{number},if=none,format=raw,id=x{number}",
                          "-device", f"{self._disk_device(number)},drive=x{number}"]
        arguments += self.kernel.qemu_options
        if self._plugin:
            arguments += plugin.options(self._plugin, self.folder)
        if self.gdb_target.startswith("127."):
            arguments += ["-gdb", f"tcp:{self.gdb_target}"]
        else:
            arguments += ["-chardev", f"socket,id=gdb0,path={folder}/gdb.sock,server=on,wait=off",
                          "-gdb", "chardev:gdb0"]
        if paused:
            arguments += ["-S"]
        if icount:
            arguments += ["-icount", "shift=0,sleep=off"]
        if self.interactive and self.logged:
            return arguments + ["-chardev", f"stdio,id=console,mux=on,signal=off,logfile={folder}/console,logappend=on",
                                "-serial", "chardev:console", "-mon", "chardev=console"]
        if self.interactive:
            return arguments + ["-serial", "mon:stdio"]
        return arguments + ["-monitor", "none", "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"]

    def _kernel_file(self) -> Path:
        """The file that QEMU boots: a copy, where it must not see the tree."""
        if not self.kernel.walled:
            return self.kernel.elf
        return Path(shutil.copyfile(self.kernel.elf, self.folder / "kernel"))

    def _disk_device(self, number: int) -> str:
        said = self.kernel.disk_devices
        return said[number] if number < len(said) else f"virtio-blk-device,bus=virtio-mmio-bus.{number}"

    def _start(self, arguments: list[str]) -> None:
        channel = None if self.interactive else subprocess.PIPE
        self._log = self.folder / "qemu.log"
        with self._log.open("wb") as log:
            how = {"stdin": channel, "stdout": channel, "stderr": log, "start_new_session": not self.interactive,
                   "preexec_fn": _die_with_parent(os.getpid(), self.kernel.ram_bytes)}
            if self.kernel.walled:
                files = [Path(one) for one in self.kernel.qemu_options if one.startswith("/")]  # firmware
                files += [self._plugin.file] if self._plugin else []
                self._running = sandbox.start(arguments, self.folder, readonly=files, memory=self.kernel.ram_bytes + _QEMU_BYTES,
                                              network=self.gdb_target.startswith("127."), **how)
            else:
                self._running = sandbox.Running(arguments, dict(os.environ), self.folder, **how)
        self._qemu = self._running.process
        (self.folder / "qemu.pid").write_text(str(self._running.inside))
        if not self.interactive:
            threading.Thread(target=self._pump, daemon=True).start()
        self._await_monitor()

    def _await_monitor(self) -> None:
        """Returns when QEMU has done all that its options say: its monitor answers then."""
        patience = self.patience()
        while self._qemu.poll() is None:
            try:
                self.qmp().close()
                self._has_monitor = True
                return
            except (OSError, Trouble):  # not there yet, or gone again
                if patience.is_over:
                    raise Silent(f"QEMU did not open its monitor within {patience.limit_s:g} s") from None
                time.sleep(0.005)
        raise self._gone()

    def last_words(self) -> str:
        """Why QEMU ended, once it has."""
        said = self._log.read_text(errors="replace").strip().splitlines()
        status = self._qemu.wait()
        signalled = -status if status < 0 else status - 128  # as bubblewrap, too, tells it
        return said[-1] if said else f"status {status}" if signalled <= 0 else f"signal {signalled}"

    def _gone(self) -> Trouble:
        """What has ended QEMU, once it has; or what will, where its kernel has printed too much."""
        if len(self._text) > _MOST_PRINTED:
            return Endless(f"the kernel prints without end: more than {_MOST_PRINTED >> 10} KiB" + self.tail())
        return Gone(f"QEMU ended: {self.last_words()}" + self.tail())

    def _pump(self) -> None:
        descriptor = piped(self._qemu.stdout).fileno()
        while data := os.read(descriptor, 65536):
            if len(self._text) <= _MOST_PRINTED:
                with self._changed:
                    self._text += data.decode("utf-8", "replace").replace("\r", "")
                    self._changed.notify_all()
            if len(self._text) > _MOST_PRINTED and self._has_monitor:   # on a busy host it may print all that while QEMU still starts
                self._running.send(signal.SIGKILL)
                break
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    @property
    def notes_stores(self) -> bool:
        """Whether a plugin notes who stores what."""
        return self._plugin is not None and self._plugin.name == plugin.WHO

    @property
    def pid(self) -> int:
        """QEMU's process id."""
        return self._running.inside

    def patience(self, limit_s: float | None = None) -> Patience:
        """A limit of the time that the machine has for something from now on; SHRIMPY_LIMIT when it is None."""
        return Patience(limit_s, self.pid)

    def work(self, seconds: float) -> None:
        """Returns when the machine has had so much time for its work: see patience()."""
        patience = self.patience(seconds)
        while not patience.is_over:
            time.sleep(patience.look_s)

    def rest(self) -> None:
        """QEMU does nothing from now on, until it is woken, typed at or asked: a guest that waits for us by looking again and again
        takes no CPU."""
        self._rests = True
        self._running.send(signal.SIGSTOP)

    def wake(self) -> None:
        """The end of rest()."""
        if self._rests:
            self._running.send(signal.SIGCONT)
            self._rests = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """It rests meanwhile."""
        rested = self._rests
        self.rest()
        try:
            yield
        finally:
            if not rested:
                self.wake()

    @property
    def console(self) -> str:
        """All that the console has printed, without carriage returns."""
        return self._text

    def tail(self) -> str:
        """The console's last lines, to end a message with."""
        lines = [line[:_WIDEST] for line in printable(self._text).splitlines() if line.strip()][-_TAIL_LINES:]
        if not lines:
            return "" if self.interactive else "\nthe console printed nothing"
        return "\nthe console's last lines:\n" + "\n".join("  | " + line for line in lines)

    def wait_for(self, pattern: str, limit_s: float | None = None, what: str = "") -> re.Match[str]:
        """Waits until the console prints pattern after the last match, and returns the match.

        what names the pattern for a person. Raises Panicked at a panic that is not what pattern matches,
        Gone when QEMU ends, Silent after limit_s of the machine's own time: see patience().
        """
        wanted = re.compile(pattern)
        looked = self._mark

        def found(text: str) -> re.Match[str] | None:
            nonlocal looked
            start, looked = max(self._mark, looked - _LONGEST_MATCH), len(text)
            return wanted.search(text, start)
        match = self.wait_until(found, limit_s, what or repr(pattern))
        self._mark = match.end()
        return match

    def wait_until(self, found: Callable[[str], T | None], limit_s: float | None = None, what: str = "",
                   poll_s: float | None = None) -> T:
        """Waits until found, given all that the console has printed, returns something true; as wait_for().

        poll_s: found also asks what changes without a word of the console's.
        """
        patience = self.patience(limit_s)
        with self._changed:
            while not (result := found(self._text)):
                over = patience.is_over
                self.check(last_chance=over)
                if over and len(self._text) > _MUCH_PRINTED:
                    raise Endless(f"the kernel prints without end: {len(self._text) >> 10} KiB within {patience.limit_s:g} s"
                                  + self.tail())
                if over:
                    hangs = ": the kernel hangs" if what == _FIRST_PROMPT else ""
                    raise Silent(f"waited {patience.limit_s:g} s for {what}, which did not come{hangs}" + self.tail())
                self._changed.wait(patience.look_s if poll_s is None else min(patience.look_s, poll_s))
            return result

    def check(self, last_chance: bool = False) -> None:
        """Raises Panicked or Gone if the machine has come to that. A panic counts when its line is complete, or else
        at the last chance."""
        said = self._panics.said(self._text, last_chance or self._ended)
        if said is None and not self._ended and (last_chance or time.monotonic() > self._looked_s + _LOOK_S):
            said = self._panics.shown(self._text, self._mark, last_chance)
            self._looked_s = time.monotonic()
        if said is not None:
            raise Panicked(printable(said.strip())[:_WIDEST], self.tail())
        if self._ended or len(self._text) > _MOST_PRINTED:
            raise self._gone()

    def _pcs(self) -> list[int]:
        """Each hart's pc, now; none where QEMU does not say. This monitor is nobody else's."""
        self.wake()
        try:
            if self._watching is None:
                self._watching = Qmp(self.folder / "harts.sock", _HARTS_S)
            return panics.harts_of(self._watching.human("info registers -a"))
        except (OSError, Trouble):
            if self._watching:  # its answer may still come
                self._watching.close()
            self._watching = None
            return []

    # The shell

    def boot(self, limit_s: float | None = None) -> Machine:
        """Waits until the shell waits for a line, and learns its prompt."""
        if self.kernel.prompt:
            # It may come in the middle of what a hart says at its start.
            self.wait_for(re.escape(self.kernel.prompt), limit_s, _FIRST_PROMPT)
            self._prompt = re.compile(r"(?:^|(?<=\n))" + re.escape(self.kernel.prompt))
            return self
        self._waiting = prompt.Waiting(self.ram)
        if self._await_first_prompt(limit_s):
            self._learn(limit_s)
        self._mark = len(self._text)
        return self

    @property
    def at_prompt(self) -> AtPrompt:
        """What a machine needs to know that goes on from where this one is: it has booted, and its shell waits."""
        return AtPrompt(self._text, self._prompt, self._shell, self._consumed, self._typed)

    def _go_on(self, known: AtPrompt) -> None:
        """Knows what boot() would have learnt."""
        with self._changed:
            self._text = known.text + self._text
            self._mark = len(known.text)
        self._prompt, self._shell, self._consumed, self._typed = known[1:]
        self._waiting = prompt.Waiting(self.ram)

    def _await_first_prompt(self, limit_s: float | None) -> bool:
        """Whether memory says that the shell waits; else the console ends as if it did."""
        calm, looked = 0, 0
        waiting = self._waits

        def waits(text: str) -> bool:
            nonlocal calm, looked
            new = text[max(0, looked - len(_USUAL_PROMPT)):]     # a machine may print without end
            calm, looked = (calm + 1 if len(text) == looked else 0), len(text)
            if not waiting.knows:
                return bool(prompt.usual(text)) or _USUAL_PROMPT in new or text.startswith(_USUAL_PROMPT[1:])
            return bool(waiting.readers()) or calm > _SETTLED_POLLS and bool(prompt.usual(text))
        self.wait_until(waits, limit_s, _FIRST_PROMPT, _POLL_S)
        self._shell, self._consumed = waiting.readers(), waiting.consumed()
        if not self._shell:
            said = prompt.usual(self._text)
            self._prompt = re.compile(r"(?:^|(?<=\n))" + (re.escape(said) if said else r"\$ "))
        return bool(self._shell)

    def _learn(self, limit_s: float | None) -> None:
        """The prompt is what comes again when a command has done nothing. Two tries: a word of another hart's may have come
        after the first prompt."""
        for _ in range(2):
            self._drain()
            before = self._text
            self.type(_NOTHING)
            self.wait_until(lambda _: self._waits_again(), limit_s, _FIRST_PROMPT, _POLL_S)
            self._drain()
            echoed = _NOTHING if self._text.startswith(_NOTHING, len(before)) else ""
            self._prompt = prompt.common(before, self._text[len(before) + len(echoed):])
            if self._prompt:
                break

    def _waits_again(self) -> bool:
        """Whether memory says that the shell waits, all that was typed being consumed."""
        return self._waits.readers() == self._shell and any(
            one + self._typed & 0xffffffff in self._waits.consumed() for one in self._consumed)

    @property
    def _waits(self) -> prompt.Waiting:
        """What memory says of who waits; the machine boots or has booted."""
        assert self._waiting is not None
        return self._waiting

    def _drain(self) -> None:
        """Returns when all that QEMU has printed is in our text, and the guest's own buffer is empty."""
        left, last = array.array("i", [1]), None
        while (left[0] or last != self._text) and not self._ended:
            last = self._text
            with self._changed:
                self._changed.wait(_POLL_S)
            if not self._ended:
                fcntl.ioctl(piped(self._qemu.stdout).fileno(), termios.FIONREAD, left)

    def prompted(self, start: int) -> re.Match[str] | None:
        """The prompt that the shell has printed after that place on the console, if it waits for a line since."""
        if self._shell and not self._waits_again():
            return None
        if self._prompt is None:
            self._drain()
            return re.compile(r"\Z").search(self._text, start)
        return next(reversed(list(self._prompt.finditer(self._text, start))), None)

    def wait_for_either(self, pattern: str, limit_s: float | None = None, what: str = "") -> re.Match[str] | None:
        """As wait_for(), but returns None when the shell's prompt is back before."""
        wanted, start = re.compile(pattern), self._mark

        def found(text: str) -> tuple[re.Match[str] | None, int] | None:
            if match := wanted.search(text, start):
                return match, match.end()
            back = self.prompted(start)
            return (None, back.end()) if back and not wanted.search(self._text, start) else None
        match, self._mark = self.wait_until(found, limit_s, what, _POLL_S)
        return match

    def send(self, line: str) -> None:
        """Types a line."""
        self.type(line + "\n")

    def type(self, keys: str) -> None:
        """Types keys, as they are."""
        self.wake()
        try:
            keyboard = piped(self._qemu.stdin)
            keyboard.write(keys.encode())
            keyboard.flush()
            self._typed += len(keys)
        except BrokenPipeError:
            raise self._gone() from None

    def run(self, line: str, limit_s: float | None = None) -> str:
        """Types a line at the prompt, waits for the next prompt, and returns what came between."""
        self.send(line)
        self.wait_for(re.escape(line) + r" *\n", limit_s)
        start = self._mark
        match = self.wait_until(lambda _: self.prompted(start), limit_s, f"the prompt after {line!r}", _POLL_S)
        self._mark = match.end()
        return self._text[start:match.start()]

    def end_shell(self, limit_s: float | None = None) -> None:
        """Types Ctrl-D at the prompt, which ends a shell, and waits until a shell waits for a line: the same, or the next. As
        wait_for()."""
        start, waiting = len(self._text), self._waiting
        self.type(_CTRL_D)

        def waits(text: str) -> bool:
            if waiting is None or not self._shell:
                return self.prompted(start) is not None
            there = waiting.readers()
            typed = {one + self._typed & 0xffffffff for one in self._consumed}
            if not there or not typed & waiting.consumed():
                return False
            self._shell = there     # the next may be elsewhere in the array
            return True
        self.wait_until(waits, limit_s, "the next shell's prompt", _POLL_S)
        self._drain()
        self._mark = len(self._text)

    def write(self, pa: int, word: int) -> None:
        """Puts a 32-bit word into RAM at a physical address. Raises Trouble where there is none."""
        if not 0 <= pa - RAM_BASE <= self.kernel.ram_bytes - 4:
            raise Trouble(f"there is no memory at {pa:#x}")
        with self.ram_file.open("r+b") as file:
            file.seek(pa - RAM_BASE)
            file.write(struct.pack("<I", word))

    def qmp(self) -> Qmp:
        """A new connection to QEMU's monitor; use it in a with statement. Raises Gone where QEMU has ended."""
        self.wake()
        try:
            return Qmp(self.folder / "qmp.sock", gone=self._gone)
        except ConnectionRefusedError:  # nobody listens there: not yet, while it starts, or no more
            if self._has_monitor:
                raise self._gone() from None
            raise

    def monitor(self, line: str) -> str:
        """Runs one line of QEMU's human monitor."""
        with self.qmp() as connection:
            return connection.human(line)

    def note(self, live: str = "", target: str | None = None) -> Note:
        """What others need to find it. live: the address of the page that follows it; target: where GDB is served, if it is not by
        QEMU."""
        return Note(os.getpid(), started_at(os.getpid()) or "", str(self.kernel.elf), target or self.gdb_target,
                    str(self.folder / "qmp.sock"), str(self.ram_file), live)

    def publish(self, live: str = "", target: str | None = None) -> None:
        """Lets `make gdb` of this checkout find the machine. live, target: as for note()."""
        self._note = publish(self.note(live, target))

    def wait(self) -> int:
        """Waits until QEMU ends, and returns its status."""
        return self._qemu.wait()

    def stop(self) -> None:
        """Ends QEMU and removes its folder. Harmless when done twice."""
        running = getattr(self, "_running", None)
        if running is not None:
            qemu = running.process
            self.wake()     # to end by itself
            if qemu.poll() is None:
                self._running.send(signal.SIGTERM)
                if not self._running.ended(_END_S):
                    self._running.send(signal.SIGKILL)
                    qemu.wait()
            (self.folder / "qemu.pid").unlink(missing_ok=True)
            if qemu.stdin:
                with self._changed:
                    self._changed.wait_for(lambda: self._ended, 5)
                for pipe in (qemu.stdin, qemu.stdout):
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        pass
            self._running.close()
        self.ram.close()
        if self._watching:
            self._watching.close()
        self._run.remove()
        if self._note:
            self._note.unlink(missing_ok=True)
            self._note = None

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def check_port(port: int) -> None:
    """Raises Trouble where nothing can listen there."""
    if not 1 <= port <= 65535:
        raise Trouble(f"GDBPORT={port} is not a port: 1 to 65535")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise Trouble(f"GDBPORT={port} cannot be used: {error.strerror}") from None


def _die_with_parent(parent: int, ram_bytes: int):
    """What the child does before QEMU starts, so that our death is QEMU's and no file of its grows without end; None
    where there is no prctl."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None, use_errno=True)

    def arrange() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        most = ram_bytes + _MOST_WRITTEN
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    return arrange

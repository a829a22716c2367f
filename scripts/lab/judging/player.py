"""The player in a machine: built for a kernel, put on its disk, and told what to do through the machine's memory.

Only system call numbers and the places of FRY and SHRIMP are the kernel's. Nothing of what is said goes through the
console, and who plays is found by what it runs.
"""

from __future__ import annotations

import array
import dataclasses
import mmap
import re
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, TypeAlias

from shrimpy.kernel import Kernel as View
from shrimpy.kernel import Proc
from shrimpy.kernel.debuginfo import DebugInfo
from shrimpy.memory import sv39
from shrimpy.memory.elf import Elf
from shrimpy.memory.readers import PAGE, RAM_BASE, BytesReader, ReadError
from shrimpy.memory.riscv import signed

from .. import ROOT, Trouble
from ..kernels import disk
from ..kernels.tree import Kernel
from ..machines import debugger
from ..machines.known import Known, known
from ..machines.machine import Machine
from . import scenarios

NAME, _BROKEN, _DATA = "player", "broken", "data"
"""What the program is called in all that people read: on the disk it has another name each time."""

_SOURCES, _CALLS = ROOT / "scripts" / "player", ROOT / "scripts" / "scenarios"

MEMBERS = 5                 # slots for processes that are told what to do, as in player.c
HELPER = MEMBERS
CONDUCTOR, NOBODY = MEMBERS + 3, MEMBERS + 4
_USUAL = ("forktest", "grind", "stressfs", "usertests")    # programs that xv6 has
_MAIL = 0x3000              # where player.ld puts it, above the program's start
_WORD = (1 << 64) - 1
_SHARES = frozenset(f"-DSYS_{call}" for call in ("shmget", "shmat", "shmdt", "shmctl"))

# Words of the mailbox, as player.c has them: letters of six words, each with room for an answer of four.
_LETTERS = 8
_NUMBER, _N, _FIRST, _SAID, _LONG = 0, 1, 2, 6, 10
_DONE = _FIRST + _LETTERS * _LONG

_LIMIT_S = 5.0
_TYPED_REST_S = 1.0         # all of it is run again, as often as the recording is asked
_FIRST_LOOK_S = 0.02        # of waiting, before it is asked whether something has gone wrong
_POLL_S, _MOST_S = 0.00005, 0.02     # between two looks: the longer the wait, the longer, so that a busy host is not busier by it
_OFTEN = 16
_SOON = 64                  # looks, within which most answers come: some 20 ms
_REGISTERS = re.compile(r"^\s*pc\s+([0-9a-f]+).*?^\s*satp\s+([0-9a-f]+)", re.M | re.S)   # of a hart, as QEMU prints them


@dataclasses.dataclass(frozen=True)
class Program:
    """The player, for one kernel. name: what it is called on the disk, anew each time; other: what it is called there as well, as
    a program of the tree's own is; broken: the name of one that cannot be loaded; data: that of a file of two pages, which are
    `written`; code: its first segment, which is at begins; shares: whether the kernel has System V's calls for shared memory."""

    name: str
    other: str
    broken: str
    data: str
    file: bytes
    code: bytes
    written: bytes
    shares: bool = False
    begins: int = 0

    @property
    def files(self) -> dict[str, bytes]:
        """What it needs on the disk, by name."""
        broken = scenarios.with_more_in_the_file(self.file)
        return {self.name: self.file, self.other: self.file, self.broken: broken, self.data: self.written}

    def unmasked(self, text: str) -> str:
        """What is of the guest, without what is of this run only."""
        for name, told in ((self.name, NAME), (self.broken, _BROKEN), (self.data, _DATA)):
            text = text.replace(name, told)
        return re.sub(rf"\b{self.other}\b", NAME, text)

    @contextmanager
    def named(self) -> Iterator[None]:
        """What is raised within it is unmasked, too."""
        try:
            yield
        except Trouble as trouble:
            trouble.args = (self.unmasked(str(trouble)),)
            raise


class Facts(NamedTuple):
    """What is known of a kernel before it runs."""

    info: DebugInfo
    fry: int                # virtual addresses
    shrimp: int


def facts(gdb: debugger.Session) -> Facts | None:
    """What a GDB that has the kernel's file knows of it; None where it has no FRY and SHRIMP. Raises Trouble where GDB cannot
    read it."""
    return facts_of(known(gdb))


def facts_of(found: Known) -> Facts | None:
    """None where it has no FRY and SHRIMP."""
    return Facts(found.info, found.fry, found.shrimp) if found.fry and found.shrimp else None


def build(kernel: Kernel, known: Facts, folder: Path, typed: bool = False) -> Program:
    """The player for a kernel, with a name that is new; typed: one that is told by the console. Raises Trouble when it does not
    build."""
    name, broken, data = (scenarios.a_name() for _ in range(3))
    other = secrets.choice([one for one in _USUAL if kernel.has_program(one)] or [scenarios.a_name()])
    begins = scenarios.begins(kernel)
    words = ["-Wno-unused-function", f"-I{_CALLS}", scenarios.placed(begins), f"-DFRY={known.fry:#x}", f"-DSHRIMP={known.shrimp:#x}",
             f"-DNAME={len(other)}", f'-DOTHER="{other}"', f'-DBROKEN="{broken}"', f'-DDATA="{data}"', f"-DTYPED={typed:d}"]
    numbers = scenarios.numbers(kernel)
    shares = {word.partition("=")[0] for word in numbers} >= _SHARES
    numbers = [word for word in numbers if shares or word.partition("=")[0] not in _SHARES]
    file = scenarios.compiled(_SOURCES / "player.c", _SOURCES / "player.ld", [*words, *numbers], folder).read_bytes()
    first = next(one for one in Elf(file).segments if one.is_load)
    code = file[first.offset:first.offset + first.file_size]
    return Program(name, other, broken, data, file, code, secrets.token_bytes(2 * PAGE), shares, begins)


def equip(kernel: Kernel, program: Program, folder: Path) -> Kernel:
    """The same kernel with the player on its first disk, whose copy is in folder. Raises Trouble as disk.with_files does."""
    if not kernel.disks:
        raise Trouble("this kernel has no disk")
    image = folder / "played"
    disk.with_files(kernel.disks[0], program.files, image, scenarios.NEEDED)
    return dataclasses.replace(kernel, disks=(image, *kernel.disks[1:]))


class Ram(BytesReader):
    """A running machine's RAM, that can be written to as well."""

    source = "ram-file"

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), 0)
        super().__init__(self._map)
        self._words = memoryview(self._map).cast("Q")

    def word(self, pa: int) -> int:
        """The aligned word at a physical address, read at once. Raises ReadError outside RAM."""
        if not self.ram[0] <= pa < self.ram[1]:
            raise ReadError(f"{pa:#x} is outside RAM")
        return self._words[pa - RAM_BASE >> 3]

    def set_word(self, pa: int, value: int) -> None:
        """Writes it at once: who looks meanwhile sees the old word or the new one."""
        if not self.ram[0] <= pa < self.ram[1]:
            raise ReadError(f"{pa:#x} is outside RAM")
        self._words[pa - RAM_BASE >> 3] = value & _WORD

    def set_words(self, pa: int, values: array.array[int]) -> None:
        """Writes them, one word after the other."""
        if not self.ram[0] <= pa <= self.ram[1] - 8 * len(values):
            raise ReadError(f"{pa:#x} is outside RAM")
        first = pa - RAM_BASE >> 3
        self._words[first:first + len(values)] = memoryview(values)

    def leaf(self, root: int, va: int) -> tuple[int, int] | None:
        """See sv39.leaf."""
        return sv39.leaf(self.word, root, va)

    def close(self) -> None:
        super().close()
        self._words.release()
        self._map.close()


def _place(at: int) -> int:
    """The first word of a letter."""
    return _FIRST + at * _LONG


def _typed(words: Sequence[int]) -> str:
    """A line of them, without the zeros at its end: the fewer keys, the shorter the run."""
    last = max((at for at, word in enumerate(words) if word), default=0)
    return " ".join(f"{word & _WORD:x}" for word in words[:last + 1]) + "\n"


Said: TypeAlias = tuple[int, int, int]
"""What a process has answered: the first words, signed."""


class Letter(NamedTuple):
    """What a slot is told, and whether there is to be an answer."""

    to: int
    what: str
    a: int = 0
    b: int = 0
    c: int = 0
    waits: bool = True

    @property
    def words(self) -> tuple[int, ...]:
        return self.to, self.waits, ord(self.what), self.a, self.b, self.c


class NoAnswer(Trouble):
    """The machine did not answer, or the process that was told has ended."""


class Player:
    """A machine on which the player runs. close() gives back what it holds; the machine is the caller's.

    typed    it is told by the console: nothing is written to memory, which no recording would know of
    members  slots that there are
    rest_s   within which all whom nobody tells anything come to rest
    """

    def __init__(self, machine: Machine, program: Program, known: Facts, typed: bool = False) -> None:
        """Starts it. Raises NoAnswer where it does not start, and what Machine raises."""
        self.typed, self.members = typed, MEMBERS - typed
        self.rest_s = _TYPED_REST_S if typed else _LIMIT_S
        self.machine, self._program, self.unmasked = machine, program, program.unmasked
        self.names = (program.name, program.other)
        self.path = program.other.encode().ljust(16, b"\0")    # as exec takes it
        self.written = program.written
        self._mail_va = program.begins + _MAIL
        self.ram = Ram(machine.ram_file)
        self.view = View(self.ram, known.info)
        self._number = 0
        machine.send(program.name)
        self.conductor = self._await_conductor()

    def _await_conductor(self) -> Proc:
        for _ in self.while_it_works(what="the player to begin"):
            for one in self.view.processes():
                mail = self.ram.leaf(one.root, self._mail_va) if one.root and self.runs_player(one) else None
                if mail and self._said(mail[0], 0)[0] == one.pid:
                    return one
        raise AssertionError

    def runs_player(self, process: Proc) -> bool:
        """Whether it has our program's code, in pages of a user's."""
        def place(va: int) -> int | None:
            found = self.ram.leaf(process.root, va)
            return found[0] if found and found[1] & sv39.U else None
        try:
            return scenarios.has_code(self._program.code, self._program.begins, place, self.ram.read)
        except ReadError:
            return False

    def while_it_works(self, limit_s: float | None = None, what: str = "") -> Iterator[None]:
        """Again and again, until it is left; raises NoAnswer after limit_s of the machine's own time (None: the usual), and what
        Machine.check raises. A machine that is recorded rests from then on: what its guest does while nobody waits for it would be run
        again as often as the recording is asked."""
        limit_s = limit_s or _LIMIT_S
        patience = None
        begun = time.monotonic()
        try:
            while True:
                yield
                if patience is not None and patience.is_over:
                    self.machine.check(last_chance=True)
                    raise NoAnswer(f"waited {limit_s:g} s for {what}, which did not come" + self.machine.tail())
                if (waited_s := time.monotonic() - begun) > _FIRST_LOOK_S:
                    patience = patience or self.machine.patience(limit_s)
                    self.machine.check()
                self.machine.wake()
                time.sleep(min(max(_POLL_S, waited_s / _OFTEN), _MOST_S))
        finally:
            if self.typed:
                self.machine.rest()

    def tell(self, to: int, what: str, a: int = 0, b: int = 0, c: int = 0, *, waits: bool = True, limit_s: float | None = None,
             alive: Callable[[], object] = lambda: None) -> Said:
        """What slot `to` answers. waits: whether there is to be an answer. As tell_all()."""
        return self.tell_all([Letter(to, what, a, b, c, waits)], limit_s, alive)[0]

    def tell_all(self, letters: Sequence[Letter], limit_s: float | None = None,
                 alive: Callable[[], object] = lambda: None) -> list[Said]:
        """The answer to each, one after the other; of one that is not waited for, what stands there.

        alive: is called now and then meanwhile, and may raise. Raises NoAnswer, and what Machine.check raises.
        """
        said: list[Said] = []
        for at in range(0, len(letters), _LETTERS):
            said += self._exchange(letters[at:at + _LETTERS], limit_s, alive)
        return said

    def _exchange(self, letters: Sequence[Letter], limit_s: float | None, alive: Callable[[], object]) -> list[Said]:
        self._number += 1
        self._send(letters)
        for n, _ in enumerate(self.while_it_works(limit_s, what="an answer")):
            mail = self._mail(alive)    # fork may have moved it
            if self.ram.word(mail + 8 * _DONE) == self._number:
                return [self._said(mail, at) for at in range(len(letters))]
            if n > _SOON:
                alive()
        raise AssertionError

    def _said(self, mail: int, at: int) -> Said:
        first, second, third = (signed(self.ram.word(mail + 8 * (_place(at) + _SAID + word)), 64) for word in range(3))
        return first, second, third

    def _send(self, letters: Sequence[Letter]) -> None:
        if self.typed:
            self.machine.type("".join(map(_typed, ((len(letters),), *(one.words for one in letters)))))
            return
        mail = self._mail()
        self.ram.set_word(mail + 8 * _N, len(letters))
        for at, letter in enumerate(letters):
            for n, word in enumerate(letter.words):
                self.ram.set_word(mail + 8 * (_place(at) + n), word)
        self.ram.set_word(mail + 8 * _NUMBER, self._number)

    def harts(self) -> list[tuple[int, int]]:
        """(pc, root of the table that satp names, or 0) of each hart, at one moment."""
        with self.machine.qmp() as monitor:
            monitor.execute("stop")
            try:
                said = monitor.human("info registers -a")
            finally:
                monitor.execute("cont")
        return [(int(pc, 16), sv39.root_of(int(satp, 16)) or 0) for pc, satp in _REGISTERS.findall(said)]

    def runs_program(self, pc: int) -> bool:
        """Whether a pc is one of the program's, in user mode: no kernel has code there."""
        return self._program.begins <= pc < self._program.begins + len(self._program.code)

    def ping(self) -> None:
        """Has whoever could run on the conductor's hart run."""
        self.tell(HELPER, "p")

    def _mail(self, alive: Callable[[], object] = lambda: None) -> int:
        found = self.ram.leaf(self.conductor.root, self._mail_va)
        if found is None:
            alive()
            raise NoAnswer("the player's mailbox is not mapped any more")
        return found[0]

    def close(self) -> None:
        self.ram.close()

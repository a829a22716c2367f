"""The specification played against a kernel: after each operation what the model says is compared with what user code
read, with what memory holds, and with what the hart used.

A Stage plays one sequence after another on one machine, until something differs. What differs is data: a Divergence.
"""

from __future__ import annotations

import array
import random
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

from shrimpy.kernel import Proc
from shrimpy.memory import sv39
from shrimpy.memory.readers import PAGE
from shrimpy.memory.riscv import signed
from shrimpy.memory.unchanged import UnchangedReader
from shrimpy.snapshot import Snapshot
from shrimpy.snapshot.taking import take
from shrimpy.spec import (
    AT_ONCE, FORKS, INIT, KILLS, ORDER, SEGMENT_PAGES, SEGMENTS, SHM, STATUS, Attachment, Cell, Differs, Divergence, Do, Model, Op, Page,
    Played, Sequence)
from shrimpy.spec.sequences import FIRST, START, shorter

from ..kernels.tree import Kernel
from ..machines.machine import Machine, Panicked, Silent
from ..patience import point_s
from ..replay.boots import Boots
from . import player
from .player import CONDUCTOR, HELPER, NOBODY, Letter, NoAnswer, Player

_FLAGS = sv39.V | sv39.R | sv39.W | sv39.X | sv39.U
_EXACTLY = sv39.V | sv39.R | sv39.W | sv39.U

_GROUP = 16                 # sequences, between two counts of free frames
_REPETITIONS = 3

# Words of a page: 0 to 15 are for operations; each process has two for what it stamps; the host writes to the rest.
_STAMPS, _NONCES = 16, 256
_PATH = 240                 # where an exec may have its path
_ARGUMENT = range(_PATH + 2, _PATH + 5)     # and its argument
_ACROSS, _BEFORE = 3, 4     # exec's n where it has them across the two pages, and how many bytes of them are in the lower
_POSITIVE = int.from_bytes((b"\xff" * 7 + b"\x7f") * (PAGE // 8), "little")    # of a page's words what makes none negative
_RETURN = 0x8082            # the instruction, and nothing after it
_LINE = b"shrimpy\n"        # a word, typed at the console
_CALLED = 8                 # words that fstat() and pipe() have

_LETTERS = {Do.FORK: "f", Do.FORK_HUNGRY: "f", Do.FORK_AND_EXIT: "X", Do.EXEC: "e", Do.EXEC_HUNGRY: "e", Do.EXEC_FAILS: "E",
            Do.EXIT: "x", Do.FAULT: "l", Do.WAIT: "w", Do.WAIT_BADLY: "v", Do.KILL: "k", Do.KILL_WAITING: "k", Do.KILL_RUNNING: "k",
            Do.LOAD: "l", Do.STORE: "s", Do.READ: "r", Do.WRITE: "W", Do.READ_BOTH: "r", Do.WRITE_BOTH: "W", Do.READ_FILE: "F",
            Do.WRITE_FILE: "P", Do.READ_OVER: "r", Do.WRITE_OVER: "W", Do.CALLS: "m", Do.KILL_SELF: "K", Do.KILL_SLEEPING: "k",
            Do.READ_CONSOLE: "q", Do.WRITE_CONSOLE: "q", Do.SBRK_LAZY: "B", Do.FORSAKE: "x", Do.GATHER: "o",
            Do.SBRK: "b", Do.CROWD: "c", Do.CHAIN: "C", Do.DISPERSE: "d", Do.CHURN: "n", Do.BARE: "O",
            Do.SHM_GET: "S", Do.SHM_FIND: "S", Do.SHM_ATTACH: "A", Do.SHM_ATTACH_READ: "A", Do.SHM_DETACH: "D",
            Do.SHM_DETACH_INSIDE: "D", Do.SHM_REMOVE: "R", Do.SHM_READ: "r", Do.SHM_WRITE: "W", Do.SHM_VIOLATE: "s"}


_ON_PAGES = frozenset((Do.LOAD, Do.STORE, Do.READ, Do.WRITE, Do.READ_BOTH, Do.WRITE_BOTH, Do.READ_OVER, Do.WRITE_OVER))
_OVER, _BOTH = frozenset((Do.READ_OVER, Do.WRITE_OVER)), frozenset((Do.READ_BOTH, Do.WRITE_BOTH))
_OF_CONSOLE = frozenset((Do.READ_CONSOLE, Do.WRITE_CONSOLE))
_FAULTS = ("l", "s", "i", "j")
_OF_FILES = frozenset((Do.READ_FILE, Do.WRITE_FILE))
_OF_MANY = frozenset((Do.CHURN, Do.BARE, Do.CROWD, Do.CHAIN, Do.DISPERSE, Do.GATHER))
_HUNGRY = frozenset((Do.FORK_HUNGRY, Do.EXEC_HUNGRY))
_PLENTY = 50                # frames for a process
_MOST_FRAMES = 500          # that fork or exec may need
_SLOW = frozenset((Differs.HANGS, Differs.DIED, Differs.LIVES, Differs.PARENT))     # seen by a limit that is over
_TAKES_S = 20.0             # until all memory is taken
_NOWHERE = 0x2000000000     # half-way to MAXVA: no program of ours reaches so far
_VALUES = 0x5ca1ab1e00000000

# Segments: names and numbers of sysvipc(7), shmget(2) and shmat(2), which the kernel's system calls are to follow.
_IPC_CREAT, _IPC_EXCL, _SHM_RDONLY, _MODE = 0o1000, 0o2000, 0o10000, 0o600
_SHM_KEY = 0x5ca1ab00               # of segment 0
_SHM_SIZE = (SEGMENT_PAGES - 1) * PAGE + 8  # bytes: of the last page only so many are asked for
_SHM_WORD = 5                       # of its last page, that system calls read and write
_ENDS = frozenset((Do.EXIT, Do.FAULT, Do.KILL_SELF, Do.FORSAKE, Do.SHM_VIOLATE))


class _Differs(Exception):
    """Says what differs, to whoever plays."""

    def __init__(self, what: Differs, cell: Cell | None = None, beyond: str | None = None, **found: object) -> None:
        self.what, self.cell, self.beyond, self.found = what, cell, beyond, found


class _Touch(NamedTuple):
    """What a process is told: to load a word from each of some pages of its own, and what it stores in each, at which word."""

    letter: Letter
    cells: list[Cell]
    stamps: list[tuple[int, int]]


class Unable(Exception):
    """A process ended, or stood still, where all memory was taken. A kernel that gives memory when it is touched, or copies it
    when it is written to, may do so: of that the model has no opinion, and the machine is of no more use."""


class Stage:
    """A machine on which sequences are played. handout: whether what only goes beyond the handout is noted, and not the end."""

    def __init__(self, play: Player, known: player.Facts, *, handout: bool = False, seed: str = "") -> None:
        self._player, self._known, self._handout = play, known, handout
        self._ram = play.ram
        self._again = UnchangedReader(play.ram)
        self._places = {"FRY": known.fry, "SHRIMP": known.shrimp}
        self._order = sorted(self._places, key=self._places.__getitem__)    # the lower page first
        self._written = play.written    # to the file
        self._dice = random.Random(seed)
        self.machine = play.machine
        self.noted: list[Divergence] = []
        self.n_ops = 0
        self._kills = True          # until it is known that this kernel cannot
        self._begin()

    # A sequence

    def play(self, ops: Sequence, done: Callable[[Op], object] = lambda op: None) -> Divergence | None:
        """What differs first, with the operation that it was seen after; None when nothing does. Afterwards all is as it was
        before; after a divergence the machine is of no use any more. done: is called after each operation that agrees.

        Raises what Machine.check raises but for Panicked, which is a divergence.
        """
        self._done: list[Op] = []
        try:
            for op in ops:
                if self._model.can(op) and self._has_place(op):     # a wait may have returned another than was thought
                    self._do(op)
                    self._compare()
                    self.n_ops += 1
                    done(op)
            self._end()
        except (_Differs, NoAnswer, Panicked) as error:
            return self._divergence(error)
        return None

    def _divergence(self, error: Exception) -> Divergence:
        ops = tuple(self._done)
        if isinstance(error, Panicked):
            return Divergence(Differs.PANICKED, ops, text=self._player.unmasked(error.words))
        if not isinstance(error, _Differs):
            return Divergence(Differs.HANGS, ops)
        beyond = self._beyond(error)
        return Divergence(error.what, ops, error.cell, beyond, **error.found)   # type: ignore[arg-type]

    def _beyond(self, error: _Differs) -> str | None:
        cell = error.cell
        if error.beyond or cell is None or not self._model.is_alive(cell.process):
            return error.beyond
        if error.what is Differs.CROWD or "pid" in error.found:
            return None     # whoever has a crowd does not exec: its children have been forked since
        if error.what is Differs.CONTENT and self._is_new(cell) and not error.found.get("written"):
            return "zeroed"
        return self._model.beyond(cell)

    def _is_new(self, cell: Cell) -> bool:
        """Whether a page has come with the last operation. What is in an older one has been seen to be as it should."""
        last = self._done[-1]
        return cell == Cell(last.n, "FRY") and last.do in FORKS

    def _begin(self) -> None:
        self._model = Model(self._handout)
        self._pids = {INIT: 1, 0: self._player.conductor.pid}
        helper = [one for one in self._player.view.processes() if one.parent == self._player.conductor.address]
        if len(helper) != 1:
            raise NoAnswer("the player's helper is not there")
        self._pids[1] = helper[0].pid
        self._slots = {0: CONDUCTOR, 1: HELPER}
        self._frames: dict[int, int] = {}       # by process: its FRY, since it was made
        self._ids: dict[int, int] = {}          # by segment: its identifier
        self._structs: dict[int, int] = {}      # by segment: the physical address of the kernel's struct
        self._attached: dict[int, int] = {}     # by attachment: its address
        self._detached: list[Cell] = []         # by the last operation
        self._counter = 0
        self._take_as_found(0, 1)

    def _take_as_found(self, *numbers: int) -> None:
        """What is in FRY of those who were there before anything was played is taken to have been written."""
        there = {one.pid: one for one in self._player.view.processes()}
        for number in numbers:
            leaf = self._ram.leaf(there[self._pids[number]].root, self._places["FRY"])
            for at, word in enumerate(array.array("Q", self._ram.read(leaf[0] & -PAGE, PAGE)) if leaf else ()):
                if word:
                    self._model.write(Cell(number, "FRY"), at, word)

    def _end(self) -> None:
        """All that a sequence has made exits and is waited for."""
        model = self._model
        if model.forsaken:
            self._do(Op(0, Do.GATHER))
        for process in model.living():
            if process.crowd:
                self._bury_all(process.number)
                self._do(Op(process.number, Do.DISPERSE))
        for process in reversed(model.living()):
            if process.number >= FIRST:
                self._do(Op(process.number, Do.EXIT))
        self._bury_all(0)
        for number in list(model.segments):
            self._do(Op(0, Do.SHM_REMOVE, number))
        model.made.clear()
        self._compare()
        for known in (self._pids, self._slots, self._frames):
            for number in [one for one in known if one >= FIRST]:
                del known[number]
        for of_segments in (self._ids, self._structs, self._attached):
            of_segments.clear()

    def _bury_all(self, number: int) -> None:
        while any(one.is_zombie for one in self._model.children(number)):
            self._do(Op(number, Do.WAIT))

    # An operation

    def _do(self, op: Op) -> None:
        """Has it done, by the kernel and by the model, and compares the answer."""
        play = self._player
        self._done.append(op)
        slot = self._slots[op.actor]
        a, b, c = self._arguments(op)
        waits = op.do not in _ENDS
        if op.do in (Do.KILL_WAITING, Do.KILL_SLEEPING, Do.KILL_RUNNING):
            self._occupy(op)
        if op.do in _OF_CONSOLE:
            self._at_console(op)
        if op.do in _HUNGRY:
            self._answered(op, self._until_it_works(op, slot, a))
            return
        if op.do is Do.EXIT_AWAITED:
            self._answered_parent(op, slot)
            return
        letter = _FAULTS[op.n] if op.do is Do.FAULT else _LETTERS[op.do]
        said = play.tell(slot, letter, a, b, c, waits=waits, alive=lambda: self._still_there(op))
        self._answered(op, said)

    def _occupy(self, op: Op) -> None:
        """The one that is to be killed waits for a child, sleeps, or is in user mode."""
        cell, slot = Cell(op.n, "FRY"), self._slots[op.n]
        if op.do is not Do.KILL_RUNNING:
            self._player.tell(slot, "w" if op.do is Do.KILL_WAITING else "z", waits=False)
        else:
            self._player.tell(slot, "h", self._places["FRY"], self._model.word_at(cell, 0) or 0, waits=False)
        self._player.ping()     # by then it has begun, or will before it ends

    def _answered_parent(self, op: Op, slot: int) -> None:
        """Its parent waits when it exits, and is told of it."""
        parent = self._model.processes[op.actor].parent
        self._player.tell(self._slots[parent], "w", waits=False)
        self._player.ping()     # by then it sleeps, or will look before it does
        self._player.tell(slot, "x", op.n or STATUS, waits=False)
        pid, status, _ = self._player.tell(NOBODY, "w", alive=lambda: self._still_there(Op(parent, Do.WAIT)))
        if pid != self._pids[op.actor]:
            raise _Differs(Differs.ANSWER, Cell(parent), seen=pid, expected=self._pids[op.actor])
        if status != (op.n or STATUS):
            raise _Differs(Differs.STATUS, Cell(parent), seen=status, expected=op.n or STATUS)
        self._model.do(op)

    def _at_console(self, op: Op) -> None:
        """A line is typed, or is in the word that is to be printed."""
        if op.do is Do.READ_CONSOLE:
            self.machine.type(_LINE.decode())
            return
        self._counter += 1
        self._printed = f"@{self._counter:06x}\n"
        [(cell, at)], word = self._cells(op), int.from_bytes(self._printed.encode(), "little")
        root = next(one.root for one in self._player.view.processes() if one.pid == self._pids[op.actor])
        if leaf := self._ram.leaf(root, self._place(cell)):
            self._ram.set_word((leaf[0] & -PAGE) + 8 * at, word)
            self._model.write(cell, at, word)

    def _until_it_works(self, op: Op, slot: int, a: int) -> tuple[int, int, int]:
        """The helper takes all memory, and gives it back frame by frame: each time that it does not work, nothing has changed."""
        play = self._player
        try:
            play.tell(HELPER, "t", limit_s=_TAKES_S, alive=lambda: self._still_there(Op(1, op.do)))
            for _ in range(_MOST_FRAMES):
                said = play.tell(slot, _LETTERS[op.do], a, alive=lambda: self._still_there(op))
                if said[0] >= 0:
                    break
                self._compare_tables(self._await_family())
                play.tell(HELPER, "g")
            play.tell(HELPER, "G", limit_s=_TAKES_S)
        except (_Differs, NoAnswer) as error:
            if isinstance(error, NoAnswer) or error.what in (Differs.DIED, Differs.HANGS):
                raise Unable from error
            raise
        return said

    def _still_there(self, op: Op) -> None:
        """Raises _Differs when whoever was told has ended instead of answering; not of what is to end it."""
        pid = self._pids[op.actor]
        if op.do in _ENDS or op.do is Do.FORK_AND_EXIT:
            return      # on another hart it may have ended before who passed it on has said so
        there = [one for one in self._player.view.processes() if one.pid == pid]
        if not there or there[0].state == "ZOMBIE":
            raise _Differs(Differs.DIED, Cell(op.actor, op.page))

    def _room(self) -> int:
        """For how many more processes there are slots, and memory in plenty; 0 where that is not known."""
        slots = self._player.view.n_slots() - len(self._model.processes) - self._model.forsaken - 2     # init and the shell
        return max(0, min(slots, (self.n_free() or 0) // _PLENTY))

    def _arguments(self, op: Op) -> tuple[int, int, int]:
        if op.do in FORKS:
            return self._free_slot(), STATUS, 0
        if op.do is Do.FAULT:
            return (self._places["FRY"], _RETURN, 0) if _FAULTS[op.n] == "j" else (_NOWHERE, 0, 0)
        if op.do in _OF_CONSOLE:
            return self._places[op.page] + 8 * op.n, op.do is Do.WRITE_CONSOLE, len(_LINE)
        if op.do is Do.EXEC:
            across = self._places[self._order[1]] - _BEFORE
            return op.n and (across if op.n == _ACROSS else self._places[ORDER[op.n - 1]] + 8 * _PATH), 0, 0
        if op.do in KILLS:
            return self._pids[op.n], 0, 0
        if op.do in (Do.EXIT, Do.KILL_SELF, Do.FORSAKE):
            return op.n or STATUS, 0, 0
        if op.do is Do.GATHER:
            return self._model.forsaken, 0, 0
        if op.do is Do.WAIT:
            return self._places[op.page] + 8 * op.n if op.page else 0, 0, 0
        if op.do in _OF_FILES:
            return self._places[op.page or self._order[0]], 0, PAGE * len(self._cells(op))
        if op.do is Do.CALLS:
            return self._places[op.page] + 8 * op.n, 0, 0
        if op.do in _ON_PAGES:
            self._counter += 2
            place = self._places[op.page] + 8 * op.n if op.page else self._places[self._order[1]] + (PAGE if op.do in _OVER else 0) - 8
            return place, _VALUES + self._counter, 8 if op.page else 16
        if op.do in (Do.CHURN, Do.BARE):
            return op.n, 8 * self._stamp_of(op.actor), 0
        if op.do is Do.DISPERSE:
            return self._model.processes[op.actor].crowd, 0, 0
        return self._shared_arguments(op) if op.do in SHM else (op.n, 0, 0)

    def _shared_arguments(self, op: Op) -> tuple[int, int, int]:
        if op.do in (Do.SHM_GET, Do.SHM_FIND):
            made = (_SHM_SIZE, _IPC_CREAT | _IPC_EXCL | _MODE)
            return (_SHM_KEY + op.n, *(made if op.do is Do.SHM_GET else (0, 0)))
        if op.do in (Do.SHM_ATTACH, Do.SHM_ATTACH_READ):
            return self._ids[op.n], 0, op.do is Do.SHM_ATTACH_READ and _SHM_RDONLY
        if op.do is Do.SHM_REMOVE:
            return self._ids[op.n], 0, 0
        self._counter += 2
        at = self._attached[self._attachment(op).number]
        if op.do in (Do.SHM_DETACH, Do.SHM_DETACH_INSIDE):
            return at + (op.do is Do.SHM_DETACH_INSIDE) * PAGE, 0, 0
        return at + (SEGMENT_PAGES - 1) * PAGE + 8 * _SHM_WORD, _VALUES + self._counter, 8

    def _attachment(self, op: Op) -> Attachment:
        """The one that an operation is about."""
        found = self._model.processes[op.actor].attachment(op.n)
        assert found is not None
        return found

    def _cells(self, op: Op) -> list[tuple[Cell, int]]:
        """(a page, the word of it) that an operation reads or writes: the first of them, of a file."""
        lower, upper = self._order
        if op.do in _BOTH or op.do is Do.EXEC and op.n == _ACROSS:
            return [(Cell(op.actor, lower), PAGE // 8 - 1), (Cell(op.actor, upper), 0)]
        if op.do in _OVER:
            return [(Cell(op.actor, upper), PAGE // 8 - 1)]
        if op.do in _OF_FILES and not op.page:
            return [(Cell(op.actor, lower), 0), (Cell(op.actor, upper), 0)]
        page = ORDER[op.n - 1] if op.do is Do.EXEC and op.n else op.page
        return [(Cell(op.actor, page), op.n)] if page else []

    def _has_place(self, op: Op) -> bool:
        """Whether there is such a place: an orphan may have no SHRIMP, nothing is across two pages that do not touch, and beyond
        the upper one there may be more that user code can reach."""
        cells = self._cells(op)
        if any(self._model.page(cell) is None for cell, _ in cells) or op.do in KILLS and not self._kills:
            return False
        if op.do in _OF_CONSOLE and self._player.typed:
            return False
        lower, upper = (self._places[page] for page in self._order)
        if op.do in _OVER:
            beyond = self._ram.leaf(self._player.conductor.root, upper + PAGE)
            return beyond is None or not beyond[1] & sv39.U
        return len(cells) < 2 or upper - lower == PAGE

    def _free_slot(self) -> int:
        taken = {slot for number, slot in self._slots.items() if self._model.is_alive(number)}
        slot = next((one for one in range(self._player.members) if one not in taken), None)
        if slot is None:
            raise Unable
        return slot

    def _answered(self, op: Op, said: tuple[int, int, int]) -> None:
        model, value = self._model, said[0]
        if op.do in FORKS:
            self._forked(op, value)
        elif op.do in (Do.WAIT, Do.WAIT_BADLY):
            self._waited(op, value, said[1])
        elif op.do in _ON_PAGES:
            self._passed_words(op, said)
        elif op.do in _OF_FILES:
            self._passed_file(op, said)
        elif op.do in _OF_CONSOLE:
            self._passed_console(op, value)
        elif op.do is Do.CALLS:
            self._expect(op, value, 1)
            self._take_words(Cell(op.actor, op.page), range(op.n, op.n + _CALLED))
        elif op.do is Do.EXEC_FAILS:
            self._expect(op, value, -1)
            model.do(op)
        elif op.do in (Do.EXEC, Do.EXEC_HUNGRY):
            self._expect(op, value, self._pids[op.actor])
            self._detached = [one for one in model.cells(op.actor) if one.segment is not None]
            model.do(op)
            self._take_path(op)
        elif op.do in _OF_MANY:
            self._answered_of_many(op, value)
        elif op.do in SHM:
            self._shared(op, said)
        elif value == -1 and op.do in (Do.SBRK, Do.SBRK_LAZY, Do.KILL):     # a kernel may have neither
            self._kills = self._kills and op.do is not Do.KILL
        else:
            if op.do is Do.FAULT and _FAULTS[op.n] == "j":
                model.write(Cell(op.actor, "FRY"), 0, _RETURN)
            model.do(op)

    def _forked(self, op: Op, pid: int) -> None:
        if pid <= 0:
            raise _Differs(Differs.ANSWER, Cell(op.actor), seen=pid)
        slot = self._free_slot()
        self._model.do(op)
        self._frames.pop(op.n, None)
        self._pids[op.n], self._slots[op.n] = pid, slot

    def _waited(self, op: Op, pid: int, status: int) -> None:
        mine = self._model.do(op)
        buried = next((one for one in mine if self._pids[one] == pid), None)
        if buried is None and (mine and op.do is Do.WAIT or pid != -1):
            raise _Differs(Differs.ANSWER, Cell(op.actor), seen=pid)
        if buried is not None:
            self._told_status(op, status, self._model.processes[buried].status)
            self._model.buried(buried)

    def _answered_of_many(self, op: Op, n: int) -> None:
        """So many of a process's children were forked, have found all as it should be, or have been waited for."""
        model = self._model
        if op.do in (Do.CHURN, Do.BARE):
            self._expect(op, n, op.n)
        elif op.do in (Do.CROWD, Do.CHAIN):
            if n < op.n and n < (room := min(op.n, self._room())):  # to count free frames takes long
                raise _Differs(Differs.ANSWER, Cell(op.actor), seen=n, expected=room)
            model.crowded(op.actor, n)
        else:
            self._expect(op, n, model.forsaken if op.do is Do.GATHER else model.processes[op.actor].crowd)
            model.do(op)

    def _expect(self, op: Op, seen: int, expected: int) -> None:
        if seen != expected:
            raise _Differs(Differs.ANSWER, Cell(op.actor), seen=seen, expected=expected)

    def _passed_words(self, op: Op, said: tuple[int, int, int]) -> None:
        """What a load, a store or a system call has read of a process's pages, or written to them."""
        model, cells = self._model, self._cells(op)
        if op.do in _OVER:
            self._passed_over(op, said)
            return
        if op.do not in (Do.LOAD, Do.STORE):
            self._expect(op, said[0], 8 * len(cells))
        for n, (cell, at) in enumerate(cells):
            if op.do in (Do.STORE, Do.READ, Do.READ_BOTH):
                model.write(cell, at, _VALUES + self._counter + n)
                continue
            seen, expected = said[n if op.do is Do.LOAD else n + 1], model.word_at(cell, at)
            if expected is not None and seen != signed(expected, 64):
                raise _Differs(Differs.SEEN, cell, expected=expected, seen=seen)

    def _passed_over(self, op: Op, said: tuple[int, int, int]) -> None:
        """A system call has failed, or has got as far as the end of the page."""
        [(cell, at)] = self._cells(op)
        if not -1 <= said[0] <= 8:
            raise _Differs(Differs.ANSWER, Cell(op.actor), seen=said[0], expected=-1)
        if op.do is Do.READ_OVER:
            if (new := _VALUES + self._counter) == self._words(cell)[at]:
                self._model.write(cell, at, new)
        elif said[0] == 8 and (expected := self._model.word_at(cell, at)) is not None and said[1] != signed(expected, 64):
            raise _Differs(Differs.SEEN, cell, expected=expected, seen=said[1])

    def _passed_console(self, op: Op, value: int) -> None:
        """A line has come from the console, or gone there. Of a kernel that calls it otherwise there is no opinion."""
        if value == -2:
            return
        self._expect(op, value, len(_LINE))
        if op.do is Do.READ_CONSOLE:
            [(cell, at)] = self._cells(op)
            self._model.write(cell, at, int.from_bytes(_LINE, "little"))
            return
        try:
            self.machine.wait_until(lambda text: self._printed in text, point_s(), "what was written to the console")
        except Silent:
            raise _Differs(Differs.ANSWER, Cell(op.actor), seen=0, expected=len(_LINE)) from None

    def _passed_file(self, op: Op, said: tuple[int, int, int]) -> None:
        """A page, or both, was read from the file, or written to it."""
        cells = [cell for cell, _ in self._cells(op)]
        self._expect(op, said[0], PAGE * len(cells))
        if op.do is Do.WRITE_FILE:
            self._expect(op, said[1], PAGE * len(cells))
            self._written = b"".join(self._words(cell).tobytes() for cell in cells) + self._written[PAGE * len(cells):]
            return
        for n, cell in enumerate(cells):
            for at, word in enumerate(array.array("Q", self._written[n * PAGE:(n + 1) * PAGE])):
                self._model.write(cell, at, word)

    def _words(self, cell: Cell) -> array.array[int]:
        """What memory has there, once it is mapped; nothing but zeros where nothing is."""
        process = next((one for one in self._player.view.processes() if one.pid == self._pids[cell.process]), None)
        leaf = process and (self._ram.leaf(process.root, self._place(cell)) or self._touched(cell, process))
        return array.array("Q", self._ram.read(leaf[0] & -PAGE, PAGE) if leaf else bytes(PAGE))

    def _take_path(self, op: Op) -> None:
        """The path that exec was given, and its argument, stand in a page, or across the two."""
        for cell, at in self._cells(op):
            if op.n == _ACROSS:
                self._take_words(cell, range(at, at + 4 if at == 0 else at + 1))
                continue
            for n, word in enumerate(array.array("Q", self._player.path)):
                self._model.write(cell, _PATH + n, word)
            self._take_words(cell, _ARGUMENT)

    def _take_words(self, cell: Cell, which: range) -> None:
        """What is in these words is taken to have been written."""
        found = self._words(cell)
        for at in which:
            self._model.write(cell, at, found[at])

    def _told_status(self, op: Op, seen: int, expected: int | None) -> None:
        """What wait has said of how a child has ended; where that went to a page, it stands there from now on."""
        if op.do is Do.WAIT and expected is not None and seen != expected:
            raise _Differs(Differs.STATUS, Cell(op.actor), seen=seen, expected=expected)
        cell = Cell(op.actor, op.page)
        if op.page and (before := self._model.word_at(cell, op.n)) is not None:
            self._model.write(cell, op.n, before >> 32 << 32 | seen & 0xffffffff)

    def _shared(self, op: Op, said: tuple[int, int, int]) -> None:
        """The answer of an operation on a segment. What failed has returned something negative: -1, or why."""
        model, value = self._model, said[0]
        succeeds = model.succeeds(op) or op.do is Do.SHM_GET
        if op.do is not Do.SHM_VIOLATE and (value >= 0) != succeeds:
            raise _Differs(Differs.ANSWER, Cell(op.actor), SEGMENTS, seen=value, expected=None if succeeds else -1)
        if op.do is Do.SHM_FIND and succeeds and value != self._ids[op.n]:
            raise _Differs(Differs.ANSWER, Cell(op.actor), SEGMENTS, seen=value, expected=self._ids[op.n])
        if op.do in (Do.SHM_READ, Do.SHM_WRITE):
            if succeeds:
                self._passed(op, said)
            return
        if op.do is Do.SHM_DETACH:
            number = self._attachment(op).number
            self._detached = [one for one in model.cells(op.actor) if one.segment is not None and one.attachment == number]
        model.do(op)
        if op.do is Do.SHM_GET:
            self._ids[op.n] = value
        elif op.do in (Do.SHM_ATTACH, Do.SHM_ATTACH_READ) and succeeds:
            self._attached[model.processes[op.actor].attached[-1].number] = value

    def _passed(self, op: Op, said: tuple[int, int, int]) -> None:
        """A system call has written a word of a segment, or read one."""
        had = self._attachment(op)
        cell = Cell(op.actor, "", op.n, had.number, SEGMENT_PAGES - 1)
        if said[0] != 8:
            raise _Differs(Differs.ANSWER, Cell(op.actor), SEGMENTS, seen=said[0], expected=8)
        if op.do is Do.SHM_READ:
            self._model.write(cell, _SHM_WORD, _VALUES + self._counter)
        elif said[1] != signed(self._model.word_at(cell, _SHM_WORD) or 0, 64):
            raise _Differs(Differs.SEEN, cell, expected=self._model.word_at(cell, _SHM_WORD), seen=said[1])

    # What there is

    def _family(self, everyone: list[Proc]) -> list[Proc]:
        """Whoever is of the player's, but for the first: its children, and who has its program's name."""
        first, names = self._player.conductor, self._player.names
        return [one for one in everyone if one.address != first.address and (one.parent == first.address or one.name in names)]

    def _await_family(self) -> dict[int, Proc]:
        """The living processes by number, once all are as the model has them and stand still."""
        model = self._model
        wanted = {self._pids[number]: one for number, one in model.processes.items()}
        crowds = {self._pids[number]: one.crowd for number, one in model.processes.items() if one.crowd}
        if model.forsaken:
            crowds[self._pids[INIT]] = model.forsaken
        there: dict[int, Proc] = {}
        by_address: dict[int, Proc] = {}
        extra: list[Proc] = []
        try:
            for n, _ in enumerate(self._player.while_it_works(what="the family to stand still")):
                everyone = self._player.view.processes()
                by_address = {one.address: one for one in everyone}
                there = {one.pid: one for one in everyone}
                extra = [one for one in self._family(everyone) if one.pid not in wanted]
                if self._stands(wanted, there, by_address, crowds, extra):
                    break
                if n > 2:
                    self._player.ping()
        except NoAnswer:
            raise self._odd(wanted, there, by_address, extra) from None
        return {number: there[self._pids[number]] for number, one in model.processes.items() if not one.is_zombie}

    def _stands(self, wanted: dict, there: dict[int, Proc], by_address: dict[int, Proc], crowds: dict[int, int],
                extra: list[Proc]) -> bool:
        found: dict[int, int] = {}
        pids = {one.pid for one in extra}
        for one in extra:
            first = by_address.get(one.parent)
            for _ in extra:             # up a chain, if it is one
                if first and first.pid in pids:
                    first = by_address.get(first.parent)
            if first is None or first.pid not in crowds or one.state != "SLEEPING":
                return False
            found[first.pid] = found.get(first.pid, 0) + 1
        if found != crowds:
            return False
        for pid, process in wanted.items():
            if pid not in there or process.number and there[pid].state != ("ZOMBIE" if process.is_zombie else "SLEEPING"):
                return False
            parent = by_address.get(there[pid].parent)
            if process.number and (parent is None or parent.pid != self._pids[process.parent]):
                return False
        return True

    def _odd(self, wanted: dict, there: dict[int, Proc], by_address: dict[int, Proc], extra: list[Proc]) -> _Differs:
        """Who is not as the model has it."""
        for pid, process in sorted(wanted.items()):
            one = there.get(pid)
            cell = Cell(process.number, "")
            if one is None or one.state == "ZOMBIE" and not process.is_zombie:
                return _Differs(Differs.DIED, cell)
            if process.is_zombie and one.state != "ZOMBIE":
                return _Differs(Differs.LIVES, cell)
            parent = by_address.get(one.parent)
            if process.number and (parent is None or parent.pid != self._pids[process.parent]):
                return _Differs(Differs.PARENT, cell, seen=parent.pid if parent else 0)
            if process.number and one.state not in ("SLEEPING", "ZOMBIE"):
                return _Differs(Differs.HANGS, cell)
        for one in extra:
            left, parent = self._model.forsaken_by, by_address.get(one.parent)
            if left and (parent is None or parent.pid != self._pids[INIT]):
                return _Differs(Differs.PARENT, Cell(left.number, ""), pid=one.pid, seen=parent.pid if parent else 0)
        return _Differs(Differs.LIVES, None, seen=extra[0].pid if extra else 0)

    # Comparing

    def _compare(self) -> None:
        there = self._await_family()
        frames = self._compare_tables(there)
        self._compare_crowds(there, frames)
        self._compare_counts()
        self._compare_contents(frames)
        self._touch(frames)
        self._compare_contents(frames)

    def _compare_tables(self, there: dict[int, Proc]) -> dict[Cell, int]:
        """Where each page is: mapped, with the right to read and to write, and one frame where it is one page."""
        model = self._model
        frames: dict[Cell, int] = {}
        for number, process in sorted(there.items(), reverse=True):     # first what has come last
            for cell in model.cells(number):
                leaf = self._ram.leaf(process.root, self._place(cell)) or self._touched(cell, process)
                if leaf is None:
                    continue
                if leaf[1] & _FLAGS != _EXACTLY & (-1 if model.may_write(cell) else ~sv39.W):
                    raise _Differs(Differs.FLAGS, cell, seen=leaf[1] & 0xff)
                frames[cell] = leaf[0] & -PAGE
        self._compare_detached(there)
        for cells in list(model.pages().values()):
            mine = [one for one in cells if one in frames]
            for one in mine[1:]:
                if frames[one] != frames[mine[0]]:
                    accused = self._accused(mine[0], one)
                    other = mine[0] if accused == one else one
                    self._differs(_Differs(Differs.NOT_SHARED, accused, other=other, seen=frames[accused], expected=frames[other]))
        for number in there:
            fry = frames.get(Cell(number, "FRY"))
            if fry is not None and self._frames.setdefault(number, fry) != fry:
                was, self._frames[number] = self._frames[number], fry
                self._differs(_Differs(Differs.MOVED, Cell(number, "FRY"), seen=fry, expected=was))
        owners: dict[int, Cell] = {}
        of_page = {cell: page for page, cells in model.pages().items() for cell in cells}
        for cell, frame in frames.items():
            other = owners.setdefault(frame, cell)
            if of_page[other] != of_page[cell]:
                accused = self._accused(other, cell)
                its = other if accused == cell else cell
                of_orphan = its.page == "SHRIMP" and self._model.beyond(its) == "orphan"    # of the handout it may be nobody's
                raise _Differs(Differs.SHARED, accused, "orphan" if of_orphan else None, other=its, seen=frame)
        if Cell(0, "SHRIMP") in frames:
            self._compare_with_parent(there[0], frames[Cell(0, "SHRIMP")])
        return frames

    def _place(self, cell: Cell) -> int:
        """Its virtual address."""
        return self._places[cell.page] if cell.segment is None else self._attached[cell.attachment] + cell.nth * PAGE

    def _compare_detached(self, there: dict[int, Proc]) -> None:
        """What the last operation has detached is not mapped any more, but by another attachment."""
        detached, self._detached = self._detached, []
        for cell in detached:
            place = self._place(cell)
            leaf = self._ram.leaf(there[cell.process].root, place)
            if leaf and place not in map(self._place, self._model.cells(cell.process)):
                raise _Differs(Differs.MAPPED, cell, SEGMENTS, seen=leaf[0] & -PAGE)

    def _compare_counts(self) -> None:
        """What the kernel counts of the attachments of each segment; of a count that may be of something else there is no
        opinion. A segment that was removed has no key: it is known by its struct."""
        model = self._model
        if not model.segments:
            return
        by_key = {_SHM_KEY + number: number for number in model.segments}
        there = {one.address: one for one in self._player.view.segments() if one.counted and "att" in one.counted}
        self._structs.update((by_key[one.key], at) for at, one in there.items() if one.key in by_key)
        for number in model.segments:
            one = there.get(self._structs.get(number, 0))
            if one is not None and one.n_attached != (expected := model.n_attached(number)):
                raise _Differs(Differs.MISCOUNTED, Cell(self._done[-1].actor, segment=number), SEGMENTS, seen=one.n_attached,
                               expected=expected)

    def _touched(self, cell: Cell, process: Proc) -> tuple[int, int] | None:
        """The entry of a page that is not mapped, once a system call has looked for it, which ends nobody: a kernel may map it only
        then, and of that the handout says nothing."""
        place = self._place(cell)
        self._player.tell(self._slots[cell.process], _LETTERS[Do.WRITE], place, 0, 8,
                          alive=lambda: self._still_there(Op(cell.process, Do.WRITE)))
        leaf = self._ram.leaf(process.root, place)
        if leaf is None or cell.segment is None:
            self._differs(_Differs(Differs.MISSING, cell, AT_ONCE if leaf else None))
        return leaf

    def _compare_with_parent(self, process: Proc, frame: int) -> None:
        """The first process's parent is the shell, which is not played."""
        parent = next((one for one in self._player.view.processes() if one.address == process.parent), None)
        wanted = self._ram.leaf(parent.root, self._places["FRY"]) if parent else None
        if wanted and wanted[0] & -PAGE != frame:
            raise _Differs(Differs.NOT_SHARED, Cell(0, "SHRIMP"), seen=frame, expected=wanted[0] & -PAGE)

    def _accused(self, one: Cell, other: Cell) -> Cell:
        """Of two that should be as they are not, the one that has just come, or that the model is less sure of, or the younger."""
        last = self._done[-1] if self._done else None
        for cell in (other, one):
            if last and last.do in FORKS and cell.process == last.n:
                return cell
        for cell in (other, one):
            if self._model.beyond(cell):
                return cell
        return max(one, other, key=_by_number)

    def _compare_crowds(self, there: dict[int, Proc], frames: dict[Cell, int]) -> None:
        crowds = {there[number].address: number for number in there if self._model.processes[number].crowd}
        taken = set(frames.values())
        if self._model.forsaken and not self._handout:
            taken.add(self._compare_forsaken(frames))
        elif not crowds and not self._model.forsaken:
            return
        everyone = {one.address: one for one in self._player.view.processes()}
        for one in self._family(list(everyone.values())):
            if one.pid not in self._pids.values():
                self._compare_one_of_many(one, everyone, crowds, taken)

    def _compare_one_of_many(self, one: Proc, everyone: dict[int, Proc], crowds: dict[int, int], taken: set[int]) -> None:
        fry, shrimp = (self._ram.leaf(one.root, self._places[page]) for page in ORDER)
        number, wanted, beyond = self._page_of_many(one, everyone, crowds)
        at_touch = any(one.beyond == AT_ONCE for one in self.noted)     # nobody tells these to touch theirs
        if at_touch and (fry is None or shrimp is None) or not wanted and not beyond:
            return
        cell = Cell(number, "FRY")
        if wanted and (shrimp is None or shrimp[0] & -PAGE != wanted):
            raise _Differs(Differs.CROWD, cell, beyond, pid=one.pid, seen=shrimp[0] & -PAGE if shrimp else 0, expected=wanted)
        if fry is None or fry[0] & -PAGE in taken:
            raise _Differs(Differs.CROWD, cell, pid=one.pid, seen=fry[0] & -PAGE if fry else 0)
        for page, leaf in zip(ORDER, (fry, shrimp)):
            if leaf and leaf[1] & _FLAGS != _EXACTLY:
                raise _Differs(Differs.FLAGS, Cell(number, page), pid=one.pid, seen=leaf[1] & 0xff)
        taken.add(fry[0] & -PAGE)
        self._compare_untouched(cell, one.pid, fry[0] & -PAGE)

    def _compare_forsaken(self, frames: dict[Cell, int]) -> int:
        """The frame of the page whose owner has gone and that a crowd still has: nobody's FRY, and with all that was in it."""
        left = self._model.forsaken_by
        assert left is not None, "somebody has left them"
        cell, frame = Cell(left.number, "FRY"), self._frames[left.number]
        if other := next((one for one, its in frames.items() if its == frame and one.page == "FRY"), None):
            raise _Differs(Differs.SHARED, other, "orphan", other=cell, seen=frame)
        found = array.array("Q", self._ram.read(frame, PAGE))
        for at, word in enumerate(found if left.fry.known else ()):
            if word != left.fry.words.get(at, 0):
                raise _Differs(Differs.CONTENT, cell, "orphan", index=at, seen=word, expected=left.fry.words.get(at, 0), written=True)
        return frame

    def _page_of_many(self, one: Proc, everyone: dict[int, Proc], crowds: dict[int, int]) -> tuple[int, int, str | None]:
        """Of one of a crowd, of a chain or of the orphans that a crowd has become: (the number of the process that forked it, or its
        elders; the frame that SHRIMP is to be in, 0 where there is no opinion; why that goes beyond the handout)."""
        parent = everyone[one.parent]
        left = self._model.forsaken_by
        if left and parent.pid == self._pids[INIT]:
            return left.number, 0 if self._handout else self._frames.get(left.number, 0), "orphan"
        wanted = self._ram.leaf(parent.root, self._places["FRY"])
        while one.parent not in crowds:
            one = everyone[one.parent]
        return crowds[one.parent], wanted[0] & -PAGE if wanted else 0, None

    def _compare_untouched(self, cell: Cell, pid: int, frame: int) -> None:
        """Nobody has written to the page of one that only stands still."""
        found = self._ram.read(frame, PAGE)
        if found != bytes(PAGE):
            words = array.array("Q", found)
            at = next(at for at, word in enumerate(words) if word)
            self._differs(_Differs(Differs.CROWD, cell, "zeroed", pid=pid, index=at, seen=words[at], expected=0))

    def _compare_contents(self, frames: dict[Cell, int]) -> None:
        """The whole of each page, as far as the model knows it."""
        for cells in self._model.pages().values():
            cell = next((one for one in cells if one in frames), None)
            page = None if cell is None else self._model.page(cell)
            if cell is None or page is None:
                continue
            found = array.array("Q", self._ram.read(frames[cell], PAGE))
            expected = array.array("Q", bytes(PAGE) if page.known else found)
            for at, word in page.words.items():
                expected[at] = word
            if found != expected:
                self._different_word(cells, page, found, expected)

    def _different_word(self, cells: list[Cell], page: Page, found: array.array[int], expected: array.array[int]) -> None:
        """Raises _Differs for the first that does; where only the handout counts, the model takes a new page as it is."""
        wrong = [at for at in range(PAGE // 8) if found[at] != expected[at]]
        at = next((one for one in wrong if one in page.words), wrong[0])
        told = min(cells, key=lambda one: (self._model.beyond(one) or "", _by_number(one)))
        error = _Differs(Differs.CONTENT, told, index=at, seen=found[at], expected=expected[at], written=at in page.words)
        if not (self._handout and self._beyond(error)):
            raise error
        self._note(error)
        page.known = False
        if at in page.words:
            page.words.clear()

    def _touch(self, frames: dict[Cell, int]) -> None:
        """The host fills each frame, and writes a word into it; each process loads it from each of its pages, and stores one of its own."""
        at = self._dice.choice((1, 0, PAGE // 8 - 1, *[self._dice.randrange(_NONCES, PAGE // 8)] * 3))  # most often what kernels use
        for cells in self._model.pages().values():
            cell = next((one for one in cells if one in frames), None)
            if cell is not None and not self._player.typed:
                self._fill(cell, frames[cell])
                value = self._dice.getrandbits(63)
                self._ram.set_word(frames[cell] + 8 * at, value)
                self._model.write(cell, at, value)
        touched = [one for number in self._slots if number != 1 and self._model.is_alive(number)
                   for one in self._touches(number, frames, at)]
        said = self._player.tell_all([one.letter for one in touched], alive=lambda: [
            self._still_there(Op(number, Do.LOAD)) for number in dict.fromkeys(one.cells[0].process for one in touched)])
        for one, seen in zip(touched, said):
            self._stamped(one, at, seen)

    def _touches(self, number: int, frames: dict[Cell, int], at: int) -> list[_Touch]:
        """What a process is told to load and to store: from its two pages, and from each segment that it has attached."""
        model, slot = self._model, self._slots[number]
        place, stamp = self._stamp_of(number), self._new_stamp(2)
        cells = [one for one in model.cells(number) if one.segment is None]
        if any(one not in frames for one in cells):
            return []
        letter = Letter(slot, "u", at if len(cells) > 1 else ~at, place, stamp)
        touches = [_Touch(letter, cells, [(place, stamp), (place + 1, stamp + 1)])]
        for had in model.processes[number].attached:
            base, stamp = self._attached[had.number], self._new_stamp(SEGMENT_PAGES)
            cells = [one for one in model.cells(number) if one.segment is not None and one.attachment == had.number]
            letter = Letter(slot, "U", base + 8 * at, had.writable and base + 8 * place, stamp)
            touches.append(_Touch(letter, cells, [(place, stamp + n) for n in range(SEGMENT_PAGES)] if had.writable else []))
        return touches

    def _new_stamp(self, n: int) -> int:
        self._counter += n
        return 0x57a3000000000000 + self._counter

    def _fill(self, cell: Cell, frame: int) -> None:
        """Whatever becomes of a word of a page shows, once each has something in it. It has been seen to be zero."""
        page = self._model.page(cell)
        if page is None or page.words or not page.known:
            return
        words = array.array("Q", (self._dice.getrandbits(8 * PAGE) & _POSITIVE).to_bytes(PAGE, "little"))
        page.words.update(enumerate(words))
        self._ram.set_words(frame, words)

    def _stamp_of(self, number: int) -> int:
        """The first of the words that a process stamps, of each page."""
        return _STAMPS + 4 * (number % 56)

    def _stamped(self, touch: _Touch, at: int, seen: player.Said) -> None:
        """What a process has loaded from word `at` of each page; then it has stored its own."""
        for n, cell in enumerate(touch.cells):
            expected = self._model.word_at(cell, at)
            if expected is not None and seen[n] != signed(expected, 64):
                raise _Differs(Differs.SEEN, cell, expected=expected, seen=seen[n])
            if touch.stamps:
                self._model.write(cell, *touch.stamps[n])

    def _differs(self, error: _Differs) -> None:
        """Raises it; where only the handout counts and it goes beyond that, notes it, and the model follows the kernel."""
        beyond = self._beyond(error)
        if not (self._handout and beyond and error.cell):
            raise error
        cell = error.cell
        self._note(error)
        if error.what is Differs.MISSING and cell.page == "SHRIMP" and beyond != AT_ONCE:
            self._model.processes[cell.process].shrimp = None
        elif error.what in (Differs.NOT_SHARED, Differs.MOVED):
            self._model.adopt(cell)

    def _note(self, error: _Differs) -> None:
        """Notes what goes beyond the handout, once of each kind."""
        new = self._divergence(error)
        if not any((one.what, one.beyond) == (new.what, new.beyond) for one in self.noted):
            self.noted.append(new)

    # What a hart uses

    def check_harts(self) -> Divergence | None:
        """Whether a hart, at the very instruction of a process that loads from one of its pages in user mode, walks the tables
        that the process's struct proc names, and loads from the frame that they give; of a parent and a child, both pages."""
        self._done = []
        try:
            for op in (START, Op(FIRST, Do.FORK, FIRST + 1)):
                self._do(op)
                there = self._await_family()
            for cell, frame in self._compare_tables(there).items():
                if cell.process >= FIRST:
                    self._check_hart(cell, frame, there[cell.process].root)
            self._end()
        except (_Differs, NoAnswer, Panicked) as error:
            return self._divergence(error)
        return None

    def _check_hart(self, cell: Cell, frame: int, root: int) -> None:
        at = self._dice.randrange(_NONCES, PAGE // 8)
        before, after = self._dice.getrandbits(63), self._dice.getrandbits(63)
        self._ram.set_word(frame + 8 * at, before)
        self._player.tell(self._slots[cell.process], "h", self._places[cell.page] + 8 * at, before, waits=False)
        roots = {self._player.conductor.root, root}
        for _ in self._player.while_it_works(what="a hart to load from the page in user mode"):
            found = {satp for pc, satp in self._player.harts() if self._player.runs_program(pc)}
            if found - roots:
                raise _Differs(Differs.SATP, cell, seen=(found - roots).pop(), expected=root)
            if root in found:
                break
        self._ram.set_word(frame + 8 * at, after)
        self._model.write(cell, at, after)
        seen, *_ = self._player.tell(NOBODY, "h")
        if seen != signed(after, 64):
            raise _Differs(Differs.SEEN, cell, expected=after, seen=seen)

    # What it looks like

    def pids(self) -> dict[int, int]:
        """By number, of who is there or waits to be buried."""
        return dict(self._pids)

    def picture(self, stays: bool = False) -> Snapshot:
        """The machine as it is now. stays: it stands still afterwards."""
        with self.machine.qmp() as monitor:
            monitor.execute("stop")
            try:
                return take(self._again, self._known.info, fry=self._known.fry, shrimp=self._known.shrimp, fry_from="parameter")
            finally:
                if not stays:
                    monitor.execute("cont")

    # Frames

    def n_free(self) -> int | None:
        """How many frames the kernel's free lists have; None where they cannot be followed."""
        view, info = self._player.view, self._known.info
        end = min(info.macros.get("PHYSTOP", self._ram.ram[1]), self._ram.ram[1])
        with self.machine.held():
            walk = view.free_frames(self._ram.ram[0], end)
        return sum(n for _, n in walk.counts) if walk.complete else None

    def play_all(self, sequences: Iterable[Sequence]) -> Played:
        """Plays them until something differs. Frames are counted now and then: who loses them each time is found."""
        n = 0
        group: list[Sequence] = []
        free, found = self.n_free(), None
        hungry: list[Sequence] = []     # last: a machine on which that could not be played is of no more use
        for ops in sequences:
            if any(op.do in _HUNGRY for op in ops):
                hungry.append(ops)
                continue
            n += 1
            group.append(ops)
            found = self.play(ops)
            if found is None and len(group) == _GROUP:
                (found, free), group = self._leak(group, free), []
            if found is not None:
                break
        found = found or self._leak(group, free)[0] or self.check_harts()
        free = self.n_free() if hungry and found is None else None
        left_out = 0
        for at, ops in enumerate(hungry if found is None else ()):
            try:
                found = self.play(ops)
                if found is None:
                    found, free = self._leak([ops], free)
            except Unable:
                left_out = len(hungry) - at
            if found or left_out:
                break
        return Played(n + len(hungry) - left_out, self.n_ops, found, tuple(self.noted), left_out)

    def _leak(self, group: list[Sequence], before: int | None) -> tuple[Divergence | None, int | None]:
        """(the first of a group that loses frames each time, if frames have become fewer; how many are free now)."""
        now = self.n_free()
        if before is None or now is None or now >= before:
            return None, now
        return next((found for ops in group if (found := self.leaks(ops))), None), self.n_free()

    def leaks(self, ops: Sequence) -> Divergence | None:
        """Whether each time that a sequence is played, frames are lost: so three times running."""
        lost, before = [], self.n_free()
        for _ in range(_REPETITIONS):
            if found := self.play(ops):
                return found
            now = self.n_free()
            if before is None or now is None or now >= before:
                return None
            lost.append(before - now)
            before = now
        return Divergence(Differs.LEAK, ops, seen=min(lost))


T = TypeVar("T")


class Equipped(NamedTuple):
    """A kernel with the player on its disk."""

    kernel: Kernel
    program: player.Program


@contextmanager
def equipped(kernel: Kernel, known: player.Facts) -> Iterator[Equipped]:
    """Its disk is gone afterwards. Raises Trouble where the player cannot be built or put on the disk."""
    with tempfile.TemporaryDirectory(prefix="shrimpy-") as folder:
        program = player.build(kernel, known, Path(folder))
        with program.named():
            yield Equipped(player.equip(kernel, program, Path(folder)), program)


def perform(at: Equipped, known: player.Facts, sequences: Iterable[Sequence], cpus: int = 1, *, handout: bool = False,
            seed: str = "", most_tries: int = 30, within: Path | None = None,
            look: Callable[[Machine, Callable[[str], str], Played], T] = lambda *_: None) -> tuple[Played, T, str]:    # type: ignore
    """(what came of playing sequences against a kernel, what `look` said of the machine at the end, its console). look: is also
    given what takes the program's name of this run out of what people read, and what came of it, not yet cut short.

    They are played on one machine until something differs; that is cut short on machines of their own, most_tries of them.
    handout: only what the handout promises counts. Raises what Machine raises where it does not boot. within: see Machine.
    """
    program = at.program
    if handout or not program.shares:
        sequences = (ops for ops in sequences if not any(op.do in SHM for op in ops))
    with Boots(at.kernel, cpus, within=within) as boots:
        theatre = _Theatre(boots, program, known, handout, seed)
        with theatre.stage() as stage:
            found = stage.play_all(sequences)
            looked, console = look(stage.machine, program.unmasked, found), stage.machine.console
        if found.divergence is not None:
            found = replace(found, divergence=theatre.shortened(found.divergence, most_tries))
    return found, looked, program.unmasked(console)


def again(kernel: Kernel, known: player.Facts, ops: Sequence, seen: Callable[[Stage, Op | None], object], *,
          handout: bool = False) -> Divergence | None:
    """What differs when one sequence is played on a machine of its own. seen: is called before it, with None; after each
    operation, the one that something differs after as well; and, where nothing does, with None once all have exited."""
    with equipped(kernel, known) as at, Boots(at.kernel, 1) as boots, _Theatre(boots, at.program, known, handout, "").stage() as stage:
        seen(stage, None)
        found = stage.play(ops, lambda op: seen(stage, op))
        seen(stage, found.ops[-1] if found else None)
    return found


class _Theatre:
    """Machines with the player, one after the other."""

    def __init__(self, boots: Boots, program: player.Program, known: player.Facts, handout: bool, seed: str) -> None:
        self._boots, self._program, self._known, self._handout, self._seed = boots, program, known, handout, seed

    @contextmanager
    def stage(self) -> Iterator[Stage]:
        with self._boots.new() as machine:
            machine.boot()
            self._boots.keep(machine)
            play = Player(machine, self._program, self._known)
            try:
                yield Stage(play, self._known, handout=self._handout, seed=self._seed)
            finally:
                play.close()

    def shortened(self, found: Divergence, most_tries: int) -> Divergence:
        """The same with the fewest operations that still show it, so far as so many machines tell."""
        if found.what in _SLOW:
            most_tries //= 4
        tried: set[Sequence] = {found.ops}
        todo = deque(shorter(found.ops))
        while todo and most_tries > 0:
            ops = todo.popleft()
            if ops in tried:
                continue
            tried.add(ops)
            most_tries -= 1
            again = self._once(ops, found.what)
            if again is not None and again.what is found.what and again.beyond == found.beyond:
                found, todo = again, deque(shorter(again.ops))
        return found

    def _once(self, ops: Sequence, what: Differs) -> Divergence | None:
        with self.stage() as stage:
            try:
                return stage.leaks(ops) if what is Differs.LEAK else stage.play(ops)
            except Unable:
                return None


def _by_number(cell: Cell) -> tuple[int, str]:
    return (cell.process, cell.page)

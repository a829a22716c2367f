"""The operations of the specification: each is done by the kernel and by the model, and what the kernel has answered is compared."""

from __future__ import annotations

import array

from shrimpy.memory import sv39
from shrimpy.memory.readers import PAGE
from shrimpy.memory.riscv import signed
from shrimpy.spec import FORKS, KILLS, ORDER, SEGMENT_PAGES, SEGMENTS, SHM, STATUS, Cell, Differs, Do, Op

from ..machines.machine import Silent
from ..patience import point_s
from .comparing import Comparison
from .family import ENDS, SEGMENT_KEY, Differing, Family, Unable
from .player import HELPER, NOBODY, NoAnswer

_PATH = 240                 # where an exec may have its path
_ARGUMENT = range(_PATH + 2, _PATH + 5)     # and its argument
_ACROSS, _BEFORE = 3, 4     # exec's n where it has them across the two pages, and how many bytes of them are in the lower
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
HUNGRY = frozenset((Do.FORK_HUNGRY, Do.EXEC_HUNGRY))
_PLENTY = 50                # frames for a process
_MOST_FRAMES = 500          # that fork or exec may need
_IN_VAIN = 8                # tries, after which as few frames are free as before: it will never work
_TAKES_S = 20.0             # until all memory is taken
_NOWHERE = 0x2000000000     # half-way to MAXVA: no program of ours reaches so far
_VALUES = 0x5ca1ab1e00000000

# Segments: names and numbers of sysvipc(7), shmget(2) and shmat(2), which the kernel's system calls are to follow.
_IPC_CREAT, _IPC_EXCL, _SHM_RDONLY, _MODE = 0o1000, 0o2000, 0o10000, 0o600
_SHM_SIZE = (SEGMENT_PAGES - 1) * PAGE + 8  # bytes: of the last page only so many are asked for
_SHM_WORD = 5                       # of its last page, that system calls read and write


class Operations:
    """What a family is told to do."""

    def __init__(self, family: Family, comparison: Comparison) -> None:
        self._family, self._comparison = family, comparison
        self._player, self._ram, self._places, self._model = family.player, family.ram, family.places, family.model
        self._pids, self._slots, self._frames = family.pids, family.slots, family.frames
        self._ids, self._attached = family.ids, family.attached
        self._order = sorted(self._places, key=self._places.__getitem__)    # the lower page first
        self._written = self._player.written    # to the file
        self._printed = ""          # on the console
        self._kills = True          # until it is known that this kernel cannot

    def do(self, op: Op) -> None:
        """Has it done, by the kernel and by the model, and compares the answer."""
        play = self._player
        self._family.done.append(op)
        slot = self._slots[op.actor]
        a, b, c = self._arguments(op)
        waits = op.do not in ENDS
        if op.do in (Do.KILL_WAITING, Do.KILL_SLEEPING, Do.KILL_RUNNING):
            self._occupy(op)
        if op.do in _OF_CONSOLE:
            self._at_console(op)
        if op.do in HUNGRY:
            self._answered(op, self._until_it_works(op, slot, a))
            return
        if op.do is Do.EXIT_AWAITED:
            self._answered_parent(op, slot)
            return
        letter = _FAULTS[op.n] if op.do is Do.FAULT else _LETTERS[op.do]
        said = play.tell(slot, letter, a, b, c, waits=waits, alive=lambda: self._family.still_there(op))
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
        pid, status, _ = self._player.tell(NOBODY, "w", alive=lambda: self._family.still_there(Op(parent, Do.WAIT)))
        if pid != self._pids[op.actor]:
            raise Differing(Differs.ANSWER, Cell(parent), seen=pid, expected=self._pids[op.actor])
        if status != (op.n or STATUS):
            raise Differing(Differs.STATUS, Cell(parent), seen=status, expected=op.n or STATUS)
        self._model.do(op)

    def _at_console(self, op: Op) -> None:
        """A line is typed, or is in the word that is to be printed."""
        if op.do is Do.READ_CONSOLE:
            self._player.machine.type(_LINE.decode())
            return
        self._family.counter += 1
        self._printed = f"@{self._family.counter:06x}\n"
        [(cell, at)], word = self._cells(op), int.from_bytes(self._printed.encode(), "little")
        root = next(one.root for one in self._player.view.processes() if one.pid == self._pids[op.actor])
        if leaf := self._ram.leaf(root, self._family.place(cell)):
            self._ram.set_word((leaf[0] & -PAGE) + 8 * at, word)
            self._model.write(cell, at, word)

    def _until_it_works(self, op: Op, slot: int, a: int) -> tuple[int, int, int]:
        """The helper takes all memory, and gives it back frame by frame: each time that it does not work, nothing has changed. Once
        what is given back is lost each time, there is no more to be seen."""
        play = self._player
        most_free, in_vain = -1, 0
        try:
            play.tell(HELPER, "t", limit_s=_TAKES_S, alive=lambda: self._family.still_there(Op(1, op.do)))
            for _ in range(_MOST_FRAMES):
                said = play.tell(slot, _LETTERS[op.do], a, alive=lambda: self._family.still_there(op))
                if said[0] >= 0:
                    break
                self._comparison.compare_tables(self._family.await_all())
                free = self._family.n_free()
                in_vain = in_vain + 1 if free is not None and free <= most_free else 0
                if in_vain == _IN_VAIN:
                    break
                most_free = max(most_free, free or 0)
                play.tell(HELPER, "g")
            play.tell(HELPER, "G", limit_s=_TAKES_S)
        except (Differing, NoAnswer) as error:
            if isinstance(error, NoAnswer) or error.what in (Differs.DIED, Differs.HANGS):
                raise Unable from error
            raise
        return said

    def _room(self) -> int:
        """For how many more processes there are slots, and memory in plenty; 0 where that is not known."""
        slots = self._player.view.n_slots() - len(self._model.processes) - self._model.forsaken - 2     # init and the shell
        return max(0, min(slots, (self._family.n_free() or 0) // _PLENTY))

    def _arguments(self, op: Op) -> tuple[int, int, int]:
        if op.do in FORKS:
            return self._family.free_slot(), STATUS, 0
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
            self._family.counter += 2
            place = self._places[op.page] + 8 * op.n if op.page else self._places[self._order[1]] + (PAGE if op.do in _OVER else 0) - 8
            return place, _VALUES + self._family.counter, 8 if op.page else 16
        if op.do in (Do.CHURN, Do.BARE):
            return op.n, 8 * self._family.stamps_of(op.actor), 0
        if op.do is Do.DISPERSE:
            return self._model.processes[op.actor].crowd, 0, 0
        return self._shared_arguments(op) if op.do in SHM else (op.n, 0, 0)

    def _shared_arguments(self, op: Op) -> tuple[int, int, int]:
        if op.do in (Do.SHM_GET, Do.SHM_FIND):
            made = (_SHM_SIZE, _IPC_CREAT | _IPC_EXCL | _MODE)
            return (SEGMENT_KEY + op.n, *(made if op.do is Do.SHM_GET else (0, 0)))
        if op.do in (Do.SHM_ATTACH, Do.SHM_ATTACH_READ):
            return self._ids[op.n], 0, op.do is Do.SHM_ATTACH_READ and _SHM_RDONLY
        if op.do is Do.SHM_REMOVE:
            return self._ids[op.n], 0, 0
        self._family.counter += 2
        at = self._attached[self._family.attachment(op).number]
        if op.do in (Do.SHM_DETACH, Do.SHM_DETACH_INSIDE):
            return at + (op.do is Do.SHM_DETACH_INSIDE) * PAGE, 0, 0
        return at + (SEGMENT_PAGES - 1) * PAGE + 8 * _SHM_WORD, _VALUES + self._family.counter, 8

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

    def has_place(self, op: Op) -> bool:
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
            self._family.detached = [one for one in model.cells(op.actor) if one.segment is not None]
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
            raise Differing(Differs.ANSWER, Cell(op.actor), seen=pid)
        slot = self._family.free_slot()
        self._model.do(op)
        self._frames.pop(op.n, None)
        self._pids[op.n], self._slots[op.n] = pid, slot

    def _waited(self, op: Op, pid: int, status: int) -> None:
        mine = self._model.do(op)
        buried = next((one for one in mine if self._pids[one] == pid), None)
        if buried is None and (mine and op.do is Do.WAIT or pid != -1):
            raise Differing(Differs.ANSWER, Cell(op.actor), seen=pid)
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
                raise Differing(Differs.ANSWER, Cell(op.actor), seen=n, expected=room)
            model.crowded(op.actor, n)
        else:
            self._expect(op, n, model.forsaken if op.do is Do.GATHER else model.processes[op.actor].crowd)
            model.do(op)

    def _expect(self, op: Op, seen: int, expected: int) -> None:
        if seen != expected:
            raise Differing(Differs.ANSWER, Cell(op.actor), seen=seen, expected=expected)

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
                model.write(cell, at, _VALUES + self._family.counter + n)
                continue
            seen, expected = said[n if op.do is Do.LOAD else n + 1], model.word_at(cell, at)
            if expected is not None and seen != signed(expected, 64):
                raise Differing(Differs.SEEN, cell, expected=expected, seen=seen)

    def _passed_over(self, op: Op, said: tuple[int, int, int]) -> None:
        """A system call has failed, or has got as far as the end of the page."""
        [(cell, at)] = self._cells(op)
        if not -1 <= said[0] <= 8:
            raise Differing(Differs.ANSWER, Cell(op.actor), seen=said[0], expected=-1)
        if op.do is Do.READ_OVER:
            if (new := _VALUES + self._family.counter) == self._family.words(cell)[at]:
                self._model.write(cell, at, new)
        elif said[0] == 8 and (expected := self._model.word_at(cell, at)) is not None and said[1] != signed(expected, 64):
            raise Differing(Differs.SEEN, cell, expected=expected, seen=said[1])

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
            self._player.machine.wait_until(lambda text: self._printed in text, point_s(), "what was written to the console")
        except Silent:
            raise Differing(Differs.ANSWER, Cell(op.actor), seen=0, expected=len(_LINE)) from None

    def _passed_file(self, op: Op, said: tuple[int, int, int]) -> None:
        """A page, or both, was read from the file, or written to it."""
        cells = [cell for cell, _ in self._cells(op)]
        self._expect(op, said[0], PAGE * len(cells))
        if op.do is Do.WRITE_FILE:
            self._expect(op, said[1], PAGE * len(cells))
            self._written = b"".join(self._family.words(cell).tobytes() for cell in cells) + self._written[PAGE * len(cells):]
            return
        for n, cell in enumerate(cells):
            for at, word in enumerate(array.array("Q", self._written[n * PAGE:(n + 1) * PAGE])):
                self._model.write(cell, at, word)

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
        found = self._family.words(cell)
        for at in which:
            self._model.write(cell, at, found[at])

    def _told_status(self, op: Op, seen: int, expected: int | None) -> None:
        """What wait has said of how a child has ended; where that went to a page, it stands there from now on."""
        if op.do is Do.WAIT and expected is not None and seen != expected:
            raise Differing(Differs.STATUS, Cell(op.actor), seen=seen, expected=expected)
        cell = Cell(op.actor, op.page)
        if op.page and (before := self._model.word_at(cell, op.n)) is not None:
            self._model.write(cell, op.n, before >> 32 << 32 | seen & 0xffffffff)

    def _shared(self, op: Op, said: tuple[int, int, int]) -> None:
        """The answer of an operation on a segment. What failed has returned something negative: -1, or why."""
        model, value = self._model, said[0]
        succeeds = model.succeeds(op) or op.do is Do.SHM_GET
        if op.do is not Do.SHM_VIOLATE and (value >= 0) != succeeds:
            raise Differing(Differs.ANSWER, Cell(op.actor), SEGMENTS, seen=value, expected=None if succeeds else -1)
        if op.do is Do.SHM_FIND and succeeds and value != self._ids[op.n]:
            raise Differing(Differs.ANSWER, Cell(op.actor), SEGMENTS, seen=value, expected=self._ids[op.n])
        if op.do in (Do.SHM_READ, Do.SHM_WRITE):
            if succeeds:
                self._passed(op, said)
            return
        if op.do is Do.SHM_DETACH:
            number = self._family.attachment(op).number
            self._family.detached = [one for one in model.cells(op.actor) if one.segment is not None and one.attachment == number]
        model.do(op)
        if op.do is Do.SHM_GET:
            self._ids[op.n] = value
        elif op.do in (Do.SHM_ATTACH, Do.SHM_ATTACH_READ) and succeeds:
            self._attached[model.processes[op.actor].attached[-1].number] = value

    def _passed(self, op: Op, said: tuple[int, int, int]) -> None:
        """A system call has written a word of a segment, or read one."""
        had = self._family.attachment(op)
        cell = Cell(op.actor, "", op.n, had.number, SEGMENT_PAGES - 1)
        if said[0] != 8:
            raise Differing(Differs.ANSWER, Cell(op.actor), SEGMENTS, seen=said[0], expected=8)
        if op.do is Do.SHM_READ:
            self._model.write(cell, _SHM_WORD, _VALUES + self._family.counter)
        elif said[1] != signed(self._model.word_at(cell, _SHM_WORD) or 0, 64):
            raise Differing(Differs.SEEN, cell, expected=self._model.word_at(cell, _SHM_WORD), seen=said[1])

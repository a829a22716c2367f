"""The player's family by the numbers that the model gives them: who is there, what is known of each, and what of all that differs
counts."""

from __future__ import annotations

import array
import random

from shrimpy.kernel import Proc
from shrimpy.memory.readers import PAGE
from shrimpy.spec import AT_ONCE, FORKS, INIT, Attachment, Cell, Differs, Divergence, Do, Model, Op
from shrimpy.spec.sequences import FIRST

from ..machines.machine import Panicked
from . import player
from .player import CONDUCTOR, HELPER, NoAnswer, Player

# Words of a page: 0 to 15 are for operations; each process has two for what it stamps; the host writes to the rest.
_STAMPS, NONCES = 16, 256

SEGMENT_KEY = 0x5ca1ab00    # of segment 0
_TOUCH = "W"                # of player.c: a system call reads a word there
ENDS = frozenset((Do.EXIT, Do.FAULT, Do.KILL_SELF, Do.FORSAKE, Do.SHM_VIOLATE))


class Differing(Exception):
    """Says what differs, to whoever plays."""

    def __init__(self, what: Differs, cell: Cell | None = None, beyond: str | None = None, **found: object) -> None:
        self.what, self.cell, self.beyond, self.found = what, cell, beyond, found


class Unable(Exception):
    """A process ended, or stood still, where all memory was taken. A kernel that gives memory when it is touched, or copies it
    when it is written to, may do so: of that the model has no opinion, and the machine is of no more use."""


class Family:
    """Who plays on a machine. Numbers are the model's: 0 is the first process, 1 its helper, which is not played.

    pids, slots  of who is there, or waits to be buried; what `player` calls each
    frames       by process: the frame of its FRY, since it was made
    ids, structs by segment: its identifier; the physical address of the kernel's struct
    attached     by attachment: its address
    detached     by the last operation
    done         the operations of this sequence so far
    noted        what goes only beyond the handout, where no more counts
    counter      of values that nobody has written yet
    """

    def __init__(self, play: Player, known: player.Facts, handout: bool, seed: str) -> None:
        """Raises NoAnswer where the helper is not there."""
        self.player, self.known, self.ram, self.handout = play, known, play.ram, handout
        self.places = {"FRY": known.fry, "SHRIMP": known.shrimp}
        self.dice = random.Random(seed)
        self.model = Model(handout)
        helper = [one for one in play.view.processes() if one.parent == play.conductor.address]
        if len(helper) != 1:
            raise NoAnswer("the player's helper is not there")
        self.pids = {INIT: 1, 0: play.conductor.pid, 1: helper[0].pid}
        self.slots = {0: CONDUCTOR, 1: HELPER}
        self.frames: dict[int, int] = {}
        self.ids: dict[int, int] = {}
        self.structs: dict[int, int] = {}
        self.attached: dict[int, int] = {}
        self.detached: list[Cell] = []
        self.done: list[Op] = []
        self.noted: list[Divergence] = []
        self.counter = 0
        self._take_as_found(0, 1)

    def forget(self) -> None:
        """All but the first two have gone, and all segments."""
        self.model.made.clear()
        for known in (self.pids, self.slots, self.frames):
            for number in [one for one in known if one >= FIRST]:
                del known[number]
        for of_segments in (self.ids, self.structs, self.attached):
            of_segments.clear()

    def _take_as_found(self, *numbers: int) -> None:
        """What is in FRY of those who were there before anything was played is taken to have been written."""
        there = {one.pid: one for one in self.player.view.processes()}
        for number in numbers:
            leaf = self.ram.leaf(there[self.pids[number]].root, self.places["FRY"])
            for at, word in enumerate(array.array("Q", self.ram.read(leaf[0] & -PAGE, PAGE)) if leaf else ()):
                if word:
                    self.model.write(Cell(number, "FRY"), at, word)

    def free_slot(self) -> int:
        """Raises Unable where there is none."""
        taken = {slot for number, slot in self.slots.items() if self.model.is_alive(number)}
        slot = next((one for one in range(self.player.members) if one not in taken), None)
        if slot is None:
            raise Unable
        return slot

    def n_free(self) -> int | None:
        """How many frames the kernel's free lists have; None where they cannot be followed."""
        view, info = self.player.view, self.known.info
        end = min(info.macros.get("PHYSTOP", self.ram.ram[1]), self.ram.ram[1])
        with self.player.machine.held():
            walk = view.free_frames(self.ram.ram[0], end)
        return sum(n for _, n in walk.counts) if walk.complete else None

    def still_there(self, op: Op) -> None:
        """Raises Differing when whoever was told has ended instead of answering; not of what is to end it."""
        pid = self.pids[op.actor]
        if op.do in ENDS or op.do is Do.FORK_AND_EXIT:
            return      # on another hart it may have ended before who passed it on has said so
        there = [one for one in self.player.view.processes() if one.pid == pid]
        if not there or there[0].state == "ZOMBIE":
            raise Differing(Differs.DIED, Cell(op.actor, op.page))

    def relatives(self, everyone: list[Proc]) -> list[Proc]:
        """Whoever is of the player's, but for the first: its children, and who has its program's name."""
        first, names = self.player.conductor, self.player.names
        return [one for one in everyone if one.address != first.address and (one.parent == first.address or one.name in names)]

    def await_all(self) -> dict[int, Proc]:
        """The living processes by number, once all are as the model has them and stand still."""
        model = self.model
        wanted = {self.pids[number]: one for number, one in model.processes.items()}
        crowds = {self.pids[number]: one.crowd for number, one in model.processes.items() if one.crowd}
        if model.forsaken:
            crowds[self.pids[INIT]] = model.forsaken
        there: dict[int, Proc] = {}
        by_address: dict[int, Proc] = {}
        extra: list[Proc] = []
        try:
            for n, _ in enumerate(self.player.while_it_works(self.player.rest_s, "the family to stand still")):
                everyone = self.player.view.processes()
                by_address = {one.address: one for one in everyone}
                there = {one.pid: one for one in everyone}
                extra = [one for one in self.relatives(everyone) if one.pid not in wanted]
                if self._stands(wanted, there, by_address, crowds, extra):
                    break
                if n > 2:
                    self.player.ping()
        except NoAnswer:
            raise self._odd(wanted, there, by_address, extra) from None
        return {number: there[self.pids[number]] for number, one in model.processes.items() if not one.is_zombie}

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
            if process.number and (parent is None or parent.pid != self.pids[process.parent]):
                return False
        return True

    def _odd(self, wanted: dict, there: dict[int, Proc], by_address: dict[int, Proc], extra: list[Proc]) -> Differing:
        """Who is not as the model has it."""
        for pid, process in sorted(wanted.items()):
            one = there.get(pid)
            cell = Cell(process.number, "")
            if one is None or one.state == "ZOMBIE" and not process.is_zombie:
                return Differing(Differs.DIED, cell)
            if process.is_zombie and one.state != "ZOMBIE":
                return Differing(Differs.LIVES, cell)
            parent = by_address.get(one.parent)
            if process.number and (parent is None or parent.pid != self.pids[process.parent]):
                return Differing(Differs.PARENT, cell, seen=parent.pid if parent else 0)
            if process.number and one.state not in ("SLEEPING", "ZOMBIE"):
                return Differing(Differs.HANGS, cell)
        for one in extra:
            left, parent = self.model.forsaken_by, by_address.get(one.parent)
            if left and (parent is None or parent.pid != self.pids[INIT]):
                return Differing(Differs.PARENT, Cell(left.number, ""), pid=one.pid, seen=parent.pid if parent else 0)
        return Differing(Differs.LIVES, None, seen=extra[0].pid if extra else 0)

    def place(self, cell: Cell) -> int:
        """Its virtual address."""
        return self.places[cell.page] if cell.segment is None else self.attached[cell.attachment] + cell.nth * PAGE

    def words(self, cell: Cell) -> array.array[int]:
        """What memory has there, once it is mapped; nothing but zeros where nothing is."""
        process = next((one for one in self.player.view.processes() if one.pid == self.pids[cell.process]), None)
        leaf = process and (self.ram.leaf(process.root, self.place(cell)) or self.touched(cell, process))
        return array.array("Q", self.ram.read(leaf[0] & -PAGE, PAGE) if leaf else bytes(PAGE))

    def touched(self, cell: Cell, process: Proc) -> tuple[int, int] | None:
        """The entry of a page that is not mapped, once a system call has looked for it, which ends nobody: a kernel may map it only
        then, and of that the handout says nothing."""
        place = self.place(cell)
        self.player.tell(self.slots[cell.process], _TOUCH, place, 0, 8,
                          alive=lambda: self.still_there(Op(cell.process, Do.WRITE)))
        leaf = self.ram.leaf(process.root, place)
        if leaf is None or cell.segment is None:
            self.differs(Differing(Differs.MISSING, cell, AT_ONCE if leaf else None))
        return leaf

    def attachment(self, op: Op) -> Attachment:
        """The one that an operation is about."""
        found = self.model.processes[op.actor].attachment(op.n)
        assert found is not None
        return found

    def stamps_of(self, number: int) -> int:
        """The first of the words that a process stamps, of each page."""
        return _STAMPS + 4 * (number % 56)

    def differs(self, error: Differing) -> None:
        """Raises it; where only the handout counts and it goes beyond that, notes it, and the model follows the kernel."""
        beyond = self._beyond(error)
        if not (self.handout and beyond and error.cell):
            raise error
        cell = error.cell
        self.note(error)
        if error.what is Differs.MISSING and cell.page == "SHRIMP" and beyond != AT_ONCE:
            self.model.processes[cell.process].shrimp = None
        elif error.what in (Differs.NOT_SHARED, Differs.MOVED):
            self.model.adopt(cell)

    def note(self, error: Differing) -> None:
        """Notes what goes beyond the handout, once of each kind."""
        new = self.divergence(error)
        if not any((one.what, one.beyond) == (new.what, new.beyond) for one in self.noted):
            self.noted.append(new)

    def divergence(self, error: Exception) -> Divergence:
        ops = tuple(self.done)
        if isinstance(error, Panicked):
            return Divergence(Differs.PANICKED, ops, text=self.player.unmasked(error.words))
        if not isinstance(error, Differing):
            return Divergence(Differs.HANGS, ops)
        beyond = self._beyond(error)
        return Divergence(error.what, ops, error.cell, beyond, **error.found)   # type: ignore[arg-type]

    def _beyond(self, error: Differing) -> str | None:
        cell = error.cell
        if error.beyond or cell is None or not self.model.is_alive(cell.process):
            return error.beyond
        if error.what is Differs.CROWD or "pid" in error.found:
            return None     # whoever has a crowd does not exec: its children have been forked since
        if error.what is Differs.CONTENT and self._is_new(cell) and not error.found.get("written"):
            return "zeroed"
        return self.model.beyond(cell)

    def _is_new(self, cell: Cell) -> bool:
        """Whether a page has come with the last operation. What is in an older one has been seen to be as it should."""
        last = self.done[-1]
        return cell == Cell(last.n, "FRY") and last.do in FORKS

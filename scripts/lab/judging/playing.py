"""The specification played against a kernel: after each operation what the model says is compared with what user code
read, with what memory holds, and with what the hart used.

A Stage plays one sequence after another on one machine, until something differs. What differs is data: a Divergence.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypeVar

from shrimpy.memory.readers import PAGE
from shrimpy.memory.riscv import signed
from shrimpy.memory.unchanged import UnchangedReader
from shrimpy.snapshot import Snapshot
from shrimpy.snapshot.taking import take
from shrimpy.spec import SHM, Cell, Differs, Divergence, Do, Op, Played, Sequence
from shrimpy.spec.sequences import FIRST, START, shorter

from ..kernels.tree import Kernel
from ..machines.machine import Machine, Panicked
from ..replay.boots import Boots
from . import player
from .comparing import Comparison
from .family import NONCES, Differing, Family, Unable
from .operations import HUNGRY, Operations
from .player import NOBODY, NoAnswer, Player

_GROUP = 16                 # sequences, between two counts of free frames
_REPETITIONS = 3
_SLOW = frozenset((Differs.HANGS, Differs.DIED, Differs.LIVES, Differs.PARENT))     # seen by a limit that is over


class Stage:
    """A machine on which sequences are played. handout: whether what only goes beyond the handout is noted, and not the end."""

    def __init__(self, play: Player, known: player.Facts, *, handout: bool = False, seed: str = "") -> None:
        self._family = family = Family(play, known, handout, seed)
        self._comparison = Comparison(family)
        self._operations = Operations(family, self._comparison)
        self._player, self._ram, self._known, self._model, self._dice = play, play.ram, known, family.model, family.dice
        self._again = UnchangedReader(play.ram)
        self.machine = play.machine
        self.n_ops = 0

    def play(self, ops: Sequence, done: Callable[[Op], object] = lambda op: None) -> Divergence | None:
        """What differs first, with the operation that it was seen after; None when nothing does. Afterwards all is as it was
        before; after a divergence the machine is of no use any more. done: is called after each operation that agrees.

        Raises what Machine.check raises but for Panicked, which is a divergence.
        """
        self._family.done = []
        try:
            for op in ops:
                if self._model.can(op) and self._operations.has_place(op):     # a wait may have returned another than was thought
                    self._operations.do(op)
                    self._comparison.compare()
                    self.n_ops += 1
                    done(op)
            self._end()
        except (Differing, NoAnswer, Panicked) as error:
            return self._family.divergence(error)
        return None

    def _end(self) -> None:
        """All that a sequence has made exits and is waited for."""
        model = self._model
        if model.forsaken:
            self._operations.do(Op(0, Do.GATHER))
        for process in model.living():
            if process.crowd:
                self._bury_all(process.number)
                self._operations.do(Op(process.number, Do.DISPERSE))
        for process in reversed(model.living()):
            if process.number >= FIRST:
                self._operations.do(Op(process.number, Do.EXIT))
        self._bury_all(0)
        for number in list(model.segments):
            self._operations.do(Op(0, Do.SHM_REMOVE, number))
        self._comparison.compare()
        self._family.forget()

    def _bury_all(self, number: int) -> None:
        while any(one.is_zombie for one in self._model.children(number)):
            self._operations.do(Op(number, Do.WAIT))

    def check_harts(self) -> Divergence | None:
        """Whether a hart, at the very instruction of a process that loads from one of its pages in user mode, walks the tables
        that the process's struct proc names, and loads from the frame that they give; of a parent and a child, both pages."""
        self._family.done = []
        try:
            for op in (START, Op(FIRST, Do.FORK, FIRST + 1)):
                self._operations.do(op)
                there = self._family.await_all()
            for cell, frame in self._comparison.compare_tables(there).items():
                if cell.process >= FIRST:
                    self._check_hart(cell, frame, there[cell.process].root)
            self._end()
        except (Differing, NoAnswer, Panicked) as error:
            return self._family.divergence(error)
        return None

    def _check_hart(self, cell: Cell, frame: int, root: int) -> None:
        at = self._dice.randrange(NONCES, PAGE // 8)
        before, after = self._dice.getrandbits(63), self._dice.getrandbits(63)
        self._ram.set_word(frame + 8 * at, before)
        self._player.tell(self._family.slots[cell.process], "h", self._family.places[cell.page] + 8 * at, before, waits=False)
        roots = {self._player.conductor.root, root}
        for _ in self._player.while_it_works(what="a hart to load from the page in user mode"):
            found = {satp for pc, satp in self._player.harts() if self._player.runs_program(pc)}
            if found - roots:
                raise Differing(Differs.SATP, cell, seen=(found - roots).pop(), expected=root)
            if root in found:
                break
        self._ram.set_word(frame + 8 * at, after)
        self._model.write(cell, at, after)
        seen, *_ = self._player.tell(NOBODY, "h")
        if seen != signed(after, 64):
            raise Differing(Differs.SEEN, cell, expected=after, seen=seen)

    @property
    def noted(self) -> list[Divergence]:
        """What goes only beyond the handout, where no more counts."""
        return self._family.noted

    def pids(self) -> dict[int, int]:
        """By number, of who is there or waits to be buried."""
        return dict(self._family.pids)

    def picture(self, stays: bool = False) -> Snapshot:
        """The machine as it is now. stays: it stands still afterwards."""
        with self.machine.qmp() as monitor:
            monitor.execute("stop")
            try:
                return take(self._again, self._known.info, fry=self._known.fry, shrimp=self._known.shrimp, fry_from="parameter")
            finally:
                if not stays:
                    monitor.execute("cont")

    def play_all(self, sequences: Iterable[Sequence]) -> Played:
        """Plays them until something differs. Frames are counted now and then: who loses them each time is found."""
        n = 0
        group: list[Sequence] = []
        free, found = self._family.n_free(), None
        hungry: list[Sequence] = []     # last: a machine on which that could not be played is of no more use
        for ops in sequences:
            if any(op.do in HUNGRY for op in ops):
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
        free = self._family.n_free() if hungry and found is None else None
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
        now = self._family.n_free()
        if before is None or now is None or now >= before:
            return None, now
        return next((found for ops in group if (found := self.leaks(ops))), None), self._family.n_free()

    def leaks(self, ops: Sequence) -> Divergence | None:
        """Whether each time that a sequence is played, frames are lost: so three times running."""
        lost, before = [], self._family.n_free()
        for _ in range(_REPETITIONS):
            if found := self.play(ops):
                return found
            now = self._family.n_free()
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

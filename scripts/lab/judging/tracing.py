"""After a check that failed: what shows each cause is played once more on a machine that is recorded, and the recording is
asked for the store that made it so. It decides nothing: verdicts, points and status are those that were there before."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from shrimpy import rules
from shrimpy.memory.readers import RamFileReader, ReadError
from shrimpy.origins import Culprit, Origin, Traced, Untold
from shrimpy.records import Unfit, decode, encode
from shrimpy.replay import questions
from shrimpy.rules import FAIL, HANDOUT, WARNING, Known, Verdict, causes, culprits
from shrimpy.snapshot import Snapshot
from shrimpy.spec import Differs, Divergence

from .. import Trouble, printable
from ..kernels.tree import Kernel
from ..machines import debugger
from ..machines.known import known
from ..machines.machine import Machine
from ..machines.qmp import Qmp
from ..machines.rundir import RunDir
from ..patience import Patience, share
from ..replay import recording
from ..replay.machine import RecordedMachine
from ..replay.recording import Recording
from ..replay.server import Server
from . import checking, player, playing, scenarios
from .checking import PLAY, Failure, Report, ScenarioRun, key
from .player import Player
from .verdict import Judgement
from .watch import Watch

MOST = 4                        # causes that are asked about, and so a limit of what a failure costs
_MOST_ORIGINS = 4               # of a cause
_LIMIT_S = 30.0                 # of GDB's time and a QEMU's, for one cause
_LONGEST = 3_000_000_000        # instructions of a run that is run again
_FILLING, _FILLING_PER_S = ("memory", "heap"), 500_000_000     # scenarios in which a kernel clears all memory, byte by byte
_FAILED = (Trouble, OSError, ReadError)     # a full disk, or a stranger's pointer: the verdict that is there must not be lost


@dataclass
class _Wanted:
    """A cause. verdict: its example; played: what playing had shown when it was seen; shown: what it was seen in and is not played
    again yet, its example's first; asked: once it has come again, what is asked, and after how many instructions."""

    verdict: Verdict
    played: Divergence | None
    shown: list[str] = field(default_factory=list)
    asked: questions.Asked | None = None
    traced: Traced | None = None

    @property
    def divergence(self) -> Divergence | None:
        """What is to come again, where it is played. A panic is a divergence, too."""
        own = self.verdict.reason.played if self.verdict.reason else None
        return own or (self.played if self.played and self.played.what is Differs.PANICKED else None)

    def is_like(self, one: Verdict) -> bool:
        """Whether a verdict of another run is of the same cause."""
        mine, its = self.verdict.reason, one.reason
        return one.status in (FAIL, WARNING) and one.rule == self.verdict.rule and (mine and mine.kind) == (its and its.kind) \
            and causes.is_high(one) == causes.is_high(self.verdict)


class _Enough(Exception):
    """All that was wanted has come again."""


def trace(report: Report, profile: str = rules.STRICT) -> Report:
    """The same report, with what could be said of the first causes in it."""
    found = [_wanted(report, one) for _, one in report.blocks]
    if not found:
        return report
    for wanted in found[MOST:]:
        wanted.traced = Traced(untold=Untold.NOT_ASKED.value)
    try:
        recording.need_recordable(report.kernel)
        with _Asking(report.kernel, profile, report.program) as asking:
            _ask_each(asking, found[:MOST])
    except _FAILED as trouble:
        for wanted in found:
            wanted.traced = wanted.traced or _not_recorded(trouble)
    return replace(report, traces={key(wanted.verdict): wanted.traced for wanted in found if wanted.traced})


def _ask_each(asking: _Asking, found: Sequence[_Wanted]) -> None:
    """About all, on as few recordings as they are seen to need: each costs a boot and a replay. What does not come again in what
    shows most of them is played in what showed it first."""
    left = list(found)
    while left:
        times = Counter(name for one in left for name in one.shown)
        name = max((name for one in left for name in one.shown), key=times.__getitem__)     # the first of those with as many
        asking.ask(name, [one for one in left if name in one.shown])
        for one in left:
            one.shown = [each for each in one.shown[:1] if each != name] if name in one.shown else one.shown
        left = [one for one in left if not one.asked and one.shown and (one.traced is None or one.traced.untold == Untold.NOT_AGAIN)]


def _wanted(report: Report, one: Failure) -> _Wanted:
    """What playing differed in, comes again in that alone; a rule's failure, in each scenario that it was seen in."""
    wanted = _Wanted(one.verdict, _divergence(one), [one.outcome.name])
    if wanted.divergence is None:
        wanted.shown += (other.name for other in report.outcomes if other.name not in (*wanted.shown, PLAY) and any(
            wanted.is_like(each) for judgement in other.judgements for each in judgement.verdicts))
    return wanted


def _divergence(one: Failure) -> Divergence | None:
    played = one.judgement.known.played
    return played.divergence if played else None


def _not_recorded(trouble: Exception) -> Traced:
    return Traced(untold=Untold.NOT_RECORDED.value, detail=str(trouble).partition("\n")[0])


class _Asking(contextlib.ExitStack):
    """A GDB with the kernel, and a folder for machines and recordings, until it is left."""

    def __init__(self, kernel: Kernel, profile: str, program: tuple[str, str] | None) -> None:
        super().__init__()
        self._kernel, self._profile, self._program = kernel, profile, program
        try:
            place = RunDir(2 * kernel.ram_bytes)
            self.callback(place.remove)
            place.path.chmod(0o711)     # as root, GDB is another user
            self._place = place.path
            self._folder = Path(self.enter_context(tempfile.TemporaryDirectory(prefix="shrimpy-")))
            self._gdb = self.enter_context(debugger.Session(kernel.elf, walls=kernel.walled, within=place.path))
            found = known(self._gdb)
            self._info, self._facts = found.info, player.facts_of(found)
            self._unmasked: Callable[[str], str] = str
        except BaseException:
            self.close()
            raise

    def ask(self, name: str, wanted: Sequence[_Wanted]) -> None:
        """Records the scenario of that name, what shows where the specification is not kept, or the program that was run instead, and
        asks about each cause."""
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            made = self._record(name, wanted, folder)
            self._answer(made, [one for one in wanted if one.asked])
        except _FAILED as trouble:
            for one in wanted:
                one.traced = one.traced or _not_recorded(trouble)
        for one in wanted:
            one.traced = one.traced or Traced(untold=Untold.NOT_AGAIN.value)

    def _record(self, name: str, wanted: Sequence[_Wanted], folder: Path) -> Recording:
        if name == PLAY:
            equipped, run = self._play(wanted, folder)
        elif self._program is None and name in scenarios.NAMES:
            equipped, run = self._scenario(name, wanted)
        else:
            equipped, run = self._kernel, self._alone(wanted)
        (folder / "recording").mkdir()

        def recorded(machine: RecordedMachine) -> tuple[str, str | None]:
            with contextlib.suppress(_Enough):
                run(machine)
            return name, None
        return recording.of_run(equipped, folder / "recording", recorded, self._place)

    # What is played

    @cached_property
    def _equipped(self) -> tuple[Kernel, scenarios.Cast]:
        """The kernel with the scenarios' programs on its disk."""
        return scenarios.equip(self._kernel, self._folder, typed=True)

    def _scenario(self, name: str, wanted: Sequence[_Wanted]) -> tuple[Kernel, Callable[[RecordedMachine], None]]:
        equipped, cast = self._equipped
        self._unmasked = cast.unmasked
        scenario = next(one for one in scenarios.SCENARIOS if one.name == name)

        def run(machine: RecordedMachine) -> None:
            taken: list[Snapshot] = []

            def seen(judgement: Judgement, count: int) -> None:
                self._look(wanted, machine, judgement, count, taken)
                taken.append(judgement.snapshot)
            machine.boot()
            if name in _FILLING:
                machine.per_s = _FILLING_PER_S
            with _Counting(machine, self._gdb, cast.unmasked, seen=seen) as watch:
                ScenarioRun(scenario, watch, cast).outcome()
        return equipped, run

    def _alone(self, wanted: Sequence[_Wanted]) -> Callable[[RecordedMachine], None]:
        """The program that was run instead of scenarios, or the way to the prompt."""
        program, ready = self._program or ("", "")

        def run(machine: RecordedMachine) -> None:
            def failed(_: Machine, judgement: Judgement, monitor: Qmp) -> None:
                earlier = [judgement.previous] if judgement.previous else []
                self._look(wanted, machine, judgement, monitor.execute("query-replay")["icount"], earlier)
            try:
                checking.run_program(machine, program, ready, failed, self._gdb)
            finally:
                self._gdb.ask("delete")
        return run

    def _look(self, wanted: Sequence[_Wanted], machine: RecordedMachine, judgement: Judgement, count: int,
              earlier: Sequence[Snapshot]) -> None:
        """Notes each cause that has come again; raises _Enough when all have. earlier: snapshots of the run before."""
        for one in (each for each in wanted if not each.asked):
            again = next(filter(one.is_like, replace(judgement, profile=self._profile).verdicts), None)
            if again is not None:
                self._note(one, culprits.of(again, judgement.snapshot, earlier, judgement.known.can_run), machine, count)
        if all(one.asked for one in wanted):
            raise _Enough

    def _play(self, wanted: Sequence[_Wanted], folder: Path) -> tuple[Kernel, Callable[[RecordedMachine], None]]:
        told = next((one.divergence or one.played for one in wanted if one.divergence or one.played), None)
        if told is None or self._facts is None:
            raise Trouble("what the last operation left behind is not played again")
        shown, facts = told, self._facts
        program = player.build(self._kernel, facts, folder, typed=True)
        self._unmasked = program.unmasked

        def run(machine: RecordedMachine) -> None:
            machine.boot()
            with contextlib.closing(Player(machine, program, facts, typed=True)) as play:
                stage = playing.Stage(play, facts, handout=self._profile == HANDOUT)
                with contextlib.suppress(playing.Unable):
                    again = _Again(stage, shown)
                    snapshot, count, pids = again.play(machine)
                    if again.panicked:      # what panicked with is on its stack, which only the hart's registers lead to
                        with Watch(machine, self._gdb, program.unmasked) as watch:
                            snapshot = watch.look("", attempts=1).snapshot
                    for one in wanted:
                        came, culprit = again.culprit(one, snapshot, pids)
                        if came:
                            self._note(one, culprit, machine, count, again.since(one))
        return player.equip(self._kernel, program, folder), run

    def _note(self, one: _Wanted, culprit: Culprit | None, machine: RecordedMachine, count: int, since: int = 0) -> None:
        asked: tuple[questions.Question, ...] = ()
        if culprit is not None:
            reader = RamFileReader(str(machine.ram_file))
            try:
                asked = questions.about(culprit, reader, self._info)
            finally:
                reader.close()
        one.asked = questions.Asked(count, asked, since)

    # What the recording says

    def _answer(self, made: Recording, wanted: Sequence[_Wanted]) -> None:
        if made.end > _LONGEST:
            raise Trouble(f"the run is too long to be run again: {made.end:,} instructions")
        told = [one for one in wanted if one.asked and one.asked.questions]
        for one in wanted:
            one.traced = None if one in told else Traced(untold=Untold.NO_STORE.value)
        if not told:
            return
        server = Server(made)
        try:
            with server:
                self._gdb.attach(server.target)
                for one, origins in zip(told, self._asked([one.asked for one in told])):
                    one.traced = Traced(origins) if origins else Traced(untold=Untold.NO_STORE.value)
                self._gdb.ask("disconnect")
        except Trouble as trouble:
            raise server.failure or trouble from None
        if server.failure is not None:
            raise server.failure

    def _asked(self, asked: Sequence[questions.Asked | None]) -> list[tuple[Origin, ...]]:
        path = self._gdb.folder / "asked.json"
        path.write_text(json.dumps([encode(one) for one in asked]))
        path.chmod(0o666)
        said = self._gdb.ask(f"python from shrimpy.replay import tracing; tracing.answer_file({str(path)!r})",
                             patience=Patience(len(asked) * _LIMIT_S / share(), self._gdb.pid))
        try:
            told = _printable(json.loads(self._unmasked(path.read_text())))
            return [tuple(decode(Origin, each) for each in one[:_MOST_ORIGINS]) for one in told]
        except (ValueError, TypeError, AttributeError, Unfit):
            raise Trouble(f"the recording gave no answer: {(said.strip().splitlines() or ['GDB said nothing'])[-1]}") from None


def _printable(data: Any) -> Any:
    """JSON's data with what a stranger's kernel and files say made harmless for terminals."""
    if isinstance(data, dict):
        return {name: _printable(value) for name, value in data.items()}
    return [_printable(one) for one in data] if isinstance(data, list) else printable(data) if isinstance(data, str) else data


class _Counting(Watch):
    """seen: what is told of each look, with the number of instructions that were executed until then."""

    def __init__(self, *args: Any, seen: Callable[[Judgement, int], None]) -> None:
        super().__init__(*args)
        self._seen = seen

    def look(self, *args: Any, **how: Any) -> Judgement:
        judgement = super().look(*args, **how)
        self._seen(judgement, self.monitor.execute("query-replay")["icount"])
        return judgement


@dataclass
class _Again:
    """A sequence that is played on a machine that is recorded. taken: snapshots, one after each operation; at: how many instructions had
    been executed after the last."""

    stage: playing.Stage
    told: Divergence
    found: Divergence | None = None
    taken: list[Snapshot] = field(default_factory=list)
    at: int = 0

    def play(self, machine: RecordedMachine) -> tuple[Snapshot, int, dict[int, int]]:
        """The machine where something differed, or after the last operation; it stands still from then on."""
        if self.told.what is Differs.LEAK:
            self.stage.play(self.told.ops)      # what is kept for the next time is no leak
            self.taken.append(self.stage.picture())
        self.found = self.stage.play(self.told.ops, lambda _: self._done(machine))
        snapshot = self.stage.picture(stays=True)
        return snapshot, machine.executed(), self.stage.pids()

    def _done(self, machine: RecordedMachine) -> None:
        self.taken.append(self.stage.picture())
        self.at = machine.executed()

    def since(self, wanted: _Wanted) -> int:
        """From which instruction on a word of a page can have become wrong: each is compared after each operation."""
        return self.at if wanted.divergence and wanted.divergence.what is Differs.CONTENT else 0

    @property
    def panicked(self) -> bool:
        return self.found is not None and self.found.what is Differs.PANICKED

    def culprit(self, wanted: _Wanted, snapshot: Snapshot, pids: dict[int, int]) -> tuple[bool, Culprit | None]:
        """(whether it came again, what it is about)."""
        told = wanted.divergence
        if told is None:
            again = next(filter(wanted.is_like, rules.evaluate(snapshot)), None)
            return again is not None, culprits.of(again, snapshot, self.taken) if again else None
        if told.what is Differs.LEAK:
            verdicts = rules.evaluate(snapshot, None, Known(before=self.taken[0]))
        else:
            found = next((one for one in (self.found, *self.stage.noted) if one and one.what is told.what), None)
            if found is None:
                return False, None
            known = culprits.of_divergence(found, snapshot, pids, self.taken)
            if known is not None:
                return True, known
            verdicts = rules.evaluate(snapshot)
        failed = [*filter(wanted.is_like, verdicts), *(block.cause.example for block in causes.blocks(verdicts))]
        found_one = next(_culprits(failed, snapshot, self.taken), None)
        return found_one is not None or told.what is not Differs.LEAK, found_one


def _culprits(failed: Sequence[Verdict], snapshot: Snapshot, earlier: Sequence[Snapshot]) -> Iterator[Culprit]:
    for one in failed:
        found = culprits.of(one, snapshot, earlier)
        if found is not None:
            yield found

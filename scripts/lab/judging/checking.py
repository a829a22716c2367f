"""The headless check: what is run on a kernel, where it is looked at, and what came of it, as data for whoever reports it.

check() boots, plays and judges; a Report is all that any form of telling needs.
"""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from shrimpy import spec
from shrimpy.origins import OfVerdict, Traced
from shrimpy.reasons import Kind
from shrimpy.rules import FAIL as RULE_FAILS
from shrimpy.rules import HANDOUT, RULES, SKIPPED, STRICT, WARNING, Known, Verdict, causes
from shrimpy.rules.causes import Block
from shrimpy.snapshot import Snapshot
from shrimpy.snapshot.index import Index

from .. import Trouble
from ..kernels.tree import Kernel
from ..machines import debugger, panics, plugin, scene
from ..machines.machine import Endless, Machine, Panicked, Silent
from ..machines.qmp import Gone, Qmp
from ..machines.rundir import RunDir
from ..patience import point_s
from ..replay.boots import Boots
from . import exits, player, playing, scenarios, uncleared, verdict
from .keeping import Keeper
from .points import DEFAULT
from .scenarios import GONE, POINTS, PROGRAM, Cast, Scenario
from .verdict import FAIL, PASS, UNJUDGED, Judgement, OnFail
from .watch import Watch

_ATTEMPTS = 5


@dataclass(frozen=True)
class Hindrance:
    """Why a scenario did not come to its end.

    kind  "panicked" (the kernel), "hung" (what should come did not within the limit), "printed without end", "ended" (QEMU),
          "did not run" (the program), "unjudged" (nothing could be read), "not played" (others had hung)
    text  a line for a person, and the console's last lines after it
    words what the kernel printed when it panicked
    """

    kind: str
    text: str
    words: str = ""

    @property
    def line(self) -> str:
        return self.text.partition("\n")[0]

    @property
    def is_hang(self) -> bool:
        return self.kind == "hung"


@dataclass(frozen=True)
class Outcome:
    """What came of one scenario.

    name        "family"
    looks_at    what it makes happen, a phrase
    judgements  one for each point where the machine was stopped, in their order
    hindrance   why there are not more of them, or None
    console     what the console printed meanwhile
    notes       what else there is to say, in lines
    """

    name: str
    looks_at: str
    judgements: tuple[Judgement, ...]
    hindrance: Hindrance | None
    console: str
    notes: tuple[str, ...] = ()

    @property
    def told(self) -> Judgement | None:
        """The judgement that tells most: see verdict.worst()."""
        return verdict.worst(self.judgements) if self.judgements else None

    @property
    def status(self) -> int:
        """FAIL when a rule failed at any point; PASS when it came to its end and all that was judged passed; else UNJUDGED."""
        if self.told is None or self.told.status == FAIL:
            return UNJUDGED if self.told is None else FAIL
        # A kernel that panicked has not passed, whatever its page tables are like.
        return UNJUDGED if self.hindrance else self.told.status


@dataclass(frozen=True)
class Failure:
    """A verdict that failed, where it did first, and at how many stops it did."""

    verdict: Verdict
    outcome: Outcome
    judgement: Judgement
    n_stops: int


def key(one: Verdict) -> tuple:
    """What is the same of a failure at several stops."""
    return one.rule, one.subject, one.va


@dataclass(frozen=True)
class Report:
    """What check() learnt about a kernel.

    complete  every scenario was to be played, which together judge every rule
    program   what was run instead, "" for a family, and what it prints when it is ready, or ""; None where scenarios were played
    traces    of causes, by key() of their examples: where what is wrong was written; see tracing.trace()
    """

    kernel: Kernel
    cpus: int
    outcomes: tuple[Outcome, ...]
    complete: bool = False
    program: tuple[str, str] | None = None
    traces: Mapping[tuple, Traced] = field(default_factory=dict)

    @property
    def blocks(self) -> list[tuple[Block, Failure]]:
        """Each cause, of failures and of warnings, with where its example was seen."""
        failures = {id(one.verdict): one for one in (*self.failures, *self.warnings)}
        new = [one.verdict for one in failures.values() if (played := one.judgement.known.played) and played.divergence]
        return [(block, failures[id(block.cause.example)]) for block in causes.blocks((one.verdict for one in failures.values()), new)]

    @property
    def told_origins(self) -> tuple[OfVerdict, ...]:
        """What is known of where failures were written, as data."""
        return tuple(OfVerdict(one.verdict.rule, one.verdict.about, self.traces[key(one.verdict)], one.verdict.va)
                     for _, one in self.blocks if key(one.verdict) in self.traces)

    @property
    def status(self) -> int:
        """FAIL when a scenario failed; PASS when all passed, and they judged what they should; else UNJUDGED."""
        found = {one.status for one in self.outcomes}
        return FAIL if FAIL in found else PASS if found == {PASS} and not (self.complete and self.unjudged()) else UNJUDGED

    def unjudged(self, worth: Mapping[str, float] = DEFAULT) -> tuple[str, ...]:
        """The rules that are worth points and were judged at no stop: a kernel is not right because nobody looked."""
        judged = {each.rule for one in self.outcomes for judgement in one.judgements for each in judgement.verdicts
                  if each.status != SKIPPED or each.reason and each.reason.kind == Kind.LOOSE_IMAGE}
        return tuple(rule.id for rule in RULES if worth.get(rule.id) and rule.id not in judged)

    @property
    def failures(self) -> tuple[Failure, ...]:
        """Every failure once: what is wrong at one stop is mostly so at the next."""
        return self._each(RULE_FAILS)

    @property
    def warnings(self) -> tuple[Failure, ...]:
        """What would be a failure by the strict profile, each once."""
        return self._each(WARNING)

    def _each(self, status: str) -> tuple[Failure, ...]:
        found: dict[tuple, Failure] = {}
        for outcome in self.outcomes:
            for judgement in outcome.judgements:
                for one in (each for each in judgement.verdicts if each.status == status):
                    first = found.get(key(one)) or Failure(one, outcome, judgement, 0)
                    found[key(one)] = replace(first, n_stops=first.n_stops + 1)
        return tuple(found.values())

    @property
    def told(self) -> tuple[Outcome, Judgement] | None:
        """The stop that is told of where only one can be: the first that failed, or the one that saw most."""
        judged = [(one, told) for one in self.outcomes if (told := one.told)]
        if not judged:
            return None
        worst = verdict.worst([told for _, told in judged])
        return next(one for one, told in judged if told is worst), worst


def check(kernel: Kernel, cpus: int, *, program: str = "", ready: str = "", only: Collection[str] = (),
          profile: str = STRICT, keeper: Keeper | None = None) -> Report:
    """Runs program, or what any kernel is checked with, and judges the machine where it matters.

    program  a command line; it is judged at each exit of a process until the prompt is back
    ready    a regular expression: what the program prints when there is something to see; it is judged then
    only     the names of the scenarios that are played, where there is no program; all when empty
    profile  what the specification that is played promises, and what fails
    keeper   is asked to keep the machine where it fails

    What hangs is tried once more on a new machine before the report says so.

    What a kernel does wrong is in the report. Raises Trouble for what keeps any kernel from being checked: no QEMU, a
    number of harts out of range.
    """
    def on_fail(machine: Machine, judgement: Judgement, monitor: Qmp) -> None:
        if keeper and (told := replace(judgement, profile=profile)).status == FAIL:
            keeper.failed(machine, told, monitor)

    if program:
        return Report(kernel, cpus, (_check_program_twice(kernel, cpus, program, ready, on_fail),), program=(program, ready))
    with tempfile.TemporaryDirectory(prefix="shrimpy-") as folder:
        try:
            equipped, cast = scenarios.equip(kernel, Path(folder))
        except Trouble as trouble:
            family = _check_program_twice(kernel, cpus, "", "", on_fail)
            why = Hindrance("unjudged", f"no scenarios: {trouble}")
            return Report(kernel, cpus, (replace(family, hindrance=family.hindrance or why),), program=("", ""))
        played = _judged_anew(list(_check_scenarios(equipped, cpus, cast, only, profile, on_fail)))
        if not played:
            raise Trouble(_nothing_to_play(kernel, cast, only))
        first, *others = played
        forgotten = uncleared.find(kernel, cpus) if first.judgements and others else None
        notes = (*equipped.notes, *((forgotten.line,) if forgotten else ()), *first.notes)
        outcomes = tuple(replace(one, notes=(*one.notes, *dict.fromkeys(line for each in one.judgements for line in each.written)))
                         for one in (replace(first, notes=notes), *others))
        return Report(kernel, cpus, outcomes, {one.name for one in outcomes} >= {one.name for one in cast.scenarios})


def _nothing_to_play(kernel: Kernel, cast: Cast, only: Collection[str]) -> str:
    """Why nothing that was asked for can be played."""
    lacking = sorted({call for one in scenarios.SCENARIOS if one not in cast.scenarios and one.name in only for call in one.needs})
    needed = f"the system calls {', '.join(lacking)}" if lacking else "FRY and SHRIMP"
    return f"ONLY={','.join(sorted(only))} needs {needed}, which {kernel.name} does not define"


# Scenarios

_MOST_STOPS = 40  # until all of a scenario has ended
_MOST_HUNG = 3  # scenarios; then nobody waits for the rest
_ALONE_S = 0.3  # of the machine's own time; a hart that can does it in a thousandth of that
_SAID = r"@%s (point|cannot|skip) ([^\n]*)\n"  # wherever in a line: a kernel may have begun one, or set colours back just before
_KNOWN = Known(untouched=frozenset((PROGRAM,)))


def _check_scenarios(kernel: Kernel, cpus: int, cast: Cast, only: Collection[str], profile: str,
                     on_fail: OnFail) -> Iterator[Outcome]:
    """Plays all, one after the other, on one machine while nothing goes wrong, and after that on a new one."""
    place = RunDir(kernel.ram_bytes)
    try:
        place.path.chmod(0o711)  # what is in it is for whom it belongs to, but GDB is another user, where we are root
        with debugger.Session(kernel.elf, walls=kernel.walled, within=place.path) as gdb, \
                Boots(kernel, cpus, within=place.path, plugged=plugin.asked(kernel, ["WHO"])) as boots:
            n_hung, is_there = 0, True
            for outcome in _check_with(gdb, boots, cast, only, profile, on_fail):
                n_hung += bool(outcome.hindrance and outcome.hindrance.is_hang)
                is_there = outcome.name != "boot"
                yield outcome
            if is_there and n_hung < _MOST_HUNG and (not only or PLAY in only):
                yield from _played(gdb, kernel, cpus, place.path, profile, on_fail)
    finally:
        place.remove()


def _check_with(gdb: debugger.Session, boots: Boots, cast: Cast, only: Collection[str], profile: str,
                on_fail: OnFail) -> Iterator[Outcome]:
    left = [one for one in cast.scenarios if not only or one.name in only]
    hung: Outcome | None = None  # what came of the first that is left, when it hung
    n_hung = 0
    while left:
        with boots.new() as machine:
            try:
                machine.boot()
                boots.keep(machine)
            except (Panicked, Silent, Gone) as error:
                outcome = _not_booted(machine, error)
                if outcome.hindrance and outcome.hindrance.is_hang and not hung:
                    hung = outcome
                    continue
                yield outcome
                return
            with Watch(machine, gdb, cast.unmasked) as watch:
                if unseen := _unseen(watch):
                    yield unseen
                    return
                while left:
                    run = ScenarioRun(left[0], watch, cast, on_fail, profile)
                    outcome = run.outcome()
                    if outcome.hindrance and outcome.hindrance.is_hang and not hung:
                        hung = outcome
                        break
                    scenario, outcome, hung = left.pop(0), _of_both(hung, outcome), None
                    yield outcome
                    n_hung += bool(outcome.hindrance and outcome.hindrance.is_hang)
                    if outcome.status != PASS or scenario.stays or run.is_spent or n_hung == _MOST_HUNG:
                        break
        if n_hung == _MOST_HUNG:
            why = Hindrance("not played", f"not played: {n_hung} scenarios before it hang")
            yield from (Outcome(one.name, one.looks_at, (), why, "") for one in left)
            return


def _unseen(watch: Watch) -> Outcome | None:
    """What can be said of a kernel none of whose processes can be seen, though its shell waits: it has no debugging
    information. Scenarios would tell no more."""
    judgement = watch.look("the shell waits for a line", attempts=1)
    if judgement.snapshot.processes:
        return None
    why = Hindrance("unjudged", "none of its processes can be seen, though its shell waits: no scenario is played")
    return Outcome("boot", "the way to the shell's prompt", (judgement,), why, watch.machine.console)


def _of_both(hung: Outcome | None, again: Outcome) -> Outcome:
    """What came of a scenario that was played again because it hung, if it did. What failed before it hung, has failed."""
    if hung is None or hung.hindrance is None:
        return again
    failed = () if again.status == FAIL else tuple(one for one in hung.judgements if one.status == FAIL)
    note = "it hung, and again on a new machine" if again.hindrance and again.hindrance.is_hang else \
        f"it hung once, and not on a new machine: {hung.hindrance.line}"
    return replace(again, judgements=failed + again.judgements, notes=(*again.notes, note))


def _not_booted(machine: Machine, error: Trouble) -> Outcome:
    """What can be said of a machine that has no prompt."""
    judgements: tuple[Judgement, ...] = ()
    try:
        judgements = (verdict.judge(machine.kernel.elf, target=machine.gdb_target, point=_stopped(error),
                                    walls=machine.kernel.walled),)
    except Trouble:
        pass  # of the two, the error says more
    return Outcome("boot", "the way to the shell's prompt", judgements, _hindrance(error), machine.console)


def _stopped(error: Trouble) -> str:
    return "where the kernel panicked" if isinstance(error, Panicked) else "where the machine got to"


class _AtPrompt(Exception):
    """The program has ended, or said something, before the machine came to a place."""


class ScenarioRun:
    """One scenario on a machine whose shell waits for a line."""

    def __init__(self, scenario: Scenario, watch: Watch, cast: Cast, on_fail: OnFail = lambda *_: None,
                 profile: str = STRICT) -> None:
        self._scenario = scenario
        self._cast = cast
        self._on_fail = on_fail
        self._watch = watch
        self._machine = watch.machine
        self._start = len(self._machine.console)
        self._before: Judgement | None = None
        self._judgements: list[Judgement] = []
        self._notes: list[str] = []
        self._profile = profile
        self.is_spent = False   # whether the machine is of no more use
        self._execed: frozenset[int] = frozenset()  # who has run exec, by what was announced

    def outcome(self) -> Outcome:
        """Plays it to its end, or as far as the kernel goes."""
        hindrance = None
        try:
            if self._scenario.ends_shell:
                self._renew_shell()
            else:
                self._play()
            self._machine.check(last_chance=not self.is_spent)
        except (Panicked, Silent, _DidNotRun) as error:
            hindrance = _hindrance(self._heard_out(error))
            try:
                self._look(_stopped(error), Known(), attempts=1)
            except Trouble:
                pass
        except Trouble as error:
            hindrance = _hindrance(error)
        unmasked = self._cast.unmasked
        if hindrance:
            hindrance = replace(hindrance, text=unmasked(hindrance.text), words=unmasked(hindrance.words))
        return Outcome(self._scenario.name, self._scenario.looks_at, tuple(self._judgements), hindrance,
                       unmasked(self._machine.console[self._start:]), tuple(map(unmasked, self._notes)))

    def _heard_out(self, error: Trouble) -> Trouble:
        """The same; of a kernel that stood still between its panic and the words about it, with these words."""
        if not isinstance(error, Panicked) or error.words != panics.NOTHING:
            return error
        try:
            self._watch.halt()
            self._watch.go()
            self._machine.wait_until(lambda _: None, point_s(), "what the kernel panics with")
        except Panicked as said:
            return said
        except Trouble:
            pass
        return error

    def _look(self, point: str, known: Known = _KNOWN, **how: Any) -> Judgement:
        last = self._judgements[-1] if self._judgements else self._before
        start = self._before.snapshot if self._before else None
        judgement = self._watch.look(point, last.snapshot if last else None, known._replace(start=start), on_fail=self._on_fail, **how)
        self._judgements.append(judgement)
        return judgement

    def _play(self) -> None:
        machine, watch = self._machine, self._watch
        line = f"{self._cast.names[0]} {self._scenario.name}"
        self._before = watch.look("before it began", enough=lambda judgement: judgement.quiet, attempts=_MOST_STOPS)
        expected = {name: phrase for name, phrase, _ in self._scenario.points}
        watch.go()
        machine.send(line)
        limit_s = point_s(machine.kernel.ram_bytes)
        machine.wait_for(re.escape(line) + r" *(?=\n)", limit_s, what=f"the echo of {line!r}")
        while said := machine.wait_for_either(_SAID % self._cast.nonce, limit_s, what=f"the next point of {line!r}"):
            kind, text = said[1], said[2]
            if kind == "cannot":
                raise _DidNotRun(f"the scenario {self._scenario.name!r} cannot {text}" + machine.tail())
            if kind == "skip":
                pid, _, why = text.partition(" ")
                self._confirm_skip(pid)
                self._notes.append(why)
                expected.clear()
                machine.send("")
                continue
            name, roles = _point(text)
            if name not in expected:
                raise Trouble(f"the scenario {self._scenario.name!r} announced {name!r}, which is not one of its points" + machine.tail())
            expected.pop(name)
            if name == "armed":
                self._fork_moment()
                expected.pop("can-run", None)
                continue
            runner = dict(roles).get("runner")
            self._execed |= _who(roles, scenarios.EXECED)
            known = _KNOWN._replace(reading=_who(roles, scenarios.READING), execed=self._execed)
            judgement = self._look(POINTS[name], known, roles=roles, enough=lambda one: runner is None or one.runs_user_code(runner))
            self._confirm(name, judgement)
            if runner is not None and not self._cast.typed:
                machine.write(self._cast.flag(runner, judgement.snapshot) or 0, 1)
            if name == "counted":
                self._count_moment(judgement.snapshot, dict(roles).get("parent"))
                continue
            if self._scenario.stays and not expected:
                return
            watch.go()
            machine.send("")
        if expected:
            raise _DidNotRun(f"{line!r} ended before this: {next(iter(expected.values()))}" + machine.tail())
        assert self._before is not None, "looked at before it began"
        there = {one[0] for one in self._before.processes}
        self._look(POINTS[GONE], _KNOWN._replace(before=self._before.snapshot), attempts=_MOST_STOPS,
                   enough=lambda judgement: judgement.quiet and {one[0] for one in judgement.processes} == there)

    def _renew_shell(self) -> None:
        """The shell ends; the next is judged. Of a shell that does not end, and of a first process that starts no other, there is no
        opinion: what was there before is all there is to judge."""
        watch = self._watch
        before = watch.look("before the shell ends", known=_KNOWN, enough=lambda judgement: judgement.quiet, attempts=_MOST_STOPS)
        known = _KNOWN._replace(start=before.snapshot)      # what nobody has by then is lost no more than in other scenarios
        watch.go()
        try:
            self._machine.end_shell(point_s())
            judgement = watch.look(POINTS["anew"], known=known, on_fail=self._on_fail)
            if {pid for pid, *_ in judgement.processes} - {pid for pid, *_ in before.processes}:
                self._judgements.append(judgement)
                return
            self._notes.append("the shell does not end at Ctrl-D: no other is judged")
        except Endless:
            raise
        except (Silent, Gone) as error:
            self._notes.append(f"no shell comes after one that has ended: {str(error).partition(chr(10))[0]}")
        self._judgements.append(replace(before, known=known))
        self.is_spent = True

    def _confirm(self, point: str, judgement: Judgement) -> None:
        """Raises Trouble where memory knows nothing of what the console said. What failed there has failed all the same."""
        why = self._cast.impostor(point, judgement.roles, judgement.snapshot, self._machine.ram)
        if why and judgement.status != FAIL:
            raise Trouble(f"memory does not confirm what was printed: {why}" + self._machine.tail())

    def _confirm_skip(self, pid: str) -> None:
        """Raises Trouble unless it is our program that has left something out."""
        index = Index(self._watch.look("", attempts=1).snapshot)
        process = index.process(int(pid)) if pid.isdigit() else None
        if process is None or not self._cast.plays(process, index, self._machine.ram):
            raise Trouble("memory does not confirm what was printed: a program that is not ours skipped a point" + self._machine.tail())
        self._watch.go()

    def _fork_moment(self) -> None:
        """Has the fork that follows stopped where its child can run: SHRIMP must be there, whether somebody runs it or not."""
        assert self._before is not None, "looked at before it began"
        watch, layout = self._watch, self._before.snapshot.layout
        functions = dict(self._before.snapshot.functions)
        makes, maps = functions.get("allocproc"), functions.get("mappages")
        places = [f"*{makes}"] if makes else []
        if maps and layout.shrimp is not None:
            places.append(f"*{maps} if $a1 == {layout.shrimp:#x}")
        watch.halt()
        speaks = self._speaks()
        self._machine.send("")
        if layout.shrimp is not None and places:
            try:
                watch.run_to(*places, alive=speaks)
                if not self._look_where_it_can_run(self._child_made_by(makes, speaks), speaks):
                    self._notes.append("it is not known when the child of a fork can run")
            except _AtPrompt:
                self._notes.append("nobody saw fork make its child RUNNABLE")
        watch.go()

    def _child_made_by(self, makes: str | None, speaks: Callable[[], None]) -> int:
        """Where the struct proc is that a function returns at whose start the machine stands; where it stands at mappages,
        whose table is changed. 0 where nobody has it yet."""
        if makes and self._watch.value("$pc") == self._watch.value(f"&{makes}"):
            self._watch.finish(speaks)
            return self._watch.value("$a0") or 0
        snapshot = self._watch.look("", attempts=1).snapshot
        root = self._watch.value("$a0")
        return next((one.proc for one in snapshot.processes if one.root == root), 0)

    def _look_where_it_can_run(self, child: int, speaks: Callable[[], None]) -> bool:
        """The machine stopped and judged where a scheduler can take a child, at child, for the first time: its state says that
        it may, and nobody holds its lock since. Whether it came to that."""
        assert self._before is not None, "looked at before it began"
        watch, lock = self._watch, f"((struct proc *){child:#x})->lock"
        if not child:
            return True
        state = watch.value(f"&((struct proc *){child:#x})->state")
        if state is None:
            return False
        making = {watch.value("UNUSED"), watch.value("USED")} - {None}
        while watch.value(f"*(int *){state:#x}") in making:
            watch.run_to_change(state, speaks)
        there = next((one for one in self._look(POINTS["can-run"], attempts=1).snapshot.processes if one.proc == child), None)
        if there is None or any(one.va == self._before.snapshot.layout.shrimp for one in there.mappings):
            return there is not None
        held, holder, forks = (watch.value(one) for one in (f"&{lock}.locked", f"{lock}.cpu", f"&cpus[{watch.hart}]"))
        is_forks = there.state == "RUNNABLE" and there.lock_held and (holder is None or holder == forks)
        if is_forks and not (held and watch.run_alone_to_change(watch.hart, held, _ALONE_S)):
            return False
        self._judgements.pop()
        judgement = self._look(POINTS["can-run"], _KNOWN._replace(can_run=frozenset((there.pid,))), attempts=1)
        # Late, but no program sees it: only we ask for more. (To let a hart go alone is not asked of GDB without need.)
        if self._profile == HANDOUT and self._maps_shrimp_itself(child):
            self._judgements[-1] = replace(judgement, known=judgement.known._replace(at_touch=True))
        return True

    def _maps_shrimp_itself(self, child: int) -> bool:
        """Has another hart run a child while the one that forks stands still, as far as the child's first instruction; whether
        SHRIMP is mapped then."""
        place = self._watch.value(f"((struct proc *){child:#x})->trapframe->epc")
        snapshot, forks = self._watch.look("", attempts=1).snapshot, self._watch.hart
        others = [(one.pid is not None, one.hart) for one in snapshot.harts if one.hart != forks]
        if not place or not others or not self._watch.run_alone_to(min(others)[1], f"*{place:#x}", _ALONE_S):
            return False
        return any(one.proc == child and any(each.va == snapshot.layout.shrimp for each in one.mappings)
                   for one in self._watch.look("", attempts=1).snapshot.processes)

    def _speaks(self) -> Callable[[], None]:
        """Raises _AtPrompt once the program has said something, or ended, since now."""
        start = len(self._machine.console)

        def alive() -> None:
            self._machine.check()
            if self._machine.console.find(f"@{self._cast.nonce}", start) >= 0:
                raise _AtPrompt
        return alive

    def _comes_to(self, place: str) -> bool:
        """Lets the machine run until it is at place; False when the program has said something, or ended, before."""
        try:
            self._watch.run_to(place, alive=self._speaks())
        except _AtPrompt:
            return False
        return True

    def _count_moment(self, snapshot: Snapshot, parent: int | None) -> None:
        """Two harts let go of the parent's FRY frame: one is held where it has read the count, while the other does all
        of it. Where a lock keeps them apart the other waits; else one of two changes is lost, and stays so."""
        layout, counts, kfree = snapshot.layout, snapshot.counts, dict(snapshot.functions).get("kfree")
        frame = next((one.pa for process in snapshot.processes if process.pid == parent
                      for one in process.mappings if one.va == layout.fry), None)
        place = counts and frame and self._count_at(counts.name, frame, dict(counts.values).get(frame, 0), layout.ram_base)
        self._machine.send("")
        freed = f"*{kfree} if $a0 == {frame or 0:#x}"
        if place and kfree and len(snapshot.harts) > 1 and self._comes_to(freed):
            held = self._watch.hart
            if self._watch.step_to_read(held, place):
                # One that runs a process is on its way; of the others one finds whom the exit woke, or has just taken it from
                # the queue. The first that comes to kfree with the frame is the last: it is the other of the two.
                harts = self._watch.look("", attempts=1).snapshot.harts
                likeliest = sorted((one.pid is None, one.hart) for one in harts if one.hart != held)
                any(self._watch.run_alone(hart, freed, _ALONE_S) for _, hart in likeliest)
        self._watch.go()

    def _count_at(self, name: str, frame: int, count: int, ram_base: int) -> range | None:
        """Where the count of a frame is, of an array as the kit knows it: indexed from RAM's base or from address 0."""
        if not re.fullmatch(r"[\w.]+", name):  # a name of a stranger's file, which GDB could be told to call functions by
            return None
        first, size, whole = (self._watch.value(one) for one in (f"&{name}[0]", f"sizeof({name}[0])", f"sizeof({name})"))
        if not (first and size and whole):
            return None
        indices = [frame - base >> 12 for base in (ram_base, 0) if (frame - base >> 12) < whole // size]
        if len(indices) > 1:    # it is as long as physical memory, and may be indexed from either
            indices = [one for one in indices if self._watch.value(f"{name}[{one}]") == count] or indices
        return range(first + indices[0] * size, first + (indices[0] + 1) * size) if indices else None


def _who(roles: tuple[tuple[str, int], ...], wanted: frozenset[str]) -> frozenset[int]:
    return frozenset(pid for role, pid in roles if role in wanted)


def _point(text: str) -> tuple[str, tuple[tuple[str, int], ...]]:
    """What follows `@point `: the point's name, and who is who."""
    name, *roles = text.split()
    return name, tuple((role, int(pid)) for role, _, pid in (one.partition("=") for one in roles) if pid.isdigit())


# The specification

PLAY = "play"   # what this part of check is called, beside the scenarios
_SEED, _STATES = "1", 2
_RANDOM, _LENGTH, _FAMILY = 5, 40, 4    # sequences drawn by a seed, their operations, and processes at once


def sequences(seed: str) -> Iterator[spec.Sequence]:
    """What check plays: the borders, what they leave out of every operation from every state of up to two processes besides the
    player's own two, some that are drawn, and what is known of segments, which is left out of a kernel that has none."""
    borders = [one.ops for one in spec.borders()]
    yield from borders
    yield from spec.covering(_STATES, borders)
    yield from spec.random_ones(seed, _RANDOM, _LENGTH, _FAMILY)
    yield from (one.ops for one in spec.sharing())


def _judged_anew(outcomes: list[Outcome]) -> list[Outcome]:
    """The same, where playing has shown that a page which is not mapped at a stop is so when it is touched."""
    if not any(stop.known.played and stop.known.played.at_touch for one in outcomes for stop in one.judgements):
        return outcomes
    return [replace(one, judgements=tuple(replace(stop, known=stop.known._replace(at_touch=True)) for stop in one.judgements))
            for one in outcomes]


def _played(gdb: debugger.Session, kernel: Kernel, cpus: int, place: Path, profile: str, on_fail: OnFail) -> Iterator[Outcome]:
    """The specification played on a machine of its own, with one hart, and a little of it on as many as there are to be; nothing of
    a kernel without FRY and SHRIMP."""
    seed = os.environ.get("PLAY") or _SEED
    said = (PLAY, "the specification, operation by operation")

    def look(machine: Machine, unmasked: Callable[[str], str], found: spec.Played) -> Judgement:
        with Watch(machine, gdb, unmasked) as watch:
            return watch.look("after the last operation", known=Known(played=found), attempts=_ATTEMPTS, on_fail=on_fail)

    def perform(facts: player.Facts, at: playing.Equipped, played: Iterable[spec.Sequence],
                harts: int) -> tuple[spec.Played, Judgement, str]:
        return playing.perform(at, facts, played, harts, seed=seed, look=look, within=place, handout=profile == HANDOUT)
    try:
        facts = player.facts(gdb)
        if facts is None:
            return
        with playing.equipped(kernel, facts) as at:
            found, judgement, console = perform(facts, at, sequences(seed), 1)
            if found.divergence is None and cpus > 1:
                again, judged, printed = perform(facts, at, spec.on_several_harts(), cpus)
                found = found.then(again)
                judgement, console = (judged, printed) if again.divergence else (judgement, console)
    except Trouble as error:
        yield Outcome(*said, (), _hindrance(error), "")
        return
    judgement = replace(judgement, known=judgement.known._replace(played=found))
    notes = [f"{found.n_ops} operations in {found.n_sequences} sequence{'s' * (found.n_sequences != 1)}; PLAY={seed} plays them again"]
    if found.left_out:
        notes.append("without memory nothing was played: a process ends here when it touches memory that there is none for")
    yield Outcome(*said, (judgement,), None, console, tuple(notes))


# One program, or a family

def _check_program_twice(kernel: Kernel, cpus: int, program: str, ready: str, on_fail: OnFail) -> Outcome:
    """_check_program(), and again where the kernel hangs."""
    outcome = _check_program(kernel, cpus, program, ready, on_fail)
    if outcome.hindrance and outcome.hindrance.is_hang:
        return _of_both(outcome, _check_program(kernel, cpus, program, ready, on_fail))
    return outcome


def _check_program(kernel: Kernel, cpus: int, program: str, ready: str, on_fail: OnFail) -> Outcome:
    with Machine(kernel, cpus) as machine:
        what, judgements, hindrance = run_program(machine, program, ready, on_fail)
        told = verdict.worst(judgements) if judgements else None
        if not hindrance and told and told.status == PASS and not told.saw_a_program:
            hindrance = _DidNotRun(_nothing_ran(program or what, ready, told) + machine.tail())
        return Outcome("program" if program else "family", what, tuple(judgements),
                       _hindrance(hindrance) if hindrance else None, machine.console)


def run_program(machine: Machine, program: str, ready: str, on_fail: OnFail,
                gdb: debugger.Session | None = None) -> tuple[str, list[Judgement], Trouble | None]:
    """Boots a machine, runs program, or a family, and judges it: (what was run, the judgements, what kept it from its end).
    on_fail, gdb: see exits.judge()."""
    judgements: list[Judgement] = []
    hindrance: Trouble | None = None
    what = program or "the family"
    try:
        machine.boot()
        if program and not ready and not program.rstrip().endswith("&"):
            judgements += exits.judge(machine, program, on_fail, gdb)
            times = "once" if len(judgements) == 1 else f"{len(judgements)} times"
            what = f"{program}, stopped {times}"
        else:
            what = _play(machine, program, ready)
    except (Panicked, Silent, Gone) as error:
        hindrance = error
    try:
        judgements.append(_judge_settled(machine, not judgements, on_fail, gdb))
        machine.check(last_chance=True)
    except Trouble as error:  # a panic in what it did after the scene was set
        hindrance = hindrance or error
    return what, judgements, hindrance


class _DidNotRun(Trouble):
    """init and the shell were all there was to judge."""


_KINDS = {Panicked: "panicked", Silent: "hung", Endless: "printed without end", Gone: "ended", _DidNotRun: "did not run"}


def _hindrance(error: Trouble) -> Hindrance:
    return Hindrance(_KINDS.get(type(error), "unjudged"), str(error), error.words if isinstance(error, Panicked) else "")


def _nothing_ran(program: str, ready: str, judgement: Judgement) -> str:
    hint = "; say with READY= what it prints when there is something to see" if program.endswith("&") and not ready else ""
    return f"{program} did not run, or had ended: there was only {judgement.who}{hint}"


def _play(machine: Machine, program: str, ready: str) -> str:
    """scene.play(); to a family that leaves no orphan, one is added."""
    played = scene.play(machine, program, ready)
    return f"{played}, {scene.orphan(machine)}" if played == "shrimpdemo" else played


def _judge_settled(machine: Machine, alone: bool, on_fail: OnFail, gdb: debugger.Session | None) -> Judgement:
    """The verdict at the first stop that allows all of it: a process half made at one is whole at the next.

    alone: it is the only one, so it must have a program to judge.
    """
    with contextlib.ExitStack() as opened:
        if gdb is None:
            gdb = opened.enter_context(debugger.Session(machine.kernel.elf, machine.gdb_target, walls=machine.kernel.walled))
        watch = opened.enter_context(Watch(machine, gdb))
        judgement = watch.look("", enough=lambda one: one.saw_a_program or not alone, attempts=_ATTEMPTS, on_fail=on_fail)
    return judgement

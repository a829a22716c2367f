"""The specification: what it says of small families, what is played, and that what is played kills each mutant of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from shrimpy.records import decode, encode
from shrimpy.rules import RULES
from shrimpy.spec import (
    INIT, ORDER, SHM, STATUS, Attachment, Cell, Differs, Divergence, Do, Model, Op, Page, Played, Process, borders, covering,
    on_several_harts, pairs, random_ones, sharing, sharing_covered)
from shrimpy.spec import promises
from shrimpy.spec.model import Segment
from shrimpy.spec.sequences import FIRST, START, bury, moves, play, shorter

A, B, C = FIRST, FIRST + 1, FIRST + 2
FORK_B = Op(A, Do.FORK, B)


def after(*ops):
    model = play((START, *ops))
    assert model is not None, "it can be played"
    return model


def test_a_child_sees_its_parents_page_and_not_its_grandparents():
    model = after(FORK_B, Op(B, Do.FORK, C))
    assert model.processes[B].shrimp is model.processes[A].fry
    assert model.processes[C].shrimp is model.processes[B].fry
    model.write(Cell(A, "FRY"), 3, 7)
    assert (model.word_at(Cell(B, "SHRIMP"), 3), model.word_at(Cell(C, "SHRIMP"), 3)) == (7, 0)


def test_of_the_page_that_the_first_ones_parent_shows_there_is_no_opinion():
    assert Model().word_at(Cell(0, "SHRIMP"), 0) is None


def test_an_orphan_keeps_the_page_of_a_parent_that_is_gone():
    model = after(FORK_B)
    page = model.processes[A].fry
    for op in (Op(A, Do.EXIT), Op(0, Do.WAIT)):
        bury(model, op)
    assert A not in model.processes and model.processes[B].parent == INIT
    assert model.processes[B].shrimp is page and model.beyond(Cell(B, "SHRIMP")) == "orphan"


def test_who_has_exited_can_be_killed_again_and_its_status_is_known_and_no_other():
    model = after(FORK_B, Op(B, Do.EXIT))
    assert model.can(Op(0, Do.KILL, B)) and not model.can(Op(0, Do.KILL_RUNNING, B))
    bury(model, Op(0, Do.KILL, B))
    assert model.processes[B].is_zombie and model.processes[B].status == STATUS
    assert after(FORK_B, Op(0, Do.KILL, B)).processes[B].status is after(FORK_B, Op(B, Do.FAULT)).processes[B].status is None


def test_what_is_played_on_several_harts_can_be_played_and_comes_after_the_rest():
    assert all(play(ops) is not None for ops in on_several_harts()) and len(on_several_harts()) > 1
    noted = Divergence(Differs.MISSING, (START,), Cell(A, "SHRIMP"), "at-once")
    other = Divergence(Differs.SEEN, (START,), Cell(A, "FRY"))
    both = Played(3, 20, None, (noted,)).then(Played(1, 5, other, (noted,), 1))
    assert both == Played(4, 25, other, (noted,), 1)


def test_what_exec_keeps_goes_beyond_the_handout_but_for_children_forked_since():
    model = after(FORK_B, Op(A, Do.EXEC), Op(A, Do.FORK, C))
    assert [model.beyond(Cell(one, "SHRIMP")) for one in (B, C)] == ["exec", None]
    assert model.beyond(Cell(A, "FRY")) == "exec" and model.beyond(Cell(0, "FRY")) is None


@pytest.mark.parametrize("op,fits", [
    (Op(B, Do.WAIT), True), (Op(A, Do.WAIT), False), (Op(0, Do.EXIT), False), (Op(1, Do.FORK, 9), False), (Op(0, Do.KILL, 1), False),
    (Op(A, Do.KILL, A), False), (Op(B, Do.SBRK, -1), False), (Op(B, Do.SBRK, -(1 << 30)), True), (Op(0, Do.SBRK, 1), False),
    (Op(A, Do.DISPERSE), False), (Op(9, Do.EXEC), False), (Op(A, Do.CHURN, 9), False), (Op(B, Do.CHURN, 9), True), (Op(B, Do.CHAIN, 9), True),
    (Op(0, Do.KILL_WAITING, A), True), (Op(0, Do.KILL_WAITING, B), False), (Op(0, Do.KILL_RUNNING, B), True), (Op(0, Do.KILL, 9), False),
    (Op(0, Do.READ_FILE, 0, "FRY"), False)])
def test_who_is_told_lives_and_nobody_waits_for_ever(op, fits):
    assert after(FORK_B).can(op) is fits


@pytest.mark.parametrize("most", [2, 3])
def test_every_operation_is_played_in_every_state(most):
    found = covering(most)
    wanted, todo = set(), [(START,)]
    while todo:     # by brute force: all sequences, until no state is new
        path = todo.pop(0)
        model = play(path)
        for op in moves(model, most):
            if (model.shape(), op.do) not in wanted:
                wanted.add((model.shape(), op.do))
                if play(path + (op,)) is not None:
                    todo.append(path + (op,))
    played = set()
    for ops in found:
        model = Model()
        for op in ops:
            played.add((model.shape(), op.do))
            bury(model, op)
    assert wanted <= played
    assert not any(one != other and other[:len(one)] == one for one in found for other in found), "none is the beginning of another"


def test_what_other_sequences_do_is_not_done_again_and_nothing_is_lost():
    others = [one.ops for one in borders()]
    left = covering(2, others)

    def steps(sequences):
        found = set()
        for ops in sequences:
            model = Model()
            for op in ops:
                found.add((model.shape(), op.do))
                bury(model, op)
        return found
    assert steps(left + others) >= steps(covering(2)) and sum(map(len, left)) < sum(map(len, covering(2)))
    assert covering(2, covering(2)) == []


def test_pairs_are_more_and_what_a_seed_draws_is_drawn_again():
    assert len(pairs(2)) > len(covering(2)) > 5
    assert list(random_ones("x", 3, 20, 4)) == list(random_ones("x", 3, 20, 4)) != list(random_ones("y", 3, 20, 4))
    assert all(play(ops) is not None and len(ops) == 20 for ops in random_ones("x", 50, 20, 4))


def test_what_a_seed_draws_is_every_operation_but_those_that_take_long_and_there_is_one_crowd():
    drawn = [op for ops in random_ones("x", 200, 40, 4) for op in ops]
    assert {op.do for op in drawn} == set(Do) - SHM - {Do.FORK_HUNGRY, Do.EXEC_HUNGRY}
    assert {op.actor for op in drawn if op.do is Do.KILL} > {0}, "anybody kills"
    model = after(FORK_B, Op(A, Do.CROWD, 3))
    assert not any(model.can(Op(B, do, 1)) for do in (Do.CROWD, Do.CHAIN)) and model.can(Op(B, Do.READ, 0, "FRY"))


def test_shorter_sequences_can_be_played_and_are_shorter():
    for ops in [one.ops for one in borders()] + covering(3):
        for one in shorter(ops):
            assert len(one) < len(ops) and play(one) is not None
    long = (START, FORK_B, Op(B, Do.EXEC), Op(B, Do.EXEC), Op(B, Do.FORK, C))
    assert (START, Op(A, Do.EXEC), Op(A, Do.EXEC), Op(A, Do.FORK, B)) in shorter(long), "an older process may do it"


def test_a_divergence_goes_to_json_and_back():
    one = Divergence(Differs.CONTENT, (START, FORK_B), Cell(B, "SHRIMP"), "zeroed", expected=0, seen=5, index=3)
    assert decode(Divergence, encode(one)) == one


GET, ATTACH, READ_ONLY = Op(A, Do.SHM_GET, 1), Op(A, Do.SHM_ATTACH, 1), Op(A, Do.SHM_ATTACH_READ, 1)


def test_a_child_has_its_parents_attachments_and_exec_and_exit_detach():
    model = after(GET, ATTACH, FORK_B, Op(B, Do.FORK, C))
    mine, its = (model.cells(one)[2:] for one in (A, C))
    assert [model.page(one) for one in mine] == [model.page(one) for one in its] and len(mine) == 2
    model.write(its[1], 7, 5)
    assert model.word_at(mine[1], 7) == 5 and model.word_at(mine[0], 7) == 0
    for op in (Op(C, Do.EXEC), Op(B, Do.EXIT)):
        bury(model, op)
    assert [len(model.processes[one].attached) for one in (A, B, C)] == [1, 0, 0]


def test_a_removed_segment_loses_its_key_at_once_and_goes_with_the_last_that_detaches():
    model = after(GET, ATTACH, FORK_B, Op(B, Do.SHM_REMOVE, 1))
    assert not model.succeeds(Op(A, Do.SHM_FIND, 1)) and 1 in model.segments
    for op in (Op(A, Do.SHM_DETACH, 1), Op(B, Do.EXIT)):
        assert 1 in model.segments
        bury(model, op)
    assert not model.segments and model.can(ATTACH) and not model.succeeds(ATTACH)


@pytest.mark.parametrize("before,op,fits", [
    ((), GET, True), ((GET,), GET, False), ((), ATTACH, False), ((GET,), Op(0, Do.SHM_ATTACH, 1), False), ((GET,), Op(0, Do.SHM_REMOVE, 1), True),
    ((GET, ATTACH, Op(A, Do.SHM_REMOVE, 1)), ATTACH, False), ((GET, ATTACH, Op(A, Do.SHM_REMOVE, 1)), Op(A, Do.SHM_REMOVE, 1), False),
    ((GET,), Op(A, Do.SHM_DETACH, 1), False), ((GET, ATTACH), Op(A, Do.SHM_VIOLATE, 1), False), ((GET, READ_ONLY), Op(A, Do.SHM_VIOLATE, 1), True),
    ((GET, *[ATTACH] * 4), ATTACH, False), ((GET, Op(A, Do.CROWD, 2), ATTACH), Op(A, Do.SHM_DETACH, 1), False),
    ((GET, ATTACH), Op(A, Do.CROWD, 2), False), ((GET, ATTACH), Op(A, Do.CHAIN, 2), False), ((GET, ATTACH), Op(A, Do.CHURN, 2), True)])
def test_of_what_posix_leaves_open_nothing_is_asked(before, op, fits):
    assert after(*before).can(op) is fits


# Mutants: kernels that are wrong, as models

class _CopiesAtFork(Model):
    def _fork(self, parent, number):
        super()._fork(parent, number)
        copy = Page()
        copy.words.update(parent.fry.words)
        self.processes[number].shrimp = copy


class _Grandparents(Model):
    def _fork(self, parent, number):
        super()._fork(parent, number)
        self.processes[number].shrimp = parent.shrimp or parent.fry


class _Inherits(Model):
    def _fork(self, parent, number):
        super()._fork(parent, number)
        self.processes[number].fry = parent.fry


class _FirstChildOnly(Model):
    def _fork(self, parent, number):
        had = bool(self.children(parent.number)) if self.processes else False
        super()._fork(parent, number)
        if had:
            self.processes[number].shrimp = Page()


class _ExecRenews(Model):
    def _exec(self, process):
        super()._exec(process)
        process.fry = Page()


class _ExecDropsShrimp(Model):
    def _exec(self, process):
        super()._exec(process)
        process.shrimp = None


class _ThirdExec(Model):
    """Keeps both pages twice."""

    def __init__(self):
        super().__init__()
        self.execs = {}

    def _exec(self, process):
        super()._exec(process)
        self.execs[process] = self.execs.get(process, 0) + 1
        if self.execs[process] == 3:
            process.fry = Page()


class _Zeroes(Model):
    """exec makes the page zero again."""

    def _exec(self, process):
        super()._exec(process)
        process.fry.words.clear()


class _OrphanGetsAnother(Model):
    def _exit(self, process):
        mine = self.children(process.number)
        super()._exit(process)
        for child in mine:
            child.shrimp = Page()


class _OrphanLoses(Model):
    def _exit(self, process):
        mine = self.children(process.number)
        super()._exit(process)
        for child in mine:
            child.shrimp = None


class _OrphanExecs(Model):
    def _exec(self, process):
        super()._exec(process)
        if process.parent == INIT and process.number:
            process.shrimp = None


class _NinthChild(Model):
    """Of a process that has had eight children the next sees nothing."""

    def __init__(self):
        self.n = {}
        super().__init__()

    def _fork(self, parent, number):
        super()._fork(parent, number)
        self.n[parent] = self.n.get(parent, 0) + 1
        if self.n[parent] > 8:
            self.processes[number].shrimp = None


class _ExitSoils(Model):
    def _exit(self, process: Process):
        super()._exit(process)
        if process.shrimp is not None:
            process.shrimp.words[0] = 1


class _SixteenthExec(_ThirdExec):
    """Keeps both pages fifteen times."""

    def _exec(self, process):
        Model._exec(self, process)
        self.execs[process] = self.execs.get(process, 0) + 1
        if self.execs[process] == 16:
            process.fry.words.clear()


class _OrphansExecCopies(Model):
    """exec gives an orphan a copy: seen only where another has the page, too."""

    def _exec(self, process):
        super()._exec(process)
        if process.parent == INIT and process.shrimp:
            copy = Page()
            copy.words.update(process.shrimp.words)
            process.shrimp = copy


class _KillOfAZombieClears(Model):
    def do(self, op):
        if op.do is Do.KILL and not self.is_alive(op.n):
            self.processes[op.n].shrimp.words.clear()
        return super().do(op)


class _WhoWaitsForgets(Model):
    """A parent that waits already when its child exits loses what is in its page."""

    def do(self, op):
        if op.do is Do.EXIT_AWAITED:
            self.processes[self.processes[op.actor].parent].fry.words.clear()
        return super().do(op)


class _KilledWaiterClears(Model):
    def do(self, op):
        if op.do is Do.KILL_WAITING:
            self.processes[op.n].fry.words.clear()
        return super().do(op)


class _KeyStays(Model):
    def succeeds(self, op):
        return super().succeeds(op) or op.do is Do.SHM_FIND and op.n in self.segments


class _RemovedAtOnce(Model):
    def _share(self, op, actor):
        super()._share(op, actor)
        if op.do is Do.SHM_REMOVE:
            self.segments.pop(op.n, None)
            for process in self.processes.values():
                for one in process.attached:
                    if one.segment.removed:
                        one.segment.pages = tuple(Page() for _ in one.segment.pages)


class _ForkDoesNotInherit(Model):
    def _fork(self, parent, number):
        super()._fork(parent, number)
        self.processes[number].attached = []


class _ForkCopiesSegments(Model):
    def _fork(self, parent, number):
        super()._fork(parent, number)
        self.processes[number].attached = [Attachment(one.number, Segment(one.segment.number), one.writable) for one in parent.attached]


class _ForkGivesW(Model):
    def _fork(self, parent, number):
        super()._fork(parent, number)
        self.processes[number].attached = [Attachment(one.number, one.segment, True) for one in parent.attached]


class _ExecKeepsSegments(Model):
    def _exec(self, process):
        had = list(process.attached)
        super()._exec(process)
        process.attached = had


class _ExitDoesNotDetach(Model):
    def _exit(self, process):
        had = list(process.attached)
        super()._exit(process)
        process.attached = had
        for one in had:
            self.segments[one.segment.number] = one.segment


class _ForkDoesNotCount(Model):
    """The last that has attached it itself takes a removed segment away."""

    def _settle(self):
        for number, segment in list(self.segments.items()):
            have = [one for process in self.processes.values() for one in process.attached if one.segment is segment]
            if segment.removed and len({one.number for one in have}) == len(have) == 1:
                segment.pages = tuple(Page() for _ in segment.pages)
        super()._settle()


class _ReadOnlyIsNot(Model):
    def may_write(self, cell):
        return True

    def succeeds(self, op):
        return super().succeeds(op) or op.do is Do.SHM_READ


class _SecondIsTheFirst(Model):
    def _share(self, op, actor):
        super()._share(op, actor)
        if op.do is Do.SHM_GET:
            self.segments[op.n] = next(iter(self.segments.values()))


class _DetachesAll(Model):
    def _share(self, op, actor):
        if op.do is Do.SHM_DETACH:
            self._detach(actor, [one for one in actor.attached if one.segment.number == op.n])
        else:
            super()._share(op, actor)


class _DetachesInside(Model):
    def succeeds(self, op):
        return super().succeeds(op) or op.do is Do.SHM_DETACH_INSIDE


class _AttachesAnother(Model):
    def _share(self, op, actor):
        super()._share(op, actor)
        if op.do in (Do.SHM_ATTACH, Do.SHM_ATTACH_READ):
            last = actor.attached[-1]
            last.segment = Segment(last.segment.number)


class _LosesOnceNobodyHasIt(Model):
    """A segment that nobody has attached is begun anew."""

    def _settle(self):
        super()._settle()
        used = [one.segment for process in self.processes.values() for one in process.attached]
        for number, segment in self.segments.items():
            if segment not in used:
                segment.pages = tuple(Page() for _ in segment.pages)


class _CountsProcesses(Model):
    def n_attached(self, segment):
        return sum(process.attachment(segment) is not None for process in self.processes.values())


class _DoesNotCountWhatIsInherited(Model):
    def n_attached(self, segment):
        return len({one.number for process in self.processes.values() for one in process.attached if one.segment.number == segment})


class _CountsOn(Model):
    """Who ends without shmdt stays counted."""

    def __init__(self):
        self.left = []
        super().__init__()

    def _exit(self, process):
        self.left += process.attached
        super()._exit(process)

    def n_attached(self, segment):
        return super().n_attached(segment) + sum(one.segment.number == segment for one in self.left)


class _ExecCountsOn(_CountsOn):
    def _exit(self, process):
        Model._exit(self, process)

    def _exec(self, process):
        self.left += process.attached
        super()._exec(process)


SHARING_MUTANTS = [_CountsProcesses, _DoesNotCountWhatIsInherited, _CountsOn, _ExecCountsOn, _KeyStays, _RemovedAtOnce, _ForkDoesNotInherit,
                   _ForkCopiesSegments, _ForkGivesW, _ExecKeepsSegments, _ExitDoesNotDetach, _ForkDoesNotCount, _ReadOnlyIsNot,
                   _SecondIsTheFirst, _DetachesAll, _DetachesInside, _AttachesAnother, _LosesOnceNobodyHasIt]

MUTANTS = [_CopiesAtFork, _Grandparents, _Inherits, _FirstChildOnly, _ExecRenews, _ExecDropsShrimp, _ThirdExec, _Zeroes,
           _OrphanGetsAnother, _OrphanLoses, _OrphanExecs, _NinthChild, _ExitSoils, _SixteenthExec, _OrphansExecCopies,
           _KillOfAZombieClears, _KilledWaiterClears, _WhoWaitsForgets]


def differs(mutant, sequences):
    """The first sequence after one of whose operations the two say other things, after that many operations; or None."""
    for ops in sequences:
        one, other = Model(), mutant()
        for n, op in enumerate(ops, 1):
            if op.do in SHM and one.succeeds(op) is not other.succeeds(op):
                return ops[:n]
            for model in (one, other):
                bury(model, op)
            if _seen(one) != _seen(other):
                return ops[:n]
            for process in one.living():
                for at, cell in enumerate(one.cells(process.number)):
                    for model in (one, other):
                        model.write(cell, 32 + 4 * process.number + (ORDER.index(cell.page) if cell.page else at), 1000 * n + process.number)
            if _seen(one) != _seen(other):
                return ops[:n]
    return None


def _seen(model):
    cells = [cell for process in model.living() for cell in model.cells(process.number)]
    counts = [model.n_attached(number) for number in sorted(model.segments)]
    return (sorted(map(repr, cells)), sorted(map(repr, model.pages().values())), counts, [model.may_write(cell) for cell in cells],
            [[model.word_at(cell, at) for at in range(128)] for cell in cells])


@pytest.mark.parametrize("mutant", SHARING_MUTANTS)
def test_a_mutant_of_what_is_said_of_segments_is_killed_by_what_check_plays(mutant):
    assert differs(mutant, [one.ops for one in sharing()]) is not None
    assert differs(mutant, [one.ops for one in borders()]) is None, "it is about nothing else"


def test_what_is_played_of_segments_can_be_played_in_each_state_and_cut_shorter():
    for ops in [one.ops for one in sharing()] + sharing_covered(1) + list(random_ones("x", 20, 40, 4, shared=True)):
        assert play(ops) is not None and any(op.do in SHM for op in ops)
        assert all(play(one) is not None for one in shorter(ops))
    assert {op.do for ops in sharing_covered(1) for op in ops} >= SHM
    assert {op.do for one in sharing() for op in one.ops} >= SHM
    assert differs(Model, [one.ops for one in sharing()] + sharing_covered(1)) is None


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_mutant_is_killed(mutant):
    assert differs(mutant, [one.ops for one in borders()] + covering(3)) is not None


def test_the_model_itself_is_not():
    assert differs(Model, [one.ops for one in borders()] + covering(3)) is None
    assert replace(START, n=3).n == 3


def test_the_documentation_has_each_promise_and_where_it_is_kept():
    text = (Path(__file__).resolve().parents[2] / "docs/specification.md").read_text()
    assert promises.table() in text
    assert all(hasattr(Model, name) for one in promises.PROMISES for name in one.model)
    assert {do for one in promises.PROMISES for do in one.operations} == set(Do)
    assert {rule for one in promises.PROMISES for rule in one.rules} <= {rule.id for rule in RULES} | {"satp-is-root"}

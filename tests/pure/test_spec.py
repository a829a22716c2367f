"""The specification: what it says of small families, what is played, and that what is played kills each mutant of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from shrimpy.records import decode, encode
from shrimpy.rules import RULES
from shrimpy.spec import (
    INIT, ORDER, Cell, Differs, Divergence, Do, Model, Op, Page, Process, borders, covering, pairs, random_ones)
from shrimpy.spec import promises
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


def test_what_exec_keeps_goes_beyond_the_handout_but_for_children_forked_since():
    model = after(FORK_B, Op(A, Do.EXEC), Op(A, Do.FORK, C))
    assert [model.beyond(Cell(one, "SHRIMP")) for one in (B, C)] == ["exec", None]
    assert model.beyond(Cell(A, "FRY")) == "exec" and model.beyond(Cell(0, "FRY")) is None


@pytest.mark.parametrize("op,fits", [
    (Op(B, Do.WAIT), True), (Op(A, Do.WAIT), False), (Op(0, Do.EXIT), False), (Op(1, Do.FORK, 9), False), (Op(0, Do.KILL, 1), False),
    (Op(A, Do.KILL, A), False), (Op(B, Do.SBRK, -1), False), (Op(B, Do.SBRK, -(1 << 30)), True), (Op(0, Do.SBRK, 1), False),
    (Op(A, Do.DISPERSE), False), (Op(9, Do.EXEC), False)])
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


def test_pairs_are_more_and_what_a_seed_draws_is_drawn_again():
    assert len(pairs(2)) > len(covering(2)) > 5
    assert list(random_ones("x", 3, 20, 4)) == list(random_ones("x", 3, 20, 4)) != list(random_ones("y", 3, 20, 4))
    assert all(play(ops) is not None and len(ops) == 20 for ops in random_ones("x", 50, 20, 4))


def test_shorter_sequences_can_be_played_and_are_shorter():
    for ops in [one.ops for one in borders()] + covering(3):
        for one in shorter(ops):
            assert len(one) < len(ops) and play(one) is not None
    long = (START, FORK_B, Op(B, Do.EXEC), Op(B, Do.EXEC), Op(B, Do.FORK, C))
    assert (START, Op(A, Do.EXEC), Op(A, Do.EXEC), Op(A, Do.FORK, B)) in shorter(long), "an older process may do it"


def test_a_divergence_goes_to_json_and_back():
    one = Divergence(Differs.CONTENT, (START, FORK_B), Cell(B, "SHRIMP"), "zeroed", expected=0, seen=5, index=3)
    assert decode(Divergence, encode(one)) == one


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


MUTANTS = [_CopiesAtFork, _Grandparents, _Inherits, _FirstChildOnly, _ExecRenews, _ExecDropsShrimp, _ThirdExec, _Zeroes,
           _OrphanGetsAnother, _OrphanLoses, _OrphanExecs, _NinthChild, _ExitSoils]


def differs(mutant, sequences):
    """The first sequence after one of whose operations the two say other things, after that many operations; or None."""
    for ops in sequences:
        one, other = Model(), mutant()
        for n, op in enumerate(ops, 1):
            for model in (one, other):
                bury(model, op)
            for process in one.living():
                for name in ORDER:
                    for model in (one, other):
                        model.write(Cell(process.number, name), 32 + 4 * process.number + ORDER.index(name), 1000 * n + process.number)
            if _seen(one) != _seen(other):
                return ops[:n]
    return None


def _seen(model):
    cells = [Cell(process.number, name) for process in model.living() for name in ORDER if process.page(name) is not None]
    return (sorted(map(repr, cells)), sorted(map(repr, model.pages().values())),
            [[model.word_at(cell, at) for at in range(128)] for cell in cells])


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

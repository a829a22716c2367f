"""Whom a story of the player accuses: the function of its last operation, or nobody where an earlier one may be to blame."""

import pytest
from machine import family
from shrimpy.rules import FAIL, Known, evaluate
from shrimpy.spec import Cell, Differs, Divergence, Do, Op, Played

START, CHILD = Op(0, Do.FORK, 2), Op(2, Do.FORK, 3)
CONTENT, FRY = Differs.CONTENT, Cell(2, "FRY")


def accused(what, *ops, cell=None, **more):
    played = Played(1, len(ops), Divergence(what, ops, cell, seen=1, expected=0, index=0, **more))
    [verdict] = [v for v in evaluate(family().snapshot(), known=Known(played=played)) if v.rule == "specification" and v.status == FAIL]
    return verdict.function


@pytest.mark.parametrize("what,ops,function", [
    (Differs.MOVED, [START, Op(2, Do.EXEC)], "exec"), (Differs.MOVED, [START, Op(2, Do.EXEC), Op(2, Do.EXEC)], "exec"),
    (CONTENT, [START, Op(2, Do.READ, 3, "FRY")], "copyout"), (Differs.MISSING, [START, CHILD, Op(2, Do.EXIT)], "exit"),
    (Differs.CROWD, [START, Op(2, Do.CROWD, 7)], "fork"), (Differs.PANICKED, [START, Op(2, Do.EXEC_HUNGRY)], "exec")])
def test_what_comes_after_forks_or_its_like_is_the_last_operation_s(what, ops, function):
    assert accused(what, *ops, cell=FRY) == function


@pytest.mark.parametrize("what,ops", [
    (Differs.PANICKED, [START, CHILD, Op(3, Do.EXIT), Op(2, Do.WAIT)]), (CONTENT, [START, Op(2, Do.EXEC_FAILS), Op(0, Do.WAIT)]),
    (Differs.ANSWER, [START, Op(2, Do.SBRK, 4096), CHILD]), (CONTENT, [START, Op(0, Do.KILL, 2)]),
    (Differs.ANSWER, [START, Op(2, Do.EXEC), Op(2, Do.EXEC, 3)]),
    (CONTENT, [START, CHILD, Op(2, Do.EXIT), Op(3, Do.EXIT)]), (Differs.ANSWER, [START, Op(2, Do.WRITE, 3, "FRY")])])
def test_what_an_earlier_operation_may_have_left_behind_accuses_nobody(what, ops):
    assert accused(what, *ops, cell=FRY) is None


def test_a_new_process_s_own_page_is_of_who_makes_it_and_what_fork_does_to_another_is_fork_s():
    assert accused(Differs.MISSING, START, cell=FRY) == accused(CONTENT, START, cell=FRY) == "allocproc"
    assert accused(Differs.FLAGS, START, cell=FRY) == "proc_pagetable"
    assert accused(CONTENT, START, CHILD, cell=FRY, written=True) == accused(Differs.MOVED, START, CHILD, cell=FRY) == "fork"
    assert accused(Differs.MISSING, START, cell=Cell(2, "SHRIMP")) == "fork"


def test_tables_that_were_there_before_the_first_operation_are_nobody_s():
    for what in (Differs.MISSING, Differs.NOT_SHARED):
        assert accused(what, START, cell=Cell(0, "SHRIMP")) is None and accused(what, START, CHILD, cell=Cell(2, "SHRIMP")) == "fork"


def test_what_user_code_alone_sees_is_no_operation_s_but_a_system_call_s():
    assert accused(Differs.SEEN, START, CHILD, cell=Cell(3, "SHRIMP")) is None
    assert accused(Differs.SEEN, START, Op(2, Do.WRITE, 3, "FRY"), cell=FRY) == "copyin"


def test_a_hart_with_other_tables_is_the_way_back_to_user_mode_s():
    assert accused(Differs.SATP, START, CHILD, cell=FRY) == "usertrapret"


def test_frames_that_are_lost_when_all_have_exited():
    for ops in ([START], [START, Op(2, Do.CROWD, 9)], [START, Op(2, Do.EXEC_HUNGRY)]):     # in something that frees, or in what fails
        assert accused(Differs.LEAK, *ops) is None
    assert accused(Differs.LEAK, START, Op(2, Do.EXEC)) == accused(Differs.LEAK, START, Op(2, Do.EXEC_FAILS, 2)) == "exec"
    assert accused(Differs.LEAK, START, CHILD) is None      # an orphan's, a zombie's, or a parent's

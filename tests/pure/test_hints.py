"""A hint is right or absent: what a failure expects and whom it accuses leads to no other mistake."""

import pytest
from judging import failed_rules, failure, kinds, statuses
from machine import FRY, PAGE, SHRIMP, Machine, R, U, W, family
from shrimpy.reasons import Kind, Named, Reason
from shrimpy.rules import FAIL, PASS, SKIPPED, Known, evaluate
from shrimpy.spec import Cell, Differs, Divergence, Do, Op, Played

INIT, PARENT = Named(1, "init"), Named(3, "shrimpdemo")


def told(v):
    """All that a person reads of a verdict."""
    return " ".join(filter(None, (v.why, v.expected, v.actual, v.explanation)))


def bereaved():
    """A family whose parent has exited, its page kept; and the snapshot from before."""
    m = family()
    before = m.snapshot()
    m.exits(m.processes[3])
    return m, before


def drop(m, p, va):
    m.free(m.unmap(p.root, va))


def has_init_s_page(verdict, m):
    return f"{m.processes[1].fry:#x}" in told(verdict)


# shrimp-pair

def test_an_orphan_that_lost_its_page_is_told_of_the_frame_it_had_and_of_the_parent_s_exit():
    m, before = bereaved()
    had = m.processes[4].shrimp
    drop(m, m.processes[4], SHRIMP)
    v = failure(m.snapshot(), "shrimp-pair", before)
    assert (v.pid, v.function) == (4, "exit")
    assert v.reason == Reason(Kind.SHRIMP_LOST, wanted=had, process=INIT, other=PARENT)
    assert not has_init_s_page(v, m) and "reparent" in v.explanation


def test_a_page_that_was_right_before_an_operation_that_maps_none_is_not_put_to_fork():
    """wait that takes it from all children, say: none of them shows that it was right at first."""
    m = family()
    for child in (one for one in m.processes.values() if one.pid > 3):
        drop(m, child, SHRIMP)
    for last, function in ((Op(2, Do.WAIT), None), (Op(2, Do.FORK, 4), "fork")):
        played = Played(1, 2, Divergence(Differs.MISSING, (Op(0, Do.FORK, 2), last), Cell(3, "SHRIMP")))
        assert {one.function for one in evaluate(m.snapshot(), known=Known(played=played)) if (one.status, one.rule) == (FAIL, "shrimp-pair")} == {
            function}


def test_who_may_be_an_orphan_and_has_no_page_is_never_promised_the_first_process_s():
    m, _ = bereaved()
    drop(m, m.processes[4], SHRIMP)
    v = failure(m.snapshot(), "shrimp-pair")
    assert (v.pid, v.function, v.reason.wanted) == (4, None, None) and not has_init_s_page(v, m)


def test_an_orphan_whose_frame_is_a_stranger_s_fry_is_not_promised_the_first_process_s():
    m, _ = bereaved()
    stranger = m.process(6, m.processes[2])
    m.map(stranger.root, FRY, m.processes[4].shrimp, R | W | U)
    v = failure(m.snapshot(), "shrimp-pair")
    assert v.reason.kind == Kind.SHRIMP_OF_ANOTHER and v.reason.wanted is None and v.function is None
    assert not has_init_s_page(v, m)


def test_a_known_orphan_s_reused_frame_is_orphan_alive_s_to_tell():
    m, before = bereaved()
    stranger = m.process(6, m.processes[2])
    m.map(stranger.root, FRY, m.processes[4].shrimp, R | W | U)
    assert "shrimp-pair" not in failed_rules(m.snapshot(), before) and "orphan-alive" in failed_rules(m.snapshot(), before)


def test_the_shell_which_nobody_can_have_orphaned_is_told_of_the_first_process_s_page():
    m = family()
    drop(m, m.processes[2], SHRIMP)
    v = failure(m.snapshot(), "shrimp-pair")
    assert (v.pid, v.function, v.reason.wanted) == (2, "exec", m.processes[1].fry)


@pytest.mark.parametrize("va, rule, broken, guilty", [
    (SHRIMP, "shrimp-pair", (2, 3), "exec"), (SHRIMP, "shrimp-pair", (2, 3, 4, 5), "fork"), (SHRIMP, "shrimp-flags", (2, 3), "exec"),
    (SHRIMP, "shrimp-flags", (2, 4), "fork")])
def test_exec_is_blamed_where_those_that_have_not_called_it_are_right(va, rule, broken, guilty):
    """sh and pid 3 have names that their parents do not have; pids 4 and 5 are forked only."""
    m = family()
    for pid in broken:
        p = m.processes[pid]
        m.map(p.root, va, m.alloc() if rule == "shrimp-pair" else p.shrimp, R | U | (W if rule == "shrimp-pair" else 0))
    v = failure(m.snapshot(), rule)
    assert (v.pid, v.function) == (2, guilty) and (rule != "shrimp-pair" or v.reason.function == guilty)


def test_nobody_is_blamed_where_all_have_called_exec():
    m = Machine()
    sh = m.process(2, m.process(1, None, "init"), "sh")
    m.map(sh.root, SHRIMP, m.alloc(), R | W | U)
    v = failure(m.snapshot(), "shrimp-pair")
    assert v.function is None and "fork" in v.explanation and "exec" in v.explanation


def test_a_child_whose_parent_s_fry_has_moved_is_not_fork_s():
    m = family()
    before = m.snapshot()
    p = m.processes[3]
    new, root = m.alloc(), m.alloc()
    m.free(m.unmap(p.root, FRY))
    m.map(p.root, FRY, new, R | W | U)
    m.ram[root - 0x80000000:root - 0x80000000 + PAGE] = m.ram[p.root - 0x80000000:p.root - 0x80000000 + PAGE]
    m.field(p, "pagetable", root)
    m.free(p.root)
    v = failure(m.snapshot(), "shrimp-pair", before)
    assert (v.pid, v.function, v.reason.detail) == (4, "exec", "FRY moved") and "fork" not in v.explanation


# count-matches

def test_a_count_that_lacks_each_child_is_fork_s_and_any_other_is_not():
    m = family()
    for p in m.processes.values():
        m.refs[p.fry] = 1
    assert failure(m.snapshot(), "count-matches").function == "fork"
    m = family()
    for change in (-1, 2):              # of two children's
        m.refs[m.processes[3].fry] += change
        assert failure(m.snapshot(), "count-matches").function is None


# frames-conserved

def test_who_lost_a_frame_is_told_by_what_became_of_its_owner():
    def guilty(lose):
        m = family()
        before = m.snapshot()
        lose(m, m.processes[5])
        return failure(m.snapshot(), "frames-conserved", before).function

    def ends(m, p):
        m.refs[p.fry] += 1
        m.exits(p)

    def all_end(m, p):
        ends(m, m.processes[4])
        ends(m, p)

    def runs_exec(m, p):
        m.unmap(p.root, 0)
        new = m.alloc()
        m.ram[new - 0x80000000:new - 0x80000000 + PAGE] = m.ram[p.root - 0x80000000:p.root - 0x80000000 + PAGE]
        m.field(p, "pagetable", new)
        m.free(p.root)
    assert [guilty(one) for one in (all_end, ends, runs_exec, lambda m, p: m.unmap(p.root, 0), lambda m, p: m.alloc())] == [
        "freeproc", None, "exec", None, None]


def test_who_ended_while_another_gave_its_page_back_is_not_said_to_have_been_freed_wrongly():
    m = family()
    before = m.snapshot()
    m.refs[m.processes[5].fry] += 1
    for pid in (4, 5):
        m.exits(m.processes[pid])
    assert failure(m.snapshot(), "frames-conserved", before).function is None


# exec-keeps

def test_a_page_lost_with_the_parent_is_exit_s_and_nobody_speaks_of_exec():
    m, before = bereaved()
    p = m.processes[4]
    drop(m, p, SHRIMP)
    m.refs[m.processes[1].fry] += 1
    m.map(p.root, SHRIMP, m.processes[1].fry, R | W | U)
    v = failure(m.snapshot(), "exec-keeps", before)
    assert (v.pid, v.function, v.reason.other) == (4, "exit", PARENT)
    assert "exec" not in v.explanation


def test_a_page_that_exec_s_new_table_lacks_is_exec_s():
    m = family()
    before = m.snapshot()
    p = m.processes[4]
    drop(m, p, SHRIMP)
    new = m.alloc()
    m.ram[new - 0x80000000:new - 0x80000000 + PAGE] = m.ram[p.root - 0x80000000:p.root - 0x80000000 + PAGE]
    m.field(p, "pagetable", new)
    m.free(p.root)
    v = failure(m.snapshot(), "exec-keeps", before)
    assert (v.pid, v.function, v.reason.is_new_table) == (4, "exec", True) and "exec" in v.explanation


def test_a_fry_that_changed_at_a_fork_is_fork_s():
    m = family()
    before = m.snapshot()
    p = m.processes[4]
    p.fry = m.renew_fry(p)
    m.process(6, p, "shrimpdemo")
    v = failure(m.snapshot(), "exec-keeps", before)
    assert (v.pid, v.function, v.reason.processes) == (4, "fork", (Named(6, "shrimpdemo"),)) and "exec" not in v.explanation


def test_a_page_that_changed_without_anything_known_accuses_no_function():
    m = family()
    before = m.snapshot()
    p = m.processes[4]
    m.renew_fry(p)
    assert failure(m.snapshot(), "exec-keeps", before).function is None


# fry-zeroed

@pytest.mark.parametrize("other", ["trapframe", "memory", "free"])
def test_a_page_that_somebody_else_has_is_not_said_to_want_a_memset(other):
    m = family()
    p, q = m.processes[5], m.processes[4]
    m.state(p, "RUNNABLE", ["forkret"])
    if other == "trapframe":
        m.field(q, "trapframe", p.fry)
    elif other == "memory":
        m.map(q.root, 5 * PAGE, p.fry, R | W | U)
    else:
        m.available.append(p.fry)
    m.write_free_list()
    m.put(p.fry + PAGE - 8, 1)
    snapshot = m.look()
    assert Kind.MAYBE_ANOTHERS in kinds(snapshot, "fry-zeroed") and "fry-zeroed" not in failed_rules(snapshot)
    assert ("not-on-free-list" if other == "free" else "fry-private") in failed_rules(snapshot)


def test_a_page_of_its_own_that_is_not_zeroed_still_fails():
    m = family()
    p = m.processes[5]
    m.state(p, "RUNNABLE", ["forkret"])
    m.put(p.fry + PAGE - 8, 1)
    assert (failure(m.snapshot(), "fry-zeroed").pid, failure(m.snapshot(), "fry-zeroed").function) == (5, "allocproc")


# fry-private

@pytest.mark.parametrize("kind", ["trapframe", "table", "user", "kstack"])
def test_fry_that_is_something_else_of_somebody_is_not_private(kind):
    m = family()
    p, q = m.processes[5], m.processes[4]
    if kind == "trapframe":
        m.map(q.root, 0x3FFFFFE000, p.fry, R | W)
    elif kind == "table":
        m.put(q.root + 8 * 100, p.fry >> 2 | 1)
    elif kind == "user":
        m.map(q.root, 7 * PAGE, p.fry, R | W | U)
    else:
        m.map(m.kernel_root, q.kstack, p.fry, R | W)
    v = failure(m.snapshot(), "fry-private")
    assert (v.pid, v.reason.kind, v.function) == (5, Kind.FRY_USED_BY_OTHERS, None)
    assert [(u.kind, u.process.pid) for u in v.reason.users] == [(kind, 4)]
    assert "allocproc" not in v.explanation


def test_fry_that_is_shrimp_of_children_is_private():
    assert set(statuses(family().snapshot(), "fry-private")) == {PASS}


def test_how_two_came_to_have_one_fry_is_told_where_it_shows():
    def how(share, previous=True):
        m = family()
        before = m.snapshot() if previous else None
        share(m)
        v = failure(m.snapshot(), "fry-private", before)
        return v.reason.detail, v.function

    def take(*pids):
        def share(m):
            m.process(6, m.processes[2])
            for pid in pids:
                m.map(m.processes[pid].root, FRY, m.processes[5].fry, R | W | U)
        return share
    def hand_on(m):
        for pid in (4, 5):
            m.map(m.processes[pid].root, FRY, m.processes[3].fry, R | W | U)
    assert how(take(6)) == how(take(3)) == ("given again", None)
    assert how(take(6), previous=False) == how(take(3), previous=False) == (None, None)
    assert how(take(1, 2, 3, 4, 6)) == ("everybody's", None)
    assert how(hand_on) == how(hand_on, previous=False) == ("parent's", "fork")


@pytest.mark.parametrize("ended, guilty", [(False, None), (True, "freeproc")])
def test_who_freed_a_page_is_told_where_one_that_had_it_has_been_buried(ended, guilty):
    """It is the SHRIMP of a child that ends, or of one that lives on."""
    m = family()
    child = m.process(6, m.processes[5])
    before = m.snapshot()
    if ended:
        m.exits(child)
    m.map(m.process(7, m.processes[2]).root, FRY, m.processes[5].fry, R | W | U)
    v = failure(m.snapshot(), "fry-private", before)
    assert (v.reason.detail, v.function) == ("given again", guilty)


def test_a_page_that_one_of_several_lacks_may_have_been_there_and_nobody_is_accused():
    for va, rule, usual in ((SHRIMP, "shrimp-pair", "fork"), (FRY, "fry-flags", "proc_pagetable")):
        m = family()
        m.unmap(m.processes[4].root, va)
        assert failure(m.snapshot(), rule).function is None
        known = Known(can_run=frozenset((4,)))
        assert [v.function for v in evaluate(m.snapshot(), known=known) if (v.rule, v.status) == (rule, FAIL)] == [usual]
        m.unmap(m.processes[5].root, va)
        assert failure(m.snapshot(), rule).function == usual


def test_a_child_that_has_its_parent_s_shrimp_accuses_nobody_where_exec_may_have_swapped_the_parent_s_pages():
    m = family()
    for pid in (4, 5):
        m.map(m.processes[pid].root, SHRIMP, m.processes[3].shrimp, R | W | U)
    assert failure(m.snapshot(), "shrimp-pair").function is None


# orphan-alive

def test_an_orphan_without_its_page_is_not_denied():
    m, before = bereaved()
    for pid in (4, 5):
        drop(m, m.processes[pid], SHRIMP)
    for previous in (None, before):
        assert Kind.NO_ORPHAN not in kinds(m.snapshot(), "orphan-alive", previous)
        assert Kind.NO_SHRIMP in kinds(m.snapshot(), "orphan-alive", previous)


def test_an_orphan_that_got_the_first_process_s_page_is_not_denied():
    m, before = bereaved()
    for pid in (4, 5):
        drop(m, m.processes[pid], SHRIMP)
        m.refs[m.processes[1].fry] += 1
        m.map(m.processes[pid].root, SHRIMP, m.processes[1].fry, R | W | U)
    assert kinds(m.snapshot(), "orphan-alive", before) == {Kind.FIRSTS_PAGE}
    assert "orphan-alive" not in failed_rules(m.snapshot(), before)


# frames-return

def test_frames_did_not_return_where_some_have_no_owner_any_more():
    m = family()
    before = m.snapshot()
    m.alloc()
    [v] = [one for one in evaluate(m.snapshot(), before, Known(before=before)) if one.rule == "frames-return"]
    assert (v.status, v.reason) == (SKIPPED, Reason(Kind.OTHERS_LOST, n=1))
    assert FAIL in statuses(m.snapshot(), "frames-conserved", before)


# Nobody is accused of what anybody may have written

def test_a_child_s_page_that_its_parent_has_at_shrimp_was_put_there_by_fork():
    m = family()
    m.map(m.processes[1].root, SHRIMP, m.processes[2].fry, R | W | U)
    assert failure(m.snapshot(), "shrimp-pair").function == "fork"


def test_a_first_process_with_its_own_page_at_shrimp_was_made_so():
    m = family()
    m.map(m.processes[1].root, SHRIMP, m.processes[1].fry, R | W | U)
    assert failure(m.snapshot(), "shrimp-pair").function == "userinit"


def test_a_pair_whose_parent_maps_no_frame_at_all_accuses_nobody():
    m = family()
    m.map(m.processes[3].root, FRY, 0x1000, R | W | U)
    pair = next(v for v in evaluate(m.snapshot()) if v.rule == "shrimp-pair" and v.status == FAIL)
    assert pair.function is None and failure(m.snapshot(), "frame-in-ram").function == "mappages"


def test_what_is_in_a_table_that_is_somebody_else_s_too_accuses_nobody():
    m = family()
    m.map(m.processes[4].root, 0x4000, 0x1000, R | W | U)
    assert failure(m.snapshot(), "frame-in-ram").function == "mappages"
    m.map(m.processes[5].root, 0x8000, m.tables(m.processes[4].root)[-1], R | W | U)
    assert failure(m.snapshot(), "frame-in-ram").function is None


@pytest.mark.parametrize("in_use, again, guilty", [(False, True, "kfree"), (True, True, None), (False, False, None)])
def test_a_list_that_somebody_has_written_into_accuses_nobody(in_use, again, guilty):
    m = family()
    if in_use:
        m.map(m.processes[4].root, 0x1000, m.available[-1], R | W | U)
    m.write_free_list()
    m.put(m.available[-3], m.available[-1] if again else 0x1000)
    assert failure(m.look(), "free-list-sound").function == guilty

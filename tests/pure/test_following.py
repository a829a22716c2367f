"""Who does what a failure expects, and goes on so with the next, comes to a machine without mistakes, and to no other mistake
on the way."""

from dataclasses import replace
from typing import Callable, Dict, Optional, Set

import pytest
from judging import failures
from machine import BASE, FRY, PAGE, SHRIMP, TRAPFRAME, Machine, R, U, V, W, X, family
from shrimpy.memory.sv39 import pa_of
from shrimpy.reasons import Kind as K
from shrimpy.rules import Verdict, causes
from shrimpy.snapshot import Snapshot

_MOST = 30      # hints, until nothing fails


# What a hint says to do

def has_frame(m: Machine, v: Verdict, frame: int) -> None:
    """The page of the verdict is that frame, and one more user has it."""
    root, va = m.processes[v.pid].root, v.va
    drops(m, v)
    if frame in m.available:
        m.available.remove(frame)
    m.refs[frame] = m.refs.get(frame, 0) + 1
    m.map(root, va, frame, R | W | U)


def drops(m: Machine, v: Verdict) -> None:
    """Nothing is mapped there; the frame that was has a user less."""
    had = m.unmap(m.processes[v.pid].root, v.va)
    if m.refs.get(had):
        m.free(had)


def wanted(m: Machine, v: Verdict) -> None:
    assert v.reason is not None and v.reason.wanted is not None
    has_frame(m, v, v.reason.wanted)


def of_its_own(m: Machine, v: Verdict) -> None:
    new = m.alloc()
    m.refs[new] = 0
    has_frame(m, v, new)


def flags(but: int, also: int = 0) -> Callable[[Machine, Verdict], None]:
    def change(m: Machine, v: Verdict) -> None:
        at = v.pte_at or m.pte_at(m.processes[v.pid].root, v.va)
        m.put(at, m.get(at) & ~but | also)
    return change


def is_not_free(m: Machine, v: Verdict) -> None:
    m.available.remove(v.reason.frame)
    m.refs[v.reason.frame] = sum(pa_of(m.get(m.pte_at(p.root, va))) == v.reason.frame for p in m.processes.values() for va in (FRY, SHRIMP))


def is_free(m: Machine, v: Verdict) -> None:
    for n in range(v.about.n_pages):
        m.refs[v.about.pa + n * PAGE] = 0
        m.available.append(v.about.pa + n * PAGE)


def counted(m: Machine, v: Verdict) -> None:
    m.refs[v.reason.frame] = v.reason.bound


def zeros(m: Machine, v: Verdict) -> None:
    at = pa_of(m.get(m.pte_at(m.processes[v.pid].root, FRY))) - BASE
    m.ram[at:at + PAGE] = bytes(PAGE)


FOLLOW: Dict[K, Callable[[Machine, Verdict], None]] = {
    K.SHRIMP_MISSING: wanted, K.SHRIMP_NOT_PARENTS: wanted, K.SHRIMP_LOST: wanted, K.SHRIMP_NOT_SIBLINGS: wanted, K.PAGE_CHANGED: wanted,
    K.FRY_MISSING: of_its_own, K.FRY_NOT_PRIVATE: of_its_own, K.FRY_USED_BY_OTHERS: of_its_own, K.SHRIMP_WITHOUT_PARENT: drops,
    K.BAD_PLACE: drops, K.WRONG_FLAGS: flags(X, R | W | U), K.KERNEL_PAGE_OPEN: flags(U), K.WRITE_AND_EXECUTE: flags(X),
    K.NOT_ZEROED: zeros, K.HEAP_TOO_LARGE: lambda m, v: m.field(m.processes[v.pid], "sz", 4 * PAGE),
    K.ORPHAN_FREE: is_not_free, K.FREE_IN_USE: is_not_free, K.LOST: is_free, K.MISCOUNTED: counted}
"""What makes a machine as a failure of a kind expects it, by the failure's data."""


FORKED_BY = {2: 1, 3: 2, 4: 3, 5: 3}    # in family()


def page(m: Machine, pid: Optional[int], va: Optional[int]) -> int:
    assert pid is not None and va is not None
    return pa_of(m.get(m.pte_at(m.processes[pid].root, va)))


def right(m: Machine, first: Machine, pid: Optional[int], va: Optional[int]) -> Set[int]:
    """The frames that a page may be told to be, by the promises alone: what it was at first; or, as long as the process that
    forked it lives, that one's FRY."""
    parent = FORKED_BY.get(pid or 0)
    of_parent = {page(m, parent, FRY)} if va == SHRIMP and parent in m.processes else set()
    return {page(first, pid, va)} | of_parent


def follow(m: Machine, earlier: Optional[Snapshot], tells: Callable[[Verdict], Verdict] = lambda v: v) -> int:
    """Follows the hint of the first cause again and again, until nothing fails or none says what to do; how often. Asserts that
    each helps, and that none tells a frame that the promises do not. tells: what is told of a verdict."""
    first = family()
    for n in range(_MOST):
        failed = failures(m.snapshot(), earlier)
        v = tells(causes.blocks(failed)[0].cause.example) if failed else None
        if v is None or FOLLOW[v.reason.kind] is wanted and v.reason.wanted is None:
            return n
        if v.reason.wanted is not None:
            assert v.reason.wanted in right(m, first, v.pid, v.va), f"{v.rule} tells {v.subject} a frame that was never its own"
        FOLLOW[v.reason.kind](m, v)
        now = failures(m.snapshot(), earlier)
        assert (v.rule, v.about, v.va) not in {(one.rule, one.about, one.va) for one in now}, f"{v.rule} still fails: {v.why}"
    raise AssertionError(f"after {_MOST} hints: {failures(m.snapshot(), earlier)}")


# Mistakes, some of them what is in the zoo

def two_frames(m: Machine) -> None:
    for p in list(m.processes.values())[1:]:
        m.free(m.unmap(p.root, SHRIMP))
        m.map(p.root, SHRIMP, m.alloc(), R | W | U)


def roles_swapped(m: Machine) -> None:
    child = m.processes[4]
    m.free(m.unmap(child.root, SHRIMP))
    m.refs[child.fry] += 1
    m.map(child.root, SHRIMP, child.fry, R | W | U)


def one_for_all(m: Machine) -> None:
    one = m.processes[1].fry
    for p in list(m.processes.values())[1:]:
        m.free(m.unmap(p.root, FRY))
        m.refs[one] += 1
        m.map(p.root, FRY, one, R | W | U)


def value_mapped(m: Machine) -> None:
    m.free(m.unmap(m.processes[4].root, SHRIMP))
    m.put(m.pte_at(m.processes[4].root, SHRIMP), R | W | U | V)


def exec_drops(m: Machine) -> None:
    for va in (FRY, SHRIMP):
        m.free(m.unmap(m.processes[4].root, va))


def exec_renews(m: Machine) -> None:
    m.renew_fry(m.processes[4])


def fork_renews(m: Machine) -> None:
    m.renew_fry(m.processes[3])


def grandparents_page(m: Machine) -> None:
    child, parent = m.processes[4], m.processes[3]
    m.free(m.unmap(child.root, SHRIMP))
    m.refs[parent.shrimp] += 1
    m.map(child.root, SHRIMP, parent.shrimp, R | W | U)


def orphan(m: Machine) -> None:
    m.exits(m.processes[3])


def orphan_loses_the_page(m: Machine) -> None:
    orphan(m)
    for pid in (4, 5):
        m.free(m.unmap(m.processes[pid].root, SHRIMP))


def orphan_gets_inits(m: Machine) -> None:
    orphan_loses_the_page(m)
    for pid in (4, 5):
        m.refs[m.processes[1].fry] += 1
        m.map(m.processes[pid].root, SHRIMP, m.processes[1].fry, R | W | U)


def parent_first(m: Machine) -> None:
    m.refs[m.processes[3].fry] = 1
    orphan(m)


def child_frees_shrimp(m: Machine) -> None:
    m.refs[m.processes[3].fry] = 1
    m.exits(m.processes[5])


def init_has_shrimp(m: Machine) -> None:
    m.map(m.processes[1].root, SHRIMP, m.alloc(), R | W | U)


def rights(m: Machine) -> None:
    m.map(m.processes[4].root, FRY, m.processes[4].fry, R | W)
    m.map(m.processes[5].root, SHRIMP, m.processes[5].shrimp, R | U)
    m.map(m.processes[3].root, FRY, m.processes[3].fry, R | W | X | U)
    m.map(m.processes[2].root, TRAPFRAME, m.processes[2].trapframe, R | W | U)


def not_zeroed(m: Machine) -> None:
    for p in m.processes.values():
        m.ram[p.fry - BASE + 64:p.fry - BASE + PAGE] = b"\5" * (PAGE - 64)


def heap_reaches_shrimp(m: Machine) -> None:
    m.field(m.processes[4], "sz", FRY + PAGE)


def fry_leaks(m: Machine) -> None:
    m.refs[m.processes[5].fry] += 1
    m.exits(m.processes[5])


def count_forgotten(m: Machine) -> None:
    m.refs[m.processes[3].fry] -= 1


MISTAKES = (two_frames, roles_swapped, one_for_all, value_mapped, exec_drops, exec_renews, fork_renews, grandparents_page,
            orphan_loses_the_page, orphan_gets_inits, parent_first, child_frees_shrimp, init_has_shrimp, rights, not_zeroed,
            heap_reaches_shrimp, fry_leaks, count_forgotten)


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda one: one.__name__)
@pytest.mark.parametrize("compared", [True, False], ids=["compared", "alone"])
def test_hints_that_are_followed_end_in_no_mistake(mistake, compared):
    m = family()
    earlier = m.snapshot() if compared else None
    mistake(m)
    assert follow(m, earlier) or not compared
    assert not failures(m.snapshot(), earlier) or mistake is orphan_loses_the_page     # alone, nobody knows the page that it had


def test_nothing_is_to_follow_where_nothing_is_wrong():
    m = family()
    earlier = m.snapshot()
    orphan(m)
    assert follow(m, earlier) == 0


@pytest.mark.parametrize("compared", [True, False], ids=["compared", "alone"])
def test_a_hint_that_promises_an_orphan_the_first_process_s_page_is_seen_to_lead_to_another_mistake(compared):
    """As it once was told."""
    m = family()
    earlier = m.snapshot() if compared else None
    orphan_loses_the_page(m)
    inits = page(m, 1, FRY)
    with pytest.raises(AssertionError, match="a frame that was never its own"):
        follow(m, earlier, lambda v: replace(v, reason=replace(v.reason, wanted=inits)))

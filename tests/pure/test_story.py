"""What a step says, from what was seen: nothing because fork usually does it."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from machine import FRY, PAGE, SHRIMP, TRAMPOLINE, TRAPFRAME, R, U, W, family
from shrimpy.show import story
from shrimpy.snapshot.changes import between
from shrimpy.step.events import Cast, Event, Pairing, Step, pairing

PARENT, CHILD = 3, 6
CAST = Cast(PARENT, CHILD)
RWU = R | W | U


class Fork:
    """A family in which pid 3 has called fork, and pid 6 is half made: all but what a test maps itself."""

    def __init__(self, *unmapped: int, state: str = "USED", **how: int) -> None:
        self.machine = family()
        self.parent = self.machine.processes[PARENT]
        self.child = self.machine.process(CHILD, self.parent, "shrimpdemo", state, **how)
        self.shared = self.child.shrimp
        for va in unmapped:
            self.machine.unmap(self.child.root, va)

    def told(self, kind: str, do=lambda: None, cast: Cast = CAST, **event: Any) -> Step:
        """What is said of an event that did this."""
        before = self.machine.snapshot()
        do()
        after = self.machine.snapshot()
        found = [c for c in between(before, after) if c.pid in (PARENT, CHILD)]
        return story.tell(Event(kind, kind, **event), cast, before, after, found)

    def mapped(self, va: int, pa: int, flags: int = RWU, whose=None) -> Step:
        """mappages of a page, in the child's table."""
        root = (whose or self.child).root
        return self.told("mappages", lambda: self.machine.map(root, va, pa, flags),
                         args=(root, va, PAGE, pa, flags), result=0)

    def paired(self, cast: Cast = CAST) -> Pairing:
        """As it stands, without the words."""
        return dataclasses.replace(pairing(self.machine.snapshot(), cast), text="")


# The pairing

def test_pairing_is_pending_then_holds():
    fork = Fork(SHRIMP)
    assert fork.paired() == Pairing("pending", "", "not-mapped-yet", None, fork.shared)
    assert fork.mapped(SHRIMP, fork.shared).pairing.state == "holds"
    assert fork.paired() == Pairing("holds", "", "same-frame", fork.shared, fork.shared)


def test_pairing_is_broken_by_another_frame_by_flags_and_by_running_too_early():
    other = Fork(SHRIMP)
    other.machine.map(other.child.root, SHRIMP, other.child.fry, RWU)
    assert other.paired() == Pairing("broken", "", "other-frame", other.child.fry, other.shared)
    flags = Fork(SHRIMP)
    flags.machine.map(flags.child.root, SHRIMP, flags.shared, R | W)
    assert flags.paired() == Pairing("broken", "", "flawed", flags.shared, flags.shared, ("u-clear",))
    early = Fork(SHRIMP, state="RUNNABLE")
    assert early.paired() == Pairing("broken", "", "missing", None, early.shared)


def test_there_is_nothing_to_pair_before_the_child_after_it_without_fry_and_for_an_orphan():
    fork = Fork()
    casts = {"no-child": Cast(PARENT, None), "child-gone": Cast(PARENT, 77, ending=True),
             "undone": dataclasses.replace(CAST, failing=True)}
    for why, cast in casts.items():
        assert (fork.paired(cast).state, fork.paired(cast).why) == ("none", why)
    without = fork.machine.snapshot(fry=None, shrimp=None)
    assert (pairing(without, CAST).state, pairing(without, CAST).why) == ("none", "no-pages")
    fork.machine.field(fork.child, "parent", fork.machine.processes[1].address)
    assert fork.paired() == Pairing("none", "", "adopted", fork.shared, fork.machine.processes[3].fry)


# Entries

def test_shrimp_that_is_the_parents_fry_is_shared_with_no_copy():
    fork = Fork(SHRIMP)
    step = fork.mapped(SHRIMP, fork.shared)
    assert (step.title, step.phase) == ("SHRIMP of the child is mapped", "shrimp")
    assert f"The parent's FRY frame {fork.shared:#x} is now mapped in the child at SHRIMP" in step.caption
    assert [(c.kind, c.va, c.pid) for c in step.changes] == [("+", SHRIMP, CHILD)]


def test_shrimp_that_is_another_frame_is_told_as_what_it_is():
    fork = Fork(SHRIMP)
    own = fork.mapped(SHRIMP, fork.child.fry)
    assert f"It is frame {fork.child.fry:#x}, but pid 3 has frame {fork.shared:#x} at FRY" in own.caption
    assert "the other never sees. That is its own FRY." in own.caption and "no copy" not in own.caption
    late = Fork(SHRIMP, state="RUNNABLE")
    assert "It comes late: the child has been RUNNABLE without it." in late.mapped(SHRIMP, late.shared).caption


def test_fry_must_be_the_childs_alone_in_ram_and_for_programs():
    fork = Fork(FRY)
    assert "which no other process maps" in fork.mapped(FRY, fork.child.fry).caption
    for pa, flags, said in [(fork.shared, RWU, "is FRY of pid 3"), (0, RWU, "0x0 is not in RAM"),
                            (fork.child.fry, R | U, "W is clear: a store to it faults")]:
        fork = Fork(FRY)
        assert said in fork.mapped(FRY, pa, flags).caption


def test_trampoline_and_trapframe_with_u_are_shouted():
    for va, said in ((TRAMPOLINE, "U IS SET: programs can run it."),
                     (TRAPFRAME, "U IS SET: programs can read and write what the kernel trusts.")):
        fork = Fork(va)
        step = fork.mapped(va, fork.child.trapframe, RWU)
        assert step.title.endswith("of the child is mapped") and said in step.caption


def test_an_entry_of_the_parents_is_not_told_as_the_childs():
    fork = Fork(SHRIMP)
    step = fork.mapped(SHRIMP, fork.child.fry, whose=fork.parent)
    assert step.title == "SHRIMP of the parent is changed"
    assert "A fork has nothing to map in its parent." in step.caption


# The image

def copied(fork: Fork, n: int, equal: int) -> Step:
    """uvmcopy of n pages, of which so many hold the parent's bytes."""
    pages = [i * PAGE for i in range(4, 4 + n)]
    for va in pages:
        fork.machine.map(fork.parent.root, va, fork.machine.alloc(), RWU)

    def copy() -> None:
        for va in pages:
            fork.machine.map(fork.child.root, va, fork.machine.alloc(), RWU)
    return fork.told("uvmcopy", copy, result=0, compared=n, equal=equal)


@pytest.mark.parametrize("n, left_out, title", [(1, 0, "1 page"), (3, 0, "3 pages"), (7, 4, "7 pages")])
def test_pages_of_the_image_beyond_a_few_are_counted(n, left_out, title):
    step = copied(Fork(), n, n)
    assert step.title == f"The user image is copied: {title}"
    assert len(step.changes) == n - left_out and step.more_changes == left_out
    assert "with the parent's bytes" in step.caption


def test_fry_and_shrimp_are_never_among_what_is_left_out():
    fork = Fork(n_pages=9)
    gone = [*fork.child.pages, SHRIMP, FRY]
    step = fork.told("uvmfree", lambda: [fork.machine.unmap(fork.child.root, va) for va in gone])
    assert [c.va for c in step.changes if c.what == "pte"] == [0, PAGE, 2 * PAGE, SHRIMP, FRY]
    assert step.more_changes == 6


def test_pages_that_do_not_hold_the_parents_bytes_are_told():
    assert "2 of them do not hold the parent's bytes" in copied(Fork(), 3, 1).caption


def test_an_image_that_is_shared_is_not_called_copied():
    fork = Fork()
    frame = fork.parent.pages[PAGE]
    fork.machine.unmap(fork.child.root, PAGE)
    step = fork.told("uvmcopy", lambda: fork.machine.map(fork.child.root, PAGE, frame, RWU), result=0)
    assert step.title == "The user image is shared: 1 page" and "parent and child map the same frames" in step.caption


# Frames

def test_a_frame_is_told_as_what_became_of_it():
    fork = Fork(SHRIMP)
    frame = fork.machine.alloc()
    assert fork.told("kalloc", result=frame, path=("fork", "allocproc")).title == f"Frame {frame:#x} is allocated"
    assert fork.told("kalloc", result=frame, within=FRY).title == f"Frame {frame:#x} for a page table"
    assert fork.told("kalloc", result=0, path=("fork",)).title == "No frame: kalloc returns 0"
    fork.machine.refs[frame] = 1
    assert fork.told("kfree", lambda: fork.machine.free(frame), args=(frame,)).title == f"Frame {frame:#x} is freed"


def test_a_frame_that_others_still_have_is_not_called_free():
    fork = Fork(SHRIMP)
    step = fork.told("kfree", lambda: fork.machine.free(fork.shared), args=(fork.shared,))
    assert step.title == f"Frame {fork.shared:#x}: {fork.machine.refs[fork.shared]} users left"
    assert "pid 3 at FRY" in step.caption
    fork.machine.refs[fork.shared] = 1
    step = fork.told("kfree", lambda: fork.machine.free(fork.shared), args=(fork.shared,))
    assert step.title == f"Frame {fork.shared:#x} is freed while it is mapped" and "pid 3 at FRY" in step.caption


# The beginning and the end

def test_becoming_runnable_with_a_broken_pairing_says_what_is_wrong():
    good, bad = Fork(), Fork(SHRIMP)
    steps = [f.told("state", lambda f=f: f.machine.state(f.child, "RUNNABLE")) for f in (good, bad)]
    assert [s.title for s in steps] == ["pid 6 is RUNNABLE"] * 2
    assert "something is wrong" not in steps[0].caption
    assert "And something is wrong: pid 6 is RUNNABLE and has nothing at SHRIMP" in steps[1].caption


def test_a_fork_that_fails_says_whether_its_frames_came_back():
    fork = Fork()
    frame = fork.machine.alloc()
    lost = fork.told("return", result=-1, cast=Cast(PARENT, None, allocated=(frame,)))
    assert lost.title == "fork fails: it returns -1"
    assert f"nobody has {frame:#x}" in lost.caption and "lost" in lost.caption
    fork.machine.free(frame)
    back = fork.told("return", result=-1, cast=Cast(PARENT, None, allocated=(frame,)))
    assert "All of the 1 frame that it took were given back: nothing is lost." in back.caption


def test_titles_fit_the_film_whatever_exec_is_given():
    assert len(Fork().told("exec", text="/a/very/long/path" * 9).title) <= 60

"""What a step says, from what was seen: nothing because fork usually does it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import pytest
from designs import HIGH, LOW, RECORDS, TABLE, Design, Place
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


# The sentences

def copied(fork: Fork, n: int, equal: int) -> Step:
    """uvmcopy of n pages, of which so many hold the parent's bytes."""
    pages = [i * PAGE for i in range(4, 4 + n)]
    for va in pages:
        fork.machine.map(fork.parent.root, va, fork.machine.alloc(), RWU)

    def copy() -> None:
        for va in pages:
            fork.machine.map(fork.child.root, va, fork.machine.alloc(), RWU)
    return fork.told("uvmcopy", copy, result=0, compared=n, equal=equal)


def entries() -> Iterator[tuple[str, Step]]:
    """Each entry that a fork makes, right and wrong."""
    yield "SHRIMP is the parent's FRY", (f := Fork(SHRIMP)).mapped(SHRIMP, f.shared)
    yield "SHRIMP is the child's own FRY", (f := Fork(SHRIMP)).mapped(SHRIMP, f.child.fry)
    yield "SHRIMP after the child can run", (f := Fork(SHRIMP, state="RUNNABLE")).mapped(SHRIMP, f.shared)
    yield "SHRIMP in the parent's table", (f := Fork(SHRIMP)).mapped(SHRIMP, f.child.fry, whose=f.parent)
    yield "FRY is the child's alone", (f := Fork(FRY)).mapped(FRY, f.child.fry)
    yield "FRY is the parent's", (f := Fork(FRY)).mapped(FRY, f.shared)
    yield "FRY outside RAM", Fork(FRY).mapped(FRY, 0)
    yield "FRY without W", (f := Fork(FRY)).mapped(FRY, f.child.fry, R | U)
    yield "trampoline with U", (f := Fork(TRAMPOLINE)).mapped(TRAMPOLINE, f.child.trapframe)
    yield "trapframe with U", (f := Fork(TRAPFRAME)).mapped(TRAPFRAME, f.child.trapframe)


def images() -> Iterator[tuple[str, Step]]:
    """The user image, copied and not."""
    yield "an image of one page", copied(Fork(), 1, 1)
    yield "an image of seven pages", copied(Fork(), 7, 7)
    yield "an image with other bytes", copied(Fork(), 3, 1)
    fork = Fork()
    frame = fork.parent.pages[PAGE]
    fork.machine.unmap(fork.child.root, PAGE)
    yield "an image that is shared", fork.told("uvmcopy", lambda: fork.machine.map(fork.child.root, PAGE, frame, RWU), result=0)


def segments() -> Iterator[tuple[str, Step]]:
    """What becomes of segments of shared memory."""
    fork = Fork()
    design = Design(fork.machine)
    one, other = design.make(key=0x1234), design.make(PAGE)
    design.attach(one, PARENT, HIGH)
    design.attach(other, PARENT, LOW, R | U)

    def inherit(*some: Place) -> None:
        for segment, va, flags in zip(some, (HIGH, LOW), (RWU, R | U)):
            design.attach(segment, CHILD, va, flags)
    yield "the child inherits what its parent has", fork.told("line", lambda: inherit(one, other))
    yield "a segment is attached", fork.told("shmat", lambda: design.attach(one, CHILD, LOW - 4 * PAGE), result=LOW - 4 * PAGE)
    yield "shmat fails", fork.told("shmat", result=-22)

    def detach() -> None:
        fork.machine.unmap(fork.child.root, LOW)
        for n in (1, 2):
            at = fork.child.address + RECORDS + 24 * n
            for word in (0, 8, 16):
                fork.machine.put(at + word, fork.machine.get(at + 24 + word))
        fork.machine.field(fork.child, "nshm", 2)
    yield "a segment is detached", fork.told("shmdt", detach, result=0)
    yield "shmdt fails", fork.told("shmdt", result=-22)
    alone = Fork()
    design = Design(alone.machine)
    design.attach(design.make(), CHILD, HIGH)

    def last() -> None:
        for i in (0, 1):
            alone.machine.unmap(alone.child.root, HIGH + i * PAGE)
        alone.machine.field(alone.child, "nshm", 0)
        alone.machine.put(TABLE, 0)
    yield "the last detaches what was removed", alone.told("shmdt", last, result=0)
    astray = Fork()
    design = Design(astray.machine)
    one = design.make()
    design.attach(one, PARENT, HIGH)
    yield "the child gets an attachment elsewhere", astray.told("line", lambda: design.attach(one, CHILD, LOW))


def frames() -> Iterator[tuple[str, Step]]:
    """What becomes of a frame."""
    fork = Fork(SHRIMP)
    frame = fork.machine.alloc()
    yield "a frame is allocated", fork.told("kalloc", result=frame, path=("fork", "allocproc"))
    yield "a frame for a table", fork.told("kalloc", result=frame, within=FRY)
    yield "no frame", fork.told("kalloc", result=0, path=("fork",))
    fork.machine.refs[frame] = 1
    yield "a frame is freed", fork.told("kfree", lambda: fork.machine.free(frame), args=(frame,))
    yield "a frame that others have", fork.told("kfree", lambda: fork.machine.free(fork.shared), args=(fork.shared,))
    fork.machine.refs[fork.shared] = 1
    yield "a frame is freed too early", fork.told("kfree", lambda: fork.machine.free(fork.shared), args=(fork.shared,))


def ends() -> Iterator[tuple[str, Step]]:
    """How a fork ends."""
    for fork, what in (Fork(), "the child can run"), (Fork(SHRIMP), "the child can run without SHRIMP"):
        yield what, fork.told("state", lambda f=fork: f.machine.state(f.child, "RUNNABLE"))
    fork = Fork()
    frame = fork.machine.alloc()
    yield "fork fails and loses a frame", fork.told("return", result=-1, cast=Cast(PARENT, None, allocated=(frame,)))
    fork.machine.free(frame)
    yield "fork fails and loses nothing", fork.told("return", result=-1, cast=Cast(PARENT, None, allocated=(frame,)))


def test_what_steps_say_is_as_the_golden_file_has_it(golden):
    golden("story.txt", "".join(f"{what} ({step.phase}): {step.title}\n    {step.caption}\n"
                                for made in (entries, images, segments, frames, ends) for what, step in made()))


# What changes

def test_shrimp_of_the_child_is_the_change():
    fork = Fork(SHRIMP)
    assert [(c.kind, c.va, c.pid) for c in fork.mapped(SHRIMP, fork.shared).changes] == [("+", SHRIMP, CHILD)]


@pytest.mark.parametrize("n, left_out", [(1, 0), (3, 0), (7, 4)])
def test_pages_of_the_image_beyond_a_few_are_counted(n, left_out):
    step = copied(Fork(), n, n)
    assert len(step.changes) == n - left_out and step.more_changes == left_out


def test_fry_and_shrimp_are_never_among_what_is_left_out():
    fork = Fork(n_pages=9)
    gone = [*fork.child.pages, SHRIMP, FRY]
    step = fork.told("uvmfree", lambda: [fork.machine.unmap(fork.child.root, va) for va in gone])
    assert [c.va for c in step.changes if c.what == "pte"] == [0, PAGE, 2 * PAGE, SHRIMP, FRY]
    assert step.more_changes == 6


def test_titles_fit_the_film_whatever_exec_is_given():
    assert len(Fork().told("exec", text="/a/very/long/path" * 9).title) <= 60

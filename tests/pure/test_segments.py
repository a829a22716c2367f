"""Segments of shared memory: whose frames are theirs, in kernels that keep them in different ways."""

from __future__ import annotations

import pytest

from machine import FRY, KEPT, PAGE, SHRIMP, WORD, Machine, R, Symbol, Type, U, W, array, family, fields, pointer
from shrimpy.rules import Known, evaluate
from shrimpy.show import reports
from shrimpy.show.text import Painter
from shrimpy.snapshot import Snapshot
from shrimpy.snapshot.attached import attachments
from shrimpy.snapshot.frames import pages_of

TABLE = KEPT + 512          # of two segments
REMOVED = 0o1000


def lists(m: Machine) -> None:
    """As our kernel has it: a frame of addresses, and what shmctl tells in a struct of its own."""
    m.info.structs["ds"] = fields(("__key", 0, Type("int", 4)), ("mode", 4, Type("uint", 4)), ("shm_segsz", 8, WORD),
                                  ("shm_nattch", 16, WORD))
    m.info.structs["segment"] = fields(("frames", 0, Type("ptr", 8, "", 0, pointer())), ("ds", 8, Type("struct", 24, "ds")))
    m.info.structs["shm"] = fields(("segments", 0, array(Type("struct", 32, "segment"), 2)))
    m.info.learnt.clear()     # it is another kernel now
    m.info.symbols["shm"] = Symbol(TABLE, Type("struct", 64, "shm"))


def holds(m: Machine) -> None:
    """As many a lab has it: the addresses in the table itself."""
    m.info.structs["shm_region"] = fields(
        ("key", 0, Type("int", 4)), ("mode", 4, Type("uint", 4)), ("size", 8, WORD), ("refcnt", 16, WORD),
        ("pages", 24, array(WORD, 2)))
    m.info.learnt.clear()     # it is another kernel now
    m.info.symbols["shmtable"] = Symbol(TABLE, array(Type("struct", 40, "shm_region"), 2))


def segment(m: Machine, design, n_attached: int = 0, mode: int = 0o600) -> list[int]:
    """A second segment of two pages; its frames, with the one that lists them."""
    design(m)
    frames = [m.alloc(), m.alloc()]
    listing = []
    if design is lists:
        listing = [m.alloc()]
        for i, pa in enumerate(frames):
            m.put(listing[0] + 8 * i, pa)
        at = TABLE + 32
        m.put(at, listing[0])
        m.put(at + 12, mode, 4)
        m.put(at + 16, PAGE + 1)
        m.put(at + 24, n_attached)
    else:
        at = TABLE + 40
        m.put(at + 4, mode, 4)
        m.put(at + 8, PAGE + 1)
        m.put(at + 16, n_attached)
        for i, pa in enumerate(frames):
            m.put(at + 24 + 8 * i, pa)
    return frames + listing


def status(m: Machine, rule: str, known: Known | None = None) -> list[str]:
    return [v.status for v in evaluate(m.snapshot(), known.before if known else None, known or Known()) if v.rule == rule]


@pytest.mark.parametrize("design", [lists, holds])
def test_a_segments_frames_are_its_own_and_outlive_what_has_ended(design):
    m = family()
    before = m.snapshot()
    frames = segment(m, design)
    found = [f for f in m.snapshot().frames if any(u.kind == "segment" for u in f.users)]
    assert [f.pa for f in found] == sorted(frames)
    assert {f.users[0].name for f in found} == {"shm.segments[1]" if design is lists else "shmtable[1]"}
    assert status(m, "frames-conserved") == ["pass"]
    assert status(m, "frames-return", Known(before=before)) == ["pass"]


@pytest.mark.parametrize("design", [lists, holds])
def test_one_that_was_removed_and_that_nobody_has_attached_should_have_gone(design):
    m = family()
    before = m.snapshot()
    frames = segment(m, design, mode=REMOVED | 0o600)
    told = [v for v in evaluate(m.snapshot(), before, Known(before=before)) if v.rule == "frames-return"]
    assert {v.status for v in told} == {"fail"} and {v.about.pa for v in told} == set(frames)


def attached(m: Machine, frames: list[int], pid: int, below: int) -> int:
    """The segment's pages in a process, that many pages below SHRIMP; where."""
    va = SHRIMP - below * PAGE
    for i, pa in enumerate(frames):
        m.map(m.processes[pid].root, va + i * PAGE, pa, R | W | U)
        m.refs[pa] += 1
    return va


@pytest.mark.parametrize("design", [lists, holds])
def test_a_snapshot_tells_of_segments_and_who_has_them_attached_where(design):
    m = family()
    frames = segment(m, design, n_attached=2, mode=REMOVED | 0o640)[:2]
    first, second = attached(m, frames, 4, 2), attached(m, frames, 4, 4)
    snapshot = Snapshot.from_json(m.snapshot().to_json())
    [one] = snapshot.segments
    assert (one.id, one.size, one.n_attached, one.mode, one.removed) == (1, PAGE + 1, 2, REMOVED | 0o640, True)
    assert list(pages_of(one.frames)) == frames
    assert {x.va: x.region for x in snapshot.process(4).mappings if x.region.startswith("shm")} == {
        va + i * PAGE: "shm:1" for va in (first, second) for i in (0, 1)}
    assert [(each.process.pid, each.va) for each in attachments(snapshot)] == [(4, second), (4, first)]
    said = reports.segments(snapshot, Painter()).splitlines()
    assert len(said) == 2 and f"4:{first:#x} RW" in said[1] and "removed" in said[1]


def test_a_kernel_without_segments_has_none():
    assert family().snapshot().segments == ()


def test_a_segment_is_counted_among_those_who_map_its_frames():
    m = family()
    [first, second, _] = segment(m, lists, n_attached=2)
    for pid in (4, 5):
        attached(m, [first, second], pid, 2)
    assert status(m, "count-matches") == ["pass"]
    m.refs[second] -= 1
    assert status(m, "count-matches") == ["fail"]


@pytest.mark.parametrize("size", [0, 1 << 60])
def test_nonsense_in_the_table_is_nobodys_frames(size):
    m = family()
    frames = segment(m, lists)
    m.put(TABLE + 48, size)
    m.put(TABLE, 0xdead)
    m.put(TABLE + 8, 0x1000)
    m.put(frames[2] + 16, FRY)
    assert len([f for f in m.snapshot().frames if any(u.kind == "segment" for u in f.users)]) == (3 if size else 0)

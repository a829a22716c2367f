"""Rules about segments of shared memory: each passes what is right, and sees what is wrong; in our kernel's design and in three others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from designs import DEST, HIGH, LOW, TABLE, Areas, Design, Listed, OnePageEach, shared
from judging import failed_rules, failure, kinds, statuses
from machine import PAGE, SHRIMP, R, U, W, X, family
from shrimpy.memory.elf import Range
from shrimpy.reasons import Kind
from shrimpy.rules import FAIL, PASS, RULES, SKIPPED, Known, causes, evaluate
from shrimpy.snapshot import Hart, Snapshot

OURS = {rule.id for rule in RULES if rule.id.startswith("segment-")}
def told(snapshot: Snapshot, known: Known = Known(), previous: Snapshot | None = None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {rule: [] for rule in OURS}
    for v in evaluate(snapshot, previous, known):
        if v.rule in OURS:
            found[v.rule].append(v.status)
    return found


def test_segments_that_are_right_pass():
    m, d, _ = shared()
    removed = d.make()
    d.attach(removed, 4, LOW)
    m.put(removed.at + d.mode, DEST | 0o600, 4)
    snapshot = Snapshot.from_json(m.snapshot().to_json())
    assert failed_rules(snapshot) == set()
    assert told(snapshot, Known(reading=frozenset(), execed=frozenset((2,)))) == {
        "segment-count": [PASS] * 2, "segment-rights": [PASS] * 3, "segment-pages": [PASS] * 3, "segment-place": [PASS] * 3,
        "segment-exec": [PASS], "segment-private": [PASS] * 2, "segment-removed": [PASS]}
    assert [(one.va, one.segment, one.writes) for one in snapshot.process(5).attachments] == [(HIGH, 0, True), (LOW, 0, False)]


def test_a_kernel_without_segments_is_said_to_have_none():
    m = family()
    assert all(kinds(m.snapshot(), rule) == {Kind.NO_SEGMENTS} for rule in OURS)
    Design(m)
    assert all(kinds(m.snapshot(), rule) == {Kind.NO_SEGMENT} for rule in OURS)


def test_a_kernel_that_makes_segments_of_a_shape_that_is_not_known_is_said_to():
    m = family()
    object.__setattr__(m.info, "functions", (*m.info.functions, Range(0x80000100 * 2, 16, "sys_shm_open")))
    assert all(kinds(m.snapshot(), rule) == {Kind.SEGMENTS_UNKNOWN} for rule in OURS)


# Each rule, in our design

@pytest.mark.parametrize("by", [-1, 1])
def test_a_count_of_attachments_that_is_wrong(by):
    m, d, one = shared()
    m.put(one.at + d.count, 4 + by)
    v = failure(m.snapshot(), "segment-count")
    assert (v.about.label, v.reason.detail, v.reason.value, v.reason.n) == ("shm[0]", "shm_nattch", 4 + by, 4)


@pytest.mark.parametrize("flags", [R | W | X | U, R | W, W | U, R | U])
def test_rights_that_are_not_as_attached(flags):
    m, _, one = shared()
    m.map(m.processes[4].root, HIGH, one.frames[0], flags)
    v = failure(m.snapshot(), "segment-rights")
    assert (v.pid, v.va) == (4, HIGH)


def test_what_is_attached_read_only_with_w():
    m, _, one = shared()
    m.map(m.processes[5].root, LOW + PAGE, one.frames[1], R | W | U)
    v = failure(m.snapshot(), "segment-rights")
    assert (v.pid, v.va, v.reason.state) == (5, LOW + PAGE, "read-only")


def test_a_kernel_that_forgets_at_once_that_it_was_asked_for_read_only():
    m, d, one = shared()
    assert told(m.snapshot(), Known(reading=frozenset((4,))))["segment-rights"] == [PASS, FAIL, FAIL, PASS]


def test_a_page_that_is_a_copy():
    m, _, one = shared()
    copy = m.alloc()
    m.free(m.unmap(m.processes[4].root, HIGH + PAGE))
    m.map(m.processes[4].root, HIGH + PAGE, copy, R | W | U)
    v = failure(m.snapshot(), "segment-pages")
    assert (v.pid, v.va, v.reason.frame, v.reason.wanted) == (4, HIGH + PAGE, copy, one.frames[1])


def test_pages_in_another_order():
    m, _, one = shared()
    for i, pa in enumerate(reversed(one.frames)):
        m.map(m.processes[4].root, HIGH + i * PAGE, pa, R | W | U)
    assert (failure(m.snapshot(), "segment-pages").pid, failure(m.snapshot(), "segment-pages").va) == (4, HIGH)


def test_a_page_that_is_missing():
    m, _, one = shared()
    m.free(m.unmap(m.processes[4].root, HIGH + PAGE))
    v = failure(m.snapshot(), "segment-pages")
    assert (v.pid, v.va, v.reason.kind, v.reason.frame) == (4, HIGH + PAGE, Kind.ATTACHED_PAGE, None)


def test_a_detach_that_leaves_a_page():
    m, d, one = shared()
    m.free(m.unmap(m.processes[4].root, HIGH))
    m.field(m.processes[4], "nshm", 0)
    m.put(one.at + d.count, 3)
    v = failure(m.snapshot(), "segment-pages")
    assert (v.pid, v.va, v.reason.kind, v.reason.n) == (4, HIGH + PAGE, Kind.ATTACHED_STRAY, 1)


def test_a_segment_that_goes_while_it_is_attached():
    m, _, one = shared()
    m.put(one.at, 0)
    v = failure(m.snapshot(), "segment-pages")
    assert (v.pid, v.reason.kind, v.reason.label) == (3, Kind.ATTACHED_GONE, "shm[0]")


def test_a_size_that_was_rounded_down():
    m, d, one = shared()
    m.put(d.make(2 * PAGE).at + d.size, 2 * PAGE + 1)
    v = failure(m.snapshot(), "segment-pages")
    assert (v.about.label, v.reason.kind, v.reason.n, v.reason.bound) == ("shm[1]", Kind.SEGMENT_SHORT, 2, 3)


def test_an_attachment_inside_the_heap_and_one_that_reaches_shrimp():
    m, d, one = shared()
    m.field(m.processes[4], "sz", HIGH + 1)
    d.attach(one, 3, SHRIMP - PAGE)
    found = {v.pid: v.reason.page for v in evaluate(m.snapshot()) if v.rule == "segment-place" and v.status == FAIL}
    assert found == {4: "heap", 3: "SHRIMP"}


def test_a_kernel_whose_way_it_is_to_attach_below_sz():
    m, _, _ = shared()
    for p in m.processes.values():
        m.field(p, "sz", SHRIMP)
    assert told(m.snapshot())["segment-place"] == [SKIPPED] * 4 and kinds(m.snapshot(), "segment-place") == {Kind.BELOW_SZ}


def test_what_exec_keeps():
    m, _, _ = shared()
    assert told(m.snapshot(), Known(execed=frozenset((4,))))["segment-exec"] == [FAIL]
    before = m.snapshot()
    named = replace(before, processes=tuple(replace(p, name="old") if p.pid in (2, 4) else p for p in before.processes))
    assert sorted(told(before, previous=named)["segment-exec"]) == [PASS, SKIPPED]


def test_a_frame_of_two_segments_or_twice_in_one():
    m, d, one = shared()
    other = d.make()
    m.put(m.get(other.at), one.frames[1])
    assert failure(m.snapshot(), "segment-private").reason.detail == "shm[0]"
    m.put(m.get(other.at), other.frames[1])
    v = failure(m.snapshot(), "segment-private")
    assert (v.reason.label, v.reason.detail, v.reason.frame) == ("shm[1]", "shm[1]", other.frames[1])


def test_two_segments_with_one_key_unless_it_is_private_or_one_is_removed():
    m, d, _ = shared()
    for _ in range(2):
        d.make()
    assert failed_rules(m.snapshot()) == set()
    other = d.make(key=0x1234)
    assert failure(m.snapshot(), "segment-private").reason.kind == Kind.SEGMENT_KEY
    d.attach(other, 3, LOW)
    m.put(other.at + d.mode, DEST, 4)
    assert failed_rules(m.snapshot()) == set()


@pytest.mark.parametrize("counted", [0, 2])
def test_a_removed_segment_that_nobody_has(counted):
    m, d, _ = shared()
    other = d.make()
    m.put(other.at + d.mode, DEST, 4)
    m.put(other.at + d.count, counted)
    v = failure(m.snapshot(), "segment-removed")
    assert (v.about.label, v.reason.n, v.reason.value) == ("shm[1]", 2, counted)


def test_one_count_that_is_too_high_is_one_cause_with_what_stays_for_it():
    m, d, _ = shared()
    before = m.snapshot()
    other = d.make()
    m.put(other.at + d.mode, DEST, 4)
    m.put(other.at + d.count, 1)
    [block] = causes.blocks(evaluate(m.snapshot(), known=Known(before=before)))
    assert [one.example.rule for one in (block.cause, *block.symptoms)] == ["segment-count", "segment-removed"]
    m.put(other.at + d.count, 0)
    [block] = causes.blocks(evaluate(m.snapshot(), known=Known(before=before)))
    assert [one.example.rule for one in (block.cause, *block.symptoms)] == ["segment-removed", "frames-return"]


def test_while_somebody_may_be_attaching_nothing_of_segments_fails():
    m, d, one = shared()
    p = m.processes[4]
    m.put(one.at + d.count, 5)
    m.put(one.at + d.mode, DEST, 4)
    m.map(p.root, HIGH, one.frames[0], R | U)
    m.state(p, "RUNNING")
    m.put(0x80002000 + 128, p.address)
    harts = [Hart(0, None, "S", None, None, "scheduler"), Hart(1, None, "S", None, 0x80001000, "sys_shmat")]
    snapshot = m.snapshot(harts)
    assert failed_rules(snapshot) == set() and Kind.HELD_BACK in kinds(snapshot, "segment-count")
    harts[1] = replace(harts[1], privilege="U")
    assert {"segment-count", "segment-rights"} <= failed_rules(m.snapshot(harts))


# Kernels of others

@pytest.mark.parametrize("design", [OnePageEach, Listed, Areas])
def test_another_design_that_is_right_fails_nothing(design):
    m, _, _ = shared(design)
    snapshot = m.snapshot()
    assert failed_rules(snapshot) == set() and len(snapshot.segments) == 1 and snapshot.segment_tables
    assert statuses(snapshot, "segment-count") == [PASS]
    assert statuses(snapshot, "segment-pages") == statuses(snapshot, "segment-place") == [PASS] * 3
    assert [p.pid for p in snapshot.processes if p.attachments] == ([3, 4, 5] if design is Areas else [])


@pytest.mark.parametrize("design", [OnePageEach, Listed, Areas])
def test_a_count_of_another_design_that_is_lower_than_who_maps_it(design):
    m, d, one = shared(design)
    m.put(one.at + d.count, 2, 4)
    assert failure(m.snapshot(), "segment-count").reason.n == 4
    m.put(one.at + d.count, 7, 4)
    assert (failed_rules(m.snapshot()) == set()) == (design is not Listed)      # the others may count who has it open


@pytest.mark.parametrize("design", [Listed, Areas])
def test_a_page_of_another_design_that_is_missing_or_mapped_wrongly(design):
    m, _, one = shared(design)
    m.map(m.processes[5].root, LOW, one.frames[0], R | X | U)
    m.free(m.unmap(m.processes[4].root, HIGH + PAGE))
    snapshot = m.snapshot()
    assert (failure(snapshot, "segment-rights").pid, failure(snapshot, "segment-pages").pid) == (5, 4)


@pytest.mark.parametrize("design", [Listed, Areas])
def test_a_kernel_that_may_map_pages_when_they_are_touched(design):
    """Nothing that is mapped is untouched."""
    m, _, one = shared(design)
    for pid in (3, 4, 5):
        m.map(m.processes[pid].root, HIGH, one.frames[0], R | W | U | 1 << 6)
        m.map(m.processes[pid].root, HIGH + PAGE, one.frames[1], R | W | U | 1 << 6)
    for i in (0, 1):
        m.free(m.unmap(m.processes[5].root, LOW + i * PAGE))
    m.free(m.unmap(m.processes[5].root, HIGH))
    snapshot = m.snapshot()
    assert failed_rules(snapshot) == set() and Kind.MAPPED_AT_TOUCH in kinds(snapshot, "segment-pages")


def test_areas_say_what_may_be_written_there():
    m, _, one = shared(Areas)
    m.map(m.processes[5].root, LOW, one.frames[0], R | W | U)
    assert failure(m.snapshot(), "segment-rights").reason.state == "read-only"


def test_a_segment_of_a_list_that_was_removed_and_one_whose_list_is_a_ring():
    m, d, one = shared(Listed)
    m.put(d.make().at + 20, 1, 4)
    assert failure(m.snapshot(), "segment-removed").about.label == "node 0 of shm_list"
    m.put(one.at + 56, m.get(TABLE))
    assert len(m.snapshot().segments) == 2

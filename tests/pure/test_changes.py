"""What differs between two snapshots: every difference once, with the entry that made it, and nothing else."""

from __future__ import annotations

import pytest
from designs import HIGH, Design
from machine import FRY, PAGE, SHRIMP, R, U, V, W, X, family
from shrimpy.snapshot.changes import Change, between

A, D = 1 << 6, 1 << 7
HEAP = 4 * PAGE


@pytest.fixture
def machine():
    return family()


def after(machine, do) -> list[Change]:
    """The changes that `do` makes, but for the number of free frames."""
    before = machine.snapshot()
    do()
    return [c for c in between(before, machine.snapshot()) if c.what != "free"]


def test_of_the_same_memory_nothing_is_said(machine):
    assert between(machine.snapshot(), machine.snapshot()) == []


def test_an_entry_that_is_made_is_told_with_its_address_and_both_values(machine):
    root, frame = machine.processes[4].root, machine.alloc()
    change, = after(machine, lambda: machine.map(root, HEAP, frame, R | W | U))
    at = machine.pte_at(root, HEAP)
    assert (change.kind, change.what, change.pid, change.va) == ("+", "pte", 4, HEAP)
    assert (change.pte_at, change.level) == (at, 0)
    assert (change.pte_before, change.pte_after) == (0, machine.get(at)) == (0, frame >> 2 | R | W | U | V)
    assert change.before == "" and change.after.startswith(f"{frame:#x} VRW-U--- ")


def test_an_entry_that_goes_had_the_value_that_it_had(machine):
    p = machine.processes[4]
    at = machine.pte_at(p.root, SHRIMP)
    held = machine.get(at)
    change, = after(machine, lambda: machine.unmap(p.root, SHRIMP))
    assert (change.kind, change.va, change.pte_at, change.pte_before, change.pte_after) == ("-", SHRIMP, at, held, 0)
    assert change.before == f"{p.shrimp:#x} VRW-U--- shrimp" and change.after == ""


def test_flags_that_change_are_one_change_with_both_sides(machine):
    p = machine.processes[4]
    change, = after(machine, lambda: machine.map(p.root, FRY, p.fry, R | W))
    assert change.kind == "~" and change.va == FRY and change.pte_before ^ change.pte_after == U
    assert (change.before, change.after) == (f"{p.fry:#x} VRW-U--- fry", f"{p.fry:#x} VRW----- fry")


def test_another_frame_at_the_same_address_is_one_change(machine):
    p, other = machine.processes[4], machine.alloc()
    change, = after(machine, lambda: machine.map(p.root, SHRIMP, other, R | W | U))
    assert change.kind == "~" and change.before.startswith(hex(p.shrimp)) and change.after.startswith(hex(other))


def test_what_the_hardware_sets_is_no_change(machine):
    p = machine.processes[4]
    assert after(machine, lambda: machine.map(p.root, FRY, p.fry, R | W | U | A | D)) == []


def test_a_table_that_had_to_be_made_first_is_told_and_was_not_there_before(machine):
    p, va = machine.processes[4], 0x40000000
    frame = machine.alloc()
    found = after(machine, lambda: machine.map(p.root, va, frame, R | U))
    assert sorted((c.level, c.kind, c.what) for c in found) == [(0, "+", "pte"), (1, "+", "table"), (2, "+", "table")]
    by_level = {c.level: c for c in found}
    # The root was there, and its entry empty; the tables below were not.
    assert [by_level[level].pte_before for level in (2, 1, 0)] == [0, None, None]
    assert by_level[2].pte_at == p.root + 8 * 1
    assert by_level[2].after == f"level 1 table {by_level[1].pte_at & -PAGE:#x}"


def test_a_process_that_comes_is_told_with_all_that_it_maps_and_one_that_goes_in_one_line(machine):
    found = after(machine, lambda: machine.process(6, machine.processes[3], "sh", "USED"))
    assert found[0] == Change("+", "process", 6, after="sh, USED, child of 3")
    assert {c.va for c in found if c.what == "pte"} >= {0, PAGE, FRY, SHRIMP} and {c.kind for c in found[2:]} == {"+"}
    assert after(machine, lambda: machine.exits(machine.processes[6])) == \
        [Change("-", "process", 6, before="sh, USED, child of 3")]


@pytest.mark.parametrize("what, value, before, now", [
    ("state", 3, "SLEEPING", "RUNNABLE"), ("parent", 0, "3", "none"), ("sz", 0x3000, "0x4000", "0x3000")])
def test_a_field_that_changes_is_told_in_words(machine, what, value, before, now):
    p = machine.processes[4]
    change = next(c for c in after(machine, lambda: machine.field(p, what, value)) if c.what == what)
    assert change == Change("~", what, 4, before=before, after=now)


def test_frames_that_are_taken_show_in_the_free_lists_count(machine):
    before = machine.snapshot()
    for _ in range(3):
        machine.alloc()
    n = before.free.count
    assert between(before, machine.snapshot()) == [Change("~", "free", before=f"{n} frames", after=f"{n - 3} frames")]


def test_processes_come_by_pid_and_entries_by_address(machine):
    places = [HEAP + i * PAGE for i in (300, 7, 90, 0, 200, 41)]

    def several():
        for pid in (5, 2, 4):
            for va in places:
                machine.map(machine.processes[pid].root, va, machine.alloc(), R | X | U)
    assert [(c.pid, c.va) for c in after(machine, several)] == [(pid, va) for pid in (2, 4, 5) for va in sorted(places)]


def test_segments_and_attachments_that_come_change_and_go_are_told(machine):
    d = Design(machine)
    one, = [d.make(key=0x1234)]
    made = after(machine, lambda: [d.attach(one, 4, HIGH), d.make(PAGE)])
    assert [(c.kind, c.what, c.pid, c.va, c.before, c.after) for c in made if c.what in ("attachment", "segment")] == [
        ("+", "attachment", 4, HIGH, "", "shm[0] VRW-U-"),
        ("~", "segment", None, None, "shm[0], key 0x1234, 4097 bytes, 0 attached", "shm[0], key 0x1234, 4097 bytes, 1 attached"),
        ("+", "segment", None, None, "", "shm[1], 4096 bytes, 0 attached")]
    changed = after(machine, lambda: machine.unmap(machine.processes[4].root, HIGH + PAGE))
    assert [(c.kind, c.after) for c in changed if c.what == "attachment"] == [("~", "shm[0] VRW-U-, 1 of 2 pages")]

    def exits() -> None:
        machine.unmap(machine.processes[4].root, HIGH)
        machine.field(machine.processes[4], "nshm", 0)
    gone = after(machine, exits)
    assert [(c.kind, c.pid, c.va) for c in gone if c.what == "attachment"] == [("-", 4, HIGH)]

"""What an index answers, and that it agrees with a search through the whole snapshot."""

import dataclasses
import random

import pytest
from machine import BASE, FRY, PAGE, SHRIMP, TRAMPOLINE, TRAPFRAME, Machine, R, U, W, family
from shrimpy.memory.sv39 import RSW_NAMES
from shrimpy.snapshot import Counts
from shrimpy.snapshot.index import Index, Ranges


@pytest.fixture(scope="module")
def index():
    return Index(family().snapshot())


def test_child_s_shrimp_is_its_parent_s_fry(index):
    parent, child = index.process(3), index.process(4)
    assert index.phys(child, SHRIMP) == index.phys(parent, FRY) is not None
    assert index.phys(child, SHRIMP + 8) == index.phys(parent, FRY) + 8
    assert [(u.pid, index.shared(u.va)) for u in index.users(index.phys(parent, FRY))] == [
        (3, "FRY"), (4, "SHRIMP"), (5, "SHRIMP")]


def test_every_page_of_every_process_is_its_leaf(index):
    for p in index.snapshot.processes:
        for m in p.mappings:
            assert index.leaf(p, m.va) is m and index.leaf(p, m.va + m.n_pages * PAGE - 1) is m
        assert index.leaf(p, 0x7000000) is None and index.leaf(p, None) is None and index.phys(p, 0x7000000) is None


def test_an_address_in_a_superpage_is_found_at_its_offset():
    m = Machine(n_frames=2048)
    p = m.process(1, None, "init")
    big = BASE + 1024 * PAGE
    m.map_superpage(p.root, 5 << 21, big, R | W | U)
    index = Index(m.snapshot())
    process = index.process(1)
    assert index.phys(process, (5 << 21) + 0x12345) == big + 0x12345 and index.leaf(process, 6 << 21) is None
    assert [(u.pid, u.va) for u in index.users(big + 3 * PAGE)] == [(1, (5 << 21) + 3 * PAGE)]
    assert index.frame(big + 511 * PAGE).n_pages == 512 and [f.pa for f in index.frames(big - PAGE, 3)][-1] == big


def test_special_pages_have_names(index):
    assert [index.special(va) for va in (FRY, SHRIMP, TRAPFRAME, TRAMPOLINE, 0, None)] == [
        "FRY", "SHRIMP", "TRAPFRAME", "TRAMPOLINE", None, None]
    assert [index.shared(va) for va in (FRY, SHRIMP, TRAPFRAME, None)] == ["FRY", "SHRIMP", None, None]


def test_a_kernel_without_fry_has_no_page_of_that_name():
    made = family().snapshot()
    bare = Index(dataclasses.replace(made, layout=dataclasses.replace(made.layout, fry=None, shrimp=None)))
    assert bare.special(FRY) is bare.special(None) is None and bare.leaf(bare.process(3), bare.layout.fry) is None


def test_every_frame_is_free_or_used_or_the_kernel_s(index):
    layout = index.layout
    for pa in range(layout.kernel_end + PAGE - 1 & -PAGE, layout.alloc_end, PAGE):
        assert index.is_free(pa) != bool(index.users(pa)) and not index.is_lost(pa)
    assert not index.is_free(layout.ram_base) and index.frame(layout.ram_base) is None


def test_a_lost_frame_is_lost_and_its_neighbours_are_not():
    made = family().snapshot()
    index = Index(dataclasses.replace(made, lost=((BASE + 8 * PAGE, 2),)))
    assert [index.is_lost(BASE + i * PAGE) for i in range(7, 11)] == [False, True, True, False]
    assert index.is_lost(BASE, 9) and not index.is_lost(BASE, 8)


def test_counts_are_known_where_the_kernel_keeps_them(index):
    frame = index.phys(index.process(3), FRY)
    counted, uncounted = (Index(dataclasses.replace(index.snapshot, counts=counts))
                          for counts in (Counts("refs", ((frame, 3),)), None))
    assert (counted.count(frame), counted.count(frame + PAGE), uncounted.count(frame)) == (3, 0, None)


def test_bits_for_software_have_this_kernel_s_names(index):
    named = Index(dataclasses.replace(index.snapshot, layout=dataclasses.replace(index.layout, rsw=("COW", "RSW1"))))
    assert (index.soft(1 << 8), named.soft(1 << 8), named.soft(3 << 8), named.soft(None)) == (
        RSW_NAMES[:1], ("COW",), ("COW", "RSW1"), ())


def test_of_two_processes_with_one_pid_the_first_is_meant():
    made = family().snapshot()
    twin = dataclasses.replace(made.processes[3], pid=3, slot=60)
    index = Index(dataclasses.replace(made, processes=(*made.processes, twin)))
    assert index.process(3) is made.processes[2] and index.process(99) is index.process(None) is None
    assert index.leaf(twin, SHRIMP) is not index.leaf(made.processes[2], SHRIMP)


def test_ranges_are_found_as_a_search_through_all_finds_them():
    chooser = random.Random(1)
    for _ in range(200):
        ends = sorted(chooser.sample(range(60), 2 * chooser.randrange(1, 9)))
        items = [(a, b, (a, b)) for a, b in zip(ends[::2], ends[1::2])]
        ranges = Ranges(chooser.sample(items, len(items)))
        for first in range(-1, 61):
            for end in (first + 1, first + chooser.randrange(1, 30)):
                assert ranges.within(first, end) == [w for a, b, w in items if a < end and b > first]
            assert ranges.at(first) == next((w for a, b, w in items if a <= first < b), None)

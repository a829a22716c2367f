"""What xv6-rmap, xv6-frames and xv6-vmmap say of a snapshot."""

from __future__ import annotations

from machine import BASE, FRY, PAGE, PROC, TRAMPOLINE, R, U, W, X, family
from shrimpy.show import reports
from shrimpy.show.text import Painter
from shrimpy.snapshot import regions

PLAIN = Painter(False)


def users(pa: int, snapshot) -> set:
    return {(u["kind"], u["pid"], u["va"]) for u in reports.frame_users(pa, snapshot)}


def test_every_user_of_the_trampolines_frame_is_told():
    snapshot = family().snapshot()
    assert users(BASE + PAGE, snapshot) == {
        ("kernel-image", None, None), ("kernel-map", None, hex(BASE + PAGE)), ("kernel-map", None, hex(TRAMPOLINE)),
        *(("user", p.pid, hex(TRAMPOLINE)) for p in snapshot.processes)}
    assert BASE + PAGE in [f.pa for f in reports.shared(snapshot)]
    told = reports.rmap(BASE + PAGE, snapshot, PLAIN)
    assert told.count("trampoline") == 1 + len(snapshot.processes)


def test_an_image_frame_that_one_process_maps_has_its_user_and_others_have_none():
    m = family()
    m.map(m.processes[4].root, FRY, BASE, R | X | U)
    snapshot = m.snapshot()
    assert ("user", 4, hex(FRY)) in users(BASE, snapshot)
    assert users(BASE + 2 * PAGE, snapshot) == {("kernel-image", None, None)}


def test_the_bits_for_software_are_columns_of_the_map_and_part_neighbours():
    m = family()
    p = m.processes[4]
    at = m.pte_at(p.root, 3 * PAGE)
    m.put(at, m.get(at) | 1 << 8)
    snapshot = m.snapshot()
    told = reports.mappings("", snapshot.process(4).mappings, PLAIN, ("PTE_COW", "RSW1"))
    assert told.count("PTE_COW") == 1 and "RSW1" not in told


def named(m, pid: int = 4) -> dict:
    snapshot = m.snapshot()
    return regions.called(snapshot.process(pid).mappings, snapshot.layout, m.info, snapshot.process(pid))


def test_regions_beyond_the_heap_have_the_names_of_the_trees_macros_and_symbols():
    m = family()
    usyscall, mmap = 0x3000000000, 0x2000000000
    m.info.macros.update({"USYSCALL": usyscall, "MMAPBASE": mmap, "PLIC_SIZE": 0x3fffff000, "UNALIGNED": 0x1004})
    for va in (usyscall, mmap, mmap + PAGE, mmap + 3 * PAGE):
        m.map(m.processes[4].root, va, m.alloc(), R | U)
    m.map(m.processes[4].root, 0x3fffff000, PROC, R | U)
    assert named(m) == {usyscall: "usyscall", mmap: "mmapbase", mmap + PAGE: "mmapbase", 0x3fffff000: "proc"}
    assert named(m, 5) == {}


def test_a_child_in_the_middle_of_fork_has_names():
    m = family(n_frames=600)
    child = m.process(9, m.processes[3], "", "USED", n_pages=6)
    m.field(child, "sz", 0)
    assert named(m, 9) == {0: "text", PAGE: "data", 2 * PAGE: "guard", 3 * PAGE: "stack", 4 * PAGE: "heap", 5 * PAGE: "heap"}
    m.unmap(child.root, 2 * PAGE)           # uvmcopy has not come to more
    assert named(m, 9) == {0: "text", PAGE: "data"}


def test_a_heap_of_scattered_frames_is_one_region_and_with_frames_its_runs():
    m = family(n_frames=600)
    p = m.process(9, m.processes[3], n_pages=12)
    for va, pa in zip(range(4 * PAGE, 12 * PAGE, 2 * PAGE), [m.alloc() for _ in range(8)][::2]):
        m.map(p.root, va, pa, R | W | U)
    mappings = m.snapshot().process(9).mappings
    joined = reports.mappings("", mappings, PLAIN, by_frames=False)
    runs = reports.mappings("", mappings, PLAIN)
    assert joined.count("heap") == 1 and runs.count("heap") > 4
    assert f"{4 * PAGE:#x}" in joined and " more  " in joined and " more" not in runs
    p = m.processes[4]
    at = m.pte_at(p.root, 3 * PAGE)
    m.put(at, m.get(at) | 1 << 8)           # a software bit parts them all the same
    assert reports.mappings("", m.snapshot().process(4).mappings, PLAIN, by_frames=False).count("RSW0") == 1

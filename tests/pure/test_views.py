"""What xv6-rmap, xv6-frames and xv6-vmmap say of a snapshot."""

from __future__ import annotations

from machine import BASE, FRY, PAGE, TRAMPOLINE, R, U, X, family
from shrimpy.show import reports
from shrimpy.show.text import Painter

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

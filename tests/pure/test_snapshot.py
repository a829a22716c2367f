"""A snapshot is plain data, the same for the same memory, and goes to JSON."""

import dataclasses
import json

import pytest
from machine import BASE, FRY, PAGE, SHRIMP, TRAMPOLINE, TRAPFRAME, Machine, R, U, W, family
from shrimpy.readers import BytesReader
from shrimpy.snapshot import Hart, Snapshot, Stop, take

DEPTH = 120


def test_the_same_memory_gives_the_same_bytes():
    a, b = family(), family()
    assert a.snapshot().to_json() == b.snapshot().to_json()


def test_json_and_back_is_the_same_snapshot():
    snapshot = family().snapshot()
    assert Snapshot.from_json(snapshot.to_json()) == snapshot


@pytest.mark.parametrize("text", [
    "[]", "{}", '{"schema":"other","version":1}', '{"schema":"shrimpy-snapshot","version":2}',
    '{"schema":"shrimpy-snapshot","version":1}', "not json",
    '{"schema":"shrimpy-snapshot","version":1,"source":"s","kernel":"k","layout":[],"stop":{}}'])
def test_what_is_no_snapshot_is_a_value_error(text):
    with pytest.raises(ValueError):
        Snapshot.from_json(text)


def test_json_follows_the_schema():
    data = json.loads(family().snapshot().to_json())
    assert list(data)[:8] == ["schema", "version", "source", "kernel", "layout", "stop", "harts", "locks"]
    child = data["processes"][3]
    fry = next(m for m in child["mappings"] if m["region"] == "fry")
    assert fry["va"] == hex(FRY) and fry["flags"] == "VRW-U---" and fry["n_pages"] == 1
    assert data["layout"]["shrimp"] == hex(SHRIMP) and data["layout"]["fry_from"] == "macro"
    assert data["free"]["complete"] is True
    assert [p["pid"] for p in data["processes"]] == [1, 2, 3, 4, 5]
    assert data["processes"][0]["parent"] is None and child["parent"] == 3


def test_regions_say_what_each_page_is_for():
    m = family()
    p = m.process(6, m.processes[2], n_pages=7)
    m.map(p.root, 0x40000000, m.alloc(), R | U)
    snapshot = m.snapshot()
    assert {mapping.va: mapping.region for mapping in snapshot.process(6).mappings} == {
        0: "text", PAGE: "data", 2 * PAGE: "guard", 3 * PAGE: "stack", 4 * PAGE: "heap",
        5 * PAGE: "heap", 6 * PAGE: "heap", 0x40000000: "other", SHRIMP: "shrimp", FRY: "fry",
        TRAPFRAME: "trapframe", TRAMPOLINE: "trampoline"}


def test_memory_without_a_guard_page_has_no_finer_regions():
    m = family()
    m.map(m.processes[4].root, 2 * PAGE, m.processes[4].pages[2 * PAGE], R | W | U)
    regions = [mapping.region for mapping in m.snapshot().process(4).mappings[:4]]
    assert regions == ["text", "user", "user", "user"]


def test_every_user_of_a_shared_frame_is_listed():
    m = family()
    frame = next(f for f in m.snapshot().frames if f.pa == m.processes[3].fry)
    assert [(u.kind, u.pid, u.va) for u in frame.users] == [
        ("user", 3, FRY), ("user", 4, SHRIMP), ("user", 5, SHRIMP)]


def test_ram_is_the_image_and_free_and_used_frames():
    m = family()
    snapshot = m.snapshot()
    n_image = (snapshot.layout.kernel_end - BASE) // PAGE
    assert n_image + snapshot.free.count + sum(f.n_pages for f in snapshot.frames) == m.n_frames


def test_the_kernels_table_is_a_few_runs():
    mappings = family().snapshot().kernel_table.mappings
    assert [(m.region, m.n_pages) for m in mappings[:3]] == [
        ("device", 1), ("text", 2), ("ram", 510)]
    assert [m.region for m in mappings[3:]] == ["kstack"] * 5 + ["trampoline"]


def test_a_superpage_is_one_frame_item_until_part_of_it_has_another_user():
    m = Machine(n_frames=2048)
    p = m.process(1, None, "init")
    big = BASE + 1024 * PAGE
    m.available = [pa for pa in m.available if not big <= pa < big + 512 * PAGE]
    m.pte_at(p.root, 5 << 21)
    middle = m.get(p.root) >> 10 << 12
    table = m.get(middle + 8 * 5) >> 10 << 12
    m.available.append(table)
    m.put(middle + 8 * 5, big >> 2 | R | W | U | 1)
    snapshot = m.snapshot()
    assert [(f.pa, f.n_pages) for f in snapshot.frames if big <= f.pa < big + 512 * PAGE] == [
        (big, 512)]
    m.map(p.root, 9 * PAGE, big + 3 * PAGE, R | U)
    snapshot = m.snapshot()
    inside = [f for f in snapshot.frames if big <= f.pa < big + 512 * PAGE]
    assert len(inside) == 512 and [len(f.users) for f in inside[2:5]] == [1, 2, 1]
    assert snapshot.lost == ()


def test_the_stop_is_the_debuggers_with_what_memory_adds():
    m = family()
    m.write_free_list()
    m.put(0x80002000 + 128, m.processes[4].address)
    m.put(0x80002000 + 128 + DEPTH, 2, 4)
    harts = [Hart(1, None, "U", 7, 0x10, None), Hart(0, None, "S", 8, BASE, "scheduler")]
    stop = Stop(hart=1, privilege="U", satp=7, pc=0x10)
    seen = take(m.reader(), m.info, stop, harts, fry=FRY, shrimp=SHRIMP, fry_from="macro")
    assert (seen.stop.pid, seen.stop.privilege, seen.stop.pc) == (4, "U", 0x10)
    assert [(h.hart, h.pid, h.interrupt_depth) for h in seen.harts] == [(0, None, 0), (1, 4, 2)]


def test_without_a_debugger_the_harts_that_run_a_process_are_known():
    m = family()
    m.put(0x80002000 + 128 * 3, m.processes[4].address)
    assert [(h.hart, h.pid, h.privilege) for h in m.snapshot([]).harts] == [(3, 4, None)]


def test_what_fry_holds_is_told():
    m = family()
    for pid, data in ((3, b"\5"), (4, b"\1"), (5, b"x")):
        offset = m.processes[pid].fry - BASE
        m.ram[offset + 8:offset + PAGE] = data * (PAGE - 8)
    assert [p.fry_content for p in m.snapshot().processes] == ["zero", "zero", "junk", "junk", "data"]


def test_a_look_at_another_moment_shows_another_memory():
    m = family()
    m.write_free_list()
    reader = BytesReader(memoryview(m.ram), BASE)

    def look():
        return take(reader, m.info, fry=FRY, shrimp=SHRIMP)

    before = look()
    m.field(m.processes[4], "sz", 0)
    assert (before.process(4).sz, look().process(4).sz) == (4 * PAGE, 0)


def test_memory_of_another_kernel_is_findings_not_errors():
    info = family().info
    seen = take(BytesReader(bytes(512 * PAGE), BASE), info)
    assert seen.processes == () and seen.kernel_table.root is None
    seen = take(BytesReader(bytes(PAGE), BASE), info)
    assert {f.kind for f in seen.findings} == {"outside-ram"}


class Counted(BytesReader):
    """Counts what a stub would be asked for."""

    n_reads = n_bytes = 0

    def read(self, pa, n):
        self.n_reads += 1
        self.n_bytes += n
        return super().read(pa, n)

    def page(self, pa):
        self.n_reads += 1
        self.n_bytes += PAGE
        return super().page(pa)


@pytest.mark.parametrize("n_processes", [4, 60, 250])
def test_reads_grow_with_the_tables_and_nothing_else(n_processes):
    m = Machine(n_frames=8192, nproc=256)
    init = m.process(1, None, "init")
    for pid in range(2, n_processes + 1):
        m.process(pid, init)
    m.write_free_list()
    reader = Counted(bytes(m.ram), BASE)
    seen = take(reader, m.info, fry=FRY, shrimp=SHRIMP)
    n_tables = sum(len(p.tables) for p in seen.processes) + len(seen.kernel_table.tables)
    # A table each, and for each process its kernel stack's end and FRY's.
    assert reader.n_reads <= n_tables + 2 * n_processes + 40


def test_a_snapshot_names_the_kernels_tree_and_not_the_way_to_it():
    made = family()
    made.info = dataclasses.replace(made.info, kernel="/home/someone/secret/lab/kernel/kernel")
    assert made.snapshot().kernel == "lab/kernel/kernel"

"""A snapshot is plain data, the same for the same memory, and goes to JSON."""

import dataclasses
import json
from functools import partial

import bending
import pytest
from fuzz import Fuzzer
from machine import BASE, FRY, PAGE, SHRIMP, TRAMPOLINE, TRAPFRAME, Machine, R, U, W, family
from shrimpy.memory.readers import BytesReader
from shrimpy.memory.sv39 import RSW_NAMES
from shrimpy.records import Unfit
from shrimpy.snapshot import Hart, Snapshot, Stop, take
from shrimpy.snapshot.contradictions import checked

DEPTH = 120


def test_the_same_memory_gives_the_same_bytes():
    a, b = family(), family()
    assert a.snapshot().to_json() == b.snapshot().to_json()


def test_json_and_back_is_the_same_snapshot():
    snapshot = family().snapshot()
    assert Snapshot.from_json(snapshot.to_json()) == snapshot


bent = partial(bending.bent, family().snapshot().to_data())
"""A snapshot's JSON with one place changed."""

AGAIN = "; take the snapshot again with xv6-snapshot"
CHECKOUT = "; use the gdb/ and viz/ of one checkout"


@pytest.mark.parametrize("text, said", [
    ("not json", "expected a shrimpy-snapshot in JSON, found something else (Expecting value: line 1 column 1 (char 0))" + AGAIN),
    ("[" * 100000, "expected a shrimpy-snapshot in JSON, found something else ("),
    ("[]", 'schema: expected "shrimpy-snapshot", found null; is it a snapshot?'),
    (bent("schema", "other"), 'schema: expected "shrimpy-snapshot", found "other"; is it a snapshot?'),
    (bent("version", 2), "version: expected 1, found 2" + CHECKOUT),
    (bent("version", True), "version: expected 1, found true" + CHECKOUT),
    (bent("source", KeyError), "source: expected a string, found nothing" + AGAIN),
    (bent("processes", KeyError), "processes: expected a list, found nothing" + AGAIN),
    (bent("processes", {}), "processes: expected a list, found {}" + AGAIN),
    (bent("layout", []), "layout: expected an object, found []" + AGAIN),
    (bent("layout", None), "layout: expected an object, found null" + AGAIN),
    (bent("layout", "rsw", ["A", 7]), "layout.rsw[1]: expected a string, found 7" + AGAIN),
    (bent("layout", "ram_base", 7), 'layout.ram_base: expected a hex string such as "0x80000000", found 7' + AGAIN),
    (bent("processes", 2, "mappings", 0, "pa", "0xg"),
     'processes[2].mappings[0].pa: expected a hex string such as "0x80000000", found "0xg"' + AGAIN),
    (bent("processes", 2, "mappings", 0, "pa", "0x1" + 16 * "0"), "processes[2].mappings[0].pa: expected a hex string"),
    (bent("processes", 2, "mappings", 0, "flags", "VRW"),
     'processes[2].mappings[0].flags: expected flags such as "VRW-U-AD", found "VRW"' + AGAIN),
    (bent("processes", 0, "pid", "1"), 'processes[0].pid: expected a whole number of 64 bits, found "1"' + AGAIN),
    (bent("processes", 0, "pid", True), "processes[0].pid: expected a whole number of 64 bits, found true" + AGAIN),
    (bent("processes", 0, "pid", 1 << 64), "processes[0].pid: expected a whole number of 64 bits"),
    (bent("processes", 0, "name", None), "processes[0].name: expected a string, found null" + AGAIN),
    (bent("processes", 0, "killed", 0), "processes[0].killed: expected true or false, found 0" + AGAIN),
    (bent("free", "runs", [["0x80000000"]]), 'free.runs[0]: expected a pair [address, number], found ["0x80000000"]' + AGAIN),
    (bent("free", "runs", [["0x80000000", 1], ["0x80001000", None]]), "free.runs[1][1]: expected a whole number"),
    (bent("free", "runs", [[1, 1]]), "free.runs[0][0]: expected a hex string"),
    (bent("frames", [7]), "frames[0]: expected an object, found 7" + AGAIN),
    (bent("functions", []), "functions: expected an object of strings, found []" + AGAIN),
    (bent("functions", {"fork": 7}), "functions.fork: expected a string, found 7" + AGAIN),
    (bent("findings", "x" * 90), f'findings: expected a list, found "{"x" * 39}...' + AGAIN),
])
def test_what_is_no_snapshot_is_one_line_with_the_place(text, said):
    with pytest.raises(Unfit) as caught:
        Snapshot.from_json(text)
    assert str(caught.value).startswith(said) and "\n" not in str(caught.value)


def test_a_file_of_a_writer_that_knew_fewer_keys_is_read():
    data = json.loads(family().snapshot().to_json())
    for keys in ((data, "panic", "next_pid"), (data["layout"], "rsw"), (data["counts"] or {}, "idle"),
                 *((t, "pte") for p in data["processes"] for t in p["tables"]), *((one, "n_pages") for one in data["free"]["lists"])):
        for key in keys[1:]:
            keys[0].pop(key, None)
    seen = Snapshot.from_json(json.dumps(data))
    assert seen.layout.rsw == RSW_NAMES and seen.next_pid is None and seen.free.lists[0].n_pages == 1


def test_keys_of_a_later_writer_are_ignored():
    made = family().snapshot()
    assert Snapshot.from_json(json.dumps({**json.loads(made.to_json()), "phase_of_the_moon": 3})) == made


@pytest.mark.parametrize("change, said", [
    (lambda s: dataclasses.replace(s, free=dataclasses.replace(s.free, runs=((BASE, 2), (BASE + PAGE, 1)))),
     "free.runs[1]: expected each frame once, and free.runs[0] ends at 0x80002000, found 0x80001000"),
    (lambda s: dataclasses.replace(s, lost=((BASE + 1, 1),)),
     "lost[0][0]: expected a frame's physical address, of 56 bits, found 0x80000001"),
    (lambda s: dataclasses.replace(s, lost=((BASE, 0),)), "lost[0][1]: expected a run of one frame or more, found 0"),
    (lambda s: dataclasses.replace(s, processes=s.processes[:1] * 2),
     "processes[1].slot: expected one to a slot, and processes[0] is in it, found 0"),
])
def test_a_snapshot_that_contradicts_itself_is_told_by_the_place(change, said):
    with pytest.raises(Unfit) as caught:
        checked(change(family().snapshot()))
    assert str(caught.value) == said


def test_whatever_memory_holds_its_snapshot_does_not_contradict_itself():
    m = family(n_frames=256, nproc=16)
    m.write_free_list()
    fuzzer = Fuzzer(m.ram, BASE, m.info, {"fry": FRY, "shrimp": SHRIMP, "fry_from": "macro"})
    for seed in range(60):
        assert checked(fuzzer.run(seed, 1 + seed % 6)[0])


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
    m.map_superpage(p.root, 5 << 21, big, R | W | U)
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

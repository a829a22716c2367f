"""The walk on made-up memory: what it finds, and that nothing makes it long."""

import random
import struct

import pytest
from shrimpy.memory import sv39
from shrimpy.memory.readers import PAGE, BytesReader, Reader, ReadError
from shrimpy.memory.sv39 import A, D, G, MAXVA, R, U, V, W, X, Budget

BASE = 0x80000000


class Memory:
    """Frames of zeros; `put` writes entries."""

    def __init__(self, n_frames=16):
        self.ram = bytearray(n_frames * PAGE)
        self.frames = [BASE + i * PAGE for i in range(n_frames)]

    def put(self, table, index, value):
        struct.pack_into("<Q", self.ram, table - BASE + 8 * index, value)

    def chain(self, va, value, tables=None):
        """Root, middle and last table in frames 0 to 2 (or `tables`), and the leaf."""
        t = tables or self.frames[:3]
        self.put(t[0], va >> 30 & 511, pointer(t[1]))
        self.put(t[1], va >> 21 & 511, pointer(t[2]))
        self.put(t[2], va >> 12 & 511, value)

    def walk(self, **how):
        return sv39.walk(BytesReader(bytes(self.ram), BASE), BASE, **how)

    def translate(self, va):
        return sv39.translate(BytesReader(bytes(self.ram), BASE), BASE, va)


def pointer(pa):
    return pa >> 2 | V


def leaf(pa, flags):
    return pa >> 2 | flags | V


def kinds(walk):
    return [f.kind for f in walk.findings]


def test_a_leaf_is_found_with_its_address_entry_and_flags():
    m = Memory()
    va, pa = 0x3FFFFFD000, BASE + 9 * PAGE
    m.chain(va, leaf(pa, R | W | U | A | D))
    w = m.walk()
    one, = w.leaves
    assert (one.va, one.pa, one.level, one.n_pages) == (va, pa, 0, 1)
    assert one.pte_at == BASE + 2 * PAGE + 8 * (va >> 12 & 511)
    assert sv39.flags_of(one.pte) == "VRW-U-AD" and sv39.pa_of(one.pte) == pa
    assert [(t.pa, t.level, t.va) for t in w.tables] == [
        (BASE, 2, 0), (BASE + PAGE, 1, va & -(1 << 30)), (BASE + 2 * PAGE, 0, va & -(1 << 21))]
    assert [t.entry for t in w.tables] == [None, BASE + 8 * 255, BASE + PAGE + 8 * 511]
    assert w.complete and not w.findings


def test_an_empty_table_has_nothing():
    w = Memory().walk()
    assert (len(w.tables), w.leaves, w.findings, w.complete) == (1, [], [], True)


def test_leaves_come_in_order_of_address():
    m = Memory()
    for i in (511, 0, 7):
        m.chain(i << 12, leaf(BASE, R))
    assert [one.va for one in m.walk().leaves] == [0, 7 << 12, 511 << 12]


def test_entries_without_v_are_nothing_whatever_else_they_hold():
    m = Memory()
    m.chain(0, leaf(BASE, R | W) & ~V)
    assert m.walk().leaves == [] and m.walk().findings == []


def test_addresses_of_the_upper_half_are_sign_extended():
    m = Memory()
    m.chain(1 << 38, leaf(BASE, R))
    assert m.walk().leaves[0].va == 0xFFFFFFC000000000
    assert m.translate(0xFFFFFFC000000008).pa == BASE + 8
    assert m.translate(1 << 38).fault


def test_superpages_have_their_size():
    m = Memory(1024)
    m.put(BASE, 0, pointer(BASE + PAGE))
    m.put(BASE + PAGE, 3, leaf(BASE + (1 << 21), R | W))
    one, = m.walk().leaves
    assert (one.va, one.level, one.n_pages) == (3 << 21, 1, 512)
    assert m.translate((3 << 21) + 0x12345).pa == BASE + (1 << 21) + 0x12345


def test_a_misaligned_superpage_is_a_finding():
    m = Memory(1024)
    m.put(BASE, 0, pointer(BASE + PAGE))
    m.put(BASE + PAGE, 0, leaf(BASE + PAGE, R))
    assert kinds(m.walk()) == ["misaligned-superpage"]
    assert "aligned" in m.translate(0).fault


@pytest.mark.parametrize("value, kind", [
    (leaf(0, R | W), "leaf-outside-ram"),
    (leaf(BASE - PAGE, R), "leaf-outside-ram"),
    (leaf(BASE + 16 * PAGE, R), "leaf-outside-ram"),
    (leaf(BASE, W), "write-without-read"),
    (leaf(BASE, W | X), "write-without-read"),
    (leaf(BASE, R) | 1 << 54, "reserved-bits"),
    (leaf(BASE, R) | 1 << 63, "reserved-bits"),
    (pointer(BASE), "pointer-at-level-0"),
])
def test_what_cannot_be_right_in_a_leaf_is_a_finding(value, kind):
    m = Memory()
    m.chain(0x5000, value)
    f = next(f for f in m.walk().findings if f.kind == kind)
    assert (f.va, f.pte, f.at) == (0x5000, value, BASE + 2 * PAGE + 8 * 5)


@pytest.mark.parametrize("extra", [U, A, D])
def test_pointers_with_reserved_flags_are_findings(extra):
    m = Memory()
    m.chain(0, leaf(BASE, R))
    m.put(BASE, 0, pointer(BASE + PAGE) | extra)
    w = m.walk()
    assert kinds(w) == ["pointer-flags"] and len(w.leaves) == 1


def test_a_pointer_with_g_is_as_it_should_be():
    m = Memory()
    m.chain(0, leaf(BASE, R))
    m.put(BASE, 0, pointer(BASE + PAGE) | G)
    assert m.walk().findings == []


def test_a_table_outside_ram_is_a_finding_and_the_walk_is_not_complete():
    m = Memory()
    m.put(BASE, 5, pointer(0x10000000))
    w = m.walk()
    assert kinds(w) == ["table-outside-ram"] and not w.complete


def test_a_root_outside_ram_or_not_a_frame_is_a_finding():
    reader = BytesReader(bytes(PAGE), BASE)
    for root in (0, BASE + 8, BASE + PAGE, 1 << 55):
        w = sv39.walk(reader, root)
        assert kinds(w) == ["root-outside-ram"] and not w.complete


def test_a_table_that_points_at_itself_is_visited_once():
    m = Memory()
    m.put(BASE, 0, pointer(BASE))
    w = m.walk()
    assert kinds(w) == ["table-repeated"] and len(w.tables) == 1


def test_a_table_under_two_entries_is_descended_once():
    m = Memory()
    m.chain(0, leaf(BASE, R))
    m.put(BASE, 1, pointer(BASE + PAGE))
    w = m.walk()
    assert kinds(w) == ["table-repeated"] and len(w.tables) == 3 and len(w.leaves) == 1
    assert w.findings[0].at == BASE + 8


def test_tables_that_all_point_at_each_other_end():
    m = Memory(64)
    for table in m.frames:
        for i in range(512):
            m.put(table, i, pointer(m.frames[i % 64]))
    w = m.walk()
    assert len(w.tables) <= 64 and w.findings[-1].kind == "more"
    assert len(w.findings) <= 34


def test_findings_of_noise_are_counted_not_listed():
    m = Memory()
    for i in range(512):
        m.put(BASE, i, pointer(0x1000))
    w = m.walk()
    assert len(w.findings) == 33 and (w.findings[-1].kind, w.findings[-1].n) == ("more", 480)


def test_a_budget_that_ends_is_told_once():
    m = Memory()
    for i in range(512):
        m.chain(i << 12, leaf(BASE, R))
    m.put(BASE, 1, pointer(m.frames[5]))
    m.put(BASE, 2, pointer(m.frames[6]))
    w = m.walk(budget=Budget(100, 100))
    assert not w.complete and kinds(w) == ["truncated"]


def test_runs_join_neighbours_that_differ_in_a_and_d_only():
    m = Memory()
    for i in range(512):
        m.chain(i << 12, leaf(BASE + i * PAGE, R | W | (A | D if i % 3 else 0)))
    w = m.walk(runs=True, devices=True)
    assert [(one.va, one.pa, one.n_pages) for one in w.leaves] == [(0, BASE, 512)]


def test_runs_of_a_full_table_equal_runs_of_its_entries():
    """The shortcut for whole tables gives what entry by entry gives."""
    chooser = random.Random(4)
    for _ in range(60):
        m = Memory()
        start = chooser.randrange(1 << 20) << 12
        for i in range(512):
            m.chain(i << 12, leaf(start + i * PAGE, R | W | chooser.choice((0, A, A | D))))
        if chooser.random() < 0.7:
            m.chain(chooser.randrange(512) << 12, chooser.choice(
                (0, leaf(start, R | W), leaf(start + PAGE, R), leaf(start, R | W) | 1 << 60)))
        runs = m.walk(runs=True, devices=True).leaves
        pages = [(one.va + i * PAGE, one.pa + i * PAGE, one.pte & 0x3F)
                 for one in runs for i in range(one.n_pages)]
        assert pages == [(one.va, one.pa, one.pte & 0x3F)
                         for one in m.walk(devices=True).leaves]


@pytest.mark.parametrize("level", [0, 1])
def test_a_table_that_is_one_run_costs_one_leaf(level):
    m, pages = Memory(), 1 << 9 * level
    m.put(m.frames[0], 0, pointer(m.frames[1]))
    if level == 0:
        m.put(m.frames[1], 0, pointer(m.frames[2]))
    for i in range(512):
        m.put(m.frames[2 - level], i, leaf((1 << 30) + i * pages * PAGE, R | W))
    budget = Budget(10, 10)
    w = m.walk(runs=True, devices=True, budget=budget)
    assert [(one.va, one.pa, one.level, one.n_pages) for one in w.leaves] == [(0, 1 << 30, level, 512 * pages)]
    assert w.complete and budget.n_leaves == 9


def test_device_registers_are_no_findings_in_the_kernels_table():
    m = Memory()
    m.chain(0x10000000, leaf(0x10000000, R | W))
    assert kinds(m.walk()) == ["leaf-outside-ram"]
    assert m.walk(devices=True).findings == []


def test_entries_skip_zeros_and_keep_the_rest():
    page = bytearray(PAGE)
    for i in (0, 63, 64, 300, 511):
        struct.pack_into("<Q", page, 8 * i, i + 1)
    assert list(sv39.entries(bytes(page))) == [(i, i + 1) for i in (0, 63, 64, 300, 511)]


class Failing(Reader):
    """RAM that cannot be read from some table on."""

    def __init__(self, data, good):
        super().__init__((BASE, BASE + len(data)))
        self.data, self.good, self.n_reads = data, good, 0

    def _read(self, pa, n):
        self.n_reads += 1
        if pa >= self.good:
            raise ReadError("the stub said E14")
        return self.data[pa - BASE:pa - BASE + n]


def test_a_table_that_cannot_be_read_is_a_finding():
    m = Memory()
    m.chain(0, leaf(BASE, R))
    w = sv39.walk(Failing(bytes(m.ram), BASE + PAGE), BASE)
    assert kinds(w) == ["unreadable"] and not w.complete


def test_a_walk_reads_each_table_once():
    m = Memory()
    for i in range(40):
        m.chain(i << 12, leaf(BASE, R))
    reader = Failing(bytes(m.ram), BASE + 99 * PAGE)
    sv39.walk(reader, BASE)
    assert reader.n_reads == 3


def test_a_translation_shows_each_step():
    m = Memory()
    va = MAXVA - 3 * PAGE + 0x123
    m.chain(va, leaf(BASE + 9 * PAGE, R | W | U))
    t = m.translate(va)
    assert t.pa == BASE + 9 * PAGE + 0x123 and t.fault is None and t.level == 0
    assert [(s.level, s.index, s.table) for s in t.steps] == [
        (2, 255, BASE), (1, 511, BASE + PAGE), (0, 509, BASE + 2 * PAGE)]
    assert t.steps[0].text == f"pointer V------- -> table {BASE + PAGE:#x}"
    assert t.steps[2].text == f"leaf VRW-U--- -> {BASE + 9 * PAGE:#x}"
    assert sv39.indices(va) == (255, 511, 509, 0x123)


@pytest.mark.parametrize("value, why", [
    (0, "V is clear"), (leaf(BASE, W), "W without R"), (leaf(BASE, R) | 1 << 55, "reserved"),
    (pointer(BASE), "only a leaf may be")])
def test_a_translation_that_faults_says_why(value, why):
    m = Memory()
    m.chain(0, value)
    t = m.translate(0)
    assert t.pa is None and why in t.fault and len(t.steps) == 3


def test_a_translation_through_a_table_outside_ram_faults():
    m = Memory()
    m.put(BASE, 0, pointer(0x1000))
    assert "outside RAM" in m.translate(0).fault


@pytest.mark.parametrize("flags, access, user, allowed", [
    (R | W | U, "read", True, True), (R | W | U, "write", True, True),
    (R | W | U, "execute", True, False), (R | W, "read", True, False),
    (R | W | U, "read", False, False), (R | X, "execute", False, True),
    (R | X | U, "execute", False, False), (R, "write", False, False)])
def test_rights_are_those_of_the_privileged_specification(flags, access, user, allowed):
    assert (sv39.refusal(leaf(BASE, flags), access, user) is None) == allowed


def test_sum_lets_the_supervisor_read_user_pages_and_mxr_read_code():
    assert sv39.refusal(leaf(BASE, R | U), "read", False, sum_set=True) is None
    assert sv39.refusal(leaf(BASE, X | U), "execute", False, sum_set=True)
    assert sv39.refusal(leaf(BASE, X), "read", False, mxr_set=True) is None


# Bits for software

def test_the_bits_for_software_are_shown_by_the_kernels_names():
    pte = BASE >> 2 | V | R | 1 << 8
    assert sv39.soft_of(pte) == ("RSW0",) and sv39.soft_of(pte | 1 << 9, ("PTE_COW", "PTE_S")) == ("PTE_COW", "PTE_S")
    assert sv39.describe(pte, 0, ("PTE_COW", "RSW1")) == f"leaf VR------ PTE_COW -> {BASE:#x}"
    assert sv39.describe(pte & ~R, 1) == f"pointer V------- RSW0 -> table {BASE:#x}"


def test_a_leaf_for_who_asks_often_is_the_one_that_is_explained():
    """Over tables of entries that are sound, and of such whose bits were tossed."""
    some, ended = random.Random(7), set()
    for _ in range(3000):
        m, va = Memory(4), some.choice((some.randrange(MAXVA), some.randrange(1 << 64)))
        m.chain(va, leaf(some.choice(m.frames), some.choice((R, R | W, R | X, X, U | R | W))))
        for table in some.sample(m.frames[:3], some.randrange(3)):
            index = va >> 12 + 9 * (2 - m.frames.index(table)) & 511
            m.put(table, index, some.choice((0, V | W, leaf(some.choice(m.frames), R), some.getrandbits(64), some.getrandbits(54) | V)))
        reader = BytesReader(bytes(m.ram), BASE)
        told = m.translate(va)
        found = sv39.leaf(lambda pa, reader=reader: int.from_bytes(reader.read(pa, 8), "little"), BASE, va)
        assert found == (None if told.fault else (told.pa, told.pte)), hex(va)
        ended.add(None if told.fault is None else told.fault.partition(":")[2][:12])
    assert len(ended) >= 6

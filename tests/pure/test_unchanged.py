"""A snapshot that uses what did not change is the snapshot that is taken from nothing; and only what changed is made again."""
from __future__ import annotations

import random

import pytest
from fuzz import Fuzzer
from machine import BASE, FRY, SHRIMP, Machine, family
from shrimpy.memory.readers import PAGE, BytesReader, Reader, ReadError
from shrimpy.memory.sv39 import R, U, W
from shrimpy.memory.unchanged import UnchangedReader
from shrimpy.snapshot import Hart, Snapshot, Stop, take, taking

CONSTANTS = {"fry": FRY, "shrimp": SHRIMP, "fry_from": "macro"}
HARTS = (Hart(0, None, "S", None, None, "scheduler"),)


class Twice:
    """One memory, looked at anew and by what has not changed."""

    def __init__(self, m: Machine) -> None:
        self.m = m
        self.again = UnchangedReader(BytesReader(memoryview(m.ram), BASE))

    def looks(self, info=None) -> Snapshot:
        """Both, which are equal."""
        kept, fresh = (take(reader, info or self.m.info, Stop(), HARTS, **CONSTANTS)
                       for reader in (self.again, BytesReader(memoryview(self.m.ram), BASE)))
        assert kept == fresh
        return kept

    def n_made(self) -> int:
        """How many results a look makes."""
        before = self.again.n_made
        self.looks()
        return self.again.n_made - before


class Both(Fuzzer):
    """Corrupts an image, and looks at it in both ways before, between and after."""

    def __init__(self, m: Machine) -> None:
        self._twice = Twice(m)
        super().__init__(m.ram, BASE, m.info, CONSTANTS)

    def look(self) -> Snapshot:
        return self._twice.looks()

    def story(self, seed: int, n_looks: int) -> None:
        """Corruptions one after the other, a look after each, with some put right again."""
        chooser = random.Random(seed)
        try:
            for _ in range(n_looks):
                for _ in range(chooser.randrange(3)):
                    chooser.choice(self.ways)(chooser)
                if self.journal and chooser.random() < 0.4:
                    pa, old = self.journal.pop()
                    self.ram[pa - self.base:pa - self.base + len(old)] = old
                self.look()
        finally:
            while self.journal:
                pa, old = self.journal.pop()
                self.ram[pa - self.base:pa - self.base + len(old)] = old


@pytest.fixture(scope="module")
def both() -> Both:
    m = family(n_frames=256, nproc=16)
    m.write_free_list()
    return Both(m)


@pytest.mark.parametrize("block", range(2))
def test_whatever_memory_holds_the_snapshot_is_the_same(both, block):
    for seed in range(60 * block, 60 * block + 60):
        both.story(seed, 6)
        assert both.look() == both.sound


@pytest.mark.soak
@pytest.mark.limit(3600)
def test_ten_thousand_stories(both):
    for seed in range(1000, 11000):
        both.story(seed, 6)


def test_one_change_makes_one_process_and_one_table_again():
    m = family(n_frames=256, nproc=16)
    m.write_free_list()
    twice = Twice(m)
    assert twice.n_made() >= 10
    assert twice.n_made() == 0
    child = m.processes[5]
    m.map(child.root, 0x1000, child.pages[0x1000], R | U)
    assert twice.n_made() == 3, "the snapshot, the process, and its table of the lowest addresses"
    m.map(child.root, 0x1000, child.pages[0x1000], R | W | U)
    assert twice.n_made() == 3, "one look before is all that is kept"


def test_what_was_made_before_memory_changed_under_a_look_is_used_by_the_next(monkeypatch):
    m = family(n_frames=256, nproc=16)
    m.write_free_list()
    twice = Twice(m)
    before = twice.looks()
    m.put(m.available[-1], 0)       # lost, so that its owner is looked for, in memory that changes now
    with monkeypatch.context() as changing:
        changing.setattr(twice.again._below, "has_first_words", lambda _: False)
        with pytest.raises(ReadError, match="changed"):
            take(twice.again, m.info, Stop(), HARTS, **CONSTANTS)
    after = take(twice.again, m.info, Stop(), HARTS, **CONSTANTS)
    assert after.lost and all(one is other for one, other in zip(after.processes, before.processes))


def test_a_free_list_that_was_torn_while_it_was_read_has_nobody_search_all_of_ram(monkeypatch):
    m = family(n_frames=2048, nproc=16)
    m.write_free_list()

    class Torn(BytesReader):
        """The first frame is taken, and filled with zeros, between a look at the list's head and one at the links."""

        def first_words(self) -> bytes:
            words = super().first_words() or b""
            return bytes(len(words)) if running else words
    running = True
    reader = UnchangedReader(Torn(memoryview(m.ram), BASE))
    searched = []
    monkeypatch.setattr(taking, "claim", lambda *_: searched.append(1))
    with pytest.raises(ReadError, match="changed"):
        take(reader, m.info, Stop(), HARTS, **CONSTANTS)
    assert not searched
    running = False
    assert take(reader, m.info, Stop(), HARTS, **CONSTANTS) == take(BytesReader(memoryview(m.ram), BASE), m.info, Stop(), HARTS, **CONSTANTS)


def test_of_a_machine_that_stands_still_bytes_are_compared_and_no_entry_is_decoded():
    m = family(n_frames=256, nproc=16)
    m.write_free_list()
    twice = Twice(m)
    tables = {table.pa for p in twice.looks().processes for table in p.tables}
    before = twice.again.n_compared
    assert twice.n_made() == 0
    assert len(tables) <= twice.again.n_compared - before <= 2 * len(tables), "each page once"


def test_a_frame_that_is_freed_leaves_what_is_known_of_the_processes():
    m = family(n_frames=256, nproc=16)
    m.write_free_list()
    twice = Twice(m)
    before = twice.looks()
    m.put(m.available[-1], 0)
    after = twice.looks()
    assert after.free != before.free and after.lost
    assert all(one is other for one, other in zip(after.processes, before.processes))


def test_a_page_that_is_a_table_of_another_process_now_is_decoded_as_that():
    m = family(n_frames=256, nproc=16)
    m.write_free_list()
    twice = Twice(m)
    twice.looks()
    one, other = m.processes[4], m.processes[5]
    m.field(one, "pagetable", other.root)
    m.field(other, "pagetable", one.root)
    seen = {p.pid: p for p in twice.looks().processes}
    assert seen[4].root == other.root and {m.pa for m in seen[4].mappings} >= set(other.pages.values())


def test_a_table_at_another_address_has_the_leaves_of_that_address():
    m = family(n_frames=256, nproc=16)
    m.write_free_list()
    twice = Twice(m)
    twice.looks()
    root = m.processes[5].root
    middle = m.get(root) >> 10 << 12
    m.put(middle + 8, m.get(middle))        # the same table, 2 MiB further up
    m.put(middle, 0)
    seen = next(p for p in twice.looks().processes if p.pid == 5)
    assert min(one.va for one in seen.mappings) == 2 << 20


def test_another_machine_behind_the_same_reader_is_seen_as_it_is():
    m = family(n_frames=256, nproc=16)
    m.write_free_list()
    twice = Twice(m)
    twice.looks()
    other = Machine(n_frames=256, nproc=16)
    other.process(1, other.process(7, None, "init"), "other")
    other.write_free_list()
    m.ram[:] = other.ram
    assert [p.name for p in twice.looks().processes] == ["init", "other"]


def test_another_kernels_debugging_information_counts():
    m = family(n_frames=256, nproc=16)
    m.write_free_list()
    twice = Twice(m)
    twice.looks()
    info = family(n_frames=256, nproc=16).info
    info.macros["USERSTACK"] = 0
    assert twice.looks(info) != twice.looks()


def test_nothing_grows():
    m = family(n_frames=256, nproc=16)
    m.write_free_list()
    twice = Twice(m)
    child, n = m.processes[5], set()
    for i in range(40):
        m.map(child.root, 0x1000, child.pages[0x1000], (R | U, R | W | U)[i & 1])
        m.field(child, "sz", 4 * PAGE + i)
        twice.looks()
        n.add((len(twice.again._copies), sum(map(n_kept, twice.again._part.parts.values()))))
    assert len(n) <= 3, "a look's pages and parts"


def n_kept(part) -> int:
    """A part and those that it was made of; what it has replaced is gone."""
    assert not part.before
    return 1 + sum(map(n_kept, part.parts.values()))


class Broken(Reader):
    """Memory whose first page cannot be read as often as `n_refused` says."""
    n_refused = 2

    def _read(self, pa: int, n: int) -> bytes:
        if pa == BASE and self.n_refused:
            self.n_refused -= 1
            raise ReadError("not now")
        return bytes(n)


@pytest.mark.parametrize("who_bears_it", ["inner", "outer"])
def test_what_came_of_a_refused_read_is_not_kept(who_bears_it):
    reader = UnchangedReader(Broken((BASE, BASE + 4 * PAGE)))

    def borne(by: str, make) -> str:
        try:
            return make()
        except ReadError:
            if by != who_bears_it:
                raise
            return "refused"

    def inner() -> str:
        return borne("inner", lambda: f"read {len(reader.read(BASE, 8))}")

    def outer() -> str:
        return borne("outer", lambda: reader.remembered("inner", inner))
    assert reader.remembered("outer", outer) == "refused"
    reader.look(None)
    assert reader.remembered("outer", outer) == "read 8"
    reader.look(None)
    assert reader.remembered("outer", outer) == "read 8" and reader.n_made == 4

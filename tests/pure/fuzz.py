"""Corrupts memory in ways that happen and in ways that do not, and looks at it.

Whatever memory holds, a snapshot is taken, is judged, and goes to JSON, with a
bounded number of reads. An image is corrupted in place and put right again, so
that one of 128 MiB costs no copies.
"""

from __future__ import annotations

import random
import struct
from typing import Callable, Dict, List, Sequence, Tuple

from shrimpy.kernel import Kernel
from shrimpy.kernel.debuginfo import DebugInfo
from shrimpy.memory.readers import PAGE, BytesReader
from shrimpy.memory.sv39 import R, U, V, W, X
from shrimpy.rules import FAIL, PASS, RULES, SKIPPED, evaluate
from shrimpy.snapshot import Hart, Snapshot, Stop, take


class CountingReader(BytesReader):
    """Counts reads."""

    n_reads = 0

    def read(self, pa: int, n: int) -> bytes:
        self.n_reads += 1
        return super().read(pa, n)

    def page(self, pa: int) -> bytes:
        self.n_reads += 1
        return super().page(pa)


class Fuzzer:
    """One image, and what its sound snapshot says is worth corrupting."""

    def __init__(self, ram: bytearray, base: int, info: DebugInfo, constants: Dict[str, int]) -> None:
        self.ram, self.base, self.info, self.constants = ram, base, info, constants
        self.end = base + len(ram)
        self.harts: Sequence[Hart] = (Hart(0, None, "S", None, None, "scheduler"),)
        self.sound = self.look()
        self.tables = [t.pa for p in self.sound.processes for t in p.tables]
        self.tables += [t.pa for t in self.sound.kernel_table.tables]
        self.entries = [m.pte_at for p in self.sound.processes for m in p.mappings]
        self.entries += [t.entry for p in self.sound.processes for t in p.tables if t.entry]
        self.slots = [p.proc for p in self.sound.processes]
        self.free = [pa for pa, _ in self.sound.free.runs]
        self.journal: List[Tuple[int, bytes]] = []
        self.ways: List[Callable[[random.Random], None]] = [
            self.entry_to_a_table, self.entry_of_noise, self.entry_outside, self.flag_flipped,
            self.entries_swapped, self.tables_all_alike, self.table_of_noise, self.table_of_leaves,
            self.table_of_pointers, self.superpages, self.free_loop, self.free_outside,
            self.free_head_of_noise, self.slot_of_noise, self.field_of_noise, self.parents_in_a_ring,
            self.root_elsewhere, self.root_of_another, self.variable_of_noise, self.stack_of_noise,
            self.slots_all_alike, self.frame_of_noise, self.state_of_another]

    def run(self, seed: int, n_changes: int) -> Tuple[Snapshot, Dict[str, int]]:
        """Corrupt in `n_changes` ways chosen by `seed`, look, judge; (what was
        seen, verdicts by status). Memory is afterwards as before."""
        chooser = random.Random(seed)
        try:
            for _ in range(n_changes):
                chooser.choice(self.ways)(chooser)
            seen = self.look()
        finally:
            while self.journal:
                pa, old = self.journal.pop()
                self.ram[pa - self.base:pa - self.base + len(old)] = old
        verdicts = evaluate(seen, self.sound)
        assert all(v.status in (PASS, FAIL, SKIPPED) for v in verdicts)
        assert all(v.why for v in verdicts if v.status != PASS)
        assert {v.rule for v in verdicts} == _ALL_RULES
        assert Snapshot.from_json(seen.to_json()) == seen
        return seen, {s: sum(v.status == s for v in verdicts) for s in (PASS, FAIL, SKIPPED)}

    def look(self) -> Snapshot:
        reader = CountingReader(memoryview(self.ram), self.base)
        seen = take(reader, self.info, Stop(), self.harts, **self.constants)  # type: ignore[arg-type]
        n_frames = len(self.ram) // PAGE
        # Each table once and each walk's root, then stacks, structs and data.
        assert reader.n_reads <= 4 * n_frames + 40 * Kernel(reader, self.info).n_slots() + 1000
        assert sum(len(p.tables) for p in seen.processes) <= 2 * n_frames
        assert sum(len(p.mappings) for p in seen.processes) <= 4 * n_frames + 512
        return seen

    # Ways to corrupt

    def write(self, pa: int, data: bytes) -> None:
        """Write what fits in RAM, and remember what was there."""
        at = pa - self.base
        if 0 <= at < len(self.ram):
            data = data[:len(self.ram) - at]
            self.journal.append((pa, bytes(self.ram[at:at + len(data)])))
            self.ram[at:at + len(data)] = data

    def word(self, pa: int, value: int) -> None:
        self.write(pa, struct.pack("<Q", value & (1 << 64) - 1))

    def number(self, c: random.Random) -> int:
        """A number that could be meant as something."""
        return c.choice((
            0, 1, (1 << 64) - 1, 1 << 63, self.base, self.end, self.end - PAGE, self.base - PAGE,
            c.choice(self.tables), c.choice(self.slots), c.choice(self.entries), 1 << 38,
            c.randrange(self.base, self.end), c.randrange(1 << 64), c.randrange(1 << 16),
            c.randrange(self.base, self.end) & -PAGE))

    def noise(self, c: random.Random, n: int) -> bytes:
        return c.choice((c.randbytes(n), bytes(c.choices(b"\0\1\5\377", k=n)),
                         struct.pack("<Q", self.number(c)) * (n // 8 + 1)))[:n]

    def entry_to_a_table(self, c: random.Random) -> None:
        at = c.choice(self.tables) + 8 * c.randrange(512)
        self.word(at, c.choice(self.tables + [at & -PAGE]) >> 2 | V)

    def entry_of_noise(self, c: random.Random) -> None:
        self.word(c.choice(self.entries), c.randrange(1 << 64))

    def entry_outside(self, c: random.Random) -> None:
        pa = c.choice((0, self.base - PAGE, self.end, c.randrange(1 << 56) & -PAGE))
        self.word(c.choice(self.entries), pa >> 2 | V | c.choice((0, R, R | W, R | X | U)))

    def flag_flipped(self, c: random.Random) -> None:
        at = c.choice(self.entries)
        old = int.from_bytes(self.ram[at - self.base:at - self.base + 8], "little")
        self.word(at, old ^ 1 << c.randrange(64))

    def entries_swapped(self, c: random.Random) -> None:
        a, b = (c.choice(self.entries) for _ in "ab")
        at_a, at_b = (bytes(self.ram[x - self.base:x - self.base + 8]) for x in (a, b))
        self.write(a, at_b)
        self.write(b, at_a)

    def tables_all_alike(self, c: random.Random) -> None:
        entry = struct.pack("<Q", c.choice(self.tables) >> 2 | V) * 512
        for table in c.sample(self.tables, min(len(self.tables), 8)):
            self.write(table, entry)

    def table_of_noise(self, c: random.Random) -> None:
        self.write(c.choice(self.tables), c.randbytes(PAGE))

    def table_of_leaves(self, c: random.Random) -> None:
        flags = V | R | c.choice((0, W, U, W | U, W | X | U))
        first = c.randrange(self.base, self.end) & -PAGE
        self.write(c.choice(self.tables), struct.pack(
            "<512Q", *((first + i * PAGE) >> 2 | flags for i in range(512))))

    def table_of_pointers(self, c: random.Random) -> None:
        first = c.randrange(self.base, self.end) & -PAGE
        self.write(c.choice(self.tables), struct.pack(
            "<512Q", *((first + i * PAGE) >> 2 | V for i in range(512))))

    def superpages(self, c: random.Random) -> None:
        p = c.choice(self.sound.processes)
        if p.root:
            for i in c.sample(range(512), 20):
                pa = c.randrange(self.base, self.end) & -(PAGE << c.choice((0, 9, 18)))
                self.word(p.root + 8 * i, pa >> 2 | V | R | W | U)

    def free_loop(self, c: random.Random) -> None:
        if self.free:
            self.word(c.choice(self.free), c.choice(self.free))

    def free_outside(self, c: random.Random) -> None:
        if self.free:
            self.word(c.choice(self.free), self.number(c))

    def free_head_of_noise(self, c: random.Random) -> None:
        symbol = self.info.symbol("kmem")
        if symbol:
            self.word(symbol.address + 8 * c.randrange(5), self.number(c))

    def slot_of_noise(self, c: random.Random) -> None:
        n = self.info.struct_sizes["proc"]
        self.write(c.choice(self.slots) + n * c.randrange(-1, 2), self.noise(c, n))

    def field_of_noise(self, c: random.Random) -> None:
        field = c.choice(list(self.info.structs["proc"].values()))
        self.write(c.choice(self.slots) + field.offset,
                   struct.pack("<Q", self.number(c))[:max(1, min(field.type.size, 8))])

    def parents_in_a_ring(self, c: random.Random) -> None:
        at = self.info.field("proc", "parent").offset
        slots = c.sample(self.slots, c.randrange(1, len(self.slots) + 1))
        for child, parent in zip(slots, slots[1:] + slots[:1]):
            self.word(child + at, parent)

    def root_elsewhere(self, c: random.Random) -> None:
        self.word(c.choice(self.slots) + self.info.field("proc", "pagetable").offset, self.number(c))

    def root_of_another(self, c: random.Random) -> None:
        self.word(c.choice(self.slots) + self.info.field("proc", "pagetable").offset,
                  c.choice([p.root or 0 for p in self.sound.processes]))

    def variable_of_noise(self, c: random.Random) -> None:
        symbol = c.choice([s for s in self.info.symbols.values() if s.type.size])
        n = min(symbol.type.size, c.choice((8, 64, PAGE, 1 << 17)))
        self.write(symbol.address, self.noise(c, n))

    def stack_of_noise(self, c: random.Random) -> None:
        stacks = [m.pa for m in self.sound.kernel_table.mappings if m.region == "kstack"]
        if stacks:
            self.write(c.choice(stacks), self.noise(c, PAGE))

    def slots_all_alike(self, c: random.Random) -> None:
        n = self.info.struct_sizes["proc"]
        at = c.choice(self.slots) - self.base
        one = bytes(self.ram[at:at + n])
        for slot in self.slots:
            self.write(slot, one)

    def frame_of_noise(self, c: random.Random) -> None:
        self.write(c.randrange(self.base, self.end) & -PAGE, self.noise(c, PAGE))

    def state_of_another(self, c: random.Random) -> None:
        self.write(c.choice(self.slots) + self.info.field("proc", "state").offset,
                   struct.pack("<I", c.choice((0, 1, 2, 3, 4, 5, 6, 1 << 31))))


_ALL_RULES = {rule.id for rule in RULES}

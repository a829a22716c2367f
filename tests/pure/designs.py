"""Segments of shared memory in the made-up machine: as our kernel keeps them, and as three others do."""

from __future__ import annotations

from typing import Callable, NamedTuple

from machine import INT, KEPT, PAGE, SHRIMP, WORD, Machine, R, Symbol, Type, U, W, array, family, fields, pointer
from shrimpy.kernel.debuginfo import Field

TABLE = KEPT + 512
RECORDS, N_RECORDS = 160, 232       # in a struct proc of the made-up machine
DEST = 0o1000           # of shmctl(2)
PTR = Type("ptr", 8, "", 0, pointer())


class Place(NamedTuple):
    """A segment: where its struct is, and its frames."""

    at: int
    frames: list[int]


class Design:
    """A kernel's way to keep segments; this one is ours: a table whose elements lead to a frame of addresses, and an array of
    attachments in struct proc."""

    size, count, mode, key, step = 16, 24, 12, 8, 32

    def __init__(self, m: Machine) -> None:
        self.m = m
        self.n = 0
        self.define()

    def define(self) -> None:
        m = self.m
        m.info.structs["ds"] = fields(("__key", 0, INT), ("mode", 4, Type("uint", 4)), ("shm_segsz", 8, WORD), ("shm_nattch", 16, WORD))
        m.info.structs["segment"] = fields(("frames", 0, PTR), ("ds", 8, Type("struct", 24, "ds")))
        m.info.struct_sizes["segment"] = 32
        m.info.learnt.clear()     # it is another kernel now
        m.info.symbols["shm"] = Symbol(TABLE, array(Type("struct", 32, "segment"), 4))
        m.info.structs["attachment"] = fields(("va", 0, WORD), ("segment", 8, pointer("segment")), ("perm", 16, INT))
        m.info.structs["proc"].update(shm=Field(RECORDS, array(Type("struct", 24, "attachment"), 3)), nshm=Field(N_RECORDS, INT))

    def make(self, n_bytes: int = PAGE + 1, key: int = 0) -> Place:
        m = self.m
        one = Place(TABLE + self.step * self.n, [m.alloc() for _ in range(-(-n_bytes // PAGE))])
        self.n += 1
        self.fill(one, n_bytes, key)
        return one

    def fill(self, one: Place, n_bytes: int, key: int) -> None:
        listing = self.m.alloc()
        for i, pa in enumerate(one.frames):
            self.m.put(listing + 8 * i, pa)
        self.m.put(one.at, listing)
        self.m.put(one.at + self.key, key, 4)
        self.m.put(one.at + self.size, n_bytes)

    def attach(self, one: Place, pid: int, va: int, flags: int = R | W | U) -> None:
        m = self.m
        for i, pa in enumerate(one.frames):
            m.map(m.processes[pid].root, va + i * PAGE, pa, flags)
            m.refs[pa] += 1
        m.put(one.at + self.count, m.get(one.at + self.count) + 1)
        self.keep(one, pid, va, flags)

    def keep(self, one: Place, pid: int, va: int, flags: int) -> None:
        p = self.m.processes[pid]
        n = self.m.get(p.address + N_RECORDS, 4)
        for offset, value in ((0, va), (8, one.at), (16, flags)):
            self.m.put(p.address + RECORDS + 24 * n + offset, value)
        self.m.field(p, "nshm", n + 1)


class OnePageEach(Design):
    """As many a lab has it: a fixed table, a frame each, and nothing about who has it."""

    step, count = 24, 16

    def define(self) -> None:
        self.m.info.structs["shm_page"] = fields(("id", 0, Type("uint", 4)), ("frame", 8, Type("ptr", 8, "", 0, Type("char", 1))),
                                                 ("refcnt", 16, INT))
        self.m.info.structs["shm_table"] = fields(("shm_pages", 0, array(Type("struct", 24, "shm_page"), 4)))
        self.m.info.learnt.clear()     # it is another kernel now
        self.m.info.symbols["shm_table"] = Symbol(TABLE, Type("struct", 96, "shm_table"))

    def make(self, n_bytes: int = PAGE, key: int = 0) -> Place:
        return super().make(PAGE, key)

    def fill(self, one: Place, n_bytes: int, key: int) -> None:
        self.m.put(one.at, self.n, 4)
        self.m.put(one.at + 8, one.frames[0])

    def keep(self, one: Place, pid: int, va: int, flags: int) -> None:
        pass


class Listed(Design):
    """Nodes of a list, each in a frame of its own, with the addresses in it."""

    size, count, key = 8, 16, 4

    def define(self) -> None:
        node = pointer("shm_node")
        self.m.info.structs["shm_node"] = fields(("shm_id", 0, INT), ("key", 4, INT), ("size", 8, WORD), ("nattch", 16, INT),
                                                 ("removed", 20, INT), ("pages", 24, array(WORD, 4)), ("next", 56, node))
        self.m.info.struct_sizes["shm_node"] = 64
        self.m.info.learnt.clear()     # it is another kernel now
        self.m.info.symbols["shm_list"] = Symbol(TABLE, node)

    def make(self, n_bytes: int = PAGE + 1, key: int = 0) -> Place:
        at = self.m.alloc()
        one = Place(at, [self.m.alloc() for _ in range(-(-n_bytes // PAGE))])
        self.n += 1
        self.m.put(at + 56, self.m.get(TABLE))
        self.m.put(TABLE, at)
        self.fill(one, n_bytes, key)
        return one

    def fill(self, one: Place, n_bytes: int, key: int) -> None:
        self.m.put(one.at, 100 + self.n, 4)
        self.m.put(one.at + self.key, key, 4)
        self.m.put(one.at + self.size, n_bytes)
        for i, pa in enumerate(one.frames):
            self.m.put(one.at + 24 + 8 * i, pa)

    def keep(self, one: Place, pid: int, va: int, flags: int) -> None:
        pass


class Areas(Design):
    """As mmap: objects with pages, and areas of a process that lead to them, with rights."""

    size, count, step = 0, 8, 48

    def define(self) -> None:
        m = self.m
        m.info.structs["shmobj"] = fields(("size", 0, WORD), ("refs", 8, INT), ("key", 12, INT), ("pages", 16, array(WORD, 4)))
        m.info.struct_sizes["shmobj"] = 48
        m.info.learnt.clear()     # it is another kernel now
        m.info.symbols["shmobjs"] = Symbol(TABLE, array(Type("struct", 48, "shmobj"), 4))
        m.info.structs["vma"] = fields(("addr", 0, WORD), ("obj", 8, pointer("shmobj")), ("prot", 16, INT), ("used", 20, INT))
        m.info.structs["proc"].update(areas=Field(RECORDS, array(Type("struct", 24, "vma"), 4)))

    def fill(self, one: Place, n_bytes: int, key: int) -> None:
        self.m.put(one.at, n_bytes)
        self.m.put(one.at + 12, key, 4)
        for i, pa in enumerate(one.frames):
            self.m.put(one.at + 16 + 8 * i, pa)

    def keep(self, one: Place, pid: int, va: int, flags: int) -> None:
        at = next(a for a in range(self.m.processes[pid].address + RECORDS, 1 << 40, 24) if not self.m.get(a + 20, 4))
        for offset, value, size in ((0, va, 8), (8, one.at, 8), (16, 3 if flags & W else 1, 4), (20, 1, 4)):
            self.m.put(at + offset, value, size)


HIGH, LOW = SHRIMP - 4 * PAGE, SHRIMP - 8 * PAGE


def shared(design: Callable[[Machine], Design] = Design) -> tuple[Machine, Design, Place]:
    """A family in which the parent and both children have a segment attached, and the younger once more, read-only."""
    m = family()
    d = design(m)
    one = d.make(key=0x1234)
    for pid in (3, 4, 5):
        d.attach(one, pid, HIGH)
    d.attach(one, 5, LOW, R | U)
    return m, d, one

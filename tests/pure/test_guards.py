"""Which accesses lack their lock, by accesses that are made up."""

from __future__ import annotations

import pytest

from shrimpy.kernel.accesses import Access
from shrimpy.kernel.debuginfo import DebugInfo, Field, Symbol, Type
from shrimpy.kernel.guards import Guards, Site
from shrimpy.memory.elf import Range

from machine import array, debuginfo

LOCK, WORD = Type("struct", 24, "spinlock"), Type("uint", 8)
SLEEP = Type("struct", 48, "sleeplock")
WAIT, TABLE, CACHE, TICKS, TICKSLOCK = 0x90000000, 0x90000100, 0x90001000, 0x90002000, 0x90002100


def kernel() -> DebugInfo:
    """The kernel of tests/pure/machine.py, with wait_lock, two tables with a lock, and ticks."""
    info = debuginfo(64, 8)
    entry = Type("struct", 16, "entry")
    cached = Type("struct", 64, "cached")
    info.structs.update({"entry": {"ref": Field(0, WORD), "kind": Field(8, WORD)},
                         "table": {"lock": Field(0, LOCK), "entry": Field(24, array(entry, 4))},
                         "cached": {"ref": Field(0, WORD), "valid": Field(8, WORD), "lock": Field(16, SLEEP)},
                         "cache": {"lock": Field(0, LOCK), "entry": Field(24, array(cached, 4))}})
    info.symbols.update(wait_lock=Symbol(WAIT, LOCK), tickslock=Symbol(TICKSLOCK, LOCK), ticks=Symbol(TICKS, Type("uint", 4)),
                        table=Symbol(TABLE, Type("struct", 88, "table")), cache=Symbol(CACHE, Type("struct", 280, "cache")))
    objects = tuple(Range(one.address, one.type.size, name) for name, one in info.symbols.items() if one.type.size)
    return DebugInfo(symbols=info.symbols, structs=info.structs, struct_sizes=info.struct_sizes, enums=info.enums, macros=info.macros,
                     objects=objects)


INFO = kernel()
FUNCTIONS = ("first", "second", "third", "fourth", "memset")


def place(symbol: str, *parts) -> int:
    at, kind = INFO.symbols[symbol].address, INFO.symbols[symbol].type
    for part in parts:
        if isinstance(part, int):
            assert kind.element
            kind = kind.element
            at += part * kind.size
        else:
            field = INFO.structs[kind.name][part]
            kind, at = field.type, at + field.offset
    return at


def judged(*made):
    """made: (function, store?, address, locks held); by two harts each."""
    accesses = [Access(FUNCTIONS.index(function) * 16, at, store, tuple(held), hart, 1)
                for function, store, at, held in made for hart in (0, 1)]
    return Guards(INFO, accesses, lambda pc: Site(FUNCTIONS[pc // 16], "a.c", pc)).unguarded()


def test_what_xv6_guards_needs_its_lock_though_nobody_else_holds_it():
    parent, state = place("proc", 3, "parent"), place("proc", 3, "state")
    own, other = place("proc", 3, "lock"), place("proc", 4, "lock")
    found = judged(("first", True, parent, []), ("second", True, state, [other]), ("second", False, state, []), ("third", True, TICKS, []))
    assert [(one.data, one.lock, one.function, one.n, one.harts, one.because) for one in found] == [
        ("proc[3].parent", "wait_lock", "first", 2, (0, 1), "declared"),
        ("proc[3].state", "proc[3].lock", "second", 2, (0, 1), "declared"),
        ("ticks", "tickslock", "third", 2, (0, 1), "declared")]
    assert not judged(("first", True, parent, [WAIT]), ("fourth", True, parent, [own]), ("second", True, state, [own]),
                      ("third", True, TICKS, [TICKSLOCK]), ("third", False, TICKS, []))


def test_the_free_list_and_what_is_beside_it_need_its_lock_for_reading_too():
    head = place("kmem", "freelist")
    assert [(one.data, one.is_store) for one in judged(("first", False, head, []))] == [("kmem.freelist", False)]
    assert not judged(("first", False, head, [place("kmem", "lock")]))


def test_what_all_others_do_with_a_lock_around_it_is_inferred():
    ref = [place("table", "entry", i, "ref") for i in range(3)]
    found = judged(("first", True, ref[0], [TABLE]), ("second", True, ref[1], []))
    assert [(one.data, one.lock, one.function, one.because, one.held_in) for one in found] == [
        ("table.entry[1].ref", "table.lock", "second", "inferred", ("first",))]
    assert not judged(("first", True, ref[0], [TABLE]), ("second", False, ref[1], []))       # it only looks
    assert not judged(("first", False, ref[0], [TABLE]), ("second", True, ref[1], []))      # nobody stores with it
    assert not judged(("first", True, ref[0], [TABLE]), ("second", True, ref[1], []), ("third", False, ref[2], []))


def test_a_lock_elsewhere_is_inferred_of_two_thirds():
    kind = place("table", "entry", 0, "kind")
    with_it = [(name, True, kind, [WAIT]) for name in FUNCTIONS[:2]]
    assert [(one.lock, one.function) for one in judged(*with_it, ("third", True, kind, []))] == [("wait_lock", "third")]
    assert not judged(*with_it, ("third", True, kind, []), ("fourth", False, kind, []))
    assert not judged(*with_it, ("memset", True, kind, []))     # its caller may have it, and is not known


def test_beside_a_sleep_lock_two_must_store_with_the_other():
    ref = place("cache", "entry", 0, "ref")
    assert not judged(("first", True, ref, [CACHE]), ("second", False, ref, [CACHE]), ("third", True, ref, []))
    assert [one.function for one in judged(("first", True, ref, [CACHE]), ("second", True, ref, [CACHE]), ("third", True, ref, []))] == [
        "third"]


def test_what_one_hart_has_for_itself_needs_none():
    kind = place("table", "entry", 0, "kind")
    accesses = [Access(16 * i, kind, True, held, 0, 1) for i, held in enumerate(((WAIT,), (WAIT,), ()))]
    assert not Guards(INFO, accesses, lambda pc: Site(FUNCTIONS[pc // 16])).unguarded()


@pytest.mark.parametrize("at", [0x1000, 0x9fffffff])
def test_what_is_no_variable_is_left_out(at):
    assert not judged(("first", True, at, []))

"""Who stored a word last, and who had called, by the file that the plugin leaves."""

from __future__ import annotations

import struct

import pytest

from shrimpy.kernel import who
from shrimpy.kernel.debuginfo import DebugInfo
from shrimpy.memory.elf import Range

RAM = (0x80000000, 0x80000000 + 4096)
NAMES = ("usertrap", "syscall", "fork", "kalloc", "swtch", "memset")
AT = {name: 0x80000000 + 0x100 * i for i, name in enumerate(NAMES)}
INFO = DebugInfo(functions=tuple(Range(at, 0x100, name) for name, at in AT.items()))
WORD = 0x80000040


def call(function: str) -> int:
    return AT[function] + 8


def ret(function: str) -> int:
    return AT[function] + 16 | 1 << 63


@pytest.fixture
def noted(tmp_path):
    """noted(steps, pc, hart): what is known of WORD, stored to by hart at pc after these calls and returns, store by store."""
    def look(steps, pc, hart=1, before=0, place=5):
        data = bytearray(who.size(RAM[1] - RAM[0]))
        places = 4096
        rings = places + ((1 << 18) - 2) * 8
        ring = rings + hart * (64 + 65536 * 16)
        struct.pack_into("<Q", data, ring, before + len(steps))
        for i, (number, step) in enumerate(steps):
            struct.pack_into("<QQ", data, ring + 64 + (before + i) % 65536 * 16, number, step)
        struct.pack_into("<Q", data, places + (place - 1) * 8, pc + 1)
        struct.pack_into("<Q", data, len(data) - (4096 - (WORD - RAM[0])), place << 46 | hart << 43 | 10)
        file = tmp_path / "who"
        file.write_bytes(data)
        one = who.Who(str(file), RAM, INFO)
        found = one.last(WORD), one.last(WORD + 8)
        one.close()
        return found
    return look


def names(store):
    return [INFO.function_at(pc) for pc in store.callers]


def test_callers_are_the_calls_that_had_not_returned(noted):
    steps = [(1, call("usertrap")), (2, call("syscall")), (3, call("fork")), (4, ret("memset")), (5, call("fork")), (10, call("kalloc"))]
    store, none = noted(steps, AT["kalloc"])
    assert (store.pc, store.hart, store.number) == (AT["kalloc"], 1, 10) and none is None
    assert names(store) == ["fork", "syscall", "usertrap"]      # kalloc's own call came after the store


def test_callers_end_where_the_kernel_was_entered_and_where_the_stack_changed(noted):
    old = [(1, call("usertrap")), (2, call("syscall"))]
    assert names(noted([*old, (3, call("usertrap")), (4, call("fork"))], AT["kalloc"])[0]) == ["fork", "usertrap"]
    assert names(noted([*old, (3, ret("swtch")), (4, call("fork"))], AT["kalloc"])[0]) == ["fork"]
    assert noted(old, AT["usertrap"])[0].callers == () and noted(old, 0x1234)[0].callers == ()


def test_of_a_ring_that_has_gone_round_the_rest_is_known(noted):
    assert names(noted([(8, call("fork"))] * 3, AT["kalloc"], before=65536)[0])[:3] == ["fork"] * 3


def test_a_file_of_another_machine_is_refused(tmp_path):
    short = tmp_path / "who"
    short.write_bytes(b"\0" * 4096)
    with pytest.raises(OSError, match="less memory"):
        who.Who(str(short), RAM, INFO)

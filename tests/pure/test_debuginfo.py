"""Debug info is plain data that goes to JSON and back."""

import pytest
from machine import FUNCTIONS, debuginfo, family
from shrimpy.kernel.debuginfo import DebugInfo
from shrimpy.memory.elf import Range


def test_json_and_back_is_the_same():
    info = debuginfo(64, 8)
    assert DebugInfo.from_json(info.to_json()) == info
    assert DebugInfo.from_json(info.to_json()).to_json() == info.to_json()


def test_a_kernel_is_read_with_info_that_went_through_json():
    m = family()
    expected = m.snapshot()
    m.info = DebugInfo.from_json(m.info.to_json())
    assert m.snapshot() == expected


@pytest.mark.parametrize("text", [
    "{}", "[]", '{"schema":"shrimpy-debuginfo","version":9}', "?",
    '{"schema":"shrimpy-debuginfo","version":1}',
    '{"schema":"shrimpy-debuginfo","version":1,"kernel":"k","symbols":[]}'])
def test_what_is_no_debug_info_is_a_value_error(text):
    with pytest.raises(ValueError):
        DebugInfo.from_json(text)


def test_the_first_known_name_is_taken():
    info = debuginfo(64, 8)
    assert info.symbol("nothing", "proc") is info.symbols["proc"]
    assert info.field("proc", "tf", "trapframe").offset == 88
    assert info.symbol("nothing") is None and info.field("nothing", "x") is None


def test_functions_are_found_by_any_address_inside_them():
    info = debuginfo(64, 8)
    start = FUNCTIONS["sched"]
    assert info.function_at(start) == info.function_at(start + 0xFF) == "sched"
    assert info.function_at(0) is None and info.function_at(1 << 60) is None


def test_between_functions_there_is_none():
    info = DebugInfo(functions=(Range(0x200, 0x10, "b"), Range(0x100, 0x10, "a"), Range(0x300, 0, "c")))
    assert [info.function_at(pc) for pc in (0x10F, 0x110, 0x200, 0x210, 0x300, 0x301)] == [
        "a", None, "b", None, "c", None]

"""A GDB that stays attached: the machine stops when it is told to, whatever GDB is about then."""

from __future__ import annotations

import pytest

from lab.judging.watch import Watch
from lab.machines import debugger


class Enough(Exception):
    """Whoever waited has seen what there was to see."""


def test_a_stop_that_comes_before_a_busy_gdb_has_let_the_machine_go(machine):
    one = machine(1)

    def enough() -> None:
        raise Enough
    with debugger.Session(one.kernel.elf) as gdb, Watch(one, gdb) as watch:
        gdb.ask("define hook-continue", "python import time; time.sleep(0.5)", "end")
        with pytest.raises(Enough):
            watch.run_to("panic", alive=enough)
        assert gdb.ask("output $pc != 0") == "1"


def test_a_stop_while_gdb_looks_whether_a_breakpoint_s_condition_is_true(machine):
    one = machine(2)
    with debugger.Session(one.kernel.elf) as gdb, Watch(one, gdb) as watch:
        gdb.ask("break swtch if $pc == 0", "break scheduler if $pc == 0", "break kerneltrap if $pc == 0")
        for _ in range(20):
            watch.go()
            watch.halt()
            assert gdb.ask("output $pc != 0") == "1"


def test_a_hart_that_runs_alone_in_vain_and_another_after_it(machine):
    """Told of a hart that it let stand still, GDB 13 would fail an assertion of its own."""
    one = machine(3)
    with debugger.Session(one.kernel.elf) as gdb, Watch(one, gdb) as watch:
        watch.run_to("kerneltrap", alive=lambda: None)
        others = [hart for hart in range(3) if hart != watch.hart]
        assert not any(watch.run_alone_to(hart, "panic", 0.1) for hart in others)
        watch.go()
        watch.halt()
        assert gdb.ask("output $pc != 0") == "1"

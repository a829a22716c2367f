"""The machine that records a run: no key is lost, and the run is not longer than what is in it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab.judging import tracing
from lab.kernels import tree, variant
from lab.machines import debugger
from lab.machines.known import known
from lab.machines.machine import Silent
from lab.replay import recording
from lab.replay.machine import RecordedMachine

HERE = Path(__file__).resolve().parent
SAID = " ".join(f"word{n}" for n in range(12))
LINE = f"echo {SAID}"   # several times what the UART has room for


@pytest.fixture
def recorded(tmp_path: Path) -> Callable[[tree.Kernel, Callable[[RecordedMachine], object]], None]:
    """recorded(kernel, run): records what is done with a machine that has booted."""
    def record(kernel: tree.Kernel, run: Callable[[RecordedMachine], object]) -> None:
        recording.of_run(kernel, tmp_path, lambda machine: (str(run(machine.boot())), None))
    return record


def test_keys_are_typed_as_soon_as_those_before_are_echoed(kernel, recorded, monkeypatch):
    """However few instructions that takes: here no count ever says that they were taken."""
    def run(machine):
        patience = machine.patience()

        def executed():
            assert not patience.is_over, "the keys were never typed"
            return 0
        with monkeypatch.context() as instead:
            instead.setattr(machine, "executed", executed)
            machine.type(LINE + "\n")
        machine.wait_for("\n" + SAID + "\n")
    recorded(kernel, run)


def test_no_key_is_lost_where_none_is_echoed(recorded):
    def run(machine):
        machine.type(LINE + "\n")
        assert machine.wait_for("word0.*\n")[0] == SAID + "\n"
    recorded(variant.build("no-echo", [HERE / "no-echo.patch"]), run)


def test_a_wait_ends_when_all_have_slept_for_long(kernel, recorded):
    """The shell waits for a line that nobody types; of the instructions that such a wait may take most are never needed."""
    with debugger.Session(kernel.elf) as gdb:
        info = known(gdb).info

    def run(machine):
        before, limit_s = machine.executed(), machine.patience().limit_s
        with tracing._sleep_seen(machine, info), pytest.raises(Silent):
            machine.wait_for("what never comes", limit_s)
        assert machine.executed() - before < limit_s * machine.per_s / 2
    recorded(kernel, run)

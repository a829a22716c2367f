"""What a stranger's kernel can do to GDB and QEMU."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from lab import tools
from lab.kernels import tree
from lab.machines import debugger, machine
from lab.machines.machine import Endless, Machine


@pytest.fixture
def trap(build, tmp_path, monkeypatch) -> Path:
    """A kernel with scripts in it and beside it, which a GDB of somebody who trusts everything runs: three files say so."""
    elf = build("scripted.S")
    (tmp_path / "kernel-gdb.py").write_text("open('by-file', 'w')\n")
    (tmp_path / ".gdbinit").write_text("python open('by-gdbinit', 'w')\n")
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gdbinit").write_text("set auto-load safe-path /\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    return elf


def sprung(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("by-*")}


def test_gdb_loads_nothing_of_a_kernel(trap, tmp_path, monkeypatch):
    assert "_start" in debugger.checked(trap, ["info symbol _start"], kit=False)
    monkeypatch.setattr("sys.stdin", open(os.devnull))
    debugger.interactive(str(trap), core=os.devnull)
    assert not sprung(tmp_path)


def test_a_gdb_that_is_not_told_loads_all_of_it(trap, tmp_path):
    subprocess.run([tools.gdb(), "-batch", str(trap)], stdin=subprocess.DEVNULL, capture_output=True)
    assert sprung(tmp_path) == {"by-section", "by-file", "by-gdbinit"}


@pytest.mark.parametrize("most,limit_s", [
    pytest.param(100 << 10, 60, id="at once when it is too much"),
    pytest.param(1 << 30, 2, id="at the limit"),
])
def test_a_kernel_that_prints_without_end_is_cut_and_told_so(build, monkeypatch, most, limit_s):
    monkeypatch.setattr(machine, "_MOST_PRINTED", most)
    with Machine(tree.prepare(str(build("endless.S"))), 1) as one:
        with pytest.raises(Endless, match="the kernel prints without end"):
            one.boot(limit_s)
        assert len(one.tail()) < 5000


def test_a_kernel_that_has_printed_too_much_before_qemu_answers_is_told_so(build, monkeypatch):
    """As on a busy host."""
    monkeypatch.setattr(machine, "_MOST_PRINTED", 100 << 10)
    await_monitor = Machine._await_monitor

    def late(one: Machine) -> None:
        while len(one.console) <= machine._MOST_PRINTED:
            time.sleep(0.01)
        await_monitor(one)
    monkeypatch.setattr(Machine, "_await_monitor", late)
    with Machine(tree.prepare(str(build("endless.S"))), 1) as one:
        with pytest.raises(Endless, match="the kernel prints without end: more than"):
            one.boot(60)


def test_qemu_may_start_no_program_and_files_have_an_end(build):
    options = tools.qemu_sandbox()
    assert "spawn=deny" in options[1], "this QEMU was built without seccomp"
    with Machine(tree.prepare(str(build("endless.S"))), 1, paused=True) as one:
        status = Path(f"/proc/{one.pid}/status").read_text()
        assert "\nSeccomp:\t2\n" in status
        limits = Path(f"/proc/{one.pid}/limits").read_text()
        assert f"Max file size             {(128 + 512) << 20}" in limits

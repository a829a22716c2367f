"""What the kernel needs of the memory that it is started in: nothing. And a reset, which leaves all of it as it was."""

from __future__ import annotations

import random
import re

import pytest

from lab.judging import verdict
from lab.machines.machine import Machine

NOISE = random.Random(5).randbytes(1 << 16)
FILLINGS = {"ff": b"\xff", "05": b"\x05", "01": b"\x01", "noise": NOISE}


def works(one: Machine) -> None:
    """The shell runs programs, the family's test passes, and every page table is right."""
    assert "one two" in one.run("echo one two")
    assert re.search(r"README", one.run("ls"))
    judged = verdict.judge(one.kernel.elf, target=one.gdb_target)
    assert judged.status == verdict.PASS, judged.text


# Each filling, each number of harts; noise has every byte.
_ALWAYS = {("noise", 1), ("noise", 3), ("noise", 8), ("ff", 8), ("05", 1), ("01", 3)}


@pytest.mark.parametrize("filling, cpus", [
    pytest.param(filling, cpus, marks=() if (filling, cpus) in _ALWAYS else pytest.mark.soak) for filling in FILLINGS for cpus in (1, 3, 8)])
def test_boots_whatever_memory_holds(machine, filling, cpus):
    works(machine(cpus, filled=FILLINGS[filling]))


@pytest.mark.parametrize("cpus", [*(pytest.param(n, marks=pytest.mark.soak) for n in (1, 8)), 3])
def test_comes_back_from_a_reset_in_the_middle_of_a_run(machine, cpus):
    """Each reset comes while programs run on every hart, so the memory is full of a run's values."""
    one = machine(cpus)
    for typed, running in (("usertests &", r"test [\w-]+: "), ("forktest & forktest & forktest & echo went", r"\nwent"),
                           ("shrimpdemo &", r"ready"), ("stressfs & shrimptest &", r"promise 2")):
        one.send(typed)
        one.wait_for(running)
        one.monitor("system_reset")
        one.wait_for("Shrimpy: one page")
        one.boot()
    works(one)


def test_comes_back_from_a_reset_before_it_has_booted(machine):
    one = machine(3, filled=NOISE, boot=False)
    for _ in range(3):
        one.wait_for("Shrimpy: one page")
        one.monitor("system_reset")
    one.wait_for("Shrimpy: one page")   # on a busy host its shell may have waited before: memory says so until it is cleared
    works(one.boot())


def test_boots_with_what_a_reset_leaves_in_the_registers(machine, gdb):
    """A reset clears neither sstatus.SIE nor sip, sie and stvec: an interrupt that is pending must not come before main."""
    one = machine(1)
    gdb(one.kernel.elf, ["set $stvec = 0x3ffffff000", "set $sie = 0x202", "set $sip = $sip | 2",  # as in user mode
                         "set $mstatus = $mstatus | 2", "monitor system_reset"],
        target=one.gdb_target)
    one.wait_for("Shrimpy: one page")
    works(one.boot())

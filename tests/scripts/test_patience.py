"""How long a machine may take: in its own time, whatever else the host does; what hangs is tried once more."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from lab import Trouble, patience
from lab.judging import checking, scenarios
from lab.judging.verdict import PASS
from lab.kernels.tree import prepare
from lab.machines import debugger, panics
from lab.machines.machine import Machine, Silent
from lab.patience import Patience
from lab.replay.checkpoint import RestoredMachine

SPIN = "import os, sys\nos.sched_setaffinity(0, {int(sys.argv[1])})\nprint(flush=True)\nwhile True: pass"


@pytest.fixture
def one_of_many():
    """The pid of one of five processes that share a CPU."""
    cpu = str(min(os.sched_getaffinity(0)))
    spinning = [subprocess.Popen([sys.executable, "-c", SPIN, cpu], stdout=subprocess.PIPE) for _ in range(5)]
    for one in spinning:
        one.stdout.readline()
    yield spinning[0].pid
    for one in spinning:
        one.kill()
        one.wait()
        one.stdout.close()


def test_what_a_process_waits_for_a_cpu_is_not_counted(one_of_many):
    start, patient = time.monotonic(), Patience(0.5, one_of_many)
    while not patient.is_over:
        time.sleep(patient.look_s)
    assert time.monotonic() - start > 1.0  # it had a fifth of the CPU at most


TIMES = patience.Times
MS = 1_000_000


@pytest.mark.parametrize("threads, passed", [
    ([(0, 0)], 0.5),                            # it slept
    ([(100, 300), (100, 200)], 0.1),            # each waited, in turns: what is left is work
    ([(100, 100), (100, 0)], 0.4),
    ([(300, 200), (300, 200), (300, 200)], 0.3),    # they waited side by side; each ran
])
def test_turns_are_waited_for_one_by_one_and_what_one_ran_has_passed(monkeypatch, threads, passed):
    now = [0.0]
    monkeypatch.setattr(patience.time, "monotonic", lambda: now[0])
    seen = [TIMES(0, 0)] * len(threads)
    monkeypatch.setattr(patience, "_times", lambda pid: dict(zip("abc", seen)) if pid == 1 else {})
    patient = Patience(1.0, 1)
    now[0], seen = 0.5, [TIMES(ran * MS, waited * MS) for ran, waited in threads]
    assert patient.left_s == pytest.approx(1.0 - passed)


@pytest.mark.parametrize("runnable, waits", [
    ([{}], False),                                          # they sleep
    ([{"a": 5}, {"a": 6}], False),                          # it runs
    ([{"a": 5}, {"a": 5}, {"a": 5}, {"a": 6}], False),      # it waited for its turn, which was no long one
    ([{"a": 5}, {}], False),
    ([{"a": 5}, {"a": 6, "b": 7}, {"a": 7, "b": 7}, {"a": 8, "b": 7}], True),
])
def test_nothing_is_over_while_a_thread_waits_for_a_turn(monkeypatch, runnable, waits):
    now, looks = [0.0], [*runnable]
    monkeypatch.setattr(patience.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(patience, "_times", lambda pid: {})
    patient = Patience(1.0, 1)
    monkeypatch.setattr(patience, "_runnable", lambda pid: looks.pop(0) if pid == 1 else {})
    now[0] = 1.0
    while len(looks) > 1:
        assert not patient.is_over
        now[0] += patient.look_s
    assert patient.is_over is not waits and not looks


def test_what_a_thread_waited_is_counted_when_it_had_its_turn(monkeypatch):
    now, seen, runnable = [0.0], [TIMES(1 * MS, 0)], [1 * MS]
    monkeypatch.setattr(patience.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(patience, "_times", lambda pid: {"a": seen[0]} if pid == 1 else {})
    monkeypatch.setattr(patience, "_runnable", lambda pid: {"a": runnable[0]} if pid == 1 else {})
    patient = Patience(1.0, 1)
    now[0] = 2.0
    assert not patient.is_over      # its wait goes on, and nothing is known of it
    now[0], seen[0], runnable[0] = 2.5, TIMES(4 * MS, 2400 * MS), 4 * MS
    assert not patient.is_over and patient.look_s == 0.25   # all but 0.1 s of it was a wait
    now[0] = 3.4
    assert not patient.is_over
    now[0], runnable[0] = 3.5, 5 * MS
    assert patient.is_over


def test_the_time_of_a_process_that_sleeps_passes():
    with subprocess.Popen(["sleep", "1000"]) as sleeping:
        patient = Patience(0.2, sleeping.pid)
        while not patient.is_over:
            time.sleep(patient.look_s)
        sleeping.kill()


def test_wall_time_is_the_last_resort(monkeypatch):
    monkeypatch.setattr(patience, "_times", lambda pid: {"1": patience.Times(0, time.monotonic_ns())})  # all it does is wait
    patient = Patience(0.0625, 1)
    assert patient.left_s == pytest.approx(0.0625, abs=0.05)
    monkeypatch.setattr(patience, "_LAST_RESORT_S", 0.0)
    time.sleep(0.0625 * patience._LAST_RESORT)
    assert patient.is_over


@pytest.mark.parametrize("running,part", [(1, 1.0), (8, 0.25), (100000, 1 / patience._LAST_RESORT)])
def test_how_much_of_a_cpu_a_process_gets(monkeypatch, running, part):
    monkeypatch.setattr(patience.os, "sched_getaffinity", lambda _: {0, 1})
    monkeypatch.setattr(patience.Path, "read_text", lambda _: f"40.00 40.00 40.00 {running}/300 4711\n")
    assert patience.share() == part


@pytest.mark.parametrize("said", ["soon", "0", "-1", "nan", "1e9"])
def test_a_limit_that_is_none_is_refused(monkeypatch, said):
    monkeypatch.setenv("SHRIMPY_LIMIT", said)
    with pytest.raises(Trouble, match=f"SHRIMPY_LIMIT={said}: expected a number of seconds above 0"):
        patience.limit_s()


def test_the_limit_is_that_of_any_wait(monkeypatch, bare):
    monkeypatch.setenv("SHRIMPY_LIMIT", "0.5")
    with Machine(prepare(str(bare(r"almost there\n", "SILENT"))), 1) as machine:
        with pytest.raises(Silent, match="waited 0.5 s for"):
            machine.boot()


def test_a_gdb_that_ends_with_an_error_says_its_status(kernel):
    said = debugger.batch(kernel.elf, ["echo first\\n", "nosuch", "echo last\\n"], kit=False)
    assert said.status == 1 and "first" in said.out and "last" not in said.out


def test_a_gdb_that_does_not_end_is_ended(kernel):
    with pytest.raises(debugger.Late):
        debugger.batch(kernel.elf, ["python import time; time.sleep(1000)"], kit=False, limit_s=1.0)


# What hangs is tried once more on a new machine

@pytest.fixture
def booted(monkeypatch):
    """The machines that check has booted."""
    found = []
    for owner in (Machine, RestoredMachine):    # which goes on from where another has booted
        def noted(machine, *limit, boot=owner.boot):
            found.append(machine.pid)
            return boot(machine, *limit)
        monkeypatch.setattr(owner, "boot", noted)
    monkeypatch.setattr(checking.uncleared, "find", lambda *_: None)   # which boots once more, and is not what is counted here
    return found


def hang(monkeypatch, owner, name, n):
    """The first n calls of a method end as if the machine hung."""
    real, left = getattr(owner, name), [n]

    def method(self, *args):
        left[0] -= 1
        if left[0] >= 0:
            raise Silent("waited in vain")
        return real(self, *args)
    monkeypatch.setattr(owner, name, method)


def ends(report):
    return [one.hindrance and one.hindrance.kind for one in report.outcomes]


SHORT = ("family", "child")     # scenarios that take little time


@pytest.mark.parametrize("owner,name", [(checking.ScenarioRun, "_play"), (Machine, "boot")])
def test_a_scenario_that_hung_once_is_played_again_and_said(kernel, monkeypatch, booted, owner, name):
    hang(monkeypatch, owner, name, 1)
    report = checking.check(kernel, 1, only=SHORT)
    assert (report.status, ends(report)) == (PASS, [None, None])
    assert len(booted) == (2 if owner is checking.ScenarioRun else 1)
    assert "hung once" in report.outcomes[0].notes[0] and not report.outcomes[1].notes


def test_a_scenario_that_hangs_twice_hangs(kernel, monkeypatch, booted):
    hang(monkeypatch, checking.ScenarioRun, "_play", 2)
    report = checking.check(kernel, 1, only=SHORT)
    assert ends(report) == ["hung", None] and len(booted) == 3


def test_a_program_that_hung_once_is_run_again(kernel, monkeypatch):
    hang(monkeypatch, Machine, "boot", 1)
    report = checking.check(kernel, 1, program="ls")
    assert (report.status, ends(report)) == (PASS, [None])


def test_a_kernel_that_hangs_in_every_scenario_is_not_waited_for_in_each(kernel, monkeypatch, booted):
    hang(monkeypatch, checking.ScenarioRun, "_play", 100)
    report = checking.check(kernel, 1)
    assert ends(report) == ["hung"] * 3 + ["not played"] * (len(scenarios.SCENARIOS) - 3)
    assert len(booted) == 6


def test_a_kernel_that_hangs_at_boot_is_booted_twice(bare, monkeypatch, booted):
    monkeypatch.setenv("SHRIMPY_LIMIT", "0.5")
    elf = bare(r"almost there\n", "SILENT")
    assert ends(checking.check(prepare(str(elf)), 1)) == ["hung"]
    assert len(booted) == 2


class Stuck:
    """The memory of a kernel that stays at one instruction of exit."""

    def variables(self, pattern):
        return []

    def function(self, pc):
        return "exit"

    def code(self, pa, n):
        return b"\x01\xa0" * n


def test_a_kernel_that_stays_where_it_is_without_a_word_hangs_and_has_not_panicked():
    stuck = panics.Panics(Stuck(), lambda: [0x80000000])
    well = "$ shrimpscene family\n"
    assert {stuck.shown(well, len(well), True) for _ in range(9)} == {None}
    assert {stuck.shown(well + "dead: out of luck\n", len(well), True) for _ in range(9)} == {"dead: out of luck"}

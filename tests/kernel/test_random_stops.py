"""shrimp-check has no false alarm, and no false excuse, wherever the machine is stopped."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from excuses import Court
from facts import Facts, Registers
from lab.kernels import variant
from shrimpy.rules import MOMENT

LAYOUTS = Path(__file__).resolve().parent.parent / "gdb"     # kernels that lay memory out differently
JUDGE = Path(__file__).resolve().parent / "judge.py"         # sourced by GDB: judge(), told as JSON behind @@

FORKTESTS = ";".join(["forktest"] * 8)
FAMILY = 6  # init, sh and shrimpdemo's four

# What a machine is doing: what is typed, and what it prints when it does.
LOADS = {
    "usertests": ("usertests", "usertests starting\n"),
    "forktest": (FORKTESTS, "fork test\n"),
    "storm": ("storm {seed}", "storm: ready\n"),
    "segments": ("usertests shm-race-*", "usertests starting\n"),
    "hungry storm": ("storm {seed} hungry", "storm: ready\n"),
}


@pytest.fixture
def kernel_for(loads, small_loads):
    """kernel_for(load): the kernel on which it does what it should soon."""
    return lambda load: small_loads if load.startswith("hungry") else loads


def reports(stopper, machine, n, seed):
    """What judge() says at each of n random stops."""
    gdb = stopper(machine, seed)
    gdb.ask(f"source {JUDGE}")
    for number in range(n):
        said = gdb.stop("python judge()")
        lines = [line.partition("@@")[2] for line in said.splitlines() if "@@" in line]
        assert lines, f"stop {number}: the kit said: {said}"
        yield json.loads(lines[0])


def check_excuses(memory, report, where):
    """Every reason for skipping is true by memory itself; at a quiet point none is about the moment. Was it quiet?"""
    court = Court(memory, [Registers(*hart) for hart in report["harts"]])
    lies = [one for one in report["skipped"] if not court.is_true(one[1], one[2])]
    assert not lies, f"{where}: not true: {lies}"
    quiet = court.is_quiet()
    if quiet:
        idle = [one for one in report["skipped"] if one[3] == MOMENT]
        assert not idle, f"{where}: quiet, and yet: {idle}"
    return quiet


def check_load(machine, stopper, kernel_for, load, cpus, seed, n):
    """n stops under a load; how many were quiet."""
    program, ready = LOADS[load]
    built = kernel_for(load)
    one = machine(cpus, kernel=built)
    program = program.format(seed=seed)
    one.send(program)
    one.wait_for(ready)
    seen = Counter()
    with Facts(built.elf).memory(one) as memory:
        for number, report in enumerate(reports(stopper, one, n, seed)):
            where = f"stop {number} of seed {seed} under {load} on {cpus} harts, in {report['function']}"
            assert not report["fail"], f"{where}: {report['fail']}"
            seen["quiet"] += check_excuses(memory, report, where)
            seen["judged"] += report["pass"] > 0
            seen["crowded"] += report["n"] > 2
            if one.console.rstrip(" ").endswith("$"):
                one.send(program)
    told = ", ".join(f"{what} {seen[what]}" for what in ("judged", "crowded", "quiet"))
    print(f"{n} stops under {load} on {cpus} harts, seed {seed}: {told}")
    assert seen["judged"] >= n // 2 and seen["crowded"] >= n // 4, told
    return seen["quiet"]


@pytest.mark.parametrize("load, cpus", [("usertests", 3), ("forktest", 8), ("storm", 1), ("hungry storm", 8)])
def test_no_false_alarm_and_no_false_excuse(machine, stopper, kernel_for, load, cpus):
    check_load(machine, stopper, kernel_for, load, cpus, 1, 15)


@pytest.mark.soak
@pytest.mark.limit(1800)
@pytest.mark.parametrize("cpus", [1, 3, 8])
@pytest.mark.parametrize("load", LOADS)
def test_no_false_alarm_and_no_false_excuse_for_long(machine, stopper, kernel_for, load, cpus):
    check_load(machine, stopper, kernel_for, load, cpus, 2, 100)


def told(gdb, command):
    """What a function of judge.py says."""
    said = gdb.ask(f"python {command}")
    lines = [line.partition("@@")[2] for line in said.splitlines() if "@@" in line]
    assert lines, f"{command}: {said}"
    return json.loads(lines[0])


def start_storm(machine, stopper, built, cpus, program):
    """A machine in a storm, and a GDB that has stopped it in a fork."""
    one = machine(cpus, kernel=built)
    one.send(program)
    one.wait_for("storm: ready\n")
    gdb = stopper(one)
    gdb.ask(f"source {JUDGE}", "tbreak sys_fork", "continue")
    return one, gdb


def check_report(memory, report, where):
    assert not report["fail"], f"{where}: {report['fail']}"
    check_excuses(memory, report, where)


def check_lines(machine, stopper, built, cpus, program, every, seed):
    """Every statement of fork, exec, exit, wait and what they call, or one of `every`, the first time it is reached."""
    one, gdb = start_storm(machine, stopper, built, cpus, program)
    gdb.ask(f"python walk = Lines(100, {every}, {seed})")
    with Facts(built.elf).memory(one) as memory:
        while "fail" in (report := told(gdb, "walk.next()")):
            check_report(memory, report, f"{report['function']} under {program} on {cpus} harts")
    print(f"{program} on {cpus} harts, seed {seed}: {report}")
    assert report["reached"] > 0.7 * report["statements"] > 0


def test_no_false_alarm_at_lines_of_fork_exec_exit_and_wait(machine, stopper, small_loads):
    check_lines(machine, stopper, small_loads, 3, "storm 2 hungry", every=6, seed=1)


@pytest.mark.soak
@pytest.mark.limit(1800)
@pytest.mark.parametrize("cpus, program", [(1, "storm 1"), (3, "storm 2 hungry"), (8, "storm 3")])
def test_no_false_alarm_at_any_line_of_fork_exec_exit_and_wait(machine, stopper, small_loads, cpus, program):
    check_lines(machine, stopper, small_loads, cpus, program, every=1, seed=1)


@pytest.mark.soak
@pytest.mark.limit(3600)
@pytest.mark.parametrize("program", ["storm 3", "storm 4 hungry"])
def test_no_false_alarm_at_any_instruction_of_fork_exec_exit_and_wait(machine, stopper, small_loads, program):
    """One call of each, from its first instruction to its end: each instruction when it is first come to, and one of
    100 of the later times."""
    one, gdb = start_storm(machine, stopper, small_loads, 1, program)
    gdb.ask("python walk = Steps(1)")
    with Facts(small_loads.elf).memory(one) as memory:
        for call in ("uvmunmap", "fork", "wait", "exit", "exec"):
            report = told(gdb, f"walk.enter('{call}')")
            number = 0
            while "fail" in report:
                check_report(memory, report, f"judged stop {number} of {call}, in {report['function']} under {program}")
                number += 1
                report = told(gdb, "walk.next(100)")
            print(f"{program}: {call}: {number} stops judged; so far {report}")
            assert number > 0  # few, where most of it ran while an earlier call was preempted
    assert report["instructions"] > 2000


def test_who_is_buried_is_in_the_middle_of_it_though_others_have_its_frames(machine, stopper, loads):
    """Between the end of its page table and that of the pointer to it: another hart may have got the root frame, and
    filled it."""
    one, gdb = start_storm(machine, stopper, loads, 1, "storm 1")
    root = gdb.ask("tbreak freeproc if p->pagetable != 0", "continue", "tbreak proc_freepagetable", "continue",
                   "output/d (unsigned long)pagetable").split()[-1]
    gdb.ask("finish", f"set var ((unsigned long *){root})[1] = {0x40000000 >> 2 | 1:#x}")
    report = told(gdb, "judge()")
    why = {rule: (because, words) for rule, _, words, because in report["skipped"]}
    assert why["frames-conserved"][0] == MOMENT, why
    with Facts(loads.elf).memory(one) as memory:
        check_report(memory, report, "in freeproc")


def test_nothing_is_skipped_at_quiet_points(machine, stopper, loads, facts):
    """With an idle family most points are."""
    one = machine(3, kernel=loads)
    one.send("shrimpdemo &")
    one.wait_for("shrimpdemo: ready[^\n]*\n")
    with facts.memory(one) as memory:
        n_quiet = sum(check_excuses(memory, report, f"stop {number}")
                      for number, report in enumerate(reports(stopper, one, 20, 3)))
    assert n_quiet >= 15


def check_stops(machine, stopper, program, n, seed, modes="SU", **how):
    one = machine(3, **how)
    one.send("shrimpdemo &")
    one.wait_for("shrimpdemo: ready[^\n]*\n")
    one.send(program)
    judged = 0
    places = set()
    crowded = 0
    for number, report in enumerate(reports(stopper, one, n, seed)):
        assert not report["fail"], f"stop {number} of seed {seed}, in {report['function']}: {report['fail']}"
        judged += report["pass"] > 0
        places.add((report["privilege"], report["function"]))
        crowded += report["n"] > FAMILY
        if one.console.rstrip(" ").endswith("$"):
            one.send(program)
    assert judged >= n // 2, f"only {judged} of {n} stops could be judged"
    assert crowded >= n // 4, f"{program} ran at {crowded} of {n} stops only"
    assert {privilege for privilege, _ in places} >= set(modes) and len(places) >= 4, places


@pytest.mark.limit(240)
def test_forktest_beside_a_family(machine, stopper):
    check_stops(machine, stopper, FORKTESTS, 60, seed=1, modes="S")


@pytest.mark.limit(240)
@pytest.mark.parametrize("name, program", [
    ("copy-on-write", "grown heap again"), ("copy-on-write", FORKTESTS), ("superpages", "grown heap again"),
    ("areas", "grown area again"), ("lists-by-hart", "grown lazy again")])
def test_other_layouts_beside_a_family(machine, stopper, name, program):
    kernel = variant.build(name, [LAYOUTS / f"variants/{name}.patch"],
                           programs=sorted((LAYOUTS / "programs").glob("*.c")))
    check_stops(machine, stopper, program, 60, seed=4, modes="S", kernel=kernel)


@pytest.mark.soak
@pytest.mark.limit(1800)
@pytest.mark.parametrize("seed", [2, 3])
def test_forktest_beside_a_family_for_long(machine, stopper, seed):
    check_stops(machine, stopper, FORKTESTS, 1000, seed)

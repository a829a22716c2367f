"""Thousands of processes that end in every order, and system calls with nonsense in them: nothing breaks, nothing is lost.

Counted from outside: frames, open files, inodes, processes; then shrimp-check, and the checker of the disk.
"""

from __future__ import annotations

import subprocess

import pytest

EVERY_FAMILY = 11520    # forks: families.c goes through all of its 2,304 families in so many


def check_nothing_is_lost(one, gdb, holdings, program, done, limit_s):
    """Runs a program to its last line. (Its seed is in its command, and so in every message.)"""
    before = holdings(one)
    one.send(program)
    one.wait_for(f"{done}[^\n]*\n", limit_s, f"the end of {program}")
    one.send("echo settled")
    one.wait_for(r"settled\n[^$]*\$ ", limit_s)      # the prompt, whoever printed one before
    assert holdings(one, before) == before, program
    gdb(one.kernel.elf, ["shrimp-check", "python assert int(gdb.parse_and_eval('$shrimp_status')) == 0"],
        target=one.gdb_target)
    said = one.console
    return said[said.rindex(done):].splitlines()[0]


def disk_faults(one):
    """What the checker says of the disk of a machine that has nothing to write any more."""
    with one.qmp() as monitor:
        monitor.execute("stop")
    done = subprocess.run([one.kernel.disks[0].parent / "mkfs/mkfs", "-c", one.folder / "disk0"],
                          capture_output=True, text=True)
    return done.stdout + done.stderr


def check_families(machine, loads, gdb, holdings, seed, n):
    one = machine(8, kernel=loads)
    said = check_nothing_is_lost(one, gdb, holdings, f"families {seed} {n}", "families: ", 600)
    assert said == f"families: done, {n} processes of seed {seed}"
    assert "went wrong" not in one.console


def check_fuzz(machine, loads, gdb, holdings, cpus, seed, rounds, limit_s=120):
    one = machine(cpus, kernel=loads)
    said = check_nothing_is_lost(one, gdb, holdings, f"fuzz {seed} {rounds}", "fuzz: done", limit_s)
    assert f"{rounds} rounds of seed {seed}" in said
    assert disk_faults(one) == ""


@pytest.mark.parametrize("seed", [1])
def test_families_that_end_in_any_order_return_all_they_had(machine, loads, gdb, holdings, seed):
    check_families(machine, loads, gdb, holdings, seed, 400)


@pytest.mark.soak
@pytest.mark.limit(900)
@pytest.mark.parametrize("seed", [2])
def test_every_family_returns_all_it_had(machine, loads, gdb, holdings, seed):
    check_families(machine, loads, gdb, holdings, seed, EVERY_FAMILY)


@pytest.mark.parametrize("cpus, seed", [pytest.param(1, 1, marks=pytest.mark.soak), (8, 2)])
def test_nonsense_in_system_calls_is_survived(machine, loads, gdb, holdings, cpus, seed):
    check_fuzz(machine, loads, gdb, holdings, cpus, seed, 6)


@pytest.mark.soak
@pytest.mark.limit(1800)
@pytest.mark.parametrize("cpus, seed", [(1, 11), (3, 12), (8, 13)])
def test_nonsense_in_system_calls_is_survived_for_long(machine, loads, gdb, holdings, cpus, seed):
    check_fuzz(machine, loads, gdb, holdings, cpus, seed, 270, 1500)

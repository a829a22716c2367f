"""usertests and shrimptest pass on 1, 3 and 8 harts, and every frame comes back, counted from outside."""

from __future__ import annotations

import pytest


def settled(count, machine, wanted, tries=20):
    """The count, as soon as it is wanted: orphans are buried by init in their own time."""
    for _ in range(tries):
        if (now := count(machine)) == wanted:
            break
    return now


@pytest.mark.limit(120)
@pytest.mark.parametrize("cpus", [pytest.param(1, marks=pytest.mark.soak), 3, 8])
def test_shrimptest_passes_and_returns_every_frame(machine, free_frames, cpus):
    one = machine(cpus)
    before = free_frames(one)
    said = one.run("shrimptest", 90)
    assert said.rstrip().endswith("shrimptest: OK"), said
    assert settled(free_frames, one, before) == before


@pytest.mark.limit(600)
@pytest.mark.parametrize("cpus, program", [
    (1, "usertests -q"), *(pytest.param(n, "usertests", marks=pytest.mark.soak) for n in (1, 3, 8))])
def test_usertests_pass_and_return_every_frame(machine, free_frames, cpus, program):
    one = machine(cpus)
    before = free_frames(one)
    said = one.run(program, 500)
    lines = said.splitlines()
    assert lines[-1] == "ALL TESTS PASSED", [
        line for line in lines if "FAILED" in line or ": not " in line or line.startswith("free ")]
    assert settled(free_frames, one, before) == before

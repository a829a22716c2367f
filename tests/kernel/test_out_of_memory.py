"""fork, exec, pipe, shmget and shmat that run out of memory at any point fail cleanly and lose no frame."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.kernels import variant

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="module")
def failing_kernel():
    return variant.build("failing", programs=[HERE / "programs/failing.c"])


@pytest.mark.parametrize("operation,fewest", [("fork", 8), ("exec", 4), ("pipe", 1), ("get", 3), ("attach", 3), ("share", 11)])
def test_nth_allocation_fails_cleanly(machine, gdb, failing_kernel, operation, fewest):
    one = machine(1, kernel=failing_kernel)
    one.send(f"failing {operation}")
    one.wait_for("failing: done\n")
    said = gdb(failing_kernel.elf, [f"source {HERE / 'inject.py'}"], target=one.gdb_target)
    rounds = [json.loads(line[2:]) for line in said.splitlines() if line.startswith("@@")]
    *injected, last = rounds
    assert len(injected) >= fewest, "fewer allocations than the operation needs"
    assert not last["injected"], "every allocation was to be tried"
    lost = [r for r in rounds if r["before"] != r["after"]]
    assert not lost, f"frames free before and after: {lost}"
    assert all(r["injected"] for r in injected)
    one.wait_for("failing: done\nfailing: done\n")
    answers = one.console.split("failing: ")[1:]
    assert sum(answer.startswith("refused") for answer in answers) == len(injected)
    gdb(failing_kernel.elf, ["shrimp-check", "python assert int(gdb.parse_and_eval('$shrimp_status')) == 0"],
        target=one.gdb_target)

"""shrimp-check has no false alarm wherever the machine is stopped."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab import variant

LAYOUTS = Path(__file__).resolve().parent.parent / "gdb"     # kernels that lay memory out differently
REPORT = ("python import json; from shrimpy import rules; from shrimpy.session import session; "
          "s = session.snapshot(); v = rules.evaluate(s); "
          "print('@@' + json.dumps({'function': s.stop.function, 'privilege': s.stop.privilege, "
          "'n': len(s.processes), 'fail': [repr(x) for x in v if x.status == 'fail'], "
          "'pass': sum(x.status == 'pass' for x in v)}))")

FORKTESTS = ";".join(["forktest"] * 8)
FAMILY = 6  # init, sh and shrimpdemo's four


def reports(stopper, machine, n, seed):
    gdb = stopper(machine, seed)
    for number in range(n):
        said = gdb.stop(REPORT)
        lines = [line.partition("@@")[2] for line in said.splitlines() if "@@" in line]
        assert lines, f"stop {number}: the kit said: {said}"
        yield json.loads(lines[0])


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
    assert {privilege for privilege, _ in places} >= set(modes) and len(places) > 4, places


@pytest.mark.limit(240)
def test_forktest_beside_a_family(machine, stopper):
    check_stops(machine, stopper, FORKTESTS, 200, seed=1)


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

"""No false alarm on other people's kernels, wherever they are stopped."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import pytest

from lab.kernels import tree
from lab.machines import debugger
from lab.machines.machine import Machine

import trees

_REPORT = ("python import json; from shrimpy import rules; from shrimpy.live.session import session; "
           "s = session.snapshot(); v = rules.evaluate(s); print('@@' + json.dumps({'at': s.stop.function, "
           "'mode': s.stop.privilege, 'fail': [repr(x) for x in v if x.status == 'fail'], "
           "'passed': sorted({x.rule for x in v if x.status == 'pass'})}))")
_WORK = ";".join(["ls", "cat README | grep a | wc", "(echo a | cat &)", "forktest"] * 2)


def stops(kernel: tree.Kernel, n: int, seed: int):
    """What was reported at n random moments while programs come and go."""
    moment = random.Random(seed)
    with Machine(kernel, 3) as machine:
        machine.boot()
        sent = 0
        with debugger.Session(kernel.elf, machine.gdb_target) as gdb, machine.qmp() as monitor:
            for _ in range(n):
                if machine.console.count("$ ") > sent:      # a prompt for each line that is done
                    machine.send(_WORK)
                    sent += 1
                gdb.tell("continue")
                while not monitor.execute("query-status")["running"]:
                    time.sleep(0.001)
                time.sleep(moment.uniform(0, 0.05))
                monitor.execute("stop")
                said = gdb.ask(_REPORT)
                yield json.loads(said.partition("@@")[2].splitlines()[0])


@pytest.mark.parametrize("n", [20, pytest.param(1000, marks=(pytest.mark.soak, pytest.mark.limit(1800)))])
@pytest.mark.parametrize("year,how", [
    pytest.param(trees.of_2020, {}, id="2020", marks=pytest.mark.soak),
    pytest.param(trees.imitate, {"opt": "-O2", "kernel_flags": trees.NEWER_NAMES}, id="2025-O2"),
    pytest.param(trees.imitate, {"opt": "-O0"}, id="2023-O0", marks=pytest.mark.soak),
])
def test_rules_pass_or_hold_back_at_any_stop(tmp_path: Path, year, how, n):
    kernel = tree.prepare(str(year(tmp_path / "lab", programs=trees.PROGRAMS + " forktest grep ls wc", **how)))
    judged, places = set(), set()
    for number, report in enumerate(stops(kernel, n, seed=n)):
        assert not report["fail"], f"stop {number}, in {report['at']}: {report['fail']}"
        judged.update(report["passed"])
        places.add((report["mode"], report["at"]))
    assert {"frames-conserved", "table-private", "not-on-free-list", "free-list-sound"} <= judged
    assert len(places) > 4, places

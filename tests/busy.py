#!/usr/bin/env python3
"""Is the verdict the same beside many other processes? make check on our kernel and on an imitated tree of 2020, again and again.

usage: busy.py [--load N] [--runs N] [KERNEL...]

Status 0: every run of a kernel said the same; 1: not.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "gdb"), str(ROOT / "tests/foreign")]

from lab import cli  # noqa: E402
from lab.judging import checking  # noqa: E402
from lab.judging.checking import Report  # noqa: E402
from lab.kernels import tree  # noqa: E402
from lab.machines import scene  # noqa: E402
from shrimpy.show import text  # noqa: E402
from shrimpy.rules import FAIL, PASS  # noqa: E402

import trees  # noqa: E402

# It ends with us, however we end.
_SPIN = "import os, sys\nwhile os.getppid() == int(sys.argv[1]): pass"


@contextlib.contextmanager
def load(n: int) -> Iterator[None]:
    """n processes that want a CPU each, beside the block."""
    spinning = []
    try:
        for _ in range(n):
            spinning.append(subprocess.Popen([sys.executable, "-c", _SPIN, str(os.getpid())]))
        yield
    finally:
        for one in spinning:
            one.kill()
            one.wait()


def said(report: Report) -> frozenset[str]:
    """What a report says, so that two of one kernel can be compared: how each scenario ended, and at each of its points which
    rules passed, and which failed on whom."""
    found = {f"status {report.status}"}
    for outcome in report.outcomes:
        end = outcome.hindrance.kind if outcome.hindrance else "its end"
        found.add(f"{outcome.name}: came to {end}")
        found.update(f"{outcome.name}: {note}" for note in outcome.notes)
        for stop in outcome.judgements:
            found.update(f"{outcome.name}, {stop.point}: {one.rule} {one.status}" + (f" on {one.subject}" if one.status == FAIL else "")
                         for one in stop.verdicts if one.status in (PASS, FAIL))
    return frozenset(found)


def try_often(kernel: tree.Kernel, runs: int) -> list[list[str]]:
    """A row for each run; one that differs from the first says where."""
    rows, first = [], None
    for number in range(1, runs + 1):
        start = time.monotonic()
        now = said(checking.check(kernel, kernel.cpus))
        first = first or now
        differs = [*(f"not: {one}" for one in sorted(first - now)), *sorted(now - first)]
        rows.append([kernel.name, str(number), f"{time.monotonic() - start:.0f}", next(one for one in now if one.startswith("status ")),
                     "; ".join(differs) or "the same"])
        cli.say("  ".join(rows[-1]))
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks kernels again and again beside many other processes.")
    parser.add_argument("--load", type=int, default=40, help="how many processes; default: 40")
    parser.add_argument("--runs", type=int, default=20, help="of each kernel; default: 20")
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="default: ours, and an imitated tree of 2020")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(prefix="shrimpy-") as folder:
        imitated = Path(folder, "of-2020")
        kernels = args.kernels or ["", str(trees.of_2020_with_fry(imitated))]
        try:
            prepared = [scene.kernel_at(one) for one in kernels]
            with load(args.load):
                for kernel in prepared:
                    rows += try_often(kernel, args.runs)
        finally:
            if not args.kernels:
                tree.discard(str(imitated))
    print(text.table(["KERNEL", "RUN", "SECONDS", "", "AGAINST THE FIRST"], rows), end="")
    n_other = sum(row[-1] != "the same" for row in rows)
    print(f"{len(rows) - n_other} of {len(rows)} runs beside {args.load} processes said what the first said")
    return 1 if n_other else 0


if __name__ == "__main__":
    cli.run(main, trouble_status=2)

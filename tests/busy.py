#!/usr/bin/env python3
"""Is the verdict the same beside many other processes? make check on our kernel and on an imitated tree of 2020, again and again.

usage: busy.py [--load N] [--runs N] [--at-once N] [KERNEL...]

Forty checks side by side are a load of forty, too, and take minutes where one after the other beside forty spinning processes
takes hours: `make busy LOAD=0 AT_ONCE=40`.

Status 0: every run of a kernel had the same verdict; 1: not.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "scripts"), str(ROOT / "gdb"), str(ROOT / "tests/foreign")]

from lab import Trouble, cli  # noqa: E402
from lab.judging import checking  # noqa: E402
from lab.judging.checking import Report  # noqa: E402
from lab.kernels import tree  # noqa: E402
from lab.machines import scene  # noqa: E402
from shrimpy.show import text  # noqa: E402
from shrimpy.rules import FAIL, PASS  # noqa: E402

import trees  # noqa: E402

_SAME = "the same"

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


class Said(NamedTuple):
    """What a report says, so that two of one kernel can be compared. verdict: the status, how each scenario ended, which rules failed
    on whom, and which passed at all; besides: notes, and at which stop each passed: some have nothing to judge where another hart has
    got further.
    """

    verdict: frozenset[str]
    besides: frozenset[str]


def said(report: Report) -> Said:
    verdict: set[str] = {f"status {report.status}"}
    besides: set[str] = set()
    for outcome in report.outcomes:
        end = outcome.hindrance.kind if outcome.hindrance else "its end"
        verdict.add(f"{outcome.name}: came to {end}")
        besides.update(f"{outcome.name}: {note}" for note in outcome.notes)
        for stop in outcome.judgements:
            at = f"{outcome.name}, {stop.point}"
            verdict.update(f"{at}: {one.rule} failed on {one.subject}" for one in stop.verdicts if one.status == FAIL)
            passed = [one.rule for one in stop.verdicts if one.status == PASS]
            verdict.update(f"{rule} passed" for rule in passed)
            besides.update(f"{at}: {rule} passed" for rule in passed)
    return Said(frozenset(verdict), frozenset(besides))


class Run(NamedTuple):
    """What a check said, and how long it took. kernel: which of them; seconds: of wall time."""

    kernel: int
    seconds: float
    said: Said


def _run(work: tuple[int, tree.Kernel]) -> Run:
    number, kernel = work
    start = time.monotonic()
    found = said(checking.check(kernel, kernel.cpus))
    return Run(number, time.monotonic() - start, found)


def try_often(kernels: Sequence[tree.Kernel], runs: int, at_once: int) -> list[list[str]]:
    """A row for each run, as they end; one that differs from the first of its kernel says where. Each is in a session of its own,
    as those of several people are: the scheduler divides between sessions."""
    work = [(number, kernel) for _ in range(runs) for number, kernel in enumerate(kernels)]
    rows: list[list[str]] = []
    first: dict[int, Said] = {}
    with multiprocessing.get_context("fork").Pool(min(at_once, len(work)), os.setsid, maxtasksperchild=1) as pool:
        for run in pool.imap_unordered(_run, work):
            before, status = first.setdefault(run.kernel, run.said), next(one for one in run.said.verdict if one.startswith("status "))
            rows.append([kernels[run.kernel].name, f"{run.seconds:.0f}", status,
                         _difference(before.verdict, run.said.verdict) or _SAME, _difference(before.besides, run.said.besides)])
            cli.say("  ".join(rows[-1]).rstrip())
    return rows


def _difference(before: frozenset[str], now: frozenset[str]) -> str:
    return "; ".join([*(f"not: {one}" for one in sorted(before - now)), *sorted(now - before)])


def _at_least(name: str, text: str, least: int) -> int:
    number = cli.number(name, text)
    if number < least:
        raise Trouble(f"{name}={text}: expected {least} or more")
    return number


def main() -> int:
    parser = argparse.ArgumentParser(description="Checks kernels again and again beside many other processes.")
    parser.add_argument("--load", default="40", help="how many processes; default: 40")
    parser.add_argument("--runs", default="20", help="of each kernel; default: 20")
    parser.add_argument("--at-once", default="1", help="how many checks run side by side; default: 1")
    parser.add_argument("kernels", nargs="*", metavar="KERNEL", help="default: ours, and an imitated tree of 2020")
    args = parser.parse_args()
    n_load, runs, at_once = _at_least("LOAD", args.load, 0), _at_least("RUNS", args.runs, 1), _at_least("AT_ONCE", args.at_once, 1)
    with tempfile.TemporaryDirectory(prefix="shrimpy-") as folder:
        imitated = Path(folder, "of-2020")
        kernels = args.kernels or ["", str(trees.of_2020_with_fry(imitated))]
        try:
            prepared = [scene.kernel_at(one) for one in kernels]
            with load(n_load):
                rows = try_often(prepared, runs, at_once)
        finally:
            if not args.kernels:
                tree.discard(str(imitated))
    print(text.table(["KERNEL", "SECONDS", "", "VERDICT, AGAINST THE FIRST", "BESIDES"], rows), end="")
    n_other = sum(row[3] != _SAME for row in rows)
    print(f"{len(rows) - n_other} of {len(rows)} runs, {at_once} at once beside {n_load} processes, had the first's verdict")
    return 1 if n_other else 0


if __name__ == "__main__":
    cli.run(main, trouble_status=2)

"""Two hundred trees, cut off on the way and gone on with: each has its own mark, and is checked once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import trees
from test_class import ROOT, archive, check_class, jobs, of_this_class, rows

_N = 200
_BROKEN = [("kernel/vm.c", r"\Z", "int broken(void) { return no_such_thing; }\n")]
_PANICS = [("kernel/main.c", r"scheduler\(\);", 'panic("out of luck");')]
_HANGS = [("kernel/main.c", r"scheduler\(\);", "for(;;);")]
_WRONG = {"two-frames": "shrimp-pair", "shrimp-without-w": "shrimp-flags", "not-zeroed": "fry-zeroed", "trapframe-user": "no-user-supervisor"}


def hand_in(folder: Path, i: int, spare: Path) -> tuple[str, str]:
    """Puts a submission into folder; its status, and a rule that must be among those that fail."""
    name, kind = f"student-{i:03}", i % 20
    style = dict(makefile=trees.LISTED, opt=("-O", "-O2", "-O0")[i % 3], debug=("-ggdb -gdwarf-2", "-ggdb3")[i % 2])
    if i in (66, 166):
        trees.imitate(folder / name, _HANGS, **style)
        return "hangs", ""
    if i == 100:
        (folder / name).mkdir()
        (folder / name / "report.txt").write_text("it worked yesterday\n")
        return "not checked", ""
    if kind < 5:
        patch, rule = list(_WRONG.items())[i // 20 % len(_WRONG)]
        trees.imitate(folder / name, patches=[f"zoo/{patch}.patch"], **style)
        return "fail", rule
    if kind == 5:
        trees.imitate(folder / name, _BROKEN, **style)
        return "does not build", ""
    if kind == 6:
        trees.imitate(folder / name, _PANICS, **style)
        return "panics", ""
    if kind in (7, 8):
        archive(folder / (name + (".zip" if kind == 7 else ".tar.gz")), trees.imitate(spare / name, **style))
        return "pass", ""
    trees.imitate(folder / name, **(style if kind > 10 else {}))  # else by its own Makefile, in the sandbox
    return "pass", ""


@pytest.mark.soak
@pytest.mark.limit(5400)
def test_two_hundred(tmp_path):
    folder, out = tmp_path / "hand-ins", tmp_path / "marks"
    folder.mkdir()
    expected = {f"student-{i:03}": hand_in(folder, i, tmp_path / "spare") for i in range(_N)}
    command = [str(ROOT / "scripts/check-class"), str(folder), "--out", str(out)]
    limits = {"SHRIMPY_LIMIT": "60"}
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               env={**os.environ, **limits})
    deadline = time.monotonic() + 900
    while not (out / "jobs.tsv").is_file() or jobs(out) < 20:
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode == 130 and not of_this_class(folder)
    done_before = jobs(out)
    start = time.monotonic()
    done = check_class(folder, "--out", out, limit_s=4500, **limits)
    seconds = time.monotonic() - start
    assert done.returncode == 2 and done.stdout == f"{_N} submissions, 1 of them not checked: {out}/marks.csv\n", done.stderr
    told = rows(out)
    assert {name: row["status"] for name, row in told.items()} == {name: status for name, (status, _) in expected.items()}
    for name, (_, rule) in expected.items():
        assert not rule or rule in told[name]["failed"].split(), (name, told[name])
    assert jobs(out) <= _N - done_before + 2  # the two that were under way when it was cut off, and no other, again
    assert not of_this_class(folder)
    sys.stderr.write(f"{jobs(out)} trees in {seconds:.0f} s\n")

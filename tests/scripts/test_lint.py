"""Each tool of make lint finds a slip of its kind, in what it is there for; and nothing clean is looked at twice.

That nothing is found in this checkout make lint itself says, which make test runs first.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import BUILD, ROOT
from lab.upkeep import linting

C = "int slip(int n, uint m) {\n  int *nowhere = 0;\n  return n < m ? *nowhere : 0;\n}\n"
SLIPS = {
    "gcc": ("xv6/kernel/pipe.c", C, "-Wsign-compare"),
    "cppcheck": ("xv6/kernel/pipe.c", C, "[nullPointer]"),
    "clang-tidy": ("xv6/kernel/pipe.c", C, "[clang-analyzer-core."),
    "clang-format": ("xv6/kernel/pipe.c", "int slip(int n) {\n  n = n+1;\n    return n;\n}\n", "expected 4 blanks|2 blanks before 'r'"),
    "shellcheck": ("scripts/doctor", '[ "$trouble" == 1 ]\n', "SC3014"),
    "ruff": ("gdb/shrimpy/memory/readers.py", "import colorsys\n", "F401"),
    "mypy": ("gdb/shrimpy/memory/readers.py", 'def slip() -> int:\n    return "one"\n', "[return-value]"),
    "codespell": ("gdb/shrimpy/memory/readers.py", "# t" "eh word\n", " ==> the"),
    "syntax": ("gdb/shrimpy/memory/readers.py", "match 1:\n    case 1:\n        pass\n", "Python 3.8"),
}


# The slips' files, lint itself, and what both import.
LITTLE = ("pyproject.toml", ".clang-format", ".ci/*", "xv6/kernel/*.h", "xv6/user/*.h", "xv6/kernel/pipe.c",
          "typings/**/*", *(f"scripts/{name}" for name in ("lint", "python", "setup", "doctor", "probe.sh", "tools.tsv")),
          "scripts/lab/*.py", "scripts/lab/upkeep/__init__.py", "scripts/lab/upkeep/l*.py", "scripts/lab/kernels/*.py", "scripts/lab/walls/*.py",
          *(f"gdb/shrimpy/{name}.py" for name in ("__init__", "files", "origins", "reasons", "records")),
          *(f"gdb/shrimpy/{folder}/*.py" for folder in ("memory", "spec", "words")),
          *(f"gdb/shrimpy/kernel/{name}.py" for name in (
              "__init__", "allocator", "cnames", "data", "debuginfo", "macros", "processes", "segments", "slots", "stacks", "variables")))


@pytest.fixture
def lint(tmp_path):
    """lint(word...): what it says of a checkout in tmp_path with little in it."""
    little = tmp_path / "checkout"
    for pattern in LITTLE:
        for path in filter(Path.is_file, ROOT.glob(pattern)):
            (little / path.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, little / path.relative_to(ROOT))

    known = BUILD / "lint/mypy"     # of files that have not changed
    if known.is_dir():
        shutil.copytree(known, tmp_path / "build/lint/mypy")

    def run(*words):
        done = subprocess.run([little / "scripts/lint", *words], capture_output=True, text=True,
                              env={**os.environ, "SHRIMPY_BUILD": str(tmp_path / "build")})
        if done.returncode == 2:
            pytest.skip(done.stderr.strip())
        return done
    run.checkout = little
    return run


def test_every_tool_has_its_slip():
    assert set(SLIPS) == set(linting.TOOLS)


def slipped(lint, tool):
    """What the tool says of its slip, which comes into what was clean; and what takes the slip out again."""
    name, slip, kind = SLIPS[tool]
    path = lint.checkout / name
    clean = lint(tool)
    assert (clean.returncode, clean.stdout + clean.stderr) == (0, "")
    before = path.read_text()
    path.write_text(before + slip)

    def told():
        done = lint(tool)
        assert done.returncode == 1 and re.search("|".join(map(re.escape, kind.split("|"))), done.stdout), done.stdout + done.stderr
        assert all(line.startswith(name) for line in done.stdout.splitlines() if kind in line)
    return told, lambda: path.write_text(before)


GIVEN_ONE_BY_ONE, GIVEN_TOGETHER = "gcc", "ruff"     # their files


@pytest.mark.parametrize("tool", [tool for tool in SLIPS if tool not in (GIVEN_ONE_BY_ONE, GIVEN_TOGETHER)])
def test_a_slip_is_found_where_nothing_was(lint, tool):
    told, _ = slipped(lint, tool)
    told()


@pytest.mark.parametrize("tool", [GIVEN_ONE_BY_ONE, GIVEN_TOGETHER])
def test_a_slip_is_found_and_told_again_until_it_is_gone(lint, tool):
    told, mend = slipped(lint, tool)
    told()
    told()
    mend()
    assert lint(tool).returncode == 0


def test_what_was_clean_is_looked_at_again_when_a_header_changes(lint):
    for name in ("user/cat.c", "mkfs/mkfs.c"):      # a program and what runs here, each compiled in its own way
        (lint.checkout / "xv6" / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / "xv6" / name, lint.checkout / "xv6" / name)
    assert re.match(r"3 of 3 looked at", lint("--times", "gcc").stderr)
    assert re.match(r"0 of 3 looked at", lint("--times", "gcc").stderr)
    with Path(lint.checkout, "xv6/kernel/param.h").open("a") as file:
        file.write("// more\n")
    assert re.match(r"3 of 3 looked at", lint("--times", "gcc").stderr)


def test_an_unknown_tool_is_refused_in_one_line(lint):
    done = subprocess.run([lint.checkout / "scripts/lint", "pylint"], capture_output=True, text=True)
    assert done.returncode == 2 and done.stderr.startswith("lint: no tool pylint: ") and done.stderr.count("\n") == 1

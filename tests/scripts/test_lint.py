"""Static analysis finds nothing in the kernel, its programs and mkfs; and it does find things."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from lab import ROOT

TOOLS = ["gcc", "cppcheck", pytest.param("clang-tidy", marks=[pytest.mark.soak, pytest.mark.limit(600)])]


@pytest.fixture
def lint(tmp_path):
    """lint(tool, more): what it says of a copy of xv6/ with more C at the end of the kernel's pipe.c."""
    def run(tool, more=""):
        for part in ("kernel", "user", "mkfs"):
            shutil.copytree(ROOT / "xv6" / part, tmp_path / "xv6" / part, ignore=shutil.ignore_patterns("*.o", "_*"))
        shutil.copytree(ROOT / "scripts", tmp_path / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        with (tmp_path / "xv6/kernel/pipe.c").open("a") as file:
            file.write(more)
        done = subprocess.run([tmp_path / "scripts/lint", tool], capture_output=True, text=True)
        if done.returncode == 2:
            pytest.skip(done.stderr.strip())
        return done
    return run


@pytest.mark.parametrize("tool", TOOLS)
def test_nothing_is_found(lint, tool):
    done = lint(tool)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("tool, kind", [
    ("gcc", "-Wsign-compare"), ("cppcheck", "[nullPointer]"),
    pytest.param("clang-tidy", "[clang-analyzer-core.", marks=[pytest.mark.soak, pytest.mark.limit(600)])])
def test_a_slip_is_found(lint, tool, kind):
    done = lint(tool, "int slip(int n, uint m) {\n  int *nowhere = 0;\n  return n < m ? *nowhere : 0;\n}\n")
    assert done.returncode == 1 and kind in done.stdout and "pipe.c" in done.stdout

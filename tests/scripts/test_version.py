"""Every command tells one version, that of the kit, and so does GDB."""

from __future__ import annotations

import subprocess

import pytest

from lab import ROOT, tools
from shrimpy import __version__

# python is an interpreter's name, and tells the interpreter's.
COMMANDS = sorted(one.name for one in (ROOT / "scripts").iterdir()
                  if one.is_file() and not one.suffix and one.name != "python")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_tells_the_version(command):
    done = subprocess.run([ROOT / "scripts" / command, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{command} of Shrimpy {__version__}\n", "")


def test_gdb_tells_the_version():
    done = subprocess.run([tools.gdb(), "-nx", "-batch", "-ex", f"source {ROOT}/gdb/load.py", "-ex", "show shrimpy version"],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL)
    greeting, shown = done.stdout.splitlines()[-2:]
    assert greeting.startswith(f"shrimpy {__version__}: ") and shown == f"Shrimpy {__version__}, from {ROOT}", done.stderr


def test_the_changes_of_this_version_are_told():
    assert f"\n## {__version__}" in (ROOT / "CHANGELOG.md").read_text()

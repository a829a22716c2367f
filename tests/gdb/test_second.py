"""A second GDB on a stub that serves one: told, and the first one's machine is left as it is."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from lab.machines import attach, debugger

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(params=["socket", "port"])
def served(request, machine):
    """(a machine, a GDB that is attached to it, by a socket or by a port)"""
    one = machine(1, gdb_port=free_port() if request.param == "port" else None)
    assert not attach.is_taken(one.gdb_target)
    with debugger.Session(one.kernel.elf, one.gdb_target) as first:
        yield one, first


@pytest.mark.parametrize("script, status", [("debug", 1), ("check", 2)])
def test_the_second_is_told_in_one_line(served, script, status):
    one, first = served
    for words in ((one.gdb_target,), (one.gdb_target.removeprefix("127.0.0.1:"),)):
        said = subprocess.run([sys.executable, ROOT / "scripts" / script, "--kernel", one.kernel.elf, "--target", *words],
                              capture_output=True, text=True, timeout=600)
        assert said.returncode == status and not said.stdout, said
        assert len(said.stderr.splitlines()) == 1 and f"attached to {one.gdb_target} already" in said.stderr, said
    assert "SLEEPING" in first.ask("xv6-ps")


def test_who_waits_to_be_served_does_not_count_and_who_has_left_neither(served):
    one, first = served
    with socket.socket(socket.AF_UNIX if one.gdb_target.startswith("/") else socket.AF_INET) as waiting:
        host, _, port = one.gdb_target.rpartition(":")
        waiting.connect((host, int(port)) if host else one.gdb_target)
        assert attach.is_taken(one.gdb_target)
    first.close()
    judged = subprocess.run([sys.executable, ROOT / "scripts/check", "--kernel", one.kernel.elf, "--target", one.gdb_target],
                            capture_output=True, text=True, timeout=600)
    assert judged.returncode == 0, judged

"""Machines that a tree's own Makefile started."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pytest

import trees

ROOT = Path(__file__).resolve().parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="module")
def built_in_place(tmp_path_factory) -> Path:
    lab = trees.imitate(tmp_path_factory.mktemp("in place") / "lab")
    subprocess.run(["make", "-C", str(lab), "-j2", "kernel/kernel", "fs.img"], check=True, capture_output=True)
    return lab


@pytest.fixture
def started(built_in_place) -> Iterator[tuple[Path, int]]:
    """(a tree, the port): built in place, `make qemu-gdb` running there, its QEMU waiting for GDB."""
    lab, port = built_in_place, free_port()
    command = ["make", "-C", str(lab), "--no-print-directory", f"GDBPORT={port}"]
    # Of a session of its own: it is ended whole.
    theirs = subprocess.Popen([*command, "qemu-gdb"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, start_new_session=True)
    try:
        deadline = time.monotonic() + 30
        while not listens(port):
            assert theirs.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        yield lab, port
    finally:
        os.killpg(theirs.pid, signal.SIGTERM)
        theirs.communicate()


def listens(port: int) -> bool:
    """Whether somebody listens on a port: /proc/net/tcp says without knocking."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(words[1].endswith(f":{port:04X}") and words[3] == "0A" for words in map(str.split, lines))


def test_gdb_finds_their_machine_by_their_gdbinit(started, tmp_path):
    lab, port = started
    environment = {**os.environ, "TERM": "dumb", "SHRIMPY_RUN": str(tmp_path)}
    with pexpect.spawn("make", ["gdb", f"KERNEL={lab}"], cwd=str(ROOT), timeout=600, encoding="utf-8", env=environment,
                       dimensions=(50, 300)) as gdb:
        gdb.expect(rf"Remote debugging using 127.0.0.1:{port}\r.*\(gdb\) ")
        gdb.sendline("break fork")
        gdb.expect(r"Breakpoint 1 at.*\(gdb\) ")
        gdb.sendline("continue")
        gdb.expect(r"Breakpoint 1, fork .*\(gdb\) ")
        gdb.sendline("shrimpy")
        gdb.expect(r"memory +QEMU's gdb stub.*FRY +0x3fffffd000, from the memlayout.h")
        gdb.expect(r"\(gdb\) ")
        gdb.sendline("shrimp-check")
        gdb.expect(r"PASS: \d+ verdicts about 1 process\b")
        gdb.expect(r"\(gdb\) ")
        gdb.sendline("set confirm off")
        gdb.sendline("quit")
        gdb.expect(pexpect.EOF)


def test_check_judges_their_machine_where_it_is(make, started):
    lab, port = started
    with pexpect.spawn("gdb-multiarch", ["-nx", "-batch", "-ex", f"target remote :{port}", "-ex", "break usertrap",
                                         "-ex", "continue", "-ex", "delete", str(lab / "kernel/kernel")],
                       timeout=600) as gdb:
        gdb.expect(pexpect.EOF)
    done = make("check", f"KERNEL={lab}", f"TARGET={port}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PASS: " in done.stdout


def test_gdb_finds_our_machine_of_that_tree_and_no_other(tmp_path):
    labs = [trees.imitate(tmp_path / name) for name in ("one lab", "other")]
    environment = {**os.environ, "TERM": "dumb", "SHRIMPY_RUN": str(tmp_path)}

    def spawn(*words: str) -> pexpect.spawn:
        return pexpect.spawn("make", list(words), cwd=str(ROOT), timeout=600, encoding="utf-8", env=environment,
                             dimensions=(50, 300))
    with spawn("qemu-gdb", f"KERNEL={labs[0]}") as qemu:
        qemu.expect("3 harts wait for GDB")
        with spawn("gdb", f"KERNEL={labs[1]}") as gdb:
            gdb.expect(f"no machine of {labs[1]} is running")
            gdb.expect(pexpect.EOF)
        with spawn("gdb", f"KERNEL={labs[0]}") as gdb:
            gdb.expect(r"\(gdb\) ")
            gdb.sendline("shrimpy")
            gdb.expect(r"kernel +\S+/one_lab-\w+/kernel/kernel\r")
            gdb.sendline("quit")
            gdb.sendline("y")
            gdb.expect(pexpect.EOF)
        qemu.send("\x01x")
        qemu.expect(pexpect.EOF)


def test_what_is_missing_is_said(kernel, make, tmp_path):
    lab = trees.imitate(tmp_path / "lab")
    done = make("gdb", f"KERNEL={lab}")
    assert done.returncode and f"no machine of {lab} is running: start one with `make qemu-gdb" in done.stderr
    done = make("check", f"KERNEL={lab}", "TARGET=1")
    assert done.returncode == 2 and f"{lab}/kernel/kernel does not exist" in done.stderr
    done = make("check", "TARGET=1")
    assert done.returncode == 2 and "Connection refused" in done.stderr

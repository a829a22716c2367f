"""Hand-ins made to harm or to stop whoever marks them: each ends in bounded time and one line, and nothing of the host is
touched."""

from __future__ import annotations

import dataclasses
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Trouble
from lab.kernels import building, tree
from lab.machines import debugger
from lab.machines.machine import Machine
from lab.tools import cross_prefix
from lab.walls import sandbox
from shrimpy.kernel import macros

from elves import MIB, RAM, Part, elf

ROOT = Path(__file__).resolve().parents[2]
TEN_GB = 10 << 30
CPU_S = 20.0


def check(kernel: Path, *words: str) -> subprocess.CompletedProcess:
    return subprocess.run([ROOT / "scripts/check", "--kernel", kernel, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True)


@pytest.fixture(autouse=True)
def little_work() -> Iterator[None]:
    """All that a test starts takes a bounded time of a CPU."""
    def used() -> float:
        told = resource.getrusage(resource.RUSAGE_CHILDREN)
        return told.ru_utime + told.ru_stime
    before = used()
    yield
    assert used() - before < CPU_S


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A tree whose Makefile is the test's."""
    (tmp_path / "lab/kernel").mkdir(parents=True)
    return tmp_path / "lab"


def refused(lab: Path, said: str) -> None:
    """It is no kernel, in one line; what was made of it goes."""
    try:
        with pytest.raises(Trouble) as caught:
            tree.prepare(str(lab), stranger=True)
    finally:
        tree.discard(str(lab))
    assert said in str(caught.value).partition("\n")[0]


# Makefiles

DOUBLING = "V0 := {first}\n" + "".join(f"V{n} {{how}} $(V{n - 1})$(V{n - 1})\n" for n in range(1, 61))


def test_a_makefile_whose_variables_double_runs_out_of_its_memory(lab, monkeypatch):
    monkeypatch.setattr(sandbox, "LIMITS", dataclasses.replace(sandbox.LIMITS, memory=64 << 20))
    (lab / "Makefile").write_text(DOUBLING.format(first="a" * 64, how=":=") + "qemu:\n\techo qemu-system-riscv64\n")
    refused(lab, "lab does not build: ")


def test_a_makefile_whose_variables_double_and_stay_empty_runs_out_of_time(lab, monkeypatch):
    monkeypatch.setattr(building, "_DRY_S", 2.0)
    (lab / "Makefile").write_text(DOUBLING.format(first="", how="=") + "ALL := $(V60)\nqemu:\n\techo qemu-system-riscv64\n")
    refused(lab, "lab does not build: to read its Makefile took more than 2 s")


def test_a_makefile_that_forks_without_end_is_ended_at_once(lab):
    (lab / "bomb").write_text("#!/bin/sh\n./bomb & ./bomb & wait\nsleep 60\n")
    (lab / "Makefile").write_text("qemu:\n\tsh -c 'chmod 755 bomb; ./bomb'\n")
    refused(lab, "lab does not build: its build ran more than 256 processes at a time")


def test_what_a_makefile_leaves_running_ends_with_it_and_it_reaches_nothing(lab, tmp_path):
    (lab / "Makefile").write_text(
        f"qemu:\n\t(sleep 600 &) ; touch {tmp_path}/out ; cat /etc/passwd > kernel/stolen ; kill -9 {os.getpid()} ; "
        f"ln -s /etc/shadow fs.img ; mkfifo kernel/kernel\n")
    refused(lab, "lab")
    assert not (tmp_path / "out").exists()


# Files

def test_a_fifo_for_a_kernel_is_none(lab, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    done = check(tmp_path / "pipe")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "is not an xv6 tree" in done.stderr
    os.mkfifo(lab / "kernel/kernel")
    os.mkfifo(lab / "kernel/memlayout.h")
    os.mkfifo(lab / "kernel/virtio_disk.c")
    (lab / "Makefile").write_text("qemu:\n\ttrue\n")
    refused(lab, "its build made no kernel")


@pytest.mark.parametrize("name", ["fs.img", "kernel", "Makefile"])
def test_a_file_of_10_gb_of_holes_is_not_read(tmp_path, name):
    (tmp_path / "kernel").write_bytes(elf())
    (tmp_path / "fs.img").write_bytes(bytes(1024))
    with (tmp_path / name).open("r+b" if (tmp_path / name).exists() else "wb") as file:
        file.truncate(TEN_GB)
    limits = {"preexec_fn": lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))}
    done = subprocess.run([ROOT / "scripts/check", "--kernel", tmp_path if name == "Makefile" else tmp_path / "kernel"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, **limits)
    assert (done.returncode, done.stdout) == (2, ""), done
    assert "Traceback" not in done.stderr


def test_segments_over_each_other_are_refused_before_anybody_loads_them(tmp_path):
    (tmp_path / "kernel").write_bytes(elf([Part(0x1000, RAM, 8 * MIB)] * 200, bytes(8 * MIB)))
    (tmp_path / "fs.img").write_bytes(bytes(1024))
    with pytest.raises(Trouble, match="^KERNEL=[^\n]*: expected [^\n]*$"):
        tree.prepare(str(tmp_path / "kernel"))


@pytest.mark.parametrize("content", [b"", b"\x7fELF\2\1\1" + bytes(57), None, "x86"])
def test_what_is_no_kernel_is_refused_in_one_line(tmp_path, content):
    kernel = tmp_path / "kernel"
    if content is None:
        kernel.mkdir()
    else:
        kernel.write_bytes(Path("/bin/true").read_bytes() if content == "x86" else content)
    (tmp_path / "fs.img").write_bytes(bytes(1024))
    done = check(kernel)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done


def test_names_with_escape_codes_and_newlines_are_told_as_plain_text(lab, tmp_path):
    (tmp_path / "outside").write_text("")
    (lab / "kernel/\x1b]0;owned\x07\n\x1b[31mPASS").symlink_to("../../outside")
    (lab / "Makefile").write_text("qemu:\n\techo '\x1b[2J\x1b[31merror: PASS'; false\n")
    done = check(lab, "--out", str(tmp_path / "marks"))
    assert done.returncode == 1 and "\x1b" not in done.stdout + done.stderr and "\x07" not in done.stdout + done.stderr
    assert "\x1b" not in (tmp_path / "marks/results.txt").read_text()


def test_macros_that_double_have_no_value():
    known = macros.parse("#define V0\n" + "".join(f"#define V{n} V{n - 1} V{n - 1}\n" for n in range(1, 61)) + "#define FRY V60 1\n")
    assert macros.value("FRY", known) is None
    assert macros.value("FRY", macros.parse("#define A 1\n#define FRY (A + A)\n")) == 2


# What reads a kernel

@pytest.fixture
def scripted(tmp_path: Path) -> tree.Kernel:
    """A kernel that brings commands for GDB in a section, and in files beside it."""
    program = tmp_path / "kernel"
    subprocess.run([cross_prefix() + "gcc", "-nostdlib", "-static", "-Wl,-Ttext=0x80000000", "-Wl,--build-id=none", "-o", program,
                    Path(__file__).with_name("scripted.S")], check=True)
    (tmp_path / "fs.img").write_bytes(bytes(1024))
    for name in (".gdbinit", "kernel-gdb.py", "kernel-gdb.gdb"):
        (tmp_path / name).write_text(f"shell touch {tmp_path}/touched\n" if name.endswith("b") or name == ".gdbinit" else
                                     f"open('{tmp_path}/touched', 'w')\n")
    return tree.prepare(str(program))


def test_qemu_and_gdb_see_the_kernel_and_nothing_of_this_machine(scripted, tmp_path):
    with Machine(scripted, 1, paused=True) as machine, \
            debugger.Session(scripted.elf, machine.gdb_target, walls=scripted.walled) as gdb:
        for pid in (machine.pid, gdb.pid):
            status = Path(f"/proc/{pid}/status").read_text()
            words = {line.partition(":")[0]: line.split()[1:] for line in status.splitlines()}
            assert words["Seccomp"] == ["2"] and words["NoNewPrivs"] == ["1"] and int(words["CapEff"][0], 16) == 0
            assert os.getuid() or words["Uid"][0] != "0"
            if not os.getuid():
                assert not (set(os.listdir(f"/proc/{pid}/root")) & ({"root", "home", "var", "srv"} - {ROOT.parts[1]}))
        said = gdb.ask(f"shell cat /etc/passwd; unshare -Ur id; touch {tmp_path}/touched; echo out; ls {tmp_path}",
                       "python import socket; socket.create_connection(('127.0.0.1', 1))")
        assert "root:" not in said and "uid=" not in said and "out\nkernel\n" in said and "refused" in said
    assert not (tmp_path / "touched").exists() and not (tmp_path / "by-section").exists()


def test_a_gdb_that_a_kernel_makes_work_without_end_is_late(scripted, tmp_path):
    with pytest.raises(debugger.Late):
        debugger.batch(scripted.elf, ["python while True: pass"], kit=False, limit_s=0.5, walls=True)
    assert "0x80000000" in debugger.batch(scripted.elf, ["info symbol 0x80000000", "print &_start"], kit=False, walls=True).out


def test_debugging_information_that_is_noise_is_not_judged(kernel, tmp_path):
    noise = bytes(range(256)) * 2000
    (tmp_path / "noise").write_bytes(noise)
    (tmp_path / "kernel").mkdir()
    noisy = [f"--update-section={name}={tmp_path / 'noise'}" for name in (".debug_info", ".debug_line")]
    subprocess.run([cross_prefix() + "objcopy", *noisy, kernel.elf, tmp_path / "kernel/kernel"], check=True, capture_output=True)
    (tmp_path / "fs.img").write_bytes(kernel.disks[0].read_bytes())
    done = check(tmp_path / "kernel/kernel", "--cpus", "1")
    assert done.returncode == 2 and "Traceback" not in done.stderr, done
    assert "NOT JUDGED" in done.stdout or done.stderr.startswith("check: ")


def test_without_a_sandbox_a_stranger_s_kernel_is_not_started(scripted, monkeypatch):
    monkeypatch.setattr(sandbox, "hindrance", lambda: "bubblewrap is not installed")
    for start in (lambda: Machine(scripted, 1), lambda: debugger.Session(scripted.elf, walls=scripted.walled)):
        with pytest.raises(Trouble, match="bubblewrap is not installed; SANDBOX=none"):
            start()

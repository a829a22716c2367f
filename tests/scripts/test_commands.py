"""What people type: each command's last word, its status, and what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pexpect
import pytest

from lab.kernels import variant
from lab.kernels.tree import OURS, prepare
from lab.machines import rundir
from lab.tools import cross_prefix

ROOT = Path(__file__).resolve().parents[2]
ZOO = ROOT / "tests" / "zoo"


ALL_MEMORY = {"SHRIMPY_MEM": ""}     # as when nobody says how much


def make(*words: str, **environment: str) -> subprocess.CompletedProcess:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    return subprocess.run(["make", *words], cwd=ROOT, env={**clean, **environment}, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.fixture(autouse=True)
def own_notes(tmp_path_factory, monkeypatch):
    """`make gdb` finds this test's machines only."""
    monkeypatch.setenv("SHRIMPY_RUN", str(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="module")
def broken_elf() -> str:
    """A kernel whose pairs do not share, with its disk beside it."""
    return str(variant.build("zoo-two-frames", [ZOO / "two-frames.patch"]).elf)


def test_demo_judges_and_draws():
    done = make("demo", **ALL_MEMORY)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^PASS: \d+", done.stdout, re.M)
    drawn = re.findall(r"^drawn: (.+)$", done.stdout, re.M)
    assert {Path(name).suffix for name in drawn} == {".svg", ".pdf", ".png", ".dot"}
    assert all(Path(name).stat().st_size > 1000 for name in drawn)


def test_check_passes_with_0_and_json():
    done = make("check", "JSON=1", "CPUS=2", "ONLY=family,exec", **ALL_MEMORY)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert {one["status"] for one in told["verdicts"]} == {"pass", "skipped"}


def test_check_fails_with_1(broken_elf):
    done = make("check", f"KERNEL={broken_elf}", "ONLY=fork")
    assert done.returncode == 1, done.stderr
    assert "shrimp-pair" in done.stdout


def test_check_stops_at_each_exit_of_a_program_that_ends():
    done = make("check", "PROGRAM=zombie")
    assert done.returncode == 0, done.stderr
    assert "zombie, stopped 2 times; judged here: 1 init, 2 sh, 3 zombie, 4 zombie\n" in done.stderr


def test_check_tells_of_the_stop_with_the_program_and_not_of_the_empty_machine_after_it():
    done = make("check", "PROGRAM=echo a")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^PASS: \d+ verdicts about 3 processes", done.stdout, re.M), done.stdout
    assert "echo a, stopped once; judged here: 1 init, 2 sh, 3 echo\n" in done.stderr


@pytest.mark.parametrize("words", [["PROGRAM=nosuch"], ["PROGRAM=nosuch &"], ["PROGRAM=nosuch", "READY=cannot run"]])
def test_check_of_what_did_not_run_is_no_pass(words):
    done = make("check", *words)
    assert done.returncode == 2
    program = words[0].partition("=")[2]
    assert f"check: {program} did not run, or had ended: there was only 1 init, 2 sh" in done.stderr
    assert "sh: cannot run nosuch" in done.stderr
    assert "PASS" not in done.stdout


def test_check_says_2_when_it_cannot_judge(tmp_path, kernel):
    stripped = tmp_path / "kernel"
    subprocess.run([cross_prefix() + "objcopy", "--strip-all", str(kernel.elf), str(stripped)], check=True)
    shutil.copy(kernel.disks[0], tmp_path / "fs.img")
    done = make("check", f"KERNEL={stripped}")
    assert done.returncode == 2
    assert "NOT JUDGED" in done.stdout and "is stripped" in done.stdout + done.stderr


@pytest.mark.parametrize("words,said", [
    (["KERNEL=/nowhere"], "KERNEL=/nowhere: no such file or folder"),
    (["KERNEL=/usr"], "KERNEL=/usr is not an xv6 tree"),
    (["KERNEL=/bin/sh"], "expected a 64-bit little-endian file for RISC-V (machine 243) at byte 0x4, found a "),
    (["KERNEL=/etc/hostname"], "KERNEL=/etc/hostname: expected an ELF file"),
    (["CPUS=9"], "CPUS=9 is out of range: the Shrimpy kernel runs on 1 to 8 harts"),
    (["CPUS=many"], "CPUS=many is not a number"),
    (["MEM=7"], "MEM=7 is out of range: our kernel runs with 8 to 2047 MiB of memory"),
    (["PROGRAM=nosuch", "READY=never"], "waited 2 s for what 'nosuch' prints when it is ready"),
    (["PROGRAM=cat"], "waited 2 s for an exit of 'cat' or the prompt after it, and neither came; for a program that stays"),
    (["READY=never"], "READY=never needs PROGRAM="),
    (["PROGRAM=ls", "TARGET=1"], "PROGRAM=ls cannot be combined"),
    (["TARGET=foo"], "TARGET=foo: expected host:port, a port of this host, or the path of a socket"),
])
def test_check_says_in_one_line_what_was_wrong(words, said):
    done = make("check", *words, SHRIMPY_LIMIT="2")
    assert done.returncode == 2
    first = next(line for line in done.stderr.splitlines() if line.startswith("check: "))
    assert said in first
    if "PROGRAM=nosuch" in words:
        assert done.stderr.startswith("waiting for 'never', up to 2 s\n")


def test_check_of_a_kernel_that_panics(bare):
    elf = bare(r"one last line\npanic: out of luck\n")
    done = make("check", f"KERNEL={elf}")
    assert done.returncode == 2
    assert "check: the kernel panicked: out of luck\n" in done.stderr
    assert "  | one last line\n" in done.stderr


def test_check_of_a_kernel_that_hangs(bare):
    elf = bare(r"one last line\n", "SILENT")
    done = make("check", f"KERNEL={elf}", SHRIMPY_LIMIT="2")
    assert done.returncode == 2
    assert "check: waited 2 s for the shell's first prompt, which did not come: the kernel hangs\n" in done.stderr
    assert "  | one last line\n" in done.stderr


@pytest.fixture
def tree(tmp_path) -> Path:
    """Somebody's tree: our sources elsewhere, under a name with a space."""
    copy = tmp_path / "my xv6"
    shutil.copytree(OURS, copy, ignore=shutil.ignore_patterns("*.o", "*.d", "_*", "stripped", "fs.img", "mkfs", "kernel"))
    shutil.copytree(OURS / "kernel", copy / "kernel", ignore=shutil.ignore_patterns("*.o", "*.d", "kernel"))
    (copy / "mkfs").mkdir(exist_ok=True)
    for name in (OURS / "mkfs").glob("*.[ch]"):
        shutil.copy(name, copy / "mkfs")
    programs = copy / "user/programs.mk"
    programs.write_text(re.sub(r"(UPROGS = init sh cat echo) .*\\\n.*", r"\1", programs.read_text()))
    return copy


def test_check_of_a_tree_adds_nothing_to_it(tree):
    before = files_of(tree)
    done = make("check", f"KERNEL={tree}", "ONLY=fork")
    assert done.returncode == 0, done.stderr
    assert files_of(tree) == before
    # An edit is seen the next time, and what did not change is not built again.
    (tree / "kernel/main.c").write_text("#error on purpose\n")
    done = make("check", f"KERNEL={tree}")
    assert done.returncode == 2
    assert re.search(r"^check: my xv6 does not build: .*main\.c.*on purpose", done.stderr, re.M)


def test_a_warning_that_a_newer_compiler_makes_an_error_is_let_pass(tree):
    with (tree / "kernel/printf.c").open("a") as file:
        file.write("void forever(int n);\nvoid forever(int n) { forever(n + 1); }\n")
    kernel = prepare(str(tree))
    assert any("built with -Wno-error=infinite-recursion" in note for note in kernel.notes)


def test_what_old_kernels_need_is_found_out(bare):
    options = " ".join(prepare(str(bare())).qemu_options)
    assert "-cpu rv64,pmp=false" in options
    assert "pmp" not in " ".join(prepare(str(bare(r"x", "WITH_PMP"))).qemu_options)


@pytest.mark.parametrize("version,legacy", [(1, "true"), (2, "false")])
def test_virtio_version_is_read_from_the_driver(bare, tmp_path, version, legacy):
    (tmp_path / "Makefile").write_text("all:\n")
    elf = bare()
    (tmp_path / "tree/kernel").mkdir(parents=True)
    shutil.move(elf, tmp_path / "tree/kernel/kernel")
    shutil.move(tmp_path / "fs.img", tmp_path / "tree/fs.img")
    shutil.move(tmp_path / "Makefile", tmp_path / "tree/Makefile")
    (tmp_path / "tree/kernel/virtio_disk.c").write_text(f"if(*R(VIRTIO_MMIO_VERSION) != {version}) panic();\n")
    kernel = prepare(str(tmp_path / "tree/kernel/kernel"))
    assert f"virtio-mmio.force-legacy={legacy}" in kernel.qemu_options


def test_a_makefile_s_other_devices_and_memory_are_kept(bare, tmp_path):
    tree = tmp_path / "tree"
    (tree / "kernel").mkdir(parents=True)
    shutil.move(bare(), tree / "kernel/kernel")
    shutil.move(tmp_path / "fs.img", tree / "fs.img")
    (tree / "swap.img").write_bytes(b"swap")
    (tree / "kernel/param.h").write_text("#define NCPU 4 // harts\n")
    (tree / "Makefile").write_text(
        "QEMUOPTS = -machine virt -bios none -kernel kernel/kernel -m 256M -smp 3 -nographic\n"
        "QEMUOPTS += -global virtio-mmio.force-legacy=false\n"
        "QEMUOPTS += -drive file=fs.img,if=none,format=raw,id=x0 -device virtio-blk-device,drive=x0,bus=virtio-mmio-bus.0\n"
        "QEMUOPTS += -drive file=swap.img,if=none,format=raw,id=x1 -device virtio-blk-device,drive=x1,bus=virtio-mmio-bus.1\n"
        "QEMUOPTS += -netdev user,id=net0,hostfwd=udp::25999-:2000 -object filter-dump,id=net0,netdev=net0,file=packets.pcap\n"
        "QEMUOPTS += -device e1000,netdev=net0,bus=pcie.0\n")
    kernel = prepare(str(tree / "kernel/kernel"))
    assert kernel.ram_bytes == 256 << 20
    assert kernel.max_cpus == 4
    assert [image.name for image in kernel.disks] == ["fs.img", "swap.img"]
    options = " ".join(kernel.qemu_options)
    assert "-netdev user,id=net0,restrict=on -device e1000,netdev=net0,bus=pcie.0,romfile=" in options
    assert "hostfwd" not in options and "filter" not in options


def test_core_is_judged_like_the_machine(tmp_path):
    done = subprocess.run([str(ROOT / "scripts/core"), "-o", str(tmp_path / "core")], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    done = make("check", f"CORE={tmp_path / 'core'}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"^PASS: \d+", done.stdout, re.M)


def spawn(*words: str) -> pexpect.spawn:
    return pexpect.spawn("make", list(words), cwd=str(ROOT), timeout=600, encoding="utf-8",
                         env={**os.environ, "TERM": "dumb"}, dimensions=(50, 300))


@pytest.mark.parametrize("cpus", [1, 3])
def test_qemu_gdb_and_gdb_in_two_terminals(cpus):
    with spawn("qemu-gdb", f"CPUS={cpus}") as qemu:
        qemu.expect("1 hart waits for GDB" if cpus == 1 else f"{cpus} harts wait for GDB")
        with spawn("gdb") as gdb:
            gdb.expect(r"\(gdb\) ")
            gdb.sendline("break exec")
            gdb.expect(r"Breakpoint 1 at")
            gdb.sendline("continue")
            gdb.expect(r"Breakpoint 1, exec.*\(gdb\) ")
            gdb.sendline("shrimp-check")
            gdb.expect(r"PASS: \d+ .*\(gdb\) ")
            with spawn("gdb") as second:
                second.expect("another GDB is attached to the machine already")
                second.expect(pexpect.EOF)
            gdb.sendline("delete")
            gdb.expect("(y or n)")
            gdb.sendline("y")
            gdb.expect(r"\(gdb\) ")
            gdb.sendline("continue")
            qemu.expect(r"\$ ")
            for word in "hello", "again", "and again":
                qemu.sendline(f"echo {word}, world")
                qemu.expect(f"\n{word}, world")    # it runs: a Ctrl-C before could be for GDB itself
                gdb.sendcontrol("c")
                gdb.expect(r"SIGINT.*\(gdb\) ")
                gdb.sendline("continue")
                gdb.expect("Continuing")
            qemu.send("\x01x")
            qemu.expect(pexpect.EOF)
            gdb.expect(r"\(gdb\) ")
            gdb.sendline("quit")
            gdb.expect(pexpect.EOF)
            gdb.wait()
            assert gdb.exitstatus == 0
        qemu.wait()
        assert qemu.exitstatus == 0
    assert not rundir.running()


def test_gdb_without_a_machine_says_what_to_do():
    done = make("gdb")
    assert done.returncode != 0
    assert "start one with `make qemu-gdb` in another terminal" in done.stderr


@pytest.mark.parametrize("target", ["foo", "/nowhere/gdb.sock", "host:", str(ROOT / "Makefile")])
def test_gdb_of_what_is_no_target_says_what_one_is(target):
    done = make("gdb", f"TARGET={target}")
    assert done.returncode != 0
    assert f"TARGET={target}: expected host:port" in done.stderr
    assert "(gdb)" not in done.stdout


def test_gdb_says_which_of_two_machines_it_is_on_and_how_to_get_at_the_other():
    with spawn("qemu-gdb", "CPUS=1") as first, spawn("qemu-gdb", "CPUS=1") as second:
        first.expect("1 hart waits for GDB")
        second.expect("1 hart waits for GDB")
        newest, other = rundir.running()
        with spawn("gdb") as gdb:
            gdb.expect("2 machines of this checkout are running")
            gdb.expect(f"started by process {newest.pid};")
            gdb.expect(rf"make (gdb KERNEL=\S+ TARGET={re.escape(other.gdb)}) +\(process {other.pid}\)")
            with spawn(*gdb.match[1].split()) as second_gdb:
                for one in gdb, second_gdb:
                    one.expect(r"0x0+1000 in .*\(gdb\) ")
                    one.sendline("detach")
                    one.sendline("quit")
                    one.expect(pexpect.EOF)
        for qemu in first, second:
            qemu.send("\x01x")
            qemu.expect(pexpect.EOF)


def test_port_on_loopback():
    import socket
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with spawn("qemu-gdb", f"GDBPORT={port}", "CPUS=1") as qemu:
        qemu.expect(f"target remote 127.0.0.1:{port}")
        with socket.create_connection(("127.0.0.1", port), 10):
            pass
        qemu.send("\x01x")
        qemu.expect(pexpect.EOF)


def test_doctor_tells_what_an_absence_costs(tmp_path):
    """With a PATH that has the shell's own tools and nothing else."""
    for name in ("sh", "dirname", "grep", "sort", "head", "uname", "id", "find", "env"):
        (tmp_path / name).symlink_to(shutil.which(name))
    done = subprocess.run(["/bin/sh", str(ROOT / "scripts/doctor")], env={"PATH": str(tmp_path)},
                          capture_output=True, text=True)
    assert done.returncode == 1
    for line in (r"MISSING +qemu-system-riscv64 .*nothing can be booted", r"MISSING +gdb-multiarch .*no shrimp-check",
                 r"MISSING +dot .*figures are written as DOT only"):
        assert re.search(line, done.stdout), done.stdout


def test_doctor_tells_a_gdb_without_python_and_an_old_qemu(tmp_path):
    (tmp_path / "gdb-multiarch").write_text("#!/bin/sh\ncase $* in *python*) exit 1 ;; *version*) echo 'GNU gdb 12.1' ;; "
                                            "*) echo 'The target architecture is set to \"riscv:rv64\".' ;; esac\n")
    (tmp_path / "qemu-system-riscv64").write_text("#!/bin/sh\necho 'QEMU emulator version 5.2.0'\n")
    for name in ("gdb-multiarch", "qemu-system-riscv64"):
        (tmp_path / name).chmod(0o755)
    done = subprocess.run([str(ROOT / "scripts/doctor")], env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
                          capture_output=True, text=True)
    assert done.returncode == 1
    assert re.search(r"UNFIT .*12\.1 was built without Python, which the kit needs: no shrimp-check", done.stdout), done.stdout
    assert re.search(r"TOO OLD .*5\.2\.0, 6\.2 is needed", done.stdout)

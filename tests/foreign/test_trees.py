"""Trees of several years: built in a copy, booted with what they need, judged by the rules that any kernel keeps."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab.kernels import tree
from lab.machines import debugger
from lab.machines.machine import Machine
from lab.tools import cross_prefix

import trees

ANY_KERNEL = {"no-user-supervisor", "frame-in-ram", "pte-legal", "not-on-free-list", "free-list-sound",
              "frames-conserved", "frames-return", "table-private", "no-panic"}
# Scenarios are played for each tree.
pytestmark = pytest.mark.limit(300)


def params(text: str, file: str = "kernel/param.h") -> list[trees.Edit]:
    """`NAME value`: another value of a constant."""
    name, value = text.split()
    return [(file, rf"(#define {name}) \d+", rf"\1 {value}")]


@pytest.mark.parametrize("year,how", [
    pytest.param(trees.of_2020, {}, id="2020"),
    pytest.param(trees.plain, {"opt": "-O0", "kernel_flags": trees.NEWER_NAMES, "counted": False}, id="2025-O0", marks=pytest.mark.soak),
    pytest.param(trees.plain, {"opt": "-O2", "debug": "-ggdb3", "qemu": trees.MODERN + trees.NETWORK}, id="2023-O2-macros-network",
                 marks=pytest.mark.soak),
])
def test_without_fry_every_other_rule_is_judged_and_nothing_is_added(make, listing, tmp_path, year, how):
    mine = year(tmp_path / "xv6 labs", **how)
    before = listing(mine)
    done = make("check", f"KERNEL={mine}", "JSON=1")
    assert done.returncode == 2, done.stdout + done.stderr
    told = json.loads(done.stdout)
    rules: dict[str, set[str]] = {}
    for one in told["verdicts"]:
        rules.setdefault(one["rule"], set()).add(one["status"])
        assert one["status"] != "fail", one
    assert {rule for rule, found in rules.items() if "pass" in found} >= ANY_KERNEL - {"no-user-supervisor"}
    assert all(one["why"] == "this kernel defines no FRY" for one in told["verdicts"]
               if one["rule"] not in {*ANY_KERNEL, "count-matches", "frames-return", "satp-is-root"} and not one["rule"].startswith("segment-"))
    assert listing(mine) == before
    if year is trees.of_2020:
        assert "it sets up no PMP; started with -cpu rv64,pmp=false" in done.stderr
        assert "it speaks legacy virtio-mmio; started with force-legacy=true" in done.stderr
        assert "as exec before 2022 and ld -N make them" in str(told)


@pytest.mark.parametrize("how", [
    pytest.param({"counted": True}, id="O", marks=pytest.mark.soak),
    pytest.param({"counted": False}, id="O-uncounted", marks=pytest.mark.soak),
    pytest.param({"opt": "-O2", "kernel_flags": trees.NEWER_NAMES, "counted": False}, id="O2-newer-names"),
])
def test_an_orphan_s_page_freed_by_its_parent_s_exit_is_found(make, tmp_path, how):
    naive = trees.imitate(tmp_path / "lab", patches=["zoo/parent-first.patch"], **how)
    done = make("check", f"KERNEL={naive}", "ONLY=orphan,fork")     # the second on what was kept of the machine at its prompt
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^pass +fork +[1-9]", done.stdout, re.M) and " hung" not in done.stderr, done.stdout + done.stderr
    assert re.search(r"^FAIL orphan-alive: pid \d+ \(shrimpscene\): its SHRIMP frame (is on the free list|was given to another)",
                     done.stdout, re.M), done.stdout
    assert re.search(r"^  look at +freeproc\(\)", done.stdout, re.M)


@pytest.mark.soak
def test_a_parent_s_page_freed_by_its_child_s_exit_is_found(make, tmp_path):
    done = make("check", f"KERNEL={trees.imitate(tmp_path / 'lab', counted=False)}")
    assert done.returncode == 1, done.stdout + done.stderr
    assert re.search(r"^FAIL not-on-free-list: pid \d+ \(\w+\): FRY of pid|^FAIL fry-private", done.stdout, re.M), done.stdout


def test_a_kernel_that_panics_once_the_scene_is_set_has_not_passed(make, tmp_path):
    lab = trees.imitate(tmp_path / "lab", patches=["zoo/child-frees-shrimp.patch"])
    done = make("check", f"KERNEL={lab}", "ONLY=family")
    assert done.returncode == 1 and "check: the kernel panicked: kfree: frame is free" in done.stderr
    assert not re.search("^PASS", done.stdout, re.M)


def test_a_lab_done_right_passes_with_fry_from_its_memlayout(make, tmp_path):
    right = trees.imitate(tmp_path / "lab", params("NCPU 1"), params("NPROC 24"))
    done = make("check", f"KERNEL={right}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "lab, 1 hart, 12 scenarios, " in done.stderr
    assert re.search(r"^pass +orphan-alive +[1-9]", done.stdout, re.M)
    done = make("demo", f"KERNEL={right}")
    assert done.returncode == 0 and "drawn: " in done.stdout, done.stdout + done.stderr


@pytest.mark.soak
def test_a_tree_without_pages_at_address_0_passes(make, tmp_path):
    """Who follows a null pointer faults there: all programs begin at 0x3000, and exec takes no other."""
    lab = trees.imitate(tmp_path / "lab", [("user/user.ld", r"  \. = 0;", "  . = 0x3000;"),
                                           ("kernel/exec.c", r"end > SHRIMP \|\|", "end > SHRIMP || ph->vaddr < 0x3000 ||")])
    done = make("check", f"KERNEL={lab}", "ONLY=exec,memory,play")
    assert done.returncode == 0, done.stdout + done.stderr


def test_demo_of_a_tree_without_fry_says_why_it_draws_nothing(make, tmp_path):
    done = make("demo", f"KERNEL={trees.plain(tmp_path / 'lab')}")
    assert done.returncode == 2 and "defines no FRY" in done.stdout
    assert "nothing drawn: " in done.stdout and not done.stderr.count("demo:")


def test_fork_is_stepped_through_without_macros_at_o2(tmp_path):
    kernel = tree.prepare(str(trees.imitate(tmp_path / "lab", opt="-O2", kernel_flags=trees.NEWER_NAMES)))
    with Machine(kernel, 1) as machine:
        machine.boot()
        with debugger.Session(kernel.elf, machine.gdb_target) as gdb:
            machine.send("echo hello")
            said = gdb.ask("shrimp-step -finish")
    assert "The user image is copied: " in said and "pairing holds: SHRIMP of pid 3 is FRY of pid 2" in said, said


def test_a_tree_without_fry_and_without_a_state_for_the_unborn_is_stepped_through(tmp_path):
    kernel = tree.prepare(str(trees.of_2020(tmp_path / "lab")))
    with Machine(kernel, 1) as machine:
        machine.boot()
        with debugger.Session(kernel.elf, machine.gdb_target) as gdb:
            machine.send("echo hello")
            said = gdb.ask("shrimp-step -finish")
    assert "Trapframe of the child is mapped" in said and "The user image is copied: " in said, said
    assert "state: USED -> RUNNABLE" in said and "pairing none: this kernel defines no FRY and SHRIMP" in said


def test_the_two_pages_addresses_can_be_given_where_no_header_has_them(make, tmp_path):
    kernel = tree.prepare(str(trees.imitate(tmp_path / "lab")))
    elf = tmp_path / "kernel"
    subprocess.run([cross_prefix() + "objcopy", "--remove-section=.debug_macinfo", kernel.elf, elf], check=True)
    shutil.copy(kernel.disks[0], tmp_path / "fs.img")
    done = make("check", f"KERNEL={elf}", "ONLY=fork")
    assert done.returncode == 2 and "NOT JUDGED: this kernel defines no FRY" in done.stdout
    done = make("check", f"KERNEL={elf}", "ONLY=fork", "FRY=0x3fffffd000", "SHRIMP=0x3fffffc000")
    assert done.returncode == 0, done.stdout + done.stderr
    done = make("check", f"KERNEL={elf}", "FRY=0x3ffffff")
    assert done.returncode == 2 and "expected the address of a page" in done.stderr


def test_the_images_end_is_the_linkers_where_a_function_has_an_end_of_its_own(tmp_path):
    kernel = tree.prepare(str(trees.imitate(tmp_path / "lab", opt="-O0")))
    listed = subprocess.run([tree.cross_prefix() + "nm", kernel.elf], check=True, capture_output=True, text=True).stdout
    with Machine(kernel, 1, paused=True) as machine, debugger.Session(kernel.elf, machine.gdb_target) as gdb:
        said = gdb.ask("break uvmunmap", "continue", "next", "whatis &end", f"xv6-snapshot {tmp_path}/s.json")
    assert "type = uint64 *" in said
    layout = json.loads((tmp_path / "s.json").read_text())["layout"]
    assert int(layout["kernel_end"], 16) == int(re.search(r"^(\w+) \w end$", listed, re.M)[1], 16)


# What is wrong with a tree, in one line

def test_the_compilers_first_error_is_the_line(make, tmp_path):
    broken = trees.imitate(tmp_path / "lab", [("kernel/vm.c", r"\Z", "int broken(void) { return no_such_thing; }\n")], tiny=True)
    done = make("check", f"KERNEL={broken}")
    assert done.returncode == 2
    first = done.stderr.splitlines()[0]
    assert re.match(r"check: lab does not build: kernel/vm.c:\d+:\d+: error: .no_such_thing. undeclared", first), first


def test_a_students_own_slip_is_not_let_pass(tmp_path):
    slip = trees.imitate(tmp_path / "lab", [("kernel/vm.c", r"\Z", "static void never(void) {}\n")], tiny=True)
    with pytest.raises(tree.Trouble, match=r"does not build: kernel/vm.c.*never.*defined but not used"):
        tree.prepare(str(slip))


def test_a_warning_of_the_hosts_compiler_is_let_pass_and_said_each_time(tmp_path):
    odd = trees.imitate(tmp_path / "lab", [("mkfs/mkfs.c", r"\Z", "void again(int n);\nvoid again(int n) { again(n + 1); }\n")], tiny=True)
    for _ in range(2):
        assert any("built with -Wno-error=infinite-recursion" in note for note in tree.prepare(str(odd)).notes)


def test_a_makefile_that_is_fit_for_one_job_only_is_built(tmp_path):
    odd = trees.imitate(tmp_path / "lab", tiny=True)
    with (odd / "Makefile").open("a") as makefile:
        makefile.write("fs.img: alone\nalone: ; case '$(MAKEFLAGS)' in *jobserver*) exit 1; esac\n")
    assert tree.prepare(str(odd)).elf.is_file()


def test_links_are_followed_and_odd_files_left_out(listing, tmp_path):
    mine = trees.imitate(tmp_path / "lab", tiny=True)
    (mine / "user").rename(tmp_path / "elsewhere")
    (mine / "user").symlink_to("../elsewhere")
    (mine / "loop").symlink_to(".")
    (mine / "dangling").symlink_to("nowhere")
    os.mkfifo(mine / "fifo")
    before = listing(mine) | listing(tmp_path / "elsewhere")
    assert tree.prepare(str(mine)).has_program("sh")
    assert listing(mine) | listing(tmp_path / "elsewhere") == before


def test_an_x86_tree_is_named(make, tmp_path):
    (tmp_path / "Makefile").write_text("all:\n")
    (tmp_path / "bootasm.S").write_text("")
    done = make("check", f"KERNEL={tmp_path}")
    assert done.returncode == 2
    assert f"KERNEL={tmp_path} " in done.stderr and "x86" in done.stderr.splitlines()[0]


@pytest.fixture
def elf_with(tmp_path):
    """elf_with(instruction): a kernel of one instruction, with a disk beside it."""
    def build(instruction: str) -> Path:
        source = tmp_path / "kernel.S"
        source.write_text(f".globl _start\n_start: {instruction}\n")
        elf = tmp_path / "kernel"
        subprocess.run([tree.cross_prefix() + "gcc", "-nostdlib", "-static", "-Wl,-Ttext=0x80000000", "-o", elf, source],
                       check=True)
        (tmp_path / "fs.img").write_bytes(bytes(1024))
        return elf
    return build


def test_a_timer_that_needs_a_newer_qemu_is_noticed(make, elf_with, tmp_path):
    elf = elf_with("csrw 0x14d, a5")
    assert tree.prepare(str(elf)).oldest_qemu == (7, 2)
    old = tmp_path / "old-qemu"
    old.write_text("#!/bin/sh\necho 'QEMU emulator version 6.2.0'\n")
    old.chmod(0o755)
    done = make("check", f"KERNEL={elf}", QEMU=str(old))
    assert done.returncode == 2
    assert "is version 6.2: 7.2 or later is needed by this kernel's timer" in done.stderr

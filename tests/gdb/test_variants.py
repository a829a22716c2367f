"""Kernels that differ: names, optimisation, no macro information, no FRY. The
kit needs nothing added to them."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from lab.kernels import tree, variant

VARIANTS = Path(__file__).resolve().parent / "variants"
RENAMED = "-Dfork=kfork -Dexec=kexec -Dexit=kexit -Dwait=kwait"


@pytest.fixture(scope="module")
def newer() -> tree.Kernel:
    """At -O2, without macro information, with the names of newer trees."""
    return variant.build("newer", variables=["OPT=-O2", f"EXTRA_CFLAGS=-ggdb2 {RENAMED}"])


@pytest.fixture
def family_of(machine):
    def start(kernel: tree.Kernel):
        one = machine(3, kernel=kernel)
        one.send("shrimpdemo &")
        one.wait_for(r"shrimpdemo: ready[^\n]*\n")
        return one
    return start


def test_fry_comes_from_the_headers_when_there_are_no_macros(newer, family_of, ask, tmp_path):
    one = family_of(newer)
    said = ask(one, "print/x FRY", "print/x $SHRIMP", "shrimpy", "shrimp-check", f"xv6-snapshot {tmp_path}/s.json")
    assert "$1 = 0x3fffffd000\n$2 = 0x3fffffc000\n" in said
    assert "FRY      0x3fffffd000, from the memlayout.h beside the kernel" in said
    assert re.search(r"^PASS: ", said, re.M), said
    snapshot = json.loads((tmp_path / "s.json").read_text())
    assert snapshot["layout"]["fry_from"] == "memlayout.h"
    assert len(snapshot["processes"]) == 6 and snapshot["free"]["complete"]


def test_a_parameter_comes_before_all(newer, family_of, ask):
    said = ask(family_of(newer), "set shrimpy fry 0x3fffffc000", "set shrimpy shrimp 0x3fffffd000", "shrimpy",
               "shrimp-check", "set shrimpy fry auto", "set shrimpy shrimp auto", "shrimp-check")
    assert "FRY      0x3fffffc000, from set shrimpy" in said
    assert re.search(r"^FAIL: .*shrimp-pair", said, re.M) and re.search(r"^PASS: ", said, re.M)


def test_step_knows_kfork_at_any_optimisation(newer, machine, session):
    one = machine(2, kernel=newer)
    gdb = session(one)
    one.send("echo hello")
    assert "pid 2 (sh) calls kfork" in gdb.ask("shrimp-step -life")
    said = gdb.ask("shrimp-step -finish")
    assert re.search(r"^\d+  SHRIMP of the child is mapped\n\d+  The user image is copied: 9 pages$", said, re.M), said
    assert "pid 3 calls kexec 'echo'" in said and "end: pid 3 is gone" in said


PHASES = ["start", "frame", "frame", "frame", "table", "table", "map", "map", "fry", "shrimp", "copy", "state", "state", "state",
          "state", "exec", "end", "map", "map", "fry", "shrimp", "exec", "exec", "exit", "exit", "wait", "unmap", "free", "free",
          "free", "free", "end"]


@pytest.mark.limit(300)
@pytest.mark.parametrize("variables", [
    ["EXTRA_CFLAGS=-funwind-tables"],       # as GCC 14 for Linux does it, kernel.ld throws away where frames are
    pytest.param(["OPT=-O0"], marks=pytest.mark.soak),
    pytest.param(["OPT=-O3", "EXTRA_CFLAGS=-funwind-tables"], marks=pytest.mark.soak),
    pytest.param(["OPT=-Os", "EXTRA_CFLAGS=-fomit-frame-pointer"], marks=pytest.mark.soak),
], ids=" ".join)
def test_what_a_step_is_does_not_depend_on_how_the_kernel_was_compiled(variables, machine, session, tmp_path):
    kernel = variant.build("compiled", variables=variables)
    assert (b".debug_frame" in kernel.elf.read_bytes()) == ("-funwind-tables" not in " ".join(variables))
    one = machine(3, kernel=kernel)
    gdb = session(one)
    one.send("echo hello")
    gdb.ask(f"shrimp-step -record {tmp_path}/film.json")
    steps = json.loads((tmp_path / "film.json").read_text())["steps"]
    # With two harts the child may be quicker than its parent.
    assert sorted(step["phase"] for step in steps) == sorted(PHASES), [step["title"] for step in steps]
    for step in steps:
        assert step["at"]["file"].startswith("kernel/") and step["at"]["line"] and step["at"]["function"], step["title"]
        assert step["path"][0] in ("fork", "exec", "exit", "wait", "sys_exec", "sys_exit"), step["path"]


def test_step_falls_back_on_lines_where_functions_are_inlined(machine, session):
    """Functions that are not there by their names are as good as inlined everywhere."""
    inlined = "mappages uvmcopy uvmunmap uvmfree proc_pagetable allocproc"
    kernel = variant.build("inlined", variables=["EXTRA_CFLAGS=" + " ".join(f"-D{n}={n}_" for n in inlined.split())])
    one = machine(2, kernel=kernel)
    gdb = session(one)
    one.send("echo hello")
    assert "not functions of this kernel: mappages, uvmcopy, uvmunmap, uvmfree, proc_pagetable; " in gdb.ask("shrimp-step")
    said = gdb.ask("shrimp-step -finish")
    assert "SHRIMP of the child is mapped" in said and "pairing holds" in said, said


def test_without_fry_the_rest_works_and_the_rules_say_so(newer, family_of, ask, tmp_path):
    alone = tmp_path / "kernel"         # no macros, and no headers beside it
    shutil.copy(newer.elf, alone)
    said = ask(family_of(newer), "xv6-ps", "shrimp-check", "print $shrimp_status", "shrimpy", elf=alone)
    assert re.search(r"^ +3 +2 +SLEEPING +- +shrimpdemo", said, re.M)
    assert re.search(r"^NOT JUDGED: this kernel defines no FRY", said, re.M) and "$1 = 2" in said
    assert re.search(r"^pass +frames-conserved", said, re.M)
    assert "FRY      not in this kernel; try: set shrimpy fry ADDR" in said


def test_another_kernels_file_is_noticed(family, ask):
    other = variant.build("small", variables=["EXTRA_CFLAGS=-DNPROC=16"])
    said = ask(family, "xv6-ps", "shrimp-check", "print $shrimp_status", elf=other.elf)
    assert said.count(f"the machine does not run {other.elf}") == 2
    assert "$1 = 2" in said


def test_nproc_is_the_kernels(machine, ask):
    small = variant.build("small", variables=["EXTRA_CFLAGS=-DNPROC=16"])
    said = ask(machine(2, kernel=small), "xv6-ps", "shrimp-check")
    assert re.search(r"^ +2 +1 +SLEEPING", said, re.M) and re.search(r"^PASS: ", said, re.M)


def test_free_lists_by_hart_are_all_counted(family_of, ask, tmp_path):
    kernel = variant.build("lists-by-hart", [VARIANTS / "lists-by-hart.patch"])
    said = ask(family_of(kernel), "shrimp-check", f"xv6-snapshot {tmp_path}/s.json")
    assert re.search(r"^PASS: ", said, re.M), said
    for rule in ("frames-conserved", "count-matches", "free-list-sound"):
        assert re.search(rf"^pass +{rule} ", said, re.M), said
    snapshot = json.loads((tmp_path / "s.json").read_text())
    assert [one["name"] for one in snapshot["free"]["lists"]][:3] == [f"kmem[{n}].freelist" for n in range(3)]
    assert sum(one["count"] for one in snapshot["free"]["lists"]) == snapshot["free"]["count"] > 7000
    assert snapshot["counts"]["name"] == "pageref.count" and snapshot["lost"] == []

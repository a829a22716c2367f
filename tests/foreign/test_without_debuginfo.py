"""Kernels of which debugging information is missing, in part or wholly: it is said once, where, and how to have it; what
needs none works. Where it is there in another form, nothing is said."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from lab.kernels import tree
from lab.machines import debugger
from lab.machines.machine import Machine

import trees

PROGRAMS = "echo init sh"
HERE = "$U/%.o: $U/%.S\n"
# As xv6's own start.c: no function of it takes or returns anything, and its variables alone show that its types are known.
NOTHING_TAKEN = [("kernel/start.c", r"(?:static )?(void start(?:clock)?)\(int hart\) \{",
                  r"__attribute__((noinline)) \1(void) {\n  int hart = (int)csr_read(mhartid);"),
                 ("kernel/start.c", r"startclock\(hart\)", "startclock()")]


def without_g(name: str) -> str:
    """A Makefile that compiles one object without -g."""
    rule = f"$K/{name}.o: $K/{name}.c\n\t$(CC) $(filter-out -g%,$(CFLAGS)) @KFLAGS@ -c -o $@ $<\n"
    return trees._MAKEFILE.replace(HERE, rule + HERE)


def built(folder: Path, *edits: Sequence[trees.Edit], **how: object) -> tree.Kernel:
    """A tree's kernel as its own Makefile makes it, in place: ours would add what is missing."""
    lab = trees.imitate(folder, *edits, programs=PROGRAMS, **how)
    subprocess.run(["make", "-C", str(lab), "--no-print-directory", "-j2", "kernel/kernel", "fs.img"], check=True,
                   capture_output=True, timeout=600)
    return tree.prepare(str(lab / "kernel/kernel"))


def ask(kernel: tree.Kernel, *commands: str, elf: Path | None = None) -> list[str]:
    """What each command prints, errors too."""
    with Machine(kernel, 1) as machine:
        machine.boot()
        lines = [f"python\ntry: gdb.execute({c!r})\nexcept gdb.error as e: print('error:', e)\nprint('@@')\nend" for c in commands]
        return debugger.checked(elf or kernel.elf, lines, target=machine.gdb_target).split("@@\n")[:-1]


@pytest.mark.limit(300)
@pytest.mark.parametrize("debug,how", [
    pytest.param("", "without -g", id="g0"), pytest.param("-g1", "with -g1", id="g1", marks=pytest.mark.soak)])
def test_without_types_it_is_said_once_and_tables_are_walked(tmp_path, debug, how):
    kernel = built(tmp_path / "lab", debug=debug)
    ps, again, walk, frames, check = ask(kernel, "xv6-ps", "xv6-walk FRY 2", "xv6-walk 0x80000000 satp", "xv6-frames",
                                         "shrimp-check")
    (note,) = [line for line in ps.splitlines() if line.startswith("note: ")]
    assert "proc.o" in note and how in note and "-ggdb" in note and "file PATH" not in note
    assert "note: " not in again + walk + frames + check
    assert "error: xv6-walk: " in again and how in again and "satp" in again
    assert "PA 0x80000000" in walk
    assert int(next(line for line in frames.splitlines() if line.endswith(" free")).split()[0]) > 7000, frames
    assert "FAIL" not in check.replace("PASS  FAIL", "") and "pass  free-list-sound" in check


@pytest.mark.limit(300)
@pytest.mark.parametrize("name", ["proc", pytest.param("kalloc", marks=pytest.mark.soak)])
def test_one_object_without_it_is_named_and_costs_what_it_costs(tmp_path, name):
    kernel = built(tmp_path / "lab", NOTHING_TAKEN, makefile=without_g(name))
    ps, tree_, check = ask(kernel, "xv6-ps", "xv6-tree", "shrimp-check")
    (note,) = [line for line in ps.splitlines() if line.startswith("note: ")]
    assert f"{name}.o of kernel was compiled without -g" in note and "-ggdb" in note
    assert "2 sh SLEEPING" in tree_ and "note: " not in tree_
    assert "pass  shrimp-pair" in check and "\nPASS: " in check


@pytest.mark.limit(300)
def test_a_stripped_kernel_is_said_to_be_and_its_tables_are_walked(tmp_path):
    kernel = built(tmp_path / "lab")
    stripped = tmp_path / "kernel"
    subprocess.run([tree.cross_prefix() + "strip", "-o", stripped, kernel.elf], check=True, timeout=600)
    ps, walk, check = ask(kernel, "xv6-ps", "xv6-walk 0x80000000 satp", "shrimp-check", elf=stripped)
    (note,) = [line for line in ps.splitlines() if line.startswith("note: ")]
    assert "kernel is stripped" in note and "PA 0x80000000" in walk and "NOT JUDGED" in check


@pytest.mark.limit(300)
@pytest.mark.parametrize("debug", [
    "-ggdb3 -gdwarf-4 -gsplit-dwarf", pytest.param("-ggdb -gdwarf-5 -gz=zlib", marks=pytest.mark.soak),
    pytest.param("-ggdb -gdwarf-4 -gz=zlib", marks=pytest.mark.soak)])
def test_other_forms_of_it_are_as_good(tmp_path, debug):
    kernel = built(tmp_path / "lab", debug=debug)
    ps, check = ask(kernel, "xv6-ps", "shrimp-check")
    assert "note: " not in ps + check and "\nPASS: " in check and "pass  frames-conserved" in check

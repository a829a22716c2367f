"""Bare-metal GCC has no headers of a C library, and another GCC may have no C++: what is here is used, or the line says what is not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import trees
from lab import NotBuilt, ROOT, tools
from lab.kernels import building, toolchain, tree
from lab.kernels.toolchain import Lack, Toolchain

pytestmark = pytest.mark.limit(300)
ASSERT = [("kernel/proc.c", r"\A", "#define NDEBUG\n#include <assert.h>\n")]


def test_what_a_build_lacks():
    said = ("kernel/proc.c:1:10: fatal error: assert.h: No such file or directory\n"
            "user/new.cc:1:10: fatal error: 'cstddef' file not found\n"
            "/bin/sh: 1: riscv64-linux-gnu-g++: not found\n"
            "make: riscv64-unknown-elf-objdump: No such file or directory\n"
            "x.c:1:1: fatal error: ../../etc/passwd: No such file or directory\n"
            "cat: notes: No such file or directory\n")
    assert toolchain.lacking(said) == [Lack("header", "assert.h"), Lack("header", "cstddef"), Lack("tool", "g++"),
                                       Lack("tool", "objdump")]


def test_a_makefile_reads_the_version_of_the_qemu_that_is_here():
    with toolchain.standing_in() as folder:
        asked = [subprocess.run([qemu, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
                 for qemu in (folder / "qemu-system-riscv64", tools.qemu())]
    assert asked[0] == asked[1]


@pytest.mark.parametrize("lack, package", [
    (Lack("header", "assert.h"), "picolibc-riscv64-unknown-elf or libc6-dev-riscv64-cross"),
    (Lack("header", "sys/types.h"), "picolibc-riscv64-unknown-elf or libc6-dev-riscv64-cross"),
    (Lack("header", "cstddef"), "g++-riscv64-linux-gnu"), (Lack("tool", "g++"), "gcc-riscv64-unknown-elf"),
    (Lack("tool", "objdump"), "binutils-riscv64-unknown-elf"), (Lack("header", "kernel/nosuch.h"), None),
    (Lack("header", "nosuch.h"), None), (Lack("tool", "nosuch"), None)])
def test_the_package_that_brings_it(lack, package):
    assert toolchain.package_of(lack) == package


def test_the_preferred_one_of_those_that_have_all_of_it(monkeypatch):
    has = {"first": set(), "second": {"a.h"}, "third": {"a.h", "b.h"}}
    monkeypatch.setattr(Toolchain, "has", lambda self, lack: lack.name in has[self.prefix])
    among = [Toolchain(name) for name in has]
    a, b, c = (Lack("header", name) for name in ("a.h", "b.h", "c.h"))
    assert [toolchain.choose(lacks, among) for lacks in ([], [a], [a, b], [c])] == [among[0], among[1], among[2], None]


def test_headers_of_gccs_own_need_no_package():
    bare = [prefix for prefix in tools.cross_prefixes() if "linux" not in prefix]
    if not bare:
        pytest.skip("no GCC for bare metal")
    found = toolchain.choose([Lack("header", "stdint.h"), Lack("header", "stddef.h")], toolchain.toolchains(bare))
    assert (found.prefix, found.flags) in ((bare[0], ()), (bare[0], ("-ffreestanding",)))


@pytest.fixture
def only(monkeypatch):
    """only(toolchain, ...): no other is here."""
    def choose(*those: Toolchain) -> None:
        monkeypatch.setattr(building, "toolchains", lambda: list(those))
    return choose


def test_a_tree_that_includes_a_header_of_a_c_library_builds_or_the_line_names_the_package(tmp_path, only):
    tree_of = trees.imitate(tmp_path / "asserting", ASSERT, tiny=True)
    preferred, lack = Toolchain(tools.cross_prefix()), Lack("header", "assert.h")
    other = toolchain.choose([lack], toolchain.toolchains())
    if preferred.has(lack):
        pytest.skip(f"{preferred.command} has one")
    if other:
        kernel = tree.prepare(str(tree_of))
        assert any(other.command in note and "assert.h" in note for note in kernel.notes), kernel.notes
        again = tree.prepare(str(tree_of))  # what it lacks is remembered
        assert again.notes == kernel.notes
        tree.discard(str(tree_of))
    only(preferred)
    with pytest.raises(NotBuilt) as caught:
        tree.prepare(str(tree_of))
    first = str(caught.value).splitlines()[0]
    assert "kernel/proc.c:2:10: fatal error: assert.h" in first and "picolibc-riscv64-unknown-elf" in first


def test_a_tree_with_cpp_in_it(tmp_path, only):
    tree_of = trees.imitate(tmp_path / "plus", tiny=True)
    (tree_of / "kernel/plus.cc").write_text('#include <cstddef>\nextern "C" std::size_t plus(std::size_t a) { return a + 1; }\n')
    rules = (tree_of / "Makefile").read_text()
    (tree_of / "Makefile").write_text(
        rules.replace("KOBJS = ", "KOBJS = $K/plus.o ").replace(
            "$K/%.o: $K/%.S", "$K/%.o: $K/%.cc\n\t$(TOOLPREFIX)g++ -march=rv64gc -mcmodel=medany -ffreestanding -fno-exceptions "
            "-fno-rtti -fno-pie -mno-relax -c -o $@ $<\n$K/%.o: $K/%.S"))
    preferred = Toolchain(tools.cross_prefix())
    if toolchain.choose([Lack("header", "cstddef")], toolchain.toolchains()):
        assert tree.prepare(str(tree_of)).elf.is_file()
        tree.discard(str(tree_of))
    if not preferred.has(Lack("header", "cstddef")):
        only(preferred)
        with pytest.raises(NotBuilt, match="g\\+\\+-riscv64-linux-gnu"):
            tree.prepare(str(tree_of))


def test_a_header_that_nobody_has_is_the_trees_own_slip(tmp_path):
    with pytest.raises(NotBuilt) as caught:
        tree.prepare(str(trees.imitate(tmp_path / "slip", [("kernel/proc.c", r"\A", "#include <nosuch.h>\n")], tiny=True)))
    assert str(caught.value).splitlines()[0].endswith("kernel/proc.c:1:10: fatal error: nosuch.h: No such file or directory")


def path_with(folder: Path, prefix: str) -> str:
    """A PATH on which of all toolchains only that of a prefix is."""
    folder.mkdir()
    for place in reversed(os.environ["PATH"].split(":")):
        for path in Path(place).glob("*"):
            if not path.name.startswith("riscv64-") or path.name.startswith(prefix):
                (folder / path.name).unlink(missing_ok=True)
                (folder / path.name).symlink_to(path)
    return str(folder)


def test_a_compiler_by_a_link_in_a_home_is_called_by_what_it_leads_to(tmp_path, monkeypatch):
    """The sandbox has no home."""
    monkeypatch.setenv("PATH", path_with(tmp_path / "bin", tools.cross_prefix()))
    assert tree.prepare(str(trees.imitate(tmp_path / "linked", programs="init sh", tiny=True))).elf.is_file()


@pytest.mark.soak
@pytest.mark.limit(1800)
def test_every_toolchain_alone_gives_the_same_verdicts(tmp_path, make):
    """Of our kernel and of a tree, built by it with the scenarios' programs."""
    theirs = trees.of_2020(tmp_path / "2020")
    seen = {}
    for prefix in tools.cross_prefixes():
        path = path_with(tmp_path / prefix, prefix)
        for kernel in (ROOT / "xv6", theirs):
            done = make("check", f"KERNEL={kernel}", "JSON=1", PATH=path, SHRIMPY_BUILD=str(tmp_path / f"build-{prefix}"))
            assert done.stdout, done.stderr  # without FRY the status is that of no verdict
            told = json.loads(done.stdout)
            assert told["status"] == done.returncode
            # What is skipped goes with the moment of a stop.
            seen[prefix, kernel] = told["status"], *(sorted({(one["scenario"], one["rule"]) for one in told["verdicts"]
                                                             if one["status"] == status}) for status in ("fail", "pass"))
        shutil.rmtree(tmp_path / f"build-{prefix}")
    first = tools.cross_prefix()
    for (prefix, kernel), verdicts in seen.items():
        assert verdicts == seen[first, kernel], prefix

"""QEMU's plugins on machines that run: who stored last, and which lock was missing."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
from pathlib import Path

import pytest

from lab import ROOT, Trouble, tools
from lab.judging import locking
from lab.kernels import tree
from lab.machines import debugger, plugin, scene
from lab.machines.machine import Machine
from lab.machines.qmp import Gone
from lab.replay import recording
from lab.replay.machine import RecordedMachine
from lab.replay.place import Place
from lab.replay.server import Server
from shrimpy.kernel.debuginfo import DebugInfo
from shrimpy.kernel.who import Who
from shrimpy.memory import elf

import trees
from mutants import MUTANTS, built


def parsed(said: str) -> list[dict]:
    return [json.loads(line) for line in said.splitlines() if line.startswith("{")]


# Who

def test_who_wrote_an_entry_is_told_with_callers_on_several_harts_and_in_the_tables(kernel, machine, gdb):
    one = machine(3, plugged=plugin.who_wrote(kernel))
    one.run("ls | wc")
    said = gdb(kernel.elf, ["xv6-who -json SHRIMP 2", "xv6-who SHRIMP 2", "xv6-walk SHRIMP 2", "xv6-vmmap 2", "xv6-rmap $phys(2, SHRIMP)",
                            f"xv6-who -json {0x80000000 + kernel.ram_bytes - 8:#x}"], target=one.gdb_target)
    entry, nothing = parsed(said)
    assert [call["function"] for call in entry["store"]["calls"]][:4] == ["mappages", "proc_pagetable", "exec", "sys_exec"]
    assert nothing["store"] is None     # the last frame was never taken
    assert f"store {entry['store']['number']:,}, by hart {entry['store']['hart']}" in said
    written = re.compile(r" LAST WRITTEN BY\n.*?\bproc\.c:\d+ proc_pagetable < exec, hart \d\n", re.S)
    assert len(written.findall(said)) == 3


def test_a_machine_without_the_plugin_says_how_to_start_one_with_it(machine):
    one = machine(1)
    for command, how in (("xv6-who initproc", "WHO=1"), ("xv6-guards", "LOCKS=1")):
        said = debugger.batch(one.kernel.elf, [command], target=one.gdb_target)
        assert re.search(rf"(?m)^{command.split()[0]}: nobody notes .*{how}", said.err), said.err


def compared(made: recording.Recording, n: int) -> tuple[int, list[object]]:
    """Of n words of a recording's RAM, at random, that who and why both know: how many, and those on which they differ."""
    with Place(RecordedMachine(made.kernel, made.log, plugged=plugin.who_wrote(made.kernel)), made.end) as place:
        place.run_to(made.end)
        functions = elf.Elf.load(made.kernel.elf).symbols()[0]
        ram = (0x80000000, 0x80000000 + made.kernel.ram_bytes)
        noted = Who(str(place.machine.folder / "who"), ram, DebugInfo(functions=tuple(functions)))
        words = list(range(ram[0] + 0x9000, ram[0] + (2 << 20), 8))
        random.Random(n).shuffle(words)
        code = plugin.text(made.kernel.elf)
        found = {pa: store for pa, store in ((pa, noted.last(pa)) for pa in words) if store and store.pc in code}
        chosen = {pa: (store.pc, store.callers) for pa, store in list(found.items())[:n]}
        noted.close()
    with Server(made) as server:
        said = debugger.checked(made.kernel.elf, ["set remotetimeout 600", f"python chosen, end = {chosen!r}, {made.end}",
                                                  f"source {Path(__file__).with_name('asking.py')}"], target=server.target,
                               limit_s=120 + n)
    told = parsed(said)[-1]
    return told["n"], told["differ"]


def test_who_and_why_name_the_same_store(kernel, tmp_path):
    n, differ = compared(recording.record(kernel, tmp_path / "made", "ls"), 16)
    assert not differ and n > 6


@pytest.mark.soak
@pytest.mark.limit(3000)
def test_who_and_why_name_the_same_store_of_10_000_words(kernel, tmp_path):
    n, differ = compared(recording.record(kernel, tmp_path / "made", "ls"), 10_000)
    assert not differ and n > 5_000


# Locks

def test_a_kernel_that_is_right_lacks_no_lock(kernel):
    seen = locking.examine(kernel, 3)
    assert (seen.found, seen.hindrance, seen.notes) == ((), None, ()) and seen.n_accesses > 10_000 < seen.n_acquired * 20


def test_a_lock_is_held_until_it_is_released_itself(kernel):
    """The word behind wait_lock is in the first process's own lock, which is released while the other is held."""
    seen = locking.examine(kernel, 1, "usertests -q orphans-are-buried")
    assert (seen.found, seen.hindrance, seen.notes) == ((), None, ()) and seen.n_acquired > 1000


def found_in(mutant, folder: Path) -> list[str]:
    return [one.data for one in locking.examine(built(mutant, folder), 3).found if re.fullmatch(mutant.data, one.data)]


def test_a_count_that_is_not_locked_is_found_in_one_run(tmp_path):
    assert found_in(next(one for one in MUTANTS if one.function == "kdup"), tmp_path)


@pytest.mark.soak
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda one: f"{one.function}-without-{one.lock}")
def test_each_lock_that_is_left_out_is_found_in_one_run(mutant, tmp_path):
    assert found_in(mutant, tmp_path)


@pytest.mark.soak
@pytest.mark.limit(3000)
def test_usertests_on_8_harts_lack_no_lock(kernel):
    seen = locking.examine(kernel, 8, "usertests -q")
    assert (seen.found, seen.hindrance, seen.notes) == ((), None, ())


@pytest.mark.soak
@pytest.mark.limit(3000)
def test_usertests_of_an_imitated_tree_lack_no_lock(tmp_path):
    folder = trees.imitate(tmp_path / "tree", programs=f"{trees.PROGRAMS} usertests", user_link="-s -z max-page-size=4096 -T user/user.ld")
    with (folder / "Makefile").open("a") as makefile:
        makefile.write("$U/_usertests: $U/memory.o $(patsubst %.c,%.o,$(wildcard $U/tests_*.c))\n")
    seen = locking.examine(scene.kernel_at(str(folder)), 8, "usertests -q")
    assert (seen.found, seen.hindrance, seen.notes) == ((), None, ()) and seen.n_acquired > 1_000_000


def test_check_tells_of_locks_and_does_not_pass_without_the_plugin(kernel, tmp_path):
    qemu = tmp_path / "qemu"
    qemu.write_text(f'#!/bin/sh\n[ "$1" = -help ] && exit\nexec {tools.qemu()} "$@"\n')
    qemu.chmod(0o755)
    ran = subprocess.run([ROOT / "scripts/check", "--program", "ls", "--json"], env={**os.environ, "LOCKS": "1", "QEMU": str(qemu)},
                         capture_output=True, text=True)
    told = json.loads(ran.stdout)
    assert ran.returncode == 2 and told["status"] == 0, ran.stderr
    assert told["locks"]["status"] == "skipped" and told["locks"]["hindrance"] == f"{qemu} was built without plugins"


# What can be wrong with a plugin

def test_without_a_compiler_or_a_folder_to_write_to_there_is_a_line_and_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr(plugin, "BUILD", tmp_path)
    plugin.built.cache_clear()
    monkeypatch.setattr(plugin, "_COMPILERS", ("no-such-compiler",))
    with pytest.raises(Trouble, match="^no C compiler"):
        plugin.built("who")
    monkeypatch.setattr(plugin, "_COMPILERS", ("false",))
    with pytest.raises(Trouble, match="could not be built"):
        plugin.built("who")
    assert not list(tmp_path.glob("plugins/*")) and not list(tmp_path.glob("plugins/.*"))
    monkeypatch.setattr(plugin, "BUILD", Path("/dev/null"))
    with pytest.raises(Trouble, match="cannot be written"):
        plugin.built("who")


def test_a_plugin_of_another_qemu_is_a_line_and_no_machine(kernel, tmp_path):
    other = tmp_path / "who.so"
    plugin._compile(ROOT / "scripts/plugin/who.c", 99, other)
    mine = plugin.who_wrote(kernel)
    with pytest.raises(Gone, match=r"^QEMU ended: .*(API|version)") as refused:
        Machine(kernel, 1, plugged=plugin.Plugin("who", other, mine.arguments, mine.size))
    assert "\n" not in str(refused.value).partition("\nthe console")[0]


def test_no_room_for_what_a_plugin_notes_is_a_line(kernel):
    mine = plugin.who_wrote(kernel)
    with pytest.raises(Trouble, match="no folder with .* MiB free"):
        Machine(kernel, 1, plugged=plugin.Plugin("who", mine.file, mine.arguments, 1 << 60))


@pytest.mark.parametrize("api", [1, 2, 3, 4])
@pytest.mark.parametrize("name", ["who", "locks"])
def test_plugins_build_for_each_version_of_the_api(api, name, tmp_path):
    plugin._compile(ROOT / f"scripts/plugin/{name}.c", api, tmp_path / "plugin.so")


def test_a_kernel_without_xv6s_locks_is_told_so(kernel):
    with pytest.raises(Trouble, match="has no function acquire"):
        plugin.which_locks(tree.Kernel("a program", kernel.elf.parents[1] / "user" / "_cat", (), 1 << 27))

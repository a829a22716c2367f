"""System V shared memory: programs print what Linux prints, and several harts at once lose nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pexpect
import pytest

from lab import ROOT

PROGRAMS = ROOT / "xv6/user/posix"


def on_linux(name, folder):
    """What a program prints that the host's compiler made from the same bytes, at a terminal in an empty folder."""
    program, empty = folder / name, folder / "empty"
    empty.mkdir()
    subprocess.run(["gcc", "-w", "-fno-builtin", "-o", program, PROGRAMS / f"{name}.c"], check=True)
    unprivileged = "setpriv --bounding-set -ipc_owner " if os.geteuid() == 0 else ""    # or no mode refuses anything
    said, status = pexpect.run(f"{unprivileged}{program}", cwd=str(empty), encoding="utf-8", timeout=None, withexitstatus=True)
    assert status == 0, said
    return said.replace("\r\n", "\n")


@pytest.mark.parametrize("name", ["shmsample", "posixtest"])
def test_a_program_of_posix_prints_what_it_prints_on_linux(machine, tmp_path, name):
    assert machine(1).run(name) == on_linux(name, tmp_path)


def test_a_program_in_the_manner_of_old_textbooks_compiles(tmp_path):
    """main without a type, and functions that no header declares: a compiler for Linux warns of them, too."""
    for one in ("Makefile", "kernel", "user/programs.mk", "user/posix/include"):
        copy = shutil.copytree if (ROOT / "xv6" / one).is_dir() else shutil.copy
        (tmp_path / one).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / "xv6" / one, tmp_path / one)
    text = re.sub(r"#include <(stdlib|unistd|sys/wait)\.h>\n", "", (PROGRAMS / "shmsample.c").read_text())
    (tmp_path / "user/posix/shmsample.c").write_text(text.replace("int main(void)", "main()"))
    done = subprocess.run(["make", "user/posix/shmsample.o"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0 and "-Wimplicit-function-declaration" in done.stderr, done.stderr


@pytest.mark.parametrize("cpus", [3, 8])
def test_what_the_manual_pages_say_is_so_on_several_harts_and_nothing_is_lost(machine, free_frames, cpus):
    """On one hart test_programs runs them. The table in docs/shared-memory.md is about these."""
    one = machine(cpus)
    before = free_frames(one)
    said = one.run("usertests -q shm-*")
    assert said.endswith("ALL TESTS PASSED\n"), said
    assert said.count("test shm-") > 30 and free_frames(one) == before


def test_segments_are_listed_and_removed_by_id_and_by_key(machine, loads, free_frames):
    one = machine(1, kernel=loads)
    before = free_frames(one)
    one.run("segments make")
    rows = re.findall(r"^0x(\w+) +(\d+) +root +(\d+) +(\d+) +(\d+) +(.*)$", one.run("ipcs"), re.M)
    assert [(key, perms, size, nattch) for key, _, perms, size, nattch, _ in rows] == \
        [("00001234", "600", "5000", "0"), ("00000000", "640", "1", "0")]
    assert "segments allocated 2\npages allocated 3\n" in one.run("ipcs -u")
    assert one.run(f"ipcrm -M 0x1234 -m {rows[1][1]}") == ""
    assert one.run("ipcrm -M 0x1234") == "ipcrm: key 0x1234: No such file or directory\n"
    assert one.run(f"ipcrm -m {rows[1][1]}") == f"ipcrm: id {rows[1][1]}: Invalid argument\n"
    assert "root" not in one.run("ipcs")
    assert free_frames(one) == before


def test_the_kit_finds_segments_right_that_are_attached_removed_and_left_alone(machine, loads, gdb, tmp_path):
    one = machine(3, kernel=loads)
    one.send("segments stay &")
    one.wait_for("segments: ready\n")
    said = gdb(loads.elf, ["xv6-shm", "xv6-shm -json", "shrimp-check", "python assert int(gdb.parse_and_eval('$shrimp_status')) == 0",
                    f"xv6-snapshot {tmp_path / 'now.json'}"], target=one.gdb_target)
    listed = re.findall(r"^ *(\d+) +(\w+) +(\d+) +(\d+) +(\d+) +(\S+) +0x\w+ +(.*)$", said, re.M)
    assert [(key, size, nattch, status, len(where.split(", ")) if where != "-" else 0)
            for _, key, size, _, nattch, status, where in listed] == \
        [("0x1234", "5000", "2", "-", 2), ("0x0", "1", "0", "-", 0), ("0x0", "12288", "3", "removed", 3)]
    assert [one[0] for one in listed] == re.findall(r"^0x\w+ +(\d+) +root", one.run("ipcs"), re.M)
    assert len(re.findall(r'"rights": "RW?-?", "pages": [23]', said)) == 5
    snapshot = json.loads((tmp_path / "now.json").read_text())
    users = [[user for user in frame["users"] if user["kind"] != "segment"] for frame in snapshot["frames"]
             if any(user["kind"] == "segment" for user in frame["users"])]
    # Three segments' lists, the two pages that two children read, a page of nobody's, three pages that all three have.
    assert sorted(map(len, users)) == [0, 0, 0, 0, 2, 2, 3, 3, 3] and not snapshot["lost"]


def test_each_test_that_the_table_of_ltp_names_is_there():
    table = [line for line in (ROOT / "docs/shared-memory.md").read_text().splitlines() if line.startswith("| shm")]
    named = {name for line in table for name in re.findall(r"`(shm-[\w-]+)`", line)}
    known = set(re.findall(r'^  \{"(shm-[\w-]+)"', (ROOT / "xv6/user/tests_shm.c").read_text(), re.M))
    assert named <= known and len(named) > 15
    cases = {f"{call}{n:02}" for call, ns in (("shmat", range(1, 5)), ("shmget", range(2, 7)), ("shmctl", range(1, 9)), ("shmdt", (1, 2)))
             for n in ns}
    assert {re.match(r"\| (\w+)", line)[1] for line in table} == cases
    assert all(re.search(r"`|^\| [^|]+\|[^|]+\| no ", line) or "64 bits" in line for line in table)

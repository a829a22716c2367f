"""What people ask of a machine in their own words: why did this fault, who holds the lock, where is this value."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.kernels import variant
from lab.machines.machine import Machine

PROGRAMS = Path(__file__).parent / "programs"


@pytest.fixture(scope="module")
def holding() -> Iterator[Machine]:
    """A machine on which `faulty hold` sleeps; tests may run further programs."""
    with Machine(variant.build("asked", programs=[PROGRAMS / "faulty.c"]), 3) as one:
        one.boot()
        one.send("faulty hold &")
        one.wait_for(r"faulty: holds[^\n]*\n")
        yield one


def data(said: str):
    """The one object that a command printed."""
    [line] = [line for line in said.splitlines() if line.startswith('{"')]
    return json.loads(line)


def test_a_value_a_printout_and_a_process_that_has_not_faulted(holding, session, ask, tmp_path):
    gdb, core, expected = session(holding), tmp_path / "core", tmp_path / "expected"
    gdb.ask(f"monitor dump-guest-memory {core}")
    value, text = (data(gdb.ask(f"xv6-find -json {what}")) for what in ("0x5ca1ab1e0ddba11", '"needle in the heap" 3'))
    assert "0x4010" in [user["va"] for hit in value["hits"] for user in hit["users"]]
    assert (3, "0x4020") in [(user["pid"], user["va"]) for hit in text["hits"] for user in hit["users"]]
    odd = data(gdb.ask('xv6-find -json "eedle in the heap" 3'))
    assert (3, "0x4021") in [(user["pid"], user["va"]) for hit in odd["hits"] for user in hit["users"]]
    assert gdb.ask("xv6-find -text 0x5ca1 3") == gdb.ask("xv6-find 0x5ca1ab1e0ddba11 1") == "not found\n"

    printed = gdb.ask("xv6-vmprint -va 3")
    assert re.match(r"page table 0x[0-9a-f]{16}\n \.\.0x0000000000000000: pte 0x[0-9a-f]{16} pa 0x[0-9a-f]{16}\n", printed)
    expected.write_text("xv6 kernel is booting\n" + printed)
    assert "no difference" in gdb.ask(f"xv6-vmprint 3 -diff {expected}")
    assert data(gdb.ask(f"xv6-vmprint 1 -json -diff {expected}"))["same"] is False
    assert data(gdb.ask("xv6-vmprint kernel -json"))["complete"]

    assert "pid 1 (init): no fault" in gdb.ask("xv6-fault 1")
    assert re.match(r"xv6-fault: no process runs on hart \d, and nothing has faulted\n$", gdb.ask("xv6-fault"))
    said = ask(core, "xv6-find -json 0x5ca1ab1e0ddba11", "xv6-fault 1", "xv6-vmprint -va 3", elf=holding.kernel.elf)
    assert data(said) == value and printed in said and "pid 1 (init): no fault" in said


def test_what_a_line_of_the_shell_allocates_and_what_stays(holding, session):
    gdb = session(holding)
    found = data(gdb.ask("xv6-allocs -json ls"))
    by = {one["function"]: (one["allocated"], one["freed"]) for one in found["functions"]}
    assert found["allocated"] == sum(n for n, _ in by.values()) > 20 and {"allocproc", "mappages"} & set(by), by
    assert found["freed"] == sum(n for _, n in by.values()) and found["stayed"] == [], found
    said = gdb.ask("xv6-allocs 'echo a line that is longer than what the UART keeps of it'")
    assert re.match(r"echo a line .* of it: \d+ frames allocated", said), said
    assert "a line that is longer than what the UART keeps of it\n" in holding.console
    holding.send("ls")
    assert data(gdb.ask("xv6-allocs -json -by-hand ls"))["allocated"] == found["allocated"]
    assert "RUNNING" in gdb.ask("xv6-ps") and "No breakpoints" in gdb.ask("info breakpoints")


CASES = {   # how: cause, va, why, broken, level, right, near
    "null": (15, "0x10", "right", None, 0, "W", "null"),
    "heap": (15, "0x5008", "walk", "not-valid", 0, None, "above-heap"),
    "jump": (12, "0x3000000000", "walk", "not-valid", 2, None, "between"),
    "freed": (13, "0x101010101010101", "walk", "no-address", None, None, "filling"),
    "kernel": (13, "0x80000000", "walk", "not-valid", 2, None, "ram"),
    "stack": (15, "0x2f80", "right", None, 0, "U", "region"),
}


def told(found: dict) -> list:
    return [*(found[key] for key in ("cause", "va", "why", "broken", "level", "right")), found["near"]["kind"]]


def test_a_fault_is_explained_live_and_of_a_core(holding, session, ask, tmp_path):
    gdb, core = session(holding), tmp_path / "core"
    for how, wanted in CASES.items():
        if how != next(iter(CASES)):
            gdb.ask("finish")       # out of there: who stands on a breakpoint that is set anew may meet it again
        gdb.stop_in("setkilled", f"faulty {how}")
        found, said = data(gdb.ask("xv6-fault -json")), gdb.ask("xv6-fault")
        assert told(found) == list(wanted) and (found["mode"], found["known_by"]) == ("U", "scause"), (how, found)
        assert f"scause {found['cause']:#x}" in said and said.count("  walk ") == len(found["walk"]["steps"])
        assert re.search(r"  from +0x\w+ in main, user/faulty\.c:\d+" if how == "jump" else r"user/faulty\.c:\d+", said), said
    gdb.ask(f"monitor dump-guest-memory {core}")
    found = data(ask(core, "xv6-fault -json", elf=holding.kernel.elf))
    assert told(found) == list(CASES["stack"]) and found["known_by"] == "instruction"
    stacks = gdb.ask("xv6-harts -bt")
    assert re.search(r"^faulty > .* > uservec > usertrap > .*setkilled  <- hart \d pid \d+ \(faulty\)", stacks, re.M), stacks


def test_a_fault_of_the_kernel_is_that_of_what_it_interrupted(holding, session, ask, tmp_path):
    gdb, core = session(holding), tmp_path / "core"
    gdb.stop_in("*strlen", "ls")
    gdb.ask("set var $a0 = 0x40")
    gdb.ask("tbreak panic")
    gdb.ask("continue")
    found = data(gdb.ask("xv6-fault -json"))
    gdb.ask(f"monitor dump-guest-memory {core}")
    for one in (found, data(ask(core, "xv6-fault -json", elf=holding.kernel.elf))):
        assert told(one) == [13, "0x40", "walk", "not-valid", 1, None, "null"]
        assert (one["mode"], one["place"]["function"], one["instruction"]["at"]) == ("S", "strlen", "0x40")


def test_locks_have_holders_since_calls_waiters_and_deadlocks(holding, machine, session, ask, tmp_path, monkeypatch):
    """Two harts wait for each other because we say of two locks that the other one has them, and put the one into acquire."""
    monkeypatch.setenv("SHRIMPY_RUN", str(tmp_path))
    gdb, core, one = session(holding), tmp_path / "core", machine(3)
    note = {"pid": os.getpid(), "started": "", "kernel": str(one.kernel.elf), "gdb": one.gdb_target, "qmp": "", "ram": ""}
    (tmp_path / f"{os.getuid()}-1.json").write_text(json.dumps(note))
    said = gdb.ask("shrimp-attach")         # from the machine before, which has another kernel
    assert f"attached to {one.gdb_target}, which runs {one.kernel.elf}\n" in said, said
    gdb.machine = one
    gdb.stop_in("readi", "cat README")
    held = {lock["label"]: lock for lock in data(gdb.ask("xv6-locks -json"))["locks"]}
    assert held["inode"]["kind"] == "sleep" and held["inode"]["function"] == "loadpath" and held["inode"]["pid"], held
    gdb.ask("tbreak kalloc")
    gdb.ask("continue")
    assert re.match(r"(.*\n)*sh > .* > kalloc  <- hart \d pid \d+ \(", gdb.ask("xv6-harts -bt"))
    first = data(gdb.ask("xv6-harts -json"))["stop"]
    second = next(hart for hart in data(gdb.ask("xv6-harts -json"))["harts"] if hart["hart"] != first["hart"])
    gdb.ask("tbreak acquire if lk == &kmem.lock")
    gdb.ask("continue")
    gdb.ask(f"set var kmem.lock.cpu = &cpus[{second['hart']}], kmem.lock.locked = 1")
    gdb.ask(f"set var tickslock.cpu = &cpus[{first['hart']}], tickslock.locked = 1")
    gdb.ask(f"thread {second['hart'] + 1}")
    gdb.ask("set var $a0 = (unsigned long)&tickslock")
    gdb.ask("set var $pc = (unsigned long)acquire")
    gdb.ask(f"monitor dump-guest-memory {core}")
    wanted = {(first["hart"], first["pid"], "kmem.lock"), (second["hart"], second["pid"], "tickslock")}
    for said in (gdb.ask("xv6-locks -json"), ask(core, "xv6-locks -json", elf=one.kernel.elf)):
        [cycle] = data(said)["deadlocks"]
        assert {(turn["hart"], turn["pid"], turn["waits_for"]) for turn in cycle} == wanted
    said = gdb.ask("xv6-locks")
    assert said.startswith("deadlock: hart ") and re.search(rf"kmem\.lock .* hart {first['hart']}, pid {first['pid']} ", said), said

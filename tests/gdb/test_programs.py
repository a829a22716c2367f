"""User programs: their symbols, and breakpoints in one of them."""

from __future__ import annotations

import json
import re


def test_user_brings_one_programs_symbols_and_keeps_the_kernels(family, ask):
    said = ask(family, "xv6-user 2", "info line main", "xv6-user 3", "python print([o.filename for o in gdb.objfiles()])",
               "print &kalloc", "print (char *)0", "xv6-ps")
    assert "_sh for pid 2 (sh)" in said and "_shrimpdemo for pid 3 (shrimpdemo)" in said
    files = re.search(r"^\[.*kernel.*\]$", said, re.M).group()
    assert "_shrimpdemo" in files and "_sh'" not in files
    assert "<kalloc>" in said and "SLEEPING" in said
    assert "= 0x0\n" in said and "<start>" not in said


def test_a_function_that_is_not_there_loads_nothing(family, ask):
    said = ask(family, "xv6-break nosuch 3", "python print([o.filename for o in gdb.objfiles()])")
    assert "shrimpdemo has no function 'nosuch'" in said and "_shrimpdemo" not in said


def test_catch_stops_at_the_first_user_instruction(machine, session):
    one = machine(3)
    gdb = session(one)
    gdb.ask("xv6-catch wc")
    one.send("cat README | ls | wc")
    assert "start" in gdb.ask("continue")
    stop = json.loads(re.search(r'\{"stop".*', gdb.ask("xv6-harts -json")).group())["stop"]
    assert (stop["privilege"], stop["pc"]) == ("U", "0x0")
    assert re.search(rf"^ +{stop['pid']} .* wc ", gdb.ask("xv6-ps"), re.M)
    assert "No breakpoints" in gdb.ask("info breakpoints")
    assert re.findall(r"^#\d", gdb.ask("backtrace"), re.M) == ["#0"]
    gdb.ask("break main if $priv == 0")
    gdb.ask("continue")
    assert re.findall(r"^#\d.* (\w+) \(", gdb.ask("backtrace"), re.M) == ["main", "start"]


def test_a_breakpoint_is_one_processes(machine, session):
    one = machine(3)
    gdb = session(one)
    gdb.ask("xv6-catch -keep echo")
    one.send("echo one; echo two; echo three")
    pids = []
    for _ in range(2):
        gdb.ask("continue")
        pids.append(json.loads(re.search(r'\{"stop".*', gdb.ask("xv6-harts -json")).group())["stop"]["pid"])
    assert pids[0] != pids[1]
    gdb.ask("delete")
    said = gdb.ask(f"xv6-break main {pids[1]}")
    assert f"in main of pid {pids[1]} (echo)" in said
    assert "main" in gdb.ask("continue")
    assert f"pid {pids[1]} (echo)" in gdb.ask("xv6-harts")
    gdb.ask("delete")
    gdb.tell("continue")
    one.wait_for("three")

"""User programs: their symbols, and breakpoints in one of them."""

from __future__ import annotations

import json
import re

OBJFILES = "python print([o.filename for o in gdb.objfiles()])"
_LONG_S = 100.0     # for what GDB stops again and again, which counts as the machine's own time


def test_user_brings_a_programs_symbols_and_keeps_all_others(family, ask):
    said = ask(family, "xv6-user 2", "xv6-user 3", OBJFILES, "print &kalloc", "print (char *)0", "xv6-ps",
               "info line *0x200", "xv6-user 2", "info line *0x200", "xv6-user 2", OBJFILES)
    assert "_sh for pid 2 (sh)" in said and "_shrimpdemo for pid 3 (shrimpdemo)" in said
    files = re.findall(r"^\[.*kernel.*\]$", said, re.M)
    assert [[name for name in ("_shrimpdemo'", "_sh'") if name in one] for one in files] == [["_shrimpdemo'", "_sh'"]] * 2
    assert files[0].index("_shrimpdemo'") < files[0].index("_sh'") and files[1].index("_sh'") < files[1].index("_shrimpdemo'")
    assert "<kalloc>" in said and "SLEEPING" in said
    assert "= 0x0\n" in said and "<start>" not in said
    lines = re.findall(r"^Line \d+ of \"user/(\w+)\.", said, re.M)
    assert lines == ["shrimpdemo", "sh"], said


def where(gdb) -> tuple[str, int, list[str]]:
    """(the program whose code GDB sees at pc, the pid, the functions of `bt`)"""
    said = gdb.ask("info symbol $pc")
    stop = json.loads(re.search(r'\{"stop".*', gdb.ask("xv6-harts -json")).group())["stop"]
    return (re.search(r"of (\S+)$", said, re.M)[1].rsplit("/", 1)[1], stop["pid"],
            re.findall(r"^#\d+ +(?:0x\w+ in )?(\w+) \(", gdb.ask("backtrace"), re.M))


def test_a_breakpoint_survives_what_is_loaded_after_it_and_each_stop_has_its_own_programs_names(machine, session):
    """sh, ls and init all begin at 0: what is run() of one is in the middle of something of another."""
    one = machine(3)
    gdb = session(one)
    assert "in run of pid 2 (sh)" in gdb.ask("xv6-break run 2")
    gdb.ask("xv6-catch -keep ls")
    gdb.ask("break user/ls.c:list")     # a person's own is for whoever has an instruction there
    gdb.ask("disable 3")
    gdb.ask("xv6-user 1")
    for _ in range(2):
        one.send("ls")
        told = gdb.ask("continue")
        assert "Breakpoint 1, run (" in told and "user/sh.c" in told and "init.c" not in told, told
        assert where(gdb) == ("_sh", 2, ["run", "main", "start"])
        gdb.ask("xv6-user 1")
        told = gdb.ask("continue")
        assert "Breakpoint 2, start () at user/start.S" in told, told
        program, pid, functions = where(gdb)
        assert (program, functions) == ("_ls", ["start"]) and pid > 2
        listed = gdb.ask("info breakpoints")
        assert "PENDING" not in listed and "in list at user/ls.c" in listed and "silent" not in listed, listed
        gdb.tell("continue")
        one.wait_for(r"README.*\n(.*\n)*\$ $", _LONG_S)
        gdb.interrupt()
        gdb.until("SIGINT")
        gdb.until("(gdb) ")


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

"""The kit gives the same answers wherever the machine is stopped, and leaves
GDB as it found it."""

from __future__ import annotations

import json
import re

import pytest

from lab.machines.machine import Machine

AT = "python print('@' + str(gdb.selected_thread().num), gdb.selected_frame().level(), gdb.selected_frame().name())"


def physical_mode(said: str) -> list[str]:
    return re.findall(r'^received: "(.*)"$', said, re.M)


def harts(said: str) -> dict:
    return json.loads(next(line for line in said.splitlines() if line.startswith('{"stop"')))


def judged(gdb) -> None:
    said = gdb.ask("shrimp-check")
    assert re.search(r"^PASS: \d+ verdicts", said, re.M), said
    assert "\n  1       -  " in gdb.ask("xv6-ps")


def test_user_mode_trampoline_and_kernel(machine, session):
    one = machine(3)
    gdb = session(one)
    gdb.ask("xv6-catch ls")
    one.send("ls")
    gdb.ask("continue")
    stop = harts(gdb.ask("xv6-harts -json"))["stop"]
    assert stop["privilege"] == "U" and stop["pc"] == "0x0", stop
    pid = stop["pid"]
    judged(gdb)
    assert f"pid {pid} (ls)" in gdb.ask("xv6-vmmap")
    assert "Cannot access memory" in gdb.ask("x/1gx &proc"), "user mode can read the kernel: the stub is not restored"
    assert f"= {pid}\n" in gdb.ask(f"print $proc({pid}).pid")
    assert f"= pid {pid} 'ls' RUNNING" in gdb.ask(f"print $proc({pid})")

    # The first system call: ecall lands in the trampoline, satp still the user's.
    for _ in range(200):
        if "ecall" in gdb.ask("x/i $pc"):
            break
        gdb.ask("stepi")
    gdb.ask("stepi")
    stop = harts(gdb.ask("xv6-harts -json"))["stop"]
    assert stop["privilege"] == "S" and stop["pid"] == pid and int(stop["pc"], 16) >> 12 == 0x3ffffff, stop
    assert stop["function"] in ("uservec", "trampoline"), stop
    judged(gdb)

    gdb.ask("tbreak syscall")
    gdb.ask("continue")
    stop = harts(gdb.ask("xv6-harts -json"))["stop"]
    assert stop["privilege"] == "S" and stop["function"] == "syscall" and stop["file"].endswith("syscall.c")
    judged(gdb)


def test_machine_mode_before_there_is_anything(machine, session):
    one = machine(1, boot=False, paused=True)
    gdb = session(one)
    stop = harts(gdb.ask("xv6-harts -json"))["stop"]
    assert stop["privilege"] == "M" and stop["pid"] is None
    said = gdb.ask("shrimp-check")
    assert "NOT JUDGED" in said
    assert "= 2\n" in gdb.ask("print $shrimp_status")
    assert "expected" in gdb.ask("xv6-vmmap") or "no process" in gdb.ask("xv6-vmmap")
    gdb.ask("break main")
    gdb.ask("continue")
    assert harts(gdb.ask("xv6-harts -json"))["stop"]["function"] == "main"
    assert "NOT JUDGED" in gdb.ask("shrimp-check")


def test_a_panicked_kernel_is_looked_at_like_a_living_one(machine, session):
    gdb = session(machine(2))
    gdb.stop_in("fork", "ls")
    gdb.ask("set var $pc = panic")
    gdb.ask("set var $a0 = (unsigned long)proc[0].name")
    gdb.ask("tbreak uartputc_sync")
    gdb.ask("continue")
    gdb.ask("finish")
    assert '"panicked": true' in gdb.ask("xv6-harts -json")
    assert "panicked" in gdb.ask("xv6-harts")
    assert "FAIL no-panic" in gdb.ask("shrimp-check")
    assert "\n  1       -  " in gdb.ask("xv6-ps")


def test_thread_frame_and_list_position_stay(machine, session):
    gdb = session(machine(3))
    gdb.stop_in("allocproc", "ls")
    gdb.ask("up")
    gdb.ask("list uart.c:10,12")
    before = gdb.ask(AT)
    assert " 1 " in before
    for command in ("shrimp-check", "xv6-ps", "xv6-walk fry 1", "xv6-harts", "xv6-vmmap 99", "print $phys(1, 0)"):
        gdb.ask(command)
        assert gdb.ask(AT) == before, command
    assert gdb.ask("list").startswith("13\t")
    gdb.ask("thread 1")
    gdb.ask("xv6-harts")
    assert gdb.ask(AT).startswith("@1 0 ")


def test_remote_and_ram_file_and_core_agree(family, ask, tmp_path):
    core = tmp_path / "core"
    ask(family, f"xv6-snapshot {tmp_path}/file.json", "set shrimpy reader remote",
        f"xv6-snapshot {tmp_path}/remote.json", f"monitor dump-guest-memory {core}")
    ask(core, f"xv6-snapshot {tmp_path}/core.json", elf=family.kernel.elf)
    file, remote, cored = (json.loads((tmp_path / f"{name}.json").read_text())
                           for name in ("file", "remote", "core"))
    assert [s.pop("source") for s in (file, remote, cored)] == ["ram-file", "remote", "core"]
    assert file == remote
    for command in ("shrimp-step", "xv6-catch ls", "xv6-break main 3"):
        assert f"{command.split()[0]}: a core does not run" in ask(core, command, elf=family.kernel.elf)
    for key in ("layout", "processes", "kernel_table", "free", "counts", "frames", "lost"):
        assert file[key] == cored[key], key
    assert [h["pid"] for h in file["harts"]] == [h["pid"] for h in cored["harts"]]
    assert [h["pc"] for h in file["harts"]] == [h["pc"] for h in cored["harts"]]


def test_the_stub_is_never_left_in_physical_mode(family, ask):
    probe = "maintenance packet qqemu.PhyMemMode"
    said = ask(family, "set shrimpy reader remote", "shrimp-check", probe, "xv6-walk nosuch 1", probe,
               "xv6-walk fry 3", probe,
               "python\nfrom shrimpy.live.session import session\ntry:\n  with session.memory() as r: r.read(0, 8)\n"
               "except Exception as e: print('refused', e)", probe,
               "python\ntry:\n  with session.memory() as r: r.page(0x80000000); raise KeyboardInterrupt\n"
               "except KeyboardInterrupt: print('interrupted')", probe)
    assert "refused [0x0, 0x8) is outside RAM" in said and "interrupted" in said
    assert physical_mode(said) == ["0"] * 5


def test_a_mode_that_somebody_left_on_is_put_right(family, ask):
    said = ask(family, "maintenance packet Qqemu.PhyMemMode:1", "xv6-ps", "maintenance packet qqemu.PhyMemMode")
    assert physical_mode(said)[-1] == "0"


def test_ctrl_c_ends_a_command_and_restores_the_stub(family, session):
    gdb = session(family)
    gdb.ask("set shrimpy reader remote")
    gdb.tell("python\nfrom shrimpy.live.session import session\nwith session.memory() as r:\n"
             "  print('rea' + 'ding', flush=True)\n  while True: r._chunk(0x80000000, 64)\nend")
    gdb.until("reading")
    gdb.interrupt()
    said = gdb.ask("maintenance packet qqemu.PhyMemMode")
    assert physical_mode(said) == ["0"], said


def test_reads_are_whole_packets_and_counted(family, ask):
    said = ask(family, "set shrimpy reader remote",
               "python\nfrom shrimpy.live.session import session\nwith session.memory() as r: r.page(0x80000000)\n"
               "print('page', r.packets)",
               "python\nfrom shrimpy import snapshot\nwith session.memory() as r:\n"
               "  s = snapshot.take(r, session.debuginfo()[0], walk_free=False)\n"
               "print('tables', sum(len(p.tables) for p in s.processes) + len(s.kernel_table.tables), r.packets)")
    # The mode: asked, set, unset, asked again. A page: two packets.
    assert "page 6\n" in said
    tables, packets = map(int, re.search(r"tables (\d+) (\d+)", said).groups())
    # Beside the tables: proc[], segments, the counts, lists, stacks and what a panic would have left, some 111 packets.
    assert packets <= 2 * tables + 125, said


def test_a_ram_file_of_another_machine_is_not_believed(machine, family, ask):
    other = machine(1)
    said = ask(family, "python from shrimpy.memory import remote",
               f"python remote.ram_file = lambda stub: {str(other.ram_file)!r}", "shrimpy")
    assert "QEMU's gdb stub" in said
    assert "the file that QEMU shares" in ask(family, "shrimpy")


@pytest.mark.parametrize("command", ["xv6-ps", "shrimp-check", "xv6-walk fry 1", "shrimp-step"])
def test_without_a_machine_it_says_what_to_do(kernel, ask, command, tmp_path):
    from lab.machines import debugger
    said = debugger.batch(kernel.elf, [command])
    assert said.status == 1
    assert said.err.count("\n") <= 3 and "make gdb" in said.err
    assert "no machine: expected a QEMU or a core" in said.err
    said = debugger.batch("/bin/true", [command])
    assert "expected the debugging symbols of an xv6 kernel" in said.err or "no machine" in said.err


@pytest.mark.parametrize("before, seconds", [((), 30), (("set remotetimeout 5",), 5)])
def test_the_kit_has_gdb_wait_for_a_machine_on_a_busy_host(kernel, before, seconds):
    from lab.machines import debugger
    assert debugger.batch(kernel.elf, ["output $_gdb_setting(\"remotetimeout\")"], before=before).out.endswith(f"{seconds}")


def test_while_it_runs_it_says_to_stop_it(machine: Machine, session):
    gdb = session(machine(1))
    gdb.ask("continue &")
    said = gdb.ask("xv6-ps")
    assert "the machine is running; stop it first" in said
    gdb.ask("interrupt")


def test_a_users_region_is_not_looked_for_in_the_kernels_table(machine, session):
    gdb = session(machine(1))
    assert "privilege" in gdb.ask("xv6-harts -json")
    for region in ("FRY", "fry", "stack", "SHRIMP+8"):
        assert "no process runs on hart 0; give a PID: 1, 2" in gdb.ask(f"xv6-walk {region}"), region
    assert "the kernel's table" in gdb.ask("xv6-walk 0x80000000")


def test_without_an_image_the_lists_are_walked_by_packets(family, ask, tmp_path):
    ask(family, f"xv6-snapshot {tmp_path}/file.json", "set shrimpy reader remote",
        "python\nfrom shrimpy import remote\nremote._take_image = lambda *_: None",
        f"xv6-snapshot {tmp_path}/packets.json")
    file, packets = (json.loads((tmp_path / f"{name}.json").read_text()) for name in ("file", "packets"))
    assert packets.pop("source") == "remote" and file.pop("source") == "ram-file"
    assert file == packets


@pytest.mark.parametrize("read_first", ["spinlock.c", "sched.c", "uart.c"])
def test_variables_are_found_whatever_file_gdb_has_read_first(kernel, gdb, read_first):
    """The file at the stop may only declare what another one defines."""
    said = gdb(kernel.elf, [
        f"list {read_first}:1,2",
        "python from shrimpy.kernel import gdbinfo; info, _ = gdbinfo.collect(gdbinfo.kernel_objfile())",
        "python found = [info.symbol(name) for name in ('cpus', 'proc', 'wait_lock', 'initproc')]",
        "python print('@@', all(found), found[0].type.count, found[0].type.element.name, found[1].type.count)"])
    assert "@@ True 8 cpu 64" in said

"""`bt` through a trap: into the user program, to its first function, and no further."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from lab import tools
from lab.kernels import variant

BUSY = Path(__file__).parent / "programs/busy.c"
WITH_FRAMES = re.compile(r"^#(\d+) +(?:0x\w+ in )?(\S+) \(", re.M)


def functions(said: str) -> list[str]:
    """The functions of a `bt`, innermost first; what is not one has ?? for its name."""
    if said.lstrip().startswith("#0  machinevec"):   # GDB reads physical memory there: what is on a kernel stack is no argument it can print
        said = re.sub(r"<error( reading variable)?: Cannot access memory at address 0x\w+>", "", said)
    assert "Backtrace stopped" not in said and "Python" not in said and "error" not in said.lower(), said
    return [name for _, name in WITH_FRAMES.findall(said)]


@pytest.fixture(params=["auto", "remote"])
def reader(request):
    return f"set shrimpy reader {request.param}"


def test_of_a_system_call_goes_on_into_the_program(machine, session, reader):
    one = machine(1)
    gdb = session(one)
    gdb.ask(reader)
    gdb.stop_in("fork", "ls")
    wanted = ["fork", "sys_fork", "syscall", "usertrap", "uservec", "fork", "run", "main", "start"]
    assert functions(gdb.ask("bt")) == wanted
    gdb.ask("xv6-ps")
    assert functions(gdb.ask("bt")) == wanted, "what a command reads changes nothing"
    gdb.ask("xv6-user 1")           # another program's symbols are first now
    assert functions(gdb.ask("bt")) == wanted
    gdb.ask("xv6-user 2")
    said = gdb.ask("bt")
    found = functions(said)         # calls that the compiler made part of their caller too
    assert found[:6] == wanted[:6] and "run" in found[6:] and found[-2:] == wanted[-2:], said
    assert re.search(r"run \(.*\) at user/sh\.c:\d+", said), said


def test_is_the_same_whichever_programs_symbols_gdb_finds_at_its_addresses(machine, session):
    """All begin at 0, and where another has inlined a function, GDB sees a frame of it among this program's."""
    one = machine(1)
    gdb = session(one)
    gdb.stop_in("fork", "ls")
    wanted = functions(gdb.ask("bt"))
    others = sorted(one.kernel.elf.parents[1].glob("user/_*"))
    for other in others:
        gdb.ask(f'add-symbol-file "{other}" -readnow')
        assert other.name == "_sh" or functions(gdb.ask("bt")) == wanted, other.name
        gdb.ask(f'remove-symbol-file "{other}"')
    assert len(others) > 20


def test_of_a_trap_before_and_after_its_pc_is_stored(machine, session):
    """At its first instruction the trapframe still has the pc of the trap before."""
    one = machine(1)
    gdb = session(one)
    gdb.ask("xv6-catch echo")
    one.send("echo hello")
    gdb.ask("continue")
    gdb.ask("break *usertrap")
    gdb.ask("continue")
    first = functions(gdb.ask("bt"))
    gdb.ask("delete")
    gdb.ask("tbreak syscall")
    gdb.ask("continue")
    later = functions(gdb.ask("bt"))
    assert later[0] == "syscall" and first == later[1:] and first[:2] == ["usertrap", "uservec"], (first, later)
    assert first[-1] == "start" and len(first) >= 4


@pytest.mark.parametrize("read_before", [False, True])
def test_on_the_trampoline(machine, session, read_before):
    """Both ways through it. On the program's page table the program is known once a command has found the RAM file."""
    one = machine(1)
    gdb = session(one)
    if read_before:
        gdb.ask("xv6-ps")
    gdb.ask("break *TRAMPOLINE")
    one.send("ls")
    gdb.ask("continue")
    said = functions(gdb.ask("bt"))
    assert said[0] == "uservec" and "??" not in said and (said[-1] == "start") == read_before, said
    gdb.ask("delete")
    gdb.ask("break *(TRAMPOLINE + (long)userret - (long)trampoline)")
    gdb.ask("continue")
    said = functions(gdb.ask("bt"))
    assert said[0] == "userret" and said[-1] == "start", said
    gdb.ask("delete")
    for _ in range(5):
        gdb.ask("stepi")
        said = functions(gdb.ask("bt"))
        assert said[0] == "userret" and len(said) > 1 and "??" not in said, said


def test_in_the_kernel_it_ends_without_a_question(machine, session):
    one = machine(1)
    gdb = session(one)
    gdb.stop_in("forkret", "ls")
    assert functions(gdb.ask("bt")) == ["forkret"]
    gdb.stop_in("enteruser", "ls")
    assert functions(gdb.ask("bt")) == ["enteruser", "forkret"]
    gdb.stop_in("kerneltrap", "")
    said = functions(gdb.ask("bt"))
    assert said[:2] == ["kerneltrap", "kernelvec"] and len(said) > 2 and "??" not in said, said
    places = re.findall(r"^ +(0x\w+) <", gdb.ask("disassemble kernelvec").replace("=>", "  "), re.M)
    assert len(places) > 30
    for place in places:            # before it has saved, after it has restored
        gdb.ask(f"tbreak *{place}")
        gdb.ask("continue")
        said = functions(gdb.ask("bt"))
        assert said[0] == "kernelvec" and said[-1] in ("main", "start") and "??" not in said, (place, said)


@pytest.mark.parametrize("read_before", [False, True])
def test_page_tables_among_the_arguments_are_printed_without_a_packet(machine, session, reader, read_before):
    """Each packet of ours makes GDB 13 forget the frames that it is in the middle of printing: an internal error of GDB."""
    one = machine(1)
    gdb = session(one)
    gdb.ask(reader)
    if read_before:
        gdb.ask("xv6-ps")
    gdb.stop_in("walk", "ls")
    for command in ("bt", "frame", "info frame", "bt full"):
        said = gdb.ask(command)
        assert command == "info frame" or re.search(r"=0x\w+ \(\d+ valid, \d+ invalid\)", said), said
    assert functions(gdb.ask("bt"))[0] == "walk"


def test_at_any_moment_it_ends_and_has_a_name_for_each(machine, session):
    """Wherever a busy machine stands."""
    one = machine(3)
    gdb = session(one)
    gdb.ask("xv6-ps")
    one.send("forktest & cat README | cat | wc & stressfs")
    for _ in range(4):
        gdb.resume()
        gdb.interrupt()
        gdb.until("SIGINT")
        for said in re.split(r"(?m)^Thread \d+ .*:$", gdb.ask("thread apply all bt"))[1:]:
            found = functions(said)
            in_user_mode = found[:1] == ["??"]      # whose program's symbols are not loaded
            assert found and len(found) < 40 and (in_user_mode or "??" not in found), said


@pytest.mark.parametrize("optimised", [pytest.param("-O0", marks=pytest.mark.soak), "-O2"])
def test_of_a_kernel_that_is_compiled_in_another_way(machine, session, optimised):
    one = machine(1, kernel=variant.build(f"opt{optimised}", variables=[f"OPT={optimised}"]))
    gdb = session(one)
    gdb.stop_in("fork", "ls")
    said = functions(gdb.ask("bt"))
    assert said[said.index("usertrap"):] == ["usertrap", "uservec", "fork", "run", "main", "start"], said


def test_of_a_kernel_whose_file_does_not_say_how_to_unwind(machine, session, kernel, tmp_path):
    """As GCC 14 for Linux and a linker script that drops .eh_frame make it."""
    elf = tmp_path / "xv6/kernel/kernel"
    shutil.copytree(kernel.elf.parents[1], tmp_path / "xv6")
    subprocess.run([tools.cross_prefix() + "objcopy", "--remove-section", ".debug_frame", elf], check=True)
    one = machine(1, kernel=dataclasses.replace(kernel, elf=elf))
    gdb = session(one)
    gdb.stop_in("kalloc", "ls")
    said = functions(gdb.ask("bt"))
    assert said[:1] == ["kalloc"] and said[said.index("fork"):] == \
        ["fork", "sys_fork", "syscall", "usertrap", "uservec", "fork", "run", "main", "start"], said
    gdb.ask("finish")
    assert functions(gdb.ask("bt")) == said[1:]


def test_of_a_trap_to_machine_mode_goes_on_in_the_program(machine, session):
    """The vector has no stack, and ra is still that of what it interrupted."""
    one = machine(1, kernel=variant.build("busy", programs=[BUSY]))
    gdb = session(one)
    gdb.ask("xv6-ps")
    one.send("busy")
    gdb.ask("tbreak *machinevec if $mepc < 0x80000000")
    gdb.ask("continue")
    found = functions(gdb.ask("bt"))
    assert found[0] == "machinevec" and len(found) > 1 and "??" not in found, found
    assert found[-1] in ("main", "start"), found       # of a main whose code jumps, no caller is known


def test_of_a_trap_to_machine_mode_goes_on_in_the_kernel(machine, session):
    """At each place, as it was before the trap. The registers are written as the hart writes them (Privileged 3.1.6.1, 3.1.14),
    so that the trap comes exactly there, and then back, so that the hart goes on."""
    one = machine(1)
    gdb = session(one)
    gdb.ask("xv6-ps")
    gdb.ask("set print frame-arguments none")       # in machine mode GDB cannot read the strings that they point to
    for place in ("*kernelvec", "*walk", "walk", "mappages", "*kfree", "kfree", "*uvmcopy", "bread", "syscall"):
        gdb.ask(f"tbreak {place}")
        one.send("ls")
        gdb.ask("continue")
        before = functions(gdb.ask("bt"))
        for one_register in ("$was_pc = $pc", "$was_priv = $priv", "$mepc = $pc", "$priv = 3", "$pc = (long)machinevec"):
            assert gdb.ask(f"set {one_register}") == "", one_register
        assert functions(gdb.ask("bt")) == ["machinevec", *before], place
        assert len(before) > 2, before
        gdb.ask("frame 0")
        for one_register in ("$pc = $was_pc", "$priv = $was_priv"):
            assert gdb.ask(f"set {one_register}") == "", one_register
        assert functions(gdb.ask("bt")) == before, place

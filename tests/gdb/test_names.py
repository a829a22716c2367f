"""FRY and the like in GDB's own expressions, from the first moment and wherever the machine stands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

import pytest

from lab import tools
from lab.machines import debugger
from lab.machines.machine import Machine

NAMES = {"FRY": 0x3fffffd000, "SHRIMP": 0x3fffffc000, "TRAPFRAME": 0x3fffffe000, "TRAMPOLINE": 0x3ffffff000,
         "MAXVA": 1 << 38, "KERNBASE": 0x80000000, "PHYSTOP": 0x80000000 + (int(os.environ["SHRIMPY_MEM"]) << 20)}
ASKED = [f"print/x {mark}{name}" for name in NAMES for mark in ("", "$")]
RIGHT = [f"{at:#x}" for at in NAMES.values() for _ in range(2)]


def values(said: str) -> list[str]:
    return re.findall(r"^\$\d+ = (.*)$", said, re.M)


def test_before_there_is_a_machine(kernel):
    assert values(debugger.checked(kernel.elf, ASKED)) == RIGHT


def test_before_its_first_instruction_and_in_a_file_without_the_header(kernel):
    with Machine(kernel, 1, paused=True) as one:
        assert values(debugger.checked(kernel.elf, ASKED, target=one.gdb_target)) == RIGHT
    with Machine(kernel, 1, paused=True) as one:
        said = debugger.checked(kernel.elf, ["tbreak memset", "continue", *ASKED, "break memmove if $a0 == FRY"],
                                target=one.gdb_target)
    assert values(said) == RIGHT


def test_in_user_code_with_a_programs_symbols_and_without(machine, session):
    one = machine(1)
    gdb = session(one)
    gdb.ask("xv6-catch echo")
    one.send("echo hello")
    gdb.ask("continue")
    assert [gdb.ask("print/x FRY").split()[-1], gdb.ask("print/x $SHRIMP").split()[-1]] == ["0x3fffffd000", "0x3fffffc000"]
    gdb.ask("python [gdb.execute('remove-symbol-file -a 0') for o in gdb.objfiles() if o.filename.endswith('_echo')]")
    assert gdb.ask("print/x FRY").split()[-1] == "0x3fffffd000"


def test_loaded_before_the_kernel_and_after_another(kernel, tmp_path):
    """The names follow the kernel that is loaded."""
    shutil.copytree(kernel.elf.parent, tmp_path / "kernel", ignore=shutil.ignore_patterns("*.[oSc]"))
    other = tmp_path / "kernel/kernel"
    subprocess.run([tools.cross_prefix() + "objcopy", "--strip-debug", other], check=True)
    said = debugger.checked("", [f"file {kernel.elf}", *ASKED[:2], "file", "print $FRY", f"file {other}", "print $FRY",
                                 f"file {kernel.elf}", *ASKED[:2]])
    # Without macros the headers say it, which lie beside that kernel.
    assert values(said)[:3] + values(said)[4:] == [*RIGHT[:2], "void", *RIGHT[:2]]
    assert int(values(said)[3], 0) == int(RIGHT[0], 0)


def test_a_parameter_and_a_persons_own_macro_come_before_all(kernel):
    said = debugger.checked(kernel.elf, [
        "set shrimpy fry 0x3fffff0000", *ASKED[:2], "set shrimpy fry auto", *ASKED[:2],
        "macro define FRY 5", "set shrimpy fry 0x3fffff0000", *ASKED[:2], f"source {debugger.KIT}", *ASKED[:2],
        "macro undef FRY", "set shrimpy fry auto", *ASKED[:2]])
    assert values(said) == ["0x3fffff0000"] * 2 + RIGHT[:2] + ["0x5", "0x3fffff0000", "0x5", RIGHT[0]] + RIGHT[:2]


@pytest.mark.parametrize("declared", ["enum { FRY = 7 };", "unsigned long FRY = 7;"])
def test_a_kernels_own_symbol_is_not_hidden(tmp_path, declared, kernel):
    """A macro would stand for a variable or an enumerator of the same name, which a person means."""
    source = tmp_path / "kernel.c"
    source.write_text(declared + "struct proc { int pid; } proc[4];\nvoid *kalloc(void) { return (void *)FRY; }\n")
    subprocess.run([tools.cross_prefix() + "gcc", "-g", "-nostdlib", "-static", "-mcmodel=medany", "-Wl,-Ttext=0x80000000",
                    "-Wl,-ekalloc", "-o", tmp_path / "kernel", source], check=True)
    assert values(debugger.checked(tmp_path / "kernel", ["set shrimpy fry 0x3fffffd000", "print/x FRY", "print/x $FRY"])) \
        == ["0x7", "0x3fffffd000"]

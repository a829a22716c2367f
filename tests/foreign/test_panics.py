"""Kernels whose panic is called otherwise, prints otherwise, or says nothing: seen at once, and nothing else is taken for one."""

from __future__ import annotations

import re

import pytest

from lab.kernels import tree
from lab.machines import panics
from lab.machines.machine import Machine, Panicked

import trees

PROGRAMS = "cat echo init kill sh"
KILL = [("kernel/sysproc.c", r"(sys_kill\(void\) *\{)", r'\1\n  panic("out of luck");\n')]
NO_VARIABLE = [("kernel/*.[ch]", r"\bpanicked\b", "stopped")]


def panicking(c: str) -> list[trees.Edit]:
    """A panic whose body is c."""
    return [("kernel/printf.c", r"(?s)\nvoid panic\(char \*why\) \{.*?\n\}\n", "\nvoid panic(char *why) {\n  if (0) backtrace(0);\n" + c.replace("\\", r"\\") + "\n}\n")]


PANICS = {
    "capitals": ([*KILL, *panicking(r'printf("PANIC: %s\n", why); for (;;);'), *NO_VARIABLE], "out of luck"),
    "another-name": ([*KILL, *panicking(r'printf("*** the end: %s ***\n", why); for (;;);'), *NO_VARIABLE,
                      ("kernel/*.[chS]", r"\bpanic\b", "give_up")], "*** the end: out of luck ***"),
    "waits": ([*KILL, *panicking(r'csr_clear(sstatus, SSTATUS_SIE); printf("Kernel panic! %s\n", why); for (;;) asm volatile("wfi");'),
               *NO_VARIABLE], "out of luck"),
    "by-its-variable": ([*KILL, *panicking(r'printf("so long: %s\n", why); panicked = 1; for (;;) cpuid();')], "so long: out of luck"),
}


@pytest.mark.parametrize("name", PANICS)
def test_a_panic_is_seen_at_once_whatever_it_is_called(lab, name):
    edits, said = PANICS[name]
    kernel = tree.prepare(str(trees.again(lab, edits, programs=PROGRAMS)))
    with Machine(kernel, 3) as machine:
        machine.boot()
        with pytest.raises(Panicked) as caught:
            machine.run("kill 1", 60)
        assert caught.value.words == said
        assert machine.patience(60).left_s > 0


def test_a_program_that_says_panic_is_none(lab):
    with Machine(tree.prepare(str(trees.again(lab, programs=PROGRAMS))), 1) as machine:
        machine.boot()
        assert machine.run("echo panic: it is only me") == "panic: it is only me\n"
        assert machine.run("echo PANIC: me too") == "PANIC: me too\n"


class Ram:
    """Of panics.KernelRam what Panics asks for."""

    def __init__(self, code: bytes, function: str, variable: bytes | None = None, calls: int = 40) -> None:
        self.there, self.name, self.variable, self.calls = code, function, variable, calls

    def n_calls(self, function: str) -> int:
        return self.calls

    def variables(self, names: re.Pattern[str]) -> list[range]:
        return [range(len(self.variable))] if self.variable is not None and names.fullmatch("panicked") else []

    def read(self, place: range) -> bytes:
        return self.variable or b""

    def function(self, pc: int) -> str | None:
        return self.name

    def code(self, pc: int, n: int) -> bytes:
        return self.there[pc:pc + n]


SELF, FAR = b"\x01\xa0\0\0\0\0\0\0", b"\x73\x00\x50\x10\x73\x00\x50\x10\xf5\xbf\0\0"


@pytest.mark.parametrize("ram,text,seen", [
    (Ram(SELF, "give_up"), "FATAL: bad\n", "FATAL: bad"),
    (Ram(SELF, "give_up"), "something\n", None),     # at the first look; at the third it is
    (Ram(SELF, "main"), "PANIC: bad\n", None),
    (Ram(SELF, "idle_thread"), "PANIC: bad\n", None),
    (Ram(b"\x82\x80\0\0\0\0\0\0", "give_up"), "PANIC: bad\n", None),
])
def test_a_hart_that_jumps_to_itself_bears_it_out(ram, text, seen):
    assert panics.Panics(ram, lambda: [0]).shown(text, 0, whole=False) == seen


def test_what_is_said_after_a_panic_is_not_what_it_says():
    """The labs of fall 2019 give a hint there, with the word in it."""
    text = "$ PANIC: uvmcreate: out of memory\nHINT: restart xv6 using 'make qemu-gdb', type 'b panic'\n"
    assert panics.Panics(Ram(SELF, "panic"), lambda: [0]).shown(text, 0, whole=False) == "uvmcreate: out of memory"


def test_a_silent_end_takes_three_looks():
    watched = panics.Panics(Ram(SELF, "give_up"), lambda: [0])
    assert [watched.shown("something\n", 0, whole=False) for _ in range(3)] == [None, None, "something"]


def test_a_loop_without_an_end_that_few_call_is_a_hang():
    watched = panics.Panics(Ram(SELF, "reparent", calls=2), lambda: [0])
    assert [watched.shown("something\n", 0, whole=False) for _ in range(9)] == [None] * 9


def test_what_ram_held_before_the_kernel_began_is_no_panic():
    ram = Ram(b"\0" * 8, "f", b"\xff" * 4)
    watched = panics.Panics(ram, list)
    assert watched.shown("booting\n", 0, whole=True) is None
    ram.variable = b"\0" * 4
    assert watched.shown("booting\n", 0, whole=True) is None
    ram.variable = b"\1\0\0\0"
    assert watched.shown("booting\n", 0, whole=True) == "booting"

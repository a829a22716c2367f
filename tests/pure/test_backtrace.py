"""Calls of all harts as one tree."""

from __future__ import annotations

from machine import FUNCTIONS, family
from shrimpy.kernel import backtrace
from shrimpy.kernel.backtrace import Calls, Node
from shrimpy.kernel.stacks import Frame, Stack
from shrimpy.memory.elf import Range
from shrimpy.show import backtrace as said
from shrimpy.show.text import Painter


def calls(*stacks: str) -> list[Calls]:
    return [Calls(hart, None, tuple(stack.split()), True) for hart, stack in enumerate(stacks)]


def test_what_begins_alike_is_told_once():
    found = backtrace.tree(calls("main scheduler", "sh start main fork uservec usertrap syscall", "main scheduler swtch",
                                 "sh start main wait uservec usertrap syscall"))
    assert found == (
        Node(("main", "scheduler"), (0, 2), (Node(("swtch",), (2,), ()),)),
        Node(("sh", "start", "main"), (1, 3), (
            Node(("fork", "uservec", "usertrap", "syscall"), (1,), ()), Node(("wait", "uservec", "usertrap", "syscall"), (3,), ()))))


def test_each_hart_is_told_at_its_innermost_call():
    stacks = [Calls(0, None, ("main", "scheduler"), True), Calls(1, 4, ("sh", "fork"), False), Calls(2, 3, ("sh", "wait"), True)]
    lines = said.tree(backtrace.tree(stacks), stacks, family().snapshot(), Painter()).splitlines()
    assert lines == ["main > scheduler  <- hart 0", "sh", "├─ fork  <- hart 1 pid 4 (shrimpdemo) (its callers are not known)",
                     "└─ wait  <- hart 2 pid 3 (shrimpdemo)"]


def test_a_hart_without_calls_is_in_no_branch():
    assert backtrace.tree([Calls(0, None, (), False)]) == ()
    assert said.tree((), [], family().snapshot(), Painter()) == "no hart's registers are known\n"


def test_inlined_functions_and_those_that_jumped_on_have_their_places():
    frames = tuple(Frame(name, FUNCTIONS[name], at == 0, FUNCTIONS[name], {}, {}, {}, None, through)
                   for at, (name, through) in enumerate((("kalloc", ()), ("fork", ("tail",)), ("usertrap", ()))))
    inside = {FUNCTIONS["kalloc"]: ("take",)}
    assert backtrace.of_kernel(Stack(frames, True), lambda pc: inside.get(pc, ())) == ("usertrap", "fork", "tail", "kalloc", "take")


class Program:
    """main at 0x100, called by start at 0: `addi sp, sp, -16; sd ra, 8(sp)` each, then a call."""

    entry = 0
    _code = bytes.fromhex("1141 06e4".replace(" ", "")) + bytes.fromhex("0100") * 8

    def function(self, pc):
        return Range(pc & ~0xFF, 0x14, {0: "start", 0x100: "main"}[pc & ~0xFF]) if pc & ~0xFF in (0, 0x100) and pc & 0xFF < 0x14 else None

    def body(self, function):
        return self._code


def test_a_program_is_followed_to_its_first_function():
    memory = {0x2008: 0x8}
    names, whole = backtrace.of_program(Program(), "sh", memory.get, 0x108, {2: 0x2000})
    assert (names, whole) == (("sh", "start", "main"), True)


def test_what_is_not_known_of_a_program_is_its_pc():
    assert backtrace.of_program(None, "sh", {}.get, 0x108, {}) == (("sh", "0x108"), False)
    assert backtrace.of_program(Program(), "sh", {}.get, 0x5000, {}) == (("sh", "0x5000"), False)
    assert backtrace.of_program(Program(), "sh", {}.get, 0x108, {2: 0x2000}) == (("sh", "main"), False)

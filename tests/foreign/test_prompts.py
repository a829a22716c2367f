"""Shells of other people's trees: their prompt is learnt from the machine."""

from __future__ import annotations

import json

import pytest

from lab.kernels import tree
from lab.machines import prompt
from lab.machines.machine import Machine

import trees

PROGRAMS = "cat echo init ls sh"
WRITE = r'write\(2, "\$ ", 2\);'


def prompting(c: str) -> list[trees.Edit]:
    """A shell that runs c, statements of C, where ours prints its prompt."""
    return [("user/sh.c", WRITE, "{ " + c.replace("\\", r"\\") + " }")]


PROMPTS = {
    "name": (r'write(2, "(xv6)$ ", 7);', "(xv6)$ "),
    "greater": (r'write(2, "> ", 2);', "> "),
    "colour": (r'printf("\033[1;32m$\033[0m ");', "\033[1;32m$\033[0m "),
    "two-lines": (r'printf("+-[root:/]\n+-# ");', "+-[root:/]\n+-# "),
    "counter": (r'static int n; printf("[%d] %% ", n++);', "[7] % "),
    "none": (r';', ""),
    "ends-a-line": (r'printf("ready\n");', "ready\n"),
}


_LONG = ("greater", "colour")  # others of their kind are always tried


@pytest.mark.parametrize("name", [pytest.param(one, marks=pytest.mark.soak) if one in _LONG else one for one in PROMPTS])
def test_the_prompt_is_learnt_from_the_machine(lab, name):
    c, expected = PROMPTS[name]
    kernel = tree.prepare(str(trees.again(lab, prompting(c), programs=PROGRAMS)))
    with Machine(kernel, 3) as machine:
        machine.boot()
        assert machine.run("echo hello") == "hello\n"
        assert "README" in machine.run("ls")
        assert machine.run("echo $ ; echo $") == "$\n$\n"
        if expected:
            assert machine._prompt.fullmatch(expected)


@pytest.mark.parametrize("before,after,shared", [
    ("init: starting sh\n$ ", "$ ", "$ "),
    ("init: starting sh\n$ ", "exec cd failed\n$ ", "$ "),
    ("[0] $ ", "[12] $ ", "[345] $ "),
    ("[0] $ ", "[-1] $ ", "[1] $ "),
    ("sh\n+-[/]\n+-$ ", "+-[/]\n+-$ ", "+-[/]\n+-$ "),
])
def test_a_prompt_is_what_comes_again(before, after, shared):
    assert prompt.common(before, after).search(shared)[0].strip("\n") == shared.strip("\n")


def test_nothing_in_common_is_no_prompt():
    assert prompt.common("one\n", "two\n") is None and prompt.common("$ ", "") is None


def test_a_program_that_prints_the_prompt_has_not_ended(lab):
    trees.again(lab, programs=PROGRAMS)
    (lab / "user/ls.c").write_text('#include "kernel/types.h"\n#include "user/user.h"\nint main(void)\n{\n'
                                   '  char line[8];\n  printf("\\n$ ");\n  read(0, line, 8);\n  printf("more\\n");\n  return 0;\n}\n')
    with Machine(tree.prepare(str(lab)), 1) as machine:
        machine.boot()
        machine.send("ls")
        machine.wait_for(r"\n\$ ")
        assert machine.prompted(len(machine.console) - 3) is None
        machine.send("x")
        machine.wait_for(r"more\n\$ ")
        assert machine.run("echo hello") == "hello\n"


@pytest.mark.limit(300)
def test_a_tree_with_a_prompt_of_its_own_is_judged(make, lab):
    trees.again(lab, prompting(PROMPTS["two-lines"][0]), programs=PROGRAMS)
    done = make("check", f"KERNEL={lab}", "ONLY=family,orphan,memory", "JSON=1")
    assert done.returncode == 0, done.stdout + done.stderr
    told = json.loads(done.stdout)
    assert len(told["scenarios"]) == 3 and not any(one["hindrance"] for one in told["scenarios"])

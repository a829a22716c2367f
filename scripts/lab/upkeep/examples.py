"""The outputs that README.md and docs/ show, made by running what they show.

An example is a block of indented lines below a line `<!-- example: NAME -->`. What each name stands for is here: a session
with real QEMU and GDB prints it. Where lines are left out, a line `...` says so. Addresses and counts of instructions hang
on the compiler and on when the host typed, so what is compared is everything else: see masked().
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from .. import ROOT, Trouble
from ..kernels import tree, variant
from ..machines import debugger
from ..machines.machine import Machine
from ..replay import recording
from ..replay.server import BEFORE, Server

PAGES = ("README.md", "docs/reference.md", "docs/time.md", "docs/failing.md")

_MARK = re.compile(r"<!-- example: (\S+) -->")
_BLOCK = re.compile(r"(?m)^<!-- example: (\S+) -->\n\n((?:    .*\n|\n(?=    ))+)")
_HANGS = re.compile(r"0x[0-9a-f]+|\b\d{1,3}(?:,\d{3})+\b|\b\d{6,}\b|\b(?:SLEEPING|RUNNABLE|RUNNING)\b")
_PROGRAM, _READY = "shrimpdemo &", "shrimpdemo: ready"
_END = "@end of an answer@"


def shown(page: str) -> dict[str, str]:
    """The examples of a page by their names, without their indentation. Raises Trouble for a mark without a block."""
    found = {name: "".join(line[4:] or "\n" for line in block.splitlines(keepends=True)) for name, block in _BLOCK.findall(page)}
    if lone := [name for name in _MARK.findall(page) if name not in found]:
        raise Trouble(f"expected a block of indented lines below the mark of example {lone[0]}")
    return found


def renewed(page: str, examples: dict[str, str]) -> str:
    """The page with these examples in the place of those of their names."""
    def block(match: re.Match[str]) -> str:
        name = match[1]
        if name not in examples:
            return match[0]
        return f"<!-- example: {name} -->\n\n" + "".join(f"    {line}".rstrip(" ") + "\n" for line in examples[name].splitlines())
    return _BLOCK.sub(block, page)


def masked(text: str) -> str:
    """An example without what differs from run to run and from compiler to compiler."""
    return re.sub(r" +", " ", _HANGS.sub("N", text))


def make() -> dict[str, str]:
    """Every example, made anew: a broken kernel is built, checked and recorded, and ours runs a family."""
    broken = variant.build("zoo-two-frames", [ROOT / "tests/zoo/two-frames.patch"])
    return {**_on_a_recording(broken), **_of_check(broken), **_of_ours(tree.prepare(None))}


# Sessions

def _on_a_recording(kernel: tree.Kernel) -> dict[str, str]:
    with tempfile.TemporaryDirectory(prefix="shrimpy-") as folder:
        made = recording.record(kernel, Path(folder, "recording"), _PROGRAM, _READY)
        with Server(made) as server:
            def ask(*commands: str) -> list[str]:
                return answers(made.kernel.elf, commands, server.target, BEFORE)
            _, judged, why = ask("xv6-goto END", "shrimp-check 2", "xv6-why")
            number = _first(r"instruction ([\d,]+)", why).replace(",", "")
            place, fry = ask(f"xv6-goto {number}", "print p->fry")
    failure = _lines(judged, "FAIL", "where", "expected", "actual", "look at")
    return {"time-check": f"(gdb) xv6-goto END\n(gdb) shrimp-check 2\n...\n{failure}  ...\n",
            "time-why": f"(gdb) xv6-why\n{why}",
            "time-goto": f"(gdb) xv6-goto {number}\n{place}(gdb) print p->fry\n{fry}"}


def _of_check(kernel: tree.Kernel) -> dict[str, str]:
    done = subprocess.run([sys.executable, ROOT / "scripts/check", "--kernel", kernel.elf, "--only", "family,play", "--cpus", "1"],
                          capture_output=True, text=True, stdin=subprocess.DEVNULL, env={**os.environ, "WHY": "1"})
    if done.returncode != 1:
        raise Trouble(f"expected check of a wrong kernel to fail, found status {done.returncode}: {done.stderr}")
    said = done.stdout.replace(f" KERNEL={kernel.elf}", "")     # as for somebody who has the mistake in this checkout
    block = _first(r"(?ms)^(FAIL shrimp-pair: .*?\n)\n", said)
    written = _first(r"(?ms)^(  written .*?)^  as well", block)
    head, where = _lines(block, "FAIL shrimp-pair"), _lines(block, "where", "expected", "actual")
    table = "".join(f"{line}\n" for line in said.partition("\nFAIL shrimp-pair: ")[0].splitlines())
    return {"check-written": head + where + "  ...\n" + written.partition("\n")[0] + "\n", "time-written": f"{head}  ...\n{written}",
            "failing-check": "$ make check ONLY=family,play\n...\n" + _in_short(table), "failing-block": block}


def _in_short(table: str) -> str:
    """A table of rules with three of those that passed, and `...` for the others."""
    lines = table.splitlines()
    passed = [line for line in lines if line.startswith("pass  ")]
    return "".join("...\n" if line == passed[3] else f"{line}\n" for line in lines if line not in passed[4:])


def _of_ours(kernel: tree.Kernel) -> dict[str, str]:
    with Machine(kernel, 3) as machine:
        machine.boot()
        machine.send(_PROGRAM)
        machine.wait_for(_READY)
        family, walk = answers(kernel.elf, ("xv6-tree", "xv6-walk SHRIMP 4"), machine.gdb_target)
    return {"tree": f"(gdb) shrimp-check\n...\n(gdb) xv6-tree\n{family}", "walk": f"(gdb) xv6-walk SHRIMP 4\n{walk}"}


def answers(elf: Path, commands: Sequence[str], target: str, before: Sequence[str] = ()) -> list[str]:
    """What GDB with the kit prints for each command."""
    asked = [line for command in commands for line in (command, f"echo {_END}\\n")]
    said = debugger.checked(elf, [f"echo {_END}\\n", *asked], target=target, before=before)
    return [one.expandtabs() for one in said.split(f"{_END}\n")[1:-1]]


def _first(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if not match:
        raise Trouble(f"expected {pattern} in what was printed, found {text!r}")
    return match[1]


def _lines(text: str, *begin: str) -> str:
    """The lines of the first failure that begin so."""
    failure = takewhile(bool, text[text.index("FAIL shrimp-pair: "):].splitlines())
    return "".join(f"{line}\n" for line in failure if line.lstrip().startswith(begin))

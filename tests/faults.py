#!/usr/bin/env python3
"""How many of some seeded faults in the kit the tests find: each is a slip of one token, half of them in rules and walk.

usage: faults.py [--faults N] [--jobs N] [--upto STAGE] [--near] [--out FILE] [CHECKOUT]

CHECKOUT is committed; the one that this file is in when not given. Of two commits the same faults are chosen where their
sources are the same, so that two suites can be compared. What FILE, a table, already has is not tried again: a run that
was interrupted goes on. --near shows each fault only to tests/pure and to the files of tests that import its module, or have
GDB run it: minutes for what takes hours. Status 0: each is found; 1: some are not.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
CORE = ("gdb/shrimpy/rules", "gdb/shrimpy/memory")
REST = ("gdb/shrimpy", "scripts/lab", "viz/drawing")
STAGES = (("pure",), ("viz", "host"), ("gdb",), ("scripts", "marking"), ("kernel",), ("zoo", "foreign"))
"""Folders of tests/, the cheapest first: a fault that one has found is not shown to the next."""
IN_GDB = {"commands/": ("commands",), "show/": ("commands",), "words/": ("commands",), "live/": ("backtrace", "names", "programs"),
          "step/": ("fork_steps",), "kernel/": ("backtrace", "variants"), "memory/remote": ("packets", "stops"), "memory/sv39": ("commands", "layouts")}
"""Files of tests/gdb for what of gdb/shrimpy begins so: GDB runs it, and no test imports it."""

_COMPARED = {ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="), ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="),
             ast.GtE: (">=", ">"), ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"), ast.Is: ("is", "is not"),
             ast.IsNot: ("is not", "is")}
_JOINED = {ast.And: ("and", "or"), ast.Or: ("or", "and")}
_COMPUTED = {ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"), ast.LShift: ("<<", ">>"),
             ast.RShift: (">>", "<<"), ast.Mod: ("%", "//"), ast.FloorDiv: ("//", "%")}


class Fault(NamedTuple):
    """What stands at [start, end) of a file's text is replaced."""

    file: str
    line: int
    start: int
    end: int
    old: str
    new: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.old.strip()} -> {self.new.strip()} at {self.start}"


def sites(file: str, text: str) -> Iterator[Fault]:
    """Every slip that can be made in a module's code; none in its type annotations."""
    starts = [0]
    for line in text.encode().splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    raw = text.encode()

    def at(node: ast.expr, end: bool = False) -> int:
        line, column = (node.end_lineno or 0, node.end_col_offset or 0) if end else (node.lineno, node.col_offset)
        return starts[line - 1] + column

    def token(node: ast.expr, left: ast.expr, right: ast.expr, names: tuple[str, str]) -> Iterator[Fault]:
        between = raw[at(left, True):at(right)].decode()
        found = re.search(r"(?<![\w<>=])" + re.escape(names[0]) + r"(?![\w<>=])", between)
        if found:
            start = at(left, True) + len(between[:found.start()].encode())
            yield Fault(file, node.lineno, start, start + len(names[0]), *names)

    for node in _code(ast.parse(text)):
        if isinstance(node, ast.Compare) and len(node.ops) == 1:
            yield from token(node, node.left, node.comparators[0], _COMPARED[type(node.ops[0])])
        elif isinstance(node, ast.BoolOp):
            yield from token(node, node.values[0], node.values[1], _JOINED[type(node.op)])
        elif isinstance(node, ast.BinOp) and type(node.op) in _COMPUTED:
            yield from token(node, node.left, node.right, _COMPUTED[type(node.op)])
        elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int)):
            new = str(not node.value) if isinstance(node.value, bool) else str(node.value + 1)
            yield Fault(file, node.lineno, at(node), at(node, True), raw[at(node):at(node, True)].decode(), new)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield Fault(file, node.lineno, at(node), at(node.operand), "not ", "")
        elif isinstance(node, ast.Return) and node.value is not None and not (
                isinstance(node.value, ast.Constant) and node.value.value is None):
            yield Fault(file, node.lineno, at(node.value), at(node.value, True), "return ...", "None")


def _code(node: ast.AST) -> Iterator[ast.AST]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list"):
            continue
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, ast.AST):
                yield one
                yield from _code(one)


def chosen(checkout: Path, n: int) -> list[Fault]:
    """n faults, half of them in rules and walk, one to a line; which, a hash of each site's own text decides."""
    core = [one for folder in CORE for one in _ranked(checkout, folder)]
    rest = [one for folder in REST for one in _ranked(checkout, folder) if not one[1].file.startswith(CORE)]
    return [fault for found in (core, rest) for fault in _first_of_lines(found)[:n // 2]]


def _first_of_lines(ranked: list[tuple[str, Fault]]) -> list[Fault]:
    found: dict[tuple[str, int], Fault] = {}
    for _, fault in sorted(ranked):
        found.setdefault((fault.file, fault.line), fault)
    return list(found.values())


def _ranked(checkout: Path, folder: str) -> Iterator[tuple[str, Fault]]:
    for path in sorted((checkout / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for fault in sites(str(path.relative_to(checkout)), text):
            seed = "\0".join((path.name, lines[fault.line - 1].strip(), fault.old, fault.new))
            yield hashlib.sha256(seed.encode()).hexdigest(), fault


def near(fault: Fault, copy: Path) -> list[str]:
    """The files of tests that import the module of a fault, or have GDB run it; tests/pure, which is cheap, is left out."""
    *package, name = Path(fault.file).with_suffix("").parts[1:]
    home = re.escape(".".join(package))
    imports = re.compile(rf"^\s*(?:from {home}(?:\.{name}\b| import .*\b{name}\b)|import {home}\.{name}\b)"
                         if name != "__init__" else rf"^\s*(?:from|import) {home}\b", re.M)
    within = fault.file.partition("gdb/shrimpy/")[2] or "-"
    run = {f"tests/gdb/test_{one}.py" for start, names in IN_GDB.items() if within.startswith(start) for one in names}
    return sorted(run | {str(path.relative_to(copy)) for path in (copy / "tests").glob("*/test_*.py")
                         if path.parent.name != "pure" and imports.search(path.read_text(encoding="utf-8"))})


def found_by(fault: Fault, copy: Path, upto: int, only_near: bool) -> str:
    """The test that fails, or "". copy: a checkout, changed for the time being."""
    path = copy / fault.file
    before = path.read_bytes()
    path.write_bytes(before[:fault.start] + fault.new.encode() + before[fault.end:])
    try:
        stages = [[f"tests/{name}" for name in folders if (copy / "tests" / name).is_dir()] for folders in STAGES[:upto]]
        for shown in ([stages[0], near(fault, copy)] if only_near else stages):
            if not shown:
                continue
            done = subprocess.run(
                ["scripts/python", "-c", "import sys; del sys.path[0]; import pytest; sys.exit(pytest.main(sys.argv[1:]))", "-x", "-q",
                 *shown],
                cwd=copy, stdin=subprocess.DEVNULL, capture_output=True, text=True, env={**os.environ, "SHRIMPY_BUILD": str(copy / "build")})
            if done.returncode:
                named = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.M)
                return named[1] if named else f"{shown[0]}: status {done.returncode}"
        return ""
    finally:
        path.write_bytes(before)


def main() -> int:
    parser = argparse.ArgumentParser(description="How many of some seeded faults in the kit the tests find.")
    parser.add_argument("checkout", nargs="?", type=Path, default=ROOT, metavar="CHECKOUT")
    parser.add_argument("--faults", type=int, default=40, metavar="N")
    parser.add_argument("--jobs", type=int, default=2, metavar="N")
    parser.add_argument("--upto", default=STAGES[-1][0], choices=[one[0] for one in STAGES], help="the last stage of tests")
    parser.add_argument("--near", action="store_true", help="only tests that know the fault's module, and tests/pure")
    parser.add_argument("--out", type=Path, metavar="FILE", help="a table: the fault, and the test that found it")
    args = parser.parse_args()
    if not all((args.checkout / name).exists() for name in (".git", *CORE)):
        parser.error(f"{args.checkout}: expected a checkout of this project with a commit")
    upto = [one[0] for one in STAGES].index(args.upto) + 1
    known = dict(line.rstrip("\n").split("\t") for line in args.out.open()) if args.out and args.out.exists() else {}
    left = [one for one in chosen(args.checkout, args.faults) if str(one) not in known]
    with tempfile.TemporaryDirectory(prefix="shrimpy-faults-") as scratch:
        copies = [Path(scratch) / str(i) for i in range(args.jobs)]
        for copy in copies:
            subprocess.run(["git", "clone", "-q", str(args.checkout), str(copy)], check=True)
            subprocess.run(["scripts/build"], cwd=copy, check=True, stdout=subprocess.DEVNULL)

        def work(fault: Fault) -> tuple[str, str]:
            copy = copies.pop()
            try:
                return str(fault), found_by(fault, copy, upto, args.near)
            finally:
                copies.append(copy)
        with ThreadPoolExecutor(args.jobs) as pool:
            for name, test in pool.map(work, left):
                known[name] = test
                print(f"{name}\t{test or 'NOT FOUND'}", flush=True)
                if args.out:
                    with args.out.open("a") as table:
                        table.write(f"{name}\t{test}\n")
    missed = sum(not test for test in known.values())
    print(f"{len(known) - missed} of {len(known)} found")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())

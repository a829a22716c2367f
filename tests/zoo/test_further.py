"""The table of further mistakes and their patches say the same."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

import mistakes
from further import FURTHER, Further
from lab.judging import checking
from lab.judging.verdict import FAIL, PASS
from lab.kernels import variant

ROOT = Path(__file__).resolve().parents[2]


def changed_in(patch: Path) -> set[str]:
    """The functions, or the files outside of functions, in which the patch changes a line."""
    places = set()
    old, line = "", 0
    for text in patch.read_text().splitlines():
        if text.startswith("--- a/"):
            old = text[len("--- a/"):]
        elif header := re.match(r"@@ -(\d+)", text):
            line = int(header[1])
        elif old and not text.startswith("+++"):
            if text[:1] in "+-":
                places.add(enclosing((ROOT / old).read_text().splitlines(), line) or Path(old).name)
            line += not text.startswith("+")
    return places


def enclosing(source: list[str], line: int) -> str | None:
    """The function that line number `line`, counted from 1, is in."""
    for text in reversed(source[:line - 1]):
        if text == "}":
            return None
        if begin := re.match(r"\w.*?(\w+)\([^;]*\{$", re.sub(r"__attribute__\(\(.*?\)\) ", "", text)):
            return begin[1]
    return None


@pytest.mark.parametrize("mistake", FURTHER, ids=lambda one: one.name)
def test_the_patch_changes_the_function_that_the_table_names(mistake: Further):
    assert mistake.function in changed_in(mistake.patch)


def test_every_patch_applies_to_our_kernel(tmp_path):
    shutil.copytree(ROOT / "xv6/kernel", tmp_path / "xv6/kernel", ignore=shutil.ignore_patterns("*.o", "*.d", "kernel"))
    for mistake in FURTHER:
        patch = mistake.patch
        done = subprocess.run(["patch", "-p1", "--dry-run", "--batch", "-d", str(tmp_path), "-i", str(patch)],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0 and "fuzz" not in done.stdout and "offset" not in done.stdout, done.stdout


def test_the_table_is_in_order_and_complete_in_itself():
    names = [one.name for one in FURTHER]
    assert names == sorted(set(names))
    assert all(1 <= one.promise <= 8 and one.shows and one.wrong.endswith(".") for one in FURTHER)
    assert len({one.patch.read_text().partition("\n--- ")[2] for one in FURTHER}) == len(names)


_ALWAYS = ("fourth-exec-renews", "six-children-at-once", "paths-end-at-sz")
_SEEN_LATE = ("struct-copied-after-the-table", "wait-ends-the-sharing")     # by who was between two stops; playing names who did it
_HANGS = ("failed-fork-keeps-files-open",)     # what a program then waits for never comes


@pytest.mark.limit(300)
@pytest.mark.parametrize("mistake", [pytest.param(one, id=one.name, marks=() if one.name in _ALWAYS else pytest.mark.soak)
                                     for one in FURTHER])
def test_check_finds_the_mistake(mistake: Further):
    kernel = variant.build(f"zoo-{mistake.name}", [mistake.patch])
    report = checking.check(kernel, 1 if mistake.name in _ALWAYS else 3, only=["play"] if mistake.name in _ALWAYS else ())
    assert report.status == FAIL or mistake.name in _HANGS and report.status != PASS
    played = replace(report, outcomes=tuple(one for one in report.outcomes if one.name == checking.PLAY))
    finding = mistakes.compare(mistakes.read(mistake.patch), played)
    assert (finding.missed if played.outcomes else (), finding.wrong) == ((), ())
    assert mistakes.astray(mistakes.read(mistake.patch), played if mistake.name in _SEEN_LATE else report) == ()

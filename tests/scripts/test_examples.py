"""What README.md and docs/ show is what the commands print."""

from __future__ import annotations

import pytest

from lab import ROOT, Trouble
from lab.upkeep import examples


def test_each_example_is_what_is_printed():
    shown = {page: examples.shown((ROOT / page).read_text(encoding="utf-8")) for page in examples.PAGES}
    assert all(shown.values())
    masked = {(name, page): examples.masked(text) for page, each in shown.items() for name, text in each.items()}
    for _ in range(3):  # on a busy host a child of shrimpdemo may fork before its parent forks again, and has the other's pid
        made = {name: examples.masked(text) for name, text in examples.make().items()}
        if all(text == made[name] for (name, _), text in masked.items()):
            return
    for (name, page), text in masked.items():
        assert text == made[name], f"{name} in {page}: `make golden` writes it anew"


PAGE = "Look:\n\n<!-- example: one -->\n\n    (gdb) x\n    at 0x80001000\n\nAnd so on.\n"


def test_a_page_is_written_anew_where_it_has_an_example_and_nowhere_else():
    assert examples.shown(PAGE) == {"one": "(gdb) x\nat 0x80001000\n"}
    again = examples.renewed(PAGE, {"one": "(gdb) y\n\nline 3\n"})
    assert again == PAGE.replace("    (gdb) x\n    at 0x80001000\n", "    (gdb) y\n\n    line 3\n")
    assert examples.shown(again) == {"one": "(gdb) y\n\nline 3\n"}


def test_only_what_hangs_on_the_run_is_left_out_of_the_comparison():
    assert examples.masked("at 0x80001000 in f, line 180") == examples.masked("at 0x80002000  in f, line 180")
    assert examples.masked("line 180") != examples.masked("line 181")


def test_a_mark_without_a_block_is_told():
    with pytest.raises(Trouble, match="one"):
        examples.shown("<!-- example: one -->\n\nNo block.\n")

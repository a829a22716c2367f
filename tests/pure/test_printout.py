"""A page table as the courses print it, and what is said of a printout that differs."""

from __future__ import annotations

import pytest
from machine import FRY, family
from shrimpy.memory import printout
from shrimpy.memory.sv39 import A, D, R, U, V, W
from shrimpy.show import printouts

# As the handouts describe it, of a root with one page at 0 and one at the top.
BY_INDEX = """\
page table 0x0000000080000000
 ..0: pte 0x0000000020000401 pa 0x0000000080001000
 .. ..0: pte 0x0000000020000801 pa 0x0000000080002000
 .. .. ..0: pte 0x0000000020000c5b pa 0x0000000080003000
 .. .. ..1: pte 0x00000000200010d7 pa 0x0000000080004000
 ..255: pte 0x0000000020001401 pa 0x0000000080005000
 .. ..511: pte 0x0000000020001801 pa 0x0000000080006000
 .. .. ..509: pte 0x0000000020001cd7 pa 0x0000000080007000
"""
BY_VA = """\
page table 0x0000000080000000
 ..0x0000000000000000: pte 0x0000000020000401 pa 0x0000000080001000
 .. ..0x0000000000000000: pte 0x0000000020000801 pa 0x0000000080002000
 .. .. ..0x0000000000000000: pte 0x0000000020000c5b pa 0x0000000080003000
 .. .. ..0x0000000000001000: pte 0x00000000200010d7 pa 0x0000000080004000
 ..0x0000003fc0000000: pte 0x0000000020001401 pa 0x0000000080005000
 .. ..0x0000003fffe00000: pte 0x0000000020001801 pa 0x0000000080006000
 .. .. ..0x0000003fffffd000: pte 0x0000000020001cd7 pa 0x0000000080007000
"""
TABLE = printout.Printout(0x80000000, tuple(printout.Row(path, pte, pte >> 10 << 12) for path, pte in (
    ((0,), 0x20000401), ((0, 0), 0x20000801), ((0, 0, 0), 0x20000c5b), ((0, 0, 1), 0x200010d7),
    ((255,), 0x20001401), ((255, 511), 0x20001801), ((255, 511, 509), 0x20001cd7))))


def kind_and_line(text: str, table: printout.Printout = TABLE) -> tuple[str, int] | None:
    found = printout.first_difference(text, table)
    return found and (found.kind, found.line)


def test_both_forms_are_those_of_the_handouts():
    assert printout.text(TABLE) == BY_INDEX
    assert printout.text(TABLE, with_va=True) == BY_VA


def test_a_process_has_a_line_for_each_entry():
    m = family()
    found = printout.of(m.reader(), m.processes[4].root)
    leaves = {row.va: row.pa for row in found.rows if row.level == 0}
    assert leaves[FRY] == m.processes[4].fry and {va: leaves[va] for va in m.processes[4].pages} == m.processes[4].pages
    assert found.complete and [row.path for row in found.rows] == sorted(row.path for row in found.rows)
    assert kind_and_line(printout.text(found), found) is None and kind_and_line(printout.text(found, True), found) is None


def test_a_table_that_leads_to_itself_ends():
    m = family()
    root = m.alloc()
    for index in range(512):
        m.put(root + 8 * index, root >> 2 | V)
    assert not printout.of(m.reader(), root).complete


@pytest.mark.parametrize("text", [BY_INDEX, BY_VA, BY_INDEX.replace(" ..", "..", 1), BY_INDEX.replace("\n ..", "\n.."),
                                  "hart 1 starting\r\n" + BY_INDEX.replace("\n", "\r\n") + "$ ls\r\n"])
def test_what_means_the_same_does_not_differ(text):
    assert kind_and_line(text) is None
    assert "no difference" in printouts.difference(None)


def test_frames_a_and_d_are_those_of_a_run():
    moved = printout.Printout(0x81000000, tuple(
        row._replace(pte=row.pte + 0x400000 & ~(A | D), pa=row.pa + 0x1000000) for row in TABLE.rows))
    assert kind_and_line(BY_INDEX, moved) is None


@pytest.mark.parametrize("change, wanted", [
    (lambda t: t.replace(" .. .. ..1: pte 0x00000000200010d7 pa 0x0000000080004000\n", ""), ("extra", 5)),
    (lambda t: t.replace("200010d7", "200010df"), ("flags", 5)),
    (lambda t: t.replace("0x0000000080004000", "0x0000000080009000"), ("itself", 5)),
    (lambda t: t.replace(" .. .. ..1:", " .. .. ..2:"), ("extra", 5)),
    (lambda t: t.replace(" .. .. ..509:", " .. .. ..500:"), ("missing", 8)),
    (lambda t: t.replace(" .. ..511:", " .. .. .. ..511:"), ("form", 7)),
    (lambda t: t.replace(" .. .. ..1: pte", " .. .. ..1 pte"), ("form", 5)),
    (lambda t: t.replace(" .. .. ..1:", " .. .. ..0:"), ("order", 5)),
    (lambda t: t.replace("200010d7 pa 0x0000000080004000", "20000cd7 pa 0x0000000080003000"), ("frame", 5)),
    (lambda t: t[:t.rindex(" .. .. ..")], ("extra", 7)),
    (lambda t: t + " .. .. ..511: pte 0x000000002000204b pa 0x0000000080008000\n", ("missing", 9)),
])
def test_the_first_line_that_means_something_else_is_told(change, wanted):
    assert change(BY_INDEX) != BY_INDEX
    assert kind_and_line(change(BY_INDEX)) == wanted
    said = printouts.difference(printout.first_difference(change(BY_INDEX), TABLE))
    assert said.startswith(f"line {wanted[1]}: ")
    assert printouts.to_data(printout.first_difference(change(BY_INDEX), TABLE))["kind"] == wanted[0]


def test_of_flags_it_is_said_which():
    said = printouts.difference(printout.first_difference(BY_INDEX.replace("200010d7", "200010cb"), TABLE))
    assert "W is set in the table" in said and "X is clear in the table" in said and "R is" not in said
    said = printouts.difference(printout.first_difference(BY_INDEX.replace("200010d7", "20001013"), TABLE))
    assert "W is set in the table" in said and "A is" not in said and "D is" not in said     # these two change as the program runs


def test_a_text_without_a_printout_is_refused():
    with pytest.raises(printout.NoPrintout):
        printout.first_difference("page table: none\n", TABLE)


def test_flags_of_the_table_are_the_machines():
    m = family()
    m.map(m.processes[4].root, FRY, m.processes[4].fry, R | W | U)
    row = next(row for row in printout.of(m.reader(), m.processes[4].root).rows if row.level == 0 and row.va == FRY)
    assert row.pte & 0xFF == R | W | U | V

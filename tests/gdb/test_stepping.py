"""The kernel is built so that a person who steps through it sees what it works on."""

from __future__ import annotations

import re

import pytest

# A function, what must have a value at each of its lines, and what must from the line on that sets it.
SEEN = [
    ("fork", [], ["p", "np"]),
    ("mappages", ["pagetable", "va", "size", "pa", "perm"], []),
    ("uvmunmap", ["pagetable", "va", "npages", "do_free"], []),
]


@pytest.mark.parametrize("function, always, once_set", SEEN, ids=[row[0] for row in SEEN])
def test_arguments_and_variables_are_seen_while_stepping(machine, session, function, always, once_set):
    gdb = session(machine(1))
    assert f", {function} (" in gdb.stop_in(function, "echo hello")
    lines, hidden, waiting = set(), [], set(once_set)
    for _ in range(200):
        frame = gdb.ask("frame")
        if f" {function} (" not in frame:
            break
        lines.add(int(re.search(r"\.c:(\d+)", frame).group(1)))
        values = gdb.ask("info args") + gdb.ask("info locals")
        for name in (*always, *once_set):
            if f"\n{name} = <optimized out>" not in "\n" + values:
                assert f"\n{name} = " in "\n" + values
                waiting.discard(name)
            elif name not in waiting:
                hidden.append((frame.splitlines()[-1], name))
        gdb.ask("next")
    assert hidden == []
    assert len(lines) > 5 and not waiting


def test_macros_of_the_layout_are_known(machine, session):
    gdb = session(machine(1))
    gdb.stop_in("fork", "echo hello")
    assert "= 0x3fffffd000" in gdb.ask("print/x FRY")
    assert "= 0x3fffffc000" in gdb.ask("print/x SHRIMP")

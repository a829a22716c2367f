"""What came and went between two snapshots of a made-up machine."""

from __future__ import annotations

from machine import PAGE, family
from shrimpy.show import allocations as said
from shrimpy.show.text import Painter
from shrimpy.snapshot.allocations import ByFunction, Event, returns, summary


def test_what_stayed_is_what_was_free_before_and_is_not_now():
    m = family()
    before = m.snapshot()
    p = m.processes[4]
    kept, gone = m.alloc(), m.alloc()
    m.map(p.root, 4 * PAGE, kept, 0xF | 0x10)
    m.free(gone)
    m.free(m.unmap(p.root, 3 * PAGE))
    after = m.snapshot()
    events = [Event("+", kept, ("kzalloc", "uvmalloc")), Event("+", gone, ("pipealloc", "sys_pipe")),
              Event("-", gone, ("pipeclose",)), Event("-", p.pages[3 * PAGE], ("uvmunmap",))]
    found = summary(events, before, after)
    assert (found.allocated, found.freed, found.returned) == (2, 2, 1)
    assert set(found.functions) == {ByFunction("uvmalloc", 1, 0), ByFunction("pipealloc", 1, 0), ByFunction("pipeclose", 0, 1),
                                    ByFunction("uvmunmap", 0, 1)}
    [one] = found.stayed
    assert (one.pa, one.calls, [user.pid for user in one.users]) == (kept, ("kzalloc", "uvmalloc"), [4])
    text = said.allocations(found, "ls", after, Painter())
    assert text.startswith("ls: 2 frames allocated, kfree called 2 times\n") and "kzalloc < uvmalloc" in text


def test_nothing_stays_where_all_is_given_back():
    m = family()
    before = m.snapshot()
    frame = m.alloc()
    m.free(frame)
    found = summary([Event("+", frame, ("exec",)), Event("-", frame, ("exec",))], before, m.snapshot())
    assert found.stayed == () and found.functions == (ByFunction("exec", 1, 1),)
    assert "nothing stayed" in said.allocations(found, "ls", before, Painter())


def test_returns_are_found_in_both_forms():
    code = bytes.fromhex("4111" "06e4" "67800000" "8280" "0100")       # c.addi, c.sdsp, ret, c.ret, c.nop
    assert returns(code) == (4, 8)

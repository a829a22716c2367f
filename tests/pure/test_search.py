"""Where a value is in RAM, and whose that is."""

from __future__ import annotations

import pytest
from machine import BASE, FRY, KEPT, PAGE, SHRIMP, family
from shrimpy.show import search as said
from shrimpy.show.text import Painter
from shrimpy.snapshot import search

MAGIC = 0x5CA1AB1E0DDBA115


@pytest.fixture
def m():
    return family()


def found(m, wanted=None, align=8, pid=None, first=BASE, end=None, most=search.MOST):
    taken = m.snapshot()
    where = search.Where(first, end or m.end, taken.process(pid))
    result = search.find(m.reader(), taken, m.info, wanted or search.pattern(MAGIC, 8), align, where, most)
    assert said.hits(result, taken, Painter()).count("\n") >= 1
    return result


def test_each_user_of_a_frame_has_its_address(m):
    at = m.processes[3].fry + 0x118
    m.put(at, MAGIC)
    [hit] = found(m).hits
    assert hit.pa == at and not found(m).more
    assert {(u.pid, u.va) for u in hit.users} == {(3, FRY + 0x118), (4, SHRIMP + 0x118), (5, SHRIMP + 0x118)}


def test_of_a_process_only_its_pages_are_searched(m):
    for pid in (3, 4):
        m.put(m.processes[pid].pages[PAGE] + 8, MAGIC)
    assert [hit.pa for hit in found(m, pid=4).hits] == [m.processes[4].pages[PAGE] + 8]
    assert len(found(m).hits) == 2


def test_a_range_of_frames_bounds_the_search(m):
    at = m.processes[4].pages[0]
    m.put(at, MAGIC)
    m.put(at + PAGE - 8, MAGIC)
    assert [hit.pa for hit in found(m, first=at + 8, end=at + PAGE).hits] == [at + PAGE - 8]


def test_values_lie_at_multiples_of_their_size_and_texts_anywhere(m):
    at = m.processes[4].pages[0]
    m.put(at + 4, MAGIC)
    assert found(m).hits == () and len(found(m, align=4).hits) == 1
    m.ram[at + 101 - BASE:at + 107 - BASE] = b"needle"
    [hit] = found(m, b"needle", 1).hits
    assert hit.pa == at + 101


@pytest.mark.parametrize("chunk", [64, 8, 6])
def test_a_text_over_two_pieces_is_found_once(m, monkeypatch, chunk):
    monkeypatch.setattr(search, "_CHUNK", chunk)
    at = m.processes[4].pages[PAGE] + 61
    m.ram[at - BASE:at - BASE + 6] = b"needle"
    assert [hit.pa for hit in found(m, b"needle", 1, pid=4).hits] == [at]


def test_what_nobody_has_is_free_and_the_image_has_variables(m):
    free = m.available[0]
    m.put(free + 64, MAGIC)
    m.put(KEPT + 16, MAGIC)
    kept, other = found(m).hits
    assert (kept.variable, kept.offset, kept.kind) == ("kept", 16, "kernel-image")
    assert (other.pa, other.kind, other.users) == (free + 64, "free", ())


def test_many_places_are_cut_and_that_is_said(m):
    for i in range(10):
        m.put(m.processes[4].pages[PAGE] + 8 * i, MAGIC)
    assert (len(found(m, most=4).hits), found(m, most=4).more) == (4, True)
    assert (len(found(m, most=10).hits), found(m, most=10).more) == (10, False)

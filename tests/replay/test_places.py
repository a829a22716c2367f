"""Every place of a recorded run is what it was when the run came there going forward."""

from __future__ import annotations

import random

import pytest
from shrimpy.memory.elf import Elf

from lab.replay import search
from lab.replay.place import Place


def state(place):
    return place.count, place.ask(b"g"), place.machine.ram_hash()


@pytest.mark.parametrize("n, seed", [(8, 1), pytest.param(1000, 2, marks=[pytest.mark.soak, pytest.mark.limit(3600)])])
def test_registers_and_memory_at_random_places_are_those_seen_going_forward(recorded, place, n, seed):
    counts = sorted(random.Random(seed).sample(range(1, recorded.end), n))
    forward, seen = place(0), {}
    for count in counts:
        forward.run_to(count)
        seen[count] = state(forward)
    for count in counts:
        with Place(recorded.replay(), recorded.end) as one:
            one.run_to(count)
            assert state(one) == seen[count]


def address(recorded, name):
    return Elf.load(recorded.kernel.elf).addresses([name])[name]


@pytest.mark.parametrize("vector", ["kernelvec", "machinevec"])
def test_a_place_where_an_interrupt_is_due_is_the_one_before_it_is_taken(recorded, place, vector):
    hit = search.last(place, [b"0,%x,4" % address(recorded, vector)], recorded.end)
    assert hit is not None
    before = place(hit.at)
    assert before.count == hit.at and before.pc() != address(recorded, vector)
    before.step()
    assert (before.count, before.pc()) == (hit.at, address(recorded, vector))
    assert place(hit.at + 1).count == hit.at + 1


def test_the_last_hit_is_found_where_hits_are_many(recorded, place):
    points = [b"0,%x,4" % address(recorded, "acquire")]  # the scheduler looks for who can run
    hits = place(recorded.end - 300_000).hits(points, recorded.end, 3 * search.MOST)
    assert len(hits) == 3 * search.MOST
    for before in (hits[-1].at, hits[-1].at + 1):
        assert search.last(place, points, before) == [hit for hit in hits if hit.at < before][-1]


def test_what_is_never_run_into_has_no_last_hit(recorded, place):
    assert search.last(place, [b"0,%x,4" % address(recorded, "panic")], recorded.end) is None

"""Machines that stand by at earlier places of a recorded run, in place of which here are numbers."""

from __future__ import annotations

import contextlib
import threading

import pytest

from lab import Trouble
from lab.replay.place import Interrupted
from lab.replay.standby import EARLY, FAR, NEAR, Standby

END = 100 * FAR


class Counter:
    """Stands where it was led to. held: it is not led on while that is set; wanted: as Place has it."""

    def __init__(self, run, wanted):
        self.run, self.wanted, self.count = run, wanted, 0
        run.started += 1
        run.alive.add(self)

    def led_to(self, count):
        assert count >= self.count and self in self.run.alive
        self.run.leading.set()
        while not self.run.free.wait(0.01):
            try:
                self.wanted()
            except Interrupted:
                self.close()
                raise
        self.count = count
        return self

    def wanted_by(self, wanted):
        self.wanted = wanted
        return self

    def close(self):
        self.run.alive.remove(self)


class Run:
    def __init__(self):
        self.started, self.alive = 0, set()
        self.free, self.leading = threading.Event(), threading.Event()
        self.free.set()

    def fresh(self, wanted):
        return Counter(self, wanted)


@pytest.fixture
def run():
    return Run()


def nobody_leaves():
    """Whoever waits, waits on."""


def prepared(standby, here):
    standby.prepare(here)
    standby.settle()


def test_one_stands_near_and_one_early_and_each_is_taken_once(run):
    with contextlib.closing(Standby(run.fresh)) as standby:
        assert standby.take(END, nobody_leaves) is None
        prepared(standby, END)
        assert {one.count for one in run.alive} == {END - NEAR, EARLY} and run.started == 2
        prepared(standby, END - NEAR // 2)
        assert run.started == 2
        taken = [standby.take(END - 1, nobody_leaves), standby.take(END - 1, nobody_leaves)]
        assert [one.count for one in taken] == [END - NEAR, EARLY]
        assert standby.take(END - 1, nobody_leaves) is None
    assert run.alive == set(taken)


def test_early_in_the_run_one_is_enough_and_it_is_never_beyond_the_place(run):
    with contextlib.closing(Standby(run.fresh)) as standby:
        prepared(standby, NEAR + 5)
        assert [one.count for one in run.alive] == [5]
        assert standby.take(4, nobody_leaves) is None


def test_the_one_that_is_near_goes_on_with_the_run_and_is_made_again_after_a_way_back(run):
    with contextlib.closing(Standby(run.fresh)) as standby:
        prepared(standby, 3 * FAR)
        prepared(standby, 6 * FAR)
        assert {one.count for one in run.alive} == {6 * FAR - NEAR, EARLY} and run.started == 2
        prepared(standby, 4 * FAR)
        assert {one.count for one in run.alive} == {4 * FAR - NEAR, EARLY} and run.started == 3


def test_there_are_never_more_than_two_wherever_somebody_goes(run):
    with contextlib.closing(Standby(run.fresh)) as standby:
        for here in (END, *range(EARLY, NEAR, -NEAR), END, EARLY // 2, 3 * FAR):
            prepared(standby, here)
            assert len(run.alive) <= 2 and max(one.count for one in run.alive if one.count <= here) >= here - FAR


def test_one_that_is_being_made_is_waited_for_by_who_can_use_it(run):
    with contextlib.closing(Standby(run.fresh)) as standby:
        run.free.clear()
        standby.prepare(END)
        assert run.leading.wait(60)
        assert standby.take(EARLY, nobody_leaves) is None     # it is led beyond that

        def leaves():
            raise Interrupted
        with pytest.raises(Interrupted):
            standby.take(END, leaves)
        assert standby.take(END, run.free.set).count == END - NEAR


def test_closing_gives_up_what_is_being_made_and_ends_all(run):
    with contextlib.closing(Standby(run.fresh)) as standby:
        prepared(standby, FAR)
        run.free.clear()
        run.leading.clear()
        standby.prepare(END)
        assert run.leading.wait(60)
    assert run.alive == set()


def test_where_there_is_no_room_there_is_none_and_nothing_is_tried_until_the_next_move(run):
    tried = []

    def fresh(wanted):
        tried.append(wanted)
        raise Trouble("no folder with room")
    with contextlib.closing(Standby(fresh)) as standby:
        prepared(standby, END)
        assert standby.take(END, nobody_leaves) is None and len(tried) == 1
        prepared(standby, END)
        assert len(tried) == 2

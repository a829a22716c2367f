"""What of memory is asked about where a segment of shared memory is wrong, in our kernel's design and in three others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from designs import DEST, HIGH, N_RECORDS, RECORDS, Areas, Design, Listed, shared
from judging import failure
from machine import PAGE, Machine
from shrimpy.kernel.panic import Panic
from shrimpy.origins import Culprit, What
from shrimpy.replay import questions
from shrimpy.replay.questions import Question
from shrimpy.rules import culprits, evaluate
from shrimpy.snapshot import Hart, Snapshot


def asked(m: Machine, rule: str, *earlier: Snapshot) -> list[Question]:
    snapshot = m.snapshot()
    found = culprits.of(failure(snapshot, rule), snapshot, earlier)
    assert found is not None
    return list(questions.about(found, m.reader(), m.info))


def test_a_segment_that_goes_while_it_is_attached_is_asked_who_took_it_out_of_use():
    m, _, one = shared()
    m.put(one.at, 0)
    first, *others = asked(m, "segment-pages")
    assert (first.what, first.pa, first.label, first.instead) == (What.SEGMENT, one.at, "frames", False)
    assert [(each.what, each.pa, each.instead) for each in others] == [(What.FREED, one.frames[0], True)]


def test_a_size_and_a_key_are_asked_of_the_segments_own_part():
    m, d, _ = shared()
    short = d.make(2 * PAGE, 0x1234)
    m.put(short.at + d.size, 2 * PAGE + 1)
    assert [(one.what, one.pa, one.label) for one in asked(m, "segment-pages")] == [(What.SEGMENT, short.at, "frames")]
    assert [(one.pa, one.size, one.label) for one in asked(m, "segment-private")] == [(short.at + d.key, 4, "__key")]


def test_what_was_removed_and_stays_is_asked_of_the_mark_and_of_the_last_who_let_go():
    m, d, _ = shared()
    left = d.make()
    m.put(left.at + d.mode, DEST, 4)
    found = asked(m, "segment-removed")
    assert {(one.what, one.pa, one.rival) for one in found} == {
        (What.SEGMENT, left.at + d.mode, True), (What.ATTACHED, left.at + d.count, True)}


@pytest.mark.parametrize("design, n_asked", [(Design, 1), (Areas, 4)])
def test_a_page_that_stays_is_asked_of_its_entry_and_of_what_the_process_keeps(design, n_asked):
    m, _, _ = shared(design)
    kept = m.processes[4].address + (N_RECORDS if design is Design else RECORDS + 20)
    m.put(kept, 0, 4)
    found = asked(m, "segment-pages")
    assert [one.what for one in found] == [What.ATTACHED] * n_asked + [What.ENTRY] and all(one.rival for one in found)
    assert found[0].pa == kept and questions.answers(found[0], 1, 0, ["detach"]) and not questions.answers(found[0], 0, 1, ["attach"])


def test_a_kernel_that_keeps_nothing_of_a_process_is_asked_of_nothing_there():
    m, _, _ = shared(Listed)
    assert questions.about(Culprit(proc=m.processes[4].address, attached=True), m.reader(), m.info) == ()


def test_a_panic_at_a_page_of_a_segment_is_asked_of_whoevers_table_it_is_in():
    m, _, one = shared()
    harts = [Hart(0, pid=3, privilege="S", function="panic", calls=("panic", "freewalk", "wait"))]
    entry = next(each for each in m.snapshot().process(4).mappings if each.va == HIGH)
    snapshot = replace(m.snapshot(harts), panic=Panic("panic", va=HIGH, pte_at=entry.pte_at, pte=entry.pte))
    found = culprits.of(next(each for each in evaluate(snapshot) if each.rule == "no-panic"), snapshot)
    assert (found.pte_at, found.proc, found.attached, found.rivals) == (entry.pte_at, m.processes[4].address, True, True)


def test_an_address_is_asked_of_who_chose_it():
    m, _, _ = shared()
    m.field(m.processes[4], "sz", HIGH + 1)
    found = asked(m, "segment-place")
    assert {(one.what, one.rival, one.outer) for one in found} == {(What.FIELD, True, True), (What.ENTRY, True, True)}
    chain = ["mapframes", "attach", "attachat", "sys_shmat", "syscall", "usertrap"]
    assert [questions.to_look_at(chain, outer) for outer in (True, False)] == [(2, None), (1, "attachat")]
    assert questions.to_look_at(["mappages", "sys_shmat", "syscall"], True) == (1, None)


def test_a_count_is_asked_of_who_came_or_went_since_it_was_right_and_else_of_who_counted():
    m, d, one = shared()
    right = m.snapshot()
    [high] = asked_after(m, one.at + d.count, +1, right)
    assert (high.what, high.pa, high.rises) == (What.ATTACHED, one.at + d.count, True)
    m.put(one.at + d.count, m.get(one.at + d.count) - 1)

    gone = next(each for each in right.process(5).mappings if each.va == HIGH)
    for i in range(len(one.frames)):
        m.unmap(m.processes[5].root, HIGH + i * PAGE)
    m.put(m.processes[5].address + RECORDS + 8, 0)
    assert (asked(m, "segment-count", right)[0].what, asked(m, "segment-count", right)[0].pa) == (What.UNMAPPED, gone.pte_at)


def test_a_count_that_was_too_low_from_the_first_is_asked_of_who_came_last():
    m, d, one = shared()
    entry = next(each.pte_at for each in m.snapshot().process(5).mappings if each.va == HIGH)
    [low] = asked_after(m, one.at + d.count, -1)
    assert (low.what, low.pa) == (What.ENTRY, entry)


def asked_after(m: Machine, at: int, by: int, *earlier: Snapshot) -> list[Question]:
    m.put(at, m.get(at) + by)
    return asked(m, "segment-count", *earlier)

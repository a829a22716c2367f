"""What a failure is about, whom to ask for it, and which line is named: data first, then the sentence."""

from __future__ import annotations

from dataclasses import replace

from machine import FRY, SHRIMP, R, U, W, family
from shrimpy import origins, words
from shrimpy.kernel.panic import Panic
from shrimpy.origins import Call, Culprit, Origin, OfVerdict, Traced, Untold, What
from shrimpy.reasons import Holder, Kind, Named, Reason, Subject
from shrimpy.replay import questions
from shrimpy.rules import FAIL, Verdict, causes, culprits, evaluate
from shrimpy.snapshot import Hart
from shrimpy.spec import Cell, Differs, Divergence

CHAIN = ["memset", "uvmcreate", "addtable", "walk", "mappages", "proc_pagetable", "exec", "sys_exec", "syscall", "usertrap"]


def first_failure(machine):
    return causes.blocks(evaluate(machine.snapshot()))[0].cause.example


def test_a_wrong_frame_is_asked_of_its_entry_and_of_the_process_that_holds_it():
    m = family()
    process = m.processes[4]
    wrong = m.alloc()
    m.map(process.root, SHRIMP, wrong, R | W | U)
    found = culprits.of(first_failure(m), m.snapshot())
    seen = m.snapshot().process(4)
    entry = next(one.pte_at for one in seen.mappings if one.va == SHRIMP)
    assert (found.pte_at, found.proc, found.value, found.frame) == (entry, seen.proc, wrong, wrong)


def test_a_process_is_not_asked_why_it_holds_its_own_page_unless_two_fields_do():
    m = family()
    process = m.processes[4]
    m.map(process.root, SHRIMP, process.fry, R | W | U)
    snapshot = m.snapshot()
    verdict = next(v for v in evaluate(snapshot) if v.status == FAIL and v.rule == "shrimp-pair" and v.pid == 4)
    found = culprits.of(verdict, snapshot)
    assert found.pte_at is not None and found.own
    assert [one.what for one in questions.about(found, m.reader(), m.info)][:1] == [What.ENTRY]
    for name in "fry", "shrimp":
        m.put(snapshot.process(4).proc + m.info.field("proc", name).offset, process.fry)
    assert [(one.what, one.rival) for one in questions.about(found, m.reader(), m.info)][:2] == [(What.FIELD, True)] * 2


def test_a_page_that_is_missing_is_asked_of_the_entry_that_it_would_have():
    m = family()
    m.unmap(m.processes[4].root, SHRIMP)
    found = culprits.of_divergence(Divergence(Differs.MISSING, cell=Cell(2, "SHRIMP")), m.snapshot(), {2: 4})
    assert (found.pte_at, found.root, found.va) == (None, m.processes[4].root, SHRIMP)


def test_a_child_that_can_run_too_early_is_asked_of_its_state():
    m = family()
    m.unmap(m.processes[4].root, SHRIMP)
    snapshot = m.snapshot()
    missing = next(v for v in evaluate(snapshot) if v.status == FAIL and v.rule == "shrimp-pair" and v.pid == 4)
    found = culprits.of(missing, snapshot, can_run={4})
    assert found == Culprit(proc=snapshot.process(4).proc, early=True)
    [asked] = questions.about(found, m.reader(), m.info)
    assert (asked.label, asked.size) == ("state", 4) and culprits.of(missing, snapshot).pte_at != found.pte_at


def test_another_table_in_satp_is_asked_of_what_it_maps():
    m = family()
    other = m.processes[3].root
    satp = Verdict("satp-is-root", Subject("process", Named(4, "sh")), FAIL, Reason(Kind.SATP_NOT_ROOT, frame=other),
                   process=Named(4, "sh"))
    assert culprits.of(satp, m.snapshot()) == Culprit(root=other, va=SHRIMP)


def test_where_a_heap_and_a_segment_meet_the_later_of_size_and_entry_is_wanted():
    m = family()
    seen = m.snapshot().process(4)
    meets = Verdict("segment-place", Subject("process", Named(4, "sh")), FAIL, Reason(Kind.ATTACHED_PLACE, va=0, value=seen.sz),
                    process=Named(4, "sh"), va=0)
    asked = questions.about(culprits.of(meets, m.snapshot()), m.reader(), m.info)
    assert {(one.what, one.rival) for one in asked} == {(What.FIELD.value, True), (What.ENTRY.value, True)}


def test_wrong_rights_are_the_entrys_alone():
    m = family()
    m.map(m.processes[4].root, FRY, m.processes[4].fry, R | W)
    assert set(culprits_fields(culprits.of(first_failure(m), m.snapshot()))) == {"pte_at"}


def culprits_fields(one: Culprit) -> list[str]:
    return [name for name in ("pte_at", "root", "va", "proc", "value", "frame", "unmapped", "count", "at") if getattr(one, name) is not None]


def test_a_lost_frame_is_asked_of_the_last_entry_that_mapped_it():
    m = family()
    earlier = m.snapshot()
    frame = m.processes[4].fry
    entry = next(one.pte_at for one in earlier.process(4).mappings if one.va == FRY)
    m.unmap(m.processes[4].root, FRY)
    lost = Verdict("frames-conserved", Subject("frames", pa=frame), FAIL, Reason(Kind.LOST))
    found = culprits.of(lost, m.snapshot(), [earlier])
    assert (found.frame, found.unmapped, found.lost) == (frame, entry, True)


def test_a_panic_is_asked_who_freed_the_frame_before_and_who_else_gave_it_back():
    m = family()
    snapshot = m.snapshot([Hart(0, pid=4, privilege="S", function="panic", calls=("panic", "kfree", "freeproc", "wait"))])
    panicked = next(one for one in evaluate(snapshot) if one.rule == "no-panic")
    assert culprits.of(panicked, snapshot) is None
    found = culprits.of(panicked, replace(snapshot, panic=Panic("panic", frame=m.processes[4].fry)))
    assert (found.frame, found.freed, found.late) == (m.processes[4].fry, True, ("kfree", "freeproc", "wait"))
    left = replace(snapshot, panic=Panic("panic", va=FRY, pte_at=0x80001008, pte=1))
    assert culprits.of(next(one for one in evaluate(left) if one.rule == "no-panic"), left).pte_at == 0x80001008


def test_a_divergence_is_asked_of_the_cell_that_differs():
    m = family()
    snapshot = m.snapshot()
    frame = next(one.pa for one in snapshot.process(4).mappings if one.va == SHRIMP)
    pids = {0: 2, 2: 4}
    of_frame = culprits.of_divergence(Divergence(Differs.NOT_SHARED, cell=Cell(2, "SHRIMP")), snapshot, pids)
    assert (of_frame.proc, of_frame.value) == (snapshot.process(4).proc, frame)
    of_word = culprits.of_divergence(Divergence(Differs.CONTENT, cell=Cell(2, "SHRIMP"), index=3), snapshot, pids)
    assert of_word.at == frame + 24
    assert culprits.of_divergence(Divergence(Differs.HANGS), snapshot, pids) is None


def test_a_page_that_has_come_to_another_frame_is_asked_of_its_entry_and_not_of_the_words_of_that_frame():
    m = family()
    before, process = m.snapshot(), m.processes[4]
    m.map(process.root, SHRIMP, m.alloc(), R | W | U)
    now, pids = m.snapshot(), {0: 2, 2: 4}
    wrong = Divergence(Differs.CONTENT, cell=Cell(2, "SHRIMP"), index=3)
    moved, stayed = culprits.of_divergence(wrong, now, pids, [before]), culprits.of_divergence(wrong, now, pids, [now])
    assert (moved.at, moved.proc, moved.va) == (None, process.address, SHRIMP) and stayed.at
    absent = replace(before, processes=tuple(one for one in before.processes if one.pid != 4))     # what was written is not in its new page
    assert [culprits.of_divergence(replace(wrong, written=written), now, pids, [absent]).at is None for written in (True, False)] == [
        True, False]
    frame = next(one.pa for one in now.process(4).mappings if one.va == SHRIMP)
    reused = Verdict("orphan-alive", Subject("process", Named(4)), FAIL, Reason(Kind.ORPHAN_REUSED, frame=frame), Named(4), SHRIMP)
    assert [culprits.of(reused, now, earlier).freed for earlier in ([before], [now])] == [False, True]


def test_a_value_that_is_in_another_page_instead_is_asked_of_that():
    m = family()
    snapshot = m.snapshot()
    fry = next(one.pa for one in snapshot.process(4).mappings if one.va == FRY)
    wrong = Divergence(Differs.CONTENT, cell=Cell(2, "SHRIMP"), other=Cell(2, "FRY"), index=3)
    assert culprits.of_divergence(wrong, snapshot, {2: 4}).at == fry + 24


def test_the_line_to_look_at_is_of_who_called_what_only_serves():
    assert questions.to_look_at(CHAIN) == (5, "exec")
    read = ["memmove", "copyout", "drain", "fileread", "sys_read", "syscall", "usertrap"]
    assert questions.to_look_at(read) == (2, "fileread") and questions.to_look_at(read, copied=True) == (1, "fileread")
    assert questions.to_look_at(CHAIN, copied=True) == (5, "exec")
    assert questions.to_look_at(["sharefry", "fork", "sys_fork", "syscall", "usertrap"]) == (0, "fork")
    assert questions.to_look_at(["fork", "sys_fork", "syscall", "usertrap"]) == (0, None)
    assert questions.to_look_at(["memset"]) == (0, None) and questions.to_look_at([]) == (None, None)


def test_who_gave_a_frame_back_beside_the_usual_way_is_asked_since_it_was_taken():
    asked = questions.Question(What.COUNT.value, 0x80001000, 2, apart=("freeproc",))
    usual, other = ["kfree", "freeproc", "wait"], ["kfree", "kill", "sys_kill"]
    assert [questions.answers(asked, 2, 1, names) for names in (usual, other)] == [False, True]
    assert not questions.answers(asked, 1, 2, ["kdup", "fork"])
    taken = ["takefree", "kalloc", "kzalloc", "fork"]
    assert questions.answers(asked, 0, 1, taken) and questions.is_the_end(asked, 0, 1, taken) and not questions.is_the_end(asked, 2, 1, other)


def test_of_a_count_that_nobody_lowered_who_came_to_the_frame_last_is_asked():
    m = family()
    snapshot = m.snapshot()
    last = snapshot.process(5)
    frame, entry = next((one.pa, one.pte_at) for one in last.mappings if one.va == SHRIMP)
    low = Verdict("count-matches", Subject("frames", pa=frame), FAIL, Reason(Kind.MISCOUNTED, frame=frame, label="kmem.refs", value=1, bound=2))
    found = culprits.of(low, snapshot)
    assert (found.uncounted, found.pte_at, found.proc, found.value) == (True, entry, last.proc, frame)
    asked = questions.about(found, m.reader(), m.info)
    assert [(one.what, one.instead) for one in asked][-1] == (What.ENTRY, True) and all(one.instead for one in asked if one.what != What.COUNT)


def test_a_frame_of_two_who_do_not_belong_together_was_freed_too_early():
    m = family()
    stale = next(one.pa for one in m.snapshot().process(5).mappings if one.va == SHRIMP)
    m.map(m.processes[2].root, FRY, stale, R | W | U)      # who is not the parent of 5
    low = Verdict("count-matches", Subject("frames", pa=stale), FAIL, Reason(Kind.MISCOUNTED, frame=stale, label="kmem.refs", value=1, bound=2))
    snapshot = m.snapshot()
    asked = questions.about(culprits.of(low, snapshot), m.reader(), m.info)
    assert snapshot.process(5).parent != 2 and asked[0].what == What.FREED

    of_a_pipe = replace(low, reason=replace(low.reason, users=(Holder("pipe"),)))
    asked = questions.about(culprits.of(of_a_pipe, family().snapshot()), m.reader(), m.info)
    assert asked[0].what == What.FREED


def test_what_clears_a_new_table_has_written_none_of_its_entries():
    asked = questions.Question(What.ENTRY.value, 0x80001000)
    assert questions.is_new(asked, 0, ["memset", "uvmcreate", "proc_pagetable"]) and questions.is_new(asked, 0, ["kzalloc", "walk"])
    assert not questions.is_new(asked, 0, ["uvmunmap", "exec"]) and not questions.is_new(asked, 1, ["memset", "kfree"])


def test_who_counted_a_frame_down_before_it_was_taken_is_not_asked():
    taken, down = ["takefree", "kalloc", "kzalloc", "fork"], ["drop", "kfree", "growproc"]
    asked = questions.Question(What.COUNT.value, 0x80001000, 2)
    assert questions.is_the_end(asked, 0, 1, taken) and questions.answers(asked, 0, 1, taken)
    assert questions.answers(asked, 1, 0, down) and not questions.is_the_end(asked, 1, 0, down)
    risen = replace(asked, rises=True)
    assert questions.answers(risen, 0, 1, taken) and not questions.is_the_end(risen, 0, 1, taken)


def test_of_those_that_have_one_page_the_youngest_is_asked_who_came_to_it_last():
    m = family()
    m.map(m.processes[4].root, FRY, m.processes[3].fry, R | W | U)
    snapshot = m.snapshot()
    verdict = next(v for v in evaluate(snapshot) if v.status == FAIL and v.rule == "fry-private" and v.pid == 3)
    found = culprits.of(verdict, snapshot)
    assert (found.root, found.va) == (snapshot.process(4).root, FRY)


def an_origin() -> Origin:
    calls = tuple(Call(name, "kernel/proc.c", 180 + at, "source") for at, name in enumerate(("kdup", "sharefry", "fork")))
    return Origin(What.FIELD.value, 0x80001000, 8, 5, 0, 0x87F40000, calls, 3, "sh", "fork()", "shrimp", 1, "fork")


def test_what_is_told_goes_to_json_and_back():
    some = (OfVerdict("shrimp-pair", Subject("process", Named(3, "sh")), Traced((an_origin(),)), SHRIMP),
            OfVerdict("fry-flags", Subject("kernel"), Traced(untold=Untold.NOT_AGAIN.value)))
    assert origins.DOCUMENT.parse(origins.to_json(some), origins.from_data) == some


def test_each_kind_of_store_and_each_reason_for_none_has_its_sentence():
    one = an_origin()
    said = [words.origins.lines(Traced((Origin(what.value, one.pa, 8, 5, 0, 1, one.calls, look=1, label="x"),))) for what in What]
    said += [words.origins.lines(Traced(untold=why.value, detail="why")) for why in Untold]
    assert len({line for lines in said for line in lines}) == len(What) + len(Untold)
    assert words.origins.place(one) == "kernel/proc.c:181 in sharefry, from fork"


def test_a_word_that_nobody_wrote_since_its_frame_was_taken_is_asked_of_who_took_it():
    m = family()
    frame = m.processes[4].fry
    word, taken = questions.about(Culprit(frame=frame, at=frame + 24), m.reader(), m.info)
    assert (word.what, word.rival, taken.what, taken.rival, taken.taking) == (What.WORD, True, What.FRAME, True, True)
    assert taken.pa == questions.about(replace(BY_COUNT, frame=frame), m.reader(), m.info)[0].pa != frame     # where it is counted


def test_who_took_a_lost_frame_is_who_called_the_allocator_and_not_who_wrote_to_it_last():
    m = family()
    taken, written = questions.about(Culprit(frame=m.processes[4].fry, lost=True), m.reader(), m.info)
    assert (taken.taking, taken.instead, written.taking, written.instead) == (True, False, False, True)
    assert taken.lost == m.processes[4].fry
    assert questions.answers(taken, 0, 1, ["takefree", "kalloc", "sys_exec"]) and not questions.answers(taken, 1, 2, ["kdup", "fork"])


BY_COUNT = Culprit(count="kmem.refs")


def test_a_page_of_the_heap_that_is_left_is_asked_of_its_entry_and_of_the_size_whichever_was_later():
    m = family()
    snapshot = m.snapshot([Hart(0, pid=4, privilege="S", function="panic", calls=("panic", "freewalk", "wait"))])
    entry = min(snapshot.process(4).mappings, key=lambda one: one.va)
    left = replace(snapshot, panic=Panic("panic", va=entry.va, pte_at=entry.pte_at, pte=entry.pte))
    found = culprits.of(next(one for one in evaluate(left) if one.rule == "no-panic"), left)
    assert (found.proc, found.value, found.rivals) == (m.processes[4].address, snapshot.process(4).sz, True)


def test_where_a_child_has_another_page_its_parents_field_is_asked_whether_it_changed_later():
    m = family()
    child, parent = m.processes[4], m.processes[3]
    m.map(child.root, SHRIMP, m.alloc(), R | W | U)
    pair = next(v for v in evaluate(m.snapshot()) if v.status == FAIL and v.rule == "shrimp-pair" and v.pid == 4)
    found = culprits.of(pair, m.snapshot())
    assert (found.other, found.wanted) == (parent.address, parent.fry)
    assert [one.label for one in questions.about(found, m.reader(), m.info) if one.later] == ["parent"]    # of the child


def test_what_names_the_parent_is_told_alone_where_it_was_written_later_but_not_by_the_same_fork():
    def at(instruction, what, call, later=False, pid=3):
        return questions.Question(what.value, later=later), Origin(what.value, instruction=instruction, pid=pid, system_call=call)

    def told(*answered):
        return [one.instruction for one in questions.to_tell(answered)]
    forked, exited = at(10, What.FIELD, "fork()"), at(30, What.FIELD, "exit(0)", later=True)
    entry = at(40, What.ENTRY, "exec(1)", pid=4)    # it says what the field said
    assert told(forked, exited) == told(forked, entry, exited) == told(exited) == [30]
    assert told(forked, entry) == [10, 40]
    assert told(forked, at(11, What.FIELD, "fork()", later=True)) == told(forked, at(9, What.FIELD, "exit(0)", later=True)) == [10]


def test_who_took_a_lost_frame_is_told_last_and_else_only_where_nothing_else_is():
    def at(instruction, what, **how):
        return questions.Question(what.value, **how), Origin(what.value, instruction=instruction)

    def told(*answered):
        return [one.instruction for one in questions.to_tell(answered)]
    field, taken = at(20, What.FIELD), at(10, What.FRAME)
    assert told(field, at(10, What.FRAME, lost=4096)) == [20, 10] and told(field, taken) == [20] and told(taken) == [10]
    assert told(at(20, What.ENTRY), taken) == [20, 10]


def test_an_orphan_belongs_to_its_first_parent():
    m = family()
    frame = next(one.pa for one in m.snapshot().process(5).mappings if one.va == SHRIMP)
    low = Verdict("count-matches", Subject("frames", pa=frame), FAIL, Reason(Kind.MISCOUNTED, frame=frame, label="kmem.refs", value=1, bound=2))
    then = m.snapshot()
    orphaned = replace(then, processes=tuple(replace(one, parent=1) if one.pid == 5 else one for one in then.processes))
    assert [culprits.of(low, orphaned, earlier).freed for earlier in ([], [then])] == [True, False]


def test_of_a_count_that_is_too_low_who_is_no_processs_end_is_told_first():
    m = family()
    found = replace(BY_COUNT, frame=m.processes[4].fry, uncounted=True)
    other, any_of_them = questions.about(found, m.reader(), m.info)
    end, fault = ["kfree", "freeproc", "wait"], ["kfree", "fault", "usertrap"]
    assert [questions.answers(one, 2, 1, names) for one in (other, any_of_them) for names in (end, fault)] == [False, True, True, True]

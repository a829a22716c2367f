"""One mistake is one block, and what explains the others comes first."""

import json
from dataclasses import replace

from machine import FRY, PAGE, SHRIMP, R, U, W, X, family
from shrimpy.reasons import Kind, Named, Reason, Subject
from shrimpy.rules import FAIL, PASS, WARNING, Verdict, causes, evaluate
from shrimpy.show import text
from shrimpy.spec import Cell, Differs, Divergence, Do, Op


def heads(verdicts):
    return [block.cause.example.rule for block in causes.blocks(verdicts)]


def test_one_wrong_fork_is_one_block_with_one_example_and_everybody_it_hurts():
    m = family()
    for pid in (2, 3, 4, 5):
        m.map(m.processes[pid].root, SHRIMP, m.alloc(), R | W | U)
    verdicts = evaluate(m.snapshot())
    first, *_ = causes.blocks(verdicts)
    assert (first.cause.example.rule, [v.pid for v in first.cause.verdicts]) == ("shrimp-pair", [2, 3, 4, 5])
    assert [one.example.rule for one in first.symptoms][:1] == ["shrimp-siblings"]
    said = text.block(first)
    assert said.count("expected") == 1 and "as well   pids 3, 4, 5" in said


def test_many_lost_frames_are_one_block():
    m = family()
    before = m.snapshot()
    for _ in range(60):
        m.alloc()
        m.available.insert(0, m.available.pop())
    m.unmap(m.processes[4].root, FRY)
    verdicts = evaluate(m.snapshot(), before)
    assert sum(v.status == FAIL for v in verdicts) > 16
    block = next(one for one in causes.blocks(verdicts) if one.cause.example.rule == "frames-conserved")
    assert len([one for one in causes.blocks(verdicts) if one.cause.example.rule == "frames-conserved"]) == 1
    assert len(text.block(block).splitlines()) < 20


def test_a_page_freed_too_early_comes_before_the_zeros_that_its_next_owner_overwrote():
    m = family()
    m.state(m.processes[5], "RUNNABLE", ["forkret"])
    m.available.append(m.processes[4].fry)
    m.put(m.processes[5].fry + PAGE - 8, 1)
    verdicts = evaluate(m.snapshot())
    assert {"fry-zeroed", "not-on-free-list"} <= {v.rule for v in verdicts if v.status == FAIL}
    [block] = causes.blocks(verdicts)
    assert block.cause.example.rule in ("not-on-free-list", "count-matches")
    assert "memset" not in text.block(block) and "FAIL fry-zeroed: pid 5" in text.block(block)


def test_a_warning_explains_no_failure():
    m = family()
    m.refs[m.processes[3].fry] = 1
    m.exits(m.processes[3])
    failures = [v for v in evaluate(m.snapshot()) if v.status == FAIL]
    assert heads(failures) == ["count-matches"]
    told = causes.blocks(replace(v, status=WARNING) if v.rule == "count-matches" else v for v in failures)
    assert [(block.cause.example.rule, block.cause.example.status) for block in told] == [("count-matches", WARNING), ("orphan-alive", FAIL)]


def test_two_misplaced_pages_are_one_block():
    verdicts = evaluate(family().snapshot(fry=FRY - 64 * PAGE, shrimp=SHRIMP - 64 * PAGE))
    assert heads(verdicts) == ["below-trapframe", "fry-flags"]


def test_two_mistakes_are_two_blocks():
    m = family()
    m.map(m.processes[4].root, SHRIMP, m.processes[4].shrimp, R | U)
    m.map(m.processes[5].root, FRY, m.processes[5].fry, R | W | X | U)
    verdicts = evaluate(m.snapshot())
    assert heads(verdicts) == ["fry-flags", "shrimp-flags"]
    assert [one.example.rule for one in causes.blocks(verdicts)[0].symptoms] == ["no-user-supervisor"]


def test_exec_that_drops_a_page_explains_that_it_is_missing():
    m = family()
    before = m.snapshot()
    p = m.processes[4]
    m.free(m.unmap(p.root, SHRIMP))
    new = m.alloc()
    m.ram[new - 0x80000000:new - 0x80000000 + PAGE] = m.ram[p.root - 0x80000000:p.root - 0x80000000 + PAGE]
    m.field(p, "pagetable", new)
    m.free(p.root)
    verdicts = evaluate(m.snapshot(), before)
    [block] = causes.blocks(verdicts)
    assert (block.cause.example.rule, [one.example.rule for one in block.symptoms]) == ("exec-keeps", ["shrimp-pair"])


def test_an_entry_that_leads_nowhere_explains_what_is_compared_with_it():
    m = family()
    p = m.processes[3]
    m.put(m.pte_at(p.root, FRY), 0x40000000 >> 2 | R | W | U | 1)
    first, *others = causes.blocks(evaluate(m.snapshot()))
    assert (first.cause.example.rule, first.cause.example.pid) == ("frame-in-ram", 3)
    assert "shrimp-pair" in [alike.example.rule for alike in first.symptoms] and "shrimp-pair" not in [one.cause.example.rule for one in others]


def test_shared_tables_explain_what_freeing_them_twice_does():
    m = family()
    m.put(m.processes[4].root, m.get(m.processes[3].root))
    m.alloc()
    verdicts = evaluate(m.snapshot())
    [block] = causes.blocks(verdicts)
    assert block.cause.example.rule == "table-private" and "frames-conserved" in [one.example.rule for one in block.symptoms]


def test_a_panic_comes_last_and_once():
    panic = Verdict("no-panic", Subject("kernel"), FAIL, Reason(Kind.PANICKED, function="panic"))
    freed = Verdict("not-on-free-list", Subject("process", Named(3)), FAIL, Reason(Kind.FREE_IN_USE, frame=0x1000), Named(3))
    assert heads([panic, freed]) == ["not-on-free-list", "no-panic"]


def test_a_panic_explains_what_was_played_until_it_and_nothing_else_that_was():
    panic = Verdict("no-panic", Subject("kernel"), FAIL, Reason(Kind.PANICKED, function="panic"))
    for what, n_blocks in ((Differs.PANICKED, 1), (Differs.LEAK, 2)):
        played = Verdict("specification", Subject("kernel"), FAIL, Reason(Kind.DIVERGED, played=Divergence(what, (Op(0, Do.FORK, 2),), seen=1)))
        told = causes.blocks([played, panic])
        assert (told[0].cause.example.rule, len(told)) == ("no-panic", n_blocks)


def failed(rule, kind, **more):
    function = more.pop("function", None)
    return Verdict(rule, Subject("kernel"), FAIL, Reason(kind, **more), function=function)


def differs(what, page="FRY", **more):
    return failed("specification", Kind.DIVERGED, played=Divergence(what, (Op(0, Do.FORK, 2),), Cell(2, page), seen=1, expected=0), **more)


def test_what_is_new_where_playing_differs_is_one_block():
    some = [failed("shrimp-pair", Kind.SHRIMP_NOT_PARENTS, frame=0x1000), failed("frames-conserved", Kind.LOST, frame=0x9000),
            differs(Differs.CONTENT)]
    assert heads(some) == ["shrimp-pair", "frames-conserved", "specification"]
    [block] = causes.blocks(some, some)
    assert [one.example.rule for one in (block.cause, *block.symptoms)] == ["shrimp-pair", "frames-conserved", "specification"]


def test_what_an_earlier_stop_showed_too_is_not_put_to_what_playing_shows():
    open_page = failed("trampoline-kernel-only", Kind.KERNEL_PAGE_OPEN, va=0x3ffffff000)
    some = [open_page, failed("shrimp-pair", Kind.SHRIMP_NOT_PARENTS, frame=0x1000), differs(Differs.CONTENT, "SHRIMP")]
    told = causes.blocks(some, some[1:])
    assert [[one.example.rule for one in (block.cause, *block.symptoms)] for block in told] == [
        ["shrimp-pair", "specification"], ["trampoline-kernel-only"]]


def test_a_page_that_is_free_explains_whatever_playing_shows_of_it_and_no_wrong_answer():
    for what, n_blocks in ((Differs.CONTENT, 1), (Differs.SHARED, 1), (Differs.DIED, 1), (Differs.ANSWER, 2), (Differs.LEAK, 2)):
        assert len(causes.blocks([failed("not-on-free-list", Kind.FREE_IN_USE, frame=0x1000), differs(what)])) == n_blocks


def test_two_functions_are_two_mistakes_and_nobody_named_is_none():
    wrong = failed("shrimp-pair", Kind.SHRIMP_NOT_PARENTS, frame=0x1000, function="fork")
    for function, n_blocks in (("fork", 1), (None, 1), ("exec", 2)):
        assert len(causes.blocks([wrong, differs(Differs.NOT_SHARED, "SHRIMP", function=function)])) == n_blocks


def test_every_failure_is_in_one_block_and_what_passes_in_none():
    m = family()
    m.map(m.processes[4].root, SHRIMP, m.alloc(), R | U)
    verdicts = evaluate(m.snapshot())
    told = [v for block in causes.blocks(verdicts) for v in block.verdicts]
    assert sorted(map(id, told)) == sorted(id(v) for v in verdicts if v.status == FAIL)
    assert causes.blocks(evaluate(family().snapshot())) == []


def test_json_has_the_blocks_by_the_places_of_their_verdicts():
    m = family()
    m.map(m.processes[4].root, SHRIMP, m.alloc(), R | W | U)
    snapshot = m.snapshot()
    told = json.loads(text.verdicts_json(snapshot, evaluate(snapshot)))
    places = [at for group in told["groups"] for some in (group["cause"], *group["symptoms"]) for at in some]
    assert sorted(places) == [i for i, v in enumerate(told["verdicts"]) if v["status"] == FAIL]
    assert told["verdicts"][told["groups"][0]["cause"][0]]["rule"] == told["groups"][0]["rule"] == "shrimp-pair"
    assert all(v["status"] in (PASS, FAIL, "skipped") for v in told["verdicts"])


def test_every_kind_of_failure_has_its_place_in_the_order():
    from shrimpy.words import verdicts
    assert set(causes._RANK) == set(verdicts._FAILURES)

"""Each rule passes what is right, and at an unsettled stop it says so instead
of failing. (test_mistakes.py has what each rule catches.)"""

import dataclasses

import pytest
from judging import failed_rules, failure, failures, kinds, reasons, statuses
from machine import (BASE, FRY, KEPT, PAGE, PANICKED, SHRIMP, TRAMPOLINE, TRAPFRAME, Machine, R, U, W, X,
                     family)
from shrimpy.kernel.panic import Panic
from shrimpy.memory.sv39 import Finding
from shrimpy.reasons import KERNEL, KERNEL_TABLE, Holder, Kind, Named, Reason, Subject
from shrimpy.rules import FAIL, MOMENT, NOTHING, PASS, RULES, SKIPPED, UNKNOWN, Known, evaluate, held_back, status
from shrimpy.show import text
from shrimpy.snapshot import Hart, Snapshot

KERNEL_RULES = {r.id for r in RULES if not r.needs_fry}
OF_SEGMENTS = {r.id for r in RULES if r.id.startswith("segment-")}


def in_kernel(pid, function="uvmunmap", hart=0):
    return Hart(hart, pid, "S", None, BASE + 0x1000, function)


def running(m, p, privilege, pc=BASE, function=None, hart=1):
    """p runs on a hart: the registers of the other harts are idle ones."""
    m.state(p, "RUNNING")
    m.put(0x80002000 + 128 * hart, p.address)
    return [Hart(0, None, "S", None, BASE, "scheduler"),
            Hart(hart, None, privilege, None, pc, function)]


def test_every_rule_speaks_and_passes_where_it_can():
    verdicts = evaluate(family().snapshot())
    assert {v.rule for v in verdicts} == {r.id for r in RULES}
    passed = {v.rule for v in verdicts if v.status == PASS}
    assert passed == {r.id for r in RULES} - {"orphan-alive", "exec-keeps", "fry-zeroed", "frames-return", "satp-is-root",
                                                 "specification"} - OF_SEGMENTS
    assert status(verdicts) == 0
    assert all(v.statement and v.subject for v in verdicts)


def test_verdicts_are_the_same_of_a_snapshot_that_went_through_json():
    m = family()
    m.map(m.processes[4].root, SHRIMP, m.alloc(), R | U)
    snapshot = m.snapshot()
    assert evaluate(Snapshot.from_json(snapshot.to_json())) == evaluate(snapshot)


def test_a_failure_says_who_where_what_and_what_to_look_at():
    m = family()
    for pid in (4, 5):
        m.map(m.processes[pid].root, SHRIMP, m.alloc(), R | W | U)
    v = failure(m.snapshot(), "shrimp-pair")
    assert all(getattr(v, name) is not None for name in (
        "pid", "name", "va", "pte_at", "pte", "expected", "actual", "function", "explanation"))
    assert v.about == Subject("process", Named(4, "shrimpdemo"))


def test_functions_have_the_names_of_this_kernel():
    m = family()
    for pid in (4, 5):
        m.map(m.processes[pid].root, SHRIMP, m.alloc(), R | W | U)
    renamed = dataclasses.replace(m.snapshot(), functions=(("fork", "kfork"),))
    assert failure(renamed, "shrimp-pair").function == "kfork"


def test_a_kernel_without_fry_is_judged_by_the_other_rules():
    verdicts = evaluate(family().snapshot(fry=None, shrimp=None, fry_from=None))
    shrimpy = [v for v in verdicts if v.rule not in KERNEL_RULES]
    assert {v.reason for v in shrimpy} == {Reason(Kind.PAGE_NOT_DEFINED, page="FRY")}
    assert {v.status for v in shrimpy} == {SKIPPED}
    assert {v.status for v in verdicts if v.rule in KERNEL_RULES - OF_SEGMENTS - {"frames-return", "satp-is-root"}} == {PASS}
    assert status(verdicts) == 2


def test_a_failure_is_status_1_even_without_fry():
    m = family()
    m.alloc()
    assert status(evaluate(m.snapshot(fry=None, shrimp=None))) == 1


def test_nothing_judged_is_status_2():
    assert status([]) == 2
    assert status(evaluate(Machine().snapshot())) == 2


# shrimp-pair

def test_the_first_process_has_no_shrimp_to_judge():
    assert Kind.FIRST_PROCESS in kinds(family().snapshot(), "shrimp-pair")


def test_a_shrimp_page_of_the_first_process_fails():
    m = family()
    m.map(m.processes[1].root, SHRIMP, m.alloc(), R | W | U)
    assert failure(m.snapshot(), "shrimp-pair").pid == 1


def test_a_child_half_made_is_skipped():
    m = family()
    child = m.processes[5]
    m.free(m.unmap(child.root, SHRIMP))
    m.state(child, "USED")
    snapshot = m.snapshot(running(m, m.processes[3], "S", function="fork"))
    assert failed_rules(snapshot) == set()
    assert Kind.HALF_MADE in kinds(snapshot, "shrimp-pair")


def test_a_grandchild_has_its_own_parents_page_not_its_grandparents():
    m = family()
    grandchild = m.process(6, m.processes[4])
    assert failed_rules(m.snapshot()) == set()
    m.free(m.unmap(grandchild.root, SHRIMP))
    m.map(grandchild.root, SHRIMP, m.processes[3].fry, R | W | U)
    m.refs[m.processes[3].fry] += 1
    v = failure(m.snapshot(), "shrimp-pair")
    assert v.pid == 6 and ("FRY", 3) in [(u.page, u.process.pid) for u in v.reason.users]


def orphans():
    """The parent has exited and its page was kept for the two children."""
    m = family()
    m.exits(m.processes[3])
    return m


def test_orphans_whose_page_was_kept_pass():
    snapshot = orphans().snapshot()
    assert failed_rules(snapshot) == set()
    assert statuses(snapshot, "orphan-alive") == [PASS, PASS]
    assert Kind.ADOPTED in kinds(snapshot, "shrimp-pair")


def test_an_orphan_of_a_zombie_that_nobody_has_buried_passes():
    m = family()
    parent = m.processes[3]
    m.state(parent, "ZOMBIE")
    for pid in (4, 5):
        m.field(m.processes[pid], "parent", m.processes[1].address)
    snapshot = m.snapshot()
    assert failed_rules(snapshot) == set()
    assert statuses(snapshot, "orphan-alive") == [PASS, PASS]


def test_an_orphans_frame_that_is_a_living_strangers_fry_fails():
    m = orphans()
    stranger = m.process(6, m.processes[2])
    m.map(stranger.root, FRY, m.processes[4].shrimp, R | W | U)
    assert {v.rule for v in failures(m.snapshot())} >= {"shrimp-pair", "orphan-alive"}


def test_an_orphans_frame_that_became_a_page_table_fails():
    m = orphans()
    frame = m.processes[4].shrimp
    stranger = m.process(6, m.processes[2])
    m.put(stranger.root + 8 * 100, frame >> 2 | 1)
    assert failure(m.snapshot(), "orphan-alive").reason.users[0].kind == "table"


def test_an_orphan_without_a_shrimp_page_fails():
    m = orphans()
    m.free(m.unmap(m.processes[4].root, SHRIMP))
    assert failure(m.snapshot(), "shrimp-pair").pid == 4


def test_a_child_of_the_first_process_shares_with_it():
    m = family()
    again = m.process(9, m.processes[1], "sh")
    assert failed_rules(m.snapshot()) == set()
    assert again.shrimp == m.processes[1].fry


def test_a_zombie_without_pages_is_skipped():
    m = family()
    zombie = m.processes[5]
    m.state(zombie, "ZOMBIE")
    m.free(m.unmap(zombie.root, SHRIMP))
    m.free(m.unmap(zombie.root, FRY))
    assert failed_rules(m.snapshot()) == set()


# Stops

def test_a_process_in_the_middle_of_a_system_call_is_skipped_where_it_would_fail():
    m = family()
    p = m.processes[4]
    harts = running(m, p, "S", function="uvmunmap")
    m.available.append(p.pages[0])      # kfree has run, the entry is not yet clear
    m.refs.pop(p.pages[0])
    snapshot = m.snapshot(harts)
    assert failed_rules(snapshot) == set()
    assert (Kind.IN_KERNEL, "uvmunmap") in {(r.kind, r.function) for r in reasons(snapshot, "not-on-free-list")}


def test_the_same_process_in_user_mode_fails():
    m = family()
    p = m.processes[4]
    harts = running(m, p, "U")
    m.available.append(p.pages[0])
    m.refs.pop(p.pages[0])
    assert failure(m.snapshot(harts), "not-on-free-list").pid == 4


def test_a_process_in_the_trampoline_is_at_rest():
    m = family()
    p = m.processes[4]
    harts = running(m, p, "S", pc=TRAMPOLINE + 0x90)
    m.alloc()
    assert "frames-conserved" in failed_rules(m.snapshot(harts))


def test_a_process_interrupted_inside_the_kernel_is_skipped():
    m = family()
    p = m.processes[4]
    m.state(p, "RUNNABLE", ["sched", "yield", "kerneltrap", "uvmunmap", "syscall", "usertrap"])
    m.map(p.root, FRY, p.fry, R | U)
    snapshot = m.snapshot()
    assert failed_rules(snapshot) == set()
    assert Kind.INTERRUPTED in kinds(snapshot, "fry-flags")


def test_a_process_that_a_timer_interrupted_in_user_mode_is_judged():
    m = family()
    p = m.processes[4]
    m.state(p, "RUNNABLE", ["sched", "yield", "usertrap"])
    m.map(p.root, FRY, p.fry, R | U)
    assert failure(m.snapshot(), "fry-flags").pid == 4


def test_frames_that_a_process_inside_exec_may_hold_are_not_called_lost():
    m = family()
    m.state(m.processes[4], "SLEEPING",
            ["sched", "sleep", "bread", "readi", "exec", "sys_exec", "syscall", "usertrap"])
    m.alloc()
    snapshot = m.snapshot()
    assert failed_rules(snapshot) == set()
    assert (Kind.WAITS_INSIDE, "exec") in {(r.kind, r.function) for r in reasons(snapshot, "frames-conserved")}
    assert Reason(Kind.NO_OWNER, n=1, total=0) in reasons(snapshot, "frames-conserved")


def test_frames_are_accounted_for_even_while_a_process_is_inside_exec():
    m = family()
    m.state(m.processes[4], "SLEEPING", ["sched", "sleep", "exec", "syscall", "usertrap"])
    assert statuses(m.snapshot(), "frames-conserved") == [PASS]


def test_a_hart_inside_the_allocator_may_hold_a_frame():
    m = family()
    m.alloc()
    snapshot = m.snapshot([Hart(0, None, "S", None, None, "kalloc")])
    assert statuses(snapshot, "frames-conserved") == [SKIPPED]


def test_while_the_allocators_lock_is_held_free_frames_are_not_judged():
    m = family()
    m.put(m.kmem, 1, 4)
    m.put(m.kmem + 16, 0x80002000 + 128)        # cpus[1]
    m.available.append(m.processes[3].fry)
    snapshot = m.snapshot()
    for rule in ("free-list-sound", "not-on-free-list", "frames-conserved", "count-matches"):
        assert statuses(snapshot, rule) == [SKIPPED]
        assert Reason(Kind.LOCK_HELD, lock="kmem", hart=1) in reasons(snapshot, rule)
    assert failed_rules(snapshot) == set()


def test_a_process_whose_lock_is_held_is_skipped_where_it_would_fail():
    m = family()
    child = m.processes[5]
    m.free(m.unmap(child.root, SHRIMP))
    m.put(child.address, 1, 4)
    assert failed_rules(m.snapshot()) == set()


def test_a_zombie_that_its_parent_is_burying_is_skipped():
    m = family()
    zombie, parent = m.processes[5], m.processes[3]
    m.state(zombie, "ZOMBIE")
    m.available.append(zombie.trapframe)
    m.refs.pop(zombie.trapframe)
    m.field(zombie, "trapframe", 0)
    snapshot = m.snapshot(running(m, parent, "S", function="freewalk"))
    assert failed_rules(snapshot) == set()
    assert Kind.BEING_BURIED in kinds(snapshot, "not-on-free-list")


def test_a_zombie_of_a_kernel_whose_processes_are_not_all_seen_may_have_been_given_back():
    """What leads to it may be a list of free structs: its tables are of somebody else by then."""
    m = family()
    zombie = m.processes[5]
    m.state(zombie, "ZOMBIE")
    snapshot = m.snapshot()
    wrong = Finding("misaligned-superpage", None, "a superpage that is not aligned to its size")
    gone = dataclasses.replace(snapshot, processes=tuple(dataclasses.replace(one, findings=(wrong,)) if one.pid == 5 else one
                                                         for one in snapshot.processes))
    assert "frame-in-ram" in failed_rules(gone)
    unseen = dataclasses.replace(gone, findings=(Finding("no-proc-table", None, "pointers do not lead to all"),))
    assert failed_rules(unseen) == set() and Kind.PROCESSES_UNKNOWN in kinds(unseen, "frame-in-ram")


def test_before_there_is_a_process_frames_are_not_judged():
    m = Machine()
    m.alloc()
    assert Kind.STARTING in kinds(m.snapshot(), "frames-conserved")


def test_a_panicked_kernel_is_judged_like_a_living_one():
    m = family()
    m.put(PANICKED, 1, 4)
    m.map(m.processes[4].root, FRY, m.processes[4].fry, R | U)
    snapshot = m.snapshot()
    assert snapshot.stop.panicked
    assert failure(snapshot, "fry-flags").pid == 4
    assert (failure(snapshot, "no-panic").pid, failure(snapshot, "no-panic").about) == (None, KERNEL)


def test_a_panic_is_put_to_the_process_it_came_in_and_to_who_called_it():
    m = family()
    idle, at_work = running(m, m.processes[4], "S", function="panic")
    panicking = dataclasses.replace(at_work, calls=("panic", "mappages", "uvmalloc", "exec"))
    verdict = failure(m.snapshot([idle, panicking]), "no-panic")
    assert (verdict.pid, verdict.function) == (4, "exec")
    assert (verdict.reason.function, verdict.reason.functions) == ("panic", ("mappages", "uvmalloc", "exec"))
    assert failed_rules(m.snapshot([idle, dataclasses.replace(at_work, function="mappages")])) == set()


def panicked_in(m, *callers):
    m.put(PANICKED, 1, 4)
    idle, at_work = running(m, m.processes[4], "S", function="panic")
    return m.snapshot([idle, dataclasses.replace(at_work, calls=("panic", *callers))])


def test_the_allocator_that_finds_a_frame_freed_earlier_accuses_nobody():
    assert failure(panicked_in(family(), "kdup", "sharefry", "fork", "sys_fork"), "no-panic").function is None
    assert failure(panicked_in(family(), "kerneltrap", "kernelvec", "kalloc", "fork"), "no-panic").function is None
    assert failure(panicked_in(family(), "kerneltrap", "kernelvec", "memset", "allocproc"), "no-panic").function == "allocproc"
    assert failure(panicked_in(family(), "kfree", "freeproc", "wait"), "no-panic").function is None
    assert failure(panicked_in(family(), "kerneltrap", "kernelvec", "isempty", "freewalk", "wait"), "no-panic").function is None


@pytest.mark.parametrize("va, to_look_at", [(FRY, "freeproc"), (0, "fork"), (None, "freeproc")])
def test_who_has_a_table_freed_with_memory_in_it_is_looked_at(va, to_look_at):
    snapshot = panicked_in(family(), "freewalk", "uvmfree", "freeproc", "fork", "sys_fork")
    snapshot = dataclasses.replace(snapshot, panic=Panic("panic", va=va))
    assert failure(snapshot, "no-panic").function == to_look_at
    snapshot = panicked_in(family(), "freewalk", "uvmfree", "freeproc", "wait")
    snapshot = dataclasses.replace(snapshot, panic=Panic("panic", va=0))
    assert failure(snapshot, "no-panic").function is None


@pytest.mark.parametrize("n_bytes, to_look_at", [(SHRIMP + PAGE, None), (4 * PAGE, "uvmcopy")])
def test_who_copies_a_heap_that_reaches_too_high_is_not_to_blame(n_bytes, to_look_at):
    snapshot = panicked_in(family(), "mappages", "uvmcopy", "fork", "sys_fork")
    processes = tuple(dataclasses.replace(one, sz=n_bytes) if one.pid == 4 else one for one in snapshot.processes)
    snapshot = dataclasses.replace(snapshot, processes=processes, panic=Panic("panic", va=SHRIMP))
    assert failure(snapshot, "no-panic").function == to_look_at


def test_without_a_debugger_a_running_process_is_not_at_rest():
    m = family()
    p = m.processes[4]
    m.state(p, "RUNNING")
    m.map(p.root, FRY, p.fry, R | U)
    assert failed_rules(m.snapshot([])) == set()
    assert Kind.ON_NO_HART in kinds(m.snapshot([]), "fry-flags")


# Pages and rights

def test_programs_that_are_all_write_and_execute_are_their_kernels_way():
    """xv6 before 2022 maps user memory so; so does a file linked with ld -N."""
    m = family()
    for p in m.processes.values():
        for va in (0, PAGE, 3 * PAGE):
            m.map(p.root, va, p.pages[va], R | W | X | U)
    assert failed_rules(m.snapshot()) == set()


def test_one_page_write_and_execute_fails():
    m = family()
    p = m.processes[4]
    m.map(p.root, PAGE, p.pages[PAGE], R | W | X | U)
    v = failure(m.snapshot(), "no-user-supervisor")
    assert (v.pid, v.va) == (4, PAGE)


def test_the_trampoline_made_user_fails():
    m = family()
    m.map(m.processes[4].root, TRAMPOLINE, BASE + PAGE, R | X | U)
    assert failure(m.snapshot(), "no-user-supervisor").va == TRAMPOLINE


def test_the_kernels_image_in_a_users_table_fails():
    m = family()
    m.map(m.processes[4].root, SHRIMP, BASE + 3 * PAGE, R | W | U)
    assert failure(m.snapshot(), "no-user-supervisor").reason.kind == Kind.IMAGE_OPEN


def test_a_hole_for_a_guard_page_passes():
    m = family()
    p = m.processes[4]
    m.free(m.unmap(p.root, 2 * PAGE))
    assert failed_rules(m.snapshot()) == set()


def test_the_accessed_and_dirty_bits_are_the_hardwares():
    m = family()
    p = m.processes[4]
    m.map(p.root, FRY, p.fry, R | W | U | 1 << 6 | 1 << 7)
    m.map(p.root, SHRIMP, p.shrimp, R | W | U | 1 << 6)
    assert failed_rules(m.snapshot()) == set()


def test_a_global_bit_on_a_shared_page_fails():
    m = family()
    p = m.processes[4]
    m.map(p.root, FRY, p.fry, R | W | U | 1 << 5)
    assert failure(m.snapshot(), "fry-flags").reason.flags[5] == "G"


def test_reserved_bits_are_no_legal_entry():
    m = family()
    at = m.pte_at(m.processes[4].root, 0)
    m.put(at, m.get(at) | 1 << 58)
    v = failure(m.snapshot(), "pte-legal")
    assert (v.pid, v.pte_at, v.pte) == (4, at, m.get(at))


def test_a_table_outside_ram_fails_and_frames_cannot_be_accounted_for():
    m = family()
    m.put(m.processes[4].root, 0x40000000 >> 2 | 1)
    snapshot = m.snapshot()
    assert failure(snapshot, "frame-in-ram").pid == 4
    assert Kind.TABLES_NOT_FOLLOWED in kinds(snapshot, "frames-conserved")


def test_a_bad_entry_of_the_kernels_own_table_fails():
    m = family()
    m.put(m.kernel_root + 8 * 3, 0x40000000 >> 2 | 1)
    assert failure(m.snapshot(), "frame-in-ram").about == KERNEL_TABLE


def test_a_table_under_two_entries_of_one_root_fails():
    m = family()
    root = m.processes[4].root
    m.put(root + 8 * 7, m.get(root))
    assert failure(m.snapshot(), "table-private").reason.kind == Kind.TABLE_REPEATED


def test_one_root_of_two_processes_fails_unless_the_kernel_has_threads():
    m = family()
    m.field(m.processes[5], "pagetable", m.processes[4].root)
    snapshot = m.snapshot()
    assert failure(snapshot, "table-private").pid == 4
    threads = dataclasses.replace(snapshot, functions=(("clone", "sys_clone"),))
    assert statuses(threads, "table-private").count(SKIPPED) == 2


# Frames and counts

def test_a_free_list_that_leaves_ram_fails_and_frames_are_not_accounted_for():
    m = family()
    m.write_free_list()
    m.put(m.available[-3], 0x1000)
    snapshot = m.look()
    assert failure(snapshot, "free-list-sound").about == Subject("list", label="kmem.freelist")
    assert Kind.FREE_LIST_BROKEN in kinds(snapshot, "frames-conserved")


def test_a_free_list_that_was_not_walked_is_said_to_be_so():
    snapshot = family().snapshot(walk_free=False)
    for rule in ("free-list-sound", "not-on-free-list", "frames-conserved"):
        assert statuses(snapshot, rule) == [SKIPPED]
        assert Kind.FREE_LIST_NOT_WALKED in kinds(snapshot, rule)


def test_a_lost_frame_is_told_with_what_it_was_last():
    m = family()
    before = m.snapshot()
    lost = m.unmap(m.processes[4].root, 3 * PAGE)
    v = failure(m.snapshot(), "frames-conserved", before)
    assert v.about.pa == lost and v.reason.users == (Holder("user", Named(4, "shrimpdemo"), None, 0x3000),)


def test_a_frame_that_a_kernel_variable_keeps_is_not_lost():
    m = family()
    kept, further = m.alloc(), m.alloc()
    m.put(KEPT + 8, kept)
    m.put(kept + 64, further)
    snapshot = m.snapshot()
    assert statuses(snapshot, "frames-conserved") == [PASS]
    assert [u.name for f in snapshot.frames for u in f.users if u.kind == "kernel"] == ["kept", "kept"]


def test_a_frame_that_a_field_of_a_living_process_keeps_is_not_lost():
    m = family()
    m.field(m.processes[4], "shrimp", m.alloc())
    assert statuses(m.snapshot(), "frames-conserved") == [PASS]


def kept_by_a_slot_that_is_free() -> Machine:
    """pid 5 has ended, and its slot still has its FRY's address."""
    m = family()
    p = m.processes[5]
    m.field(p, "fry", p.fry)
    m.refs[p.fry] += 1
    m.exits(p)
    return m


def test_a_frame_that_an_unused_slot_keeps_for_its_next_process_is_not_lost():
    m = kept_by_a_slot_that_is_free()
    snapshot = m.snapshot()
    assert statuses(snapshot, "frames-conserved") == [PASS]
    assert [(u.kind, u.pid, u.name) for f in snapshot.frames for u in f.users if u.kind == "kernel"] == [
        ("kernel", None, "proc[4].fry")]


def test_a_frame_is_lost_once_the_slot_that_kept_its_address_is_used_again():
    m = kept_by_a_slot_that_is_free()
    before = m.snapshot()
    kept = next(f.pa for f in before.frames for u in f.users if u.name == "proc[4].fry")
    m.field(m.process(6, m.processes[3], "shrimpdemo"), "fry", 0)
    assert failure(m.snapshot(), "frames-conserved", before).about == Subject("frames", pa=kept)


def test_a_slot_may_keep_a_frame_after_all_has_ended():
    m = family()
    m.process(6, m.processes[1], "sh")
    m.exits(m.processes[6])
    before = m.snapshot()
    p = m.process(7, m.processes[1], "sh")
    m.field(p, "fry", p.fry)
    m.refs[p.fry] += 1
    during = m.snapshot()
    m.exits(p)
    after = m.snapshot()
    assert [v.status for v in evaluate(after, during, Known(before=before)) if v.rule == "frames-return"] == [PASS]


def test_many_lost_frames_are_counted():
    m = family()
    for _ in range(60):
        m.alloc()
        m.available.insert(0, m.available.pop())
    found = [v for v in failures(m.snapshot()) if v.rule == "frames-conserved"]
    assert len(found) == 17 and found[-1].reason.kind == Kind.MORE_LOST


def test_a_block_of_which_only_the_first_pages_address_is_kept_is_not_lost():
    m = family()
    block = sorted(m.alloc() for _ in range(5))
    m.put(KEPT, block[0])
    assert statuses(m.snapshot(), "frames-conserved") == [PASS]
    leaked = m.alloc()
    m.available.remove(leaked - PAGE)
    m.available.append(leaked)
    m.refs[leaked - PAGE] = 1
    assert failure(m.snapshot(), "frames-conserved").about == Subject("frames", pa=leaked - PAGE)


def pool(n_pages: int) -> Machine:
    """A kernel that has set frames aside without a list or a pointer; the process with the last pid has one of them."""
    m = family()
    first = m.available[-(n_pages + 4)]
    for pa in range(first, first + n_pages * PAGE, PAGE):
        m.available.remove(pa)
    return m


def test_frames_that_no_list_ever_had_are_not_called_lost():
    m = pool(100)
    told = [v for v in evaluate(m.snapshot()) if v.rule == "frames-conserved"]
    assert [v.status for v in told] == [SKIPPED, PASS] and (told[0].about.kind, told[0].about.n_pages) == ("frames", 100)
    leaked = m.alloc()
    m.available.insert(0, m.available.pop())
    assert [v.about.pa for v in failures(m.snapshot()) if v.rule == "frames-conserved"] == [leaked]


def test_a_small_pool_of_frames_by_slot_is_not_called_lost_where_the_start_is_known():
    m = pool(6)
    known = Known(start=m.snapshot())
    p = m.process(6, m.processes[3], "shrimpdemo")
    pooled = m.available[-4] + PAGE
    m.map(p.root, FRY, pooled, R | W | U)
    m.free(p.fry)
    p.fry, m.refs[pooled] = pooled, 1
    during = m.snapshot()
    m.exits(p)
    m.available.remove(pooled)
    assert not [v for v in evaluate(m.snapshot(), during, known) if v.status == FAIL]


@pytest.mark.parametrize("all_of_them, function", [(False, "freewalk"), (True, None)])
def test_a_lost_table_is_the_function_s_that_frees_tables_where_it_freed_others(all_of_them, function):
    m = family()
    leaf = m.processes[max(m.processes)]
    before = m.snapshot()
    tables = [frame.pa for frame in before.frames if any(u.kind == "table" and u.pid == leaf.pid for u in frame.users)]
    m.exits(leaf)
    for pa in tables if all_of_them else tables[1:]:
        m.available.remove(pa)
    assert failure(m.snapshot(), "frames-conserved", before).function == function


def test_large_leaks_are_found_where_an_earlier_snapshot_tells():
    m = family()
    before = m.snapshot()
    for _ in range(100):
        m.alloc()
    assert FAIL in statuses(m.snapshot(), "frames-conserved", before)


def test_hints_speak_of_fry_only_where_there_is_one():
    m = family()
    m.alloc()
    assert failure(m.snapshot(), "frames-conserved").reason.is_shrimpy
    without = failure(m.look(fry=None, shrimp=None), "frames-conserved")
    assert not without.reason.is_shrimpy and "FRY" not in without.explanation and "SHRIMP" not in without.explanation


@pytest.mark.parametrize("count", [lambda n: n, lambda n: n - 1, lambda n: n + 1, lambda n: 2 * n])
def test_what_a_kernel_counts_is_learnt_from_the_whole(count):
    m = family()
    m.refs = {pa: count(n) for pa, n in m.refs.items()}
    assert statuses(m.snapshot(), "count-matches") == [PASS]
    m.refs[m.processes[3].fry] += 1
    assert failure(m.snapshot(), "count-matches").about.pa == m.processes[3].fry


def test_a_process_may_hold_a_reference_to_its_fry_besides_its_mapping():
    m = family()
    for p in m.processes.values():
        m.refs[p.fry] += 1
    assert statuses(m.snapshot(), "count-matches") == [PASS]


def test_only_the_two_pages_may_be_counted():
    m = family()
    ours = {p.fry for p in m.processes.values()}
    m.refs = {pa: n if pa in ours else 0 for pa, n in m.refs.items()}
    assert statuses(m.snapshot(), "count-matches") == [PASS]


def test_counts_of_something_else_accuse_nobody():
    m = family()
    m.refs = {pa: pa >> 12 & 3 for pa in m.refs}
    told = [v for v in evaluate(m.snapshot()) if v.rule == "count-matches"]
    assert [v.status for v in told] == [SKIPPED]


def test_counts_that_start_from_none_extra_are_understood():
    m = family()
    m.refs = {pa: n - 1 for pa, n in m.refs.items()}
    assert statuses(m.snapshot(), "count-matches") == [PASS]


def test_a_count_that_stayed_on_a_free_frame_fails():
    m = family()
    m.refs[m.available[0]] = 2
    told = failure(m.snapshot(), "count-matches").reason
    assert told.free and told.bound == 0


def test_what_kalloc_sets_may_stay_on_a_free_frame():
    """A lab in which who unmaps counts, and kfree does not: a table that is freed keeps its count until kalloc sets it again."""
    m = family()
    m.refs[m.available[0]] = m.refs[m.available[1]] = 1
    assert statuses(m.snapshot(), "count-matches") == [PASS]
    m.refs[m.available[1]] = 2
    assert failure(m.snapshot(), "count-matches").reason.free


def test_a_slot_that_is_not_in_use_may_keep_a_reference():
    m = family()
    fry = m.processes[3].fry
    m.refs[fry] += 1
    snapshot = m.snapshot()
    kept = dataclasses.replace(snapshot, counts=dataclasses.replace(snapshot.counts, idle=((fry, 1),)))
    assert statuses(kept, "count-matches") == [PASS]
    m.refs[fry] += 1
    more = dataclasses.replace(kept, counts=dataclasses.replace(m.snapshot().counts, idle=((fry, 1),)))
    assert failure(more, "count-matches").about.pa == fry


def test_a_kernel_without_counts_is_skipped():
    m = family()
    snapshot = dataclasses.replace(m.snapshot(), counts=None)
    assert statuses(snapshot, "count-matches") == [SKIPPED]


# Change

def test_exec_that_keeps_both_pages_passes():
    m = family()
    before = m.snapshot()
    p = m.processes[4]
    new = m.alloc()
    for va in (0, TRAMPOLINE):
        table = m.get(p.root + 8 * (va >> 30 & 511))
        m.put(new + 8 * (va >> 30 & 511), table)
    m.field(p, "pagetable", new)
    m.free(p.root)
    snapshot = m.snapshot()
    assert set(statuses(snapshot, "exec-keeps", before)) == {PASS}


def test_who_stood_inside_the_kernel_at_the_earlier_stop_is_skipped_in_words():
    m = family()
    m.state(m.processes[5], "RUNNABLE", ["sched", "yield", "kerneltrap", "uvmunmap", "syscall", "usertrap"])
    before = m.snapshot()
    [told] = [v for v in evaluate(m.snapshot(), before) if v.rule == "exec-keeps" and v.about.process.pid == 5]
    assert (told.status, told.reason) == (SKIPPED, Reason(Kind.AT_EARLIER_STOP, because=Reason(Kind.INTERRUPTED, 5)))


def test_an_earlier_run_of_the_machine_is_not_compared_with():
    m = family()
    later = dataclasses.replace(m.snapshot(), next_pid=90)
    new = m.alloc()
    m.map(m.processes[4].root, FRY, new, R | W | U)
    now = dataclasses.replace(m.snapshot(), next_pid=6)
    assert statuses(now, "exec-keeps", later) == [SKIPPED]
    assert FAIL in statuses(now, "exec-keeps", dataclasses.replace(later, next_pid=5))


def test_a_new_process_in_the_same_slot_is_not_the_old_one():
    m = family()
    before = m.snapshot()
    m.exits(m.processes[5])
    m.alloc()
    m.process(6, m.processes[3])
    assert FAIL not in statuses(m.snapshot(), "exec-keeps", before)


def test_a_new_process_with_a_zeroed_page_passes():
    m = family()
    m.state(m.processes[5], "RUNNABLE", ["forkret"])
    assert PASS in statuses(m.snapshot(), "fry-zeroed")


@pytest.mark.parametrize("sz, verdict", [(SHRIMP, PASS), (SHRIMP + 1, FAIL), (SHRIMP - 1, PASS)])
def test_memory_may_reach_shrimp_and_not_beyond(sz, verdict):
    m = family()
    m.field(m.processes[4], "sz", sz)
    assert (FAIL in statuses(m.snapshot(), "heap-below-shrimp")) == (verdict == FAIL)


@pytest.mark.parametrize("fry, shrimp, bound", [(FRY, SHRIMP, SHRIMP), (SHRIMP, FRY, SHRIMP), (FRY - 8 * PAGE, FRY, FRY - 8 * PAGE)])
def test_memory_is_bounded_by_the_lower_of_the_two_pages(fry, shrimp, bound):
    m = family()
    m.field(m.processes[4], "sz", bound)
    assert FAIL not in statuses(m.snapshot(fry=fry, shrimp=shrimp), "heap-below-shrimp")
    m.field(m.processes[4], "sz", bound + 1)
    v = failure(m.snapshot(fry=fry, shrimp=shrimp), "heap-below-shrimp")
    assert (v.pid, v.va) == (4, bound)


def test_the_function_that_let_a_heap_grow_is_named_by_what_the_process_has():
    def named(**how):
        m = family()
        p = m.processes[4]
        m.field(p, "sz", SHRIMP + PAGE)
        if "top" in how:
            m.map(p.root, SHRIMP - PAGE, m.alloc(), R | W | U)
        snapshot = m.snapshot()
        if "lazily" in how:
            snapshot = dataclasses.replace(snapshot, functions=(*snapshot.functions, ("grow lazily", how["lazily"])))
        return failure(snapshot, "heap-below-shrimp").function
    assert named() == "growproc"
    assert named(lazily="sys_sbrk") == "sys_sbrk"
    assert named(lazily="sys_sbrk", top=True) == "exec"


def test_trapframe_is_where_the_layout_says():
    assert family().snapshot().layout.trapframe == TRAPFRAME


# What only whoever brought the stop about knows

def test_frames_return_is_judged_only_where_all_that_ran_is_known_to_have_ended():
    m = family()
    before = m.snapshot()
    m.put(KEPT, m.alloc())
    assert statuses(m.snapshot(), "frames-return", before) == [SKIPPED]
    known = Known(before=before)
    assert [v.status for v in evaluate(m.snapshot(), before, known) if v.rule == "frames-return"] == [FAIL]
    m.process(6, m.processes[3], "shrimpdemo")
    assert [v.reason for v in evaluate(m.snapshot(), before, known) if v.rule == "frames-return"] == [Reason(Kind.NOT_ENDED)]


def test_frames_return_passes_a_kernel_that_keeps_as_many_frames_as_before():
    m = family()
    first = m.alloc()
    m.put(KEPT, first)
    before = m.snapshot()
    m.put(KEPT, m.alloc())
    m.free(first)
    assert [v.status for v in evaluate(m.snapshot(), before, Known(before=before)) if v.rule == "frames-return"] == [PASS]


def test_a_program_that_never_writes_its_page_is_judged_like_one_that_never_ran():
    m = family()
    at = m.processes[4].fry
    m.put(at + PAGE - 8, 1)
    snapshot = m.snapshot()
    assert set(statuses(snapshot, "fry-zeroed")) == {SKIPPED}
    judged = [v for v in evaluate(snapshot, None, Known(untouched=frozenset(["shrimpdemo"]))) if v.rule == "fry-zeroed"]
    assert [(v.pid, v.status) for v in judged if v.status != SKIPPED] == [(None, PASS), (4, FAIL), (None, PASS)]


def test_a_child_that_can_run_without_shrimp_is_found_though_its_parent_is_in_fork():
    m = family()
    parent, child = m.processes[3], m.processes[4]
    m.free(m.unmap(child.root, SHRIMP))
    m.state(child, "RUNNABLE", ["forkret"])
    harts = running(m, parent, "S", function="mappages")
    assert [v.pid for v in evaluate(m.snapshot(harts)) if v.rule == "shrimp-pair" and v.status == FAIL] == [4]
    m.state(child, "USED")
    assert not failures(m.snapshot(harts))

# Why it is skipped

def skipped(snapshot, rule, known=Known()):
    return [v for v in evaluate(snapshot, None, known) if v.rule == rule and v.status == SKIPPED]

def test_who_is_buried_is_in_the_middle_of_it_though_others_have_its_tables():
    m = family()
    m.state(m.processes[4], "USED")
    m.put(m.processes[4].root, 0x40000000 >> 2 | 1)
    [v] = skipped(m.snapshot(), "frames-conserved")
    assert v.because == MOMENT and v.reason.because == Reason(Kind.HALF_MADE, 4) and v.reason.stands

def test_a_table_that_leads_nowhere_is_no_matter_of_the_moment():
    m = family()
    m.put(m.processes[4].root, 0x40000000 >> 2 | 1)
    assert [v.because for v in skipped(m.snapshot(), "frames-conserved")] == [UNKNOWN]

def test_whether_frames_return_is_told_by_a_later_stop_while_the_kernel_works():
    m = family()
    before = m.snapshot()
    p = m.processes[4]
    busy = m.snapshot(running(m, p, "S"))
    [v] = skipped(busy, "frames-return", Known(before))
    assert v.because == MOMENT and held_back([v]) == 1
    [v] = skipped(before, "frames-return", Known(busy))
    assert v.because == UNKNOWN and held_back([v]) == 0
    [v] = skipped(before, "frames-return")
    assert v.because == NOTHING

def test_of_several_reasons_the_one_of_a_stop_that_could_have_been_judged_is_told():
    m = family()
    before = m.snapshot()
    p = m.processes[4]
    stops = [*skipped(before, "frames-return"), *skipped(m.snapshot(running(m, p, "S")), "frames-return", Known(before))]
    assert stops[1].why in text.summary(stops) and stops[0].why not in text.summary(stops)


def test_a_child_that_can_run_has_its_shrimp_whoever_has_it_just_then():
    for state, how in (("RUNNABLE", lambda m, p: m.field(p, "lock", 1)), ("RUNNING", lambda m, p: None)):
        m = family()
        p = m.processes[5]
        m.unmap(p.root, SHRIMP)
        m.state(p, state)
        how(m, p)
        snapshot = m.snapshot(running(m, p, "S") if state == "RUNNING" else None)
        at_any_stop = [v.status for v in evaluate(snapshot) if (v.rule, v.pid) == ("shrimp-pair", 5)]
        known = Known(can_run=frozenset((5,)))
        assert FAIL not in at_any_stop
        assert [v.pid for v in evaluate(snapshot, None, known) if v.status == FAIL and v.rule == "shrimp-pair"] == [5]


# satp-is-root

@pytest.mark.parametrize("change, expected, frame", [
    (lambda root: 8 << 60 | root >> 12, PASS, None),
    (lambda root: 8 << 60 | 5 << 44 | root >> 12, PASS, None),                  # an address space's number
    (lambda root: 8 << 60 | root + PAGE >> 12, FAIL, PAGE),
    (lambda root: 9 << 60 | root >> 12, FAIL, None), (lambda root: 0, FAIL, None),
    (lambda root: None, SKIPPED, None),
])
def test_a_hart_in_user_mode_uses_its_process_s_table(change, expected, frame):
    m = family()
    child = m.processes[4]
    harts = running(m, child, "U")
    harts[1] = dataclasses.replace(harts[1], satp=change(child.root))
    snapshot = m.snapshot(harts)
    assert statuses(snapshot, "satp-is-root") == [expected]
    if expected == FAIL:
        told = failure(snapshot, "satp-is-root")
        assert (told.pid, told.reason.wanted, told.reason.frame) == (4, child.root, frame and child.root + frame)


def test_in_supervisor_mode_satp_may_be_any():
    m = family()
    harts = running(m, m.processes[4], "S")
    harts[1] = dataclasses.replace(harts[1], satp=8 << 60)
    assert statuses(m.snapshot(harts), "satp-is-root") == [SKIPPED]


def test_where_it_is_not_known_who_runs_satp_must_be_somebody_s():
    m = family()
    for root, expected in ((m.processes[3].root, PASS), (BASE, FAIL)):
        harts = [Hart(0, None, "U", 8 << 60 | root >> 12, BASE)]
        assert statuses(m.snapshot(harts), "satp-is-root") == [expected]


def test_where_processes_are_not_known_nobody_s_table_is_foreign():
    m = family()
    harts = [Hart(0, None, "U", 8 << 60 | BASE >> 12, BASE)]
    assert statuses(dataclasses.replace(m.snapshot(harts), processes=()), "satp-is-root") == [SKIPPED]
    bare = [dataclasses.replace(one, root=None, tables=(), mappings=()) for one in m.snapshot(harts).processes[:1]]
    rest = m.snapshot(harts).processes[1:]
    assert statuses(dataclasses.replace(m.snapshot(harts), processes=(*bare, *rest)), "satp-is-root") == [SKIPPED]

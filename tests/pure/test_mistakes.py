"""The mistakes that shared-page labs really show: some rule sees each."""

from judging import failed_rules, failure, failures
from machine import FRY, PAGE, SHRIMP, TRAPFRAME, Machine, R, U, V, W, X, family
from shrimpy.reasons import Kind, Named, Reason, Subject


def leaf(pa, flags=R | W | U):
    return pa >> 2 | flags | V


def test_the_family_without_a_mistake_passes():
    assert failed_rules(family().snapshot()) == set()


def test_one_global_fry_page():
    m = family()
    one = m.processes[1].fry
    for p in m.processes.values():
        m.free(m.unmap(p.root, FRY))
        m.map(p.root, FRY, one, R | W | U)
        m.refs[one] = m.refs.get(one, 0) + 1
    v = failure(m.snapshot(), "fry-private")
    assert v.reason.detail == "everybody's" and v.va == FRY and v.pid == 1


def test_the_value_instead_of_the_pointer_mapped():
    m = family()
    p = m.processes[4]
    m.free(m.unmap(p.root, SHRIMP))
    m.put(m.pte_at(p.root, SHRIMP), leaf(0))    # the page's first word, which is 0
    v = failure(m.snapshot(), "frame-in-ram")
    assert (v.pid, v.va) == (4, SHRIMP)


def test_fry_and_shrimp_are_separate_frames():
    m = family()
    p = m.processes[4]
    m.free(m.unmap(p.root, SHRIMP))
    mine = m.alloc()
    at = m.map(p.root, SHRIMP, mine, R | W | U)
    v = failure(m.snapshot(), "shrimp-pair")
    assert (v.pid, v.va, v.pte_at, v.pte) == (4, SHRIMP, at, m.get(at))
    assert (v.reason.wanted, v.reason.frame) == (m.processes[3].fry, mine)


def test_separate_frames_are_seen_when_only_init_and_its_shell_exist():
    m = Machine()
    sh = m.process(2, m.process(1, None, "init"), "sh")
    m.free(m.unmap(sh.root, SHRIMP))
    m.map(sh.root, SHRIMP, m.alloc(), R | W | U)
    assert failure(m.snapshot(), "shrimp-pair").pid == 2


def test_roles_of_parent_and_child_swapped():
    m = family()
    parent, child = m.processes[3], m.processes[4]
    m.unmap(child.root, SHRIMP)
    m.map(child.root, SHRIMP, child.fry, R | W | U)
    m.unmap(parent.root, SHRIMP)
    m.map(parent.root, SHRIMP, child.fry, R | W | U)
    assert {v.pid for v in failures(m.snapshot()) if v.rule == "shrimp-pair"} == {3, 4}


def test_child_runnable_before_the_mapping():
    m = family()
    child = m.processes[5]
    m.free(m.unmap(child.root, SHRIMP))
    m.state(child, "RUNNABLE", ["forkret"])
    v = failure(m.snapshot(), "shrimp-pair")
    assert v.pid == 5 and v.function == "fork" and v.pte_at == m.pte_at(child.root, SHRIMP)


def test_root_entries_copied_so_tables_are_shared():
    m = family()
    parent, child = m.processes[3], m.processes[4]
    m.put(child.root, m.get(parent.root))
    assert failure(m.snapshot(), "table-private").pid in (3, 4)


def test_freewalk_panic_silenced():
    """The last process was torn down with its FRY still mapped."""
    m = family()
    p = m.processes[5]
    m.refs[p.fry] += 1
    m.exits(p)
    v = failure(m.snapshot(), "frames-conserved")
    assert v.about == Subject("frames", pa=p.fry)


def test_no_unmap_in_proc_freepagetable():
    """Tables freed with leaves in them: their frames have no owner left."""
    m = family()
    p = m.processes[5]
    for frame in (p.fry, p.trapframe, p.pages[0]):
        m.refs[frame] += 1
    before = m.snapshot()
    m.exits(p)
    v = failure(m.snapshot(), "frames-conserved", before)
    assert {u.process.pid for u in v.reason.users} == {5}


def test_child_frees_shrimp():
    m = family()
    parent, child = m.processes[3], m.processes[5]
    m.exits(child)
    m.available.append(parent.fry)
    m.refs[parent.fry] = 0
    v = failure(m.snapshot(), "not-on-free-list")
    assert v.pid == 3 and v.reason.frame == parent.fry


def test_kfree_and_do_free_both():
    m = family()
    p = m.processes[5]
    m.exits(p)
    m.write_free_list()
    twice = m.available[-1]
    m.put(twice, m.available[-2])
    m.put(m.available[-2], twice)       # freed again: the list leads back
    assert failure(m.look(), "free-list-sound").pte_at == twice


def test_fry_never_freed():
    m = family()
    p = m.processes[5]
    m.refs[p.fry] += 1
    before = m.snapshot()
    m.exits(p)
    v = failure(m.snapshot(), "frames-conserved", before)
    assert [(u.page, u.process) for u in v.reason.users] == [("FRY", Named(5, "shrimpdemo"))]
    assert (v.reason.label, v.reason.value) == ("kmem.refs", 1)


def orphaned():
    """The family's parent freed its FRY on exit, without a count."""
    m = family()
    parent = m.processes[3]
    m.refs[parent.fry] = 1
    m.exits(parent)
    return m, parent.fry


def test_parent_exits_first_and_frees_its_page():
    m, frame = orphaned()
    v = failure(m.snapshot(), "orphan-alive")
    assert v.pid == 4 and v.va == SHRIMP and v.reason == Reason(Kind.ORPHAN_FREE, frame=frame)
    assert failure(m.snapshot(), "not-on-free-list").pid == 4


def test_parent_exits_first_and_its_page_is_given_to_another():
    m, frame = orphaned()
    m.process(6, m.processes[2])        # takes the frames freed last
    reused = any(p.fry == frame or frame in p.pages.values() or frame in m.tables(p.root)
                 or frame in (p.trapframe, p.stack_frame) for p in m.processes.values())
    assert reused
    assert failure(m.snapshot(), "orphan-alive").pid == 4


def test_count_dropped_twice():
    m = family()
    m.refs[m.processes[3].fry] -= 1
    v = failure(m.snapshot(), "count-matches")
    assert v.pid == 3 and (v.reason.value, v.reason.bound) == (2, 3)
    assert (v.reason.users[0].page, v.reason.users[0].process.pid) == ("FRY", 3)


def test_count_not_locked_and_an_increment_lost():
    m = family()
    m.refs[m.processes[2].fry] += 1
    assert failure(m.snapshot(), "count-matches").reason.value == 3


def test_exec_drops_the_pages():
    m = family()
    before = m.snapshot()
    p = m.processes[4]
    m.free(m.unmap(p.root, FRY))
    m.free(m.unmap(p.root, SHRIMP))
    found = failed_rules(m.snapshot(), before)
    assert {"fry-flags", "shrimp-pair", "exec-keeps"} <= found


def test_exec_gives_a_new_fry():
    m = family()
    before = m.snapshot()
    p = m.processes[4]
    m.renew_fry(p)
    v = failure(m.snapshot(), "exec-keeps", before)
    assert v.pid == 4 and v.reason.wanted == p.fry


def test_exec_leaks_the_old_ones():
    m = family()
    old = [m.unmap(m.processes[4].root, va) for va in (0, PAGE)]
    m.map(m.processes[4].root, 0, m.alloc(), R | X | U)
    m.map(m.processes[4].root, PAGE, m.alloc(), R | W | U)
    v = failure(m.snapshot(), "frames-conserved")
    assert v.about.pa in old


def test_fry_remapped_in_fork_without_freeing_the_first():
    m = family()
    child = m.processes[5]
    first = m.unmap(child.root, FRY)
    m.map(child.root, FRY, m.alloc(), R | W | U)
    assert failure(m.snapshot(), "frames-conserved").about == Subject("frames", pa=first)


def test_u_missing():
    m = family()
    p = m.processes[4]
    m.map(p.root, FRY, p.fry, R | W)
    v = failure(m.snapshot(), "fry-flags")
    assert v.pid == 4 and (v.reason.page, v.reason.flags) == ("FRY", "VRW-----")


def test_x_set_or_w_missing():
    m = family()
    p, q = m.processes[4], m.processes[5]
    m.map(p.root, FRY, p.fry, R | W | X | U)
    m.map(q.root, SHRIMP, q.shrimp, R | U)
    snapshot = m.snapshot()
    assert failure(snapshot, "fry-flags").reason.flags[3] == "X"
    assert failure(snapshot, "shrimp-flags").reason.flags[2] == "-"


def test_trapframe_made_user():
    m = family()
    p = m.processes[4]
    m.map(p.root, TRAPFRAME, p.trapframe, R | W | U)
    v = failure(m.snapshot(), "no-user-supervisor")
    assert v.pid == 4 and v.va == TRAPFRAME


def test_guard_made_user():
    m = family()
    p = m.processes[4]
    m.map(p.root, 2 * PAGE, p.pages[2 * PAGE], R | W | U)
    assert failure(m.snapshot(), "no-user-supervisor").reason.kind == Kind.NO_GUARD


def test_growproc_bound_left_at_trapframe():
    m = family()
    m.field(m.processes[4], "sz", TRAPFRAME)
    v = failure(m.snapshot(), "heap-below-shrimp")
    assert v.pid == 4 and v.function == "growproc"


def test_fry_below_sz_and_copied_by_uvmcopy():
    m = family()
    m.field(m.processes[4], "sz", FRY + PAGE)
    assert failure(m.snapshot(), "heap-below-shrimp").reason.n == FRY + PAGE


def test_a_new_fry_per_child():
    m = family()
    parent, child = m.processes[3], m.processes[5]
    m.free(m.unmap(child.root, SHRIMP))
    new = m.alloc()
    m.refs[new] += 1
    m.free(m.unmap(parent.root, FRY))
    m.map(parent.root, FRY, new, R | W | U)
    m.map(child.root, SHRIMP, new, R | W | U)
    snapshot = m.snapshot()
    assert failure(snapshot, "shrimp-siblings").pid == 4
    assert failure(snapshot, "shrimp-pair").pid == 4


def test_page_not_zeroed():
    m = family()
    child = m.processes[5]
    offset = child.fry - 0x80000000
    m.ram[offset:offset + PAGE] = b"\5" * PAGE
    m.state(child, "RUNNABLE", ["forkret"])
    v = failure(m.snapshot(), "fry-zeroed")
    assert v.pid == 5 and v.reason.kind == Kind.NOT_ZEROED


def test_page_never_zeroed_is_seen_in_processes_that_have_run():
    m = family()
    for p in m.processes.values():
        offset = p.fry - 0x80000000
        m.ram[offset + 64:offset + PAGE] = b"\5" * (PAGE - 64)
    assert failure(m.snapshot(), "fry-zeroed").pid == 1


def test_out_of_memory_path_that_forgets_an_unmap():
    """fork failed half-way: the slot is free again, SHRIMP's reference is not."""
    m = family()
    table = m.alloc()                   # a table of the process that never was
    assert failure(m.snapshot(), "frames-conserved").about.pa == table


def test_out_of_memory_path_that_leaves_the_slot_half_made():
    m = family()
    p = m.process(6, m.processes[3])
    m.state(p, "USED")
    v = failure(m.snapshot(), "frames-conserved")
    assert v.pid == 6 and v.reason.kind == Kind.NEVER_MADE

"""The kernel's data by its C names, and by the names that other trees use."""

import dataclasses

import pytest
from judging import failed_rules, statuses
from machine import (BASE, CPUS, FTABLE, KEPT, PAGE, PROC_SIZE, R, STATES, W, Machine, array, family,
                     fields, pointer)
from shrimpy.kernel import WANTED, Kernel, wanted_variables
from shrimpy.kernel.debuginfo import Field, Symbol, Type
from shrimpy.memory.elf import Range
from shrimpy.memory.readers import BytesReader
from shrimpy.rules import PASS, evaluate
from shrimpy.snapshot.model import Hart, Stop
from shrimpy.snapshot.taking import take

SPINLOCK = Type("struct", 24, "spinlock")


class WithoutBulk(BytesReader):
    """As a stub is: a read a node."""


    def first_words(self):
        return None


def change(m, symbols=(), structs=(), drop=(), **more):
    """The machine's debug info with some names added and others gone."""
    info = m.info
    m.info = dataclasses.replace(
        info, symbols={**{n: s for n, s in info.symbols.items() if n not in drop}, **dict(symbols)},
        structs={**info.structs, **dict(structs)}, **more)


def kernel(m):
    m.write_free_list()
    return Kernel(m.reader(), m.info)


def spare(m, size):
    """Room for a variable in the image, where no other is."""
    at = m.kmem + 32 + 2 * m.n_frames
    assert at + size <= m.info.symbol("end").address, "the image has no room"
    return at


def test_processes_have_what_memory_says():
    m = family()
    init, sh = kernel(m).processes()[:2]
    assert (init.pid, init.parent, init.name, init.state) == (1, 0, "init", "SLEEPING")
    assert (sh.slot, sh.parent, sh.root) == (1, init.address, m.processes[2].root)
    assert sh.sz == 4 * PAGE and sh.kstack == m.processes[2].kstack


def test_unused_slots_are_left_out():
    m = family()
    m.exits(m.processes[4])
    assert [p.pid for p in kernel(m).processes()] == [1, 2, 3, 5]


def test_one_process_is_what_it_is_among_all():
    m = family()
    all_of_them, table = kernel(m).processes(), m.info.symbol("proc")
    assert [kernel(m).process_at(p.address) for p in all_of_them] == all_of_them
    end = table.address + table.type.size
    gone, last = m.processes[4].address, end - PROC_SIZE
    m.exits(m.processes[4])
    assert not any(kernel(m).process_at(at) for at in (0, gone, last, m.processes[3].address + 8, table.address - PROC_SIZE, end))
    change(m, drop=["proc"])
    found = kernel(m).processes()
    assert found and [kernel(m).process_at(p.address) for p in found] == found and not kernel(m).process_at(0)


def test_another_array_that_is_longer_has_copies_of_processes():
    """As where a scheduler lays out all who can run for a program to choose from."""
    m = family()
    table = m.info.symbol("proc").type
    change(m, {"all_runnable": Symbol(spare(m, PROC_SIZE), array(Type("struct", PROC_SIZE, "proc"), table.count + 1))})
    assert [p.pid for p in kernel(m).processes()] == [1, 2, 3, 4, 5]


def test_where_threads_sleep_and_run_a_process_is_as_its_liveliest():
    """Its own state has other numbers, and says only whether there is one."""
    m = family()
    threads = {f"{name}_t": number for name, number in STATES.items()}
    own = {"P_UNUSED": 0, "P_USED": 1, "P_ZOMBIE": 2}
    proc = {name: field for name, field in m.info.structs["proc"].items() if name not in ("killed", "xstate")}
    change(m, structs={"proc": {**proc, **fields(("threads", 40, array(Type("struct", 4, "thread"), 2)))},
                       "thread": fields(("t_state", 0, Type("enum", 4, "threadstate")))},
           enums={**threads, **own}, enumerators={"procstate": tuple(own), "threadstate": tuple(threads)},
           struct_sizes={**m.info.struct_sizes, "thread": 4})
    for pid, states in {1: "SLEEPING UNUSED", 2: "ZOMBIE RUNNING", 3: "SLEEPING RUNNABLE", 4: "USED UNUSED"}.items():
        m.field(m.processes[pid], "state", own["P_USED"])
        for n, state in enumerate(states.split()):
            m.put(m.processes[pid].address + 40 + 4 * n, STATES[state], 4)
    m.field(m.processes[5], "state", own["P_ZOMBIE"])
    assert [p.state for p in kernel(m).processes()] == ["SLEEPING", "RUNNING", "RUNNABLE", "USED", "ZOMBIE"]


def test_a_state_that_does_not_exist_is_shown_as_its_number():
    m = family()
    m.put(m.processes[4].address + 24, 77, 4)
    assert [p.state for p in kernel(m).processes() if p.pid == 4] == ["?77"]


def test_states_are_the_enumerators_of_this_kernel():
    m = family()
    order = ("UNUSED", "SLEEPING", "RUNNABLE", "RUNNING", "ZOMBIE")     # before there was USED
    change(m, enums={n: i for i, n in enumerate(order)})
    assert kernel(m).processes()[0].state == "RUNNABLE"


def test_the_embryo_of_older_trees_is_used():
    m = family()
    change(m, enums={**{n: v for n, v in STATES.items() if n != "USED"}, "EMBRYO": 1})
    m.state(m.processes[4], "USED")
    assert [p.state for p in kernel(m).processes() if p.pid == 4] == ["USED"]


def test_the_trapframe_may_be_called_tf():
    m = family()
    proc = dict(m.info.structs["proc"])
    proc["tf"] = proc.pop("trapframe")
    change(m, structs={"proc": proc})
    assert kernel(m).processes()[0].trapframe == m.processes[1].trapframe
    assert failed_rules(m.snapshot()) == set()


def test_names_with_odd_bytes_are_printable():
    m = family()
    at = m.processes[4].address + 136 - BASE
    m.ram[at:at + 16] = b"a\x1b\xff" + b"b" * 13
    name = next(p.name for p in kernel(m).processes() if p.pid == 4)
    assert name == "a\\x1b\\xff" + "b" * 13


def test_a_proc_table_outside_ram_is_a_finding():
    m = family()
    change(m, symbols={"proc": Symbol(0x1000, m.info.symbols["proc"].type)})
    k = kernel(m)
    assert k.processes() == [] and k.findings[0].kind == "outside-ram"


def test_without_a_proc_table_processes_are_found_by_whatever_points_to_them():
    m = family()
    expected = [(p.pid, p.parent, p.name) for p in m.snapshot().processes]
    change(m, drop=["proc"])
    assert sorted((p.pid, p.parent, p.name) for p in m.snapshot().processes) == sorted(expected)
    change(m, drop=["initproc"])
    m.put(CPUS, m.processes[4].address)
    found = m.snapshot()
    assert {p.pid for p in found.processes} == {1, 2, 3, 4}, "the one that runs, and its parents"
    assert not {v.rule for v in evaluate(found) if v.status == "fail"}, "frames of who is not found are not lost"


def test_a_kernel_without_anything_that_leads_to_a_process_is_a_finding():
    m = family()
    change(m, drop=["proc", "initproc", "cpus"])
    snapshot = m.snapshot()
    assert snapshot.processes == () and snapshot.findings[0].kind == "no-proc-table"
    assert not {v.rule for v in evaluate(snapshot) if v.status == "fail"}


def test_harts_have_their_process_and_their_depth():
    m = family()
    m.put(CPUS + 128 * 2, m.processes[3].address)
    m.put(CPUS + 128 * 2 + 120, 3, 4)
    assert kernel(m).cpus()[2] == (m.processes[3].address, 3)
    assert [one and one.pid for one in map(kernel(m).running, (0, 2, 999))] == [None, 3, None]


def test_locks_are_named_by_their_variable_and_tell_the_hart():
    m = family()
    m.put(m.kmem, 1, 4)
    m.put(m.kmem + 16, CPUS + 128 * 5)
    assert ("kmem", True, 5) in kernel(m).locks() and ("ftable", False, None) in kernel(m).locks()


# Free lists

def frames_free(m, walk):
    return [BASE + i * PAGE for i, mark in enumerate(walk.marks) if mark]


def test_the_free_list_is_walked_to_its_end():
    m = family()
    walk = kernel(m).free_frames(m.info.symbol("end").address, m.end)
    assert frames_free(m, walk) == sorted(m.available)
    assert walk.counts == [("kmem.freelist", len(m.available))] and walk.complete


def test_the_free_list_is_the_same_read_node_by_node():
    m = family()
    m.available[3:50:7] = reversed(m.available[3:50:7])
    k = kernel(m)
    slow = Kernel(WithoutBulk(bytes(m.ram), BASE), m.info)
    bounds = m.info.symbol("end").address, m.end
    assert k.free_frames(*bounds) == slow.free_frames(*bounds)


@pytest.mark.parametrize("turned", [False, True])
def test_long_stretches_of_the_free_list_are_taken_whole(turned):
    m = Machine(n_frames=1024)
    if turned:
        m.available.reverse()
    walk = kernel(m).free_frames(m.info.symbol("end").address, m.end)
    assert frames_free(m, walk) == sorted(m.available)


def test_a_loop_in_a_long_stretch_is_found():
    m = Machine(n_frames=1024)
    k = kernel(m)
    m.put(m.available[100], m.available[900])
    walk = Kernel(m.reader(), m.info).free_frames(m.info.symbol("end").address, m.end)
    assert [f.kind for f in walk.findings] == ["free-node-twice"] and not walk.complete
    assert k.free_frames(m.info.symbol("end").address, m.end).complete


def test_lists_of_each_hart_are_walked():
    m = family()
    at = spare(m, 8 * 32)
    one = fields(("lock", 0, SPINLOCK), ("freelist", 24, pointer("run")))
    change(m, symbols={"kmem": Symbol(at, array(Type("struct", 32, "kmem"), 8))},
           structs={"kmem": one})
    m.write_free_list()
    head = m.get(m.kmem + 24)
    m.put(m.kmem + 24, 0)
    third = m.available[2]
    m.put(at + 24, head)
    m.put(at + 32 + 24, m.get(third))
    m.put(third, 0)
    snapshot = m.look()
    assert [(f.name, f.count) for f in snapshot.free.lists[:2]] == [
        ("kmem[0].freelist", len(m.available) - 2), ("kmem[1].freelist", 2)]
    assert [lock.name for lock in snapshot.locks if "kmem" in lock.name] == [
        f"kmem[{i}]" for i in range(8)]
    assert failed_rules(snapshot) == set()


def test_a_list_of_superpages_is_walked_by_superpages():
    m = Machine(n_frames=2048)
    big = BASE + 1024 * PAGE
    at = spare(m, 64)
    change(m, symbols={"superkmem": Symbol(at, Type("struct", 32, "superkmem"))},
           structs={"superkmem": fields(("lock", 0, SPINLOCK), ("freelist", 24, pointer("run")))})
    m.process(1, None, "init")
    m.available = [pa for pa in m.available if not big <= pa < big + 512 * PAGE]
    m.put(big, 0)
    m.put(at + 24, big)
    snapshot = m.snapshot()
    assert snapshot.free.count == len(m.available) + 512
    assert statuses(snapshot, "frames-conserved") == [PASS]


def test_a_kernel_with_an_unknown_allocator_says_so():
    m = family()
    change(m, drop=["kmem"])
    snapshot = m.snapshot()
    assert not snapshot.free.complete and snapshot.free.hindrance == "no-free-list"


# Counts

@pytest.mark.parametrize("name, size, kind", [("refcount", 4, "int"), ("cow_ref", 1, "uint"),
                                              ("page_ref", 8, "uint"), ("ref_cnt", 2, "uint")])
def test_counts_of_copy_on_write_labs_are_found(name, size, kind):
    m = family(n_frames=256)
    change(m, symbols={name: Symbol(BASE + 2 * PAGE + 0x1800 - 0x800, array(Type(kind, size), 256))},
           structs={"kmem": fields(("lock", 0, SPINLOCK), ("freelist", 24, pointer("run")))})
    at = m.info.symbols[name].address
    for i in range(256):
        m.put(at + i * size, 0, size)
    m.put(at + 200 * size, 3, size)
    assert kernel(m).counts(m.lowest, m.end) == (name, ((BASE + 200 * PAGE, 3),))


def test_counts_inside_a_struct_with_a_lock_are_found():
    m = family(n_frames=256)
    change(m, symbols={"ref": Symbol(KEPT, Type("struct", 24 + 4 * 256, "ref"))},
           structs={"ref": fields(("lock", 0, SPINLOCK), ("cnt", 24, array(Type("int", 4), 256))),
                    "kmem": fields(("lock", 0, SPINLOCK), ("freelist", 24, pointer("run")))})
    m.put(KEPT + 24 + 4 * 7, 2, 4)
    assert kernel(m).counts(m.lowest, m.end) == ("ref.cnt", ((BASE + 7 * PAGE, 2),))


def test_counts_indexed_from_address_zero_are_found():
    m = Machine(n_frames=2048)
    total = (BASE >> 12) + 2048
    at = m.kmem - (BASE >> 12)          # so that RAM's part lies where kmem is
    change(m, symbols={"refcnt": Symbol(at, array(Type("uint", 1), total))}, drop=["kmem"])
    m.ram[m.kmem - BASE:m.kmem - BASE + 2048] = bytes(2048)
    m.put(m.kmem + 1000, 2, 1)
    k = Kernel(m.reader(), m.info)
    assert k.counts(m.lowest, m.end) == ("refcnt", ((BASE + 1000 * PAGE, 2),))


def test_page_0_that_is_counted_does_not_hide_the_counts_of_frames():
    """kalloc without memory that does `refcnt[(uint64)r / PGSIZE] = 1` all the same."""
    at = 16
    m = Machine(n_frames=2048)
    small = array(Type("uint", 1), (BASE >> 12) + 2048)
    change(m, symbols={"refcnt": Symbol(BASE, small)}, drop=["kmem"])
    k = Kernel(m.reader(), m.info)      # its RAM has no room for so large an array
    parts = {0: bytes([1]) + bytes(2047), BASE >> 12: bytes(at) + bytes([2, 1]) + bytes(2046 - at)}
    k._in_ram = lambda address, n: parts[address - BASE][:n]
    assert k.counts(m.lowest, m.end) == ("refcnt", ((BASE + at * PAGE, 2), (BASE + (at + 1) * PAGE, 1)))


def test_counts_that_were_all_set_at_boot_do_not_hide_those_of_frames():
    """A lab's `int count[PHYSTOP / PGSIZE]`, all set to 1 before the frames are freed for the first time, whose index is pa / PGSIZE."""
    at = 16
    m = Machine(n_frames=2048)
    change(m, symbols={"refcnt": Symbol(BASE, array(Type("uint", 1), (BASE >> 12) + 2048))}, drop=["kmem"])
    k = Kernel(m.reader(), m.info)      # its RAM has no room for so large an array
    parts = {0: bytes([1]) * 2048, BASE >> 12: bytes(at) + bytes([2, 1]) + bytes(2046 - at)}
    k._in_ram = lambda address, n: parts[address - BASE][:n]
    assert k.counts(m.lowest, m.end) == ("refcnt", ((BASE + at * PAGE, 2), (BASE + (at + 1) * PAGE, 1)))


def counted(m, spot, shift, size=1, of=lambda i: 1 + i % 3):
    """The frames that are in use, counted at `spot`, and the kernel."""
    used = [pa for pa in range(m.lowest, m.end, PAGE) if pa not in m.available]
    for i, pa in enumerate(used):
        m.put(spot + size * ((pa - BASE >> 12) - shift), of(i), size)
    return tuple((pa, of(i)) for i, pa in enumerate(used)), kernel(m)


WITHOUT_COUNTS = fields(("lock", 0, SPINLOCK), ("freelist", 24, pointer("run")))


@pytest.mark.parametrize("first, n", [("base", 1024), ("behind the image", 1024), ("behind the image", 1016)])
def test_counts_indexed_from_the_first_frame_behind_the_image_are_found(first, n):
    """A lab's `int count[(PHYSTOP - KERNBASE) / PGSIZE]`, whose index is (pa - KERNBASE) / PGSIZE, or (pa - end) / PGSIZE; and one
    that has just as many as there are frames behind the image, or some more."""
    m = family(n_frames=1024)
    assert n == 1024 or n >= m.end - m.lowest >> 12
    change(m, symbols={"refcnt": Symbol(spare(m, n), array(Type("uint", 1), n))}, structs={"kmem": WITHOUT_COUNTS})
    at, shift = m.info.symbols["refcnt"].address, m.lowest - BASE >> 12 if first != "base" else 0
    values, k = counted(m, at, shift)
    assert k.counts(m.lowest, m.end, k.free_frames(m.lowest, m.end).marks) == ("refcnt", values)
    frame = values[1][0]
    assert k.count_of(frame) == (at + (frame - BASE >> 12) - shift, 1)


@pytest.mark.parametrize("first", ["base", "behind the image"])
def test_counts_that_a_pointer_leads_to_are_found_and_nothing_else_is_taken_for_them(first):
    """A lab's `uint *ref_count`, for which kinit sets the first frames behind the image aside; `int *ref_count` of something else."""
    m = family(n_frames=1024)
    at = m.alloc()
    variable = spare(m, 8)
    change(m, symbols={"ref_count": Symbol(variable, Type("ptr", 8, element=Type("uint", 2)))}, structs={"kmem": WITHOUT_COUNTS})
    m.put(variable, at)
    values, k = counted(m, at, m.lowest - BASE >> 12 if first != "base" else 0, 2)
    free = k.free_frames(m.lowest, m.end).marks
    assert k.counts(m.lowest, m.end, free) == ("ref_count", values)
    assert k.counts(m.lowest, m.end) is None
    for elsewhere in (m.kernel_root, BASE, 0):
        m.put(variable, elsewhere)
        assert kernel(m).counts(m.lowest, m.end, free) is None


def test_counts_indexed_from_rams_base_in_an_array_as_long_as_physical_memory_are_found():
    """A lab's `int refcount[PHYSTOP / PGSIZE]`, whose index is (pa - KERNBASE) / PGSIZE."""
    m = Machine(n_frames=2048)
    total = (BASE >> 12) + 2048
    change(m, symbols={"refcnt": Symbol(m.kmem, array(Type("uint", 1), total))}, drop=["kmem"])
    m.ram[m.kmem - BASE:m.kmem - BASE + 2048] = bytes(2048)
    m.put(m.kmem + 1000, 2, 1)
    assert Kernel(m.reader(), m.info).counts(m.lowest, m.end) == ("refcnt", ((BASE + 1000 * PAGE, 2),))


def test_counts_one_to_a_struct_are_found():
    m = family(n_frames=256)
    each = fields(("refcount", 4, Type("int", 4)), ("flags", 0, Type("int", 4)))
    change(m, symbols={"page_info": Symbol(BASE + 3 * PAGE - 2048, array(Type("struct", 8, "info"), 256))},
           structs={"info": each, "kmem": fields(("freelist", 24, pointer("run")))})
    at = m.info.symbols["page_info"].address
    m.ram[at - BASE:at - BASE + 2048] = bytes(2048)
    m.put(at + 8 * 9 + 4, 5, 4)
    assert kernel(m).counts(m.lowest, m.end) == ("page_info", ((BASE + 9 * PAGE, 5),))


def test_a_short_array_of_that_name_holds_no_counts():
    m = family()
    change(m, symbols={"refs": Symbol(KEPT, array(Type("int", 4), 16))},
           structs={"kmem": fields(("freelist", 24, pointer("run")))})
    assert kernel(m).counts(m.lowest, m.end) is None


# Other holders

def test_an_open_pipes_frame_is_in_use():
    m = family()
    frame, stale = m.alloc(), m.alloc()
    for i, (kind, users, pipe) in enumerate(((1, 1, frame), (1, 1, frame), (1, 0, stale), (2, 1, 0))):
        at = FTABLE + 24 + 40 * i
        m.put(at, kind, 4)
        m.put(at + 4, users, 4)
        m.put(at + 16, pipe)
    snapshot = m.snapshot()
    assert [f.pa for f in snapshot.frames if f.users[0].kind == "pipe"] == [frame]
    assert snapshot.lost == ((stale, 1),)


def test_the_disks_rings_are_in_use():
    m = family()
    rings = [m.alloc() for _ in range(3)]
    for i, pa in enumerate(rings):
        m.put(m.info.symbol("disk").address + 8 * i, pa)
    snapshot = m.snapshot()
    assert snapshot.lost == ()
    assert sorted(f.pa for f in snapshot.frames if f.users[0].kind == "driver") == sorted(rings)


def test_a_kernel_stack_in_the_direct_map_is_in_use():
    m = family()
    p = m.processes[4]
    m.unmap(m.kernel_root, p.kstack)
    m.field(p, "kstack", p.stack_frame)
    snapshot = m.snapshot()
    assert snapshot.lost == ()
    assert [u.pid for f in snapshot.frames for u in f.users
            if f.pa == p.stack_frame] == [4]


def test_a_second_page_table_of_a_process_is_in_use():
    """Labs give a process a kernel table of its own."""
    m = family()
    root, middle = m.alloc(), m.alloc()
    m.put(root, middle >> 2 | 1)
    proc = {**m.info.structs["proc"], "kpagetable": Field(168, pointer())}
    change(m, structs={"proc": proc})
    m.field(m.processes[4], "kpagetable", root)
    assert m.snapshot().lost == ()


# Stacks

def test_calls_are_those_on_the_kernel_stack():
    m = family()
    names = ["sched", "sleep", "bread", "readi", "exec", "sys_exec", "syscall", "usertrap"]
    m.calls(m.processes[4], names)
    assert m.snapshot().process(4).calls == tuple(names)


def in_a_table_of_its_own(m, p):
    """Its kernel stack is mapped in a kernel table that only this process has, as labs have it; returns that table's root."""
    root = m.alloc()
    change(m, structs={"proc": {**m.info.structs["proc"], "kpagetable": Field(168, pointer())}})
    m.field(p, "kpagetable", root)
    m.map(root, p.kstack, m.unmap(m.kernel_root, p.kstack), R | W)
    return root


def test_the_stack_of_a_process_with_a_kernel_table_of_its_own_is_followed():
    m = family()
    names = ["sched", "sleep", "bread", "readi", "exec", "sys_exec", "syscall", "usertrap"]
    m.calls(m.processes[4], names)
    in_a_table_of_its_own(m, m.processes[4])
    assert m.snapshot().process(4).calls == tuple(names)


def test_the_stack_of_a_hart_on_a_kernel_table_of_its_own_is_followed():
    m = family()
    p = m.processes[4]
    m.state(p, "RUNNING", ["kfree", "exec", "sys_exec", "syscall", "usertrap"])
    root = in_a_table_of_its_own(m, p)
    m.info.learnt["panic"] = "kfree"
    ra, sp, fp = (m.get(p.address + m.info.field("proc", "context").offset + 8 * n) for n in range(3))
    hart = Hart(0, privilege="S", satp=8 << 60 | root >> 12, pc=ra, function="kfree")
    taken = take(m.reader(), m.info, Stop(hart=0), [hart], registers={0: {1: ra, 2: sp, 8: fp}})
    assert taken.harts[0].calls == ("kfree", "exec", "sys_exec", "syscall", "usertrap")


def test_a_process_that_never_ran_waits_in_forkret():
    m = family()
    m.state(m.processes[5], "RUNNABLE", ["forkret"])
    assert m.snapshot().process(5).calls == ("forkret",)


def test_calls_go_on_past_a_leaf_that_saved_no_return_address():
    """The function that kernelvec interrupted: GCC's leaves save the caller's frame pointer alone, at fp - 8."""
    m = family()
    p = m.processes[4]
    m.calls(p, ["sched", "yield", "kerneltrap", "kalloc", "uvmunmap", "fork", "usertrap"])
    fp = p.kstack + PAGE - 32 * 4       # where uvmunmap would have saved where kalloc returns to
    m.put(p.stack_frame + fp - p.kstack - 8, fp + 32)
    m.put(p.stack_frame + fp - p.kstack - 16, 0)
    assert m.snapshot().process(4).calls == ("sched", "yield", "kerneltrap", "uvmunmap", "fork", "usertrap")


@pytest.mark.parametrize("fp", [0, 8, 1 << 63, (1 << 64) - 16, BASE])
def test_a_stack_that_cannot_be_followed_has_no_calls(fp):
    m = family()
    p = m.processes[4]
    m.put(p.address + 112 + 16, fp)
    assert m.snapshot().process(4).calls is None


def test_frame_pointers_in_a_ring_end():
    m = family()
    p = m.processes[4]
    fp = m.get(p.address + 112 + 16)
    m.put(p.stack_frame + (fp - p.kstack) - 16, fp)
    assert m.snapshot().process(4).calls is None


def test_slots_without_a_debug_field_are_read_without_it():
    m = family()
    proc = {n: f for n, f in m.info.structs["proc"].items() if n in (
        "state", "pid", "pagetable", "sz", "name", "parent")}
    change(m, structs={"proc": proc})
    p = m.snapshot().process(4)
    assert (p.kstack, p.trapframe, p.chan, p.calls, p.lock_held) == (None, None, None, None, False)
    assert p.sz == 4 * PAGE and PROC_SIZE == 256


def test_variables_whose_names_hint_at_lists_or_counts_are_wanted():
    objects = [Range(1, 8, "my_kmem_pool"), Range(2, 64, "PageRefs"), Range(3, 64, "bcache"),
               Range(4, 4, "refill")]
    extra = set(wanted_variables(objects)) - set(WANTED.variables)
    assert extra == {"my_kmem_pool", "PageRefs"}


def test_a_free_list_of_any_such_name_is_walked_when_it_points_to_runs():
    m = family()
    at = spare(m, 16)
    change(m, symbols={"my_kmem_pool": Symbol(at, pointer("run")),
                       "my_kmem_names": Symbol(at + 8, pointer("name"))}, drop=["kmem"])
    m.write_free_list()
    m.put(at, m.get(m.kmem + 24))
    assert [f.name for f in m.look().free.lists] == ["my_kmem_pool"]
    assert failed_rules(m.look()) == set()


def test_counts_of_any_such_name_are_found_by_their_length():
    m = family(n_frames=256)
    change(m, symbols={"PageRefs": Symbol(KEPT, array(Type("int", 4), 256))},
           structs={"kmem": fields(("freelist", 24, pointer("run")))})
    assert kernel(m).counts(m.lowest, m.end)[0] == "PageRefs"


# Bits for software

@pytest.mark.parametrize("macros, names", [
    ({}, ("RSW0", "RSW1")),
    ({"PTE_COW": 1 << 8, "NPROC": 1 << 8}, ("PTE_COW", "RSW1")),
    ({"PTE_RSW1": 1 << 8, "PTE_RSW2": 1 << 9, "PTE_S": 1 << 9}, ("PTE_RSW1", "PTE_S")),
    ({"COW_BIT": 1 << 9, "PTE_C": 1 << 8, "SSTATUS_SPP": 1 << 8}, ("PTE_C", "COW_BIT"))])
def test_the_bits_for_software_have_the_names_of_the_kernels_macros(macros, names):
    m = family()
    change(m, macros={**m.info.macros, **macros})
    assert m.snapshot().layout.rsw == names


# Other allocators

def buddy(heads):
    """A machine whose frames, but for those handed out, are on lists by order; `heads` are blocks: (order, first frame)."""
    m = Machine(n_frames=1024)
    m.process(1, None, "init")
    at = spare(m, 8 * 5)
    change(m, symbols={"kmem": Symbol(at, Type("struct", 40, "kmem"))},
           structs={"kmem": fields(("free", 0, array(pointer("run"), 5)))})
    for order, pa in heads(m):
        m.put(pa, m.get(at + 8 * order))
        m.put(at + 8 * order, pa)
    return m


def halves(m):
    """The free frames as blocks, the largest first."""
    left = set(m.available)
    for order in (4, 3, 2, 1, 0):
        n = PAGE << order
        for pa in sorted(left):
            block = range(pa, pa + n, PAGE)
            if pa % n == 0 and left.issuperset(block):
                left.difference_update(block)
                yield order, pa


def test_lists_by_order_hold_blocks_of_as_many_pages():
    m = buddy(halves)
    snapshot = m.look()
    assert snapshot.free.count == len(m.available) and snapshot.lost == ()
    assert {f.name: f.n_pages for f in snapshot.free.lists} == {f"kmem.free[{i}]": 1 << i for i in range(5)}
    assert statuses(snapshot, "frames-conserved") == [PASS]


def test_lists_of_which_nodes_are_not_aligned_hold_single_frames():
    m = buddy(lambda m: [(pa >> 12 & 3, pa) for pa in m.available])
    assert m.look().free.count == len(m.available)


def test_a_list_of_descriptions_of_frames_is_not_taken_for_one_of_frames():
    m = family()
    at = spare(m, 24)
    change(m, symbols={"kmem": Symbol(at, Type("struct", 8, "kmem"))},
           structs={"kmem": fields(("freelist", 0, pointer("page")))})
    m.put(at, at + 8)
    snapshot = m.look()
    assert not snapshot.free.complete and not snapshot.findings and not snapshot.free.findings
    assert statuses(snapshot, "free-list-sound") == ["skipped"]


def test_a_frame_that_a_waiting_call_has_in_a_variable_of_its_own_is_held():
    m = family()
    p, frame = m.processes[4], m.alloc()
    m.state(p, "SLEEPING", ["sched", "sleep", "readi", "syscall", "usertrap"])
    m.put(p.stack_frame + PAGE - 8 * 3, frame)
    assert m.snapshot().lost == ()
    m.state(p, "SLEEPING")
    m.put(p.stack_frame + PAGE - 8 * 3, frame)
    assert m.snapshot().lost == ((frame, 1),)       # where it is only left from an earlier call

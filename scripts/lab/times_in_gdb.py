"""What bench-kit runs inside GDB: snapshots in several ways, and steps, timed.

Sourced by a GDB that is attached to a machine; each function prints one line, @times and JSON. Seconds are
this machine's, now.
"""

import gdb
import json
import time

HALF = 0x800  # bytes that QEMU's stub puts in one packet


def seconds(n, work):
    """(seconds of each of n calls, what the last one returned)."""
    found = []
    for _ in range(n):
        start = time.perf_counter()
        result = work()
        found.append(time.perf_counter() - start)
    return found, result


def told(**found):
    print("@times " + json.dumps(found), flush=True)


def steps(n):
    """Times n source-level steps; needs no kit."""
    gdb.execute("set osabi none", to_string=True)  # as the kit has it
    taken, _ = seconds(n, lambda: gdb.execute("step", to_string=True))
    told(steps=taken)


def snapshots(n_file, n_remote):
    """Times snapshots by the RAM file and by remote, and beside each of the latter the packets alone: two for
    each page table, the least that a walk needs."""
    by_file, taken = seconds(n_file, _snapshot)
    gdb.execute("set shrimpy reader remote")
    _snapshot(walk_free=False)  # connects
    by_packets, alone, whole = [], [], []
    for _ in range(n_remote):
        by_packets += seconds(1, lambda: _snapshot(walk_free=False))[0]
        sent = _packets()
        alone += _tables_alone(taken)
        whole += seconds(1, _snapshot)[0]
        sent_whole = _packets()
    told(processes=len(taken.processes), tables=len(_tables(taken)), by_file=by_file, by_packets=by_packets,
         alone=alone, whole=whole, packets=sent, packets_whole=sent_whole)


def entry_by_entry():
    """Times one look at every entry of every page table, a gdb.Value each, as scripts do that read page tables in
    GDB's own terms."""
    gdb.execute("maintenance packet Qqemu.PhyMemMode:1", to_string=True)
    try:
        (taken,), (n_reads, n_leaves) = seconds(1, _by_values)
    finally:
        gdb.execute("maintenance packet Qqemu.PhyMemMode:0", to_string=True)
    seen = _snapshot()
    pages = sum(len(p.mappings) for p in seen.processes)
    if n_leaves != pages:
        raise gdb.GdbError(f"entry by entry {n_leaves} pages are mapped, the snapshot has {pages}")
    told(by_entry=taken, reads=n_reads)


def _by_values():
    """(entries read, pages that processes map), by parse_and_eval and gdb.Value."""
    pte_pointer = gdb.lookup_type("unsigned long").pointer()
    n_reads = 0

    def table(pa, level):
        nonlocal n_reads
        entries = gdb.Value(pa).cast(pte_pointer)
        leaves = []
        for index in range(512):
            pte = int(entries[index])
            n_reads += 1
            if pte & 1:
                below = pte >> 10 << 12
                leaves += table(below, level - 1) if pte & 0xE == 0 and level else [(index, pte)]
        return leaves

    n_leaves = 0
    for slot in range(int(gdb.parse_and_eval("sizeof proc / sizeof proc[0]"))):
        process = gdb.parse_and_eval(f"proc[{slot}]")
        if int(process["state"]):
            for field in ("pid", "sz", "kstack", "trapframe", "parent"):
                int(process[field])
            n_leaves += len(table(int(process["pagetable"]), 2))
    table(int(gdb.parse_and_eval("kernel_pagetable")), 2)
    return n_reads, n_leaves


def _snapshot(walk_free=True):
    from shrimpy.session import session
    return session.snapshot(walk_free=walk_free, through=lambda reader: reader)  # never a kept one


def _tables(snapshot):
    return [t.pa for p in snapshot.processes for t in p.tables] + [t.pa for t in snapshot.kernel_table.tables]


def _packets():
    """Packets of the last snapshot."""
    from shrimpy.session import session
    return session._live[1].packets


def _tables_alone(snapshot):
    """Seconds that the packets take which read every page table, with nothing done about the answers."""
    from shrimpy.session import session
    packets = [f"m{pa + half:x},{HALF:x}" for pa in _tables(snapshot) for half in (0, HALF)]
    send = gdb.selected_inferior().connection.send_packet
    with session.memory():
        taken, _ = seconds(1, lambda: [send(packet) for packet in packets])
    return taken

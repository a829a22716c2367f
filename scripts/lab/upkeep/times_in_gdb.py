"""What bench-kit runs inside GDB: snapshots in several ways, and steps, timed.

Sourced by a GDB that is attached to a machine; each function prints one line, @times and JSON. Seconds are
this machine's, now.
"""

import gdb
import json
import time

HALF = 0x800  # bytes that QEMU's stub puts in one packet


def seconds(n, work, clock=time.perf_counter):
    """(seconds of each of n calls, what the last one returned)."""
    found = []
    for _ in range(n):
        start = clock()
        result = work()
        found.append(clock() - start)
    return found, result


def told(**found):
    print("@times " + json.dumps(found), flush=True)


def steps(n, kit):
    """Times n source-level steps, loads the kit, and times n more."""
    gdb.execute("set osabi none", to_string=True)  # as the kit has it
    seconds(n // 10, _step)
    bare, _ = seconds(n, _step)
    gdb.execute(f"source {kit}", to_string=True)
    seconds(n // 10, _step)
    loaded, _ = seconds(n, _step)
    told(bare=bare, loaded=loaded)


def _step():
    gdb.execute("step", to_string=True)


def snapshots(n_file, n_remote):
    """Times snapshots by the RAM file and by remote, and beside each of the latter packets alone, with nothing done
    about the answers: two for each page table, the least that a walk needs; and all that the snapshot reads."""
    by_file, taken = seconds(n_file, _snapshot)
    processor, _ = seconds(n_file, _snapshot, time.process_time)
    gdb.execute("set shrimpy reader remote")
    _snapshot(walk_free=False)  # connects
    reads = _reads()
    tables = [t.pa for p in taken.processes for t in p.tables] + [t.pa for t in taken.kernel_table.tables]
    times = {"by_packets": [], "alone": [], "all_alone": [], "whole": []}
    for _ in range(n_remote):
        times["by_packets"] += seconds(1, lambda: _snapshot(walk_free=False))[0]
        packets = _packets()
        times["alone"] += _alone([(pa, 4096) for pa in tables])
        times["all_alone"] += _alone(reads)
        times["whole"] += seconds(1, _snapshot)[0]
        packets_whole = _packets()
    nodes = [(pa, 8) for pa, _ in taken.free.runs for _ in range(200)][:200]
    told(processes=len(taken.processes), tables=len(tables), free=taken.free.count, node=_alone(nodes)[0] / len(nodes),
         by_file=by_file, processor=processor, packets=packets, packets_whole=packets_whole, **times)


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


def _snapshot(walk_free=True, through=lambda reader: reader):
    from shrimpy.live.session import session
    return session.snapshot(walk_free=walk_free, through=through)  # never a kept one


def _reads():
    """(address, bytes) of all that a snapshot by remote reads."""
    from shrimpy.memory.readers import Reader
    reads = []

    class Noting(Reader):
        random_access = False

        def __init__(self, under):
            super().__init__(under.ram)
            self.under = under

        def _read(self, pa, n):
            reads.append((pa, n))
            return self.under.read(pa, n)

    _snapshot(walk_free=False, through=Noting)
    return reads


def _packets():
    """Packets of the last snapshot."""
    from shrimpy.live.session import session
    return session._live[1].packets


def _alone(reads):
    """Seconds of the packets for these reads."""
    from shrimpy.live.session import session
    packets = [f"m{pa + at:x},{min(HALF, n - at):x}" for pa, n in reads for at in range(0, n, HALF)]
    send = gdb.selected_inferior().connection.send_packet
    with session.memory():
        return seconds(1, lambda: [send(packet) for packet in packets])[0]

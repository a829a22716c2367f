"""Sourced by GDB: makes the n-th kalloc fail, for every n, while `failing` runs on one hart.

Prints one JSON object a line, behind @@: n, whether an allocation failed, frames free before and after.
"""

import json

import gdb
from shrimpy.live.session import session

COUNT_BEFORE, ARM, DISARM, COUNT_AFTER = -101, -100, -99, -98
MOST_ROUNDS = 200


def free_frames():
    return session.snapshot().free.count


def go():
    gdb.execute("continue", to_string=True)


def next_mark(mark):
    """Runs on to that mark of the program; what else stops the machine on the way is returned."""
    while True:
        go()
        if int(gdb.parse_and_eval("$pc")) == SYS_KILL:
            told = int(gdb.parse_and_eval("(int)cpus[0].proc->trapframe->a0"))
            if told == mark:
                return
        else:
            raise gdb.GdbError("stopped at %s, not at a mark" % gdb.parse_and_eval("$pc"))


def one_round(n):
    next_mark(COUNT_BEFORE)
    before = free_frames()
    next_mark(ARM)
    trap = gdb.Breakpoint("*kalloc", internal=True)
    trap.ignore_count = n - 1
    go()
    injected = int(gdb.parse_and_eval("$pc")) == KALLOC
    trap.delete()
    if injected:
        gdb.execute("set $a0 = 0")
        gdb.execute("set $pc = $ra")
        next_mark(DISARM)
    next_mark(COUNT_AFTER)
    after = free_frames()
    print("@@" + json.dumps({"n": n, "injected": injected, "before": before, "after": after}))
    return injected


KALLOC = int(gdb.parse_and_eval("(unsigned long)&kalloc"))
SYS_KILL = int(gdb.parse_and_eval("(unsigned long)&sys_kill"))
marks = gdb.Breakpoint("*sys_kill", internal=True)
for n in range(1, MOST_ROUNDS):
    if not one_round(n):
        break
marks.delete()

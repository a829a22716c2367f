"""Sourced by GDB: judge() prints, as JSON behind @@, the verdicts about this stop, and every hart's registers."""

import json
import random

import gdb
from shrimpy import rules
from shrimpy.live.session import session

_last = None


def _harts():
    """[pc, privilege] of each hart, by GDB alone."""
    selected = gdb.selected_thread()
    found = []
    for thread in sorted(gdb.selected_inferior().threads(), key=lambda t: t.num):
        thread.switch()
        frame = gdb.newest_frame()
        found.append([int(frame.read_register(name)) & (1 << 64) - 1 for name in ("pc", "priv")])
    selected.switch()
    return found


def judge():
    """Also against the snapshot of the last stop: what was not yet there then must not count as changed."""
    global _last
    snapshot = session.snapshot()
    verdicts = rules.evaluate(snapshot)
    compared = rules.evaluate(snapshot, _last) if _last else []
    _last = snapshot
    print("@@" + json.dumps({
        "function": snapshot.stop.function, "privilege": snapshot.stop.privilege, "n": len(snapshot.processes),
        "fail": [repr(v) for v in verdicts + compared if v.status == "fail"],
        "pass": sum(v.status == "pass" for v in verdicts),
        "skipped": [(v.rule, v.about.to_data(), v.reason.to_data(), v.because) for v in verdicts if v.status == "skipped"],
        "harts": _harts()}))


PATHS = ("fork", "allocproc", "takeslot", "sharefry", "sharefiles", "adopt", "start", "proc_pagetable", "uvmcopy",
         "mappages", "exec", "loadpath", "loadfile", "loadsegment", "loadpage", "addstack", "pushargs", "exit", "leavefiles",
         "reparent", "wait", "zombieof", "bury", "freeproc", "proc_freepagetable", "uvmunmap", "uvmfree", "freetables",
         "uvmalloc", "uvmdealloc", "kalloc", "kzalloc", "kfree", "kdup", "takefree", "setfree")
"""Where processes and their page tables are made, changed and taken apart; what is inlined is in its callers."""

BULK = ("memset", "memmove", "copyup", "copydown")
"""Loops over bytes: from the second time on they are run through."""


def _block(name):
    """The code of a function; None when it is inlined everywhere."""
    symbol = gdb.lookup_global_symbol(name) or gdb.lookup_static_symbol(name)
    if symbol is None or symbol.symtab is None:
        return None
    block = gdb.block_for_pc(int(symbol.value().address))
    while block and (block.function is None or block.function.name != name):
        block = block.superblock
    return block


class Lines:
    """Stops at every statement of PATHS that is reached, or at one of `every`, once: a breakpoint on each, which
    goes when it is hit."""

    def __init__(self, most_forks_in_vain, every, seed):
        gdb.execute("set breakpoint always-inserted on")
        chosen = [pc for pc in sorted(self._statements()) if random.Random(seed * pc).randrange(every) == 0]
        self._left = {pc: gdb.Breakpoint("*%#x" % pc, internal=True) for pc in chosen}
        self._fork = int(gdb.parse_and_eval("(unsigned long)&sys_fork"))
        self._forks = gdb.Breakpoint("*%#x" % self._fork, internal=True)
        self._most = self._patience = most_forks_in_vain
        self.n_statements = len(self._left)

    @staticmethod
    def _statements():
        found = set()
        for name in PATHS:
            block = _block(name)
            if block:
                table = block.function.symtab.linetable()
                found.update(item.pc for item in table if block.start <= item.pc < block.end)
        return found

    def next(self):
        """Runs to the next one, and judges; or prints what was reached, when as many forks went by without a new one."""
        while self._patience:
            gdb.execute("continue", to_string=True)
            pc = int(gdb.selected_frame().read_register("pc"))
            reached = self._left.pop(pc, None)
            if reached:
                reached.delete()
                self._patience = self._most
                judge()
                return
            self._patience -= pc == self._fork
        self._forks.delete()
        for one in self._left.values():
            one.delete()
        print("@@" + json.dumps({"statements": self.n_statements, "reached": self.n_statements - len(self._left)}))


class Steps:
    """Goes through calls by single instructions, on one hart, where interrupts do not come then (QEMU's sstep mask)."""

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._seen = set()
        self._bulk = [(block.start, block.end) for block in map(_block, BULK) if block]
        self._swtch = int(gdb.parse_and_eval("(unsigned long)&swtch"))
        self._n_steps = 0

    def enter(self, call):
        """Runs to the next call of that function, and judges there."""
        gdb.Breakpoint("*%#x" % int(gdb.parse_and_eval("(unsigned long)&" + call)), internal=True, temporary=True)
        gdb.execute("continue", to_string=True)
        self._back = (self._register("ra"), self._register("sp"))
        self._returns = call not in ("exit", "wait")
        judge()

    @staticmethod
    def _register(name):
        return int(gdb.newest_frame().read_register(name)) & (1 << 64) - 1

    def _step(self):
        """One instruction, or the rest of a loop over bytes that was looked at already."""
        pc = self._register("pc")
        if pc in self._seen and any(start <= pc < end for start, end in self._bulk):
            gdb.Breakpoint("*%#x" % self._register("ra"), internal=True, temporary=True)
            gdb.execute("continue", to_string=True)
        else:
            gdb.execute("stepi", to_string=True)
        self._n_steps += 1
        return self._register("pc")

    def next(self, every):
        """Steps to the next instruction that was never looked at, or to one of `every` of the others, and judges.
        Or, at the end of the call, which for exit and wait is where they leave their stack, prints how far this went."""
        while True:
            pc = self._step()
            if pc == self._swtch if not self._returns else (pc, self._register("sp")) == self._back:
                print("@@" + json.dumps({"steps": self._n_steps, "instructions": len(self._seen)}))
                return
            if pc not in self._seen or self._random.randrange(every) == 0:
                self._seen.add(pc)
                judge()
                return

"""Judges a machine at each exit of a process while a program runs.

A program that ends leaves nothing to look at, and one that is not ours says nowhere when its family is complete.
But the system call by which a process exits is a moment when it is whole, and its parent too.
"""

from __future__ import annotations

import contextlib

from ..machines import debugger
from ..machines.machine import Machine, Silent
from ..machines.qmp import Qmp
from ..patience import Patience
from . import verdict

_MOST_STOPS = 100
_SYS_EXIT = 2
_ECALL_FROM_USER = 8  # scause (RISC-V Privileged 4.1.8)
_TRAMPOLINE = 0x3ffffff000  # the last page below MAXVA, in every xv6 for Sv39


class _Ended(Exception):
    """The program ended: the prompt is back."""


def judge(machine: Machine, program: str, on_fail: verdict.OnFail = lambda *_: None,
          gdb: debugger.Session | None = None) -> list[verdict.Judgement]:
    """Types program at the prompt, and judges the machine at each exit, up to 100, until the prompt is back. on_fail: told of
    each stop that fails, while the machine stands there. gdb: with the machine's kernel, where there is one already.

    Raises what Machine.wait_for() raises; Silent when neither an exit nor the prompt comes in time: see patience.
    """
    with contextlib.ExitStack() as opened:
        if gdb is None:
            gdb = opened.enter_context(debugger.Session(machine.kernel.elf, machine.gdb_target, walls=machine.kernel.walled))
        else:
            gdb.attach(machine.gdb_target)
        judgements = _judge(machine, program, on_fail, gdb, opened.enter_context(machine.qmp()))
    return judgements


def _judge(machine: Machine, program: str, on_fail: verdict.OnFail, gdb: debugger.Session, monitor: Qmp) -> list[verdict.Judgement]:
    judgements: list[verdict.Judgement] = []
    gdb.ask(f"break *({_TRAMPOLINE:#x} + (unsigned long)&uservec - (unsigned long)&trampoline) "
            f"if $scause == {_ECALL_FROM_USER} && $a7 == {_SYS_EXIT}")
    start = len(machine.console) + len(program)
    typed = False

    def alive() -> None:
        nonlocal typed
        if not typed and monitor.execute("query-status")["running"]:    # a machine that is recorded takes keys while it runs
            machine.send(program)
            typed = True
        machine.check()
        if typed and machine.prompted(start):
            raise _Ended

    try:
        while len(judgements) < _MOST_STOPS:
            patience = Patience(None, machine.pid, gdb.pid)
            gdb.ask("continue", patience=patience, alive=alive)
            judgements.append(verdict.ask(gdb, f"exit {len(judgements) + 1}", judgements[-1].snapshot if judgements else None))
            if judgements[-1].status == verdict.FAIL:
                on_fail(machine, judgements[-1], monitor)
    except (_Ended, debugger.Late) as reason:
        monitor.execute("stop")
        gdb.ask()
        if isinstance(reason, debugger.Late):
            raise Silent(f"waited {patience.limit_s:g} s for an exit of {program!r} or the prompt after it, and neither came; for a "
                         "program that stays, let it end in & and say with READY= what it prints" + machine.tail()) from None
    gdb.ask("delete")
    return judgements

"""Judges a machine at each exit of a process while a program runs.

A program that ends leaves nothing to look at, and one that is not ours says nowhere when its family is complete.
But the system call by which a process exits is a moment when it is whole, and its parent too.
"""

from __future__ import annotations

from ..machines import debugger
from ..machines.machine import Machine, Silent
from ..patience import Patience
from . import verdict

_MOST_STOPS = 100
_SYS_EXIT = 2
_ECALL_FROM_USER = 8  # scause (RISC-V Privileged 4.1.8)
_TRAMPOLINE = 0x3ffffff000  # the last page below MAXVA, in every xv6 for Sv39


class _Ended(Exception):
    """The program ended: the prompt is back."""


def judge(machine: Machine, program: str) -> list[verdict.Judgement]:
    """Types program at the prompt, and judges the machine at each exit, up to 100, until the prompt is back.

    Raises what Machine.wait_for() raises; Silent when neither an exit nor the prompt comes in time: see patience.
    """
    judgements: list[verdict.Judgement] = []
    with debugger.Session(machine.kernel.elf, machine.gdb_target, walls=machine.kernel.walled) as gdb:
        gdb.ask(f"break *({_TRAMPOLINE:#x} + (unsigned long)&uservec - (unsigned long)&trampoline) "
                f"if $scause == {_ECALL_FROM_USER} && $a7 == {_SYS_EXIT}")
        start = len(machine.console) + len(program)
        machine.send(program)

        def alive() -> None:
            machine.check()
            if machine.prompted(start):
                raise _Ended

        try:
            while len(judgements) < _MOST_STOPS:
                patience = Patience(None, machine.pid, gdb.pid)
                gdb.ask("continue", patience=patience, alive=alive)
                judgements.append(verdict.ask(gdb, f"exit {len(judgements) + 1}", judgements[-1].snapshot if judgements else None))
            gdb.ask("delete")
        except (_Ended, debugger.Late) as reason:
            with machine.qmp() as monitor:
                monitor.execute("stop")
            gdb.ask()
            if isinstance(reason, debugger.Late):
                raise Silent(f"waited {patience.limit_s:g} s for an exit of {program!r} or the prompt after it, and neither came; for a "
                             "program that stays, let it end in & and say with READY= what it prints" + machine.tail()) from None
    return judgements

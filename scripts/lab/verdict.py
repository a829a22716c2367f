"""Stops a machine, judges it, and turns the kit's verdicts into an exit status."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from json import loads
from pathlib import Path

from . import Trouble, debugger

PASS, FAIL, UNJUDGED = 0, 1, 2
_BEGIN, _END = "@verdicts begin@", "@verdicts end@"
_OFFSET = 10  # GDB itself leaves with 0, 1 or a signal; ours are 10, 11, 12
_HELD = 10  # more, when a verdict was held back
_WHO = ("python import json; from shrimpy.session import session; "
        "print('processes', json.dumps([[p.pid, p.name] for p in session.previous.processes]))")
_SHELL = 2  # its pid in every xv6, after init


@dataclass(frozen=True)
class Judgement:
    """status: PASS, FAIL or UNJUDGED; text: what shrimp-check printed; settled: no verdict was held back because
    of where the machine was stopped; processes: the pid and name of each there was."""

    status: int
    text: str
    settled: bool
    processes: tuple[tuple[int, str], ...]

    @property
    def saw_a_program(self) -> bool:
        """Whether there was more than init, the shell, and what the shell had forked and exec had not made another yet."""
        shell = dict(self.processes).get(_SHELL)
        return any(pid > _SHELL and name != shell for pid, name in self.processes)

    @property
    def who(self) -> str:
        """The processes, for a person."""
        return ", ".join(f"{pid} {name}" for pid, name in self.processes)


def judge(elf: Path | str, *, target: str | None = None, core: Path | None = None, json: bool = False,
          snapshot: Path | None = None, before: list[str] | None = None) -> Judgement:
    """shrimp-check on a machine, which is stopped for it and runs on afterwards, or on a core.

    snapshot: where to write the snapshot that was judged; before: GDB commands to run first.
    """
    commands = [*(before or []), f"echo {_BEGIN}\\n", "shrimp-check" + (" -json" if json else ""), f"echo {_END}\\n", _WHO]
    if snapshot:
        snapshot.parent.mkdir(parents=True, exist_ok=True)
        commands.append(f"xv6-snapshot {snapshot}")
    commands.append(f"quit $shrimp_status + {_OFFSET} + {_HELD} * ($shrimp_held > 0)")
    said = debugger.batch(elf, commands, target=target, core=core)
    held, status = divmod(said.status - _OFFSET, _HELD)
    if held not in (0, 1) or status not in (PASS, FAIL, UNJUDGED):
        errors = [line for line in said.err.splitlines() if line.strip()] or ["GDB said nothing"]
        raise Trouble(f"the machine could not be judged: {errors[-1]}")
    text, _, rest = said.out.partition(_BEGIN + "\n")[2].partition(_END)
    return Judgement(status, text, not held, _processes(rest))


def ask(gdb: debugger.Session, json: bool) -> Judgement:
    """shrimp-check in a GDB that is attached to a stopped machine."""
    said = gdb.ask(f"echo {_BEGIN}\\n", "shrimp-check" + (" -json" if json else ""), f"echo {_END}\\n", _WHO,
                   'printf "status %d %d\\n", $shrimp_status, $shrimp_held')
    text, _, rest = said.partition(_BEGIN + "\n")[2].partition(_END)
    match = re.search(r"^status (\d) (\d+)$", rest, re.M)
    if not match:
        raise Trouble(f"the machine could not be judged: {(said.split() and said.strip().splitlines()[-1])}")
    return Judgement(int(match[1]), text, match[2] == "0", _processes(rest))


def _processes(said: str) -> tuple[tuple[int, str], ...]:
    match = re.search(r"^processes (.*)$", said, re.M)
    return tuple((pid, name) for pid, name in loads(match[1])) if match else ()


def worst(judgements: Sequence[Judgement]) -> Judgement:
    """The first that failed; else, of those that passed, the last with the most processes, a program among them; else the last."""
    failed = [one for one in judgements if one.status == FAIL]
    passed = [one for one in judgements if one.status == PASS]
    if failed:
        return failed[0]
    return max(reversed(passed), key=lambda one: (one.saw_a_program, len(one.processes))) if passed else judgements[-1]

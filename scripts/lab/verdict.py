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
    commands = [*(before or []), *_question(json)]
    if snapshot:
        snapshot.parent.mkdir(parents=True, exist_ok=True)
        commands.append(f"xv6-snapshot {snapshot}")
    said = debugger.batch(elf, commands, target=target, core=core)
    return _judgement(said.out if said.status == 0 else "", said.err)


def ask(gdb: debugger.Session, json: bool) -> Judgement:
    """shrimp-check in a GDB that is attached to a stopped machine."""
    said = gdb.ask(*_question(json))
    return _judgement(said, said)


def _question(json: bool) -> list[str]:
    """GDB commands that print what _judgement() reads."""
    return [f"echo {_BEGIN}\\n", "shrimp-check" + (" -json" if json else ""), f"echo {_END}\\n", _WHO,
            'printf "status %d %d\\n", $shrimp_status, $shrimp_held']


def _judgement(said: str, errors: str) -> Judgement:
    """What GDB said to _question(). Raises Trouble with the last of errors where that is not an answer."""
    text, _, rest = said.partition(_BEGIN + "\n")[2].partition(_END)
    status = re.search(r"^status ([012]) (\d+)$", rest, re.M)
    if not status:
        lines = [line for line in errors.splitlines() if line.strip()] or ["GDB said nothing"]
        raise Trouble(f"the machine could not be judged: {lines[-1]}")
    who = re.search(r"^processes (.*)$", rest, re.M)
    return Judgement(int(status[1]), text, status[2] == "0",
                     tuple((pid, name) for pid, name in loads(who[1])) if who else ())


def worst(judgements: Sequence[Judgement]) -> Judgement:
    """The first that failed; else, of those that passed, the last with the most processes, a program among them; else the last."""
    failed = [one for one in judgements if one.status == FAIL]
    passed = [one for one in judgements if one.status == PASS]
    if failed:
        return failed[0]
    return max(reversed(passed), key=lambda one: (one.saw_a_program, len(one.processes))) if passed else judgements[-1]

"""Stops a machine, judges it, and turns the kit's verdicts into an exit status."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import Trouble, debugger

PASS, FAIL, UNJUDGED = 0, 1, 2
_BEGIN, _END = "@verdicts begin@", "@verdicts end@"
_OFFSET = 10  # GDB itself leaves with 0, 1 or a signal; ours are 10, 11, 12
_HELD = 10  # more, when a verdict was held back


@dataclass(frozen=True)
class Judgement:
    """status: PASS, FAIL or UNJUDGED; text: what shrimp-check printed; settled: no verdict was held back because
    of where the machine was stopped."""

    status: int
    text: str
    settled: bool


def judge(elf: Path | str, *, target: str | None = None, core: Path | None = None, json: bool = False,
          snapshot: Path | None = None, before: list[str] | None = None) -> Judgement:
    """shrimp-check on a machine, which is stopped for it and runs on afterwards, or on a core.

    snapshot: where to write the snapshot that was judged; before: GDB commands to run first.
    """
    commands = [*(before or []), f"echo {_BEGIN}\\n", "shrimp-check" + (" -json" if json else ""), f"echo {_END}\\n"]
    if snapshot:
        snapshot.parent.mkdir(parents=True, exist_ok=True)
        commands.append(f"xv6-snapshot {snapshot}")
    commands.append(f"quit $shrimp_status + {_OFFSET} + {_HELD} * ($shrimp_held > 0)")
    said = debugger.batch(elf, commands, target=target, core=core)
    held, status = divmod(said.status - _OFFSET, _HELD)
    if held not in (0, 1) or status not in (PASS, FAIL, UNJUDGED):
        errors = [line for line in said.err.splitlines() if line.strip()] or ["GDB said nothing"]
        raise Trouble(f"the machine could not be judged: {errors[-1]}")
    text = said.out.partition(_BEGIN + "\n")[2].partition(_END)[0]
    return Judgement(status, text, not held)


def ask(gdb: debugger.Session, json: bool) -> Judgement:
    """shrimp-check in a GDB that is attached to a stopped machine."""
    said = gdb.ask(f"echo {_BEGIN}\\n", "shrimp-check" + (" -json" if json else ""), f"echo {_END}\\n",
                   'printf "status %d %d\\n", $shrimp_status, $shrimp_held')
    text, _, rest = said.partition(_BEGIN + "\n")[2].partition(_END)
    match = re.search(r"^status (\d) (\d+)$", rest, re.M)
    if not match:
        raise Trouble(f"the machine could not be judged: {(said.split() and said.strip().splitlines()[-1])}")
    return Judgement(int(match[1]), text, match[2] == "0")


def worst(judgements: Sequence[Judgement]) -> Judgement:
    """The first that failed; else the last that passed; else the last."""
    for status in (FAIL, PASS):
        found = [one for one in judgements if one.status == status]
        if found:
            return found[0] if status == FAIL else found[-1]
    return judgements[-1]

"""Where what is wrong was written, in words."""

from __future__ import annotations

from typing import Callable, Dict, List

from ..origins import Origin, Traced, Untold, What

_TO: Dict[str, Callable[[Origin], str]] = {
    What.FIELD: lambda o: f"the field {o.label} of its struct proc",
    What.ENTRY: lambda o: "the entry" if o.old != o.new else "the entry, which nobody has written since its table was made",
    What.FREED: lambda o: "the frame is freed",
    What.UNMAPPED: lambda o: "the last entry that mapped the frame is cleared",
    What.COUNT: lambda o: f"the frame's count in {o.label}",
    What.ATTACHED: lambda o: f"what is kept of its attachments, {o.label}",
    What.SEGMENT: lambda o: f"the segment's {o.label}",
    What.WORD: lambda o: "the word",
    What.FRAME: lambda o: "the frame is taken",
}

_UNTOLD: Dict[str, Callable[[Traced], str]] = {
    Untold.NOT_RECORDED: lambda t: f"not known: {t.detail}",
    Untold.NOT_AGAIN: lambda t: "not known: when it is played again on one hart, it does not fail",
    Untold.NO_STORE: lambda t: "not known: no store in memory is to blame by itself",
    Untold.NOT_ASKED: lambda t: "not asked: mend the causes before this one first",
}


def lines(traced: Traced) -> List[str]:
    """Of a cause, a line for each store, the one to look at first."""
    if traced.untold is not None:
        return [_UNTOLD[traced.untold](traced)]
    return [f"{place(one)}: {_change(one)}{_who(one)}" for one in traced.origins]


def what(one: Origin) -> str:
    """What was stored to, or what that did: "the field shrimp of its struct proc", "the frame is freed"."""
    return _TO[one.what](one)


def place(one: Origin) -> str:
    """"kernel/proc.c:178 in sharefry, from fork"."""
    at = one.place
    if at is None:
        return "in code of which no function is known"
    where = f"{at.file}:{at.line} in {at.function}" if at.file else f"in {at.function}"
    return where + (f", from {one.caller}" if one.caller else "")


def _change(one: Origin) -> str:
    is_value = one.what not in (What.FREED, What.UNMAPPED, What.FRAME) and one.old != one.new
    return what(one) + (f", {_number(one.old)} -> {_number(one.new)}" if is_value else "")


def _who(one: Origin) -> str:
    if one.pid is None:
        return ""
    return f", by pid {one.pid} ({one.name})" + (f" in {one.system_call}" if one.system_call else "")


def _number(value: int) -> str:
    return f"{value:#x}" if value else "0"

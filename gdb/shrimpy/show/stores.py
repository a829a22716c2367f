"""Stores of a recorded run, as text."""

from __future__ import annotations

from typing import Callable, Sequence, Union

from ..origins import Call
from ..snapshot.model import Place
from .text import Painter


def store(at: int, old: str, new: str, calls: Sequence[Union[Place, Call]], who: str, paint: Painter) -> str:
    """One store. old, new: its values; who: the process, and its system call."""
    return "\n".join([paint("title", f"instruction {at:,}: {old} -> {new}"), *_where(calls), "   " + who]) + "\n"


def last(pc: int, hart: int, number: int, calls: Sequence[Place], paint: Painter) -> str:
    """The last store to some bytes. pc: of the instruction; number: of all harts' stores."""
    where = _where(calls) if any(one.function for one in calls) else [f"   a program, at {pc:#x}"]
    return "\n".join([paint("title", f"store {number:,}, by hart {hart}"), *where]) + "\n"


def _where(calls: Sequence[Union[Place, Call]]) -> list[str]:
    place: Union[Place, Call] = calls[0] if calls else Place("?")
    where = f"{place.file}:{place.line}  " if place.file else ""
    return ["   " + where + " < ".join(one.function or "?" for one in calls), *([f"   | {place.source}"] if place.source else [])]


def who(pid: int | None, name: str | None, system_call: str | None) -> str:
    """Of the process that the hart ran."""
    if pid is None:
        return "no process runs"
    return f"pid {pid} ({name})" + (f" in {system_call}" if system_call else "")


def unseen(after: int, before: int) -> str:
    """A change between two instructions that no store of the kernel's made."""
    return (f"between instruction {after:,} and {before:,}: changed, but by no store of the kernel's at this address: by a user "
            "program through its own page table, or by a device\n")


def value(number: int, size: int, describe: Callable[[int], str] | None) -> str:
    """A value; describe: of an entry, what it says."""
    said = f"{number:#x}" if number else "0"
    return f"{said} ({describe(number)})" if describe and number else said

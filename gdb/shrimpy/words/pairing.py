"""How SHRIMP of a child and FRY of its parent stand, in words."""

from __future__ import annotations

import enum
from typing import Optional, Sequence


class Paired(str, enum.Enum):
    """Why a pairing stands as it does. The values are the names in JSON."""

    NO_PAGES = "no-pages"               # this kernel has no FRY, or no SHRIMP
    NO_CHILD = "no-child"
    CHILD_GONE = "child-gone"
    ADOPTED = "adopted"                 # the parent is not its parent any more
    NO_FRY = "no-fry"
    UNDONE = "undone"                   # fork ran out of memory
    UNMAPPED = "unmapped"               # the child is at its end
    MISSING = "missing"                 # the child can run without it
    NOT_YET = "not-mapped-yet"
    OTHER_FRAME = "other-frame"
    FLAWED = "flawed"                   # the right frame by a wrong entry
    SAME = "same-frame"


class Flaw(str, enum.Enum):
    """What is wrong with a shared page's entry by itself."""

    OUTSIDE_RAM = "outside-ram"
    NO_R = "r-clear"
    NO_W = "w-clear"
    NO_U = "u-clear"
    SET_X = "x-set"


_FLAWS = {Flaw.NO_R: "R is clear: nobody can read it", Flaw.NO_W: "W is clear: a store to it faults",
          Flaw.NO_U: "U is clear: a program that touches it faults",
          Flaw.SET_X: "X is set: a program could run what is stored there"}


def flaws(found: Sequence[str], frame: int) -> str:
    """What is wrong with the entry that maps `frame`; "" for nothing."""
    return "; ".join(f"{frame:#x} is not in RAM" if one == Flaw.OUTSIDE_RAM else _FLAWS[Flaw(one)] for one in found)


def text(why: Paired, parent: int, child: Optional[int], fork: str, state: str = "", frame: Optional[int] = None,
         wanted: Optional[int] = None, wrong: Sequence[str] = ()) -> str:
    """A pairing in words. parent, child: pids; fork: what this kernel calls it; state: the child's; frame: what is at
    SHRIMP of the child, wanted: what is at FRY of the parent; wrong: of Flaw."""
    here, there = "nothing" if frame is None else f"frame {frame:#x}", "nothing" if wanted is None else f"frame {wanted:#x}"
    return {
        Paired.NO_PAGES: "this kernel defines no FRY and SHRIMP",
        Paired.NO_CHILD: "there is no child",
        Paired.CHILD_GONE: "the child is gone",
        Paired.ADOPTED: f"pid {parent} is no longer its parent; at SHRIMP pid {child} has {here}",
        Paired.NO_FRY: f"pid {parent} has no FRY to share",
        Paired.UNDONE: f"{fork} is being undone: pid {child} will never run",
        Paired.UNMAPPED: f"SHRIMP of pid {child} is no longer mapped; pid {parent} keeps its FRY, {there}",
        Paired.MISSING: f"pid {child} is {state} and has nothing at SHRIMP: it must be {there}, FRY of pid {parent}",
        Paired.NOT_YET: f"SHRIMP of pid {child} is not mapped yet: it must become {there}, FRY of pid {parent}",
        Paired.OTHER_FRAME: f"SHRIMP of pid {child} is {here}, but FRY of pid {parent} is {there}",
        Paired.FLAWED: f"SHRIMP of pid {child} is FRY of pid {parent}, {there}, but {flaws(wrong, frame or 0)}",
        Paired.SAME: f"SHRIMP of pid {child} is FRY of pid {parent}: {there}",
    }[why]

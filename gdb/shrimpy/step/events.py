"""What happens in a step of a process's life, as data; and how SHRIMP of the child and FRY of its parent stand."""

from __future__ import annotations

from typing import Optional, Tuple

from ..memory.readers import PAGE
from ..records import address, many, one, record
from ..snapshot import Mapping, Process, Snapshot
from ..snapshot.changes import Change
from ..snapshot.model import Place
from ..words import pairing as said
from ..words.pairing import Flaw, Paired

NONE, PENDING, HOLDS, BROKEN = "none", "pending", "holds", "broken"

UNBORN = ("UNUSED", "USED")
"""States in which no scheduler picks a process."""


@record
class Event:
    """What ran. kind: "start" (fork's first instruction), "line" (a line of
    fork's own), "return" (fork's), "state" (the child's state was written),
    "exec" "switch" (its root table was replaced) "execed" "exit", or a
    function's usual name: "kalloc" "kfree" "mappages" "uvmcopy" "uvmunmap" "uvmfree".

    args: its a0 to a4 at its first instruction; result: a0 when it returned,
    signed. path: the functions on the kernel stack, outermost first, down to
    the one that called. within: the va that mappages was at work on when it
    needed this frame. text: of "exec", the path. beside: it was done to a table
    that exec fills beside the one in use. compared, equal: the pages that
    uvmcopy made and that were compared with the parent's, and those that equal it.
    """

    kind: str
    function: str = ""
    args: Tuple[int, ...] = ()
    result: Optional[int] = None
    at: Place = Place()
    path: Tuple[str, ...] = ()
    within: Optional[int] = None
    text: str = ""
    beside: bool = False
    compared: int = 0
    equal: int = 0


@record
class Cast:
    """Who plays: pids, the name of fork here, whether the child has come to
    its end, whether fork ran out of memory, the frames that fork allocated, and of these, those it freed;
    draft: the child's root table while no struct proc has it."""

    parent: int
    child: Optional[int]
    fork: str = "fork"
    ending: bool = False
    failing: bool = False
    allocated: Tuple[int, ...] = ()
    freed: Tuple[int, ...] = ()
    draft: Optional[int] = None


@record
class Pairing:
    """Whether the child's SHRIMP is its parent's FRY.

    state: NONE (there is nothing to pair), PENDING, HOLDS or BROKEN; why: of Paired, and text, the same in words; frame: what
    is at SHRIMP of the child, wanted: what is at FRY of the parent; flaws: what is wrong with the entry, of Flaw.
    """

    state: str = NONE
    text: str = ""
    why: Optional[str] = None
    frame: Optional[int] = address(default=None)
    wanted: Optional[int] = address(default=None)
    flaws: Tuple[str, ...] = ()


@record
class Step:
    """One step, in the order and with the names of the film file (docs/architecture.md)."""

    title: str
    caption: str
    at: Place = one(Place)
    phase: str = "state"
    changes: Tuple[Change, ...] = many(Change)
    more_changes: int = 0
    pairing: Pairing = one(Pairing, default=Pairing())
    path: Tuple[str, ...] = ()
    snapshot: Optional[Snapshot] = None


def pairing(snapshot: Snapshot, cast: Cast) -> Pairing:
    """How SHRIMP of the child and FRY of its parent stand."""
    layout = snapshot.layout
    child = snapshot.process(cast.child) if cast.child is not None else None
    parent = snapshot.process(cast.parent)
    shrimp, fry = leaf(child, layout.shrimp), leaf(parent, layout.fry)
    wrong = flaws(shrimp, snapshot) if shrimp else ()

    def stands(state: str, why: Paired) -> Pairing:
        frame, wanted = shrimp.pa if shrimp else None, fry.pa if fry else None
        text = said.text(why, cast.parent, cast.child, cast.fork, child.state if child else "", frame, wanted, wrong)
        return Pairing(state, text, why.value, frame, wanted, wrong)

    if layout.fry is None or layout.shrimp is None:
        return stands(NONE, Paired.NO_PAGES)
    if child is None:
        return stands(NONE, Paired.CHILD_GONE if cast.ending else Paired.NO_CHILD)
    if parent is None or child.parent not in (None, cast.parent):
        return stands(NONE, Paired.ADOPTED)
    if fry is None:
        return stands(BROKEN, Paired.NO_FRY)
    if cast.failing:
        return stands(NONE, Paired.UNDONE)
    if shrimp is None:
        if cast.ending:
            return stands(NONE, Paired.UNMAPPED)
        return stands(BROKEN, Paired.MISSING) if child.state not in UNBORN else stands(PENDING, Paired.NOT_YET)
    if shrimp.pa != fry.pa:
        return stands(BROKEN, Paired.OTHER_FRAME)
    return stands(BROKEN, Paired.FLAWED) if wrong else stands(HOLDS, Paired.SAME)


def leaf(process: Optional[Process], va: Optional[int]) -> Optional[Mapping]:
    """The leaf that begins at `va`, or None."""
    return next((m for m in process.mappings if m.va == va), None) if process and va is not None else None


def flaws(mapping: Mapping, snapshot: Snapshot) -> Tuple[str, ...]:
    """What is wrong with a shared page's entry by itself, of Flaw: V R W U and no X, a frame of RAM."""
    layout = snapshot.layout
    outside = () if layout.ram_base <= mapping.pa <= layout.ram_end - PAGE else (Flaw.OUTSIDE_RAM.value,)
    clear = tuple(flaw.value for letter, flaw in (("R", Flaw.NO_R), ("W", Flaw.NO_W), ("U", Flaw.NO_U))
                  if letter not in mapping.flags)
    return outside + clear + ((Flaw.SET_X.value,) if "X" in mapping.flags else ())

"""Made-up films: the JSON that shrimp-step -record would write of a kernel's fork, step by step."""
from __future__ import annotations

import json
from typing import Any, Optional

import family_tree as ft

PARENT, CHILD = 2, 3
FRAME = ft.fry_frame(PARENT)        # what the two share


def snapshot(state: Optional[str], fry: bool = False, shrimp: bool = False, name: str = "",
             parent: Optional[int] = None, flags: str = "VRW-U---") -> dict[str, Any]:
    """init, sh, and its child in `state`, None: there is none."""
    made = ft.Family().add(1, None, "init").add(PARENT, 1, "sh", "RUNNING" if state != "RUNNING" else "SLEEPING")
    if state is not None:
        made.add(CHILD, parent, name, state, fry=None if not fry else -1, shrimp=FRAME if shrimp else None, flags=flags)
    made.json["harts"] = [{"hart": 1, "pid": PARENT}]
    return made.json


def pte(kind: str, va: int, pa: int, before: str = "0x0", after: str = "0x0", flags: str = "VRW-U---",
        was: str = "VRW-U---") -> dict[str, Any]:
    """A leaf PTE of the child that appeared, went, or whose flags became different."""
    word = {ft.FRY: "fry", ft.SHRIMP: "shrimp"}.get(va, "data")
    return change(kind, "pte", va=hex(va), pte_at=hex(0x87E03000 + (va >> 9 & 0xFF8)), level=0,
                  pte_before=before, pte_after=after,
                  before="" if kind == "+" else f"{pa:#x} {was} {word}",
                  after="" if kind == "-" else f"{pa:#x} {flags} {word}")


def change(kind: str, what: str, before: str = "", after: str = "", **where: Any) -> dict[str, Any]:
    return {"kind": kind, "what": what, "pid": CHILD, "va": None, "pte_at": None, "level": None, "pte_before": None,
            "pte_after": None, **where, "before": before, "after": after}


def step(title: str, phase: str, seen: dict[str, Any], changes: list[dict[str, Any]], pairing: str = "none",
         line: Optional[int] = 88, more: int = 0) -> dict[str, Any]:
    return {"title": title, "caption": f"What this means for {title.lower()}.",
            "at": {"function": "proc_pagetable", "file": "kernel/proc.c", "line": line,
                   "source": f"\tif (made({len(title)}) < 0)",
                   "around": ["\tbefore();"] * 3 + [f"\tif (made({len(title)}) < 0)"] + ["\t\tafter();"] * 3},
            "phase": phase, "changes": changes, "more_changes": more,
            "pairing": {"state": pairing, "text": f"the pair is {pairing}"}, "snapshot": seen}


def film() -> dict[str, Any]:
    """A fork, the child's life and its end, in twelve steps."""
    own = ft.fry_frame(CHILD)
    steps = [
        step("pid 2 (sh) calls fork", "start", snapshot(None), []),
        step("A slot for the child", "frame", snapshot("USED"),
             [change("+", "process", after="no name, USED, no parent"),
              change("+", "table", va="0x3fc0000000", pte_at="0x87c037f8", level=2, pte_before=None,
                     pte_after="0x21f40c01", after="level 1 table 0x87d03000")], "pending"),
        step("FRY of the child is mapped", "fry", snapshot("USED", fry=True),
             [pte("+", ft.FRY, own, after="0x21fc0cd7")], "pending"),
        step("SHRIMP of the child is mapped", "shrimp", snapshot("USED", fry=True, shrimp=True),
             [pte("+", ft.SHRIMP, FRAME, after="0x21fc08d7")], "holds"),
        step("The user image is copied", "copy", snapshot("USED", fry=True, shrimp=True),
             [pte("+", 0x1000 * i, 0x84000000 + 0x1000 * i, after=hex(0x21000017 + 0x400 * i)) for i in range(3)],
             "holds", more=9),
        step("pid 3 has a parent", "state", snapshot("USED", True, True, "sh", PARENT),
             [change("~", "parent", "none", "2"), change("~", "name", "none", "sh")], "holds"),
        step("pid 3 is RUNNABLE", "state", snapshot("RUNNABLE", True, True, "sh", PARENT),
             [change("~", "state", "USED", "RUNNABLE")], "holds"),
        step("fork returns 3", "end", snapshot("RUNNABLE", True, True, "sh", PARENT), [], "holds", line=None),
        step("SHRIMP of the child loses W", "exec", snapshot("RUNNING", True, True, "echo", PARENT, "VR--U---"),
             [pte("~", ft.SHRIMP, FRAME, "0x21fc08d7", "0x21fc08d3", "VR--U-A-", "VRW-U---")], "broken"),
        step("pid 3 is a ZOMBIE", "exit", snapshot("ZOMBIE", True, True, "echo", PARENT),
             [change("~", "state", "RUNNING", "ZOMBIE")], "holds"),
        step("Unmapped: SHRIMP, FRY", "unmap", snapshot("USED", False, False, "echo"),
             [pte("-", ft.SHRIMP, FRAME, "0x21fc08d7"), pte("-", ft.FRY, own, "0x21fc0cd7")]),
        step("The slot of the child is free again", "end", snapshot(None),
             [change("-", "process", "echo, USED, no parent")]),
    ]
    steps[4]["caption"] += " Each page of the program gets a frame of the child's own." * 4
    return {"schema": "shrimpy-film", "version": 1, "kernel": "kernel/kernel", "function": "fork", "parent": PARENT,
            "child": CHILD, "steps": steps}


def without_pages() -> dict[str, Any]:
    """The same in a kernel that has neither FRY nor SHRIMP."""
    made = film()
    ours = (hex(ft.FRY), hex(ft.SHRIMP))
    made["steps"] = [one for one in made["steps"] if not {"FRY", "SHRIMP"} & set(one["title"].replace(",", "").split())]
    for one in made["steps"]:
        one["changes"] = [c for c in one["changes"] if c["va"] not in ours]
        one["pairing"] = {"state": "none", "text": "this kernel defines no FRY and SHRIMP"}
        one["snapshot"]["layout"].update(fry=None, shrimp=None, fry_from=None)
        for process in one["snapshot"]["processes"]:
            process["mappings"] = [m for m in process["mappings"] if m["va"] not in ours]
            process["fry_content"] = None
    return made


def text(made: Optional[dict[str, Any]] = None) -> str:
    return json.dumps(made or film())

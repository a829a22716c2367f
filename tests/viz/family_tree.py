"""Made-up snapshots: the JSON that a kernel with a given family would give."""
from __future__ import annotations

import json
from typing import Any, Optional

FRY = 0x3FFFFFD000
SHRIMP = 0x3FFFFFC000
RAM_BASE = 0x80000000


def fry_frame(pid: int) -> int:
    return 0x87F00000 + 0x1000 * pid


class Family:
    """Builds a snapshot process by process; what it holds may then be bent out of shape."""

    def __init__(self) -> None:
        self.json: dict[str, Any] = {
            "schema": "shrimpy-snapshot", "version": 1, "source": "bytes", "kernel": "kernel/kernel",
            "layout": {"page_size": 4096, "maxva": "0x4000000000", "ram_base": hex(RAM_BASE),
                       "ram_end": "0x88000000", "kernel_base": "0x80000000", "kernel_end": "0x80022000",
                       "alloc_end": "0x88000000",
                       "trampoline": "0x3ffffff000", "trapframe": "0x3fffffe000", "fry": hex(FRY),
                       "shrimp": hex(SHRIMP), "fry_from": "macro", "nproc": 64},
            "stop": {"hart": 1, "privilege": "S", "satp": "0x8000000000087fff", "pid": 3,
                     "pc": "0x80002a10", "function": "sys_pause", "file": "kernel/sysproc.c",
                     "line": 71, "panicked": False},
            "harts": [{"hart": 0, "pid": 5}, {"hart": 1, "pid": 3}],
            "locks": [{"name": "kmem", "held": False, "hart": None}],
            "processes": [], "kernel_table": {"root": "0x87fff000", "tables": [], "mappings": [], "findings": []},
            "free": {"count": 1, "runs": [["0x80100000", 16]], "complete": True, "lists": [], "findings": []},
            "counts": {"name": "kmem.refs", "values": []}, "frames": [], "lost": [], "findings": [],
        }

    def add(self, pid: int, parent: Optional[int], name: str = "shrimpdemo", state: str = "SLEEPING",
            fry: Optional[int] = -1, shrimp: Optional[int] = -1, flags: str = "VRW-U-AD") -> "Family":
        """A process; its pages are as promised unless `fry` or `shrimp` (frames, or None) say otherwise."""
        fry = fry_frame(pid) if fry == -1 else fry
        shrimp = (None if parent is None else fry_frame(parent)) if shrimp == -1 else shrimp
        mappings = []
        for va, pa in ((SHRIMP, shrimp), (FRY, fry)):
            if pa is None:
                continue
            mappings.append({"va": hex(va), "pa": hex(pa), "level": 0, "n_pages": 1, "flags": flags,
                             "pte": hex(pa >> 2 | 0xD7), "pte_at": hex(0x87E00000 + 0x1000 * pid + (va >> 9 & 0xFF8)),
                             "region": "fry" if va == FRY else "shrimp"})
            self.use(pa, "user", pid, va)
        self.json["processes"].append({
            "slot": len(self.json["processes"]), "pid": pid, "parent": parent, "name": name, "state": state,
            "sz": 4096, "proc": "0x80011000", "root": None, "trapframe": None, "kstack": None,
            "tables": [], "mappings": mappings, "findings": []})
        return self

    def use(self, pa: int, kind: str, pid: Optional[int], va: Optional[int] = None) -> "Family":
        """One more user of the frame at `pa`, counted as a kernel with counts would."""
        frames = self.json["frames"]
        frame = next((f for f in frames if f["pa"] == hex(pa)), None)
        if frame is None:
            frame = {"pa": hex(pa), "n_pages": 1, "users": []}
            frames.append(frame)
            frames.sort(key=lambda f: int(f["pa"], 16))
        frame["users"].append({"kind": kind, "pid": pid, "va": None if va is None else hex(va),
                               "name": None})
        self.json["counts"]["values"] = [[f["pa"], len(f["users"])] for f in frames]
        return self

    def free(self, pa: int) -> "Family":
        """Put the frame at `pa` on the free list too."""
        self.json["free"]["runs"].append([hex(pa), 1])
        return self

    def text(self) -> str:
        return json.dumps(self.json)


def demo() -> Family:
    """init, sh and shrimpdemo: a parent, two children, a grandchild."""
    return (Family().add(1, None, "init").add(2, 1, "sh").add(3, 2, state="RUNNING").add(4, 3).add(5, 3, state="RUNNING")
            .add(6, 4))

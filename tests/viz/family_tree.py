"""Made-up snapshots: the JSON that a kernel with a given family and its page tables would give."""
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
        self._n_tables = 0
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
            "counts": {"name": "kmem.refs", "values": []}, "frames": [], "lost": [], "functions": {}, "findings": [],
        }

    def add(self, pid: int, parent: Optional[int], name: str = "shrimpdemo", state: str = "SLEEPING",
            fry: Optional[int] = -1, shrimp: Optional[int] = -1, flags: str = "VRW-U-AD") -> "Family":
        """A process; its pages are as promised unless `fry` or `shrimp` (frames, or None) say otherwise."""
        fry = fry_frame(pid) if fry == -1 else fry
        shrimp = (None if parent is None else fry_frame(parent)) if shrimp == -1 else shrimp
        self.json["processes"].append({
            "slot": len(self.json["processes"]), "pid": pid, "parent": parent, "name": name, "state": state,
            "sz": 4096, "proc": "0x80011000", "root": None, "trapframe": None, "kstack": None, "lock_held": False, "killed": False,
            "tables": [], "mappings": [], "findings": []})
        for va, pa, region in ((SHRIMP, shrimp, "shrimp"), (FRY, fry, "fry")):
            if pa is not None:
                self.map(pid, va, pa, flags, region)
        return self

    def process(self, pid: int) -> dict[str, Any]:
        """The JSON of the last process with this pid."""
        return [p for p in self.json["processes"] if p["pid"] == pid][-1]

    def map(self, pid: int, va: int, pa: int, flags: str = "VRW-U-AD", region: str = "data", level: int = 0,
            used: bool = True) -> "Family":
        """One leaf PTE, in tables made as they are needed; `used` says whether the frame is the allocator's."""
        process = self.process(pid)
        table = self._table(process, va, level)
        bits = sum(1 << i for i, letter in enumerate(flags) if letter != "-")
        process["mappings"].append({
            "va": hex(va), "pa": hex(pa), "level": level, "n_pages": 1 << 9 * level, "flags": flags,
            "pte": hex(pa >> 2 | bits), "pte_at": hex(table + 8 * (va >> 12 + 9 * level & 511)), "region": region})
        process["mappings"].sort(key=lambda m: int(m["va"], 16))
        if used:
            self.use(pa, "user", pid, va)
        return self

    def _table(self, process: dict[str, Any], va: int, level: int) -> int:
        """The physical address of the table at `level` that translates `va`, made if it is not there."""
        first = va & -(1 << 21 + 9 * level) if level < 2 else 0
        for t in process["tables"]:
            if t["level"] == level and int(t["va"], 16) == first:
                return int(t["pa"], 16)
        # those of FRY and SHRIMP by pid, so that tests can tell where their entries are
        high = first == SHRIMP & -(1 << 21 + 9 * level) or level == 2
        pa = 0x87C00000 + 0x100000 * (2 - level) + 0x1000 * process["pid"] if high else 0x86000000 + 0x1000 * self._n_tables
        self._n_tables += not high
        entry = None if level == 2 else self._table(process, va, level + 1) + 8 * (va >> 21 + 9 * level & 511)
        if entry is None:
            process["root"] = hex(pa)
        process["tables"].append({"pa": hex(pa), "level": level, "entry": entry and hex(entry), "va": hex(first),
                                  "pte": entry and hex(pa >> 2 | 1)})
        process["tables"].sort(key=lambda t: (int(t["va"], 16), -t["level"]))
        return pa

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


def program(made: Family, pid: int, n_heap: int = 0) -> Family:
    """Gives a process the other pages of a small program: text, data, guard, stack, heap, trapframe, trampoline."""
    frame = 0x84000000 + 0x100000 * pid
    pages = [(0x0, "VR-XU-A-", "text"), (0x1000, "VRW-U-AD", "data"), (0x2000, "VRW-----", "guard"),
             (0x3000, "VRW-U-AD", "stack"), *((0x4000 + 0x1000 * i, "VRW-U-AD", "heap") for i in range(n_heap)),
             (0x3FFFFFE000, "VRW---AD", "trapframe")]
    for i, (va, flags, region) in enumerate(pages):
        made.map(pid, va, frame + 0x1000 * i, flags, region)
    made.process(pid).update(sz=0x4000 + 0x1000 * n_heap, trapframe=hex(frame + 0x1000 * (len(pages) - 1)))
    return made.map(pid, 0x3FFFFFF000, 0x80008000, "VR-X--A-", "trampoline", used=False)


def programs() -> Family:
    """demo(), each process with a whole address space."""
    made = demo()
    for pid in range(1, 7):
        program(made, pid)
    return made


def at_rest(made: Family) -> Family:
    """The same where nothing moves, so that the rules judge all of it: nobody runs, the free list is known."""
    made.json["harts"] = []
    for p in made.json["processes"]:
        p["state"] = p["state"].replace("RUNNING", "SLEEPING")
        p["calls"] = ["sched", "sleep", "sys_pause", "syscall", "usertrap"] if p["state"] == "SLEEPING" else None
    free = made.json["free"]
    free["count"] = sum(n for _, n in free["runs"])
    free["lists"] = [{"name": "kmem.freelist", "count": free["count"]}]
    return made


ATTACHED = 0x3FFFFF9000


def sharers() -> Family:
    """demo() with two segments: 1, of two pages, which 3 and 4 have attached, 4 for reading only; 2, removed, which 6 has."""
    made = demo()
    for pid, va, pages, flags, number in ((3, ATTACHED, (0x87100000, 0x87102000), "VRW-U-AD", 1),
                                          (4, ATTACHED - 0x4000, (0x87100000, 0x87102000), "VR--U-A-", 1),
                                          (6, ATTACHED, (0x87200000,), "VRW-U-AD", 2)):
        for i, pa in enumerate(pages):
            made.map(pid, va + 0x1000 * i, pa, flags, f"shm:{number}")
    for number, frames, removed in ((1, (0x87100000, 0x87102000), False), (2, (0x87200000,), True)):
        made.json.setdefault("segments", []).append({
            "id": number, "name": f"shm.segments[{number}]", "key": 0, "size": 4096 * len(frames), "n_attached": 1, "mode": 384,
            "removed": removed, "frames": [[hex(pa), 1] for pa in frames]})
        for pa in frames:
            made.use(pa, "segment", None)
    return made

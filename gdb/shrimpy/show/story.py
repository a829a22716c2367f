"""What happened in a step of a process's life, told from what was seen.

An Event says which function ran, two snapshots say what is different now. No sentence is said because fork usually does
it: where the kernel does otherwise, the step says what it did.
"""

from __future__ import annotations

import dataclasses
from typing import Dict, List, Optional, Sequence, Tuple

from ..memory.readers import PAGE
from ..snapshot import Mapping, Process, Snapshot
from ..snapshot.attached import attachments
from ..snapshot.changes import Change
from ..step.events import BROKEN, UNBORN, Cast, Event, Step, flaws, leaf, pairing
from ..words import pairing as said

_SHOWN_PAGES = 3


def tell(event: Event, cast: Cast, before: Snapshot, after: Snapshot,
         changes: Sequence[Change]) -> Step:
    """The step that `event` was. changes: those of parent and child since the
    step before."""
    teller = _Teller(event, cast, before, after, list(changes))
    title, caption, phase = teller.tell()
    shown, more = _folded(teller.changes, after)
    return Step(title, " ".join([caption, *teller.besides(title)]).strip(), event.at, phase, tuple(shown),
                more, pairing(after, cast), event.path, after)


def count(n: int, noun: str) -> str:
    """How many, in words: "1 page", "2 pages"."""
    return f"{n} {noun}{'' if n == 1 else 's'}"


def users(snapshot: Snapshot, pa: int) -> List[Tuple[Process, Mapping]]:
    """The processes that map a frame, each with the leaf."""
    return [(p, m) for p in snapshot.processes for m in p.mappings
            if m.pa <= pa < m.pa + m.n_pages * PAGE]


class _Teller:
    """One event and what it changed."""

    def __init__(self, event: Event, cast: Cast, before: Snapshot, after: Snapshot,
                 changes: List[Change]) -> None:
        self.event, self.cast = event, cast
        self.before, self.after, self.changes = before, after, changes
        layout = after.layout
        self.names: Dict[Optional[int], str] = {
            layout.trampoline: "trampoline", layout.trapframe: "trapframe",
            layout.fry: "FRY", layout.shrimp: "SHRIMP"}
        self.names.pop(None, None)
        self.child = after.process(cast.child) if cast.child is not None else None
        self.parent = after.process(cast.parent)
        self.told: set = set()              # what a sentence was said about

    def tell(self) -> Tuple[str, str, str]:
        """(title, caption, phase)."""
        return getattr(self, f"_{self.event.kind}")()

    # fork's beginning and end

    def _start(self) -> Tuple[str, str, str]:
        fry = leaf(self.parent, self.after.layout.fry)
        ours = f" Its FRY is frame {fry.pa:#x}: the child is to see it at SHRIMP." if fry else ""
        self.changes = []
        name = self.parent.name if self.parent else "?"
        return (f"pid {self.cast.parent} ({name}) calls {self.cast.fork}",
                f"{self.event.function}() makes a second process that continues here too.{ours}", "start")

    def _return(self) -> Tuple[str, str, str]:
        result = self.event.result
        if result is not None and result >= 0:
            return (f"{self.cast.fork} returns {result}",
                    f"The parent gets the child's pid, {result}; the child will see 0.", "end")
        taken = set(self.cast.allocated)
        kept = sorted(pa for pa in taken if _is_lost(self.after, pa, pa in self.cast.freed))
        text = f"pid {self.cast.parent} gets {result}, and there is no child."
        if kept:
            text += (f" Of the {count(len(taken), 'frame')} that it took nobody has {', '.join(map(hex, kept[:4]))}"
                     f"{', ...' if len(kept) > 4 else ''}, and the allocator neither: lost.")
            if any(h.pid not in (None, self.cast.parent) and h.privilege != "U" for h in self.after.harts):
                text += " Unless another hart, which is inside the kernel, has just taken them."
        elif taken:
            text += (f" All of the {count(len(taken), 'frame')} that it took were given back: nothing is lost.")
        else:
            text += " It had taken no frame."
        return f"{self.cast.fork} fails: it returns {result}", text, "end"

    # Frames

    def _kalloc(self) -> Tuple[str, str, str]:
        pa, caller = self.event.result, self._caller()
        phase = "table" if self.event.within is not None else "frame"
        if not pa:
            return (f"No frame: {self.event.function} returns 0",
                    f"{caller} asked for a frame and {self.event.function}() had none to give. Whoever "
                    "called must now give back what was taken so far and fail.", phase)
        self.changes.append(Change("+", "frame", self.cast.child, after=f"{pa:#x} from {self.event.function}"))
        if self.event.within is not None:
            return (f"Frame {pa:#x} for a page table",
                    f"To map {self._page(self.event.within)} a table is missing on the way: {caller} takes a frame "
                    "for it, 512 entries of 8 bytes, a frame like any other.", phase)
        return (f"Frame {pa:#x} is allocated",
                f"It was free, and is {caller}'s now; no page table maps it yet.", phase)

    def _kfree(self) -> Tuple[str, str, str]:
        pa = self.event.args[0]
        self.changes.append(Change("-", "frame", self.cast.child, before=f"{pa:#x} to {self.event.function}"))
        # Who maps it now and did before: another hart may have taken it again.
        held = {(p.pid, m.va) for p, m in users(self.before, pa)}
        left = [(p, m) for p, m in users(self.after, pa) if (p.pid, m.va) in held and p.pid != self.cast.child]
        who = ", ".join(f"pid {p.pid} at {self._short(m.va)}" for p, m in left[:3])
        counted = dict(self.before.counts.values).get(pa, 0) - 1 if self.before.counts else 0
        if counted > 0:
            return (f"Frame {pa:#x}: {count(counted, 'user')} left",
                    f"{self.event.function}() takes one from its count of users and leaves {counted}"
                    + (f" ({who})" if who else "") + ": the frame is not free.", "free")
        if who:
            return (f"Frame {pa:#x} is freed while it is mapped",
                    f"{who} still maps it: whoever gets the frame next shares it unasked.", "free")
        return (f"Frame {pa:#x} is freed", f"{self._caller()} gives it back, and no process maps it.", "free")

    # Entries

    def _mappages(self) -> Tuple[str, str, str]:
        root, va, size, pa, _ = self.event.args
        ptes = [c for c in self.changes if c.what == "pte" and c.va is not None and va <= c.va < va + size]
        self.told |= {"pte", "table"}
        if self.event.result:
            return (f"Mapping {self._page(va)} fails",
                    f"{self.event.function}() returns {self.event.result}: a table on the way could not be had"
                    + ("." if not ptes else ", but left entries behind."), "map")
        whose = next((p for p in (self.child, self.parent) if ptes and p and p.pid == ptes[0].pid), None)
        if whose is None:
            return (f"{self._page(va)} is mapped elsewhere",
                    f"In the table at {root:#x}, which is neither the parent's nor the child's.", "map")
        role = "child" if whose is self.child else "parent"
        now = leaf(whose, va)
        if whose is self.child and now and va in self.names:
            return self._named_leaf(now)
        if whose is self.parent and role == "parent":
            return (f"{self._short(va)} of the parent is changed",
                    f"{self._caller()} writes into the page table of pid {whose.pid}, which called "
                    f"{self.cast.fork}: {ptes[0].before or 'nothing'} there becomes {ptes[0].after or 'nothing'}. "
                    "A fork has nothing to map in its parent.", "map")
        return (f"Page {va:#x} of the child is mapped",
                f"{self._page(va)} translates to frame {now.pa:#x}, {now.flags[:5]}." if now
                else f"{self._page(va)}: frame {pa:#x}.", "map")

    def _named_leaf(self, now: Mapping) -> Tuple[str, str, str]:
        """The child's trampoline, trapframe, FRY or SHRIMP is mapped."""
        name, shared = self.names[now.va], now.va in self._shared()
        return (f"{name if shared else name.capitalize()} of the child is mapped",
                getattr(self, f"_map_{name.lower()}")(now), name.lower() if shared else "map")

    def _map_trampoline(self, now: Mapping) -> str:
        theirs = leaf(self.parent, now.va)
        if theirs and theirs.pa == now.pa:
            text = (f"It is frame {now.pa:#x}, as for pid {self.cast.parent}, at the same address: the code there changes "
                    "page tables, and must not be pulled from under itself.")
        else:
            text = f"It is frame {now.pa:#x}, which is not where pid {self.cast.parent} has its trampoline."
        return text + (" U IS SET: programs can run it." if "U" in now.flags
                       else " Without U no program can run or read it.")

    def _map_trapframe(self, now: Mapping) -> str:
        same = self._others(now)
        text = (f"In frame {now.pa:#x} the trampoline keeps the child's registers while the kernel runs."
                if not same else f"Frame {now.pa:#x} is {same} too: two processes' registers overwrite each other.")
        return text + (" U IS SET: programs can read and write what the kernel trusts." if "U" in now.flags
                       else " Without U the child cannot touch it.")

    def _map_fry(self, now: Mapping) -> str:
        if self.event.beside:
            return self._kept_by_exec(now)
        wrong = flaws(now, self.after)
        same = self._others(now)
        if wrong:
            return f"The child's own page is frame {now.pa:#x}, but {said.flaws(wrong, now.pa)}."
        if same:
            return f"It must be a frame of the child's own, but frame {now.pa:#x} is {same} too."
        return (f"Every process gets one page of its own at FRY: frame {now.pa:#x}, which no other process maps. "
                "Its children will see this very frame at SHRIMP.")

    def _kept_by_exec(self, now: Mapping) -> str:
        """What exec's table has at FRY or SHRIMP, against the table in use."""
        name = self._short(now.va)
        old = leaf(self.before.process(self.cast.child), now.va)
        if old is None or old.pa != now.pa:
            return f"It is frame {now.pa:#x}, but the table in use has {hex(old.pa) if old else 'nothing'} at {name}: exec must keep it."
        wrong = flaws(now, self.after)
        return f"It is frame {now.pa:#x}, as in the table in use: exec keeps {name}" + \
            (f", but {said.flaws(wrong, now.pa)}." if wrong else ", and whatever was stored there.")

    def _map_shrimp(self, now: Mapping) -> str:
        if self.event.beside:
            return self._kept_by_exec(now)
        fry = leaf(self.parent, self.after.layout.fry)
        state = self.child.state if self.child else "USED"
        late = "" if state in UNBORN else f" It comes late: the child has been {state} without it."
        wrong = flaws(now, self.after)
        if fry is None or fry.pa != now.pa:
            has = f"frame {fry.pa:#x}" if fry else "nothing"
            own = " That is its own FRY." if (f := leaf(self.child, self.after.layout.fry)) and f.pa == now.pa \
                else " It is a frame that this fork took." if now.pa in self.cast.allocated else ""
            return (f"It is frame {now.pa:#x}, but pid {self.cast.parent} has {has} at FRY: what one stores there "
                    f"the other never sees.{own}{late}")
        if wrong:
            return (f"It is the parent's FRY frame {fry.pa:#x}, but {said.flaws(wrong, now.pa)}.{late}")
        return (f"The parent's FRY frame {fry.pa:#x} is now mapped in the child at SHRIMP: a store by one is seen by "
                f"the other, with no copy.{late}")

    def _uvmcopy(self) -> Tuple[str, str, str]:
        pages = [c for c in self.changes if c.what == "pte" and c.kind == "+" and c.pid == self.cast.child]
        tables = sum(c.what == "table" and c.kind == "+" for c in self.changes)
        self.told |= {"pte", "table"}
        if self.event.result and self.event.result < 0:
            left = f" It leaves {len(pages)} pages mapped behind." if pages else \
                " What it had copied is unmapped and given back."
            return ("Copying the user image fails",
                    f"{self.event.function}() returns {self.event.result}: there are not enough frames.{left}", "copy")
        shared = sum(1 for c in pages if (m := leaf(self.parent, c.va)) and (k := leaf(self.child, c.va))
                     and m.pa == k.pa)
        marked = sum(c.what == "pte" and c.kind == "~" and c.pid == self.cast.parent for c in self.changes)
        n = sum(own.n_pages for c in pages if (own := leaf(self.child, c.va)))
        copied = count(n, "page")
        also = f" {count(tables, 'page table')} had to be made for {'it' if n == 1 else 'them'}." if tables else ""
        if shared:
            text = (f"Nothing is copied for {shared} of {len(pages)} entries: parent and child map the same frames"
                    + (f", and {marked} entries of the parent's changed" if marked else "") + ".")
            return f"The user image is shared: {copied}", text + also, "copy"
        odd = sum(1 for c in pages if (m := leaf(self.parent, c.va)) and (k := leaf(self.child, c.va))
                  and m.flags[1:5] != k.flags[1:5])
        unlike = self.event.compared - self.event.equal
        text = ("Each page of the program gets a frame of the child's own"
                + (" with the parent's bytes" if not unlike else f", but {unlike} of them do not hold the parent's bytes")
                + (", at the same address with the same flags: from here on their memories part." if not odd else
                   f"; {odd} of them have other flags than the parent's."))
        return f"The user image is copied: {copied}", text + also, "copy"

    def _uvmunmap(self) -> Tuple[str, str, str]:
        ptes = [c for c in self.changes if c.what == "pte" and c.kind == "-"]
        self.told |= {"pte"}
        special = [self._short(c.va) for c in ptes if c.va is not None and c.va in self.names]
        what = ", ".join(special) if ptes and len(special) == len(ptes) else \
            count(len(ptes), "page")
        frees = self.event.args[3] & 0xffffffff
        then = "their frames are given back" if frees else "their frames stay allocated"
        return (f"Unmapped: {what}", f"{len(ptes)} entr{'y is' if len(ptes) == 1 else 'ies are'} cleared; {then}"
                + (": others may use them." if not frees else "."), "unmap")

    def _uvmfree(self) -> Tuple[str, str, str]:
        was = self.before.process(self.cast.child) if self.cast.child is not None else None
        pages = [c for c in self.changes if c.what == "pte" and c.kind == "-"]
        n_tables = len(was.tables) if was else 0
        self.told |= {"pte", "table", "root"}
        tables = count(n_tables, "page table")
        if not pages:
            return (f"Freed: {tables}", f"{self.event.function}() gives back the frames of the tables; there was no user memory "
                    "in them.", "free")
        return (f"User memory is freed: {count(len(pages), 'page')}",
                f"{self.event.function}() gives back the frames of the program, its heap and its stack, and then "
                f"those of {tables}.", "free")

    # The child's fields

    def _line(self) -> Tuple[str, str, str]:
        order = ("process", "root", "parent", "sz", "name", "state", "table", "pte")
        first = min(self.changes, key=lambda c: order.index(c.what) if c.what in order else 99)
        pid = f"pid {first.pid}"
        titles = {"process": f"{pid} is born: a slot in proc[]",
                  "root": f"{pid} has its page table", "parent": f"{pid} has a parent",
                  "sz": f"{pid}: sz is {first.after}", "name": f"{pid} is called {first.after}",
                  "state": f"{pid} is {first.after}"}
        title = titles.get(first.what)
        inherited = [c for c in self.changes if c.what == "attachment" and c.kind == "+"]
        if title is None and inherited:
            return self._inherited(inherited)
        if title is None:
            self.told |= {"pte", "table"}
            ptes = [c for c in self.changes if c.what == "pte"]
            mapped = leaf(self.child, ptes[0].va) if len(ptes) == 1 and ptes[0].pid == self.cast.child else None
            if mapped is not None and mapped.va in self.names:
                return self._named_leaf(mapped)
            n = len(ptes)
            return (f"{n} entr{'y' if n == 1 else 'ies'} changed on this line" if n else "Page tables changed on this line",
                    "They were written by no function that could be stopped in, as when the compiler inlined it.", "map")
        caption = self._sentence(first)
        self.told.add(first.what)
        return title, caption, "state"

    # Segments of shared memory

    def _inherited(self, found: List[Change]) -> Tuple[str, str, str]:
        self.told |= {"pte", "table"}
        theirs = {(one.va, one.name) for one in attachments(self.after) if one.process.pid == self.cast.parent}
        mine = [one for one in attachments(self.after) if one.process.pid == self.cast.child]
        new = [one for one in mine if not (one.va, one.name) in theirs]
        text = f"The same frames are mapped at the same addresses as in pid {self.cast.parent}: nothing is copied." if not new else \
            f"pid {self.cast.parent} has nothing attached at {', '.join(hex(one.va) for one in new)}."
        return (f"pid {self.cast.child} inherits {count(len(found), 'attachment')}",
                f"{'; '.join(c.after for c in found[:_SHOWN_PAGES])}. {text}", "map")

    def _shmat(self) -> Tuple[str, str, str]:
        made = [c for c in self.changes if c.what == "attachment" and c.kind == "+"]
        self.told |= {"pte", "table"}
        result = self.event.result or 0
        if not made:
            said = f"{result}" if result < 0 else f"{result:#x}"
            return (f"pid {self.cast.child} attaches nothing", f"{self.event.function}() returns {said}.", "map")
        one = next(one for one in attachments(self.after) if (one.process.pid, one.va) == (made[0].pid, made[0].va))
        return (f"pid {self.cast.child} attaches {one.name}"[:60],
                f"Its {count(one.n_pages, 'page')} are mapped from {one.va:#x} on ({made[0].after}). {self._who_has(one.name)}", "map")

    def _shmdt(self) -> Tuple[str, str, str]:
        gone = [c for c in self.changes if c.what == "attachment" and c.kind == "-"]
        n = sum(c.what == "pte" and c.kind == "-" for c in self.changes)
        self.told |= {"pte", "table"}
        if not gone:
            return (f"pid {self.cast.child} detaches nothing", f"{self.event.function}() returns {self.event.result}.", "unmap")
        was = next(one for one in attachments(self.before) if (one.process.pid, one.va) == (gone[0].pid, gone[0].va))
        return (f"pid {self.cast.child} detaches {was.name}"[:60],
                f"{n} entr{'y is' if n == 1 else 'ies are'} cleared, from {was.va:#x} on. {self._who_has(was.name)}", "unmap")

    def _who_has(self, segment: str) -> str:
        """Who else has a segment attached, and what becomes of it where nobody has."""
        others = sorted({one.process.pid for one in attachments(self.after) if one.name == segment} - {self.cast.child})
        if others:
            who = ", ".join(f"pid {pid}" for pid in others[:_SHOWN_PAGES])
            return f"{who} {'has' if len(others) == 1 else 'have'} it attached, too: what one stores there all see."
        there = any(one.name == segment for one in self.after.segments)
        return "Nobody else has it attached." if there else "Nobody has it attached, and it was removed: its frames are given back."

    def _state(self) -> Tuple[str, str, str]:
        self.told.add("state")
        self.told.add("process")
        child = self.child
        if child is None:
            return ("The slot of the child is free again", self._gone(), "end" if self.cast.ending else "state")
        if child.state == "ZOMBIE":
            n = len(child.mappings)
            return (f"pid {child.pid} is a ZOMBIE",
                    f"It will never run again, but its page table still maps {n} pages: nobody can free the stack and "
                    "the table it runs on but another process, its parent, in wait.", "exit")
        if self.cast.ending:
            return (f"pid {child.pid} is being buried: {child.state}",
                    "Its parent has found it and takes its memory apart.", "wait")
        if child.state in UNBORN:
            return f"pid {child.pid} is {child.state}", "No scheduler picks it.", "state"
        paired = pairing(self.after, self.cast)
        text = ("From here on another hart may run it; whatever is not mapped by now, the child can run without.")
        if paired.state == BROKEN:
            text += " And something is wrong: " + paired.text + "."
        return f"pid {child.pid} is {child.state}", text, "state"

    def _gone(self) -> str:
        fry = leaf(self.parent, self.after.layout.fry)
        text = f"Nothing is left of pid {self.cast.child}: its slot may be taken by the next fork."
        if self.cast.ending and fry:
            text += f" pid {self.cast.parent} still has its FRY, frame {fry.pa:#x}."
        return text

    # exec, exit

    def _exec(self) -> Tuple[str, str, str]:
        self.changes = []
        what = f" {self.event.text!r}" if self.event.text else ""
        return (f"pid {self.cast.child} calls {self.event.function}{what}"[:60],
                "A new page table is filled beside the old one, which stays in use until all is well: a program "
                "that cannot be loaded must find everything as it was.", "exec")

    def _switch(self) -> Tuple[str, str, str]:
        self.told |= {"pte", "table", "root", "sz", "name"}
        layout, was = self.after.layout, self.before.process(self.cast.child)
        parts = []
        for name, va in (("FRY", layout.fry), ("SHRIMP", layout.shrimp)):
            old, new = leaf(was, va), leaf(self.child, va)
            if old and new and old.pa == new.pa:
                parts.append(f"{name} is the same frame, {new.pa:#x}")
            elif old:
                parts.append(f"{name} WAS frame {old.pa:#x} and is {hex(new.pa) if new else 'not mapped'} now")
        keeps = (" " + " and ".join(parts) + ".") if parts else ""
        n = sum(m.va not in self.names for m in self.child.mappings) if self.child else 0
        root, before = ((p.root or 0) if p else 0 for p in (self.child, was))
        return (f"exec: pid {self.cast.child} has another page table",
                f"Root {root:#x} takes the place of {before:#x}, with {n} pages of the new program.{keeps}",
                "exec")

    def _execed(self) -> Tuple[str, str, str]:
        self.told |= {"pte", "table", "root", "sz", "name"}
        if self.event.result is not None and self.event.result < 0:
            return (f"{self.event.function} fails: it returns {self.event.result}",
                    f"pid {self.cast.child} goes on with the program and the page table that it had.", "exec")
        name = self.child.name if self.child else "gone"
        return (f"pid {self.cast.child} is {name} now",
                f"{self.event.function}() is done: the old image is gone, and user mode begins at the new program's "
                "entry.", "exec")

    def _exit(self) -> Tuple[str, str, str]:
        return (f"pid {self.cast.child} calls {self.event.function}",
                "It closes its files and gives its children away. Its memory stays: it still runs on its own kernel "
                "stack, in the kernel's page table.", "exit")

    # Besides

    def besides(self, title: str) -> List[str]:
        """Sentences on fields that changed and that no other sentence is about."""
        found = []
        for c in self.changes:
            if c.what not in self.told and c.what in ("process", "root", "parent", "sz", "name", "state") \
                    and c.pid == self.cast.child:
                self.told.add(c.what)
                if not (c.kind == "~" and any(o.what == "process" for o in self.changes)):
                    found.append(self._sentence(c))
        return found

    def _sentence(self, c: Change) -> str:
        if c.what == "process" and c.kind == "+":
            return f"pid {c.pid} has a slot of proc[] and is {self.child.state if self.child else 'USED'}: " \
                   "no scheduler picks it yet."
        if c.what == "process":
            return f"pid {c.pid} has no slot any more."
        if c.what == "root":
            if c.after == "none":
                return f"pid {c.pid} has no page table any more."
            if c.after == hex(self.cast.draft or 0):
                return f"{c.after} is the root of the table that is being made for pid {c.pid}."
            return f"The root table of pid {c.pid} is {c.after} now."
        if c.what == "parent":
            settled = ": whose FRY its SHRIMP must be is settled" if self.after.layout.shrimp is not None else \
                ": it will wait for it"
            return f"The parent of pid {c.pid} is pid {c.after} now{settled}." \
                if c.after != "none" else f"pid {c.pid} has no parent any more."
        if c.what == "sz":
            return f"The kernel takes the {c.after} bytes from address 0 for memory of pid {c.pid}: exec and exit free " \
                   "that much."
        if c.what == "state":
            return f"pid {c.pid} is {c.after} now."
        like = f", as pid {self.parent.pid} is" if self.parent and c.after == self.parent.name else ""
        return f"pid {c.pid} is called {c.after}{like}: a name is for people, the kernel goes by pids."

    # Words

    def _caller(self) -> str:
        return f"{self.event.path[-1]}()" if self.event.path else "the kernel"

    def _short(self, va: int) -> str:
        return self.names.get(va, f"page {va:#x}")

    def _page(self, va: int) -> str:
        return f"{self.names[va]} ({va:#x})" if va in self.names else f"page {va:#x}"

    def _shared(self) -> Tuple[Optional[int], Optional[int]]:
        return self.after.layout.fry, self.after.layout.shrimp

    def _others(self, now: Mapping) -> str:
        """Who else has the frame of the child's leaf, in words; "" for nobody."""
        found = [f"{self._short(m.va)} of pid {p.pid}" for p, m in users(self.after, now.pa)
                 if (p.pid, m.va) != (self.cast.child, now.va)]
        return ", ".join(found[:3])


def _is_lost(snapshot: Snapshot, pa: int, given_back: bool) -> bool:
    """Whether nobody has a frame, not even the allocator; where the free list
    was not walked, whether it was not seen given back."""
    if snapshot.free.complete:
        return any(first <= pa < first + n * PAGE for first, n in snapshot.lost)
    return not given_back


def _folded(changes: Sequence[Change], after: Snapshot) -> Tuple[List[Change], int]:
    """The changes with the leaves of user memory cut to a few, and how many
    were left out."""
    layout = after.layout
    special = (layout.trampoline, layout.trapframe, layout.fry, layout.shrimp)
    shown: List[Change] = []
    seen: Dict[Tuple[str, Optional[int]], int] = {}
    more = 0
    for c in changes:
        if c.what == "pte" and c.va not in special:
            seen[c.kind, c.pid] = seen.get((c.kind, c.pid), 0) + 1
            if seen[c.kind, c.pid] > _SHOWN_PAGES:
                more += 1
                continue
        shown.append(dataclasses.replace(c))
    return shown, more

"""What figures say of processes, frames, entries and stops: the text, without markup."""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePath
from typing import Optional

from ..scene.text import shorten
from .frame_users import called
from .kit import Index, Kind, Mapping, Process
from .sharing import ATTACHED, Accusation, Member, Odd, Oddity, Page, Placed, SharedFrame, Sharing, has_pages

NAME_CHARS = 20
STATE_CHARS = 10
KERNEL_PARTS = 3        # tree/kernel/kernel
LISTED_PIDS = 12
FREE = "on the free list"
PAGE = {"F": "FRY", "S": "SHRIMP"}
LETTER = {name: letter for letter, name in PAGE.items()}
_SEGMENT = "shm:"       # how the regions of what is attached begin
REGION = {"fry": "FRY", "shrimp": "SHRIMP"}
RWXU = slice(1, 5)      # of an entry's flags
ROW = {**PAGE, "T": "table", "M": "memory"}


def region(name: str) -> str:
    """FRY and SHRIMP as they are written, a segment as "shm 3", any other region by its name."""
    return f"shm {name[len(_SEGMENT):]}" if name.startswith(_SEGMENT) else REGION.get(name, name)


def letter_of(region: str) -> Optional[str]:
    """F, S, or A for what is attached; None of any other region."""
    return ATTACHED if region.startswith(_SEGMENT) else LETTER.get(REGION.get(region, ""))


def page_of(row: str, page: Page) -> str:
    """What a page of a process is called: FRY, SHRIMP, or the segment that it is of."""
    return PAGE.get(row) or region(page.mapping.region)


def heading(index: Index, frame: SharedFrame) -> tuple[str, str]:
    """Of a frame's box, what it is, and the kernel's own count; of a segment's, how many pages, and its first frame."""
    if frame.segment is None:
        return f"frame {frame.pa:#x}", refs(index, frame)
    return region(f"{_SEGMENT}{frame.segment.id}"), f"{count(len(frame.frames), 'page')}, {frame.pa:#x}"


def name(process: Process) -> str:
    return f"{process.pid} {shorten(process.name, NAME_CHARS) or '(no name)'}"


def kernel(name: str) -> str:
    """A figure goes into reports: the tree's name tells kernels apart, the way to it does not."""
    return shorten("/".join(PurePath(name).parts[-KERNEL_PARTS:]), 60) or "kernel"


def stop_line(index: Index) -> str:
    """The kernel, and where it stood: what is not known is not said."""
    stop = index.snapshot.stop
    at = [f"hart {stop.hart}"] if stop.hart is not None else []
    mode = {"U": "user mode", "S": "supervisor mode", "M": "machine mode"}.get(stop.privilege or "")
    at += [mode] if mode else []
    if stop.pid is not None:
        process = index.process(stop.pid)
        at.append("pid " + (name(process) if process else str(stop.pid)))
    code = []
    if stop.function:
        code.append(f"{shorten(stop.function, 40)}()")
    elif stop.pc is not None:
        code.append(f"pc {stop.pc:#x}")
    if stop.file:
        line = f":{stop.line}" if stop.line is not None else ""
        code.append(shorten(PurePath(stop.file).name, 30) + line)
    at += [" ".join(code)] if code else []
    state = "panicked" if stop.panicked else "stopped"
    return f"{kernel(index.snapshot.kernel)} {state}: {', '.join(at) or 'where is not known'}"


def count(n: int, thing: str, things: str = "") -> str:
    """"1 frame", "2 frames"; `things` is the plural where an s does not make it."""
    return f"{n} {thing if n == 1 else things or thing + 's'}"


def left_out(index: Index, model: Sharing, drawn: set[int],
              here: set[int]) -> list[str]:
    """What the figure does not show, counted; `here` are the frames that it shows."""
    pids = sorted(m.process.pid for slot, m in model.members.items() if slot not in drawn)
    pairs = sum(f.pa not in here and f.worth_drawing for f in model.frames.values())
    elsewhere = alone = 0
    here = here | {pa for one in model.frames.values() if one.pa in here for pa in one.frames}
    for f in index.snapshot.frames:
        if f.pa in here or (f.pa in model.frames and model.frames[f.pa].worth_drawing):
            continue
        shared = len({u.pid for u in f.users}) > 1
        elsewhere += f.n_pages * shared
        alone += f.n_pages * (not shared)
    parts = [count(alone, "frame with one user", "frames with one user")]
    if elsewhere:
        parts.append(count(elsewhere, "frame shared at other addresses", "frames shared at other addresses"))
    if pids:
        listed = ", ".join(map(str, pids[:LISTED_PIDS])) + (", …" if len(pids) > LISTED_PIDS else "")
        parts.insert(0, f"{count(len(pids), 'process', 'processes')} (pid {listed})"
                     + (f" with {count(pairs, 'shared frame')}" if pairs else ""))
    elif pairs:
        parts.insert(0, count(pairs, "shared frame"))
    return ["left out: " + "; ".join(parts)]


def cautions(index: Index) -> list[str]:
    """Why a mark in the figure may be no fault of the kernel's."""
    lines = [f"careful: lock {shorten(lock.name, 20)} was held"
             + (f" by hart {lock.hart}" if lock.hart is not None else "")
             + ", so what it guards may be half way" for lock in index.snapshot.locks if lock.held]
    if not index.processes:
        lines.append("careful: the snapshot holds no process")
    if not index.snapshot.free.complete:
        lines.append("not looked at: the free list" if index.snapshot.free.hindrance == Kind.FREE_LIST_NOT_WALKED
                     else "careful: the free list is not wholly known")
    return lines


def as_sentences(lines: Iterable[str]) -> list[str]:
    return [line.rstrip(".") + "." for line in lines]


def state(index: Index, process: Process) -> str:
    """The state, and the hart that it is on."""
    harts = [f" hart {h.hart}" for h in index.snapshot.harts if h.pid == process.pid]
    return shorten(process.state, STATE_CHARS) + "".join(harts[:1])


def role(index: Index, member: Member, below_parent: bool = False) -> str:
    """State and descent, for the right end of a process's first row; below_parent: a line shows whose child it is."""
    process = member.process
    its_state = state(index, process)
    if process.parent is None:
        return f"{its_state}, orphan" if member.orphan else f"{its_state}, no parent"
    if member.orphan:
        return f"{its_state}, orphan, adopted by {process.parent}"
    return its_state if below_parent else f"{its_state}, child of {process.parent}"


def held_back(model: Sharing) -> list[str]:
    """What is not said of this stop, counted."""
    lines = []
    if model.held_back:
        lines.append(f"held back: {count(model.held_back, 'verdict')} on what the machine is in the middle of; "
                     "a later stop will tell")
    if model.elsewhere:
        lines.append(f"not shown: {count(model.elsewhere, 'failure')} that " + ("is" if model.elsewhere == 1 else "are")
                     + " not about FRY or SHRIMP: see the fault figure")
    return lines


def flags(index: Index, mapping: Mapping, which: slice = slice(None)) -> str:
    """The flags of an entry, or `which` of them, and the kernel's names of the bits for software that are set."""
    return " ".join((mapping.flags[which], *index.soft(mapping.pte)))


def page_words(index: Index, member: Member, page: Optional[Page], letter: str, is_drawn: bool) -> tuple[str, str]:
    """Address and remark in the row of FRY or SHRIMP, or of what is attached."""
    if page is None:
        first = letter == "S" and member.process.parent is None and member.process.state != "USED"
        return "none", "first process" if first else "not mapped"
    remark = flags(index, page.mapping, RWXU)
    if letter.startswith(ATTACHED):
        return f"{page.va:#x}", remark
    if not is_drawn:
        remark += ", not shared"
    elif letter == "S" and member.orphan:
        remark += ", creator gone"
    return f"{page.pa:#x}", remark


def memory_words(process: Process, letter: str, page_size: int) -> tuple[str, str]:
    """The root of a process's page table, or its size, and what is there."""
    if letter == "T":
        return (("none", "no page table") if process.root is None else
                (f"{process.root:#x}", count(len(process.tables), "table")))
    n_pages = sum(m.n_pages for m in process.mappings if m.va < process.sz)
    return f"{process.sz:#x}", f"bytes, {count(n_pages, 'page')} mapped of {count(-(-process.sz // page_size), 'page')}"


def frame_words(model: Sharing, frame: SharedFrame, drawn: set[int]) -> list[tuple[str, str]]:
    """The rows of a frame's box: a letter and who or what."""
    rows = []
    if frame.segment is not None:
        writers = [slot for slot in dict.fromkeys(frame.attached_by) if slot not in frame.read_only]
        readers = [slot for slot in dict.fromkeys(frame.attached_by) if slot in frame.read_only]
        said = [part for part in (writers and "attached by " + _whose(model, writers, drawn),
                                  readers and "for reading by " + _whose(model, readers, drawn)) if part]
        return [(ATTACHED, "; ".join([*said, *["removed"] * frame.segment.removed]) or "attached by nobody")]
    if frame.fry_of:
        rows.append(("F", "FRY of " + _whose(model, frame.fry_of, drawn)))
    elif frame.creator_gone:
        rows.append(("F", "creator gone"))
    if frame.shrimp_of:
        rows.append(("S", "SHRIMP of " + _whose(model, frame.shrimp_of, drawn)))
    return rows


def accusation(one: Accusation) -> str:
    """What is wrong with a page of a process."""
    return f"{one.verdict.rule}: {one.verdict.why}" + (f" (and {one.n_more} more)" if one.n_more else "")


def oddity(index: Index, one: Oddity) -> str:
    """What is odd about a frame."""
    if one.user is not None:
        return f"also {called(index, one.user)}"
    if one.verdict is not None:
        return f"{one.verdict.rule}: {one.verdict.why}"
    return {Odd.FREE: f"{FREE}, yet mapped", Odd.OUTSIDE: "outside RAM", Odd.FRY_OF_NONE: "FRY of nobody"}.get(
        one.kind, f"FRY of {one.n} processes")


def count_on_its_way(index: Index, frame: SharedFrame) -> str:
    """Why a frame's own count may differ from the users that are drawn, where no rule failed; or nothing."""
    if not index.snapshot.counts or frame.segment or frame.is_wrong or frame.odd or frame.count == len(frame.users):
        return ""
    return (f"frame {frame.pa:#x}: {shorten(index.snapshot.counts.name, 12)} is {frame.count} with "
            f"{count(len(frame.users), 'user')}: entry and count change one after the other")


def refs(index: Index, frame: SharedFrame) -> str:
    """The kernel's own count of the frame's users, if it keeps one."""
    n = str(frame.count)
    return f"{shorten(index.snapshot.counts.name, 12 - len(n))} {n}" if index.snapshot.counts else ""


def refs_meaning(index: Index) -> list[str]:
    """What refs() is, in a line, where the kernel counts."""
    counts = index.snapshot.counts
    return [f"{shorten(counts.name, 12)}: how many users the kernel itself counts of a frame"] if counts else []


def pte(page: Page) -> str:
    return f"{entry(page.mapping)}: {page.va:#x} to {page.pa:#x}"


def entry(mapping: Mapping) -> str:
    return f"PTE at {mapping.pte_at:#x} = {mapping.pte:#x}"


def _whose(model: Sharing, slots: Sequence[int], drawn: set[int]) -> str:
    """The pids of `slots`; those that are not drawn last, and only counted when they are many."""
    here, away = ([model.members[s].process.pid for s in slots if (s in drawn) == shown]
                  for shown in (True, False))
    parts = [", ".join(map(str, sorted(here)))] if here else []
    if len(away) > 2:
        parts.append(f"{len(away)} not drawn")
    elif away:
        parts.append(", ".join(f"{pid} (not drawn)" for pid in sorted(away)))
    return ", ".join(parts)


def description(index: Index, model: Sharing, placed: list[Placed],
                frames: list[SharedFrame], around: list[str]) -> str:
    """The figure in sentences."""
    drawn = {p.slot for p in placed}
    lines = as_sentences(around)
    for p in placed:
        m = model.members[p.slot]
        pages = (f", {PAGE[letter]} {page.pa:#x}" if page else f", no {PAGE[letter]}"
                 for letter, page in (("F", m.fry), ("S", m.shrimp))) if has_pages(index) else (
            f", {ROW[letter]} {' '.join(memory_words(m.process, letter, index.layout.page_size))}" for letter in "TM")
        attached = "".join(f", {page_of(ATTACHED, page)} at {page.va:#x}" for page in m.attached)
        lines.append(f"Process {name(m.process)}, {role(index, m)}{''.join(pages)}{attached}"
                     + "".join(f"; wrong: {accusation(w)}" for w in m.wrong) + ".")
    for f in frames:
        rows = [w for _, w in frame_words(model, f, drawn)] + [
            f"{'wrong' if f.is_wrong else 'as it stands'}: {oddity(index, w)}" for w in f.odd]
        lines.append(f"{heading(index, f)[0].capitalize()}: {'; '.join(rows)}.")
    return " ".join(lines)

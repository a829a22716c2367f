"""A machine that breaks each rule, for the figure of it: what a student would see drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import NamedTuple

from designs import DEST, HIGH, LOW, Design, Place, shared
from machine import BASE, FRY, KEPT, PAGE, PANICKED, SHRIMP, TRAPFRAME, Machine, R, U, W, family
from shrimpy.rules import Known
from shrimpy.snapshot import Hart, Snapshot


class Broken(NamedTuple):
    """The snapshot that breaks the rule; before: an earlier one, where it takes two; known: what else the rule must know."""

    after: Snapshot
    before: Snapshot | None = None
    known: Known = Known()


def _of(change: Callable[[Machine], object]) -> Callable[[], Broken]:
    """A family, changed."""
    def broken() -> Broken:
        m = family()
        change(m)
        return Broken(m.snapshot())
    return broken


def _over_time(change: Callable[[Machine], object]) -> Callable[[], Broken]:
    """A family before and after a change."""
    def broken() -> Broken:
        m = family()
        before = m.snapshot()
        change(m)
        return Broken(m.snapshot(), before)
    return broken


def _one_page_lower() -> Broken:
    m = family()
    for p in m.processes.values():
        frames = [m.unmap(p.root, va) for va in (FRY, SHRIMP)]
        for va, frame in zip((FRY - PAGE, SHRIMP - PAGE), frames):
            if frame:
                m.map(p.root, va, frame, R | W | U)
    return Broken(m.snapshot(fry=FRY - PAGE, shrimp=SHRIMP - PAGE))


def _own_shrimp(m: Machine) -> None:
    p = m.processes[4]
    m.free(m.unmap(p.root, SHRIMP))
    m.map(p.root, SHRIMP, m.alloc(), R | W | U)


def _new_fry_for_each_child(m: Machine) -> None:
    parent, child = m.processes[3], m.processes[5]
    m.free(m.unmap(child.root, SHRIMP))
    new = m.renew_fry(parent)
    m.map(child.root, SHRIMP, new, R | W | U)
    m.refs[new] += 1


def _one_fry_for_all(m: Machine) -> None:
    one = m.processes[1].fry
    for p in list(m.processes.values())[1:]:
        m.free(m.unmap(p.root, FRY))
        m.map(p.root, FRY, one, R | W | U)
        m.refs[one] += 1


def _not_cleared(m: Machine) -> None:
    child = m.processes[5]
    m.ram[child.fry - BASE:child.fry - BASE + PAGE] = b"\5" * PAGE
    m.state(child, "RUNNABLE", ["forkret"])


def _freed_with_its_parent(m: Machine) -> None:
    parent = m.processes[3]
    m.refs[parent.fry] = 1
    m.exits(parent)


def _child_frees_shrimp(m: Machine) -> None:
    parent = m.processes[3]
    m.exits(m.processes[5])
    m.available.append(parent.fry)
    m.refs[parent.fry] = 0


def _fry_never_freed(m: Machine) -> None:
    p = m.processes[5]
    m.refs[p.fry] += 1
    m.exits(p)


def _twice_on_the_list() -> Broken:
    m = family()
    m.exits(m.processes[5])
    m.write_free_list()
    m.put(m.available[-1], m.available[-2])
    m.put(m.available[-2], m.available[-1])
    return Broken(m.look())


def _kept_after_its_end() -> Broken:
    m = family()
    before = m.snapshot()
    m.put(KEPT, m.alloc())
    return Broken(m.snapshot(), before, Known(before=before))


def _other_tables_in_user_mode() -> Broken:
    m = family()
    other = m.processes[5]
    m.state(m.processes[4], "RUNNING")
    m.put(BASE + 2 * PAGE, m.processes[4].address)
    return Broken(m.snapshot([Hart(0, 4, "U", 8 << 60 | other.root >> 12, 0x100, "main")]))


def _panics() -> Broken:
    m = family()
    m.put(PANICKED, 1, 4)
    return Broken(m.snapshot([Hart(0, None, "S", None, BASE + 0x1400, "freewalk")]))


def _segment(change: Callable[[Machine, Design, Place], object]) -> Callable[[], Broken]:
    """Processes with a segment attached, changed."""
    def broken() -> Broken:
        m, design, one = shared()
        change(m, design, one)
        return Broken(m.snapshot())
    return broken


def _one_frame_for_two(m: Machine, design: Design, one: Place) -> None:
    other = design.make()
    m.put(m.get(other.at), one.frames[1])
    m.free(other.frames[0])
    m.refs[one.frames[1]] += 1


def _kept_when_removed(m: Machine, design: Design, one: Place) -> None:
    m.put(design.make().at + design.mode, DEST, 4)


def _keeps_what_is_attached() -> Broken:
    m, _, _ = shared()
    after = m.snapshot()
    before = replace(after, processes=tuple(replace(p, name="sh") if p.pid == 4 else p for p in after.processes))
    return Broken(after, before, Known(execed=frozenset((4,))))


BROKEN: Mapping[str, Callable[[], Broken]] = {
    "below-trapframe": _one_page_lower,
    "shrimp-pair": _of(_own_shrimp),
    "shrimp-siblings": _of(_new_fry_for_each_child),
    "fry-private": _of(_one_fry_for_all),
    "fry-flags": _of(lambda m: m.map(m.processes[4].root, FRY, m.processes[4].fry, R | W)),
    "shrimp-flags": _of(lambda m: m.map(m.processes[4].root, SHRIMP, m.processes[4].shrimp, R | U)),
    "fry-zeroed": _of(_not_cleared),
    "orphan-alive": _of(_freed_with_its_parent),
    "heap-below-shrimp": _of(lambda m: m.field(m.processes[4], "sz", TRAPFRAME)),
    "exec-keeps": _over_time(lambda m: m.renew_fry(m.processes[4])),
    "no-user-supervisor": _of(lambda m: m.map(m.processes[4].root, TRAPFRAME, m.processes[4].trapframe, R | W | U)),
    "frame-in-ram": _of(lambda m: (m.renew_fry(m.processes[4]), m.free(m.unmap(m.processes[4].root, FRY)),
                                   m.map(m.processes[4].root, FRY, 0, R | W | U))),
    "pte-legal": _of(lambda m: m.put(m.pte_at(m.processes[4].root, 0), m.get(m.pte_at(m.processes[4].root, 0)) | 1 << 58)),
    "not-on-free-list": _of(_child_frees_shrimp),
    "free-list-sound": _twice_on_the_list,
    "table-private": _of(lambda m: m.put(m.processes[4].root, m.get(m.processes[3].root))),
    "frames-conserved": _over_time(_fry_never_freed),
    "frames-return": _kept_after_its_end,
    "count-matches": _of(lambda m: m.refs.update({m.processes[3].fry: 2})),
    "segment-count": _segment(lambda m, design, one: m.put(one.at + design.count, 5)),
    "segment-rights": _segment(lambda m, design, one: m.map(m.processes[5].root, LOW + PAGE, one.frames[1], R | W | U)),
    "segment-pages": _segment(lambda m, design, one: (m.free(m.unmap(m.processes[4].root, HIGH + PAGE)),
                                                      m.map(m.processes[4].root, HIGH + PAGE, m.alloc(), R | W | U))),
    "segment-place": _segment(lambda m, design, one: m.field(m.processes[4], "sz", HIGH + 1)),
    "segment-exec": _keeps_what_is_attached,
    "segment-private": _segment(_one_frame_for_two),
    "segment-removed": _segment(_kept_when_removed),
    "satp-is-root": _other_tables_in_user_mode,
    "no-panic": _panics,
}
"""By rule: all but the specification, which no snapshot breaks."""

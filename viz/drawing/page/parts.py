"""What the page shows, as named parts: JSON each, so that parts are compared, kept and sent without being understood.

    now         where the machine stands
    lamp        the verdict, and a block for each cause of failures
    family, matrix, ram
                the figures as SVG, or why there is none
    harts       a row for each hart
    order       the slots in the order of a family tree, and how deep each stands
    p:SLOT      a process: its fields, its tables, its leaves
    f:ADDRESS   the frames in use of the MiB there: users in words, and the kernel's count
    step        of a film: what the step was
"""
from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..figures import Drawing, family, matrix, ram
from ..film import phrases
from ..film.document import Step
from ..model import kit, words
from ..model.errors import VizError
from ..model.frame_users import called
from ..model.kit import Index, Process, User
from ..model.sharing import family_order, relations
from ..scene import dot, svg

_CHUNK = 1 << 20        # bytes of RAM whose frames are one part

VIEWS = ("family", "matrix", "ram")
"""The figures that a page shows of a state, one at a time."""

Parts = Mapping[str, str]
"""JSON by a part's name."""

Drawn = Mapping[str, Drawing]
"""The figures of a state, of VIEWS those that could be drawn."""


@dataclass(frozen=True)
class Change:
    """What makes a state of the one before. when: what the time line calls it."""
    when: str
    changed: Parts
    gone: tuple[str, ...]

    def to_json(self, **more: object) -> str:
        """As the script takes it, with what else it is to know."""
        inside = ",".join(f"{json.dumps(name)}:{said}" for name, said in self.changed.items())
        beside = json.dumps({"when": self.when, "gone": self.gone, **more}, separators=(",", ":"))
        return f'{beside[:-1]},"parts":{{{inside}}}}}'


def change(before: Parts, after: Parts, when: str) -> Change:
    """What is to be told to who knows `before`."""
    return Change(when, {name: said for name, said in after.items() if before.get(name) != said},
                  tuple(sorted(before.keys() - after.keys())))


class Scribe:
    """Writes one state after the other; what a process or a figure was drawn of is not drawn again."""

    def __init__(self) -> None:
        self._family = family.Standing()
        self.drawn: Drawn = {}                                  # of the last state
        self._figures: dict[str, tuple[Drawing, str]] = {}      # as each was drawn last
        self._processes: dict[int, tuple[Process, str]] = {}    # by slot

    def parts(self, index: Index, exact: bool = True, cautions: tuple[str, ...] = ()) -> dict[str, str]:
        """The parts of a snapshot's state. exact: whether the machine stood still; cautions: what else is to be said of it."""
        model = relations(index)
        made: dict[str, Any] = {
            "now": {"stop": words.stop_line(index) if index.snapshot.stop.pc is not None else "", "exact": exact,
                    "cautions": [*cautions, *words.cautions(index)], "fry": index.layout.fry, "shrimp": index.layout.shrimp},
            "lamp": lamp(index),
            "harts": [[h.hart, h.pid, h.privilege, h.function or (h.pc and hex(h.pc))] for h in index.snapshot.harts],
            "order": [[p.slot, p.depth] for p in family_order(model, model.members)],
            **{f"f:{first:#x}": rows for first, rows in _frames(index).items()}}
        said = {name: encoded(part) for name, part in made.items()}
        draw: dict[str, Callable[[Index], Drawing]] = {"family": self._family.draw, "matrix": matrix.draw, "ram": ram.draw}
        drawn = {}
        for name in VIEWS:
            try:
                drawn[name] = draw[name](index)
                said[name] = self._figure(name, drawn[name])
            except VizError as e:
                said[name] = encoded({"why": str(e)})
        self.drawn = drawn
        before, self._processes = self._processes, {}
        for slot, member in model.members.items():
            known = before.get(slot)
            if known is None or known[0] != member.process:
                known = member.process, encoded(_process(index, member.process))
            self._processes[slot] = known
            said[f"p:{slot}"] = known[1]
        return said

    def _figure(self, name: str, one: Drawing) -> str:
        known = self._figures.get(name)
        if known is None or known[0] is not one:
            self._figures[name] = known = one, encoded({"svg": svg.text(one.scene, one.description, f"{name}-", one.title)})
        return known[1]


def dots(drawn: Drawn) -> list[str]:
    """Figures as DOT, in the order of VIEWS; "" for one that could not be drawn."""
    return [_dot(drawn[name]) if name in drawn else "" for name in VIEWS]


@lru_cache(maxsize=8)       # one state after the other has the same
def _dot(one: Drawing) -> str:
    return dot.write(one.scene, one.title)


def encoded(part: object) -> str:
    """A part, as it is sent."""
    return json.dumps(part, separators=(",", ":"), ensure_ascii=False)


def lamp(index: Index) -> dict[str, Any]:
    """The verdict: pass, fail or skipped, in one line, and the causes of failures as shrimp-check tells them."""
    verdicts = kit.judgement(index).verdicts
    role, said = kit.conclusion(index.snapshot, verdicts)
    return {"state": role, "says": said, "blocks": [kit.block(one).rstrip("\n") for one in kit.blocks(verdicts)]}


def _process(index: Index, p: Process) -> dict[str, Any]:
    shared = {m.va: name for m in p.mappings if (name := index.special(m.va))}
    return {"pid": p.pid, "parent": p.parent, "name": words.name(p), "state": p.state, "sz": p.sz, "killed": p.killed,
            "root": _hex(p.root), "calls": p.calls,
            "tables": [[_hex(t.pa), t.level, _hex(t.entry), _hex(t.va), _hex(t.pte)] for t in p.tables],
            "leaves": [[_hex(m.va), _hex(m.pa), m.level, m.n_pages, m.flags, _hex(m.pte), _hex(m.pte_at),
                        shared.get(m.va) or words.region(m.region)] for m in p.mappings]}


def _hex(value: int | None) -> str | None:
    return None if value is None else f"{value:#x}"


def _frames(index: Index) -> dict[int, list[Any]]:
    """By MiB: address, frames, users as [words, pid, va], and the kernel's count."""
    found: dict[int, list[Any]] = {}
    for f in index.snapshot.frames:
        users = [_user(index, u) for u in f.users]
        found.setdefault(f.pa & -_CHUNK, []).append([_hex(f.pa), f.n_pages, users, index.count(f.pa)])
    return found


def _user(index: Index, user: User) -> list[Any]:
    return [user.name or called(index, user), user.pid, _hex(user.va) if user.kind == "user" else None]


def told_step(step: Step) -> str:
    """The part "step" of a film's step."""
    return encoded({"title": step.title, "caption": step.caption, "phase": phrases.phase(step.phase),
                  "at": phrases.place(step.at), "function": step.at.function, "source": (step.at.source or "").strip(),
                  "pairing": [step.pairing.state, phrases.PAIRINGS[step.pairing.state][1], step.pairing.text],
                  "changes": [phrases.line(one) for one in step.changes], "more": step.more_changes})

"""Answers of a recording: the stores by which a failure came to be."""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Iterator, List, Optional, Sequence, Tuple

from ..kernel.debuginfo import DebugInfo
from ..live.session import session
from ..memory import sv39
from ..origins import Call, Origin, What
from ..records import decode, encode
from . import holders, questions, stores
from .aside import Aside
from .questions import Asked, Question, to_look_at
from .stores import Bytes, Store


_OF_A_PAGE = (What.WORD, What.FRAME)


def answers(asked: Sequence[Asked], info: DebugInfo) -> List[Tuple[Origin, ...]]:
    """The stores, of each before the instruction `asked.now`; nothing of a question that no store answers."""
    with Aside() as machine:
        return _answers(machine, asked, info)


def _answers(machine: Aside, asked: Sequence[Asked], info: DebugInfo) -> List[Tuple[Origin, ...]]:
    some = [(one, each.now) for each in asked for one in each.questions if not one.instead]
    first = dict(zip(some, _answered(machine, some, info)))
    more = [(one, each.now) for each in asked if not any(first.get((one, each.now)) for one in each.questions)
            for one in each.questions if one.instead]
    first.update(zip(more, _answered(machine, more, info)))
    frames = {(one, now): (Question(What.FRAME.value, sv39.pa_of(store.new)), store.at)
              for (one, now), store in first.items() if store and one.then and store.new & sv39.V}
    then = dict(zip(frames.values(), _answered(machine, list(frames.values()), info)))

    def of(one: Question, now: int, since: int) -> Iterator[Origin]:
        if (store := first.get((one, now))) and (store.at >= since or one.what not in _OF_A_PAGE):
            yield _origin(one, store)
        if (frame := frames.get((one, now))) and (store := then[frame]):
            yield _origin(frame[0], store)

    def of_lost(one: Question, now: int) -> List[Tuple[Question, Origin]]:
        """Who took away what led to a lost frame last."""
        store = first.get((one, now))
        led = holders.last(machine, one.lost, store.at, now, info) if store and one.lost is not None else []
        return [(each, _origin(each, found)) for each, found in led]

    def answer(each: Asked) -> Tuple[Origin, ...]:
        told = [(one, origin) for one in each.questions for origin in of(one, each.now, each.since)]
        if len(told) == 1 and told[0][0].lost is not None:
            told = [*of_lost(told[0][0], each.now), *told]
        return questions.to_tell(told)
    return [answer(each) for each in asked]


def _answered(machine: Aside, some: Sequence[Tuple[Question, int]], info: DebugInfo) -> Iterator[Optional[Store]]:
    """The last store before an instruction of each, all found on one way through the run as far as they are few."""
    asked = [(Bytes(one.pa, one.size), now, functools.partial(_is_wanted, one)) for one, now in some]
    for (one, _), history in zip(some, stores.lasts(machine, asked, info) if asked else ()):
        last = history.stores[-1] if history.stores else None
        if last is not None and questions.is_the_end(one, last.old, last.new, _names(last)):
            last = None
        if last is not None and questions.is_new(one, last.new, _names(last)):
            last = last._replace(old=last.new)
        # An entry that was never written was cleared when its table was made, which may have been clear before.
        yield history.same if last is None and one.what == What.ENTRY else last


def answer_file(path: str) -> None:
    """For scripts: the questions that are in a file are answered into that file."""
    asked = [decode(Asked, one) for one in json.loads(Path(path).read_text())]
    told = answers(asked, session.debuginfo()[0])
    Path(path).write_text(json.dumps([[encode(origin) for origin in one] for one in told]))


def _is_wanted(asked: Question, store: Store) -> bool:
    return questions.answers(asked, store.old, store.new, _names(store))


def _names(store: Store) -> List[str]:
    return [one.function or "" for one in store.calls]


def _origin(asked: Question, store: Store) -> Origin:
    calls = tuple(Call(one.function, one.file, one.line, one.source) for one in store.calls)
    look, caller = to_look_at([one.function or "" for one in calls], asked.outer, asked.copied)
    return Origin(asked.what, asked.pa, asked.size, store.at, store.old, store.new, calls, store.pid, store.name, store.system_call,
                  asked.label, look, caller)

"""Answers of a recording: the stores by which a failure came to be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Iterator, Tuple

from ..kernel.debuginfo import DebugInfo
from ..live.session import session
from ..memory import sv39
from ..origins import Origin, What
from ..records import decode, encode
from . import stores
from .questions import Asked, Question
from .stores import Bytes, Store

_FREES = frozenset(("kfree",))


def answers(asked: Asked, info: DebugInfo) -> Iterator[Origin]:
    """The stores, each before the instruction `asked.now`; nothing of a question that no store answers."""
    for one in asked.questions:
        found = stores.last(Bytes(one.pa, one.size), info, asked.now, lambda store, one=one: _is_wanted(one, store)).stores
        yield from (_origin(one, store) for store in found)
        if found and one.then and found[0].new & sv39.V:
            frame = Question(What.FRAME.value, sv39.pa_of(found[0].new))
            taken = stores.last(Bytes(frame.pa, frame.size), info, found[0].at).stores
            yield from (_origin(frame, store) for store in taken)


def answer_file(path: str) -> None:
    """For scripts: the questions that are in a file are answered into that file."""
    asked = decode(Asked, json.loads(Path(path).read_text()))
    told: Tuple[Origin, ...] = tuple(answers(asked, session.debuginfo()[0]))
    Path(path).write_text(json.dumps([encode(one) for one in told]))


def _is_wanted(asked: Question, store: Store) -> bool:
    if asked.what == What.FREED:
        return any(call.function in _FREES for call in store.calls)
    if asked.mapped is not None:
        return store.old & sv39.V != 0 and sv39.pa_of(store.old) == asked.mapped
    return True


def _origin(asked: Question, store: Store) -> Origin:
    return Origin(asked.what, asked.pa, store.at, store.old, store.new, store.calls, store.pid, store.name, store.system_call,
                  asked.label)

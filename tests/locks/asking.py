"""In GDB, on a recording: do `chosen`, {address of a word: (pc, callers) of its last store, as a plugin has noted it}, and what the
recording shows up to instruction `end` name the same stores?"""

import json

from shrimpy.live.callstack import place_at
from shrimpy.live.session import session
from shrimpy.replay import stores

_AT_ONCE = 200


def _named(places):
    return [(one.function, one.file, one.line) for one in places]


def _differs(pa, pc, callers, history):
    """What both say, where it is not the same."""
    last = max((one for one in (*history.stores[-1:], history.same) if one), key=lambda one: one.at)
    ours = [one.function for at in (pc, *callers) for one in place_at(at)]
    theirs = [one.function for one in last.calls]
    if _named(place_at(pc)[:1]) == _named(last.calls[:1]) and ours == theirs[:len(ours)]:
        return None
    return [hex(pa), ours, theirs]


def _compare():
    n, differ = 0, []
    some = list(chosen)     # noqa: F821
    for start in range(0, len(some), _AT_ONCE):
        asked = [stores.Bytes(pa, 8) for pa in some[start:start + _AT_ONCE]]
        for what, history in stores.few(asked, session.debuginfo()[0], end).items():     # noqa: F821
            if history is None or not (history.stores or history.same) or history.unseen:
                continue        # very many, or not the kernel's
            n += 1
            found = _differs(what.pa, *chosen[what.pa], history)    # noqa: F821
            differ += [found] if found else []
    print("\n" + json.dumps({"n": n, "differ": differ}))


_compare()

"""The last time, before some instruction, that the run came to one of some points.

QEMU runs forward only. So a stretch just before the instruction is searched first, then all that is before it, each by a
machine of its own. Where hits are many (a loop, an allocator at boot), not every one is gone through: after some hits a later beginning
is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .place import Hit, Place

_NEAR = 1 << 14  # instructions
MOST = 256  # hits; a machine costs about as much as that many


def last(at: Callable[[int], Place], points: Sequence[bytes], before: int) -> Hit | None:
    """The last hit before the instruction `before`; None when there is none.

    at      a machine at an instruction; it is ended here
    points  packets that insert them, without their Z
    """
    near = max(0, before - _NEAR)
    return _last_within(at, points, near, before) or _last_within(at, points, 0, near)


def _last_within(at: Callable[[int], Place], points: Sequence[bytes], begin: int, end: int) -> Hit | None:
    """The last hit from one instruction on, before another."""
    latest = None
    while begin < end:
        with at(begin) as place:
            found = place.hits(points, end, MOST)
        latest = found[-1] if found else latest
        if len(found) < MOST:
            break
        # The last is behind this one, if it is not this one: halve what is left until that has few.
        begin = found[-1].at + 1
        while end - begin > 1:
            middle = (begin + end) // 2
            with at(middle) as place:
                found = place.hits(points, end, MOST)
            if not found:
                end = middle
            elif len(found) < MOST:
                return found[-1]
            else:
                begin, latest = found[-1].at + 1, found[-1]
    return latest

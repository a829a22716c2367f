"""Failures put together by cause, by their data alone: what is one mistake is told once, causes before symptoms."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..memory.readers import PAGE
from ..memory.sv39 import pa_of
from ..reasons import Kind as K, Reason
from ..spec import Differs
from .verdict import FAIL, WARNING, Verdict


class Alike(NamedTuple):
    """Failures of one rule, of one kind, by one function: the first is the example, which says most."""

    verdicts: Tuple[Verdict, ...]

    @property
    def example(self) -> Verdict:
        return self.verdicts[0]


class Block(NamedTuple):
    """One cause, as far as the data shows: what is told in full, and what it explains."""

    cause: Alike
    symptoms: Tuple[Alike, ...] = ()

    @property
    def verdicts(self) -> Tuple[Verdict, ...]:
        """All of it."""
        return tuple(v for alike in (self.cause, *self.symptoms) for v in alike.verdicts)


_PLACES = (K.MISPLACED,)
_TABLES = (K.SATP_NOT_ROOT, K.ROOT_SHARED, K.TABLE_SHARED, K.TABLE_REPEATED)
_JUNK = (K.BAD_PLACE, K.IMAGE_OPEN)
_SHARING = (K.PAGE_CHANGED, K.FRY_MISSING, K.SHRIMP_WITHOUT_PARENT, K.SHRIMP_MISSING, K.SHRIMP_LOST, K.SHRIMP_NOT_PARENTS,
            K.SHRIMP_NOT_SIBLINGS)
_FREED = (K.MISCOUNTED, K.ORPHAN_FREE, K.FREE_IN_USE, K.KERNEL_FREE_IN_USE, K.LIST_UNSOUND, K.ORPHAN_REUSED, K.FRY_NOT_PRIVATE,
          K.FRY_USED_BY_OTHERS, K.SHRIMP_OF_ANOTHER)
_SEGMENTS = (K.SEGMENT_SHARED, K.SEGMENT_KEY, K.SEGMENT_SHORT, K.ATTACHED_KEPT, K.ATTACHED_GONE, K.ATTACHED_PLACE, K.ATTACHED_STRAY,
             K.ATTACHED_PAGE, K.ATTACHED_MISCOUNTED)
RIGHTS = (K.WRONG_FLAGS, K.ATTACHED_RIGHTS, K.KERNEL_PAGE_OPEN, K.BAD_FORM, K.WRITE_AND_EXECUTE, K.NO_GUARD)
_HEAP = (K.HEAP_TOO_LARGE,)     # which takes away what is in it when it shrinks
_REST = (K.NOT_ZEROED,)
LOST = (K.NEVER_MADE, K.LOST, K.MORE_LOST, K.NOT_RETURNED)
_END = (K.PANICKED, K.DIVERGED)

_BY_SHARED_TABLES = frozenset(_JUNK + _FREED + LOST + (K.BAD_FORM, K.ATTACHED_PAGE))
"""What becomes of tables that two processes free."""

_RANK: Dict[K, int] = {kind: at for at, kind in enumerate(
    _PLACES + _TABLES + _JUNK + _HEAP + _SHARING + _SEGMENTS + _FREED + RIGHTS + _REST + (K.SEGMENT_OVER,) + LOST + _END)}
"""What explains the others comes first: a wrong mapping before the count that it made wrong, a page that was freed too early
before what its next owner wrote there, a leak late, a panic after it, as it is mostly what the kernel makes of the rest, and
last what playing showed of all that."""

_OF_SEGMENTS = frozenset(_SEGMENTS + (K.SEGMENT_OVER,))

_MISSING = {K.FRY_MISSING: "FRY", K.SHRIMP_MISSING: "SHRIMP", K.SHRIMP_LOST: "SHRIMP"}


_UNDONE = _FREED + (K.SHRIMP_LOST,)
_PLAYED: Dict[Differs, Tuple[K, ...]] = {
    Differs.PANICKED: (K.PANICKED, *_FREED), Differs.MOVED: (K.PAGE_CHANGED, *_FREED),
    Differs.MISSING: (K.FRY_MISSING, K.SHRIMP_MISSING, K.SHRIMP_LOST), Differs.FLAGS: (K.WRONG_FLAGS,),
    Differs.NOT_SHARED: (K.SHRIMP_NOT_PARENTS, K.SHRIMP_NOT_SIBLINGS, *_FREED), Differs.LEAK: LOST, Differs.SHARED: _FREED,
    Differs.CONTENT: (K.NOT_ZEROED, *_UNDONE), Differs.CROWD: (K.NOT_ZEROED, *_UNDONE), Differs.SEEN: _UNDONE, Differs.DIED: _UNDONE,
    Differs.HANGS: _FREED, Differs.SATP: (K.SATP_NOT_ROOT,), Differs.MISCOUNTED: (K.ATTACHED_MISCOUNTED,)}
"""What a stop shows of what playing shows: of the same page, where it is about one. Of a page that was freed too early anything may
become."""

_OF_FRY = (K.FRY_MISSING, K.FRY_NOT_PRIVATE)
_OF_SHRIMP = (K.SHRIMP_MISSING, K.SHRIMP_LOST, K.SHRIMP_NOT_PARENTS, K.SHRIMP_NOT_SIBLINGS)


def blocks(verdicts: Iterable[Verdict], new: Iterable[Verdict] = ()) -> List[Block]:
    """The failures, and warnings, of `verdicts` by cause, each in one block: causes before what they explain.

    new: those of them that no stop showed before the one where playing differs from the specification. All that was played until
    then agreed with it, so what is new there is of one cause.
    """
    heads: List[Tuple[Alike, List[Alike]]] = []
    since = {id(v) for v in new if v.status == FAIL}

    def is_new(alike: Alike) -> bool:
        return since.issuperset(map(id, alike.verdicts))
    for alike in sorted(_alike(verdicts), key=lambda one: _rank(one.example)):
        mine = next((symptoms for cause, symptoms in heads if _explains(cause, alike) or is_new(cause) and is_new(alike)), None)
        if mine is None:
            heads.append((alike, []))
        else:
            mine.append(alike)
    return [Block(cause, tuple(symptoms)) for cause, symptoms in heads]


def to_data(verdicts: Sequence[Verdict]) -> List[Dict[str, Any]]:
    """The blocks as JSON has them: cause and symptoms as lists of places in `verdicts`, counted from 0."""
    at = {id(v): i for i, v in enumerate(verdicts)}
    return [{"rule": block.cause.example.rule, "kind": _reason(block.cause.example).kind.value,
             "cause": [at[id(v)] for v in block.cause.verdicts],
             "symptoms": [[at[id(v)] for v in alike.verdicts] for alike in block.symptoms]} for block in blocks(verdicts)]


def _reason(v: Verdict) -> Reason:
    return v.reason or Reason(K.NOTHING_HERE)


def _rank(v: Verdict) -> int:
    return _RANK[K.LOST] - 1 if is_high(v) else _RANK.get(_reason(v).kind, len(_RANK))


def is_high(v: Verdict) -> bool:
    """Whether a count is too high: then the frame is never freed."""
    why = _reason(v)
    return why.kind == K.MISCOUNTED and (why.value or 0) > (why.bound or 0)


def _alike(verdicts: Iterable[Verdict]) -> List[Alike]:
    groups: Dict[Tuple[Any, ...], List[Verdict]] = {}
    for v in verdicts:
        if v.status in (FAIL, WARNING):
            why = _reason(v)
            key = (v.rule, v.status, why.kind, why.page, why.flags, v.function, is_high(v))
            groups.setdefault(key, []).append(v)
    return [Alike(tuple(sorted(group, key=_says_little))) for group in groups.values()]


def _says_little(v: Verdict) -> int:
    """Frames whose last user is known say more than those of which nothing is; FRY and SHRIMP say most."""
    users = _reason(v).users
    return 0 if any(u.page for u in users) else 1 if users else 2


def _family(v: Verdict) -> Optional[str]:
    """What kinds have one cause wherever they are seen together."""
    kind = _reason(v).kind
    if kind == K.FRY_NOT_PRIVATE and _reason(v).detail in ("everybody's", "parent's"):
        return None
    return "lost" if kind in LOST or is_high(v) else "freed" if kind in _FREED else "tables" if kind in _TABLES else \
        "places" if kind in _PLACES else None


def _explains(cause: Alike, other: Alike) -> bool:
    if cause.example.status == WARNING and other.example.status == FAIL:
        return False    # what counts is not hidden behind what does not
    first, second = _reason(cause.example), _reason(other.example)
    family = _family(cause.example)
    if family is not None and family == _family(other.example):
        return True
    if family == "freed" and second.kind == K.NOT_ZEROED or family == "tables" and second.kind in _BY_SHARED_TABLES:
        return True
    if second.played is not None:
        page = second.played.cell and second.played.cell.page
        return first.kind in _PLAYED.get(second.played.what, ()) and (first.kind in _FREED or _page(first) in (None, page)) \
            and len({cause.example.function, other.example.function} - {None}) < 2
    if first.kind == second.kind == K.PAGE_CHANGED and cause.example.function == other.example.function:
        return True
    if first.kind == K.PAGE_CHANGED and first.frame is None and _MISSING.get(second.kind) == first.page:
        return True
    if first.kind in _OF_SEGMENTS and second.kind in (K.SEGMENT_OVER, K.NOT_RETURNED):
        segments = {_reason(v).label for v in cause.verdicts}
        return all(segments.issuperset(_segments(v)) for v in other.verdicts)
    places = {place for v in cause.verdicts for place in _places(v)}
    left_behind = first.kind == K.PAGE_CHANGED and second.kind in LOST     # of several frames one that is known is enough
    return (any if left_behind else all)(places & _places(v) for v in other.verdicts)


def _segments(v: Verdict) -> Set[Optional[str]]:
    """The segments whose frames are kept too long."""
    why = _reason(v)
    return {why.label} if why.kind == K.SEGMENT_OVER else {u.label for u in why.users}


def _page(why: Reason) -> Optional[str]:
    """Which of the two pages a failure is about, if one."""
    return why.page or ("FRY" if why.kind in _OF_FRY else "SHRIMP" if why.kind in _OF_SHRIMP else None)


def _places(v: Verdict) -> Set[Tuple[Any, ...]]:
    """The frames and entries that a failure is about. What an entry allows and where it leads are two things."""
    why = _reason(v)
    if why.kind in RIGHTS:
        return {("rights", v.pid, v.va)} if v.va is not None else set()
    frames = {why.frame, why.wanted if why.kind in _SHARING else None} - {None}
    if why.kind == K.BAD_PLACE and why.pte is not None:
        frames.add(pa_of(why.pte))
    if v.about.kind == "frames" and v.about.pa is not None:
        frames |= {v.about.pa + i * PAGE for i in range(v.about.n_pages)}
    return {("frame", pa) for pa in frames}

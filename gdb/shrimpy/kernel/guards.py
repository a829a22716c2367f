"""Which accesses of a kernel to its variables were made without the lock that guards them: by what was noted of a run, so that the
race need not have happened.

That a lock guards something is known where xv6's kernels have it (DECLARED below), or inferred as Eraser does (Savage et al., 1997,
"Eraser: a dynamic data race detector", section 2), with one difference: a function that breaks a rule that the others keep must not
make it vanish. So a lock guards what two thirds of the functions access while they hold it; of a lock in a struct around the variable
it is enough that all functions but one do, and that one of them stores. Beside a sleep lock, which nobody notes, it may be that which
guards a field: there all functions but one must, and two store. Inferred rules are held against stores alone: who reads one word may
have a reason.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Callable, DefaultDict, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..records import record
from . import processes
from .accesses import Access
from .allocator import is_free_list
from .cnames import COPYING, FREE_LISTS, GUARDED, LOCK, OF_PARENTS, PARENTS_LOCK, SLEEP_LOCK
from .debuginfo import DebugInfo
from .paths import Path, Paths, alike, text
from .variables import Place

_LEAST, _MOST = 2, 2 / 3    # so many functions, and such a part of those that access something, hold what is inferred to guard it
_DECLARED, _INFERRED = "declared", "inferred"


@record
class Unguarded:
    """Accesses of one function to one variable, or to that field of an array's elements, without its lock.

    data, lock: as C writes them, of the first access. function, file, line: where. is_store; n: how often; harts. because: "declared"
    or "inferred"; held_in: functions that have the lock.
    """

    data: str
    lock: str
    function: str
    file: Optional[str]
    line: Optional[int]
    is_store: bool
    n: int
    harts: Tuple[int, ...]
    because: str
    held_in: Tuple[str, ...]


class Site(NamedTuple):
    """Where an instruction is, innermost inlined function first; file, line: None where that is not known."""

    function: str
    file: Optional[str] = None
    line: Optional[int] = None


class _Guard(NamedTuple):
    """A lock, seen from what it guards: an element's number is "=" where both are of the same one, "*" where they are not."""

    parts: Tuple[str, ...]


class _One(NamedTuple):
    """An access, and what is known of it."""

    access: Access
    path: Path
    site: Site
    held: Dict[_Guard, Path]


class _Rule(NamedTuple):
    """That one of some locks guards something. stores_only: it is not held against reading."""

    guards: Tuple[_Guard, ...]
    because: str
    stores_only: bool


class Guards:
    """What guards what in one kernel, and who accesses it without. site: where an instruction is."""

    def __init__(self, info: DebugInfo, accesses: Sequence[Access], site: Callable[[int], Site]) -> None:
        self._info, self._paths = info, Paths(info)
        kind = processes.shape(info)
        self._process = kind.struct if kind else ""
        self._locks = {name for name, one in info.symbols.items() if one.type.kind == "struct" and one.type.name == LOCK}
        self._of: DefaultDict[Tuple[Optional[str], ...], List[_One]] = defaultdict(list)
        sites = {pc: site(pc) for pc in {one.pc for one in accesses}}
        for one in accesses:
            path = self._paths.at(one.at)
            if path is not None and sites[one.pc].function not in COPYING and not self._is_of_lock(path):
                self._of[alike(path)].append(_One(one, path, sites[one.pc], dict(self._seen_from(path, one.held))))

    def unguarded(self) -> Tuple[Unguarded, ...]:
        """A report for each function and what it accesses without its lock."""
        found: List[Unguarded] = []
        for name, every in sorted(self._of.items(), key=lambda item: str(item[0])):
            rule = self._declared(every[0].path) or self._inferred(every)
            if rule:
                found += self._broken(rule, every)
        return tuple(found)

    def _broken(self, rule: _Rule, every: Sequence[_One]) -> Iterator[Unguarded]:
        keeps = {one.site.function for one in every if _holds(one, rule.guards)}
        breaks: DefaultDict[str, List[_One]] = defaultdict(list)
        for one in every:
            if not _holds(one, rule.guards) and not (rule.stores_only and not one.access.is_store):
                breaks[one.site.function].append(one)
        for function, several in sorted(breaks.items()):
            first = next((one for one in several if one.access.is_store), several[0])
            yield Unguarded(
                text(first.path), _lock_text(rule.guards[0], first.path), function, first.site.file, first.site.line,
                first.access.is_store, sum(one.access.n for one in several), tuple(sorted({one.access.hart for one in several})),
                rule.because, tuple(sorted(keeps - {function})))

    # Rules

    def _declared(self, path: Path) -> Optional[_Rule]:
        """The rule about a variable that kernels of xv6's kind have, if it has one."""
        lock = GUARDED.get(str(path[0]))
        if lock in self._locks:
            return _Rule((_Guard((str(lock),)),), _DECLARED, True)
        own = next(self._siblings(path), None)
        if path[0] in FREE_LISTS and own and self._has_free_list(path):
            return _Rule((own,), _DECLARED, False)
        if self._struct_of(path) != self._process or own is None:
            return None
        if path[-1] in OF_PARENTS and PARENTS_LOCK in self._locks:      # a process that is nobody's yet is its maker's
            return _Rule((_Guard((PARENTS_LOCK,)), own), _DECLARED, False)
        if path[-1] == "state":
            return _Rule((own,), _DECLARED, True)
        return None

    def _inferred(self, every: Sequence[_One]) -> Optional[_Rule]:
        """The rule that most of those who access something keep."""
        if not self._is_shared(every) or not any(one.access.is_store for one in every):
            return None
        functions = {one.site.function for one in every}
        without: DefaultDict[_Guard, Set[str]] = defaultdict(set)
        storing = {one.site.function for one in every if one.access.is_store}
        candidates = {guard for one in every for guard in one.held}
        for one in every:
            for guard in candidates - set(one.held):
                without[guard].add(one.site.function)
        near = set(self._enclosing(every[0].path))
        is_of_sleep = self._has_sleep_lock(every[0].path)

        def guards_it(guard: _Guard) -> bool:
            n_with = len(functions) - len(without[guard])
            if not is_of_sleep and n_with >= max(_LEAST, _MOST * len(functions)):
                return True
            if guard not in near or len(without[guard]) > 1:
                return False
            return len(storing - without[guard]) >= (_LEAST if is_of_sleep else 1)
        found = sorted(filter(guards_it, candidates), key=lambda guard: (len(without[guard]), guard not in near, guard))
        return _Rule(tuple(found), _INFERRED, True) if found else None

    @staticmethod
    def _is_shared(every: Sequence[_One]) -> bool:
        """Whether some instance is accessed by several harts."""
        harts: DefaultDict[int, Set[int]] = defaultdict(set)
        for one in every:
            harts[one.access.at].add(one.access.hart)
        return any(len(some) > 1 for some in harts.values())

    # What is what

    def _seen_from(self, path: Path, held: Sequence[int]) -> Iterator[Tuple[_Guard, Path]]:
        for lock in held:
            its = self._paths.at(lock)
            if its is None:
                continue
            its = its if len(its) == 1 else its[:-1]       # its first field
            parts, same = [], True
            for at, part in enumerate(its):
                same = same and at < len(path) and path[at] == part
                parts.append(str(part) if isinstance(part, str) else "=" if same else "*")
            yield _Guard(tuple(parts)), its

    def _struct_of(self, path: Path) -> str:
        """The struct that has the field that a path ends in, "" where it is none's."""
        symbol = self._info.symbol(str(path[0]))
        kind = symbol.type if symbol else None
        for part in path[1:-1]:
            if kind is None:
                break
            if isinstance(part, int):
                kind = kind.element
            else:
                field = self._info.structs.get(kind.name, {}).get(part)
                kind = field.type if field else None
        return kind.name if kind is not None and kind.kind == "struct" and len(path) > 1 and isinstance(path[-1], str) else ""

    def _siblings(self, path: Path) -> Iterator[_Guard]:
        """The locks in the struct that has a field, or an array that has an element."""
        path = path[:-1] if isinstance(path[-1], int) else path
        prefix = tuple("=" if isinstance(part, int) else part for part in path[:-1])
        for name, field in self._info.structs.get(self._struct_of(path), {}).items():
            if field.type.kind == "struct" and field.type.name == LOCK:
                yield _Guard((*prefix, name))

    def _has_sleep_lock(self, path: Path) -> bool:
        fields = self._info.structs.get(self._struct_of(path), {})
        return any(field.type.name == SLEEP_LOCK for field in fields.values())

    def _enclosing(self, path: Path) -> Iterator[_Guard]:
        """The locks in the structs that a part of a variable is in, but for a process's: its fields are its own."""
        for end in range(2, len(path) + 1):
            if isinstance(path[end - 1], str) and self._struct_of(path[:end]) != self._process:
                yield from self._siblings(path[:end])

    def _has_free_list(self, path: Path) -> bool:
        struct = self._struct_of(path[:-1] if isinstance(path[-1], int) else path)
        return any(is_free_list(Place(name, 0, field.type), True) for name, field in self._info.structs.get(struct, {}).items())

    def _is_of_lock(self, path: Path) -> bool:
        return self._struct_of(path) == LOCK


def _holds(one: _One, guards: Sequence[_Guard]) -> bool:
    return any(guard in one.held for guard in guards)


def _lock_text(guard: _Guard, path: Path) -> str:
    """A lock's name, as it is for the access to a path."""
    parts = tuple(path[at] if part == "=" and at < len(path) else part for at, part in enumerate(guard.parts))
    return text(tuple(one if one != "*" else -1 for one in parts)).replace("[-1]", "[*]")

"""What is played: every operation from every state of the model, the borders by construction, and random ones."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import replace
from typing import Deque, Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple

from .model import FORKS, KILLS, ORDER, SHM, Do, Model, Op

Sequence = Tuple[Op, ...]

FIRST = 2
"""The number of the first process that a sequence makes, a child of process 0."""

START = Op(0, Do.FORK, FIRST)

_STRUCTURAL = (Do.FORK, Do.EXEC, Do.EXIT, Do.WAIT, Do.KILL)
_MOST_SEGMENTS = 3      # at a time
_FILES = 17             # children that close no file, one, and so on up to as many as xv6 lets a process have open
_HUNGRY = (Do.FORK_HUNGRY, Do.EXEC_HUNGRY)     # take long
_ANYTHING = 3 * _STRUCTURAL + tuple(one for one in Do if one not in SHM and one not in _STRUCTURAL + _HUNGRY)
_ON_A_WORD = (Do.LOAD, Do.STORE, Do.READ, Do.WRITE, Do.CALLS, Do.READ_CONSOLE, Do.WRITE_CONSOLE)


class Border(NamedTuple):
    """A sequence that is known to be worth playing. about: what it is about, a phrase."""

    about: str
    ops: Sequence


def play(ops: Sequence) -> Optional[Model]:
    """The model after a sequence, or None when one of its operations is none there."""
    model = Model()
    for op in ops:
        if not model.can(op):
            return None
        bury(model, op)
    return model


def bury(model: Model, op: Op) -> None:
    """Plays an operation; a wait that cannot give the status answers -1."""
    for number in model.do(op)[:op.do is Do.WAIT]:
        model.buried(number)


def covering(most: int, besides: Iterable[Sequence] = ()) -> List[Sequence]:
    """Sequences that together do each operation on processes in each state of a family of at most `most` processes, besides
    the two that are always there; shortest first. What is the beginning of another is left out, and what `besides` does."""
    done = {step for ops in besides for step in _steps(ops)}
    return _maximal([path + (op,) for path, op in _edges(most) if _steps(path + (op,))[-1] not in done])


def _steps(ops: Sequence) -> List[Tuple[object, ...]]:
    """(an operation, the state in which it is done, and how the process it is done to stands there) for each."""
    model = Model()
    found: List[Tuple[object, ...]] = []
    for op in ops:
        found.append((op.do, model.shape(), _place(model, op.n if op.do is Do.KILL else op.actor)))
        bury(model, op)
    return found


def pairs(most: int) -> List[Sequence]:
    """The same for each two operations, one after the other."""
    found = []
    for path, op in _edges(most):
        begun = play(path + (op,))
        if begun is not None:
            found += [path + (op, following) for following in moves(begun, most)]
    return _maximal(found)


def _edges(most: int, start: Sequence = (START,), shared: bool = False) -> Iterator[Tuple[Sequence, Op]]:
    """(the shortest way to a state, an operation there) for each state and each operation. shared: those on segments as well."""
    first = play(start)
    assert first is not None
    seen = {first.shape()}
    todo: Deque[Sequence] = deque([start])
    while todo:
        path = todo.popleft()
        model = play(path)
        assert model is not None
        for op in moves(model, most) + (_shared_moves(model) if shared else []):
            yield path, op
            after = play(path + (op,))
            if after is not None and after.shape() not in seen:
                seen.add(after.shape())
                todo.append(path + (op,))


def moves(model: Model, most: int) -> List[Op]:
    """The operations on processes that this family can be told, of those that only differ in names one."""
    found: Dict[Tuple[object, ...], Op] = {}
    n = len(model.processes) - FIRST
    new = max(model.processes) + 1
    for process in model.living():
        for do in _STRUCTURAL:
            targets = [one.number for one in model.living()] if do is Do.KILL and process.number == 0 else \
                [new] if do is Do.FORK and n < most else [0] if do not in (Do.KILL, Do.FORK) else []
            for target in targets:
                op = Op(process.number, do, target)
                if model.can(op) and not (do is Do.FORK and process.number == 0 and n):
                    found.setdefault((do, _mark(model, target if do is Do.KILL else process.number)), op)
    return list(found.values())


_MOST_HAD = 2   # attachments of one process


def _shared_moves(model: Model) -> List[Op]:
    """The operations on a segment that has been made."""
    found = [Op(one.number, do, 1) for one in model.living() if one.number for do in sorted(SHM - {Do.SHM_GET})
             if do not in (Do.SHM_ATTACH, Do.SHM_ATTACH_READ) or len(one.attached) < _MOST_HAD]
    return [op for op in found if model.can(op)]


def sharing_covered(most: int) -> List[Sequence]:
    """As covering(), with each operation on a segment in each state that it and its processes can be in."""
    start = (START, Op(FIRST, Do.SHM_GET, 1))
    return _maximal([path + (op,) for path, op in _edges(most, start, shared=True)])


def _mark(model: Model, number: int) -> Tuple[object, ...]:
    """A family's shape with one of its processes told from the others."""
    process = model.processes[number]
    crowd, process.crowd = process.crowd, -1
    try:
        return (model.shape(), _place(model, number))
    finally:
        process.crowd = crowd


def _place(model: Model, number: int) -> Tuple[object, ...]:
    """How a process stands in its family: the shapes of it, of its parent, and so on."""
    found: List[object] = []
    at: Optional[int] = number
    while at is not None and at > 0:
        found.append(_subtree(model, at))
        at = model.processes[at].parent if model.processes[at].parent in model.processes else None
    return tuple(found)


def _subtree(model: Model, number: int) -> Tuple[object, ...]:
    process = model.processes[number]
    return (process.is_zombie, tuple(sorted(_subtree(model, one.number) for one in model.children(number))))


def _maximal(sequences: List[Sequence]) -> List[Sequence]:
    beginnings = {one[:n] for one in sequences for n in range(1, len(one))}
    return [one for one in dict.fromkeys(sequences) if one not in beginnings]


def borders() -> List[Border]:
    """What no state of the model shows, because a kernel may remember more than it should."""
    def again(n: int, *ops: Op) -> Sequence:
        return ops * n

    parent, child, grandchild = FIRST, FIRST + 1, FIRST + 2
    family = (START, Op(parent, Do.FORK, child))
    own, shared = ("FRY", "SHRIMP")
    found = [
        Border("three execs in one life, and then a fork",
               (*family, *again(3, Op(child, Do.EXEC)), Op(child, Do.FORK, grandchild), Op(grandchild, Do.EXEC),
                Op(parent, Do.EXEC), Op(parent, Do.FORK, grandchild + 1))),
        Border("an orphan that forks and execs",
               (*family, Op(parent, Do.EXIT), Op(child, Do.EXEC), Op(child, Do.FORK, grandchild), Op(0, Do.WAIT),
                Op(child, Do.EXEC), Op(child, Do.FORK, grandchild + 1), Op(child, Do.EXIT), Op(grandchild, Do.EXEC))),
        Border("an exec that fails, of a child and of its parent",
               (*family, *(Op(who, Do.EXEC_FAILS, how) for who in (child, parent) for how in (0, 1, 2)),
                Op(child, Do.FORK, grandchild), Op(child, Do.EXEC), Op(child, Do.EXEC_FAILS, 1))),
        Border("an exec that fails, of one with a heap",
               (*family, Op(child, Do.SBRK, 5 << 12), *(Op(child, Do.EXEC_FAILS, how) for how in (0, 1, 2)), Op(child, Do.EXIT))),
        Border("more heap than there is memory", (*family, Op(child, Do.SBRK, 1 << 30), Op(child, Do.FORK, grandchild))),
        Border("a fault", (*family, Op(child, Do.FAULT), Op(parent, Do.WAIT), Op(parent, Do.FORK, child), Op(parent, Do.FAULT))),
        Border("system calls into both pages and out of them",
               (*family, *(Op(who, do, 3, page) for who in (child, parent) for page in (own, shared)
                           for do in (Do.READ, Do.WRITE, Do.STORE, Do.WRITE, Do.LOAD)),
                Op(child, Do.EXEC, 1), *(Op(child, do, 5, page) for page in (own, shared) for do in (Do.READ, Do.WRITE)))),
        Border("a system call across the two pages",
               (*family, *(Op(who, do) for who in (child, parent) for do in (Do.READ_BOTH, Do.WRITE_BOTH)),
                Op(child, Do.EXEC), Op(child, Do.WRITE_BOTH), Op(child, Do.READ_BOTH))),
        Border("a wait whose status has no place to go",
               (*family, Op(child, Do.EXIT), Op(parent, Do.WAIT_BADLY), Op(parent, Do.WAIT), Op(parent, Do.WAIT_BADLY),
                Op(parent, Do.FORK, grandchild), Op(parent, Do.FORK, grandchild + 1), Op(grandchild, Do.EXIT),
                Op(parent, Do.WAIT_BADLY), Op(grandchild + 1, Do.EXIT), Op(parent, Do.WAIT), Op(parent, Do.WAIT))),
        Border("a heap that grows, shrinks, and is to shrink below nothing",
               (*family, Op(child, Do.SBRK, 3 << 12), Op(child, Do.SBRK, -(2 << 12)), Op(child, Do.SBRK, -(1 << 12)),
                Op(child, Do.SBRK, -(1 << 30)), Op(child, Do.SBRK, 5), Op(child, Do.SBRK, 0), Op(child, Do.FORK, grandchild),
                Op(grandchild, Do.SBRK, -(1 << 30)), Op(parent, Do.SBRK, -(1 << 31)))),
        Border("more than 6 children at once", (*family, Op(parent, Do.CROWD, 7), Op(parent, Do.DISPERSE))),
        Border("more than 16 children at once, of one that has run exec",
               (*family, Op(child, Do.EXEC), Op(child, Do.CROWD, 17), Op(child, Do.DISPERSE), Op(child, Do.FORK, grandchild))),
        Border("as many children as there are slots, twice",
               (*family, *again(2, Op(parent, Do.CROWD, 4096), Op(parent, Do.DISPERSE)), Op(child, Do.FORK, grandchild))),
        Border("nine children, one after the other",
               (START, *(op for n in range(9) for op in (Op(parent, Do.FORK, child + n), Op(child + n, Do.EXIT), Op(parent, Do.WAIT))),
                Op(parent, Do.FORK, child + 9))),
        Border("five generations, of which the middle goes",
               (START, *(Op(FIRST + n, Do.FORK, FIRST + n + 1) for n in range(4)), Op(FIRST + 2, Do.EXIT), Op(FIRST + 1, Do.WAIT),
                Op(FIRST + 3, Do.FORK, FIRST + 5), Op(FIRST + 1, Do.EXIT), Op(FIRST + 3, Do.EXEC))),
        Border("fork and exec without memory",
               (*family, Op(child, Do.FORK_HUNGRY, grandchild), Op(child, Do.EXEC_HUNGRY), Op(child, Do.FORK, grandchild + 1))),
        Border("five execs, then two forks", (*family, *again(5, Op(parent, Do.EXEC)), Op(parent, Do.FORK, grandchild),
                                              Op(parent, Do.FORK, grandchild + 1))),
        *_more_borders(), *_other_calls(),
    ]
    return found


def _more_borders() -> List[Border]:
    """Long lives and large families, orders of ending, and system calls that are not a pipe's."""
    parent, child, other, third = FIRST, FIRST + 1, FIRST + 2, FIRST + 3
    family = (START, Op(parent, Do.FORK, child))
    orphans = (*family, Op(parent, Do.FORK, other), Op(parent, Do.EXIT))
    own, shared = ("FRY", "SHRIMP")
    return [
        Border("18 execs in one life, by two names",
               (*family, *(Op(child, Do.EXEC, n) for n in (0,) * 15 + (1, 2, 3)), Op(child, Do.FORK, other))),
        Border("more than 256 children in one life",
               (START, *[Op(parent, Do.CROWD, 4096), Op(parent, Do.DISPERSE)] * 2, Op(parent, Do.CHURN, 500), Op(parent, Do.FORK, child))),
        Border("18 generations", (*family, Op(child, Do.CHAIN, 16), Op(child, Do.DISPERSE), Op(child, Do.FORK, other))),
        Border("an exec of what is no program, and with more arguments than any kernel takes",
               (*family, *(Op(who, Do.EXEC_FAILS, how) for who in (child, parent) for how in (3, 4)), Op(child, Do.FORK, other))),
        Border("four children that end in another order than they came, with waits between",
               (*family, *(Op(parent, Do.FORK, child + n) for n in (1, 2, 3)), Op(other, Do.EXIT), Op(parent, Do.WAIT),
                Op(child, Do.EXIT), Op(third + 1, Do.EXIT), Op(parent, Do.FORK, third + 2), Op(parent, Do.WAIT), Op(third, Do.EXIT),
                *[Op(parent, Do.WAIT)] * 2, Op(third + 2, Do.EXIT), *[Op(parent, Do.WAIT)] * 2)),
        Border("a parent that exits before its child has run",
               (START, Op(parent, Do.STORE, 0, own), Op(parent, Do.FORK_AND_EXIT, child), Op(0, Do.WAIT),
                Op(child, Do.FORK_AND_EXIT, other), Op(other, Do.EXEC), Op(other, Do.FORK, third))),
        Border("two orphans of one parent, whose slot is used again",
               (*orphans, Op(0, Do.WAIT), Op(0, Do.FORK, third), Op(third, Do.FORK, third + 1), Op(child, Do.EXEC), Op(other, Do.EXEC, 2),
                Op(child, Do.STORE, 0, shared), Op(other, Do.FORK, third + 2))),
        Border("system calls of an orphan", (*orphans, *(Op(child, do, 4, shared) for do in (Do.READ, Do.WRITE, Do.READ_FILE, Do.STORE)),
                                             Op(child, Do.EXEC, 2), Op(other, Do.READ_FILE, 0, own))),
        Border("a file that is read into a page",
               (*family, *(Op(who, Do.READ_FILE, 0, page) for who in (child, parent) for page in (own, shared)), Op(child, Do.EXEC),
                Op(child, Do.FORK, other))),
        Border("a status that goes to a page",
               (*family, *(op for n, page in enumerate((own, shared, own)) for op in (
                   Op(parent, Do.FORK, other + n), Op(other + n, Do.EXIT), Op(parent, Do.WAIT, n, page))),
                Op(child, Do.EXIT), Op(parent, Do.WAIT, 3, own))),
        Border("a kill of one that has exited, of an orphan that runs, and of a child and its parent by themselves",
               (*family, Op(child, Do.FORK, other), Op(child, Do.EXIT), *[Op(0, Do.KILL, child)] * 2, Op(parent, Do.WAIT),
                Op(0, Do.KILL_RUNNING, other), Op(parent, Do.FORK, third), Op(third, Do.KILL_SELF), Op(parent, Do.WAIT),
                Op(parent, Do.KILL_SELF))),
        Border("each way to end, of one that has a parent, a sibling and a child", (*family, *_each_end(parent, child, other))),
        # A heap begins six pages up: that is the player's size in nearly all kernels.
        Border("a heap that ends where a table ends, and one of more than one table",
               (*family, Op(child, Do.SBRK, 506 << 12), Op(child, Do.FORK, other), Op(child, Do.SBRK, 14 << 12),
                Op(child, Do.FORK, third), Op(third, Do.SBRK, -(520 << 12)), Op(third, Do.EXEC), Op(other, Do.EXIT),
                Op(child, Do.EXEC))),
    ]


def _other_calls() -> List[Border]:
    """System calls beside those of a family, ways to end and to fail, and orphans in numbers."""
    parent, child, other, third = FIRST, FIRST + 1, FIRST + 2, FIRST + 3
    family = (START, Op(parent, Do.FORK, child))
    own, shared = ("FRY", "SHRIMP")
    return [
        Border("an exit with a large status", (*family, Op(child, Do.EXIT, 1 << 20), Op(parent, Do.WAIT))),
        Border("an exec of a path that is nowhere, with arguments that are nowhere, and of a program that cannot be loaded",
               (*family, *(Op(who, Do.EXEC_FAILS, how) for who in (child, parent) for how in (5, 6, 7)), Op(child, Do.FORK, other))),
        Border("many orphans of one parent, some of which end when it has been waited for, and more of one with a child that forks",
               (*family, Op(child, Do.CROWD, 20), Op(child, Do.FORSAKE), Op(parent, Do.WAIT), Op(parent, Do.FORK, other), Op(0, Do.GATHER),
                Op(other, Do.FORK, third), Op(other, Do.CROWD, 3), Op(other, Do.FORSAKE), Op(third, Do.FORK, third + 1),
                Op(third, Do.EXEC))),
        Border("files, of one page and of both",
               (*family, *(op for who, page in ((child, shared), (parent, own), (child, "")) for op in (
                   Op(who, Do.STORE, 1, page or own), Op(who, Do.WRITE_FILE, 0, page), Op(who, Do.READ_FILE, 0, page))),
                Op(parent, Do.READ_FILE), Op(child, Do.FORK, other))),
        Border("a line that is read from the console, and written to it",
               (*family, *(Op(who, do, 6, page) for who, page in ((child, shared), (parent, own))
                           for do in (Do.READ_CONSOLE, Do.WRITE_CONSOLE)), Op(child, Do.FORK, other))),
        Border("a heap that is promised and not all touched",
               (*family, *(Op(who, Do.SBRK_LAZY, 70 << 12) for who in (child, parent)), Op(child, Do.FORK, other), Op(child, Do.EXEC),
                Op(other, Do.SBRK, -(70 << 12)), Op(parent, Do.EXIT))),
        Border("forks of who has closed its files, one after the other",
               (*family, Op(child, Do.BARE, _FILES), Op(child, Do.FORK, other))),
        Border("system calls that run out of the upper page",
               (*family, *(Op(who, do) for who in (child, parent) for do in (Do.READ_OVER, Do.WRITE_OVER)), Op(child, Do.FORK, other))),
        Border("all other system calls, with a place in a page where they need one",
               (*family, *(Op(who, Do.CALLS, 0, page) for who, page in ((child, shared), (parent, own))), Op(child, Do.FORK, other))),
    ]


def _each_end(parent: int, sibling: int, new: int) -> Iterator[Op]:
    """Who ends has forked one that lives on, and has its parent's page with others: what is lost of either shows at once. Each has
    a larger heap than the one before, and each of the last three ways to end kills one."""
    ways = (Do.EXIT_AWAITED, *[Do.FAULT] * 4, Do.KILL_SELF, Do.KILL_WAITING, Do.KILL_RUNNING, Do.KILL_SLEEPING)
    for n, do in enumerate(ways):
        one, its = new + 2 * n, new + 2 * n + 1
        killers = {Do.KILL_WAITING: its, Do.KILL_RUNNING: parent, Do.KILL_SLEEPING: sibling}
        yield from (Op(parent, Do.FORK, one), Op(one, Do.FORK, its), Op(one, Do.SBRK, 9 * n << 12))
        yield Op(killers[do], do, one) if do in KILLS else Op(one, do, n - 1 if do is Do.FAULT else 0)
        if do is not Do.EXIT_AWAITED:
            yield Op(parent, Do.WAIT)
        yield Op(its, Do.EXIT)


def on_several_harts() -> List[Sequence]:
    """What is played once more on as many harts as there are: all else is played on one, which does not show what a kernel keeps for
    each hart."""
    parent, child, grandchild = FIRST, FIRST + 1, FIRST + 2
    family = (START, Op(parent, Do.FORK, child))
    calls = [Op(who, do, n, page) for n, page in enumerate(("FRY", "SHRIMP")) for who in (child, parent)
             for do in (Do.READ, Do.WRITE, Do.READ_FILE, Do.STORE)]
    return [(*family, *calls, Op(child, Do.FORK, grandchild), Op(child, Do.EXEC), *calls[:8], Op(grandchild, Do.EXIT), Op(child, Do.WAIT),
             Op(parent, Do.EXIT), *calls[8:11], Op(child, Do.EXEC, 2)),
            (START, Op(parent, Do.CROWD, 9), Op(parent, Do.DISPERSE), Op(parent, Do.CHURN, 20), Op(parent, Do.FORK, child),
             Op(0, Do.KILL_RUNNING, child), Op(parent, Do.WAIT), Op(0, Do.KILL_RUNNING, parent))]


def sharing() -> List[Border]:
    """What is played of segments of shared memory, where a kernel has System V's system calls."""
    parent, child, grandchild = FIRST, FIRST + 1, FIRST + 2
    made = (START, Op(parent, Do.SHM_GET, 1))
    family = (*made, Op(parent, Do.SHM_ATTACH, 1), Op(parent, Do.FORK, child))
    return [
        Border("a segment that two attach, one for reading only; that nobody has, once one has detached it and the other has run exec; "
               "and that one finds then, who exits with it",
               (*made, Op(parent, Do.FORK, child), Op(child, Do.SHM_ATTACH_READ, 1), Op(parent, Do.SHM_ATTACH, 1),
                Op(parent, Do.SHM_READ, 1), Op(child, Do.SHM_WRITE, 1), Op(child, Do.SHM_DETACH_INSIDE, 1),
                Op(child, Do.FORK, grandchild), Op(grandchild, Do.SHM_VIOLATE, 1), Op(parent, Do.EXEC_FAILS),
                Op(child, Do.SHM_DETACH, 1), Op(parent, Do.EXEC), Op(0, Do.SHM_FIND, 1), Op(child, Do.SHM_ATTACH, 1),
                Op(child, Do.EXIT), Op(0, Do.SHM_REMOVE, 1), Op(0, Do.SHM_FIND, 1))),
        Border("a segment that is removed while it is attached, and inherited after that",
               (*family, Op(child, Do.SHM_REMOVE, 1), Op(parent, Do.SHM_FIND, 1), Op(parent, Do.SHM_DETACH, 1),
                Op(child, Do.FORK, grandchild), Op(child, Do.EXEC), Op(grandchild, Do.EXIT), Op(parent, Do.SHM_ATTACH, 1),
                Op(parent, Do.SHM_REMOVE, 1))),
        Border("two segments, one attached twice, whose maker is killed",
               (*family, Op(child, Do.SHM_GET, 2), Op(child, Do.SHM_ATTACH, 2), Op(child, Do.SHM_ATTACH_READ, 1),
                Op(child, Do.SBRK, 3 << 12), Op(child, Do.SHM_DETACH, 1), Op(child, Do.FORK, grandchild), Op(0, Do.KILL, parent))),
    ]


def random_ones(seed: str, n: int, length: int, most: int, shared: bool = False) -> Iterator[Sequence]:
    """Sequences of all operations, drawn anew from a seed each time it is asked. shared: those on segments as well."""
    for number in range(n):
        yield _random(random.Random(f"{seed}/{number}"), length, most, (*_ANYTHING, *3 * sorted(SHM)) if shared else _ANYTHING)


def _random(dice: random.Random, length: int, most: int, known: Tuple[Do, ...]) -> Sequence:
    model, ops = Model(), [START]
    model.do(START)
    new = FIRST + 1
    while len(ops) < length:
        op = _drawn(dice, model, dice.choice(known), new)
        full = len(model.processes) - FIRST + (op.do is Do.FORK_AND_EXIT) >= most
        if not model.can(op) or op.do in FORKS and full or op.do is Do.SHM_GET and len(model.segments) >= _MOST_SEGMENTS:
            continue
        new += op.do in FORKS
        bury(model, op)
        ops.append(op)
    return tuple(ops)


_DRAWN: Dict[Do, Tuple[int, ...]] = {
    Do.EXEC: (0, 1, 2, 3), Do.EXEC_FAILS: tuple(range(8)), Do.FAULT: (0, 1, 2, 3), Do.EXIT: (0, 1, 7, -1, 300), Do.EXIT_AWAITED: (0, 7, -1),
    Do.SBRK: (1, 4096, 3 << 12, -1, -4096, -(1 << 30)), Do.SBRK_LAZY: (3 << 12, 5), Do.CROWD: (1, 3, 7), Do.CHAIN: (1, 3),
    Do.CHURN: (3,), Do.BARE: (_FILES,)}
"""How much, how or with which status each does what a seed draws."""


def _drawn(dice: random.Random, model: Model, do: Do, new: int) -> Op:
    """An operation of that kind, by anybody, that may be none there. new: the number of the next process."""
    op = Op(dice.choice(model.living()).number, do)
    if do in FORKS:
        return replace(op, n=new)
    if do in KILLS:
        return replace(op, n=dice.choice(list(model.processes)))
    if do in _ON_A_WORD:
        return replace(op, n=dice.randrange(16), page=dice.choice(ORDER))
    if do in (Do.WAIT, Do.READ_FILE, Do.WRITE_FILE):
        page = dice.choice((*ORDER, ""))
        return replace(op, n=dice.randrange(16) if do is Do.WAIT and page else 0, page=page)
    if do in SHM:
        return replace(op, n=len(model.made) + 1 if do is Do.SHM_GET else dice.randint(1, max(1, len(model.made))))
    return replace(op, n=dice.choice(_DRAWN.get(do, (0,))))


def shorter(ops: Sequence) -> List[Sequence]:
    """Sequences that are shorter by one operation, or of one process fewer, and can be played; the shortest first."""
    found = []
    for at, op in enumerate(ops):
        if op.do in FORKS and op.n != FIRST:
            found += [_without(ops, op.n), _renamed(ops[:at] + ops[at + 1:], op.n, op.actor)]
        else:
            found.append(ops[:at] + ops[at + 1:])
    fit = {_renumbered(one) for one in found if one and len(one) < len(ops) and play(one) is not None}
    return sorted(fit, key=lambda one: (len(one), str(one)))


def _without(ops: Sequence, number: int) -> Sequence:
    """Without a process, and whom it has made."""
    gone = {number}
    kept = []
    for op in ops:
        if op.actor in gone or op.do in KILLS and op.n in gone:
            if op.do in FORKS:
                gone.add(op.n)
        elif not (op.do in FORKS and op.n in gone):
            kept.append(op)
    return tuple(kept)


def _renamed(ops: Sequence, number: int, other: int) -> Sequence:
    """What one process does, done by another."""
    return tuple(replace(op, actor=other if op.actor == number else op.actor,
                             n=other if op.do in KILLS and op.n == number else op.n) for op in ops)


def _renumbered(ops: Sequence) -> Sequence:
    """With processes numbered as they come."""
    numbers = {0: 0}
    for op in ops:
        if op.do in FORKS:
            numbers[op.n] = FIRST + len(numbers) - 1
    return tuple(replace(op, actor=numbers[op.actor], n=numbers[op.n] if op.do in FORKS | KILLS else op.n) for op in ops)

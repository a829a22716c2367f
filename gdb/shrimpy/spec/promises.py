"""The sentences of the specification, and where each is modelled, judged and played; docs/specification.md is made of them."""

from __future__ import annotations

from typing import NamedTuple, Tuple

from .model import Do


class Promise(NamedTuple):
    """A sentence. handout: whether a lab's handout requires it, or only we do; model: the methods of Model that have it; rules:
    the ids of the rules that judge it at a stop; operations: those that are played to see it; page: the page of POSIX or of
    Linux's manual that says it, of segments."""

    sentence: str
    handout: bool
    model: Tuple[str, ...]
    rules: Tuple[str, ...]
    operations: Tuple[Do, ...]
    page: str = ""

    @property
    def required_by(self) -> str:
        return self.page or ("the handout" if self.handout else "us")


PROMISES = (
    Promise("Each process has a frame of its own, mapped at FRY with V R W U.", True,
            ("_fork", "pages"), ("fry-private", "fry-flags"), (Do.FORK, Do.CROWD)),
    Promise("A new process's FRY page is zero.", False, ("_fork", "word_at"), ("fry-zeroed",), (Do.FORK, Do.LOAD, Do.CROWD)),
    Promise("A process's FRY frame stays the same while it lives, across exec too.", False, ("_exec",), ("exec-keeps",), (Do.EXEC,)),
    Promise("fork makes PHY(child, SHRIMP) = PHY(parent, FRY).", True,
            ("_fork", "pages"), ("shrimp-pair", "shrimp-flags"), (Do.FORK, Do.CROWD, Do.CHURN, Do.BARE)),
    Promise("Both pages are mapped before the process can run, not when it touches them.", False,
            ("_fork", "pages"), ("shrimp-pair", "fry-flags"), (Do.FORK, Do.CROWD)),
    Promise("All children of one parent see the same frame; a grandchild sees its own parent's.", True,
            ("_fork", "pages"), ("shrimp-siblings", "shrimp-pair"), (Do.FORK, Do.CHAIN)),
    Promise("What one process writes there, all that map the page read.", True,
            ("write", "word_at"), ("shrimp-pair", "satp-is-root"), (Do.STORE, Do.LOAD)),
    Promise("exec keeps both pages, and one that fails changes nothing.", False,
            ("_exec",), ("exec-keeps",), (Do.EXEC, Do.EXEC_FAILS)),
    Promise("The first process has no SHRIMP page.", True, ("__init__",), ("shrimp-pair",), ()),
    Promise("An orphan keeps the page of a parent that is gone, and nobody else gets its frame.", False,
            ("_exit", "buried"), ("orphan-alive", "not-on-free-list"),
            (Do.EXIT, Do.EXIT_AWAITED, Do.FORK_AND_EXIT, Do.FORSAKE, Do.FAULT, Do.KILL, Do.KILL_WAITING, Do.KILL_SLEEPING,
             Do.KILL_RUNNING, Do.KILL_SELF, Do.WAIT)),
    Promise("Who ends gives its frames back; the last one out frees the page.", True,
            ("_exit",), ("frames-return", "frames-conserved", "count-matches"), (Do.EXIT, Do.KILL, Do.WAIT, Do.WAIT_BADLY, Do.DISPERSE,
                                                                                 Do.GATHER)),
    Promise("fork, exec, exit and wait that run out of something half-way fail, and lose no frame.", False,
            ("crowded",), ("frames-return", "frames-conserved"), (Do.FORK_HUNGRY, Do.EXEC_HUNGRY, Do.CROWD, Do.EXEC_FAILS)),
    Promise("The heap never reaches the two pages, and shrinking it never takes them away.", False,
            ("can",), ("heap-below-shrimp",), (Do.SBRK, Do.SBRK_LAZY)),
    Promise("Both pages are ordinary user memory to system calls.", True, ("write", "word_at"), (),
            (Do.READ, Do.WRITE, Do.READ_BOTH, Do.WRITE_BOTH, Do.READ_OVER, Do.WRITE_OVER, Do.READ_FILE, Do.WRITE_FILE,
             Do.READ_CONSOLE, Do.WRITE_CONSOLE, Do.CALLS, Do.WAIT,
             Do.EXEC)),

    # Segments of shared memory, where a kernel has shmget, shmat, shmdt and shmctl
    Promise("A new segment is zero.", False, ("_share", "word_at"), (), (Do.SHM_GET, Do.SHM_ATTACH), "shmget(2)"),
    Promise("A key finds its segment, until that is removed.", False, ("succeeds",), (), (Do.SHM_FIND, Do.SHM_REMOVE),
            "shmget(2), shmctl(2)"),
    Promise("All that have a segment attached see the same frames; no two segments share one.", False, ("_share", "pages"),
            ("segment-pages", "segment-private"), (Do.SHM_ATTACH, Do.SHM_READ, Do.SHM_WRITE), "shmat(2)"),
    Promise("Who attaches with SHM_RDONLY can read and not write, by user code and by system calls.", False, ("may_write", "succeeds"),
            ("segment-rights",),
            (Do.SHM_ATTACH_READ, Do.SHM_READ, Do.SHM_VIOLATE), "shmat(2)"),
    Promise("shm_nattch is the number of attachments of all processes.", False, ("n_attached",), ("segment-count",),
            (Do.SHM_ATTACH, Do.SHM_DETACH, Do.FORK, Do.EXEC, Do.EXIT, Do.KILL), "shmctl(2)"),
    Promise("A child has its parent's attachments, at the same addresses.", False, ("_fork",), ("segment-count", "segment-place"),
            (Do.FORK,), "fork(3p), shmat(2)"),
    Promise("exec detaches all, and one that fails nothing.", False, ("_exec",), ("segment-exec",), (Do.EXEC, Do.EXEC_FAILS), "shmat(2)"),
    Promise("Who ends has detached all.", False, ("_exit",), ("segment-count", "frames-return"), (Do.EXIT, Do.FAULT, Do.KILL), "_exit(3p)"),
    Promise("shmdt detaches what was attached at exactly that address, and all of it.", False, ("_share", "succeeds", "cells"),
            ("segment-pages", "segment-count"),
            (Do.SHM_DETACH, Do.SHM_DETACH_INSIDE), "shmdt(2)"),
    Promise("A segment stays, with what is in it, when nobody has it attached.", False, ("_settle", "word_at"), ("frames-conserved",),
            (Do.SHM_DETACH, Do.EXIT, Do.SHM_ATTACH), "shmget(2), shmctl(2)"),
    Promise("A removed segment goes with the last that detaches it, and then its identifier is nobody's.", False, ("_settle", "succeeds"),
            ("segment-removed", "frames-return"), (Do.SHM_REMOVE, Do.SHM_DETACH, Do.SHM_ATTACH), "shmctl(2)"),
)


def table() -> str:
    """docs/specification.md's table."""
    rows = ["| sentence | required by | model | rules | operations |", "| --- | --- | --- | --- | --- |"]
    for one in PROMISES:
        rows.append(f"| {one.sentence} | {one.required_by} | {_code(one.model)} | {_code(one.rules)} | "
                    f"{_code(tuple(each.value for each in one.operations))} |")
    return "\n".join(rows) + "\n"


def _code(names: Tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)

"""Cores of one's own: of several jobs on a machine, none slows another by what its machine does."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from collections.abc import Iterator

from .. import BUILD, Trouble


def n_slots(jobs: str) -> int:
    """How many jobs GNU parallel runs at a time on this machine: a number, or a share of its cores as n%."""
    if not re.fullmatch(r"[1-9]\d{0,3}%?", jobs):
        raise Trouble(f"--jobs {jobs}: expected a number from 1, or a share of the cores such as 50%")
    return int(jobs) if jobs.isdigit() else max(1, len(_cores()) * int(jobs[:-1]) // 100)


@contextlib.contextmanager
def of_ones_own(jobs: str) -> Iterator[None]:
    """Keeps this process and its children to one of n_slots(jobs) shares of the cores, for as long as the context lasts.

    Where there are fewer cores than jobs, or no share is free, all are used.
    """
    n, cores = n_slots(jobs), _cores()
    folder = BUILD / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.ExitStack() as held:
        for slot in range(n if 1 < n <= len(cores) else 0):
            handle = held.enter_context((folder / f"cores-{slot}-of-{n}").open("w"))
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.sched_setaffinity(0, cores[slot::n])
                break
        yield


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))

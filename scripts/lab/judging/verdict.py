"""Stops a machine, takes a snapshot of it through GDB, and judges it by the kit's rules.

The rules are the kit's own, run here: they take a snapshot, or two, and nothing else.
"""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from shrimpy import rules
from shrimpy.origins import Traced
from shrimpy.rules import Known, Verdict
from shrimpy.show import reports, text
from shrimpy.snapshot import Snapshot

from .. import Trouble, check_room
from ..machines import debugger
from ..machines.machine import Machine
from ..machines.qmp import Qmp

PASS, FAIL, UNJUDGED = 0, 1, 2
_SHELL = 2  # its pid in every xv6, after init


@dataclass(frozen=True)
class Judgement:
    """One stop of a machine, judged.

    point     what the machine had come to there, for a person: "after its parent's exit"; "" for just as it was
    snapshot  all that the kit knew of it
    previous  the snapshot that it was compared with, of an earlier stop of the same run
    known     what whoever brought the point about knows of it
    roles     who is who there: "orphan" and the like, and a pid
    profile   of rules.PROFILES: what decides
    written   lines: who wrote the entries last that failures are about, where the machine notes it
    """

    point: str
    snapshot: Snapshot = field(repr=False)
    previous: Snapshot | None = field(default=None, repr=False)
    known: Known = field(default=Known(), repr=False)
    roles: tuple[tuple[str, int], ...] = ()
    profile: str = rules.STRICT
    written: tuple[str, ...] = ()

    @cached_property
    def verdicts(self) -> tuple[Verdict, ...]:
        return tuple(rules.evaluate(self.snapshot, self.previous, self.known, self.profile))

    @property
    def failures(self) -> tuple[Verdict, ...]:
        return tuple(one for one in self.verdicts if one.status == rules.FAIL)

    @property
    def status(self) -> int:
        """PASS, FAIL or UNJUDGED."""
        return rules.status(self.verdicts)

    @property
    def settled(self) -> bool:
        """Whether no verdict was held back because of where the machine was stopped."""
        return not rules.held_back(self.verdicts)

    @property
    def quiet(self) -> bool:
        """Whether no frame may be on its way from one owner to another: a later stop can be compared with this one."""
        return rules.unsettled(self.snapshot) is None

    @property
    def processes(self) -> tuple[tuple[int, str], ...]:
        """The pid and name of each there was."""
        return tuple((one.pid, one.name) for one in self.snapshot.processes)

    @property
    def saw_a_program(self) -> bool:
        """Whether there was more than init, the shell, and what the shell had forked and exec had not made another yet."""
        shell = dict(self.processes).get(_SHELL)
        return any(pid > _SHELL and name != shell for pid, name in self.processes)

    def runs_user_code(self, pid: int) -> bool:
        """Whether some hart is in user mode for a process."""
        return any(one.pid == pid and one.privilege == "U" for one in self.snapshot.harts)

    @property
    def who(self) -> str:
        """The processes, for a person."""
        return ", ".join(f"{pid} {name}" for pid, name in self.processes)

    @property
    def where(self) -> str:
        """Where the machine was stopped, for a person."""
        return reports.where(self.snapshot)

    @property
    def line(self) -> str:
        """The verdict in one line."""
        return text.conclusion(self.snapshot, self.verdicts)[1]

    @property
    def text(self) -> str:
        """As shrimp-check prints it."""
        return self.text_with(lambda _: None)

    def text_with(self, traced: Callable[[Verdict], Traced | None]) -> str:
        """The same, with where each cause was written, as far as that is known of its example."""
        return text.verdicts(self.snapshot, self.verdicts, self.where, traced=traced)

    @property
    def json(self) -> str:
        """As shrimp-check -json prints it."""
        return text.verdicts_json(self.snapshot, self.verdicts)


OnFail = Callable[[Machine, Judgement, Qmp], None]
"""Told of a machine while it stands where it was judged and failed; and of a connection to its monitor."""


def judge(elf: Path | str, *, target: str | None = None, core: Path | None = None, point: str = "", walls: bool = False) -> Judgement:
    """A machine, which is stopped for it and runs on afterwards, or a core. Raises Trouble where there is no snapshot.

    walls: see debugger.batch()
    """
    with tempfile.TemporaryDirectory(prefix="shrimpy-") as folder:
        path = Path(folder, "snapshot.json")
        said = debugger.batch(elf, [f"xv6-snapshot {shlex.quote(str(path))}"], target=target, core=core, walls=walls,
                              folder=Path(folder))
        return Judgement(point, _read(path, said.err))


def ask(gdb: debugger.Session, point: str = "", previous: Snapshot | None = None, known: Known = Known(),
        roles: tuple[tuple[str, int], ...] = (), unmasked: Callable[[str], str] = str) -> Judgement:
    """The machine that a GDB is attached to, and that is stopped. unmasked: see scenarios.Cast."""
    path = gdb.folder / "snapshot.json"
    path.unlink(missing_ok=True)
    said = gdb.ask(f"xv6-snapshot {shlex.quote(str(path))}")
    return Judgement(point, _read(path, said, unmasked), previous, known, roles)


def _read(path: Path, said: str, unmasked: Callable[[str], str] = str) -> Snapshot:
    if not path.is_file():
        check_room(path.parent)
        lines = [line for line in said.splitlines() if line.strip()] or ["GDB said nothing"]
        raise Trouble(f"the machine could not be judged: {lines[-1]}")
    return Snapshot.from_json(unmasked(path.read_text()))


def worst(judgements: Sequence[Judgement]) -> Judgement:
    """The first that failed; else, of those that passed, the last with the most processes, a program among them; else the last."""
    failed = [one for one in judgements if one.status == FAIL]
    passed = [one for one in judgements if one.status == PASS]
    if failed:
        return failed[0]
    return max(reversed(passed), key=lambda one: (one.saw_a_program, len(one.processes))) if passed else judgements[-1]

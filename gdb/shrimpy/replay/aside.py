"""The machine beside the one that GDB sees, at another place of the recorded run: scripts/lab/replay/aside.py."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..kernel.stacks import Registers
from ..live import recording
from ..memory.readers import RamFileReader, Reader

_PC = 32    # its number in the stub's answer to g, behind x0 to x31


class Look(NamedTuple):
    """Where it is. at: how many instructions were executed; registers: the integer registers, by number."""

    at: int
    pc: int
    registers: Registers


class Noted(NamedTuple):
    """A store that was passed. at: how many instructions were executed before; address: that was watched; old, new: the value of all
    that is watched there, before and after."""

    at: int
    address: int
    old: int
    new: int


class Passed(NamedTuple):
    """Where the machine came to. address: that was watched, or None; goes_on: it is on its way, after many that were noted."""

    address: int | None
    goes_on: bool
    noted: list[Noted]


class Aside:
    """A context manager. Its methods may take a while, and Ctrl-C ends them; all raise recording.NotRecorded and StubError."""

    def __init__(self) -> None:
        self._reader: tuple[str, Reader] | None = None

    def __enter__(self) -> Aside:
        return self

    def __exit__(self, *_: object) -> None:
        if self._reader is not None:
            self._reader[1].close()
        recording.ask("leave")

    def seek(self, count: int) -> None:
        """To where so many instructions were executed."""
        self._ask(f"seek:{count}")

    def next(self, points: Iterable[str], until: int) -> int | None:
        """To the next instruction that runs into one of some watchpoints, but not to `until`: the address that is watched, or
        None. It is not executed."""
        return self.next_noting(points, (), until).address

    def next_noting(self, points: Iterable[str], passed: Iterable[str], until: int) -> Passed:
        """As next(); it does not stop at other watchpoints, where the stores are done and noted."""
        said, *noted = self._ask(";".join((f"next:{until}", *points, *(f"~{one}" for one in passed)))).split(";")
        how, _, address = said.partition(":")
        return Passed(int(address, 16) if how == "hit" else None, how == "more", [_noted(one) for one in noted])

    def last(self, point: str, before: int) -> int | None:
        """The number of the last instruction before another that runs into a point."""
        said = self._ask(f"last:{before};{point}")
        return None if said == "none" else int(said)

    def step(self) -> None:
        """Executes an instruction."""
        self._ask("step:")

    def look(self) -> tuple[Look, Reader]:
        """Where it is, and its memory: valid until it goes on."""
        count, path, packed = self._ask("look:").split(";")
        if self._reader is None or self._reader[0] != path:
            if self._reader is not None:
                self._reader[1].close()
            self._reader = path, RamFileReader(path)
        words = [int.from_bytes(bytes.fromhex(packed[at:at + 16]), "little") for at in range(0, 16 * (_PC + 1), 16)]
        return Look(int(count), words[_PC], dict(enumerate(words[:_PC]))), self._reader[1]

    @staticmethod
    def _ask(words: str) -> str:
        while (said := recording.ask(words)) == "working":
            pass
        return said


def _noted(said: str) -> Noted:
    at, address, old, new = said.split(",")
    return Noted(int(at), int(address, 16), int(old, 16), int(new, 16))

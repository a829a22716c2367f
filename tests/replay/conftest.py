"""One recording for all, and what opens it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from lab.kernels import tree
from lab.machines import debugger
from lab.replay import recording
from lab.replay.place import Place
from lab.replay.server import BEFORE, Server


@pytest.fixture(scope="session")
def recorded(kernel: tree.Kernel, tmp_path_factory: pytest.TempPathFactory) -> recording.Recording:
    """Our kernel boots and runs `ls`; do not change it."""
    return recording.record(kernel, tmp_path_factory.mktemp("recorded") / "ls", "ls")


@pytest.fixture
def place(recorded: recording.Recording) -> Iterator[Callable[[int], Place]]:
    """place(count): a machine that has run up to there."""
    places: list[Place] = []

    def at(count: int) -> Place:
        places.append(Place(recorded.replay(), recorded.end))
        places[-1].run_to(count)
        return places[-1]

    yield at
    for one in places:
        one.close()


@pytest.fixture
def ask(recorded: recording.Recording) -> Callable[..., list[str]]:
    """ask(command, ...): what a GDB on the recording prints for each, errors too. ahead: see Server."""
    def look(*commands: str, on: recording.Recording = recorded, ahead: bool = False) -> list[str]:
        lines = [f"python\ntry: gdb.execute({line!r})\nexcept gdb.error as e: print('error:', e)\nprint('@end@')\nend"
                 for line in commands]
        with Server(on, ahead) as server:
            said = debugger.batch(on.kernel.elf, ["echo @begin@\\n", *lines], target=server.target, before=BEFORE)
        assert said.status == 0, said.err
        assert server.failure is None
        return said.out.partition("@begin@\n")[2].split("@end@\n")[:-1]
    return look

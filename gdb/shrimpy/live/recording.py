"""What the server of a recorded run tells the kit, by packets that no other stub knows: scripts/lab/replay/server.py."""

from __future__ import annotations

from typing import NamedTuple

from ..memory.remote import Stub, StubError


class NotRecorded(Exception):
    """GDB is not on a recording."""


class When(NamedTuple):
    """Where the run stands. at: how many instructions were executed; end: how many the recording has."""

    at: int
    end: int


def ask(words: str) -> str:
    """The reply to a packet of the server's. Raises NotRecorded where there is no such server, StubError where it refuses."""
    try:
        reply = Stub().packet(f"qshrimpy.{words}")
    except StubError:
        reply = ""
    if not reply:
        raise NotRecorded("this machine is not a recording, so that there is no way back; try: make record PROGRAM=..., then "
                          "make gdb RECORDING=build/recording")
    if reply.startswith("E."):
        raise StubError(reply[2:])
    return reply


def when() -> When:
    """Where the run stands. Raises NotRecorded."""
    count, end = ask("when").split(",")
    return When(int(count), int(end))


def is_one() -> bool:
    """Whether GDB is on a recording."""
    try:
        return when().end >= 0
    except NotRecorded:
        return False


def machine() -> str | None:
    """What names the machine that is seen now; another name is another machine. None where no server of ours is between GDB and
    the machine: it stays the same then."""
    try:
        return ask("machine")
    except NotRecorded:
        return None


def set_goal(count: int) -> None:
    """The next step back leads there instead. Raises NotRecorded, StubError."""
    ask(f"goal:{count}")

"""What every command of scripts/ does around its main: errors in one line, and an end however it comes."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from pathlib import Path

from . import Trouble
from .tree import Kernel


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def run(main: Callable[[], int], trouble_status: int = 1) -> None:
    """Runs main and exits with its status; Trouble is told on standard error, as trouble_status.

    SIGTERM and SIGHUP unwind as Ctrl-C does, so that machines are stopped.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    name = Path(sys.argv[0]).name
    try:
        status = main()
        sys.stdout.flush()
    except Trouble as trouble:
        sys.stdout.flush()
        print(f"{name}: {trouble}", file=sys.stderr)
        status = trouble_status
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        status = 141
    sys.exit(status)


def say(message: str) -> None:
    """Progress, for a person: on standard error, so that -json output stays clean."""
    print(message, file=sys.stderr, flush=True)


def number(name: str, text: str) -> int:
    """A whole number given as NAME=text on make's command line."""
    try:
        return int(text)
    except ValueError:
        raise Trouble(f"{name}={text} is not a number") from None


def harts(text: str, kernel: Kernel) -> int:
    """CPUS=text as a number; when it was not given, what suits that kernel."""
    return number("CPUS", text) if text else kernel.cpus


def n_harts(n: int) -> str:
    """How many, in words."""
    return "1 hart" if n == 1 else f"{n} harts"

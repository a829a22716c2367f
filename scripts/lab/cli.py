"""What every command of scripts/ does around its main: errors in one line, and an end however it comes."""

from __future__ import annotations

import argparse
import errno
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from shrimpy import __version__

from . import BUILD, Trouble, printable
from .kernels.tree import Kernel


def _leave(number: int, _frame: object) -> None:
    raise SystemExit(128 + number)


def parser(description: str) -> argparse.ArgumentParser:
    """One that knows the options that every command has."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--version", action="version", version=f"%(prog)s of Shrimpy {__version__}")
    return made


def machine_options(made: argparse.ArgumentParser, harts: str = "harts, 1 to 8; default: as its Makefile says, or 3") -> None:
    """Adds the options of commands that boot a kernel."""
    made.add_argument("--kernel", default="", metavar="PATH", help="an xv6 tree or a kernel's ELF file; default: ours")
    made.add_argument("--cpus", default="", metavar="N", help=harts)


def run(main: Callable[[], int], trouble_status: int = 1) -> None:
    """Runs main and exits with its status; Trouble is told on standard error, as trouble_status. So is what the system
    refuses: a file that cannot be read or written, a full disk.

    SIGTERM and SIGHUP unwind as Ctrl-C does, so that machines are stopped.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _leave)
    name = Path(sys.argv[0]).name
    try:
        status = main()
        sys.stdout.flush()
    except Trouble as trouble:
        status = _tell(name, str(trouble), trouble_status)
    except KeyboardInterrupt:
        status = 130
    except BrokenPipeError:
        status = 141
    except OSError as error:
        status = _tell(name, refused(error), trouble_status)
    sys.exit(status)


def _tell(name: str, said: str, status: int) -> int:
    """The status to exit with, once what kept us from the end is told."""
    try:
        sys.stdout.flush()
    except OSError:
        # What could not be printed would be tried again at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    print(f"{name}: {said}", file=sys.stderr)
    return status


def refused(error: OSError) -> str:
    """What the system refused, in one line."""
    where = [os.fsdecode(name) for name in (error.filename, error.filename2) if isinstance(name, (str, bytes))]
    said = ": ".join([*where[-1:], error.strerror or str(error) or type(error).__name__])
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        said += f"; make room, or name folders of another disk: SHRIMPY_BUILD (now {BUILD}), TMPDIR"
    elif any(BUILD in Path(name).parents or BUILD == Path(name) for name in where):
        said += f"; name a folder that can be written: SHRIMPY_BUILD (now {BUILD})"
    return printable(said)


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

"""Fixtures for what talks to QEMU and GDB; a limit for every test, and no other: what a test starts has none of its own."""

from __future__ import annotations

import compileall
import dataclasses
import faulthandler
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
sys.path.insert(0, str(ROOT / "gdb"))

from lab import patience  # noqa: E402
from lab.kernels import tree  # noqa: E402
from lab.machines import debugger  # noqa: E402
from lab.machines.machine import Machine  # noqa: E402

os.environ.setdefault("WHY", "0")   # a check that fails is not asked for the store, but where that is tested
os.environ.setdefault("KEEP", "0")  # nor is its machine kept
# A boot writes to each frame: with 128 MiB that is half of what most tests would cost. What people type first has all of it.
os.environ["SHRIMPY_MEM"] = os.environ.get("SHRIMPY_MEM") or "32"   # make gives an empty one

_LIMIT_S = 120
_LOOK_S = 5
_SHORT = {"viz": 1, "pure": 2}  # folders of many short files
_MOST_BUSY = 40  # times that an idle host's time may take on a busy one


class Overdue(Exception):
    """A test took longer than its limit."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak", action="store_true", help="run the long tests too")
    parser.addoption("--golden", action="store_true", help="write the golden files anew, and compare nothing")


def pytest_configure(config: pytest.Config) -> None:
    # What the tests start some thousand times, within walls where nothing can be written too, need not compile it each time.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if not hasattr(config, "workerinput"):
        for folder in ("gdb", "scripts", "viz"):
            compileall.compile_dir(ROOT / folder, quiet=2)
    # A shell starts what runs in its background with SIGINT ignored, and what that starts would ignore it too.
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN and _in_main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    names = {f"{item.path.relative_to(ROOT / 'tests')}::{item.name}": item for item in items}
    for start in (line for line in (ROOT / "tests/soak.txt").read_text().splitlines() if line and not line.startswith("#")):
        of_it = [item for name, item in names.items() if name == start or name.startswith(start) and name[len(start)] in "[-];"]
        if not of_it and _are_all(config):
            raise pytest.UsageError(f"tests/soak.txt: no test has a name that begins with {start}")
        for item in of_it:
            item.add_marker("soak")
    if not config.getoption("--soak"):
        for item in items:
            if item.get_closest_marker("soak"):
                item.add_marker(pytest.mark.skip(reason="long; --soak runs it"))
    # Workers take files in this order: with the short ones last none is left alone with a long one.
    items.sort(key=lambda item: _SHORT.get(item.path.parent.name, 0))


def _are_all(config: pytest.Config) -> bool:
    """Whether all tests that there are have been collected."""
    return [Path(one).resolve() for one in config.args] == [ROOT / "tests"]


def _in_main_thread() -> bool:
    """A worker of xdist now and then (execnet before 2.1) is not, and there no signal can be handled."""
    return threading.current_thread() is threading.main_thread()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    mark = item.get_closest_marker("limit")
    seconds = mark.args[0] if mark else _LIMIT_S
    if not _in_main_thread():
        faulthandler.dump_traceback_later(_MOST_BUSY * seconds, exit=True)
        yield
        faulthandler.cancel_dump_traceback_later()
        return

    left = float(seconds)

    def look(_number: int, _frame: object) -> None:
        nonlocal left
        left -= _LOOK_S * patience.share()
        if left <= 0:  # again and again: the first may be raised where it is swallowed
            raise Overdue(f"{item.name} took more than {seconds} s of an idle host's time")

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, _LOOK_S, _LOOK_S)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> tree.Kernel:
    """Our kernel and disk, built; copies, so that building again meanwhile does no harm."""
    built = tree.prepare(None)
    copy = tmp_path_factory.mktemp("kernel") / "xv6"
    shutil.copytree(built.elf.parents[1], copy)
    return dataclasses.replace(built, elf=copy / "kernel/kernel", disks=(copy / "fs.img",))


@pytest.fixture
def machine(kernel: tree.Kernel) -> Iterator[Callable[..., Machine]]:
    """machine(cpus=3, kernel=..., ...): a machine booted to its prompt, ended after the test."""
    started: list[Machine] = []

    def start(cpus: int = 3, *, kernel: tree.Kernel = kernel, boot: bool = True, **how: Any) -> Machine:
        new = Machine(kernel, cpus, **how)
        started.append(new)
        return new.boot() if boot else new

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Callable[[str, str], None]:
    """golden(name, text): the text is as the file of that name in golden/ beside the test has it."""
    folder = request.path.parent / "golden"

    def check(name: str, text: str) -> None:
        path = folder / name
        if request.config.getoption("--golden"):
            folder.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
        else:
            assert text == path.read_text(encoding="utf-8"), f"{name} says otherwise: `make golden` writes it anew"

    return check


@pytest.fixture(scope="session")
def gdb() -> Callable[..., str]:
    """gdb(elf, commands, target=...): what a headless GDB with the kit prints; an error fails the test."""
    return debugger.checked

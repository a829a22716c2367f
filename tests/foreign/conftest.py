"""What the tests on other people's trees share."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.kernels.tree import discard

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/foreign"), str(ROOT / "tests/pure")]


@pytest.fixture
def make(tmp_path_factory) -> Callable[..., subprocess.CompletedProcess]:
    """make(word, ...): our Makefile on them; it finds no other test's machines."""
    notes = str(tmp_path_factory.mktemp("run"))

    def run(*words: str, **environment: str) -> subprocess.CompletedProcess:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        return subprocess.run(["make", *words], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env={**clean, "SHRIMPY_RUN": notes, **environment})
    return run


@pytest.fixture
def listing() -> Callable[[Path], dict[str, tuple[int, int]]]:
    """listing(folder): its files with sizes and times."""
    def look(folder: Path) -> dict[str, tuple[int, int]]:
        return {str(path.relative_to(folder)): (path.lstat().st_size, path.lstat().st_mtime_ns)
                for path in folder.rglob("*")}
    return look


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where trees.again() makes a module's trees, one after the other."""
    folder = tmp_path_factory.mktemp("again") / "lab"
    yield folder
    discard(str(folder))


@pytest.fixture(autouse=True)
def no_copies_left(tmp_path: Path) -> Iterator[None]:
    """A tree of a test is never met again: its copy under build/ goes with it."""
    yield
    for source in tmp_path.iterdir():
        if source.is_dir():
            discard(str(source))

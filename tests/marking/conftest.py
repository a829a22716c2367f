"""What the tests for markers share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.kernels.tree import cross_prefix

HERE = Path(__file__).resolve().parent
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/foreign"), str(ROOT / "tests/pure")]


@pytest.fixture
def unsandboxed(monkeypatch: pytest.MonkeyPatch) -> None:
    """SANDBOX=none: what a protection protects from is seen to happen without it."""
    monkeypatch.setenv("SHRIMPY_SANDBOX", "none")


@pytest.fixture
def build(tmp_path: Path) -> Callable[[str], Path]:
    """build(source): an ELF file of one of this folder's sources, with an empty disk beside it."""
    def make(source: str) -> Path:
        elf = tmp_path / "kernel"
        subprocess.run([cross_prefix() + "gcc", "-nostdlib", "-static", "-Wl,-Ttext=0x80000000", "-Wl,--build-id=none",
                        "-o", elf, HERE / source], check=True)
        (tmp_path / "fs.img").write_bytes(bytes(1024))
        return elf
    return make

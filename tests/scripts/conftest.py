"""Kernels of a few instructions, for what the launcher does when all is well and when it is not."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.tools import cross_prefix

HERE = Path(__file__).resolve().parent
PROMPT = r"booting\n\n$ "


@pytest.fixture
def bare(tmp_path: Path) -> Callable[..., Path]:
    """bare(message, *defines): an ELF file with an empty fs.img beside it."""
    def build(message: str = PROMPT, *defines: str) -> Path:
        elf = tmp_path / "kernel"
        subprocess.run([cross_prefix() + "gcc", "-nostdlib", "-static", "-march=rv64gc", "-Wl,-Ttext=0x80000000",
                        "-Wl,--build-id=none", f'-DMESSAGE="{message}"', *(f"-D{name}" for name in defines),
                        "-o", str(elf), str(HERE / "bare.S")], check=True)
        (tmp_path / "fs.img").write_bytes(bytes(1024))
        return elf
    return build

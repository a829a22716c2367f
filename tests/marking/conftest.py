"""What the tests for markers share."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/foreign"), str(ROOT / "tests/pure")]


@pytest.fixture
def unsandboxed(monkeypatch: pytest.MonkeyPatch) -> None:
    """SANDBOX=none: what a protection protects from is seen to happen without it."""
    monkeypatch.setenv("SHRIMPY_SANDBOX", "none")

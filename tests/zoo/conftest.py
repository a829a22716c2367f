"""mistakes.py is found by its name, and so is the made-up machine of the pure tests."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[1] / "pure")]

"""The pure layers need the kit on the path and nothing else."""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "gdb"), str(Path(__file__).parent)]

"""Draws figures of a snapshot: JSON in; DOT, SVG, PDF, PNG out."""
from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from drawing.cli import main            # noqa: E402

if __name__ == "__main__":
    sys.exit(main())

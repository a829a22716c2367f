"""Draws figures of a snapshot: JSON in; DOT, SVG, PDF, PNG out."""
from __future__ import annotations

import sys

from drawing.cli import main

if __name__ == "__main__":
    sys.exit(main())

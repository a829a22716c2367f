"""Sv39: three-level page tables (RISC-V Privileged, 4.4).

Pure: memory comes through a Reader, results are plain data.
"""

from __future__ import annotations

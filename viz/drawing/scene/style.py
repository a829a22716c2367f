"""How every figure looks: font, colours, sizes.

Fills are from the palette of Okabe and Ito and carry black text; lines on white use
only those of its colours that have contrast enough there.
"""
from __future__ import annotations

FONT = "DejaVu Sans Mono"
SVG_FONTS = "'DejaVu Sans Mono', Menlo, Consolas, monospace"
FONT_PT = 10
SMALL_PT = 9
TITLE_PT = 13
CHAR_PT = 6.03          # advance of one character of FONT at FONT_PT

INK = "#000000"
PAPER = "#FFFFFF"

FILL_FRAME = "#FFE894"
FILL_ORPHAN = "#E69F00"
FILL_WRONG = "#FF8C5A"  # vermilion, lightened until black text has 9:1 on it

LINE_FRY = "#0072B2"
LINE_SHRIMP = "#D55E00"
LINE_THIRD = "#007A5A"
LINE = {"F": LINE_FRY, "S": LINE_SHRIMP, "A": LINE_THIRD}
LETTER = {"F": LINE_FRY, "S": "#A84A00", "A": "#006B4F"}    # text needs more contrast than lines: 4.5:1 on every ground here
DASH = {"F": "solid", "S": "dashed", "A": "dotted"}

QUIET = "#56616B"       # text of less weight, 6:1 on white
FILL_PATH = "#D9EAF7"   # the sky blue of processes, lighter: where a walk goes
FILL_ADDED = "#CFEEDD"  # signs say the same: + - ~
FILL_GONE = "#F7D9CB"
FILL_QUIET = "#EDF0F3"

PNG_DPI = 192           # twice a screen's 96

# 454 pt of text on A4 (16 cm) hold this much when SMALL_PT, the least there is, is shrunk to 7.2 pt
MAX_WIDTH_PT = 564

HAIRLINE = "#9AA7B2"
STRIPE = "#DCE2E7"
PALE_PROCESS = "#E9F2F9"
PALE_FRAME = "#FFF2BF"
# what must stand out, in black and white too: white text on it has 8:1
ALARM = "#8F2A00"
EDGE_FRAME = "#6B5200"

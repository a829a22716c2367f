"""What all pages that hold scenes have in common: the colours in the dark, and a policy that allows one style and one script."""
from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Sequence
from pathlib import Path

from . import style
from .text import in_html

# style.py's colours, and what they are in the dark
_DARK = {style.PAPER: "#1c1f24", style.INK: "#ececea", style.QUIET: "#b7bcc2", style.HAIRLINE: "#78828b",
         style.STRIPE: "#3a4046", style.PALE_PROCESS: "#1d3a52", style.PALE_FRAME: "#433a10",
         style.EDGE_FRAME: "#d9b84a", style.ALARM: "#ffb199", style.LINE_FRY: "#6cb8f0", style.LINE_SHRIMP: "#ff9d57",
         style.LETTER["S"]: "#ff9d57"}


def script(file: Path) -> str:
    """A page's script, after what all share."""
    return Path(__file__).with_name("keep.js").read_text(encoding="utf-8") + file.read_text(encoding="utf-8")


def packed(texts: Sequence[str]) -> str:
    """An element that keep.js takes texts from: each line once, texts as numbers of lines, compressed. Pictures of one film differ in
    few lines."""
    lines: dict[str, int] = {}
    numbered = [[lines.setdefault(line, len(lines)) for line in text.split("\n")] for text in texts]
    data = zlib.compress(json.dumps([list(lines), numbered], separators=(",", ":")).encode("utf-8"), 9)
    return f'<script type="text/plain" id="dots">{base64.b64encode(data).decode("ascii")}</script>'


def policy(css: str, script: str, *more: str) -> str:
    """The value of Content-Security-Policy (CSP 3): this style and this script, by their hashes, what `more` allows, and nothing
    else from anywhere."""
    return "; ".join(("default-src 'none'", f"style-src {_hash(css)}", f"script-src {_hash(script)}", "base-uri 'none'",
                      "form-action 'none'", *more))


def head(title: str, css: str, script: str, *more: str, also: str = "") -> str:
    """A page's beginning, to the end of its head. more: as for policy(); also: further elements of the head."""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{in_html(policy(css, script, *more))}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
{also}<title>{in_html(title)}</title>
<style>{css}</style>
</head>
"""


def _hash(inside: str) -> str:
    digest = hashlib.sha256(inside.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


def dark(more: dict[str, str] = {}) -> str:
    """Style rules that give the figures' colours, which are attributes, their counterparts in the dark; more: of colours that a
    figure has of its own."""
    rules = "".join(f'  figure svg [{what}="{light.lower()}" i] {{ {what}: {there}; }}\n'
                    for light, there in {**_DARK, **more}.items() for what in ("fill", "stroke"))
    return f"@media screen and (prefers-color-scheme: dark) {{\n{rules}}}\n"

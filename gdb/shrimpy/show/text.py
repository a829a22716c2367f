"""How things are printed: one table printer, colour by role, verdicts.

No colour carries a meaning that the letters do not.
"""

from __future__ import annotations

import json
import re
import textwrap
from collections import Counter
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from .. import __version__, rules, words
from ..origins import Traced
from ..reasons import Kind
from ..records import encode
from ..rules import FAIL, MOMENT, NOTHING, PASS, SKIPPED, UNKNOWN, WARNING, Verdict, causes
from ..rules.causes import Alike, Block
from ..snapshot import Snapshot

STYLES: Dict[str, str] = {
    "title": "1", "dim": "2", "good": "32", "bad": "1;31", "warn": "33",
    "address": "34", "name": "36", "fry": "1;33", "shrimp": "1;35",
    "pass": "32", "fail": "1;31", "skipped": "33", "warning": "33",
}
"""Role -> ECMA-48 graphic rendition."""

_ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
_NUMBER = re.compile(r"-?(\d+|0x[0-9a-f]+)$")
_WIDTH = 96
_ENDLESS = 1 << 20
_NARROWEST = 16          # columns of what goes on below itself
_MANY_RULES = 4          # that have one reason for not being judged
_BRANCHES = str.maketrans("└├│─", "`||-")


class Painter:
    """Colours text by its role; with `enabled` False it changes nothing."""

    def __init__(self, enabled: bool = False) -> None:
        self.enabled = enabled

    def __call__(self, role: str, text: str) -> str:
        style = STYLES.get(role) if self.enabled else None
        return f"\x1b[{style}m{text}\x1b[0m" if style else text


def in_ascii(text: str) -> str:
    """The text with branches of ASCII, and ? for whatever else is not: as many characters as before."""
    return text.translate(_BRANCHES).encode("ascii", "replace").decode("ascii")


def table(headers: Sequence[str], rows: Sequence[Sequence[str]],
          paint: Painter = Painter(), width: Optional[int] = None) -> str:
    """Rows under headers, two spaces between columns, numbers to the right;
    a line each, with its newline. Cells may be painted already. width: the last
    column, which must not be painted then, goes on below itself instead of
    beyond so many columns."""
    columns = range(len(headers))
    bare = [[_ESCAPE.sub("", cell) for cell in row] for row in rows]
    widths = [max([len(headers[c])] + [len(row[c]) for row in bare]) for c in columns]
    right = [any(row[c] for row in bare)
             and all(_NUMBER.match(row[c]) for row in bare if row[c] not in ("", "-"))
             for c in columns]

    indent = sum(widths[:-1]) + 2 * (len(widths) - 1)

    def line(cells: Sequence[str], plain: Sequence[str]) -> str:
        padded = []
        for c in columns:
            gap = " " * (widths[c] - len(plain[c]))
            padded.append(gap + cells[c] if right[c] else cells[c] + gap)
        if width is None or indent + len(plain[-1]) <= width:
            return "  ".join(padded).rstrip() + "\n"
        return "  ".join(padded[:-1]) + "  " + filled(cells[-1], max(width, indent + _NARROWEST), "", " " * indent, indent) + "\n"

    head = line([paint("title", h) for h in headers], headers)
    return head + "".join(line(row, plain) for row, plain in zip(rows, bare))


def filled(text: str, width: int, first: str = "", rest: str = "", taken: int = 0) -> str:
    """The text in lines of at most `width` columns that break between words
    only: `first` leads the first, `rest` all others. taken: columns that the
    first line's lead has on the screen already."""
    broken = textwrap.wrap(text, width, initial_indent=" " * taken + first, subsequent_indent=rest,
                           break_long_words=False, break_on_hyphens=False)
    return "\n".join(broken)[taken:] if broken else first


def indented(text: str, width: int) -> str:
    """Lines of any length broken to `width` columns; each goes on below its first word."""
    leads = [re.match(r" *(?:- )?", line) for line in text.splitlines()]
    return "".join(filled(line[len(lead[0]):], width, lead[0], " " * len(lead[0])) + "\n"
                   for line, lead in zip(text.splitlines(), leads) if lead)


def verdicts(snapshot: Snapshot, judged: Sequence[Verdict], where: str, verbose: bool = False,
             paint: Painter = Painter(False), width: Optional[int] = None,
             traced: Callable[[Verdict], Optional[Traced]] = lambda _: None) -> str:
    """Verdicts for people: one line that says it all, where the machine is
    stopped, each cause of failures in a block, what could not be judged because
    of the moment, a line per rule, and the first line again, which a screen has
    lost by then. verbose: every verdict has its line. width: columns, or None
    for lines of any length. traced: where the cause was written of which a verdict is the example."""
    role, said = conclusion(snapshot, judged)
    in_one_line = "\n".join(paint(role, line) for line in filled(said, width or _ENDLESS, "", "  ").splitlines()) + "\n"
    parts = [in_one_line, filled(f"stopped at {where}", width or _ENDLESS, "", "  ") + "\n"]
    parts.extend("\n" + block(one, paint, width, _in_gdb(one), traced=traced(one.cause.example)) for one in causes.blocks(judged))
    parts.append(_held_back(judged, paint, width))
    parts.append("\n" + summary(judged, paint, width))
    if verbose:
        parts.append("\n" + table(["RULE", "SUBJECT", "VERDICT", "WHY"],
                                  [[v.rule, v.subject, paint(v.status, v.status), v.why]
                                   for v in judged], paint, width))
    worth = "" if role != "pass" else filled(words.rules.WORTH_OF_A_PASS, width or _ENDLESS) + "\n"
    return "".join(parts) + "\n" + in_one_line + worth


def _in_gdb(one: Block) -> Tuple[str, ...]:
    v = one.cause.example
    frame = v.about.pa if v.about.pa is not None else v.reason.frame if v.reason else None
    return words.explain.commands(v.rule, v.pid, v.va, frame)


def _held_back(judged: Sequence[Verdict], paint: Painter, width: Optional[int]) -> str:
    """What would fail as it stands, if the machine were not in the middle of something."""
    told = dict.fromkeys(f"not judged {v.rule}: {v.subject}: {v.why}" for v in judged
                         if v.status == SKIPPED and v.reason and v.reason.kind == Kind.HELD_BACK)
    lines = [filled(one, width or _ENDLESS, "", "  ").replace("not judged", paint(SKIPPED, "not judged"), 1) + "\n" for one in told]
    return "\n" + "".join(lines) if lines else ""


def verdicts_json(snapshot: Snapshot, judged: Sequence[Verdict]) -> str:
    """Verdicts for programs: one object, schema shrimpy-verdicts, version 1,
    with the stop they were made at and `status` as the exit status."""
    return json.dumps({
        "schema": "shrimpy-verdicts", "version": 1, "shrimpy": __version__, "kernel": snapshot.kernel,
        "status": rules.status(judged), "stop": encode(snapshot.stop),
        "verdicts": [v.to_data() for v in judged], "groups": causes.to_data(judged),
    }, separators=(",", ":")) + "\n"


def summary(judged: Sequence[Verdict], paint: Painter = Painter(False), width: Optional[int] = None) -> str:
    """A line per rule: how many subjects passed, failed, or could not be judged. Many rules that cannot be judged for one
    reason are in one line."""
    rows: List[List[str]] = []
    unjudged: Dict[str, List[Tuple[str, int]]] = {}
    for rule, statement, group in _by_rule(judged):
        count = Counter(v.status for v in group)
        worst = next((s for s in (FAIL, WARNING, PASS) if count[s]), SKIPPED)
        if worst == SKIPPED:
            unjudged.setdefault(min(group, key=_says_little).why, []).append((rule, count[SKIPPED]))
            continue
        rows.append([paint(worst, {PASS: "pass", FAIL: "FAIL", WARNING: "warn"}[worst]), rule,
                     *(str(n) if n else "" for n in (count[PASS], count[FAIL] + count[WARNING], count[SKIPPED])), statement])
    for why, some in unjudged.items():
        if len(some) < _MANY_RULES:
            rows.extend([paint(SKIPPED, "-"), rule, "", "", str(n), f"skipped: {why}"] for rule, n in some)
        else:
            rows.append([paint(SKIPPED, "-"), f"{len(some)} rules", "", "", str(sum(n for _, n in some)),
                         f"skipped: {why} ({', '.join(rule for rule, _ in some)})"])
    return table(["", "RULE", "PASS", "FAIL", "SKIP", ""], rows, paint, width)


def _says_little(v: Verdict) -> int:
    """Which reason to tell of several: one of a stop that could have been judged says most, the first of its kind."""
    return (MOMENT, UNKNOWN, NOTHING).index(v.because or NOTHING)


def _by_rule(judged: Sequence[Verdict]) -> Iterator[tuple]:
    groups: Dict[str, List[Verdict]] = {}
    for v in judged:
        groups.setdefault(v.rule, []).append(v)
    for rule, group in groups.items():
        yield rule, group[0].statement, group


def block(one: Block, paint: Painter = Painter(False), width: Optional[int] = None, to_type: Sequence[str] = (),
          seen: str = "", traced: Optional[Traced] = None) -> str:
    """One cause, for people: an example in full, where that was written, who else, what it explains in two lines each, where it
    was seen, and what to type next."""
    columns = width or _ENDLESS
    lines = [failure(one.cause.example, paint, width).rstrip("\n")]
    if traced is not None:
        first, *rest = words.origins.lines(traced)
        lines.append(filled(first, columns, "  written   ", " " * 12))
        lines.extend(filled(each, columns, " " * 12, " " * 12) for each in rest)
    if len(one.cause.verdicts) > 1:
        lines.append(filled(_others(one.cause), columns, "  as well   ", " " * 12))
    if seen:
        lines.append(filled(seen, columns, "  seen      ", " " * 12))
    for alike in one.symptoms:
        lines.append(_head(alike.example, paint, columns, _others(alike)))
        if alike.example.function:
            lines.append(f"  look at   {alike.example.function}()")
    if to_type:
        lines.append(filled(";  ".join(to_type), columns, "  next      ", " " * 12))
    return "\n".join(lines) + "\n"


def _others(alike: Alike) -> str:
    """Who fails in the same way as the example; "" for nobody."""
    return words.verdicts.others([(v.about, v.va) for v in alike.verdicts])


def _head(v: Verdict, paint: Painter, columns: int, others: str = "") -> str:
    word = "WARNING" if v.status == WARNING else "FAIL"
    said = f"{word} {v.rule}: {v.subject}: {v.why}" + (f" (as well: {others})" if others else "")
    first, *rest = filled(said, columns, "", "  ").splitlines()
    return "\n".join([first.replace(f"{word} {v.rule}", f"{paint(v.status, word)} {paint('title', v.rule)}", 1), *rest])


def failure(v: Verdict, paint: Painter = Painter(False), width: Optional[int] = None) -> str:
    """A failure in full, for people."""
    where = [f"virtual address {v.va:#x}"] if v.va is not None else []
    if v.pte_at is not None:
        where.append(f"entry at {v.pte_at:#x}" + ("" if v.pte is None else f" = {v.pte:#x}"))
    columns = width or _ENDLESS
    lines = [_head(v, paint, columns)]
    for label, said in (("where", ", ".join(where)), ("expected", v.expected),
                        ("actual", v.actual), ("look at", v.function and f"{v.function}()")):
        if said:
            lines.append(filled(said, columns, f"  {label:9} ", " " * 12))
    if v.explanation:
        lines.append(filled(v.explanation, width or _WIDTH, "  ", "  "))
    return "\n".join(lines) + "\n"


def conclusion(snapshot: Snapshot, judged: Sequence[Verdict]) -> Tuple[str, str]:
    """(the role of its colour, the verdict on all in one line)."""
    count = Counter(v.status for v in judged)
    failed = sorted({v.rule for v in judged if v.status == FAIL})
    status = rules.status(judged)
    if status == 1:
        return "fail", f"FAIL: {', '.join(failed)} ({count[FAIL]} of {len(judged)} verdicts)"
    if status == 2:
        missing = "this kernel defines no FRY" if snapshot.layout.fry is None else \
            "no process with a FRY page could be judged"
        return "skipped", f"NOT JUDGED: {missing} ({count[PASS]} other verdicts passed)"
    n = len(snapshot.processes)
    return "pass", (f"PASS: {count[PASS]} verdicts about {n} process{'es' * (n != 1)}"
                    + (f", {count[WARNING]} warning{'s' * (count[WARNING] != 1)} beyond the handout" if count[WARNING] else "")
                    + (f", {count[SKIPPED]} skipped" if count[SKIPPED] else ""))

"""Marks in other forms, made of the results.json that check leaves: gradelib's text, GitHub's annotations and summary, the
result.json of Classroom 50, a text to mail."""

from __future__ import annotations

import datetime
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from shrimpy.origins import Traced
from shrimpy.records import decode

from .. import printable
from ..judging.points import BUILDS, RUNS
from ..marks.marking import FAILED
from ..marks.summary import rule_of

Told = Mapping[str, Any]

_ERROR = re.compile(r"^(?:\./)?([\w./+-]+):(\d+):(?:\d+:)? (?:fatal )?error: (.*)$", re.M)     # of GCC: "Formatting Diagnostics"
_MOST_OUTPUT = 2_000    # characters of one test in a form that has them all in one place


def gradelib(told: Told) -> str:
    """As the graders of MIT's labs print: a test for each rule that is worth points, and the score."""
    lines = []
    for one in _worth(told):
        rule = rule_of(one)
        lines.append(f"== Test {rule} == ")     # the same title as below, by which a test is known there
        if one["status"] == "passed":
            lines.append(f"{rule}: OK")
        else:
            lines += [f"{rule}: FAIL", *(f"    {line}" for line in one["output"].splitlines())]
    return "\n".join([*lines, f"Score: {told['score']:g}/{_most(told):g}"]) + "\n"


def annotated(told: Told, build_log: str = "") -> Iterator[str]:
    """GitHub's workflow commands ("Setting an error message"): each cause at the line that wrote what is wrong, if that is known;
    for a tree that does not build, the compiler's first error."""
    extra = told["extra_data"]
    if extra["status"] == "does not build" and (found := _ERROR.search(build_log)):
        yield _annotation(found[3], file=found[1], line=found[2], title="does not build")
        return
    for cause in extra["causes"]:
        if cause["status"] != FAILED:
            continue
        where = next((place for origin in decode(Traced, cause["traced"]).origins if (place := origin.place) and place.file),
                     None) if cause["traced"] else None
        at = {"file": where.file, "line": str(where.line)} if where and where.file and where.line else {}
        yield _annotation(cause["line"], **at, title=cause["rule"])


def _annotation(message: str, **properties: str) -> str:
    words = ",".join(f"{name}={_escaped(value).replace(':', '%3A').replace(',', '%2C')}" for name, value in properties.items())
    return f"::error {words}::{_escaped(message)}"


def _escaped(said: str) -> str:
    """As workflow commands carry it."""
    return said.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def summary(told: Told) -> str:
    """GitHub's job summary: Markdown."""
    extra = told["extra_data"]
    rows = [f"| {rule_of(one)} | {one['status']} | {one['score']:g} / {one['max_score']:g} |" for one in _worth(told)]
    # A fence longer than any in the text.
    ticks = max((len(run) for cause in extra["causes"] for run in re.findall("`+", cause["text"])), default=0)
    fence = "`" * max(3, ticks + 1)
    blocks = [f"{fence}\n{cause['text'].rstrip()}\n{fence}" for cause in extra["causes"]]
    return "\n".join([f"## {told['score']:g} of {_most(told):g} points: {extra['status']}", "", "| rule | status | points |",
                      "| --- | --- | --- |", *rows, "", *blocks]) + "\n"


def classroom50(told: Told, environment: Mapping[str, str], now: datetime.datetime) -> dict[str, Any]:
    """result.json of Classroom 50, schema classroom50/result/v1 ("Advanced Autograding"). Its runner adds whose it is.

    environment: the runner's variables; now: the time, of a known zone
    """
    tests = [{"test-name": rule_of(one), "passed": one["status"] == "passed", "score": _number(one["score"]),
              "max-score": _number(one["max_score"]), "output": one["output"][:_MOST_OUTPUT]} for one in _worth(told)]
    commit = environment.get("COMMIT_URL", "")
    return {"schema": "classroom50/result/v1", "classroom": environment.get("CLASSROOM", ""),
            "assignment": environment.get("ASSIGNMENT", ""), "submission": environment.get("SUBMISSION_TAG", ""), "commit": commit,
            "release": environment.get("RELEASE_URL", ""), "review": environment.get("REVIEW_URL") or commit,
            "datetime": now.astimezone(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"), "score": _number(told["score"]),
            "max-score": _number(_most(told)), "tests": tests}


_NEXT = {BUILDS: "Build it with make, and mend the first error.",
         RUNS: "Boot it with make qemu: the console's last lines say where it ends."}
_WIDTH = 76


def mail(told: Told, name: str, figure: str) -> str:
    """A text to mail to whoever handed in: the points, the first cause, one figure, what to do next.

    figure: the name of a file beside results.json, or ""
    """
    extra = told["extra_data"]
    lines = [_wrapped(f"{name}: {extra['status']}, {told['score']:g} of {extra['max_score']:g} points")]
    if extra["line"] and not extra["causes"]:
        lines += ["", _wrapped(extra["line"])]
    for cause in extra["causes"][:1]:
        lines += ["", _wrapped(cause["line"])]
        lines += ["", f"Figure: {figure}"] if figure else []
        steps = [f"    {step}" for step in next_steps(cause)]
        lines += ["", "Next:", *steps] if steps else []
    others = len(extra["causes"]) - 1
    if others > 0:
        lines += ["", f"The page that comes with this has {others} more cause{'s' * (others > 1)}."]
    return "\n".join(lines) + "\n"


def next_steps(cause: Mapping[str, Any]) -> list[str]:
    """What to do about a cause, a line each: what to type, where check knows that."""
    return list(cause.get("to_type", ())) or [_NEXT[rule] for rule in _NEXT if rule == cause["rule"]]


def unmarked_mail(name: str, why: str) -> str:
    """The same of a submission that could not be checked. why: one line."""
    return f"{_wrapped(f'{name}: not checked')}\n\n{_wrapped(why)}\n\nNext: please ask whoever marks.\n"


def _wrapped(said: str) -> str:
    """A stranger's words as lines for a mail."""
    return textwrap.fill(printable(said), _WIDTH, break_on_hyphens=False)


def _worth(told: Told) -> list[Told]:
    return [one for one in told["tests"] if one["max_score"]]


def _most(told: Told) -> float:
    return told["extra_data"]["max_score"]


def _number(points: float) -> float:
    return int(points) if points == int(points) else points

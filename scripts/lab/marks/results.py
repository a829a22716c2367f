"""The folder that a marker gets: marks as text, JUnit XML and Gradescope's results.json, and what they were made from."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
import xml.etree.ElementTree as xml
from dataclasses import asdict
from pathlib import Path

from shrimpy import origins
from shrimpy.records import encode

from .. import Trouble, printable, put_in_place
from ..pictures import figures
from ..replay import archive
from .marking import FAILED, FILM, MANY, PASSED, SKIPPED, WARNED, Mark, Marks

TEXT, JUNIT, GRADESCOPE, SNAPSHOT, ORIGINS = "results.txt", "results.xml", "results.json", "snapshot.json", "origins.json"
FAULT, CONSOLE, BUILD, CHECKPOINT = "fault", "console.log", "build.log", "checkpoint.zip"
PAGE, MAIL = "page.html", "mail.txt"    # of a class, made of the others
_OURS = {TEXT, JUNIT, GRADESCOPE, SNAPSHOT, ORIGINS, *(f"{FAULT}.{kind}" for kind in figures.FORMATS), f"{FILM}.json", f"{FILM}.html",
         CONSOLE, BUILD, CHECKPOINT, f"{FILM}.svg", PAGE, MAIL}
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2
_MOST_OUTPUT = 20_000  # characters of one text in a report


def claim(folder: Path) -> None:
    """Raises Trouble where write() could not put its folder, so that it is known before the work is done."""
    if folder.is_symlink() or folder.exists() and not folder.is_dir():
        raise Trouble(f"OUT={folder} exists and is not a folder")
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in _OURS) if folder.is_dir() else []
    if foreign:
        raise Trouble(f"OUT={folder} contains {foreign[0]}, which check did not write: name a new folder, or one that an "
                      "earlier check wrote")
    parent = folder.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Trouble(f"OUT={folder} cannot be made: {error.strerror}") from None
    if not os.access(parent, os.W_OK | os.X_OK):
        raise Trouble(f"OUT={folder} cannot be made: {parent} cannot be written")


def write(folder: Path, marks: Marks) -> None:
    """Makes folder hold all of marks, or leaves it as it was. One of an earlier check is replaced."""
    folder = folder.absolute()
    claim(folder)
    try:
        new = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise Trouble(f"OUT={folder} cannot be made: {error.strerror}") from None
    try:
        _fill(new, marks)
        put_in_place(new, folder)
    except OSError as error:
        raise Trouble(f"OUT={folder} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _fill(folder: Path, marks: Marks) -> None:
    notes = list(marks.notes)
    if marks.snapshot:
        (folder / SNAPSHOT).write_text(marks.snapshot.to_json())
        if any(case.status == FAILED and case.kind == "rule" for case in marks.cases):
            try:
                figures.draw(FAULT, folder / SNAPSHOT, *_origins(folder, marks), folder=folder)
            except Trouble as trouble:
                notes.append(f"no fault diagram: {trouble}")
    else:
        notes.append("no snapshot: there was nothing to take one of")
    if marks.film:
        (folder / f"{FILM}.json").write_text(marks.film)
        try:
            figures.draw(FILM, folder / f"{FILM}.json", folder=folder, formats=("html",))
        except Trouble as trouble:
            notes.append(f"the film of the story is not drawn: {trouble}")
    if marks.checkpoint:
        try:
            archive.pack(marks.checkpoint, folder / CHECKPOINT)
        except OSError as error:
            notes.append(f"no checkpoint: {error.strerror}")
    (folder / CONSOLE).write_text("".join(f"== {name}\n{said}\n" for name, said in marks.console), errors="replace")
    (folder / BUILD).write_text(marks.build_log, errors="replace")
    (folder / TEXT).write_text(text(marks, notes, has_checkpoint=(folder / CHECKPOINT).exists()))
    (folder / GRADESCOPE).write_text(json.dumps(gradescope(marks), indent=1) + "\n")
    xml.ElementTree(junit(marks)).write(folder / JUNIT, encoding="utf-8", xml_declaration=True)


def _origins(folder: Path, marks: Marks) -> list[str]:
    """Writes down where failures were written; the options by which the figure knows."""
    if not marks.origins:
        return []
    (folder / ORIGINS).write_text(origins.to_json(marks.origins))
    return ["--origins", str(folder / ORIGINS)]


def text(marks: Marks, notes: list[str], has_checkpoint: bool = False) -> str:
    """For a person."""
    lines = [f"{marks.name}: {marks.status}, {_number(marks.points)} of {_number(marks.most)} points", marks.line, ""]
    lines += [f"note: {printable(note)}" for note in notes]
    lines += [f"{'':6} {'POINTS':>9}  RULE"]
    unjudged: dict[str, list[Mark]] = {}
    for one in marks.marks:
        if one.status == SKIPPED:
            unjudged.setdefault(one.output.partition("\n")[0], []).append(one)
        else:
            lines.append(_line({PASSED: "pass", FAILED: "FAIL", WARNED: "warn"}[one.status], [one], one.rule, one.statement))
    for why, some in unjudged.items():
        if len(some) < MANY:
            lines += [_line("-", [one], one.rule, why) for one in some]
        else:
            lines.append(_line("-", some, f"{len(some)} rules", f"{why} ({', '.join(one.rule for one in some)})"))
    for cause in marks.causes:
        lines += ["", cause.text.rstrip()]
    if marks.film:
        lines += ["", f"{FILM}.html shows the story of the specification, operation by operation"]
    if marks.snapshot:
        lines += ["", f"{SNAPSHOT} is of the stop that tells most: {printable(marks.stopped)}"]
    if marks.checkpoint and has_checkpoint:
        lines += ["", f"{CHECKPOINT} is the machine at the first stop that failed: {printable(marks.checkpoint.stopped)}",
                  f"to debug it there: make gdb CHECKPOINT={CHECKPOINT}"]
    return "\n".join(lines) + "\n"


def _line(verdict: str, some: list[Mark], rule: str, about: str) -> str:
    points, most = (_number(sum(values)) for values in zip(*((one.points, one.most) for one in some)))
    return f"{verdict:6} {points:>4}/{most:<4}  {rule:18} {about}"


def junit(marks: Marks) -> xml.Element:
    """JUnit's report: what Ant's and Jenkins' schemas ask for. One suite; the class of a case is its scenario. A warning is a
    case that passes, with its sentence as output."""
    count = {status: str(sum(case.status == status for case in marks.cases)) for status in (FAILED, SKIPPED)}
    counts = {"tests": str(len(marks.cases)), "failures": count[FAILED], "errors": "0", "skipped": count[SKIPPED],
              "time": f"{marks.seconds:.3f}"}
    top = xml.Element("testsuites", {"name": "shrimpy", **counts})
    suite = xml.SubElement(top, "testsuite", {"name": _in_xml(marks.name), "id": "0", "package": "shrimpy", "hostname": "localhost",
                                              "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()), **counts})
    properties = xml.SubElement(suite, "properties")
    for name, value in (("status", marks.status), ("points", _number(marks.points)), ("max_points", _number(marks.most))):
        xml.SubElement(properties, "property", {"name": name, "value": value})
    for case in marks.cases:
        element = xml.SubElement(suite, "testcase", {"classname": f"shrimpy.{case.scenario}", "name": case.rule, "time": "0"})
        if case.status == FAILED:
            xml.SubElement(element, "failure", {"type": case.kind, "message": _in_xml(case.line)}).text = _in_xml(case.details)
        elif case.status == SKIPPED:
            xml.SubElement(element, "skipped", {"message": _in_xml(case.line)})
        elif case.status == WARNED:
            xml.SubElement(element, "system-out").text = _in_xml(case.details)
    xml.SubElement(suite, "system-out").text = _in_xml("".join(f"== {name}\n{said}\n" for name, said in marks.console))
    xml.SubElement(suite, "system-err").text = _in_xml(marks.build_log)
    return top


def gradescope(marks: Marks) -> dict[str, object]:
    """results.json of Gradescope's autograders (their specification, "Output format"). What is more is in extra_data."""
    tests = [{"name": f"{one.rule}: {one.statement}", "number": str(number), "score": one.points, "max_score": one.most,
              "status": "passed" if one.passed else "failed", "output": one.output[:_MOST_OUTPUT], "output_format": "text",
              "visibility": "visible"} for number, one in enumerate(marks.marks, 1)]
    return {"score": marks.points, "execution_time": round(marks.seconds), "output": f"{marks.status}: {marks.line}",
            "output_format": "text", "visibility": "visible", "stdout_visibility": "hidden", "tests": tests,
            "extra_data": {"status": marks.status, "line": marks.line, "max_score": marks.most, "failed": list(marks.failed),
                           "seconds": round(marks.seconds, 1), "warned": list(marks.warned),
                           "causes": [{**asdict(one), "text": one.text[:_MOST_OUTPUT], "traced": one.traced and encode(one.traced)}
                                      for one in marks.causes]}}


def _in_xml(said: str) -> str:
    return _NOT_XML.sub("\ufffd", said[-_MOST_OUTPUT:])


def _number(value: float) -> str:
    return f"{value:g}"

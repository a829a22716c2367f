"""The folder that a marker gets: marks as text, JUnit XML and Gradescope's results.json, and what they were made from."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
import time
import xml.etree.ElementTree as xml
from pathlib import Path

from . import Trouble, figures, printable
from .marking import FAILED, PASSED, SKIPPED, Marks

TEXT, JUNIT, GRADESCOPE, SNAPSHOT = "results.txt", "results.xml", "results.json", "snapshot.json"
FAULT, CONSOLE, BUILD = "fault", "console.log", "build.log"
_OURS = {TEXT, JUNIT, GRADESCOPE, SNAPSHOT, f"{FAULT}.svg", f"{FAULT}.png", CONSOLE, BUILD}
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2
_MOST_OUTPUT = 20_000  # characters of one text in a report


def claim(folder: Path) -> None:
    """Raises Trouble where write() could not put its folder, so that it is known before the work is done."""
    if folder.is_symlink() or folder.exists() and not folder.is_dir():
        raise Trouble(f"OUT={folder} is there and is no folder")
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in _OURS) if folder.is_dir() else []
    if foreign:
        raise Trouble(f"OUT={folder} holds {foreign[0]}, which is not of a check: name a folder that is new, or one of an "
                      "earlier check")
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
    old = new.with_name(new.name + ".old")
    try:
        _fill(new, marks)
        new.chmod(0o755)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    except OSError as error:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise Trouble(f"OUT={folder} cannot be written: {error.strerror}") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _fill(folder: Path, marks: Marks) -> None:
    notes = list(marks.notes)
    if marks.snapshot:
        (folder / SNAPSHOT).write_text(marks.snapshot.to_json())
        if any(case.status == FAILED and case.kind == "rule" for case in marks.cases):
            try:
                figures.draw(FAULT, folder / SNAPSHOT, folder=folder, formats=("svg", "png"))
            except Trouble as trouble:
                notes.append(f"no fault diagram: {trouble}")
    else:
        notes.append("no snapshot: there was nothing to take one of")
    (folder / CONSOLE).write_text("".join(f"== {name}\n{said}\n" for name, said in marks.console), errors="replace")
    (folder / BUILD).write_text(marks.build_log, errors="replace")
    (folder / TEXT).write_text(text(marks, notes))
    (folder / GRADESCOPE).write_text(json.dumps(gradescope(marks), indent=1) + "\n")
    xml.ElementTree(junit(marks)).write(folder / JUNIT, encoding="utf-8", xml_declaration=True)


def text(marks: Marks, notes: list[str]) -> str:
    """For a person."""
    lines = [f"{marks.name}: {marks.status}, {_number(marks.points)} of {_number(marks.most)} points", marks.line, ""]
    lines += [f"note: {printable(note)}" for note in notes]
    lines += [f"{'':6} {'POINTS':>9}  RULE"]
    for one in marks.marks:
        verdict = "pass" if one.passed else "-" if one.output.startswith("not judged") else "FAIL"
        about = one.statement if verdict != "-" else one.output.splitlines()[0]
        lines.append(f"{verdict:6} {_number(one.points):>4}/{_number(one.most):<4}  {one.rule:18} {about}")
    for rule in marks.failed:
        first, *others = [case for case in marks.cases if case.rule == rule and case.status == FAILED]
        lines += ["", f"{rule}, in {first.scenario}:", first.details.rstrip()]
        lines += [f"{rule}, in {case.scenario}: {case.line}" for case in others]
    if marks.snapshot:
        lines += ["", f"{SNAPSHOT} is of the stop that tells most: {printable(marks.stopped)}"]
    return "\n".join(lines) + "\n"


def junit(marks: Marks) -> xml.Element:
    """JUnit's report: what Ant's and Jenkins' schemas ask for. One suite; the class of a case is its scenario."""
    count = {status: str(sum(case.status == status for case in marks.cases)) for status in (PASSED, FAILED, SKIPPED)}
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
    xml.SubElement(suite, "system-out").text = _in_xml("".join(f"== {name}\n{said}\n" for name, said in marks.console))
    xml.SubElement(suite, "system-err").text = _in_xml(marks.build_log)
    return top


def gradescope(marks: Marks) -> dict[str, object]:
    """results.json of Gradescope's autograders (their specification, "Output format")."""
    tests = [{"name": f"{one.rule}: {one.statement}", "number": str(number), "score": one.points, "max_score": one.most,
              "status": "passed" if one.passed else "failed", "output": one.output[:_MOST_OUTPUT], "output_format": "text",
              "visibility": "visible"} for number, one in enumerate(marks.marks, 1)]
    return {"score": marks.points, "execution_time": round(marks.seconds), "output": f"{marks.status}: {marks.line}",
            "output_format": "text", "visibility": "visible", "stdout_visibility": "hidden", "tests": tests,
            "extra_data": {"status": marks.status, "line": marks.line, "max_score": marks.most, "failed": list(marks.failed),
                           "seconds": round(marks.seconds, 1)}}


def _in_xml(said: str) -> str:
    return _NOT_XML.sub("\ufffd", said[-_MOST_OUTPUT:])


def _number(value: float) -> str:
    return f"{value:g}"

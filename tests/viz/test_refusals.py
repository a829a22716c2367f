"""What viz refuses, in one line each: a golden file has the lines; `make golden` writes it anew."""
from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[2] / "viz"), str(Path(__file__).parent)]

import family_tree as ft                                            # noqa: E402
import films                                                        # noqa: E402
from drawing import cli                             # noqa: E402


def without(*pages: str) -> ft.Family:
    made = ft.demo()
    made.json["layout"].update(dict.fromkeys(pages))
    return made


def zombie() -> ft.Family:
    made = ft.programs()
    made.process(4).update(root=None, tables=[], mappings=[], state="ZOMBIE")
    return made


def crowd() -> ft.Family:
    made = ft.Family().add(1, None, "init")
    for pid in range(2, 12):
        made.add(pid, 1)
    return made


def other(**layout: str) -> ft.Family:
    made = ft.programs()
    made.json["layout"].update(layout)
    made.json["kernel"] = made.json["kernel"] if layout else "other/kernel"
    return made


DOCUMENTS = {
    "empty": "", "other": json.dumps({"schema": "other", "version": 1}), "newer": json.dumps({**ft.demo().json, "version": 2}),
    "demo": ft.demo().text(), "programs": ft.programs().text(), "nobody": ft.Family().text(), "crowd": crowd().text(),
    "zombie": zombie().text(), "no-fry": without("fry").text(), "no-shrimp": without("shrimp").text(), "neither": without("fry", "shrimp").text(),
    "kernel": other().text(), "machine": other(ram_end="0x90000000").text(), "film": films.text(),
    "no-table": json.dumps({**ft.demo().json, "kernel_table": {"root": None, "tables": [], "mappings": [], "findings": []}}),
    "no-steps": json.dumps({**films.film(), "steps": []})}

REFUSED = [
    "family empty", "family other", "family newer", "family film", "family nothing", "family no-fry", "family no-shrimp", "family neither",
    "family demo --pids 3,x", "family demo --pids 3,99", "family crowd --pids 1,2,3,4,5,6,7,8,9", "family demo -o a.gif", "family demo -o svg",
    "family demo -o a.html", "family demo -o no/a.svg", "family", "table demo --pid 1 --kernel", "table no-table --kernel",
    "address-space demo --pid 99", "address-space nobody", "walk programs --va pudding", "walk programs --va 0x8000000000",
    "walk programs --va 1 --va 2 --va 3 --va 4", "walk zombie --va 4:0x1000", "walk no-shrimp --va 1:shrimp", "walk demo --va x:fry", "walk demo --va 99:fry",
    "diff programs", "diff programs kernel", "diff programs machine", "diff - -", "film no-steps", "film demo", "film film --steps 13",
    "film film --steps 1,x", "film film -o a.txt", "all demo --pid 3,99", "all demo --film nothing", "all demo -o demo"]


def test_lines_are_as_the_golden_file_has_them(golden, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    for name, text in DOCUMENTS.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    lines = []
    for command in REFUSED:
        try:
            status: object = cli.main(command.split())
        except SystemExit as e:         # argparse's way out
            status = e.code
        out, err = capsys.readouterr()
        assert (status, out, err.count("\n")) == (2, "", 1), command
        lines.append(f"{command}\n    {err.replace(str(tmp_path), 'HERE')}")
    assert {path.name for path in tmp_path.iterdir()} == set(DOCUMENTS)
    golden("refusals.txt", "".join(lines))

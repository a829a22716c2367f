"""From a failed verdict to the line that is wrong."""

from __future__ import annotations

import json
from pathlib import Path

from lab.kernels import variant
from lab.replay import recording

MISTAKE = Path(__file__).resolve().parent.parent / "zoo" / "two-frames.patch"


def functions(store: dict) -> list[str]:
    return [call["function"] for call in store["calls"]]


def test_a_failure_leads_to_the_field_and_the_entry_that_are_wrong(ask, tmp_path):
    made = recording.record(variant.build("two-frames", [MISTAKE]), tmp_path / "made", "ls")
    said = ask("xv6-why", "xv6-goto END", "xv6-why", "shrimp-check", "xv6-why", "xv6-why -json", "xv6-why -json proc[1].shrimp",
               "stepi", "xv6-when", on=made)
    assert "or a shrimp-check that failed at this stop" in said[0] and said[2] == said[0]
    told = json.loads(said[5])
    assert told["rule"] == "shrimp-pair" and "pid 2 (sh)" in told["subject"]
    field, entry = told["origins"]
    assert functions(entry)[:3] == ["mappages", "proc_pagetable", "exec"]
    assert (field["label"], functions(field)[:2], field["system_call"]) == ("shrimp", ["sharefry", "fork"], "fork()")
    assert functions(json.loads(said[6])["stores"][0]) == functions(field)
    assert f"instruction {field['instruction']:,}: " in said[4] and "sharefry" in said[4]

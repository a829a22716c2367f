"""Sourced by GDB: judge() prints, as JSON behind @@, the verdicts about this stop, and every hart's registers."""

import json

import gdb
from shrimpy import rules
from shrimpy.session import session

_last = None


def _harts():
    """[pc, privilege] of each hart, by GDB alone."""
    selected = gdb.selected_thread()
    found = []
    for thread in sorted(gdb.selected_inferior().threads(), key=lambda t: t.num):
        thread.switch()
        frame = gdb.newest_frame()
        found.append([int(frame.read_register(name)) & (1 << 64) - 1 for name in ("pc", "priv")])
    selected.switch()
    return found


def judge():
    """Also against the snapshot of the last stop: what was not yet there then must not count as changed."""
    global _last
    snapshot = session.snapshot()
    verdicts = rules.evaluate(snapshot)
    compared = rules.evaluate(snapshot, _last) if _last else []
    _last = snapshot
    print("@@" + json.dumps({
        "function": snapshot.stop.function, "privilege": snapshot.stop.privilege, "n": len(snapshot.processes),
        "fail": [repr(v) for v in verdicts + compared if v.status == "fail"],
        "pass": sum(v.status == "pass" for v in verdicts),
        "skipped": [(v.rule, v.subject, v.why) for v in verdicts if v.status == "skipped"],
        "harts": _harts()}))

"""Which machines of a checkout run, by their notes."""

from __future__ import annotations

import json
import os
import subprocess

from shrimpy.live.machines import running


def note(folder, name: str, pid: int, kernel: str = "/a/kernel", age: int = 0) -> None:
    path = folder / f"{os.getuid()}-{name}.json"
    path.write_text(json.dumps({"pid": pid, "started": "1", "kernel": kernel, "gdb": f"/{name}.sock", "qmp": "", "ram": ""}))
    os.utime(path, (1000 - age, 1000 - age))


def test_the_loaded_kernels_machine_comes_first_then_the_newest(tmp_path):
    for name, kernel, age in (("old", "/a/kernel", 9), ("new", "/a/kernel", 1), ("mine", "/b/kernel", 5)):
        note(tmp_path, name, os.getpid(), kernel, age)
    assert [one.gdb for one in running(tmp_path)] == ["/new.sock", "/mine.sock", "/old.sock"]
    assert [one.gdb for one in running(tmp_path, "/b/kernel")] == ["/mine.sock", "/new.sock", "/old.sock"]


def test_what_has_gone_or_is_no_note_is_left_out(tmp_path):
    gone = subprocess.Popen(["true"])
    gone.wait()
    note(tmp_path, "gone", gone.pid)
    (tmp_path / f"{os.getuid()}-broken.json").write_text('{"kernel": 3')
    (tmp_path / f"{os.getuid()}-other.json").write_text("[]")
    (tmp_path / "1-not-mine.json").write_text("{}")
    assert running(tmp_path) == running(tmp_path / "nosuch") == []

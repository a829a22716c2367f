"""The machine that records a run: no key is lost."""

from __future__ import annotations

from pathlib import Path

from lab.kernels import variant
from lab.replay import recording

HERE = Path(__file__).resolve().parent
SAID = " ".join(f"word{n}" for n in range(12))
LINE = f"echo {SAID}"   # several times what the UART has room for


def test_no_key_is_lost_where_none_is_echoed(tmp_path):
    def run(machine):
        machine.boot().type(LINE + "\n")
        assert machine.wait_for("word0.*\n")[0] == SAID + "\n"
        return LINE, None
    recording.of_run(variant.build("no-echo", [HERE / "no-echo.patch"]), tmp_path, run)

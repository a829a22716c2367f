"""What VS Code needs to debug a kernel: launch.json, tasks.json and extensions.json of a folder's .vscode, and a debug adapter.

What they mean is VS Code's documentation ("Debugging", "Tasks"), of cpptools ("launch.json reference") and of GDB ("Debugger
Adapter Protocol"). What breaks there in practice is in docs/editors.md.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .. import ROOT
from ..machines import debugger

FOLDER, ADAPTER = ".vscode", "shrimpy-gdb"
MACHINE, STOP, CHECK, FILM, LIVE = (f"shrimpy: {what}" for what in ("machine", "stop the machine", "check", "film", "live"))
OLDEST_DAP = (15, 2)    # that the extension gdb-dap takes; GDB has the protocol since 14
_PORTS = range(20_000, 32_000)  # below those that systems give out (ip(7), ip_local_port_range)
_LISTENS = "waits? for GDB: `target remote"
_WRITTEN = {"regexp": r"^ +written +(\S+):(\d+) (in .*)$", "file": 1, "line": 2, "message": 3}


@dataclass(frozen=True)
class Place:
    """What is debugged, and with what.

    tree     the folder that is opened
    sources  the kernel's in it; built: where they are built, which may be a copy
    kernel   as KERNEL= takes it; "" for ours
    elf      the kernel's ELF file
    gdb      the path of GDB; version: its first two numbers
    port     where the machine listens, on 127.0.0.1
    """

    tree: Path
    sources: Path
    built: Path
    kernel: str
    elf: Path
    gdb: str
    version: tuple[int, int]
    port: int


def files_of(place: Place) -> dict[str, str]:
    """The files of the folder .vscode, by name."""
    found = {name: json.dumps(content, indent=2) + "\n" for name, content in (
        ("launch.json", _launch(place)), ("tasks.json", _tasks(place)), ("extensions.json", _extensions(place)))}
    return {**found, ADAPTER: _adapter(place)} if place.version >= OLDEST_DAP else found


def usual_port(tree: Path) -> int:
    """The same for the same user and folder, and hardly ever that of others."""
    digest = hashlib.sha256(f"{os.getuid()} {tree}".encode(errors="surrogateescape")).digest()
    return _PORTS[int.from_bytes(digest[:4], "big") % len(_PORTS)]


def gdb_version(gdb: str) -> tuple[int, int]:
    """The first two numbers of a GDB's version; (0, 0) where it does not say."""
    said = subprocess.run([gdb, "--version"], stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    found = re.search(r"(\d+)\.(\d+)\S*$", said.partition("\n")[0])
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _launch(place: Place) -> dict[str, Any]:
    # No targetArchitecture: cpptools knows no RISC-V, and takes what GDB says.
    common = {"preLaunchTask": MACHINE, "postDebugTask": STOP, "program": str(place.elf)}
    mi = {"name": "xv6 with Shrimpy", "type": "cppdbg", "request": "launch", **common, "cwd": str(place.tree), "MIMode": "gdb",
          "miDebuggerPath": place.gdb, "miDebuggerArgs": "-nx", "miDebuggerServerAddress": f"127.0.0.1:{place.port}",
          "stopAtConnect": True, "setupCommands": [{"text": command, "ignoreFailures": False} for command in _commands(place)]}
    dap = {"name": "xv6 with Shrimpy (GDB's DAP)", "type": "gdb-dap", "request": "attach", **common, "target": f"127.0.0.1:{place.port}"}
    return {"version": "0.2.0", "configurations": [mi, *([dap] if place.version >= OLDEST_DAP else [])]}


def _commands(place: Place) -> list[str]:
    """What GDB is told before it has the kernel. With another idea of the system `si` would step over ecall."""
    moved = [f'set substitute-path "{place.built}" "{place.sources}"'] if place.built != place.sources else []
    return ["set osabi none", "set architecture riscv:rv64", *moved, f"source {debugger.KIT}"]


def _adapter(place: Place) -> str:
    """A program that is GDB set up: as a debug adapter GDB has no set-up commands."""
    words = [place.gdb, "-nx", *(word for command in _commands(place) for word in ("-ex", command))]
    return f"#!/bin/sh\n# GDB with the kit, for editors: {ADAPTER} -i dap\nexec {shlex.join(words)} \"$@\"\n"


def _tasks(place: Place) -> dict[str, Any]:
    kernel = ["--kernel", place.kernel] if place.kernel else []
    # Markers of the severity error, of whatever origin, are all by which VS Code knows that a task in the background has failed.
    trouble = {"owner": "shrimpy machine", "source": "shrimpy", "severity": "error", "fileLocation": ["relative", str(ROOT / "scripts")],
               "pattern": {"kind": "file", "regexp": "^(launch): (.*)$", "file": 1, "message": 2},
               "background": {"activeOnStart": True, "beginsPattern": "^shrimpy: nothing$", "endsPattern": _LISTENS}}
    in_sources = {"source": "shrimpy", "fileLocation": ["autoDetect", str(place.sources)]}
    compiler = {**in_sources, "owner": "shrimpy build", "pattern": _unbuilt(place)}
    written = {**in_sources, "owner": "shrimpy check", "severity": "warning", "pattern": _WRITTEN}
    machine = {**_task(MACHINE, "launch", *kernel, "--gdb", "--gdb-port", str(place.port)), "isBackground": True,
               "problemMatcher": [compiler, trouble]}
    # Not VS Code's own command that terminates a task: where that has ended already, it asks which other one to terminate.
    stop = {**_task(STOP, "launch", "--end", "--gdb-port", str(place.port)), "problemMatcher": [],
            "presentation": {"reveal": "never", "close": True}}
    check = {**_task(CHECK, "check", *kernel), "problemMatcher": [written, compiler], "group": "test"}
    film = {**_task(FILM, "film", *kernel), "problemMatcher": [compiler]}
    live = {**_task(LIVE, "live", *kernel), "isBackground": True, "problemMatcher": [compiler]}
    return {"version": "2.0.0", "tasks": [machine, stop, check, film, live]}


def _unbuilt(place: Place) -> dict[str, Any]:
    """Of how a kernel that does not build is told of: its first error, and the last lines of GCC and ld, which names files of a copy."""
    copy = re.escape(f"{place.built}/")
    return {"regexp": rf"^(?:  \| |\w+: [^:]*: )(?:{copy})?([^:]+):(\d+):(?:(\d+):)? (?:(?:fatal )?(error|warning): |(?=undefined ))(.*)$",
            "file": 1, "line": 2, "column": 3, "severity": 4, "message": 5}


def _task(label: str, command: str, *words: str) -> dict[str, Any]:
    return {"label": label, "type": "process", "command": str(ROOT / "scripts" / command), "args": list(words)}


def _extensions(place: Place) -> dict[str, Any]:
    return {"recommendations": ["ms-vscode.cpptools", *(["OlegTolmatcev.gdb-dap"] if place.version >= OLDEST_DAP else [])]}

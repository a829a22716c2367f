#!/usr/bin/python3
"""Stands for QEMU when a tree's own `make qemu` runs: tells whether the shell answers, and ends the machine.

Not imported: it is copied to the front of a PATH under QEMU's name, and runs in the sandbox. It runs the QEMU that
OWN_QEMU names with the options it was given, types a line whenever the machine is quiet until the shell has carried it
out, and writes what came of it to OWN_QEMU_TOLD, as JSON: "answers" (bool), "said" (all that the machine printed).
"""

import json
import os
import select
import subprocess
import sys
import time

LINE, ANSWER = b"echo here   I    am\n", b"here I am"  # the blanks tell the answer from the line, which is echoed
QUIET_S = 2.0
MOST_CPU_S, MOST_S = 90.0, 600.0  # of QEMU; a machine that waits for a CPU is given the time
MOST_SAID = 1 << 20  # bytes


def cpu_s(pid):
    """Seconds of CPU time that a process has had."""
    with open(f"/proc/{pid}/stat") as stat:
        fields = stat.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def asked(qemu):
    """What the machine prints until its shell answers, or it has had its time, or it is quiet after a panic."""
    said, start = bytearray(), time.monotonic()
    while ANSWER not in said and len(said) < MOST_SAID and cpu_s(qemu.pid) < MOST_CPU_S and time.monotonic() - start < MOST_S:
        if select.select([qemu.stdout], [], [], QUIET_S)[0]:
            data = os.read(qemu.stdout.fileno(), 65536)
            if not data:
                break
            said += data.replace(b"\r", b"")
        elif b"panic" in said.lower():
            break
        else:
            try:
                os.write(qemu.stdin.fileno(), LINE)
            except BrokenPipeError:
                break
    return bytes(said)


def main():
    options = sys.argv[1:]
    if not {"-kernel", "-bios"} & set(options):  # a Makefile asks for its version, or what it can
        os.execv(os.environ["OWN_QEMU"], [os.environ["OWN_QEMU"], *options])
    if "-nographic" not in options:  # there is no display here
        options += ["-display", "none"] + ([] if "-serial" in options else ["-serial", "stdio"])
    qemu = subprocess.Popen([os.environ["OWN_QEMU"], *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    try:
        said = asked(qemu)
    finally:
        qemu.kill()
        qemu.wait()
    with open(os.environ["OWN_QEMU_TOLD"], "w") as told:
        json.dump({"answers": ANSWER in said, "said": said.decode("utf-8", "replace")}, told)


main()

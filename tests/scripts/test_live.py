"""A machine that runs, on a page in a real browser; and the same machine stopped by GDB. One boot for all of it."""
from __future__ import annotations

import dataclasses
import itertools
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic
from types import SimpleNamespace
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / "viz")]

import browsing                                     # noqa: E402
from browsing import Chromium                       # noqa: E402
from lab import ROOT                                # noqa: E402
from lab.kernels import variant                     # noqa: E402
from lab.machines import debugger, rundir, scene    # noqa: E402
from lab.machines.known import known                # noqa: E402
from lab.machines.machine import Machine            # noqa: E402
from lab.pictures import watching                   # noqa: E402
from lab.pictures.watching import Board, Watcher, encoded       # noqa: E402
from shrimpy.kernel import Kernel                   # noqa: E402
from shrimpy.memory.readers import RamFileReader    # noqa: E402

from drawing.page.parts import lamp                 # noqa: E402

SAYS = "document.getElementById('line').textContent"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Any]:
    with browsing.chromium(tmp_path / "profile") as driver:
        yield driver


def n_processes(page: Chromium) -> int:
    return page.js("return document.querySelectorAll('#processes button').length")


def test_a_machine_is_followed_paused_left_alone_and_survived(browser: Any, machine: Callable[..., Machine], monkeypatch, tmp_path: Path):
    monkeypatch.setenv("SHRIMPY_RUN", str(tmp_path / "run"))
    one = machine(3)
    with watching.page(one.note(), False) as url:
        one.publish(url)
        [note] = (tmp_path / "run").iterdir()
        assert json.loads(note.read_text())["live"] == url and note.stat().st_mode & 0o77 == 0
        assert rundir.find().live == url
        page = Chromium(browser, url).open(width=1280, height=800)
        page.until("document.querySelectorAll('#processes button').length === 2")
        page.until(f"{SAYS} === 'Running: not exact.'")
        scene.play(one)
        page.until("document.querySelectorAll('#processes button').length > 2")
        page.until("document.getElementById('lamp').className === 'pass'")
        page.until("document.querySelector('svg .glow') || document.getElementById('time').max > 0")
        paused(page, one)
        stopped_by_gdb(page, one)
        seen_at_once(page, one, monkeypatch)
        seen = n_processes(page)
        one.stop()
        page.until(f"{SAYS}.startsWith('The machine has ended')")
        assert n_processes(page) == seen, "what was seen last stays"
    assert [line for line in page.log("browser") if "ERR_" not in line["message"]] == []     # but that the server has gone
    assert {asked.rpartition("/")[0] for asked in page.asked()} == {url.rstrip("/")}


def paused(page: Chromium, one: Machine) -> None:
    page.click("#pause")
    page.until(f"{SAYS} === 'Paused: exact.'")
    assert one.monitor("info status").strip().startswith("VM status: paused")
    page.click("#pause")
    page.until(f"{SAYS} === 'Running: not exact.'")
    assert "running" in one.monitor("info status")


def seen_at_once(page: Chromium, one: Machine, monkeypatch) -> None:
    """That it stops and goes on is seen because QEMU tells it: the next look would come in an hour."""
    with monkeypatch.context() as patience:
        patience.setattr(watching, "_PERIOD_S", 3600.0)
        one.monitor("stop")
        page.until(f"{SAYS} === 'Stopped by a debugger: exact.'")
        one.monitor("cont")
        page.until(f"{SAYS} === 'Running: not exact.'")


def stopped_by_gdb(page: Chromium, one: Machine) -> None:
    """Both: the page that reads beside the machine sees GDB's stop, and shrimp-live has a page of its own."""
    with debugger.Session(one.kernel.elf, one.gdb_target) as gdb:
        page.until(f"{SAYS} === 'Stopped by a debugger: exact.'")
        assert page.js("return document.getElementById('pause').hidden"), "the machine is GDB's"
        url = re.search(r"http\S+", gdb.ask("shrimp-live"))[0]
        told = "python from shrimpy.commands import live; print('told', live._page.n_told)"
        assert "told 0" in gdb.ask("stepi", "stepi", told), "nothing is read at a stop while no page is open"
        window, before = page.driver.current_window_handle, page.url
        page.driver.switch_to.new_window("tab")
        page.url = url
        page.open()
        page.until("document.querySelectorAll('#processes button').length > 2")
        one.send("echo")
        gdb.ask("shrimp-step")
        page.until("document.querySelector('#step h2')?.textContent.includes('fork')")
        first = page.js("return document.querySelector('#step h2').textContent")
        gdb.ask("shrimp-step")
        page.until(f"document.querySelector('#step h2').textContent !== {json.dumps(first)}")
        gdb.ask("shrimp-live -off")
        page.until(f"{SAYS}.startsWith('shrimp-live has ended')")
        page.driver.close()
        page.driver.switch_to.window(window)
        page.url = before
    page.until(f"{SAYS} === 'Running: not exact.'")


def test_make_live_boots_with_a_page_and_then_finds_it_again(tmp_path: Path):
    environment = {**os.environ, "SHRIMPY_RUN": str(tmp_path)}

    def live(**how: Any) -> subprocess.Popen[str]:
        return subprocess.Popen([ROOT / "scripts" / "live"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, **how)

    def url(one: subprocess.Popen[str]) -> str:
        return next(found[0] for line in one.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+/\S+/", line)))
    with live(stdin=subprocess.PIPE) as machine:
        address = url(machine)
        assert b'<body class="live">' in urllib.request.urlopen(address).read()
        next(line for line in machine.stdout if "Ctrl-A X ends it" in line)
        with live() as again:
            assert url(again) == address
        assert again.returncode == 0
        machine.stdin.write("\x01x")
        machine.stdin.close()
        for _ in machine.stdout:
            pass
    assert machine.returncode == 0 and not list(tmp_path.glob("*.json"))


def test_another_kernel_is_said_and_nothing_is_shown_of_it(machine: Callable[..., Machine], tmp_path: Path):
    one = machine(1, boot=False, paused=True)
    other = tmp_path / "kernel"
    other.write_bytes(one.kernel.elf.read_bytes().replace(one.ram.code(0x80000000, 64), os.urandom(64), 1))
    note = dataclasses.replace(one.note(), kernel=str(other))
    assert watching._runs(one.note(), one.ram) and not watching._runs(note, one.ram)


def test_what_a_machine_prints_for_a_night_does_not_fill_the_memory_that_its_file_is_in(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(watching, "_MOST_PRINTED", 10_000)
    board, printed = Board(), tmp_path / "console"
    watcher: Any = SimpleNamespace(_note=SimpleNamespace(ram=str(tmp_path / "ram")), _board=board, _printed=b"")
    largest = 0
    for n in range(1000):
        with printed.open("ab") as file:
            file.write(b"line %d\n" % n * 10)
        Watcher._console(watcher)
        largest = max(largest, printed.stat().st_size)
        assert json.loads(board.newest.parts["console"]) == [f"line {n - 1}"] * 6 * (n > 0) + [f"line {n}"] * 10
    assert largest < 11_000


STORM_PICTURES = int(os.environ.get("STORM_PICTURES", "100000"))


@pytest.mark.soak
@pytest.mark.limit(4 * 3600)
def test_a_storm_on_8_harts_is_never_called_a_failure_and_nothing_grows(machine: Callable[..., Machine], monkeypatch):
    watch_a_storm(machine, monkeypatch, STORM_PICTURES)


def watch_a_storm(machine: Callable[..., Machine], monkeypatch, n_pictures: int) -> None:
    """Judges n pictures that agreed twice and are new, of processes that fork, exit and wait on 8 harts; counts what is kept. It rests
    until another pid was given, and of ten pictures draws one: what is judged is the same. A picture costs 12 ms, half of it with little
    memory of what it does with 128 MiB, whose every frame is looked at."""
    drawn, turns = watching.Scribe.parts, itertools.count()
    monkeypatch.setattr(watching.Scribe, "parts", lambda scribe, index, *more: drawn(scribe, index, *more) if next(turns) % 10 == 0
                        else {"now": "{}", "lamp": encoded(lamp(index))})
    one = machine(8, kernel=variant.build("storm", variables=["MEM=16"], programs=sorted((ROOT / "tests/gdb/programs").glob("*.c"))))
    with debugger.Session(one.kernel.elf) as gdb:
        of_kernel = known(gdb)
    one.send("storm 2 &")
    one.wait_for("storm: ready\n")
    monkeypatch.setattr(Watcher, "_rest", until_it_has_forked(one, of_kernel.info))
    board, lamps, sizes, began = Board(), set(), [], monotonic()

    def posted(told: dict[str, str], *seen: Any, post: Callable[..., None] = board.post) -> None:
        lamps.update([json.loads(told["lamp"])["state"]] if "lamp" in told else [])
        post(told, *seen)
    monkeypatch.setattr(board, "post", posted)
    with board, Watcher(one.note(), of_kernel, board) as watcher:
        while watcher.n_judged < n_pictures and not watcher.ended.wait(1):
            one.check()
            if watcher.n_judged >= n_pictures // 10:     # after that nothing is to grow
                sizes.append((sys.getallocatedblocks(), board.n_states))
    assert watcher.n_judged >= n_pictures, board.newest.parts.get("line")
    assert "pass" in lamps and "fail" not in lamps
    blocks = [n for n, _ in sizes]
    first, second = blocks[:len(blocks) // 2], blocks[len(blocks) // 2:]
    assert first and max(second) < 1.5 * max(first), f"memory grows: {blocks}"
    print(f"{watcher.n_looks} looks in {monotonic() - began:.0f} s, {watcher.n_judged} pictures that agreed and were new judged; "
          f"{min(blocks)} to {max(blocks)} blocks of memory, at most {max(n for _, n in sizes)} states kept")


def until_it_has_forked(one: Machine, info: Any) -> Callable[[Watcher, float], None]:
    """For Watcher._rest: returns when a pid was given since the last time."""
    kernel = Kernel(RamFileReader(str(one.ram_file)), info)
    last: list[int | None] = [None]

    def rest(watcher: Watcher, _: float) -> None:
        while kernel.next_pid() == last[0] and not watcher._over.wait(0.001):
            pass
        last[0] = kernel.next_pid()
    return rest

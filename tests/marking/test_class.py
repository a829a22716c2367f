"""A class: good and bad, side by side."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import xml.etree.ElementTree as xml
import zipfile
from pathlib import Path

import pytest

from lab import TREES, Trouble
from lab.kernels.tree import copy_of
from lab.marks import classes, cores

import trees

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.limit(300)


def check_class(*words: object, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run([str(ROOT / "scripts/check-class"), *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, env={**os.environ, **environment})


def rows(out: Path) -> dict[str, dict[str, str]]:
    with (out / "marks.csv").open(newline="") as file:
        return {row["submission"]: row for row in csv.DictReader(file)}


def jobs(out: Path) -> int:
    return len((out / "jobs.tsv").read_text().splitlines()) - 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Five submissions, and what is none."""
    folder = tmp_path_factory.mktemp("hand-ins") / "lab 1"
    folder.mkdir()
    trees.imitate(folder / "good, O'Brien", makefile=trees.LISTED)
    trees.imitate(folder / "wrong", patches=["zoo/two-frames.patch"], counted=False, programs="init sh")
    trees.imitate(folder / "broken", [("kernel/vm.c", r"\Z", "int broken(void) { return no_such_thing; }\n")], makefile=trees.LISTED, tiny=True)
    trees.imitate(folder / "hangs", [*_HANGS, ("kernel/param.h", r"(#define NCPU) \d+", r"\1 1")], programs="init sh")
    hostile = trees.imitate(folder / "hostile/a folder in it", [("kernel/main.c", r"scheduler\(\);", 'panic("out of luck");')],
                            programs="init sh")
    with (hostile / "Makefile").open("a") as makefile:
        makefile.write(_HOSTILE.replace("FOLDER", str(folder).replace(" ", "\\ ")).replace("SECONDS", _SECONDS))
    (folder / "__MACOSX").mkdir()
    (folder / "grades.txt").write_text("")
    return folder


# Looks at another's files, writes in them, calls out, bombs, and leaves somebody behind; all of it when the file is read.
_HOSTILE = r"""
STOLEN := $(shell cat FOLDER/wrong/kernel/proc.c /etc/passwd >stolen.c; echo >FOLDER/wrong/kernel/proc.c; \
	touch FOLDER/written; (sleep SECONDS &) >/dev/null 2>&1)
"""
_SECONDS = str(300 + os.getpid())   # another run's are not ours


@pytest.fixture(scope="module")
def marked(folder: Path, tmp_path_factory) -> tuple[Path, subprocess.CompletedProcess]:
    out = tmp_path_factory.mktemp("marks") / "of lab 1"
    return out, check_class(folder, "--out", out, "--jobs", 2, SHRIMPY_LIMIT="4")


def test_each_has_what_it_deserves(marked):
    out, done = marked
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"5 submissions, 0 of them not checked: {out}/marks.csv\n"
    told = rows(out)
    assert {name: row["status"] for name, row in told.items()} == {
        "good, O'Brien": "pass", "wrong": "fail", "broken": "does not build", "hangs": "hangs", "hostile": "panics"}, [
            (name, row["first_line"], row["failed"], (out / name / "results.txt").read_text()[:2000]) for name, row in told.items()]
    assert told["wrong"]["failed"].split() == ["shrimp-pair", "shrimp-siblings", "specification"]
    assert told["hostile"]["first_line"] == "the kernel panicked: out of luck"
    assert "no_such_thing" in told["broken"]["first_line"] and "first prompt" in told["hangs"]["first_line"]
    assert {row["max_points"] for row in told.values()} == {told["wrong"]["max_points"]}
    assert [float(told[name]["points"]) for name in ("broken", "hangs", "hostile")] == [0, 0, 0]
    assert 0 < float(told["wrong"]["points"]) < float(told["good, O'Brien"]["points"]) == float(told["wrong"]["max_points"])


def test_each_has_its_folder(marked):
    out, _ = marked
    always = {"results.txt", "results.xml", "results.json", "console.log", "build.log"}
    for name, row in rows(out).items():
        names = {path.name for path in (out / name).iterdir()}
        assert names >= always | (set() if row["status"] == "does not build" else {"snapshot.json"}), name
        told = json.loads((out / name / "results.json").read_text())
        assert f"{told['score']:g}" == row["points"]
        assert xml.parse(out / name / "results.xml").getroot().tag == "testsuites"
    assert {"fault.svg", "fault.png", "fault.pdf", "fault.dot"} <= {path.name for path in (out / "wrong").iterdir()}
    assert (out / "wrong/fault.svg").read_text().count("shrimp-pair") and not list((out / "good, O'Brien").glob("fault.*"))
    assert "panic: out of luck" in (out / "hostile/console.log").read_text()
    assert "error:" in (out / "broken/build.log").read_text()


def test_each_has_a_page_and_a_text_to_mail(marked):
    out, _ = marked
    for name, row in rows(out).items():
        page, mail = ((out / name / file).read_text() for file in ("page.html", "mail.txt"))
        assert f"<b>{row['status']}</b>" in page and name.split()[0] in mail, name
    page = (out / "wrong/page.html").read_text()
    assert "data:image/png;base64," in page and "data:image/svg+xml;base64," in page and "ONLY=" in (out / "wrong/mail.txt").read_text()
    assert "panic: out of luck" in (out / "hostile/page.html").read_text()
    summed = (out / "summary.html").read_text()
    assert "5 hand-ins" in summed and 'href="good%2C%20O%27Brien/page.html"' in summed


def test_the_hostile_one_did_no_harm(marked, folder):
    out, _ = marked
    assert not (folder / "written").exists()
    assert len((folder / "wrong/kernel/proc.c").read_text()) > 1000
    assert (out / "hostile/build.log").read_text()
    assert not of_this_class(folder)
    assert not list(TREES.glob("a_folder_in_it-*"))


def of_this_class(folder: Path) -> list[str]:
    """Processes that a class left behind: of the sandbox or QEMU."""
    found = []
    copies = [str(copy_of(path.resolve())) for path in folder.iterdir()] + [f"{TREES}/a_folder_in_it-"]    # other trees may have these names
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().decode(errors="replace")
        except OSError:
            continue
        if any(one in words for one in copies) or f"sleep\0{_SECONDS}\0" in words:
            found.append(words.replace("\0", " "))
    return found


def test_run_again_it_does_what_has_changed(marked, folder):
    out, _ = marked
    before = (out / "good, O'Brien/results.json").stat().st_mtime_ns
    with (folder / "broken/kernel/vm.c").open("a") as file:
        file.write("int more(void) { return another_one; }\n")
    os.utime(folder / "wrong/kernel/proc.c")
    there = sorted(out.iterdir())
    done = check_class(folder, "--out", out, "--dry-run")
    assert done.returncode == 0 and "broken: to be marked: its files have changed\n" in done.stdout, done.stderr
    assert done.stdout.count("has its marks\n") == 4 and sorted(out.iterdir()) == there
    done = check_class(folder, "--out", out, "--jobs", 2, SHRIMPY_LIMIT="4")
    assert done.returncode == 0, done.stderr
    assert jobs(out) == 1 and len(rows(out)) == 5
    assert (out / "good, O'Brien/results.json").stat().st_mtime_ns == before
    done = check_class(folder, "--out", out)
    assert done.returncode == 0 and jobs(out) == 1 and len(rows(out)) == 5


def test_ctrl_c_leaves_nothing_running(tmp_path):
    folder = tmp_path / "hand-ins"
    trees.imitate(folder / "spins-until-stopped", [("kernel/main.c", r"scheduler\(\);", "for(;;);")], programs="init sh")
    running = subprocess.Popen([str(ROOT / "scripts/check-class"), str(folder)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, env={**os.environ, "SHRIMPY_LIMIT": "200"})
    try:
        deadline = time.monotonic() + 120
        while not any("qemu" in words for words in of_this_class(folder)):
            assert running.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
        running.send_signal(signal.SIGINT)
        running.communicate()
        assert running.returncode == 130
    finally:
        running.kill()
    assert not of_this_class(folder)
    out = tmp_path / "hand-ins-marks"
    assert not (out / "marks.csv").exists() and not (out / "spins-until-stopped").exists()


def test_several_machines(tmp_path):
    """By a stand-in for ssh that runs the command as sshd does: in the home, with none of this environment but a SHELL of its own."""
    folder = tmp_path / "hand-ins"
    for name in ("one", "two"):
        trees.imitate(folder / name, [("kernel/vm.c", r"\Z", "int broken(void) { return no_such_thing; }\n")])
        (folder / name / "Makefile").write_text("kernel/kernel fs.img:\n\t@echo kernel/vm.c:1:1: error: not today; false\n")
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\necho \"$1\" >>'{tmp_path}/hosts'\nwhile [ \"$1\" != -- ]; do shift; done; shift; cd '{tmp_path}'\n"
                   'exec env -i HOME="$HOME" PATH="$PATH" SHELL=/bin/sh sh -c "$*"\n')
    ssh.chmod(0o755)
    (tmp_path / "points").write_text("runs 7\n")
    done = check_class(folder, "--sshlogin", "a-machine", "--sshlogin", "another", "--jobs", 1,
                       "--points", os.path.relpath(tmp_path / "points"), PARALLEL_SSH=str(ssh), SHRIMPY_BUILD=str(tmp_path / "build"))
    assert done.returncode == 0, done.stderr
    assert {(row["status"], row["max_points"]) for row in rows(tmp_path / "hand-ins-marks").values()} == {("does not build", "7")}
    assert (tmp_path / "build").is_dir()
    assert set((tmp_path / "hosts").read_text().split()) == {"a-machine", "another"}


_MANY = 200
_BROKEN = [("kernel/vm.c", r"\Z", "int broken(void) { return no_such_thing; }\n")]
_PANICS = [("kernel/main.c", r"scheduler\(\);", 'panic("out of luck");')]
_HANGS = [("kernel/main.c", r"scheduler\(\);", 'csr_write(sie, 0); for(;;) asm volatile("wfi");')]
_WRONG = {"two-frames": "shrimp-pair", "shrimp-without-w": "shrimp-flags", "not-zeroed": "fry-zeroed", "fry-with-x": "fry-flags"}


def hand_in(folder: Path, i: int, spare: Path) -> tuple[str, str]:
    """Puts a submission into folder; its status, and a rule that must be among those that fail."""
    name, kind = f"student-{i:03}", i % 20
    style = {"makefile": trees.LISTED, "opt": ("-O", "-O2", "-O0")[i % 3], "debug": ("-ggdb -gdwarf-2", "-ggdb3")[i % 2]}
    if i in (66, 166):
        trees.imitate(folder / name, _HANGS, **style)
        return "hangs", ""
    if i == 100:
        (folder / name).mkdir()
        (folder / name / "report.txt").write_text("it worked yesterday\n")
        return "not checked", ""
    if kind < 5:
        patch, rule = list(_WRONG.items())[i // 20 % len(_WRONG)]
        trees.imitate(folder / name, patches=[f"zoo/{patch}.patch"], **style)
        return "fail", rule
    if kind == 5:
        trees.imitate(folder / name, _BROKEN, **style)
        return "does not build", ""
    if kind == 6:
        trees.imitate(folder / name, _PANICS, **style)
        return "panics", ""
    if kind in (7, 8):
        archive(folder / (name + (".zip" if kind == 7 else ".tar.gz")), trees.imitate(spare / name, **style))
        return "pass", ""
    trees.imitate(folder / name, **(style if kind > 10 else {}))  # else by its own Makefile, in the sandbox
    return "pass", ""


@pytest.mark.soak
@pytest.mark.limit(5400)
def test_two_hundred(tmp_path):
    """Cut off on the way, and gone on with: each has its own mark, and is checked once."""
    folder, out = tmp_path / "hand-ins", tmp_path / "marks"
    folder.mkdir()
    expected = {f"student-{i:03}": hand_in(folder, i, tmp_path / "spare") for i in range(_MANY)}
    command = [str(ROOT / "scripts/check-class"), str(folder), "--out", str(out)]
    limits = {"SHRIMPY_LIMIT": "60"}
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               env={**os.environ, **limits})
    deadline = time.monotonic() + 900
    while not (out / "jobs.tsv").is_file() or jobs(out) < 20:
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
    running.send_signal(signal.SIGINT)
    running.communicate()
    assert running.returncode == 130 and not of_this_class(folder)
    done_before = jobs(out)
    start = time.monotonic()
    done = check_class(folder, "--out", out, **limits)
    seconds = time.monotonic() - start
    assert done.returncode == 2 and done.stdout == f"{_MANY} submissions, 1 of them not checked: {out}/marks.csv\n", done.stderr
    told = rows(out)
    assert {name: row["status"] for name, row in told.items()} == {name: status for name, (status, _) in expected.items()}
    for name, (_, rule) in expected.items():
        assert not rule or rule in told[name]["failed"].split(), (name, told[name])
    assert jobs(out) <= _MANY - done_before + 2  # the two that were under way when it was cut off, and no other, again
    assert not of_this_class(folder)
    sys.stderr.write(f"{jobs(out)} trees in {seconds:.0f} s\n")


# Submissions

def archive(path: Path, tree: Path) -> None:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as file:
            for one in sorted(tree.rglob("*")):
                file.write(one, Path("my xv6") / one.relative_to(tree))
    else:
        with tarfile.open(path, "w:gz") as file:
            file.add(tree, "my xv6")


@pytest.mark.parametrize("name", ["hand-in.zip", "hand-in.tar.gz"])
def test_archives_are_unpacked_where_they_can_do_nothing(tmp_path, name):
    tree = tmp_path / "tree"
    (tree / "kernel").mkdir(parents=True)
    (tree / "Makefile").write_text("all:\n")
    (tree / "kernel/main.c").write_text("")
    archive(tmp_path / name, tree)
    if name.endswith("gz"):
        evil = tarfile.TarInfo("my xv6/kernel/out")
        evil.type, evil.linkname = tarfile.SYMTYPE, "/etc/passwd"
        above = tarfile.TarInfo("../../above")
        above.size = 1
        with tarfile.open(tmp_path / "more.tar.gz", "w:gz") as file:
            file.add(tree, "my xv6")
            file.addfile(evil)
            file.addfile(above, io.BytesIO(b"x"))
        with pytest.raises(Trouble, match="more.tar.gz cannot be unpacked: .*above"):
            with classes._tree(tmp_path / "more.tar.gz", "more"):
                pass
    with classes._tree(tmp_path / name, "hand-in") as found:
        assert found.name == "my xv6" and (found / "kernel/main.c").is_file()
    assert not found.exists()
    (tmp_path / "student").mkdir()
    (tmp_path / name).rename(tmp_path / "student" / name)
    with classes._tree(tmp_path / "student", "student") as found:
        assert (found / "Makefile").is_file()


def test_what_is_no_submission_is_told_in_the_table(tmp_path):
    folder = tmp_path / "hand-ins"
    (folder / "essay").mkdir(parents=True)
    (folder / "essay/essay.txt").write_text("words")
    (folder / "damaged.zip").write_bytes(b"PK\3\4 and no more")
    done = check_class(folder)
    assert done.returncode == 2, done.stderr
    told = rows(tmp_path / "hand-ins-marks")
    assert {row["status"] for row in told.values()} == {"not checked"}
    assert told["essay"]["first_line"] == "essay has no xv6 tree: a folder with a Makefile and kernel/"
    assert told["damaged"]["first_line"].startswith("damaged.zip cannot be unpacked: ")


@pytest.mark.parametrize("words,said", [
    (["/nowhere"], "/nowhere: expected a folder of submissions, found nothing"),
    ([str(ROOT / "Makefile")], "expected a folder of submissions, found a file"),
    (["--jobs", "many", "DIR"], "--jobs many: expected a number from 1, or a share of the cores"),
    (["DIR"], "expected a folder or an archive for each submission, found none"),
    (["--points", "/nowhere", "FULL"], "POINTS=/nowhere cannot be read"),
    (["--out", "FULL/marks", "FULL"], "is among the submissions: name another folder"),
    (["TWICE"], "are both a: rename one"),
])
def test_what_is_wrong_is_said_in_one_line(tmp_path, words, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "full/a").mkdir(parents=True)
    (tmp_path / "twice/a").mkdir(parents=True)
    (tmp_path / "twice/a.zip").write_text("")
    named = {"DIR": str(tmp_path / "empty"), "FULL": str(tmp_path / "full"), "TWICE": str(tmp_path / "twice")}
    done = check_class(*(named.get(word, word.replace("FULL", named["FULL"])) for word in words))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1 and said in done.stderr, done.stderr


def test_jobs_have_cores_of_their_own():
    mine = os.sched_getaffinity(0)
    if len(mine) < 2:
        pytest.skip("there is one core")
    try:
        with cores.of_ones_own("2"):
            first = os.sched_getaffinity(0)
            os.sched_setaffinity(0, mine)
            with cores.of_ones_own("2"):
                second = os.sched_getaffinity(0)
        os.sched_setaffinity(0, mine)
        assert first and second and not first & second and first | second == mine
        with cores.of_ones_own("1"):
            assert os.sched_getaffinity(0) == mine
    finally:
        os.sched_setaffinity(0, mine)

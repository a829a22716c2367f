"""Many trees in a folder: each booted by its own `make qemu`, judged by the kit, and reviewed by a person; one table of them.

What is known of a tree is kept as JSON, and determined again when the tree or the kit is another. Reviews are data of
ours beside it: what a tree is, and whether what the kit said of it is true.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .. import BUILD, ROOT, NotBuilt, Trouble, cli, printable, tools
from ..judging import checking, points
from ..kernels import tree
from ..kernels.building import first_error
from ..machines import scene
from ..machines.qmp import Gone
from ..walls import sandbox
from . import classes, marking

NOT_CHECKED = "not checked"
GOOD = ("pass", "not judged")  # a kernel without FRY is not judged, and nothing is said against it
_OWN = sandbox.Limits(seconds=900, memory=8 << 30)  # QEMU reserves a GiB for code besides the machine's RAM
_GOALS = ("qemu", "run")  # what starts QEMU in a tree, by the names that trees have for it
_LONGEST = 160


@dataclass(frozen=True)
class Own:
    """What a tree's own `make qemu` comes to. line: why it does not boot."""

    boots: bool
    line: str
    seconds: float


@dataclass(frozen=True)
class Judged:
    """What the kit says of a tree.

    kit       the commit of the kit; cpus: harts it ran the tree with
    status    as marking.Marks has it, or NOT_CHECKED; line: why, one line
    rules     by rule: in how many scenarios it passed, failed, was skipped
    failures  rule, why in a line, and all of it; each once
    notes     what the kit detected in the tree
    """

    kit: str
    cpus: int
    status: str
    line: str
    seconds: float
    rules: dict[str, dict[str, int]]
    failures: list[list[str]]
    notes: list[str]


@dataclass(frozen=True)
class Known:
    """All that is known of a tree."""

    name: str
    commit: str
    own: Own | None = None
    judged: Judged | None = None

    @property
    def said(self) -> list[str]:
        """What the kit holds against the tree, each of which a person reviews: rules, or a status such as "hangs"."""
        if not self.judged or self.judged.status in GOOD:
            return []
        if self.judged.status == "does not build" and self.own and not self.own.boots:
            return []
        failed = dict.fromkeys(rule for rule, *_ in self.judged.failures)
        return [rule for rule in failed if rule not in (points.BUILDS, points.RUNS)] or [self.judged.status]


@dataclass(frozen=True)
class Review:
    """A person's word. about: "-" for what the tree is, else what Known.said has; true: None for "-"."""

    true: bool | None
    words: str


Reviews = dict[tuple[str, str, str], Review]


# The folder

def trees(folder: Path) -> list[str]:
    """The xv6 trees in a folder, as paths below it. What lies in a tree is part of it; no link is followed."""
    found: list[str] = []
    for place, subfolders, files in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        if "Makefile" in files and "kernel" in subfolders and Path(place) != folder:
            found.append(Path(place).relative_to(folder).as_posix())
            subfolders.clear()
    return found


def commit(folder: Path, name: str) -> str:
    """The commit that a tree is checked out of, 8 digits; "-" where it is of no repository in the folder."""
    done = subprocess.run(["git", "-c", "safe.directory=*", "-C", str(folder / name), "rev-parse", "--show-toplevel", "HEAD"],
                          capture_output=True, text=True)
    top, _, head = done.stdout.partition("\n")
    return head[:8] if not done.returncode and folder.resolve() in Path(top).resolve().parents else "-"


def kit() -> str:
    """The commit of the kit itself."""
    done = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True)
    return done.stdout[:8] if not done.returncode else "-"


# One tree

def own_boot(source: Path) -> Own:
    """Runs a tree's own `make qemu` (or run) in the sandbox, as it is, on a copy; its QEMU is watched by own_qemu.py."""
    start = time.monotonic()
    BUILD.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="survey-", dir=BUILD) as place:
        os.chmod(place, 0o755)  # for whoever runs in the sandbox
        copy, front = Path(place, source.name), Path(place, "front")
        shutil.copytree(source, copy, symlinks=True, ignore=shutil.ignore_patterns(".git"))
        front.mkdir()
        shutil.copy(Path(__file__).with_name("own_qemu.py"), front / "qemu-system-riscv64")
        (front / "qemu-system-riscv64").chmod(0o755)
        told = copy / ".own-qemu.json"
        for goal in _GOALS:
            done = sandbox.run(["make", goal], copy, limits=_OWN, readonly=[front], environment={
                "PATH": f"{front}:{sandbox.tool_path()}", "OWN_QEMU": tools.qemu(), "OWN_QEMU_TOLD": str(told)})
            if f"No rule to make target '{goal}'" not in done.output:
                break
        try:
            came = json.loads(told.read_text())
        except (OSError, ValueError):
            line = done.overrun or first_error(done.output)
        else:
            said = [line for line in came["said"].splitlines() if line.strip()] or ["it printed nothing"]
            line = "" if came["answers"] else next((line for line in said if "panic" in line.lower()), said[-1])
        return Own(told.is_file() and not line, printable(line)[:_LONGEST], round(time.monotonic() - start, 1))


def judge(source: Path, cpus: str = "") -> Judged:
    """Checks a tree as a stranger's. cpus: harts, "" for as many as its Makefile says."""
    start = time.monotonic()
    path, harts = str(source), 0
    try:
        kernel = scene.kernel_at(path, stranger=True)
        harts = cli.harts(cpus, kernel)
        marks = marking.of(checking.check(kernel, harts), points.DEFAULT, time.monotonic() - start)
    except (NotBuilt, Gone) as error:
        marks = marking.never_ran(source.name, error, points.DEFAULT, time.monotonic() - start)
    except Trouble as trouble:
        return not_judged(str(trouble).partition("\n")[0], time.monotonic() - start)
    finally:
        tree.discard(path)
    counted: dict[str, Counter] = {}
    for case in marks.cases:
        counted.setdefault(case.rule, Counter())[case.status] += 1
    failures = {(case.rule, case.line): case.details for case in marks.cases if case.status == marking.FAILED}
    return Judged(kit(), harts, marks.status, marks.line, round(marks.seconds, 1), {rule: dict(n) for rule, n in counted.items()},
                  [[*one, details] for one, details in failures.items()], [printable(note) for note in marks.notes])


def not_judged(why: str, seconds: float) -> Judged:
    """For a tree that the kit came to no end with."""
    return Judged(kit(), 0, NOT_CHECKED, printable(why)[:_LONGEST], round(seconds, 1), {}, [], [])


# All of them

def kept(out: Path, name: str) -> Path:
    """Where it is kept what is known of a tree."""
    return out / (name.replace("/", "+") + ".json")


def read(out: Path, name: str, head: str) -> Known:
    """What is known of a tree at that commit."""
    try:
        told = json.loads(kept(out, name).read_text())
        if told["commit"] == head:
            return Known(name, head, Own(**told["own"]) if told["own"] else None,
                         Judged(**told["judged"]) if told["judged"] else None)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    return Known(name, head)


def write(path: Path, text: str) -> None:
    """Writes a file atomically."""
    scratch = path.with_name(path.name + ".new")
    scratch.write_text(text)
    scratch.replace(path)


def one(folder: Path, out: Path, name: str, cpus: str = "") -> Known:
    """Finds out what is not known yet of one tree, and keeps it."""
    known = read(out, name, commit(folder, name))
    if not known.own:
        known = replace(known, own=own_boot(folder / name))
        write(kept(out, name), json.dumps(asdict(known), indent=1))
    known = replace(known, judged=judge(folder / name, cpus))
    write(kept(out, name), json.dumps(asdict(known), indent=1))
    return known


def is_done(known: Known, head: str) -> bool:
    return bool(known.own and known.judged and known.judged.kit == head)


def run(folder: Path, out: Path, names: Sequence[str], command: Sequence[str], jobs: str, limit_s: int) -> None:
    """Finds out what is not known yet of each tree. command: does so of the one whose name follows, as one()."""
    head, start = kit(), time.monotonic()
    out.mkdir(parents=True, exist_ok=True)
    before = {name: read(out, name, commit(folder, name)) for name in names}
    to_do = [name for name in names if not is_done(before[name], head)]
    if to_do:
        classes.in_parallel(command, to_do, out, jobs, limit_s)
    for name in to_do:
        known = read(out, name, commit(folder, name))
        if known.judged == before[name].judged:     # a new one may be of a kit that has moved on meanwhile
            why = not_judged("its check took too long, or was ended", time.monotonic() - start)
            write(kept(out, name), json.dumps(asdict(replace(known, judged=why)), indent=1))


# Telling

def reviews(path: Path) -> Reviews:
    """The reviews in a file: lines of tree, commit, what it is about, "true" "false" or "-", and words, with tabs between."""
    found: Reviews = {}
    for number, line in enumerate(path.read_text().splitlines() if path.is_file() else [], 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != 5 or fields[3] not in ("true", "false", "-"):
            raise Trouble(f"{path}, line {number}: expected tree, commit, about, true or false or -, and words, with tabs "
                          f"between; found {line!r}")
        found[fields[0], fields[1], fields[2]] = Review({"true": True, "false": False, "-": None}[fields[3]], fields[4])
    return found


def as_json(known: Sequence[Known], said: Reviews) -> str:
    """Everything, with the reviews."""
    def reviewed(one: Known) -> dict[str, object]:
        mine = {about: asdict(review) for (name, at, about), review in said.items() if (name, at) == (one.name, one.commit)}
        return {**asdict(one), "said": one.said, "reviews": mine}
    return json.dumps({"schema": "shrimpy-survey", "version": 1, "trees": [reviewed(one) for one in known]}, indent=1) + "\n"


_TRUE = {True: "true", False: "**false**", None: "not reviewed"}


def as_markdown(known: Sequence[Known], said: Reviews, command: Sequence[str], n_trees: int) -> str:
    """The table, for a person. n_trees: in the folder, those that are not judged yet too."""
    def review(one: Known, about: str) -> Review:
        return said.get((one.name, one.commit, about), Review(None, ""))
    alarms = [(one, about, review(one, about)) for one in known for about in one.said]
    boots = [one for one in known if one.own and one.own.boots]
    ran = [one for one in boots if one.judged and one.judged.status != NOT_CHECKED and points.BUILDS in one.judged.rules
           and not one.judged.rules[points.BUILDS].get(marking.FAILED)]
    count = Counter(each.true for _, _, each in alarms)
    kits = sorted({one.judged.kit for one in known if one.judged})
    lines = [
        "# Public trees", "",
        f"`{shlex.join(command)}` made this table, with the kit at {', '.join(kits)}. The trees themselves are not part of this",
        "project. `docs/trees.tsv` says what each tree is, and whether what the kit reports of it is true: a person has read",
        "the tree's source.", "",
        f"{len(known)} of {n_trees} trees are judged. {len(boots)} boot by their own `make qemu` on this machine, "
        f"{len(ran)} of these are judged to the end. "
        f"The kit reports {len(alarms)} faults: {count[True]} true, {count[False]} false, {count[None]} not reviewed.", "",
        "In the column `make qemu`: whether the shell of the tree's own `make qemu`, run as it is in the sandbox, carries out",
        "a command. A kernel without `FRY` is \"not judged\" at best: the rules about the two pages are not about it; those",
        "that passed are counted.", "",
        "| tree | commit | what it is | `make qemu` | the kit | harts | rules passed | reported, and reviewed | s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"]
    for one in known:
        judged = one.judged
        passed = sum(not n.get(marking.FAILED) and bool(n.get(marking.PASSED)) for n in judged.rules.values()) if judged else 0
        lines.append("| " + " | ".join((
            one.name, one.commit, review(one, "-").words or "-", "yes" if one.own and one.own.boots else "no",
            judged.status if judged else "-", str(judged.cpus or "-") if judged else "-", str(passed),
            "; ".join(f"{about}: {_TRUE[review(one, about).true]}" for about in one.said) or "-",
            f"{judged.seconds:.0f}" if judged else "-")) + " |")
    lines += ["", "## What was reported, and what is true", ""]
    lines += [f"- {one.name}, {about} ({_TRUE[each.true]}): {each.words or 'not reviewed yet'}" for one, about, each in alarms]
    lines += ["", "## Why a tree does not boot by its own `make qemu`", ""]
    lines += [f"- {one.name}: `{one.own.line.strip().replace('`', '')}`" for one in known if one.own and not one.own.boots]
    return "\n".join(lines) + "\n"

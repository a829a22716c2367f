"""The zoo: every known mistake, built into our kernel, and what `make check` says of it.

usage: mistakes.py [--jobs N]     examines all that no earlier run has, and prints the table
       mistakes.py one NAME...    examines these and prints a line of JSON for each

A mistake is a patch. Before the patch comes what it is and what must be found:

    mistake: what it is
    seen: what a student would see of it
    fails: RULE on WHO at WHERE in SCENARIO       one line for each verdict that must be there
    also: RULE...                                 consequences that may fail too; nothing else may
    ends: KIND in SCENARIO: TEXT                  a scenario that must panic or hang, with that in its line; where it panics,
                                                  no-panic may fail
    plays: OPERATION shows WHAT of PAGE beyond PROMISE, look at FUNCTION
                                                  what the rule `specification` must find when the player plays: after which
                                                  operation, of spec.Do, and what, of spec.Differs; the last three only where it
                                                  has them, and where no function is said any near the mistake may be
                                                  named. `plays: nothing`: it agrees. The mistakes in further/ have this

WHO is a role that the scenario gives (orphan, grandchild), a process's name (`?`: it has none yet), `frame` for
what is no process's, or `kernel`. WHERE is FRY, SHRIMP, TRAPFRAME, TRAMPOLINE, a number, or `-` for no address.
`ends?:` may, but need not come: it hangs on which hart is first, or on how far the scenario gets; its SCENARIO may be
`*`, any.

The function that a verdict names must be one that the patch touches, or that calls it or is called by it: see
callgraph.py. It may name none.

Status 0: all are caught by the right rule; 1: not all.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from lab import BUILD, Trouble, cli  # noqa: E402
from lab.judging import checking, scenarios, verdict  # noqa: E402
from lab.judging.checking import Hindrance, Report  # noqa: E402
from lab.judging.verdict import Judgement  # noqa: E402
from lab.kernels import variant  # noqa: E402
from lab.kernels.tree import Kernel  # noqa: E402
from shrimpy.show import text  # noqa: E402
from shrimpy.rules import RULES, Verdict  # noqa: E402
from shrimpy.spec import Differs, Do  # noqa: E402

import callgraph  # noqa: E402

RESULTS = BUILD / "zoo" / "results.jsonl"
_HARTS = 3


@dataclass(frozen=True)
class Expected:
    """A verdict that must be there."""

    rule: str
    who: str
    where: str
    scenario: str

    def __str__(self) -> str:
        return f"{self.rule} on {self.who} at {self.where} in {self.scenario}"

    def is_met_by(self, one: Verdict, judgement: Judgement, scenario: str) -> bool:
        return (one.rule, scenario) == (self.rule, self.scenario) and self._is_subject(one, judgement) and \
            self._page(judgement) == (None if one.va is None else one.va & -4096)

    def _is_subject(self, one: Verdict, judgement: Judgement) -> bool:
        if one.pid is None:
            return self.who == (one.about.label or {"frames": "frame"}.get(one.about.kind, one.about.kind))
        return (one.name or "?") == self.who or (self.who, one.pid) in judgement.roles

    def _page(self, judgement: Judgement) -> int | None:
        if self.where == "-":
            return None
        return int(self.where, 16) if self.where.startswith("0x") else getattr(judgement.snapshot.layout, self.where.lower())


@dataclass(frozen=True)
class End:
    """A scenario that does not come to its end. words: the panic's, or "" for any; must: it never does; else it may or may
    not."""

    kind: str
    scenario: str
    words: str
    must: bool

    def __str__(self) -> str:
        return f"{self.kind} in {self.scenario}" + (f": {self.words}" if self.words else "")

    def is_met_by(self, scenario: str, hindrance: Hindrance) -> bool:
        followed = self.kind == "hung" and hindrance.kind == "not played"      # as too many before it hung
        return (hindrance.kind == self.kind or followed) and self.scenario in ("*", scenario) and self.words in hindrance.words


@dataclass(frozen=True)
class Plays:
    """What the player finds: after which operation, what, of which page; which promise beyond the handout it breaks, and which
    function is named, or "" each."""

    last: str
    what: str
    page: str = ""
    beyond: str = ""
    function: str = ""

    def __str__(self) -> str:
        parts = (self.page and f" of {self.page}", self.beyond and f" beyond {self.beyond}", self.function and f", look at {self.function}")
        return f"{self.last} shows {self.what}" + "".join(parts)

    @staticmethod
    def of(one: Verdict) -> Plays | None:
        """What a verdict says that the player found."""
        found = one.reason.played if one.reason else None
        if found is None or not found.ops:
            return None
        return Plays(found.ops[-1].do.value, found.what.value, found.cell.page if found.cell else "", found.beyond or "",
                     one.function or "")


@dataclass(frozen=True)
class Mistake:
    name: str
    patch: Path
    mistake: str
    seen: str
    fails: tuple[Expected, ...]
    also: frozenset[str]
    ends: tuple[End, ...]
    plays: tuple[Plays, ...] = ()


_FAILS = re.compile(r"(\S+) on (\S+) at (FRY|SHRIMP|TRAPFRAME|TRAMPOLINE|0x[0-9a-f]+|-) in (\S+)")
_PLAYS = re.compile(r"(\S+) shows (\S+)(?: of (FRY|SHRIMP))?(?: beyond (zeroed|exec|orphan|at-once))?(?:, look at (\w+))?")
_ENDS = re.compile(r"(panicked|hung|did not run) in ([^\s:]+)(?:: (.+))?")


def read(patch: Path) -> Mistake:
    """What a patch says of itself. Raises Trouble, with the line, for what it does not say or says wrongly."""
    if not patch.is_file():
        raise Trouble(f"there is no mistake {patch.stem}: expected the name of a patch in tests/zoo, such as two-frames")
    said: dict[str, list[str]] = {}
    for line in patch.read_text().partition("\n--- ")[0].splitlines():
        key, _, value = line.partition(": ")
        said.setdefault(key, []).append(value)
    if unknown := said.keys() - {"mistake", "seen", "fails", "also", "ends", "ends?", "plays"}:
        raise Trouble(f"{patch.name}: expected mistake, seen, fails, also, ends or plays, found {unknown.pop()!r}")
    if any(len(said.get(key, [])) != 1 for key in ("mistake", "seen", "also")) or not said.keys() & {"fails", "ends", "plays"}:
        raise Trouble(f"{patch.name}: expected one line each of mistake:, seen: and also:, and a fails:, ends: or plays:")
    fails = [_parsed(_FAILS, value, patch) for value in said.get("fails", [])]
    ends = [End(kind, scenario, line, key == "ends") for key in ("ends", "ends?") for value in said.get(key, [])
            for kind, scenario, line in [_parsed(_ENDS, value, patch)]]
    plays = [Plays(*_parsed(_PLAYS, value, patch)) for value in said.get("plays", []) if value != "nothing"]
    if strange := {one.last for one in plays} - {one.value for one in Do} | {one.what for one in plays} - {one.value for one in Differs}:
        raise Trouble(f"{patch.name}: no operation shows {strange.pop()!r}")
    also = frozenset(said["also"][0].split()) - {"nothing"}
    if strange := {*also, *(rule for rule, *_ in fails)} - {rule.id for rule in RULES}:
        raise Trouble(f"{patch.name}: there is no rule {strange.pop()}")
    return Mistake(patch.stem, patch, said["mistake"][0], said["seen"][0], tuple(Expected(*one) for one in fails), also,
                   tuple(ends), tuple(plays))


def _parsed(form: re.Pattern[str], value: str, patch: Path) -> tuple[str, ...]:
    match = form.fullmatch(value)
    if not match:
        raise Trouble(f"{patch.name}: expected {form.pattern}, found {value!r}")
    return match.groups("")


def all_mistakes() -> list[Mistake]:
    return [read(patch) for patch in sorted(HERE.glob("*.patch"))]


@dataclass(frozen=True)
class Finding:
    """How the check's report differs from what it must say.

    missed: of what must be found; wrong: what must not; fired: the rules that failed; shown: the first line that the
    student reads; astray: the functions named that are not near the mistake.
    """

    missed: tuple[str, ...]
    wrong: tuple[str, ...]
    fired: tuple[str, ...]
    shown: str
    astray: tuple[str, ...] = ()


def compare(mistake: Mistake, report: Report) -> Finding:
    stops = [(one, judgement, outcome.name) for outcome in report.outcomes for judgement in outcome.judgements
             for one in judgement.failures]
    ended = [(outcome.name, outcome.hindrance) for outcome in report.outcomes if outcome.hindrance]
    met = {expected for expected in mistake.fails if any(expected.is_met_by(*stop) for stop in stops)}
    come = {end for end in mistake.ends if any(end.is_met_by(*one) for one in ended)}
    played = {Plays.of(one) for one, *_ in stops} - {None}
    played |= {replace(one, function="") for one in played if one}      # whether one is named depends on what came before, here
    missed = [str(one) for one in mistake.fails if one not in met] + [
        str(one) for one in mistake.ends if one.must and one not in come] + [str(one) for one in mistake.plays if one not in played]
    allowed = {one.rule for one in mistake.fails} | mistake.also | {"no-panic" for end in mistake.ends if end.kind == "panicked"} | {
        "specification" for _ in mistake.plays}
    wrong = sorted({f"{one.rule} on {one.subject} in {name}" for one, _, name in stops if one.rule not in allowed})
    wrong += [f"{name}: {hindrance.line}" for name, hindrance in ended
              if not any(end.is_met_by(name, hindrance) for end in mistake.ends)]
    fired = list(dict.fromkeys(one.rule for one, _, _ in stops))
    lines = [f"{one.verdict.rule}: {one.verdict.subject}: {one.verdict.why}" for one in report.failures
             if one.verdict.rule in {each.rule for each in mistake.fails}] or [hindrance.line for _, hindrance in ended]
    return Finding(tuple(missed), tuple(wrong), tuple(fired), lines[0] if lines else "nothing")


def build(mistake: Mistake) -> Kernel:
    return variant.build(f"zoo-{mistake.name}", [mistake.patch])


def examine(mistake: Mistake) -> Finding:
    """Builds the kernel with the mistake, and gives it to the same check that a student's tree gets, but for the specification,
    which is played against the further mistakes."""
    report = checking.check(build(mistake), _HARTS, only=scenarios.NAMES)
    return replace(compare(mistake, report), astray=astray(mistake, report))


def astray(mistake: Mistake, report: Report) -> tuple[str, ...]:
    """Who is accused of a mistake in our kernel, and has nothing to do with it."""
    near = callgraph.to_look_at(mistake.patch.read_text(), ROOT)
    return tuple(sorted({f"{one.rule} names {one.function}" for outcome in report.outcomes for judgement in outcome.judgements
                         for one in judgement.failures if one.function and one.function not in near}))


# All of them

def _recipe(mistake: Mistake) -> str:
    """A name for all that the result depends on."""
    recipe = hashlib.sha256(mistake.patch.read_bytes())
    for folder in ("xv6", "gdb/shrimpy", "scripts/lab", "scripts/scenarios", "tests/zoo"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".c", ".h", ".S", ".ld", ".py"):
                recipe.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return recipe.hexdigest()[:16]


def _results() -> dict[tuple[str, str], Finding]:
    """What earlier runs found, by name and recipe. A line that was cut off is no result."""
    found = {}
    for line in RESULTS.read_text().splitlines() if RESULTS.is_file() else ():
        try:
            one = json.loads(line)
            found[one["name"], one["recipe"]] = Finding(tuple(one["missed"]), tuple(one["wrong"]), tuple(one["fired"]), one["shown"],
                                                         tuple(one["astray"]))
        except (ValueError, KeyError):
            continue
    return found


def examine_each(names: Sequence[str]) -> int:
    for name in names:
        mistake = read(HERE / f"{name}.patch")
        try:
            finding = examine(mistake)
        except Trouble as trouble:
            print(f"zoo: {name}: {trouble}", file=sys.stderr)
            continue
        print(json.dumps({"name": name, "recipe": _recipe(mistake), "missed": finding.missed, "wrong": finding.wrong,
                          "fired": finding.fired, "shown": finding.shown, "astray": finding.astray}), flush=True)
    return 0


def examine_all(jobs: int) -> int:
    mistakes = all_mistakes()
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    keys = {one.name: (one.name, _recipe(one)) for one in mistakes}
    there = _results()
    left = [one.name for one in mistakes if keys[one.name] not in there]
    if left:
        cli.say(f"{len(mistakes)} mistakes, {len(left)} to examine; what is done is in {RESULTS}")
        # A job's lines come whole, when it ends: whoever is cut off loses that job only.
        command = ["parallel", "--will-cite", *(["--bar"] if sys.stderr.isatty() else []), f"--jobs={jobs}",
                   sys.executable, str(Path(__file__).resolve()), "one", "{}", ":::"]
        with RESULTS.open("a") as results:
            try:
                subprocess.run([*command, *left], stdout=results, stdin=subprocess.DEVNULL)
            except FileNotFoundError:
                raise Trouble("GNU parallel not found: run scripts/setup test") from None
        there = _results()
    RESULTS.write_text("".join(json.dumps({"name": name, "recipe": recipe, "missed": one.missed, "wrong": one.wrong,
                                           "fired": one.fired, "shown": one.shown, "astray": one.astray}) + "\n"
                               for (name, recipe), one in sorted(there.items()) if keys.get(name) == (name, recipe)))
    return tell(mistakes, {one.name: there.get(keys[one.name]) for one in mistakes})


def tell(mistakes: Sequence[Mistake], found: dict[str, Finding | None]) -> int:
    """The table, what is wrong with it, and what no page table shows. 0 when all is as it must be."""
    rows, troubles = [], []
    for mistake in mistakes:
        finding = found[mistake.name]
        expected = ", ".join(dict.fromkeys(one.rule for one in mistake.fails)) or ", ".join(one.kind for one in mistake.ends)
        if finding is None:
            troubles.append(f"{mistake.name}: not examined")
        else:
            troubles += [f"{mistake.name}: missed: {one}" for one in finding.missed]
            troubles += [f"{mistake.name}: must not fail: {one}" for one in finding.wrong]
            troubles += [f"{mistake.name}: not near the mistake: {one}" for one in finding.astray]
        bad = finding is None or finding.missed or finding.wrong or finding.astray
        rows.append(["BAD" if bad else "ok", mistake.name, expected, ", ".join(finding.fired) or "-" if finding else "",
                     finding.shown if finding else ""])
    print(text.table(["", "MISTAKE", "EXPECTED", "FIRED", "SHOWN"], rows), end="")
    for line in troubles:
        print(line)
    n_bad = sum(row[0] == "BAD" for row in rows)
    print(f"\n{len(rows) - n_bad} of {len(rows)} mistakes are caught by the right rule; "
          f"tests/zoo/unseen.md has those that no page table shows")
    return 1 if n_bad else 0


def main() -> int:
    parser = argparse.ArgumentParser(description="Examines every known mistake with make check's own scenarios.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time")
    parser.add_argument("what", nargs="*", metavar="one NAME", help="only these, as lines of JSON")
    args = parser.parse_args()
    if args.what and args.what[0] != "one":
        raise Trouble(f"expected one NAME..., found {args.what[0]}")
    return examine_each(args.what[1:]) if args.what else examine_all(args.jobs)


if __name__ == "__main__":
    cli.run(main, trouble_status=verdict.UNJUDGED)

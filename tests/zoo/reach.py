"""How far check's "written" reaches: for each mistake of the zoo, whether the line that it names is near what the patch changes.

usage: reach.py [--jobs N] [--times N] [NAME...]    examines these mistakes, of the zoo and the further ones; all when none is given
       reach.py [--times N] one NAME...             the same, and prints a line of JSON for each

With --times each failure is asked about so often, each time on a new recording, and each answer is to be the first one.

Near is the function that the patch changes, one that calls it, and one that it calls: see callgraph.py. A mistake counts if a
store is told of its first cause for which one is; of an entry that nobody has written there is none that is wrong. Status 0: of those at least 95 % are near, and all answers of each are the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

from lab import BUILD, Trouble, cli  # noqa: E402
from lab.judging import checking, tracing  # noqa: E402
from lab.judging.keeping import Keeper  # noqa: E402
from lab.kernels import variant  # noqa: E402
from shrimpy import words  # noqa: E402
from shrimpy.origins import What  # noqa: E402
from shrimpy.show import text  # noqa: E402

import callgraph  # noqa: E402
import further  # noqa: E402
import mistakes  # noqa: E402

RESULTS = BUILD / "zoo" / "reach.jsonl"
_HARTS = 3
_SHARE = 0.95


def patches() -> dict[str, Path]:
    """The patch of each mistake, by its name."""
    return {**{one.name: one.patch for one in mistakes.all_mistakes()}, **{one.name: one.patch for one in further.FURTHER}}


def examine(name: str, patch: Path, times: int = 1, keeper: Keeper | None = None) -> dict[str, Any]:
    """What check says of where a mistake was written. others: how many of so many answers are not the first one."""
    report = checked(name, patch, keeper)
    before = cpu_s()
    asked = [tracing.trace(report) for _ in range(times)]
    return {"name": name, **judged(asked[0], patch), "others": sum(answer(one) != answer(asked[0]) for one in asked),
            "cost_s": round((cpu_s() - before) / times, 1)}


def checked(name: str, patch: Path, keeper: Keeper | None = None) -> checking.Report:
    """What shows a mistake, checked."""
    if patch.parent == HERE:
        mistake = mistakes.read(patch)
        only = {one.scenario for one in (*mistake.fails, *mistake.ends)} & {*checking.scenarios.NAMES}
    else:
        only = {checking.PLAY}
    return checking.check(variant.build(f"zoo-{name}", [patch]), _HARTS, only=only or checking.scenarios.NAMES, keeper=keeper)


def cpu_s() -> float:
    """CPU seconds that this process took, and those that it has waited for."""
    return sum(os.times()[:4])


def answer(report: checking.Report) -> list[list[Any]]:
    """What is told of each cause, without what is of one run: numbers of instructions, of processes and of frames."""
    return [[one.traced.untold, *((each.what, each.place, each.caller) for each in one.traced.origins)] for one in report.told_origins]


def judged(report: checking.Report, patch: Path) -> dict[str, Any]:
    """told: the line that is named first; near: whether it is near the mistake; else why there is none."""
    traces = [report.traces[key] for _, one in report.blocks if (key := checking.key(one.verdict)) in report.traces]
    first = next((one for one in traces if one.origins), None)
    causes = [f"{one.verdict.rule}: {one.verdict.subject}: {one.verdict.why}" for _, one in report.blocks[:1]]
    if first is None:
        return {"cause": causes, "why": sorted({one.untold or "" for one in traces}) or ["not-seen"], "details": [one.detail for one in traces]}
    place = first.origins[0].place
    near = callgraph.to_look_at(patch.read_text(), ROOT)
    never = first.origins[0].what == What.ENTRY and first.origins[0].old == first.origins[0].new
    return {"cause": causes, "never": never, "told": words.origins.lines(first), "function": place and place.function,
            "near": bool(place and place.function in near), "expected": sorted(near)}


def tell(found: Sequence[dict[str, Any]]) -> int:
    """The table, and how many are near. The status."""
    rows = [["OTHER" if one["others"] else "ok" if one.get("near") else "FAR" if "told" in one and not one["never"] else "-", one["name"],
             one["told"][0] if "told" in one else ", ".join(one["why"])] for one in sorted(found, key=lambda one: one["name"])]
    print(text.table(["", "MISTAKE", "WRITTEN"], rows), end="")
    told = [one for one in found if "told" in one and (one["near"] or not one["never"])]
    near = sum(one["near"] for one in told)
    why = Counter(reason for one in found if "told" not in one for reason in one["why"])
    print(f"\n{near} of {len(told)} lines named are near the mistake" + "".join(f"; {reason}: {n}" for reason, n in sorted(why.items())))
    return 0 if near >= _SHARE * len(told) and not any(one["others"] for one in found) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Examines where check says that each mistake was written.")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="how many at a time")
    parser.add_argument("--times", type=int, default=1, metavar="N", help="how often each is asked about")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these; after the word one, as lines of JSON")
    args = parser.parse_args()
    is_job, names = args.names[:1] == ["one"], args.names[args.names[:1] == ["one"]:]
    known = patches()
    if strange := [name for name in names if name not in known]:
        raise Trouble(f"there is no mistake {strange[0]}")
    if is_job:
        for name in names:
            print(json.dumps(examine(name, known[name], args.times)), flush=True)
        return 0
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    command = ["parallel", "--will-cite", *(["--bar"] if sys.stderr.isatty() else []), f"--jobs={args.jobs}",
               sys.executable, str(Path(__file__).resolve()), f"--times={args.times}", "one", "{}", ":::"]
    with RESULTS.open("w") as results:
        try:
            subprocess.run([*command, *(names or sorted(known))], stdout=results, stdin=subprocess.DEVNULL)
        except FileNotFoundError:
            raise Trouble("GNU parallel not found: run scripts/setup test") from None
    return tell([json.loads(line) for line in RESULTS.read_text().splitlines()])


if __name__ == "__main__":
    cli.run(main)

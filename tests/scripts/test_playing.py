"""The specification played against kernels: what keeps it agrees, what does not differs at the right operation."""

from __future__ import annotations

import contextlib
import os
import random
import time
from dataclasses import replace
from pathlib import Path

import pytest
from lab.judging import checking, player, playing
from lab.judging.operations import Operations
from lab.judging.scenarios import POINTS
from lab.judging.verdict import PASS
from lab.kernels import variant
from lab.machines import debugger
from lab.replay import recording
from shrimpy.reasons import Kind
from shrimpy.rules import FAIL, HANDOUT, STRICT, WARNING
from shrimpy.spec import AT_ONCE, Cell, Differs, Do, Op, borders, covering, pairs, random_ones, sharing, sharing_covered
from shrimpy.spec.sequences import FIRST, START

ROOT = Path(__file__).resolve().parents[2]
PARENT, CHILD, GRANDCHILD = FIRST, FIRST + 1, FIRST + 2
FAMILY = (START, Op(PARENT, Do.FORK, CHILD))
COVERING = covering(2)
ALL = [one.ops for one in borders()] + COVERING
SHARING = [one.ops for one in sharing()]


def perform(kernel, sequences, cpus=1, **how):
    with debugger.Session(kernel.elf) as gdb:
        known = player.facts(gdb)
    assert known is not None
    with playing.equipped(kernel, known) as at:
        return playing.perform(at, known, sequences, cpus, **how)[0]


def wrong(name):
    patch = next((ROOT / "tests/zoo").rglob(f"{name}.patch"))
    return variant.build(f"zoo-{name}", [patch])


@pytest.mark.parametrize("harts", [3, pytest.param(1, marks=pytest.mark.soak)])    # make check, which another test runs, plays it on one
def test_our_kernel_keeps_it(kernel, harts):
    found = perform(kernel, ALL + SHARING if harts == 1 else ALL[:8] + SHARING, harts)
    assert found.divergence is None and not found.noted
    assert found.n_ops > 100 // harts and found.n_sequences > len(SHARING)


@pytest.mark.parametrize("name,sequences", [
    ("copy-on-write", ALL), ("areas", ALL[::4]), ("lists-by-hart", ALL[1::4]),
    *(pytest.param(name, ALL, marks=pytest.mark.soak) for name in ("areas", "lists-by-hart"))])
def test_a_kernel_that_keeps_it_in_another_way_agrees(name, sequences):
    found = perform(variant.build(name, [ROOT / f"tests/gdb/variants/{name}.patch"]), sequences)
    assert found.divergence is None and not found.noted


@pytest.mark.parametrize("name,what,cell,ops,beyond", [
    ("first-child-only", Differs.NOT_SHARED, Cell(PARENT, "SHRIMP"), (START,), None),
    ("exec-renews", Differs.MOVED, Cell(PARENT, "FRY"), (START, Op(PARENT, Do.EXEC)), "exec"),
    ("orphan-loses-the-page", Differs.MISSING, Cell(CHILD, "SHRIMP"), (*FAMILY, Op(PARENT, Do.EXIT)), "orphan"),
    ("fry-leaks", Differs.LEAK, None, (START,), None),
    ("not-zeroed", Differs.CONTENT, Cell(PARENT, "FRY"), (START,), "zeroed"),
    ("count-in-the-page", Differs.CONTENT, Cell(0, "FRY"), (START,), None),
])
def test_a_mistake_differs_at_the_operation_that_shows_it(name, what, cell, ops, beyond):
    found = perform(wrong(name), ALL).divergence
    assert (found.what, found.cell, found.ops, found.beyond) == (what, cell, ops, beyond)


def test_what_is_recorded_rests_while_nobody_waits_for_it(kernel, tmp_path):
    with debugger.Session(kernel.elf) as gdb:
        known = player.facts(gdb)
    program = player.build(kernel, known, tmp_path, typed=True)
    folder, rested = tmp_path / "recording", []
    folder.mkdir()

    def run(machine):
        machine.boot()
        with contextlib.closing(player.Player(machine, program, known, typed=True)) as play:
            def done(op):
                rested.append(is_stopped(machine.pid))
                executed = machine.executed()   # it is awake from now on
                assert until(lambda: machine.executed() > executed)
            assert playing.Stage(play, known).play(FAMILY, done) is None
        return program.name, None
    recording.of_run(player.equip(kernel, program, tmp_path), folder, run)
    assert rested == [True] * len(FAMILY)


def is_stopped(pid):
    return until(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T")


def until(is_so, limit_s=30.0):
    end = time.monotonic() + limit_s
    while not is_so() and time.monotonic() < end:
        time.sleep(0.001)
    return is_so()


@pytest.mark.soak
def test_a_call_that_loses_what_is_given_back_each_time_is_given_up_soon(monkeypatch):
    tries = []

    def until_it_works(self, op, slot, a):
        tell = self._player.tell
        monkeypatch.setattr(self._player, "tell", lambda to, what, *args, **how: (tries.append(what), tell(to, what, *args, **how))[1])
        return original(self, op, slot, a)
    original = Operations._until_it_works
    monkeypatch.setattr(Operations, "_until_it_works", until_it_works)
    hungry = [one.ops for one in borders() if any(op.do is Do.EXEC_HUNGRY for op in one.ops)]
    found = perform(wrong("exec-segment-leaks-a-frame"), hungry).divergence
    assert found.what is Differs.ANSWER and found.ops[-1].do is Do.EXEC_HUNGRY and 0 < tries.count("g") < 50


def test_a_count_of_attachments_that_fork_forgets_differs_though_all_pages_are_right():
    found = perform(wrong("shm-fork-not-counted"), SHARING[1:2], most_tries=0).divergence
    assert (found.what, found.ops, found.expected, found.seen) == (Differs.MISCOUNTED, SHARING[1][:4], 2, 1)
    assert found.cell == Cell(PARENT, segment=1)


def test_a_long_sequence_is_cut_to_what_shows_it():
    long = (*FAMILY, Op(CHILD, Do.LOAD, 1, "FRY"), Op(CHILD, Do.FORK, GRANDCHILD), Op(GRANDCHILD, Do.EXEC), Op(CHILD, Do.EXIT),
            Op(PARENT, Do.WAIT), Op(PARENT, Do.EXIT))
    found = perform(wrong("orphan-loses-the-page"), [long]).divergence
    assert found.ops == (*FAMILY, Op(PARENT, Do.EXIT))


def test_where_only_the_handout_counts_the_rest_is_noted():
    for name, beyond in (("not-zeroed", {"zeroed"}), ("exec-clears-fry", {"exec"}), ("parent-first", set()), ("orphan-loses-the-page", set())):
        found = perform(wrong(name), COVERING, handout=True)
        assert found.divergence is None and {one.beyond for one in found.noted} == beyond, name


def test_a_kernel_that_maps_the_two_pages_when_they_are_touched_is_right_where_the_handout_decides():
    """Which function maps them, and that no function has done so before, is seen by a system call that looks for the page."""
    late = variant.build("mapped-at-touch", [ROOT / "tests/gdb/variants/mapped-at-touch.patch"])
    paths = (*FAMILY, Op(CHILD, Do.EXEC), *(Op(CHILD, Do.EXEC, n) for n in (1, 2, 3)))      # the path stands in a page that comes late
    found = perform(late, [paths, *COVERING[::2]], handout=True)
    assert found.divergence is None and {(one.what, one.beyond) for one in found.noted} == {(Differs.MISSING, AT_ONCE)}
    strict = perform(late, COVERING[:1]).divergence
    assert (strict.what, strict.ops, strict.beyond) == (Differs.MISSING, (START,), AT_ONCE)


@pytest.mark.parametrize("profile, told", [(STRICT, FAIL), (HANDOUT, WARNING)])
def test_a_child_that_maps_shrimp_itself_before_user_code_runs_is_late_beyond_the_handout(profile, told):
    late = variant.build("mapped-by-the-child", [ROOT / "tests/gdb/variants/mapped-by-the-child.patch"])
    report = checking.check(late, 3, only=["fork"], profile=profile)
    assert {(one.rule, judgement.point, one.status) for outcome in report.outcomes for judgement in outcome.judgements
            for one in replace(judgement, profile=profile).verdicts if one.status in (FAIL, WARNING)} == {
        ("shrimp-pair", POINTS["can-run"], told)}


def test_of_a_first_process_that_starts_no_other_shell_there_is_no_opinion():
    """The mistake that is seen where it does is the zoo's second-shell."""
    report = checking.check(variant.build("one-shell", [ROOT / "tests/gdb/variants/one-shell.patch"]), 1, only=["shell", "exec", "heap"])
    found = {one.name: one for one in report.outcomes}
    assert report.status == PASS and [one for one in report.outcomes if one.hindrance] == []
    assert [one.point for one in found["shell"].judgements] == ["before the shell ends"]
    assert found["shell"].notes[0].startswith("no shell comes after one that has ended: waited ")
    assert found["heap"].judgements, "on a machine of its own"


def test_frames_that_the_allocator_never_had_are_not_lost_when_a_shell_ends_either():
    kernel = variant.build("frames-kept-back", [ROOT / "tests/gdb/variants/frames-kept-back.patch"])
    report = checking.check(kernel, 1, only=["shell", "exec"])
    assert [one.rule for outcome in report.outcomes for judgement in outcome.judgements for one in judgement.verdicts
            if one.status == FAIL] == []
    assert [one.hindrance for one in report.outcomes] == [None, None]


def test_the_stop_after_playing_is_judged_by_the_specification_too():
    report = checking.check(wrong("exec-renews"), 1, only=["play"])
    failed = [one.verdict for one in report.failures if one.verdict.rule == "specification"]
    assert [(one.function, one.beyond_handout, one.reason.kind) for one in failed] == [("exec", True, Kind.DIVERGED)]


def test_segments_are_played_only_where_the_kernel_has_them_and_all_promises_count(kernel, tmp_path):
    numbers = (kernel.sources / "syscall.h").read_text().splitlines(keepends=True)
    (tmp_path / "syscall.h").write_text("".join(line for line in numbers if "SYS_shmdt" not in line))
    for one, how in ((kernel, {"handout": True}), (replace(kernel, sources=tmp_path), {})):
        found = perform(one, SHARING, **how)
        assert (found.n_sequences, found.divergence) == (0, None)


@pytest.mark.soak
@pytest.mark.limit(3000)
@pytest.mark.parametrize("harts", [1, 3, 8])
def test_our_kernel_keeps_it_for_long(kernel, harts):
    seed = os.environ.get("PLAY") or str(random.SystemRandom().randrange(1 << 32))
    print(f"PLAY={seed}")
    long = [*covering(4 if harts == 1 else 3), *random_ones(seed, 200, 60, 4), *SHARING, *sharing_covered(1),
            *random_ones(seed, 100, 60, 4, shared=True)]
    assert perform(kernel, [*ALL, *long, *(pairs(2) if harts == 1 else ())], harts, seed=seed).divergence is None


def test_a_hart_that_walks_other_tables_is_found(kernel, monkeypatch):
    monkeypatch.setattr(player.Player, "harts", lambda self: [(0, self.conductor.root ^ 0x1000)])
    assert perform(kernel, []).divergence.what is Differs.SATP

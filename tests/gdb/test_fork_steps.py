"""shrimp-step: a fork in steps, each of them true, and nothing left behind."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from lab.kernels import tree, variant

TESTS = Path(__file__).resolve().parents[1]
STORM = TESTS / "gdb/programs/storm.c"
CUT = "set var kmem.freelist->next->next->next->next->next->next->next->next = 0"
BREAKPOINTS = "maint info breakpoints"      # internal ones too


def mutant(name: str) -> tree.Kernel:
    return variant.build(name, [TESTS / f"zoo/{name}.patch"])


@pytest.fixture
def forking(machine, session):
    """forking(kernel, cpus, typed): a GDB on a machine where the shell is about to fork; (machine, GDB)."""
    def start(kernel: tree.Kernel | None = None, cpus: int = 2, typed: str = "echo hello"):
        one = machine(cpus, **({"kernel": kernel} if kernel else {}))
        gdb = session(one)
        one.send(typed)
        return one, gdb
    return start


def waiting(gdb, one, command: str = "shrimp-step") -> None:
    gdb.tell(command)
    gdb.until("waiting for fork")
    gdb.until_it_runs()


def test_each_thing_that_builds_the_child_is_a_step_and_the_machine_stays_there(forking):
    _, gdb = forking()
    said = [gdb.ask("shrimp-step") for _ in range(15)]
    titles = [re.search(rf"^{n}  (.*)$", text, re.M)[1] for n, text in enumerate(said, 1)]
    assert titles[0] == "pid 2 (sh) calls fork"
    assert [re.sub("0x[0-9a-f]+", "X", t) for t in titles[1:]] == [
        "Frame X is allocated"] * 3 + ["Frame X for a page table"] * 2 + [
        "Trampoline of the child is mapped", "Trapframe of the child is mapped", "FRY of the child is mapped",
        "SHRIMP of the child is mapped", "The user image is copied: 9 pages", "pid 3: sz is X",
        "pid 3 is called sh", "pid 3 has a parent", "pid 3 is RUNNABLE"]
    assert "| mappages(pagetable, FRY, PGSIZE," in said[8] and "fork > allocproc > proc_pagetable" in said[8]
    assert [re.search("pairing (.*?):", text)[1] for text in said] == \
        ["none"] + ["pending"] * 8 + ["holds"] * 6
    assert "and 6 more such entries" in said[10]
    assert "end: pid 3 can run; 15 steps, 16 frames allocated" in said[14]
    assert re.search(r"^ +3 +2 +RUNNABLE", gdb.ask("xv6-ps"), re.M)


def test_a_step_tells_the_entry_that_memory_has(forking):
    _, gdb = forking()
    for _ in range(9):
        said = gdb.ask("shrimp-step")
    at, after, frame = re.search(r"\+ pid 3 pte 0x3fffffd000: entry at (0x\w+) \(level 0\) 0x0 -> (0x\w+), (0x\w+) VRW-U",
                                 said).groups()
    assert int(gdb.ask(f"monitor xp /1gx {at}").split(":")[1], 16) == int(after, 16)
    assert int(after, 16) >> 10 << 12 == int(frame, 16)
    assert f"FRY: frame {frame}, which no other process maps" in " ".join(said.split())
    assert gdb.ask(BREAKPOINTS).startswith("No breakpoints")
    # The line that did it is the selected frame's.
    assert " proc_pagetable (" in gdb.ask("frame")


def test_an_empty_line_goes_on_and_does_not_begin_another(forking):
    _, gdb = forking()
    gdb.tell("shrimp-step")
    gdb.until("there is no child")
    gdb.tell("")
    gdb.until("2  Frame 0x")
    gdb.until("pairing pending")
    gdb.tell("")
    gdb.until("3  Frame 0x")
    gdb.tell("shrimp-step -finish")
    gdb.until("end: pid 3 can run")
    assert "waiting" not in gdb.ask("")


def test_every_page_is_a_step_when_asked(forking):
    _, gdb = forking()
    gdb.ask("shrimp-step sh -every")
    said = gdb.ask("shrimp-step -finish")
    assert re.findall(r"^\d+  Page (0x\w+) of the child is mapped$", said, re.M) == [hex(4096 * n) for n in range(9)]
    assert "is copied" not in said and "16 frames allocated" in said


@pytest.fixture(scope="module")
def film(kernel, tmp_path_factory):
    """A recording of echo's whole life, made through the stub alone."""
    from lab.machines import debugger
    from lab.machines.machine import Machine
    path = tmp_path_factory.mktemp("film") / "film.json"
    with Machine(kernel, 3) as one:
        one.boot()
        with debugger.Session(kernel.elf, one.gdb_target) as gdb:
            one.send("echo hello")
            said = gdb.ask("set shrimpy reader remote", f"shrimp-step -record {path}", "maint packet qqemu.PhyMemMode",
                           BREAKPOINTS)
    assert f"{path}: 32 steps" in said and 'received: "0"' in said and "No breakpoints" in said, said
    return json.loads(path.read_text())


def test_a_film_has_the_childs_whole_life(film):
    assert {k: v for k, v in film.items() if k not in ("steps", "kernel")} == {
        "schema": "shrimpy-film", "version": 1, "function": "fork", "parent": 2, "child": 3}
    phases = [step["phase"] for step in film["steps"]]
    assert phases[0] == "start" and phases[-1] == "end" and film["steps"][0]["changes"] == []
    for phase in ("frame", "table", "map", "fry", "shrimp", "copy", "state", "exec", "exit", "wait", "unmap", "free"):
        assert phase in phases, phase
    for step in film["steps"]:
        assert step["snapshot"]["schema"] == "shrimpy-snapshot" and step["snapshot"]["version"] == 1
        assert len(step["title"]) <= 60 and step["caption"] and step["at"]["file"].startswith("kernel/")
    pairs = [step["pairing"]["state"] for step in film["steps"]]
    assert pairs[0] == "none" and pairs[1:] == sorted(pairs[1:], key=["pending", "holds", "none"].index)
    fry = [m["pa"] for p in film["steps"][-1]["snapshot"]["processes"] if p["pid"] == 2 for m in p["mappings"]
           if m["region"] == "fry"]
    shared = next(s for s in film["steps"] if s["phase"] == "shrimp")
    assert shared["changes"][-1]["after"].split()[0] == fry[0] and f"frame {fry[0]} is now mapped" in shared["caption"]
    freed = next(s for s in film["steps"] if s["title"].startswith(f"Frame {fry[0]}"))
    assert "1 user left (pid 2 at FRY)" in freed["caption"].replace("leaves 1", "1 user left")


def test_a_films_changes_are_those_of_its_snapshots(film):
    """An entry that a step says it wrote is in that step's tables, and was not in those of the step before."""
    def leaves(step):
        return {(p["pid"], m["va"]): m for p in step["snapshot"]["processes"] for m in p["mappings"]}
    n_entries = 0
    for before, step in zip(film["steps"], film["steps"][1:]):
        if step["title"].startswith("exec: ") and step["phase"] != "exec":
            continue                    # of the table that no process has yet
        was, now = leaves(before), leaves(step)
        for c in step["changes"]:
            if c["what"] == "pte":
                n_entries += 1
                at = c["pid"], c["va"]
                assert (at in was, at in now) == {"+": (False, True), "-": (True, False), "~": (True, True)}[c["kind"]]
                if at in now:
                    assert (now[at]["pte"], now[at]["pte_at"]) == (c["pte_after"], c["pte_at"])
                else:
                    assert was[at]["pte"] == c["pte_before"] and c["pte_after"] in ("0x0", None)
    assert n_entries >= 15


@pytest.mark.parametrize("name, title, said", [
    ("two-frames", "SHRIMP of the child is mapped", r"but pid 2 has frame 0x\w+ at FRY: what one stores there the other "
     r"never sees. It is a frame that this fork took."),
    ("runs-too-early", "pid 3 is RUNNABLE", r"pairing broken: pid 3 is RUNNABLE and has nothing at SHRIMP: it must be "
     r"frame 0x\w+, FRY of pid 2"),
    ("value-mapped", "FRY of the child is mapped", "The child's own page is frame 0x0, but 0x0 is not in RAM"),
    ("fry-without-u", "FRY of the child is mapped", "U is clear: a program that touches it faults"),
])
def test_what_a_kernel_does_wrong_is_what_the_step_says(forking, name, title, said):
    _, gdb = forking(mutant(name))
    for _ in range(40):
        text = " ".join(gdb.ask("shrimp-step").split())
        if title in text:
            break
    assert re.search(said, text), text


def test_roles_swapped_are_seen_in_the_parents_table(machine, session):
    one = machine(1, kernel=mutant("roles-swapped"), boot=False, paused=True)
    gdb = session(one)
    gdb.ask("shrimp-step init")
    said = gdb.ask("shrimp-step -finish")
    assert "SHRIMP of the parent is changed" in said and "SHRIMP of the child" not in said
    assert "pairing broken: pid 2 is RUNNABLE and has nothing at SHRIMP" in said


@pytest.mark.parametrize("kernel_of, told", [
    (lambda: None, r"All of the \d frames that it took were given back: nothing is lost"),
    (lambda: mutant("no-memory-leaks"), r"nobody has 0x\w+, and the allocator neither: lost"),
], ids=["ours", "no-memory-leaks"])
def test_a_fork_that_runs_out_of_memory_is_undone_in_view(forking, kernel_of, told):
    _, gdb = forking(kernel_of(), cpus=1)
    gdb.ask("shrimp-step")
    gdb.ask(CUT)
    said = " ".join(gdb.ask("shrimp-step -finish").split())
    assert "Copying the user image fails" in said and "fork fails: it returns -1" in said
    assert re.search(told, said), said
    assert "end: fork made no child" in said


def test_what_a_child_inherits_of_segments_detaches_and_attaches_are_steps(machine, session, tmp_path):
    one = machine(1, kernel=variant.build("attached", programs=[TESTS / "gdb/programs/attached.c"]))
    gdb = session(one)
    one.send("attached")
    said = gdb.ask(f"shrimp-step attached -record {tmp_path}/film.json")
    film = json.loads((tmp_path / "film.json").read_text())
    steps, child = film["steps"], film["child"]
    told = [(step["title"], c["kind"]) for step in steps for c in step["changes"] if c["what"] == "attachment"]
    assert told == [(f"pid {child} inherits 1 attachment", "+"), (f"pid {child} detaches shm.segments[0]", "-"),
                    (f"pid {child} attaches shm.segments[0]", "+"), (f"pid {child} is a ZOMBIE", "-")], said
    assert "Nothing is copied" not in next(step["caption"] for step in steps if step["phase"] == "copy")


# Whoever else forks

@pytest.mark.parametrize("_try", [0, *(pytest.param(n, marks=pytest.mark.soak) for n in range(1, 40))])
def test_other_forks_at_the_same_time_are_not_mistaken_for_this_one(machine, session, tmp_path, _try):
    """Two harts that stop at once are told as one stop: what the other did may not get lost."""
    one = machine(2, kernel=variant.build("storm", programs=[STORM]))
    one.send("storm 3 &")
    one.wait_for("storm: ready")
    gdb = session(one)
    one.send("echo hello")
    said = gdb.ask(f"shrimp-step sh -record {tmp_path}/film.json")
    assert "32 steps" in said, said
    film = json.loads((tmp_path / "film.json").read_text())
    storms = [p["pid"] for p in film["steps"][0]["snapshot"]["processes"] if p["name"] == "storm"]
    assert len(storms) >= 4 and film["parent"] == 2
    assert {c["pid"] for step in film["steps"] for c in step["changes"]} == {film["child"]}
    assert [s["title"] for s in film["steps"] if s["phase"] == "copy"] == ["The user image is copied: 9 pages"]


# What ends it

def test_ctrl_c_while_it_waits_leaves_nothing(machine, session):
    one = machine(1)
    gdb = session(one)
    waiting(gdb, one)
    gdb.interrupt()
    said = gdb.ask(BREAKPOINTS)
    assert "shrimp-step: stopped by Ctrl-C in " in said and "No breakpoints" in said, said
    one.send("echo alive")
    gdb.tell("continue")
    one.wait_for("\nalive")


def test_ctrl_c_in_the_moment_of_continue_stops_the_machine(machine, session):
    """GDB gives it to the Python that hears of the event, and would wait for ever for a stop that nobody asks for."""
    gdb = session(machine(1))
    gdb.ask("python\nimport os, signal\nfrom shrimpy.live.session import session\nwas = session._goes_on\n"
            "def hit():\n  session._goes_on = was\n  os.kill(os.getpid(), signal.SIGINT)\n  was()\n"
            "session._goes_on = hit\nend")
    said = gdb.ask("continue")
    assert "SIGINT" in said and "Python Exception" not in said, said


def test_a_machine_that_ends_ends_it_in_words(machine, session):
    one = machine(1)
    gdb = session(one)
    waiting(gdb, one)
    one.stop()
    said = gdb.ask(BREAKPOINTS)
    assert "the machine ended before the fork was done" in said and "No breakpoints" in said, said


def test_continue_gives_it_up_and_is_not_stopped_by_it(forking):
    one, gdb = forking()
    for _ in range(5):
        gdb.ask("shrimp-step")
    gdb.tell("continue")
    one.wait_for("\nhello")
    one.wait_for(r"\$ ")
    gdb.interrupt()
    said = gdb.ask(BREAKPOINTS)
    assert "the fork of pid 2 is not stepped through any more" in said and "No breakpoints" in said, said
    waiting(gdb, one)
    one.send("echo again")
    gdb.until("1  pid 2 (sh) calls fork")


def test_the_persons_own_steps_inside_fork_do_not_end_it(forking):
    _, gdb = forking()
    gdb.ask("shrimp-step")
    gdb.ask("next 2")
    assert "Trapframe of the child" not in gdb.ask("shrimp-step")
    said = gdb.ask("shrimp-step -finish")
    assert "waiting" not in said and "end: pid 3 can run" in said
    assert "pairing holds" in said


def test_a_breakpoint_of_the_persons_ends_it_there(forking):
    _, gdb = forking()
    gdb.ask("shrimp-step")
    gdb.ask("break uvmcopy")
    said = gdb.ask("shrimp-step -finish")
    assert "FRY of the child is mapped" in said
    assert "shrimp-step: stopped by your breakpoint 1 in uvmcopy" in said
    said = gdb.ask(BREAKPOINTS)
    assert re.findall(r"^(-?\d+) ", said, re.M) == ["1"], said
    assert " uvmcopy (" in gdb.ask("frame")


@pytest.mark.parametrize("how", ["kill", "detach"])
def test_kill_and_detach_end_it(forking, how):
    _, gdb = forking()
    gdb.ask("shrimp-step")
    said = gdb.ask(how) + gdb.ask(BREAKPOINTS)
    assert "is not stepped through any more" in said and "No breakpoints" in said, said
    assert "no machine" in gdb.ask("shrimp-step")


def test_slips_are_one_line_and_end_nothing(forking, tmp_path):
    _, gdb = forking()
    for command, line in [
            ("shrimp-step 99", "no process has pid 99; pids: 1, 2"),
            ("shrimp-step nosuch", "no process and no program is called 'nosuch'; processes: init, sh"),
            ("shrimp-step -record", "expected FILE after -record"),
            (f"shrimp-step -record {tmp_path}/no/film.json", f"{tmp_path}/no: No such file or directory"),
            (f"shrimp-step -record {tmp_path}", f"{tmp_path}: Is a directory")]:
        said = gdb.ask(command)
        assert said.startswith(f"shrimp-step: {line}") and said.count("\n") == 1, said
    gdb.ask("shrimp-step 2")
    said = gdb.ask("shrimp-step init")
    assert said == "shrimp-step: the fork of pid 2 (sh) is being stepped through; first, try: shrimp-step -finish\n"
    assert "2  Frame 0x" in gdb.ask("shrimp-step")
    assert list(tmp_path.iterdir()) == []


def test_tab_offers_pids_and_names(forking):
    _, gdb = forking()
    assert {"shrimp-step 1", "shrimp-step 2", "shrimp-step sh", "shrimp-step init", "shrimp-step wc"} <= \
        set(gdb.ask("complete shrimp-step ").splitlines())
    assert "shrimp-step -finish\n" in gdb.ask("complete shrimp-step -f")


def test_what_a_fork_costs_in_stops(forking):
    """Every stop of the machine is a round of packets: a fork of fourteen steps may not take hundreds."""
    _, gdb = forking(cpus=1)
    gdb.ask("python n = [0]")
    gdb.ask("python gdb.events.stop.connect(lambda event: n.__setitem__(0, n[0] + 1))")
    gdb.ask("shrimp-step")
    gdb.ask("shrimp-step -finish")
    assert 14 < int(gdb.ask("python print(n[0])")) < 60


def test_a_kernel_without_fork_is_told_in_one_line(machine, session):
    one = machine(1, kernel=variant.build("no-fork", variables=["EXTRA_CFLAGS=-Dfork=divide"]))
    gdb = session(one)
    for command in ("shrimp-step", "shrimp-step sh -finish", "shrimp-step 2"):
        said = gdb.ask(command)
        assert said.startswith("shrimp-step: expected a function fork or kfork in ") and said.count("\n") == 1, said
    assert gdb.ask(BREAKPOINTS).startswith("No breakpoints")

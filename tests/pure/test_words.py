"""The sentences of verdicts and findings: a golden file has each of them once; `make golden` writes it anew."""

import dataclasses
import inspect
import json
from pathlib import Path

import pytest
from judging import parts
from machine import family
from shrimpy.reasons import KERNEL, MOMENT, Holder, Kind, Named, Reason, Subject
from shrimpy.rules import FAIL, RULES, SKIPPED, evaluate
from shrimpy.show import text
from shrimpy.spec import Cell, Differs, Divergence, Do, Op
from shrimpy.words import explain, findings, pairing, rules, verdicts

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "rules.md"

SH, DEMO, INIT = Named(2, "sh"), Named(5, "shrimpdemo"), Named(1, "init")
FRAME, WANTED, VA = 0x87F40000, 0x87F3F000, 0x3FFFFFC000
FRY_OF_DEMO = Holder("user", DEMO, "FRY", 0x3FFFFFD000)
SEGMENT = "shm.segments[1]"
TEXT_OF_SH = Holder("user", SH, None, 0x3000)
HALF_MADE = Reason(Kind.HALF_MADE, 4)
K = Kind

OPS = (Op(0, Do.FORK, 2), Op(2, Do.FORK, 3), Op(3, Do.EXEC), Op(3, Do.EXEC), Op(3, Do.EXEC), Op(2, Do.EXIT), Op(0, Do.WAIT))
EVERY_OP = tuple(Op(3, each, 1, "FRY") for each in Do) + tuple(Op(3, Do.EXEC_FAILS, n) for n in (0, 2, 3, 4)) + (
    Op(3, Do.EXEC, 2), Op(2, Do.WAIT))
THIRD = Cell(3, "SHRIMP")
OF_SEGMENT = Cell(3, "", 2, 1, 1)
DIVERGENCES = [
    Divergence(Differs.PANICKED, OPS[:1], text="kfree: frame is free"), Divergence(Differs.HANGS, OPS[:1]),
    Divergence(Differs.HANGS, OPS[:1], Cell(2)), Divergence(Differs.DIED, OPS[:1], Cell(0)),
    Divergence(Differs.LIVES, OPS, Cell(2)), Divergence(Differs.LIVES, OPS, seen=9), Divergence(Differs.PARENT, OPS, Cell(3), seen=2),
    Divergence(Differs.ANSWER, OPS[:1], Cell(0), seen=-1), Divergence(Differs.ANSWER, OPS[:4], Cell(3), seen=0, expected=-1),
    Divergence(Differs.SEEN, OPS, THIRD, "orphan", seen=0, expected=0x5CA1AB1E00000001),
    Divergence(Differs.SATP, OPS, THIRD, seen=FRAME, expected=WANTED), Divergence(Differs.MISSING, OPS, THIRD, "orphan"),
    Divergence(Differs.FLAGS, OPS, THIRD, seen=0x13),
    Divergence(Differs.NOT_SHARED, OPS, THIRD, "exec", Cell(2, "FRY"), seen=FRAME, expected=WANTED),
    Divergence(Differs.NOT_SHARED, OPS, Cell(0, "SHRIMP"), seen=FRAME, expected=WANTED),
    Divergence(Differs.SHARED, OPS, THIRD, None, Cell(2, "FRY"), seen=FRAME),
    Divergence(Differs.MOVED, OPS, Cell(3, "FRY"), "exec", seen=FRAME, expected=WANTED),
    Divergence(Differs.CONTENT, OPS, THIRD, seen=0, expected=7, index=3, written=True),
    Divergence(Differs.CONTENT, OPS, THIRD, "zeroed", seen=7, expected=0, index=3),
    Divergence(Differs.CROWD, EVERY_OP, Cell(3, "FRY"), seen=FRAME, expected=WANTED, pid=30),
    Divergence(Differs.CROWD, OPS, Cell(3, "FRY"), "zeroed", seen=FRAME, expected=0, pid=30, index=0),
    Divergence(Differs.CROWD, (Op(2, Do.CHAIN, 16),), Cell(2, "FRY"), seen=FRAME, expected=WANTED, pid=30),
    Divergence(Differs.ANSWER, (Op(2, Do.CHURN, 150),), Cell(2), seen=7, expected=150),
    Divergence(Differs.STATUS, OPS, Cell(2), seen=0, expected=42),
    Divergence(Differs.CROWD, OPS, Cell(3, "FRY"), seen=0, pid=30), Divergence(Differs.LEAK, OPS, seen=2),
    Divergence(Differs.FLAGS, OPS, OF_SEGMENT, "segments", seen=0x17), Divergence(Differs.MAPPED, OPS, OF_SEGMENT, "segments", seen=FRAME),
    Divergence(Differs.MISCOUNTED, OPS, Cell(3, segment=2), "segments", seen=1, expected=2),
    Divergence(Differs.ANSWER, OPS, Cell(3), "segments", seen=-2), Divergence(Differs.ANSWER, OPS, Cell(3), "segments", seen=5, expected=-1),
    Divergence(Differs.CONTENT, OPS, OF_SEGMENT, "segments", seen=0, expected=7, index=3, written=True)]

SAMPLES = [
    HALF_MADE, Reason(K.NO_SUCH_STATE, 4, state="?7"), Reason(K.PROCESS_LOCKED, 4), Reason(K.NOT_WALKED, 4),
    Reason(K.BEING_BURIED, 4, because=Reason(K.PROCESS_LOCKED, 2)), Reason(K.PLACE_UNKNOWN, 4), Reason(K.INTERRUPTED, 4),
    Reason(K.ON_NO_HART, 4), Reason(K.IN_KERNEL, 4, hart=0, function="uvmunmap"), Reason(K.IN_KERNEL, 4, hart=0),
    Reason(K.STACK_UNKNOWN, 4), Reason(K.WAITS_INSIDE, 4, function="exec"), Reason(K.STARTING),
    Reason(K.HART_ALLOCATES, hart=1, function="kfree"), Reason(K.LOCK_HELD, lock="kmem", hart=1), Reason(K.LOCK_HELD, lock="kmem"),
    Reason(K.NOT_ENDED), Reason(K.HELD_BACK, because=HALF_MADE, stands=Reason(K.NO_OWNER, n=3, total=1)),
    Reason(K.HELD_BACK, because=HALF_MADE, stands=Reason(K.COUNTS_DIFFER, n=2)), Reason(K.AT_EARLIER_STOP, because=HALF_MADE),
    Reason(K.PROCESSES_UNKNOWN, detail=findings.no_process_type()), Reason(K.NO_FREE_LIST), Reason(K.FREE_LIST_NOT_WALKED),
    Reason(K.FREE_LIST_BROKEN), Reason(K.IMAGE_END_UNKNOWN), Reason(K.NO_KERNEL_TABLE), Reason(K.TABLES_NOT_FOLLOWED, process=SH),
    Reason(K.KERNEL_TABLE_NOT_FOLLOWED), Reason(K.ALLOCATOR_UNKNOWN), Reason(K.MAYBE_A_POOL, n=100), Reason(K.NO_COUNTS),
    Reason(K.COUNTS_NOT_UNDERSTOOD, detail="memory"), Reason(K.TRUNCATED, detail=findings.truncated()), Reason(K.NO_ROOT, hart=1),
    Reason(K.PAGE_NOT_DEFINED, page="FRY"), Reason(K.NOTHING_HERE), Reason(K.FIRST_PROCESS), Reason(K.NO_PARENT), Reason(K.ZOMBIE),
    Reason(K.PARENT_WITHOUT_FRY, process=SH), Reason(K.ADOPTED), Reason(K.NO_SIBLINGS), Reason(K.NO_FRY), Reason(K.NO_SHRIMP),
    Reason(K.PAGES_GONE, state="ZOMBIE"), Reason(K.HAS_RUN), Reason(K.NO_ORPHAN), Reason(K.FIRSTS_PAGE, process=INIT), Reason(K.OTHERS_LOST, n=499),
    Reason(K.MAYBE_ANOTHERS, frame=FRAME, users=(TEXT_OF_SH,)), Reason(K.MAYBE_ANOTHERS, frame=FRAME, free=True),
    Reason(K.NOT_ALLOCATORS), Reason(K.NO_EARLIER),
    Reason(K.NO_EARLIER_RUN), Reason(K.LOOSE_IMAGE), Reason(K.CLONED, process=SH, function="clone"),
    Reason(K.SHRIMP_MISSING, wanted=WANTED, process=SH, function="exec"),
    Reason(K.SHRIMP_NOT_PARENTS, frame=FRAME, wanted=WANTED, process=SH, function="fork"),
    Reason(K.SHRIMP_NOT_PARENTS, frame=FRAME, wanted=WANTED, process=SH, function="exec", detail="FRY moved"),
    *(Reason(K.MISPLACED, page="SHRIMP", va=at, bound=VA + 8192, other_page=on) for at, on in (
        (VA - 4096, None), (VA + 8, None), (VA + 4096, "FRY"))),
    Reason(K.SHRIMP_WITHOUT_PARENT, frame=FRAME), Reason(K.SHRIMP_MISSING, wanted=WANTED, process=SH),
    Reason(K.SHRIMP_LOST, wanted=WANTED, process=INIT, other=SH), Reason(K.SHRIMP_LOST, wanted=WANTED, process=INIT),
    Reason(K.SHRIMP_LOST, process=INIT), Reason(K.SHRIMP_OF_ANOTHER, frame=FRAME, other=DEMO, process=INIT),
    Reason(K.SHRIMP_NOT_PARENTS, frame=FRAME, wanted=WANTED, process=SH, users=(FRY_OF_DEMO, TEXT_OF_SH)),
    Reason(K.SHRIMP_NOT_PARENTS, frame=FRAME, wanted=WANTED, process=SH, free=True),
    Reason(K.SHRIMP_NOT_PARENTS, frame=FRAME, wanted=WANTED, process=SH),
    Reason(K.SHRIMP_NOT_SIBLINGS, frame=FRAME, wanted=WANTED, process=SH),
    Reason(K.FRY_NOT_PRIVATE, frame=FRAME, processes=(SH, INIT)),
    *(Reason(K.FRY_NOT_PRIVATE, frame=FRAME, processes=(SH,), detail=how) for how in ("everybody's", "parent's", "given again")),
    Reason(K.FRY_USED_BY_OTHERS, frame=FRAME, users=(Holder("trapframe", SH),)),
    Reason(K.FRY_MISSING), Reason(K.WRONG_FLAGS, page="FRY", flags="VR-XUGA-", level=0),
    Reason(K.WRONG_FLAGS, page="SHRIMP", flags="VRW---AD", level=1), Reason(K.NOT_ZEROED, detail="junk"),
    Reason(K.NOT_ZEROED, detail="data"), Reason(K.ORPHAN_FREE, frame=FRAME), Reason(K.ORPHAN_REUSED, frame=FRAME, users=(TEXT_OF_SH,)),
    Reason(K.HEAP_TOO_LARGE, page="SHRIMP", bound=VA, n=VA + 4096, functions=("sys_sbrk", "growproc", "exec"), function="vmfault"),
    Reason(K.HEAP_TOO_LARGE, page="FRY", bound=VA, n=VA + 4096), Reason(K.PAGE_CHANGED, page="FRY", wanted=WANTED, frame=FRAME,
                                                                        is_new_table=True),
    Reason(K.PAGE_CHANGED, page="SHRIMP", wanted=WANTED), Reason(K.PAGE_CHANGED, page="SHRIMP", wanted=WANTED, other=SH),
    Reason(K.PAGE_CHANGED, page="FRY", wanted=WANTED, frame=FRAME, processes=(DEMO,)),
    Reason(K.KERNEL_PAGE_OPEN, page="trapframe", flags="VRW-U---"),
    Reason(K.WRITE_AND_EXECUTE, detail="heap", flags="VRWXU---"), Reason(K.IMAGE_OPEN, frame=0x80008000), Reason(K.NO_GUARD),
    Reason(K.BAD_PLACE, detail=findings.leaf_outside(0x1000, (0x80000000, 0x88000000)), pte=0x401),
    Reason(K.BAD_PLACE, detail=findings.root_outside(0x1000)),
    Reason(K.BAD_FORM, detail=findings.write_without_read(0x20000005), pte=0x20000005),
    Reason(K.ROOT_SHARED, frame=FRAME, process=SH), Reason(K.TABLE_SHARED, frame=FRAME, level=1, process=SH),
    Reason(K.TABLE_SHARED, frame=FRAME, level=1), Reason(K.TABLE_REPEATED, detail=findings.table_repeated(FRAME, WANTED), pte=0x401),
    Reason(K.LIST_UNSOUND, detail=findings.node_twice("kmem.freelist", 7, FRAME)),
    Reason(K.FREE_IN_USE, frame=FRAME, users=(FRY_OF_DEMO,), n=1),
    Reason(K.FREE_IN_USE, frame=FRAME, users=(Holder("table", SH, None, 0),), n=3),
    Reason(K.KERNEL_FREE_IN_USE, frame=FRAME, users=(Holder("pipe"),)), Reason(K.NEVER_MADE, frame=FRAME),
    Reason(K.LOST, users=(FRY_OF_DEMO,), label="kmem.refs", value=1, is_shrimpy=True), Reason(K.LOST),
    Reason(K.MORE_LOST, n=5, total=21),
    Reason(K.NOT_RETURNED, frame=FRAME, users=(Holder("kernel", None, None, None, "proc[3].fry"),), n=2),
    Reason(K.MISCOUNTED, frame=FRAME, label="kmem.refs", value=2, bound=3, users=(FRY_OF_DEMO, TEXT_OF_SH), n=3, total=4),
    Reason(K.MISCOUNTED, frame=FRAME, label="kmem.refs", value=2, bound=1, users=(FRY_OF_DEMO, TEXT_OF_SH), n=2, total=1),
    Reason(K.MISCOUNTED, frame=FRAME, label="kmem.refs", value=1, bound=0, free=True, n=0, total=1),
    Reason(K.SATP_NOT_ROOT, hart=1, value=0x8000000000087F40, frame=FRAME, wanted=WANTED, process=SH),
    Reason(K.SATP_NOT_ROOT, hart=1, value=0),
    Reason(K.PANICKED, function="panic", functions=("freewalk", "freewalk", "uvmfree", "exec"), detail="freewalk: leaf", hart=0,
           process=SH, va=VA, page="SHRIMP"),
    Reason(K.PANICKED, function="panic", process=SH), Reason(K.PANICKED, function="panic"), Reason(K.NOT_PLAYED), Reason(K.NO_USER_MODE),
    Reason(K.NO_SEGMENTS), Reason(K.NO_SEGMENT), Reason(K.SEGMENTS_UNKNOWN, function="sys_shmget"), Reason(K.NO_ATTACHMENT),
    Reason(K.NONE_REMOVED), Reason(K.NO_EXEC), Reason(K.ATTACHED_UNKNOWN), Reason(K.ATTACHED_UNKNOWN, label="refcnt"),
    Reason(K.MAPPED_AT_TOUCH), Reason(K.BELOW_SZ), Reason(K.MAY_BE_NEW),
    Reason(K.ATTACHED_MISCOUNTED, label=SEGMENT, detail="shm_nattch", value=1, n=2, users=(Holder("user", SH, None, 0x3000),) * 2),
    Reason(K.ATTACHED_MISCOUNTED, label=SEGMENT, value=1, n=0),
    *(Reason(K.ATTACHED_RIGHTS, label=SEGMENT, flags=flags, level=level, state=state) for flags, level, state in (
        ("VRW-U---", 0, "read-only"), ("VR--U---", 0, "writable"), ("VRWX----", 1, None))),
    *(Reason(K.ATTACHED_PAGE, label=SEGMENT, va=VA, n=1, frame=frame, wanted=WANTED) for frame in (None, FRAME)),
    Reason(K.ATTACHED_GONE, label=SEGMENT, va=VA), Reason(K.ATTACHED_STRAY, label=SEGMENT, va=VA, n=1),
    Reason(K.ATTACHED_PLACE, label=SEGMENT, va=0x4000, bound=0x6000, page="heap", value=0x5000),
    Reason(K.ATTACHED_PLACE, label=SEGMENT, va=VA, bound=VA + 8192, page="SHRIMP"), Reason(K.ATTACHED_KEPT, label=SEGMENT, va=VA),
    Reason(K.SEGMENT_SHORT, label=SEGMENT, value=5000, n=1, bound=2),
    *(Reason(K.SEGMENT_SHARED, label=SEGMENT, frame=FRAME, detail=other) for other in ("shm.segments[0]", SEGMENT)),
    Reason(K.SEGMENT_KEY, label=SEGMENT, value=0x1234, detail="shm.segments[0]"), Reason(K.SEGMENT_OVER, label=SEGMENT, n=2, value=1),
    Reason(K.SEGMENT_OVER, label=SEGMENT, n=1, value=0),
    *(Reason(K.DIVERGED, played=each) for each in DIVERGENCES),
]

SUBJECTS = [KERNEL, Subject("kernel-table"), Subject("ram"), Subject("allocator"), Subject("process", SH), Subject("children", SH),
            Subject("frames", pa=FRAME), Subject("frames", pa=FRAME, n_pages=3), Subject("list", label="kmem.freelist"),
            Subject("counts", label="kmem.refs"), Subject("segment", label=SEGMENT)]

ARGUMENTS = {"root": FRAME, "n": 3, "pa": FRAME, "error": "it is gone", "pte": 0x401, "size": 0x200000,
             "ram": (0x80000000, 0x88000000), "first": WANTED, "name": "kmem.freelist", "node": FRAME, "what": "a struct proc",
             "bounds": (0x80020000, 0x88000000), "address": 0x1000, "n_found": 2, "n_tables": 1, "file": "kernel",
             "wanted": "struct proc", "objects": ("proc.o", "kalloc.o", "vm.o"), "most": 2, "how": "-g1"}


def sentences():
    """Every sentence, by what it is about."""
    yield "rules\n"
    yield from (f"{one}: {said}\n" for one, said in rules.STATEMENTS.items())
    yield "\nsubjects\n"
    yield from (f"{one.kind}: {verdicts.subject(one)}\n" for one in SUBJECTS)
    yield f"several: {verdicts.subjects(SUBJECTS[4:], 9)}\n"
    yield f"several: {verdicts.subjects([Subject('process', one) for one in (SH, DEMO, INIT)], 3)}\n"
    yield f"several: {verdicts.subjects([Subject('frames', pa=FRAME + 4096 * i) for i in range(9)], 20)}\n"
    again = [Subject("process", Named(one.pid, name)) for name in ("sh", "player") for one in (SH, DEMO)]
    yield f"several: {verdicts.subjects(again, 4)}\n"
    yield f"several: {verdicts.subjects([], 2)}\n"
    yield "\nfindings\n"
    for name, tell in sorted(vars(findings).items()):
        if inspect.isfunction(tell) and not name.startswith("_"):
            yield f"{name}: {tell(*(ARGUMENTS[each] for each in inspect.signature(tell).parameters))}\n"
    yield "\npairing\n"
    for why in pairing.Paired:
        yield f"{why.value}: {pairing.text(why, 3, 6, 'fork', 'RUNNABLE', FRAME, WANTED, list(pairing.Flaw))}\n"
    yield "\nverdicts\n"
    for reason in SAMPLES:
        yield f"{reason.kind.value}: {verdicts.why(reason)}\n"
        for said in (verdicts.expected, verdicts.actual, verdicts.explanation):
            if said(reason) is not None:
                yield f"    {said.__name__}: {said(reason)}\n"


def test_every_sentence_is_as_its_golden_file_has_it(golden):
    golden("words.txt", "".join(sentences()))


def test_the_reference_in_docs_is_the_golden_text_that_the_commands_print(request):
    made = explain.markdown(tuple(rule.id for rule in RULES if rule.beyond_handout))
    if request.config.getoption("--golden"):
        REFERENCE.write_text(made, encoding="utf-8")
    assert made == REFERENCE.read_text(encoding="utf-8"), "docs/rules.md says otherwise: `make golden` writes it anew"
    assert list(explain.EXPLAINED) == [rule.id for rule in RULES]


@pytest.mark.parametrize("rule", explain.EXPLAINED)
def test_each_rule_is_explained_and_each_failure_says_what_to_type(rule):
    said = text.indented(explain.plain(rule), 72)
    assert said.startswith(f"{rule}: ") and all(len(line) <= 72 for line in said.splitlines())
    assert all(head in said for head in ("What it means", "Why it matters", "What usually breaks it", "How to look further"))
    bare = explain.commands(rule)
    assert bare[-1] == f"shrimp-explain {rule}" and not any("{" in one for one in bare)
    full = explain.commands(rule, 4, 0x3000, 0x87F40000)
    assert len(full) == len(explain.EXPLAINED[rule].looks) + 1 and not any("{" in one for one in full)


def test_what_to_type_in_a_shell_names_the_tree_and_the_scenario():
    assert explain.targets("shrimp-pair", "a tree", "family") == ("make film KERNEL='a tree'", "make check KERNEL='a tree' ONLY=family OUT=marks")
    assert explain.targets("frames-conserved", "") == ()


def test_every_kind_has_a_sample_and_every_rule_a_statement():
    assert {each.kind for one in SAMPLES for each in parts(one)} == set(Kind)
    assert {each.what for each in DIVERGENCES} == set(Differs)
    assert set(rules.STATEMENTS) == {rule.id for rule in RULES}


@pytest.mark.parametrize("reason", SAMPLES, ids=lambda one: one.kind.value)
def test_json_has_the_data_that_a_reason_has_and_no_other(reason):
    data = json.loads(json.dumps(reason.to_data()))
    told = {f.name for f in dataclasses.fields(reason) if getattr(reason, f.name) not in (None, ()) and
            getattr(reason, f.name) is not False}
    assert data["kind"] == reason.kind.value and data.keys() == told


@pytest.mark.parametrize("name", ["USED", "is held", "frame 0x87f40000", "; as it stands: "])
def test_what_a_process_is_called_decides_nothing(name):
    m = family()
    p = m.processes[4]
    m.unmap(p.root, 0x3FFFFFC000)
    m.alloc()
    plain = [(v.rule, v.status, v.because, v.reason and v.reason.kind) for v in evaluate(m.snapshot())]
    snapshot = m.snapshot()
    renamed = dataclasses.replace(snapshot, processes=tuple(dataclasses.replace(q, name=name) for q in snapshot.processes))
    assert [(v.rule, v.status, v.because, v.reason and v.reason.kind) for v in evaluate(renamed)] == plain
    assert {FAIL, SKIPPED} <= {status for _, status, _, _ in plain} and MOMENT not in {because for _, _, because, _ in plain}

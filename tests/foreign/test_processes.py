"""Kernels that have no array proc[]: their processes are found by the types, wherever pointers lead, or it is said once
that they are not, and what needs none of them works."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lab.kernels import tree
from lab.machines import debugger
from lab.machines.machine import Machine

import trees

Edits = list[trees.Edit]

BY_CPU = [("kernel/proc.h", r"  uint64 slot = [^}]*", """\
  uint64 before = csr_read(sstatus);
  csr_clear(sstatus, SSTATUS_SIE);
  struct proc *p = mycpu()->proc;
  if (before & SSTATUS_SIE)
    csr_set(sstatus, SSTATUS_SIE);
  return p;
""")]
EACH = r"for \(struct proc \*p = proc; p < proc \+ NPROC; p\+\+\) \{"
MAKE = r"    struct proc \*p = &proc\[slot\];\n"
TABLE = ("kernel/proc.c", r"struct proc proc\[NPROC\];")
EXTERN = r"extern struct proc proc\[NPROC\];"

# An array of pointers, and a frame for each process.
POINTERS = BY_CPU + [
    (*TABLE, "struct proc *procs[NPROC];"), ("kernel/proc.h", EXTERN, "extern struct proc *procs[NPROC];"),
    ("kernel/proc.c", MAKE, "    struct proc *p = procs[slot] = kzalloc();\n"),
    ("kernel/proc.c", EACH, r"for (int i = 0; i < NPROC; i++) {\n    struct proc *p = procs[i];")]

# Links of a list in each, as Linux has them, other names for everything, and several processes to a frame.
LIST = BY_CPU + [
    ("kernel/proc.h", r"enum procstate \{[^}]*\};", """\
enum task_status { TASK_FREE, TASK_NEW, TASK_BLOCKED, TASK_READY, TASK_RUNNING, TASK_DEAD };
#define UNUSED TASK_FREE
#define USED TASK_NEW
#define SLEEPING TASK_BLOCKED
#define RUNNABLE TASK_READY
#define RUNNING TASK_RUNNING
#define ZOMBIE TASK_DEAD
struct list_head {
  struct list_head *next, *prev;
};
"""),
    ("kernel/proc.h", r"struct proc \{\n", r"\g<0>  char why_i_am_here[24];\n  struct list_head all;\n"),
    ("kernel/proc.h", EXTERN, "extern struct list_head everybody;"),
    (*TABLE, "struct list_head everybody = {&everybody, &everybody};\nstatic char *pool;\n"
     "#define ENTRY(link) ((struct proc *)((char *)(link) - __builtin_offsetof(struct proc, all)))"),
    ("kernel/proc.c", MAKE, """\
    if (slot % 4 == 3)
      pool = kzalloc();
    struct proc *p = (struct proc *)(pool + slot % 4 * (PGSIZE / 4));
    p->all.next = everybody.next;
    p->all.prev = &everybody;
    everybody.next->prev = &p->all;
    everybody.next = &p->all;
"""),
    ("kernel/proc.c", EACH, "for (struct list_head *link = everybody.next; link != &everybody; link = link->next) {\n"
     "    struct proc *p = ENTRY(link);"),
    ("kernel/*.[ch]", r"\bstruct proc\b", "struct task"), ("kernel/*.[ch]", r"enum procstate\b", "enum task_status"),
    ("kernel/*.c", r"(?<!lk)->pid\b", "->tid"), ("kernel/proc.h", "int pid;", "int tid;"), ("kernel/proc.c", r"->parent\b", "->father"), ("kernel/proc.h", r"\*parent;", "*father;"),
    ("kernel/proc.h", r"pagetable_t pagetable;", "pagetable_t pgdir;"), ("kernel/*.c", r"(?<!im)->pagetable\b", "->pgdir"),
    ("kernel/proc.[ch]", r"(->|char )name(\b|\[16\])", r"\1comm\2"), ("kernel/exec.c", "->name", "->comm"),
    ("kernel/syscall.c", "->name", "->comm"), ("kernel/trap.c", "p->name", "p->comm"),
    ("kernel/*.[ch]", r"initproc", "first_task"), ("kernel/*.[ch]", r"(->|\*)proc\b(?=[;) ,=&])", r"\1current")]

# A hash table with a lock in each bucket, whose chains go through the processes.
HASH = BY_CPU + [
    (*TABLE, "static struct { struct spinlock lock; struct proc *chain; } by_number[7];"),
    ("kernel/proc.h", EXTERN, ""), ("kernel/proc.h", r"struct proc \{\n", r"\g<0>  struct proc *chained;\n"),
    ("kernel/proc.c", MAKE, """\
    struct proc *p = kzalloc();
    p->chained = by_number[slot % 7].chain;
    by_number[slot % 7].chain = p;
"""),
    ("kernel/proc.c", EACH, "for (int i = 0; i < 7; i++) for (struct proc *p = by_number[i].chain; p; p = p->chained) {")]

# An array, of which a part is in a struct thread elsewhere, and the rest of it in a struct in a variable.
THREADS = [
    ("kernel/proc.h", r"  uint64 kstack;.*\n", ""), ("kernel/proc.h", r"  struct trapframe \*trapframe;.*\n", ""),
    ("kernel/proc.h", r"  void \*chan;.*\n", ""), ("kernel/proc.h", r"  struct context context;.*\n(?=  struct file)", ""),
    ("kernel/proc.h", r"struct proc \{\n", """\
struct thread {
  void *chan;
  uint64 kstack;
  struct trapframe *trapframe;
  struct context context;
};
struct proc {
  struct thread *thread;
"""),
    ("kernel/*.c", r"->(chan|kstack|trapframe)\b", r"->thread->\1"), ("kernel/*.c", r"\bp->context", "p->thread->context"),
    (*TABLE, "struct everything world;\nstatic struct thread threads[NPROC];"),
    ("kernel/proc.h", EXTERN, "struct everything {\n  int n;\n  struct proc slots[NPROC];\n};\nextern struct everything world;"),
    ("kernel/proc.[ch]", r"\bproc\[slot\]", "world.slots[slot]"),
    ("kernel/proc.c", r"struct proc \*p = &world.slots\[slot\];\n", r"\g<0>    p->thread = &threads[slot];\n"),
    ("kernel/proc.c", r"p = proc; p < proc \+ NPROC", "p = world.slots; p < world.slots + NPROC")]

KINDS = {"pointers": POINTERS, "list": LIST, "hash": HASH, "threads": THREADS}


@pytest.fixture
def looked_at(tmp_path) -> Callable[..., list[str]]:
    """looked_at(edits, command, ...): what each command says of a machine that runs such a tree, with a family."""
    def look(edits: Edits, *commands: str, **how: object) -> list[str]:
        kernel = tree.prepare(str(trees.imitate(tmp_path / "lab", edits, programs=trees.PROGRAMS + " shrimpdemo", **how)))
        with Machine(kernel, 2) as machine:
            machine.boot()
            machine.send("shrimpdemo &")
            machine.wait_for(r"shrimpdemo: ready[^\n]*\n")
            said = debugger.checked(kernel.elf, [w for c in commands for w in (c, "echo @@\\n")], target=machine.gdb_target)
        return said.split("@@\n")[:-1]
    return look


@pytest.mark.limit(300)
@pytest.mark.parametrize("kind", KINDS)
def test_processes_are_found_where_the_types_lead(looked_at, tmp_path, kind):
    ps, check, _ = looked_at(KINDS[kind], "xv6-ps -json", "shrimp-check -json", f"xv6-snapshot {tmp_path}/s.json",
                             opt="-O2" if kind == "hash" else "-O")
    them = json.loads(ps[ps.index("["):])
    assert [(p["pid"], p["name"]) for p in sorted(them, key=lambda p: p["pid"])] == [
        (1, "init"), (2, "sh"), *((pid, "shrimpdemo") for pid in (3, 4, 5, 6))]
    parents = {p["pid"]: p["parent"] for p in them}     # which of its children has one is who was quicker
    assert (parents[1], parents[2], parents[3]) == (None, 1, 2)
    [grandchild] = [pid for pid in (4, 5, 6) if parents[pid] != 3]
    assert parents[parents[grandchild]] == 3
    assert all(p["calls"] and p["calls"][-1] in ("usertrap", "forkret") for p in them if p["state"] == "SLEEPING")
    verdicts = json.JSONDecoder().raw_decode(check[check.index("{"):])[0]["verdicts"]
    assert not [v for v in verdicts if v["status"] == "fail"]
    passed = {v["rule"] for v in verdicts if v["status"] == "pass"}
    assert passed >= {"shrimp-pair", "fry-private", "frames-conserved", "not-on-free-list", "count-matches", "no-panic"}, [
        (v["rule"], v["why"]) for v in verdicts if v["status"] == "skipped"]
    snapshot = json.loads((Path(tmp_path) / "s.json").read_text())
    assert not snapshot["findings"] and not snapshot["lost"]

// Processes, from allocproc to wait. Who runs when is sched.c's.
//
// Order of locks, outermost first; take them in this order only:
//   sleep locks: the segments'; an inode's, then a buffer's
//   what is slept on: wait_lock, tickslock, a pipe's, the log's, the disk's,
//     the console's, the uart's, a sleep lock's own spinlock
//   a sleep queue's
//   p->lock
//   the run queue's, slots.lock, kmem.lock, the tables of files, inodes and
//     buffers, printf's
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "spinlock.h"
#include "proc.h"
#include "defs.h"

struct proc proc[NPROC];
struct proc *initproc;       // the first process, parent of orphans

// Guards parent, children and sibling of all, and every change to ZOMBIE.
struct spinlock wait_lock;

static struct {
  struct spinlock lock;      // guards the rest
  struct proc *free;         // the UNUSED, through next
  int lastpid;
} slots;

extern char trampoline[];    // kernel.ld
static void forkret(void);

void procinit(void) {
  initlock(&wait_lock, "wait_lock");
  initlock(&slots.lock, "slots");
  for (int slot = NPROC - 1; slot >= 0; slot--) {
    struct proc *p = &proc[slot];
    initlock(&p->lock, "proc");
    p->kstack = KSTACK(slot);
    p->next = slots.free;
    slots.free = p;
  }
  schedinit();
}

// A slot with a new pid, in state USED: nobody but the caller touches it,
// except kill. 0 when all are taken.
static struct proc *takeslot(void) {
  acquire(&slots.lock);
  struct proc *p = slots.free;
  int pid = 0;
  if (p) {
    slots.free = p->next;
    pid = ++slots.lastpid;
  }
  release(&slots.lock);
  if (p == 0)
    return 0;

  acquire(&p->lock);
  p->next = 0;
  p->pid = pid;
  p->state = USED;
  release(&p->lock);
  return p;
}

// A page table with what is the same for every user address space: the
// trampoline, p's trapframe, and the shared pages that p has. 0 when memory
// is out.
pagetable_t proc_pagetable(struct proc *p) {
  pagetable_t pagetable = uvmcreate();
  if (pagetable == 0)
    return 0;
  if (mappages(pagetable, TRAMPOLINE, PGSIZE, (uint64)trampoline, PTE_R | PTE_X) < 0 ||
      mappages(pagetable, TRAPFRAME, PGSIZE, (uint64)p->trapframe, PTE_R | PTE_W) < 0 ||
      mappages(pagetable, FRY, PGSIZE, (uint64)p->fry, PTE_R | PTE_W | PTE_U) < 0 ||
      (p->shrimp && mappages(pagetable, SHRIMP, PGSIZE, (uint64)p->shrimp,
                             PTE_R | PTE_W | PTE_U) < 0)) {
    proc_freepagetable(pagetable, 0);
    return 0;
  }
  return pagetable;
}

// Undoes proc_pagetable and frees the sz bytes of user memory. The frames of
// trapframe, FRY and SHRIMP are the process's, not the table's: they stay.
void proc_freepagetable(pagetable_t pagetable, uint64 sz) {
  uvmunmap(pagetable, SHRIMP, (MAXVA - SHRIMP) / PGSIZE, 0);
  uvmfree(pagetable, sz);
}

// Everything p has goes, and its slot is free. p is USED by the caller alone,
// and in no list.
static void freeproc(struct proc *p) {
  if (p->nshm)
    shmleave(p);
  if (p->pagetable)
    proc_freepagetable(p->pagetable, p->sz);
  if (p->trapframe)
    kfree(p->trapframe);
  if (p->fry)
    kfree(p->fry);
  if (p->shrimp)
    kfree(p->shrimp);
  p->pagetable = 0;
  p->trapframe = 0;
  p->fry = p->shrimp = 0;
  p->sz = 0;
  p->name[0] = 0;

  acquire(&p->lock);
  p->state = UNUSED;
  p->pid = p->killed = p->xstate = 0;
  release(&p->lock);

  acquire(&slots.lock);
  p->next = slots.free;
  slots.free = p;
  release(&slots.lock);
}

// A process in state USED with its FRY page, a trapframe, and a page table
// that maps no program; it will begin in forkret. 0 when slots or memory are
// out.
static struct proc *allocproc(void) {
  struct proc *p = takeslot();
  if (p == 0)
    return 0;
  p->fry = kzalloc();
  p->trapframe = kzalloc();
  if (p->fry && p->trapframe)
    p->pagetable = proc_pagetable(p);
  if (p->pagetable == 0) {
    freeproc(p);
    return 0;
  }
  p->context = (struct context){.ra = (uint64)forkret, .sp = p->kstack + PGSIZE};
  return p;
}

static void start(struct proc *p) {
  acquire(&p->lock);
  setrunnable(p);
  release(&p->lock);
}

// The first process: no parent, no SHRIMP. forkret gives it its program.
void userinit(void) {
  initproc = allocproc();
  if (initproc == 0)
    panic("userinit");
  safestrcpy(initproc->name, "init", sizeof(initproc->name));
  start(initproc);
}

// Opening the disk sleeps, so the first process does it.
static void boot(struct proc *p) {
  char *argv[] = {"/init", 0};

  fsinit(ROOTDEV);
  p->cwd = namei("/");
  int argc = exec(argv[0], argv);
  if (argc < 0)
    panic("no /init");
  p->trapframe->a0 = argc;
}

// Where a new process begins, switched to by scheduler().
static void forkret(void) {
  struct proc *p = myproc();
  release(&p->lock);
  if (p->cwd == 0)
    boot(p);
  enteruser();
}

// The parent's FRY becomes the child's SHRIMP. 0, or -1 without memory.
static int sharefry(struct proc *p, struct proc *np) {
  if (mappages(np->pagetable, SHRIMP, PGSIZE, (uint64)p->fry, PTE_R | PTE_W | PTE_U) < 0)
    return -1;
  kdup(p->fry);
  np->shrimp = p->fry;
  return 0;
}

// The child has open what its parent has, and is where its parent is.
static void sharefiles(struct proc *p, struct proc *np) {
  np->cwd = idup(p->cwd);
  for (int fd = NOFILE - 1; fd >= 0; fd--)
    np->ofile[fd] = p->ofile[fd] ? filedup(p->ofile[fd]) : 0;
}

// np becomes p's youngest child.
static void adopt(struct proc *p, struct proc *np) {
  acquire(&wait_lock);
  np->sibling = p->children;
  p->children = np;
  np->parent = p;
  release(&wait_lock);
}

// The child's pid, and 0 in the child; -1 when slots or memory are out.
int fork(void) {
  struct proc *p = myproc();
  struct proc *np = allocproc();

  if (np == 0)
    return -1;
  if (sharefry(p, np) < 0 || (p->nshm && shmfork(p, np) < 0) ||
      uvmcopy(p->pagetable, np->pagetable, p->sz) < 0) {
    freeproc(np);
    return -1;
  }
  np->sz = p->sz;
  memmove(np->name, p->name, sizeof(p->name));
  sharefiles(p, np);
  *np->trapframe = *p->trapframe;
  np->trapframe->a0 = 0;       // what it sees fork return
  adopt(p, np);

  int pid = np->pid;           // np may be gone once it can run
  start(np);
  VISIBLE(p);
  VISIBLE(np);
  return pid;
}

// p's children become initproc's. wait_lock must be held.
void reparent(struct proc *p) {
  struct proc **end = &p->children;

  if (*end == 0)
    return;
  for (; *end; end = &(*end)->sibling)
    (*end)->parent = initproc;
  *end = initproc->children;
  initproc->children = p->children;
  p->children = 0;
  wakeup(initproc);            // some may be zombies already
}

static void leavefiles(struct proc *p) {
  for (int fd = 0; fd < NOFILE; fd++) {
    struct file *f = p->ofile[fd];
    p->ofile[fd] = 0;
    if (f)
      fileclose(f);
  }
  begin_op();
  iput(p->cwd);
  end_op();
  p->cwd = 0;
}

// The caller is a zombie until its parent waits for it. The first process has
// no parent: it stays one, and so do orphans from then on.
void exit(int status) {
  struct proc *p = myproc();

  p->xstate = status;          // looked at once the state says ZOMBIE
  leavefiles(p);
  if (p->nshm)
    shmleave(p);
  acquire(&wait_lock);
  if (p == initproc) {
    printf("init has exited: nobody waits for orphans any more\n");
  } else {
    reparent(p);
    wakeup(p->parent);
  }
  acquire(&p->lock);
  p->state = ZOMBIE;
  release(&wait_lock);
  sched();
  panic("exit: a zombie ran");
}

// Where z is linked in among its siblings. wait_lock must be held.
static struct proc **zombieof(struct proc *p) {
  struct proc **at = &p->children;
  while (*at && (*at)->state != ZOMBIE)
    at = &(*at)->sibling;
  return at;
}

// Takes the zombie at *at out of its family and frees it. wait_lock must be
// held and is not any more.
static int bury(struct proc **at) {
  struct proc *z = *at;
  int pid = z->pid;

  *at = z->sibling;
  z->sibling = z->parent = 0;
  acquire(&z->lock);           // it has left its stack
  z->state = USED;
  release(&z->lock);
  release(&wait_lock);
  freeproc(z);
  return pid;
}

// Waits for a child to end. Its pid, with its status at user address addr
// unless that is 0; -1 without children, when killed, or when addr is bad.
int wait(uint64 addr) {
  struct proc *p = myproc();
  struct proc **at;

  acquire(&wait_lock);
  while (*(at = zombieof(p)) == 0) {
    if (p->children == 0 || killed(p)) {
      release(&wait_lock);
      return -1;
    }
    sleep(p, &wait_lock);
  }
  if (addr && copyout(p->pagetable, addr, &(*at)->xstate, sizeof((*at)->xstate)) < 0) {
    release(&wait_lock);
    return -1;
  }
  return bury(at);
}

// The victim exits when it next comes back to user mode, or finds out while
// it waits. 0, or -1 when there is no such process or it is the first, which
// the others cannot do without.
int kill(int pid) {
  for (struct proc *p = proc; p < proc + NPROC; p++) {
    acquire(&p->lock);
    int found = p->pid == pid && p->state != UNUSED && p != initproc;
    void *chan = p->chan;
    if (found)
      p->killed = 1;
    release(&p->lock);
    if (found) {
      if (chan)
        endsleep(p, chan);
      return 0;
    }
  }
  return -1;
}

// For a process that does it to itself: nobody has to be woken, so no lock.
void setkilled(struct proc *p) {
  __atomic_store_n(&p->killed, 1, __ATOMIC_RELAXED);
}

// May be out of date at once, but never goes back: no lock.
int killed(struct proc *p) {
  return __atomic_load_n(&p->killed, __ATOMIC_RELAXED);
}

// Moves the end of the caller's memory by n bytes. 0, or -1. Taking away more
// than there is takes nothing, and is no failure: so programs know it of xv6.
int growproc(int n) {
  struct proc *p = myproc();
  uint64 end = p->sz + n;      // if that is below 0, beyond all memory

  if (end > heaplimit(p))
    return n < 0 ? 0 : -1;
  if (end < p->sz)
    uvmdealloc(p->pagetable, p->sz, end);
  else if (end > p->sz && uvmalloc(p->pagetable, p->sz, end, PTE_R | PTE_W | PTE_U) == 0)
    return -1;
  p->sz = end;
  return 0;
}

static const char *statename(enum procstate state) {
  switch (state) {
  case UNUSED:
    return "unused";
  case USED:
    return "being made or buried";
  case SLEEPING:
    return "asleep";
  case RUNNABLE:
    return "ready";
  case RUNNING:
    return "running";
  case ZOMBIE:
    return "zombie";
  }
  return "?";
}

// Takes no lock, as any of them may be what somebody now looks for.
void procdump(void) {
  printf("\n");
  for (struct proc *p = proc; p < proc + NPROC; p++) {
    struct proc *parent = p->parent;
    if (p->state != UNUSED)
      printf("%d %s, %s, child of %d\n", p->pid, p->name, statename(p->state),
             parent ? parent->pid : 0);
  }
}

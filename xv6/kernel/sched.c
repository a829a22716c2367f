// Who runs where: the run queue, the sleep queues, and the harts that take
// from the one and are woken when it fills. Nothing here scans proc[].
//
// Order of locks: that of what is slept on, then a sleep queue's, then
// p->lock, then the run queue's.
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "memlayout.h"
#include "clock.h"
#include "spinlock.h"
#include "proc.h"
#include "defs.h"

struct queue {               // first in, first out, through proc.next
  struct spinlock lock;
  struct proc *head;
  struct proc **tail;        // where the next one is linked in
};

static struct queue ready;   // RUNNABLE processes
static uint idle;            // a bit for each hart that found ready empty; ready.lock

#define NSLEEP 61            // a prime, as channels are aligned addresses
static struct queue asleep[NSLEEP];

struct cpu cpus[NCPU];
static uint present;         // a bit for each hart that got here

static void initqueue(struct queue *q, char *name) {
  initlock(&q->lock, name);
  q->tail = &q->head;
}

static void append(struct queue *q, struct proc *p) {
  p->next = 0;
  *q->tail = p;
  q->tail = &p->next;
}

// Takes out the process that *at links in.
static struct proc *take(struct queue *q, struct proc **at) {
  struct proc *p = *at;
  *at = p->next;
  if (q->tail == &p->next)
    q->tail = at;
  p->next = 0;
  return p;
}

void schedinit(void) {
  initqueue(&ready, "ready");
  for (struct queue *q = asleep; q < asleep + NSLEEP; q++)
    initqueue(q, "asleep");
}

// The hart's number; it can change whenever interrupts are on.
int cpuid(void) {
  return r_tp();
}

// A software interrupt for a hart that waits.
void kick(int hart) {
  *(volatile uint32 *)CLINT_MSIP(hart) = 1;
}

// One for every other hart.
void kickall(void) {
  for (int hart = 0; hart < NCPU; hart++)
    if (hart != cpuid() && present & 1 << hart)
      kick(hart);
}

// p is RUNNABLE from now on, and a hart will come for it.
// p->lock must be held, and p in no queue.
void setrunnable(struct proc *p) {
  acquire(&ready.lock);
  p->state = RUNNABLE;
  append(&ready, p);
  // An idle hart that is here for an interrupt will look for itself.
  int hart = cpuid();
  if (idle && !(idle & 1 << hart)) {
    for (hart = 0; !(idle & 1 << hart); hart++)
      ;
    kick(hart);
  }
  idle &= ~(1 << hart);
  release(&ready.lock);
}

// The process that has been RUNNABLE longest, or 0: then this hart counts as
// idle until it is kicked or finds one.
static struct proc *nextready(void) {
  uint self = 1 << cpuid();
  struct proc *p = 0;

  acquire(&ready.lock);
  if (ready.head) {
    p = take(&ready, &ready.head);
    idle &= ~self;
  } else {
    idle |= self;
  }
  release(&ready.lock);
  return p;
}

// Lets p, the next in turn, have this hart until it calls sched(). It holds
// its own lock on both ways.
static void run(struct cpu *c, struct proc *p) {
  acquire(&p->lock);
  if (p->state != RUNNABLE)
    panic("scheduler: not RUNNABLE");
  c->proc = p;
  p->state = RUNNING;
  fence_i();
  swtch(&c->context, &p->context);
  c->proc = 0;
  release(&p->lock);
}

// What a hart does for ever once it is up.
void scheduler(void) {
  __atomic_fetch_or(&present, 1 << cpuid(), __ATOMIC_SEQ_CST);
  for (;;) {
    csr_set(sstatus, SSTATUS_SIE);   // what is pending comes in here
    csr_clear(sstatus, SSTATUS_SIE);
    struct proc *p = nextready();
    if (p)
      run(mycpu(), p);
    else                     // what came in since the look ends this, too
      asm volatile("wfi");
  }
}

// From the calling process to its hart's scheduler. p->lock, and no other,
// must be held from before p->state changed until the stack is left, which
// the scheduler's release() says; it is held again on return.
void sched(void) {
  struct cpu *c = mycpu();
  struct proc *p = c->proc;

  if (p->state == RUNNING || c->noff != 1 || !holding(&p->lock))
    panic("sched: not ready to leave");
  int intena = c->intena;            // of this process, not of the hart
  swtch(&p->context, &c->context);
  mycpu()->intena = intena;
}

// Lets others run first, if there are any: who is alone stays on its hart.
void yield(void) {
  acquire(&ready.lock);
  int alone = ready.head == 0;
  release(&ready.lock);
  if (alone)
    return;
  struct proc *p = myproc();
  acquire(&p->lock);
  setrunnable(p);
  sched();
  release(&p->lock);
}

static struct queue *sleepers(void *chan) {
  return &asleep[(uint64)chan / sizeof(uint64) % NSLEEP];
}

// Whoever changes what is waited for holds lk, and so finds the caller in its
// queue or before its last look. A killed process only lets others run: it
// is on its way out, and nobody might wake it.
void sleep(void *chan, struct spinlock *lk) {
  struct proc *p = myproc();
  struct queue *q = sleepers(chan);

  acquire(&q->lock);
  acquire(&p->lock);
  if (p->killed) {
    setrunnable(p);
  } else {
    p->chan = chan;
    p->state = SLEEPING;
    append(q, p);
  }
  release(&q->lock);
  release(lk);
  sched();
  release(&p->lock);
  acquire(lk);
}

// Wakes who sleeps on chan: all, or only the one that is given.
// No process's lock may be held.
static void wake(void *chan, const struct proc *only) {
  struct queue *q = sleepers(chan);

  acquire(&q->lock);
  for (struct proc **at = &q->head; *at;) {
    if ((*at)->chan != chan || (only && *at != only)) {
      at = &(*at)->next;
      continue;
    }
    struct proc *p = take(q, at);
    acquire(&p->lock);
    p->chan = 0;
    setrunnable(p);
    release(&p->lock);
  }
  release(&q->lock);
}

void wakeup(void *chan) {
  wake(chan, 0);
}

// Ends p's sleep on chan, if that is what it still does.
void endsleep(struct proc *p, void *chan) {
  wake(chan, p);
}

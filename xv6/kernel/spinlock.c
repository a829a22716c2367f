// Locks for a few instructions, and the nesting of "interrupts off" that
// they need: a handler that wanted the lock would wait for its own hart.
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "spinlock.h"
#include "proc.h"
#include "defs.h"

void initlock(struct spinlock *lk, char *name) {
  *lk = (struct spinlock){.name = name};
}

// Does this hart hold lk? Only it can make that true or false. Interrupts
// must be off.
int holding(struct spinlock *lk) {
  return lk->cpu == mycpu();
}

// Interrupts stay off until the matching release().
void acquire(struct spinlock *lk) {
  struct cpu *self = push_off();
  if (lk->cpu == self)
    panic("acquire: held by this hart already");
  while (__atomic_exchange_n(&lk->locked, 1, __ATOMIC_ACQUIRE))
    if (panicked)
      halt();
  lk->cpu = self;
}

void release(struct spinlock *lk) {
  if (!holding(lk))
    panic("release: not held by this hart");
  lk->cpu = 0;
  __atomic_store_n(&lk->locked, 0, __ATOMIC_RELEASE);
  pop_off();
}

// Each push_off() takes one pop_off() to undo; the last one gives interrupts
// back if they were on before the first. The hart, which stays the same now.
struct cpu *push_off(void) {
  uint64 before;
  asm volatile("csrrc %0, sstatus, %1" : "=r"(before) : "rK"(SSTATUS_SIE) : "memory");
  struct cpu *c = mycpu();
  if (c->noff++ == 0)
    c->intena = (before & SSTATUS_SIE) != 0;
  return c;
}

void pop_off(void) {
  struct cpu *c = mycpu();
  if (c->noff < 1 || csr_read(sstatus) & SSTATUS_SIE)
    panic("pop_off: without push_off");
  if (--c->noff == 0 && c->intena)
    csr_set(sstatus, SSTATUS_SIE);
}

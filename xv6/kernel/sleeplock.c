// Locks that are held for long: whoever must wait sleeps.
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "spinlock.h"
#include "sleeplock.h"
#include "proc.h"
#include "defs.h"

void initsleeplock(struct sleeplock *lk, char *name) {
  *lk = (struct sleeplock){.name = name};
  initlock(&lk->lk, name);
}

void acquiresleep(struct sleeplock *lk) {
  acquire(&lk->lk);
  while (lk->locked)
    sleep(lk, &lk->lk);
  lk->pid = myproc()->pid;
  lk->locked = 1;
  release(&lk->lk);
}

void releasesleep(struct sleeplock *lk) {
  acquire(&lk->lk);
  lk->pid = 0;
  lk->locked = 0;
  wakeup(lk);
  release(&lk->lk);
}

// Does the calling process hold lk?
int holdingsleep(struct sleeplock *lk) {
  acquire(&lk->lk);
  int mine = lk->locked && lk->pid == myproc()->pid;
  release(&lk->lk);
  return mine;
}

// System calls about processes, memory and time.
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "memlayout.h"
#include "spinlock.h"
#include "proc.h"
#include "defs.h"

#define SBRK_LAZY 2          // sbrk's second argument; others are not lazy

uint64 sys_fork(void) {
  return fork();
}

uint64 sys_exit(void) {
  exit(argument(0));
}

uint64 sys_wait(void) {
  return wait(argument(0));
}

uint64 sys_kill(void) {
  return kill(argument(0));
}

uint64 sys_getpid(void) {
  return myproc()->pid;
}

// More memory in name only; uvmtouch() brings the pages.
static int growlazily(int n) {
  struct proc *p = myproc();
  if (p->sz + n > heaplimit(p))
    return -1;
  p->sz += n;
  return 0;
}

// Where the memory ended before, or -1.
uint64 sys_sbrk(void) {
  int n = argument(0), how = argument(1);
  uint64 before = myproc()->sz;
  int failed = how == SBRK_LAZY && n > 0 ? growlazily(n) : growproc(n);
  return failed ? (uint64)-1 : before;
}

// Sleeps for n ticks. 0, or -1 when killed.
uint64 sys_sleep(void) {
  int n = argument(0), result = 0;

  acquire(&tickslock);
  uint start = ticks;
  while (result == 0 && n > 0 && ticks - start < (uint)n) {
    if (killed(myproc()))
      result = -1;
    else
      sleep(&ticks, &tickslock);
  }
  release(&tickslock);
  return result;
}

uint64 sys_uptime(void) {
  return __atomic_load_n(&ticks, __ATOMIC_RELAXED);
}

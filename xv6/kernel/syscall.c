// System calls: which function does which, and how it gets at its arguments.
// Nothing a program passes is trusted.
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "spinlock.h"
#include "proc.h"
#include "syscall.h"
#include "defs.h"

#define ALL(X)                                                                         \
  X(fork) X(exit) X(wait) X(pipe) X(read) X(kill) X(exec) X(fstat) X(chdir) X(dup)     \
  X(getpid) X(sbrk) X(sleep) X(uptime) X(open) X(write) X(mknod) X(unlink) X(link)     \
  X(mkdir) X(close) X(shmget) X(shmat) X(shmdt) X(shmctl)

#define DECLARE(name) uint64 sys_##name(void);
#define ENTRY(name) [SYS_##name] = sys_##name,

ALL(DECLARE)
static uint64 (*const table[])(void) = {ALL(ENTRY)};

// As the program put it in its register. Those follow each other in the trapframe.
uint64 argument(int n) {
  return (&myproc()->trapframe->a0)[n];
}

int argstr(int n, char *buf, int max) {
  return fetchstr(argument(n), buf, max);
}

// The word at user address addr. 0 or -1.
int fetchaddr(uint64 addr, uint64 *word) {
  return copyin(myproc()->pagetable, word, addr, sizeof(*word));
}

// The string at user address addr. Its length, or -1.
int fetchstr(uint64 addr, char *buf, int max) {
  if (max < 0 || copyinstr(myproc()->pagetable, buf, addr, max) < 0)
    return -1;
  return strlen(buf);
}

// p, which is the caller, made a system call.
void syscall(struct proc *p) {
  uint64 number = p->trapframe->a7;
  uint64 (*call)(void) = number < NELEM(table) ? table[number] : 0;

  if (call == 0)
    printf("pid %d (%s): there is no system call %ld\n", p->pid, p->name, (long)number);
  p->trapframe->a0 = call ? call() : (uint64)-1;
}

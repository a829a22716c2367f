// Machine mode, once on each hart: opens everything to supervisor mode,
// starts the clock and goes there, to main().
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "memlayout.h"
#include "clock.h"

#define PMP_RWX 7           // Privileged 3.7.1
#define PMP_NAPOT (3 << 3)
#define DELEGATE_ALL 0xffff
#define COUNTERS 7          // cycle, time and instret may be read

char stack0[NCPU * PGSIZE] __attribute__((aligned(16)));
struct clock clocks[NCPU];

void main(void);
void machinevec(void);

static void startclock(int hart) {
  struct clock *k = &clocks[hart];
  k->cmp = (uint64 *)CLINT_MTIMECMP(hart);
  k->msip = (uint32 *)CLINT_MSIP(hart);
  k->interval = TICK;
  k->due = *(volatile uint64 *)CLINT_MTIME + TICK;
  *k->cmp = k->due;
  csr_write(mscratch, k);
  csr_write(mtvec, machinevec);
  csr_write(mie, MI_TIMER | MI_SOFT);
}

void start(int hart) {
  csr_write(medeleg, DELEGATE_ALL);
  csr_write(mideleg, DELEGATE_ALL);
  // One region that is all of memory; without it nothing below machine mode
  // may touch any.
  csr_write(pmpaddr0, ~0L);
  csr_write(pmpcfg0, PMP_NAPOT | PMP_RWX);
  csr_write(mcounteren, COUNTERS);
  csr_write(scounteren, COUNTERS);
  startclock(hart);

  csr_write(satp, 0);
  csr_write(sie, SI_SOFT | SI_EXTERNAL);
  csr_write(mepc, main);
  // A reset leaves SIE, and what is pending, as the run before had them: no
  // interrupt may come before main() says where it goes.
  csr_write(mstatus, (csr_read(mstatus) & ~(MSTATUS_MPP_MASK | SSTATUS_SIE)) | MSTATUS_MPP_S);
  asm volatile("mv tp, %0\n\tmret" : : "r"((uint64)hart));
  __builtin_unreachable();
}

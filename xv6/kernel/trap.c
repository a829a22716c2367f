// Traps: what every hart does about system calls, faults and interrupts.
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "memlayout.h"
#include "clock.h"
#include "spinlock.h"
#include "proc.h"
#include "defs.h"

enum source { UNKNOWN, DEVICE, TIMER };

struct spinlock tickslock;
uint ticks;                  // of hart 0's clock; tickslock

static uint64 seen[NCPU];    // ticks of its clock that each hart has acted on

extern pagetable_t kernel_pagetable;
extern char trampoline[], userret[]; // trampoline.S
void kernelvec(void);        // kernelvec.S
static uint64 leave(struct proc *p);

void trapinit(void) {
  initlock(&tickslock, "time");
}

// Interrupts must be off until the kernel's stack is in use.
void trapinithart(void) {
  csr_write(stvec, kernelvec);
}

// A software interrupt: this hart's clock, or another hart's kick.
static enum source clockintr(void) {
  int hart = cpuid();

  csr_clear(sip, SI_SOFT);
  if (panicked)
    halt();
  uint64 fired = clocks[hart].fired;
  if (fired == seen[hart])
    return DEVICE;
  seen[hart] = fired;
  if (hart == 0) {
    acquire(&tickslock);
    ticks = fired;
    wakeup(&ticks);
    release(&tickslock);
  }
  return TIMER;
}

static enum source deviceintr(void) {
  int irq = plic_claim();

  switch (irq) {
  case 0:                    // another hart was faster
    return DEVICE;
  case UART0_IRQ:
    uartintr();
    break;
  case VIRTIO0_IRQ:
    virtio_disk_intr();
    break;
  default:
    printf("interrupt %d from no known device\n", irq);
  }
  plic_complete(irq);
  return DEVICE;
}

static enum source interrupt(uint64 cause) {
  if (cause == CAUSE_SOFT)
    return clockintr();
  if (cause == CAUSE_EXTERNAL)
    return deviceintr();
  return UNKNOWN;
}

// What an exception is called (Privileged 4.1.8, table 4.2).
static const char *nameof(uint64 cause) {
  static const char *const names[] = {
      "instruction address misaligned", "instruction access fault", "illegal instruction",
      "breakpoint", "load address misaligned", "load access fault",
      "store address misaligned", "store access fault",
      [12] = "instruction page fault", [13] = "load page fault", [15] = "store page fault",
  };
  return cause < NELEM(names) && names[cause] ? names[cause] : "unknown trap";
}

// Neither a system call nor an interrupt. A page that was promised comes;
// what else a program did wrong ends it.
static void fault(struct proc *p, uint64 cause) {
  uint64 stval = csr_read(stval);

  if ((cause == CAUSE_LOAD_PAGE || cause == CAUSE_STORE_PAGE) &&
      uvmtouch(p->pagetable, stval) == 0)
    return;
  printf("pid %d (%s) ends: %s at pc 0x%lx (scause 0x%lx, stval 0x%lx)\n", p->pid, p->name,
         nameof(cause), p->trapframe->epc, cause, stval);
  setkilled(p);
}

// From user mode, by the trampoline, with interrupts off. Returns to it, to
// user mode: its argument is what leave() says.
static uint64 usertrap(void) {
  uint64 cause = csr_read(scause);
  struct proc *p = myproc();

  csr_write(stvec, kernelvec);
  p->trapframe->epc = csr_read(sepc);

  if (cause == CAUSE_ECALL_U) {
    p->trapframe->epc += 4;          // after the ecall
    csr_set(sstatus, SSTATUS_SIE);
    syscall(p);
  } else {
    enum source source = interrupt(cause);
    if (source == TIMER)
      yield();
    else if (source == UNKNOWN)
      fault(p, cause);
  }
  if (p->killed)
    exit(-1);
  return leave(p);
}

// Makes this hart ready for userret. The satp it takes.
static uint64 leave(struct proc *p) {
  // From here on a trap would find the user's vector but the kernel's mode.
  csr_clear(sstatus, SSTATUS_SIE);
  csr_write(stvec, TRAMPOLINE);    // uservec
  csr_write(sepc, p->trapframe->epc);
  csr_clear(sstatus, SSTATUS_SPP);
  csr_set(sstatus, SSTATUS_SPIE);
  p->trapframe->kernel_hartid = r_tp();
  return MAKE_SATP(p->pagetable);
}

// To user mode for the first time.
void enteruser(void) {
  struct proc *p = myproc();
  void (*go)(uint64) = (void (*)(uint64))(TRAMPOLINE + (uint64)userret - (uint64)trampoline);

  p->trapframe->kernel_satp = MAKE_SATP(kernel_pagetable);
  p->trapframe->kernel_sp = p->kstack + PGSIZE;
  p->trapframe->kernel_trap = (uint64)usertrap;
  go(leave(p));
  __builtin_unreachable();
}

// From the kernel itself, by kernelvec, with interrupts off.
void kerneltrap(void) {
  // yield() lets other traps happen, and they overwrite these.
  uint64 sepc = csr_read(sepc), sstatus = csr_read(sstatus);
  uint64 cause = csr_read(scause);
  enum source source = interrupt(cause);

  if (source == UNKNOWN) {
    printf("hart %d, in the kernel: %s at pc 0x%lx (scause 0x%lx, stval 0x%lx)\n", cpuid(),
           nameof(cause), sepc, cause, csr_read(stval));
    panic("kerneltrap");
  }
  if (source == TIMER && myproc())
    yield();
  csr_write(sepc, sepc);
  csr_write(sstatus, sstatus);
}

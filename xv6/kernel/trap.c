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

// trampoline.S, kernelvec.S
extern char trampoline[], uservec[], userret[];
void kernelvec(void);

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

// From user mode, by the trampoline, with interrupts off.
void usertrap(void) {
  uint64 cause = csr_read(scause), stval = csr_read(stval);
  struct proc *p = mycpu()->proc;
  enum source source = UNKNOWN;

  csr_write(stvec, kernelvec);
  p->trapframe->epc = csr_read(sepc);

  if (cause == CAUSE_ECALL_U) {
    if (killed(p))
      exit(-1);
    p->trapframe->epc += 4;          // after the ecall
    csr_set(sstatus, SSTATUS_SIE);
    syscall();
  } else if ((cause == CAUSE_LOAD_PAGE || cause == CAUSE_STORE_PAGE) &&
             uvmtouch(p->pagetable, stval) == 0) {
    // The instruction is tried again.
  } else if ((source = interrupt(cause)) == UNKNOWN) {
    printf("usertrap(): pid %d (%s): scause 0x%lx stval 0x%lx sepc 0x%lx\n", p->pid, p->name,
           cause, stval, p->trapframe->epc);
    setkilled(p);
  }

  if (killed(p))
    exit(-1);
  if (source == TIMER)
    yield();
  usertrapret();
}

// To user mode, on the calling process's page table and with its registers.
void usertrapret(void) {
  // From here on a trap would find the user's vector but the kernel's mode.
  csr_clear(sstatus, SSTATUS_SIE);
  struct proc *p = mycpu()->proc;
  struct trapframe *tf = p->trapframe;

  tf->kernel_satp = csr_read(satp);
  tf->kernel_sp = p->kstack + PGSIZE;
  tf->kernel_trap = (uint64)usertrap;
  tf->kernel_hartid = r_tp();
  csr_write(stvec, TRAMPOLINE + (uservec - trampoline));
  csr_write(sepc, tf->epc);
  csr_clear(sstatus, SSTATUS_SPP);
  csr_set(sstatus, SSTATUS_SPIE);

  void (*leave)(uint64) = (void (*)(uint64))(TRAMPOLINE + (userret - trampoline));
  leave(MAKE_SATP(p->pagetable));
  __builtin_unreachable();
}

// From the kernel itself, by kernelvec, with interrupts off.
void kerneltrap(void) {
  // yield() lets other traps happen, and they overwrite these.
  uint64 sepc = csr_read(sepc), sstatus = csr_read(sstatus);
  uint64 cause = csr_read(scause);
  enum source source = interrupt(cause);

  if (source == UNKNOWN) {
    printf("kerneltrap(): hart %d scause 0x%lx stval 0x%lx sepc 0x%lx\n", cpuid(), cause,
           csr_read(stval), sepc);
    panic("kerneltrap");
  }
  if (source == TIMER && mycpu()->proc)
    yield();
  csr_write(sepc, sepc);
  csr_write(sstatus, sstatus);
}

// Supervisor mode begins: hart 0 sets the machine up, the others follow.
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "defs.h"

static int up;               // hart 0 is done

// What each hart does for itself.
static void inithart(void) {
  trapinithart();
  plicinithart();
  kvminithart();
}

static void initmachine(void) {
  printfinit();
  consoleinit();
  printf("\nShrimpy: one page with your children, one with your parent\n");
  trapinit();
  plicinit();
  virtio_disk_init();
  kinit();
  kvminit();
  fileinit();
  iinit();
  binit();
  procinit();
}

void main(void) {
  if (cpuid() == 0) {
    initmachine();
    inithart();
    userinit();
    __atomic_store_n(&up, 1, __ATOMIC_RELEASE);
    for (int hart = 1; hart < NCPU; hart++)
      kick(hart);              // one that is not there hears nothing
  } else {
    for (;;) {                 // asleep: under QEMU spinning costs a core
      csr_clear(sip, SI_SOFT);
      if (__atomic_load_n(&up, __ATOMIC_ACQUIRE))
        break;
      asm volatile("wfi");     // ends for what came in since the look, too
    }
    inithart();
  }
  scheduler();
}

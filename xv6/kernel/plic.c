// The interrupt controller: which device's interrupt reaches which hart.
// SiFive PLIC, as in QEMU's virt machine.
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "memlayout.h"
#include "defs.h"

// Contexts come in pairs, machine and supervisor of each hart.
#define SUPERVISOR(hart) (2 * (hart) + 1)
#define PRIORITY(irq) (PLIC + 4 * (irq))
#define ENABLE(context) (PLIC + 0x2000 + 0x80 * (context))
#define THRESHOLD(context) (PLIC + 0x200000 + 0x1000 * (context))
#define CLAIM(context) (THRESHOLD(context) + 4)

static volatile uint32 *reg(uint64 address) {
  return (volatile uint32 *)address;
}

void plicinit(void) {
  *reg(PRIORITY(UART0_IRQ)) = 1;
  *reg(PRIORITY(VIRTIO0_IRQ)) = 1;
}

// Any hart may take any device's interrupt.
void plicinithart(void) {
  int context = SUPERVISOR(cpuid());
  *reg(ENABLE(context)) = 1 << UART0_IRQ | 1 << VIRTIO0_IRQ;
  *reg(THRESHOLD(context)) = 0;
}

int plic_claim(void) {
  return *reg(CLAIM(SUPERVISOR(cpuid())));
}

void plic_complete(int irq) {
  *reg(CLAIM(SUPERVISOR(cpuid()))) = irq;
}

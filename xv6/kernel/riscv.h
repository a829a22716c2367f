// The hart: control registers, Sv39 and its page table entries.
// "Privileged" is the RISC-V Privileged Architecture, version 1.12.
#pragma once

#ifndef __ASSEMBLER__

#define csr_read(csr)                                                    \
  ({                                                                     \
    uint64 value_;                                                       \
    asm volatile("csrr %0, " #csr : "=r"(value_));                       \
    value_;                                                              \
  })
#define csr_write(csr, value) \
  asm volatile("csrw " #csr ", %0" : : "rK"((uint64)(value)) : "memory")
#define csr_set(csr, bits) \
  asm volatile("csrs " #csr ", %0" : : "rK"((uint64)(bits)) : "memory")
#define csr_clear(csr, bits) \
  asm volatile("csrc " #csr ", %0" : : "rK"((uint64)(bits)) : "memory")

#define DEFINE_REG_READ(reg)           \
  static inline uint64 r_##reg(void) { \
    uint64 value;                      \
    asm volatile("mv %0, " #reg : "=r"(value)); \
    return value;                      \
  }
DEFINE_REG_READ(sp)
DEFINE_REG_READ(tp)                    // in the kernel: the hart's number
#undef DEFINE_REG_READ

// Every translation this hart may have cached is forgotten.
static inline void sfence_vma(void) {
  asm volatile("sfence.vma zero, zero" : : : "memory");
}

// What this hart runs from here on is what memory holds, whoever wrote it
// ("Zifencei"): code is written as data, maybe by another hart.
static inline void fence_i(void) {
  asm volatile("fence.i" : : : "memory");
}

typedef uint64 pte_t;
typedef uint64 *pagetable_t;           // one table: 512 entries

#endif

// mstatus and sstatus (Privileged 3.1.6, 4.1.1)
#define MSTATUS_MPP_MASK (3L << 11)
#define MSTATUS_MPP_S (1L << 11)
#define SSTATUS_SIE (1L << 1)          // interrupts are on
#define SSTATUS_SPIE (1L << 5)         // they will be on after sret
#define SSTATUS_SPP (1L << 8)          // sret goes to supervisor mode

// mie, sie and sip (Privileged 3.1.9, 4.1.3)
#define SI_SOFT (1L << 1)
#define SI_EXTERNAL (1L << 9)
#define MI_SOFT (1L << 3)
#define MI_TIMER (1L << 7)

// scause (Privileged 4.1.8)
#define CAUSE_INTERRUPT (1UL << 63)
#define CAUSE_ECALL_U 8
#define CAUSE_LOAD_PAGE 13
#define CAUSE_STORE_PAGE 15
#define CAUSE_SOFT (CAUSE_INTERRUPT | 1)
#define CAUSE_EXTERNAL (CAUSE_INTERRUPT | 9)

// Sv39 (Privileged 4.4): three levels of 9 bits over a page of 12.
#define PGSIZE 4096
#define PGSHIFT 12
#define PGROUNDUP(n) (((n) + PGSIZE - 1) & ~(PGSIZE - 1L))
#define PGROUNDDOWN(n) ((n) & ~(PGSIZE - 1L))

#define NPTE 512                       // entries of a table
#define LEVELSHIFT(level) (PGSHIFT + 9 * (level))
#define LEVELSIZE(level) (1L << LEVELSHIFT(level)) // bytes one entry covers
#define PX(level, va) ((uint64)(va) >> LEVELSHIFT(level) & (NPTE - 1))

// Half of what Sv39 has, so that no address needs its sign extended.
#define MAXVA (1L << 38)

#define PTE_V (1L << 0)
#define PTE_R (1L << 1)
#define PTE_W (1L << 2)
#define PTE_X (1L << 3)
#define PTE_U (1L << 4)                // user mode may, and only user mode
#define PTE_G (1L << 5)
#define PTE_A (1L << 6)
#define PTE_D (1L << 7)
#define PTE_LEAF(pte) ((pte) & (PTE_R | PTE_W | PTE_X))
#define PTE_FLAGS(pte) ((pte) & 0x3ff)
#define PTE2PA(pte) ((uint64)(pte) >> 10 << PGSHIFT)
#define PA2PTE(pa) ((uint64)(pa) >> PGSHIFT << 10)

#define SATP_SV39 (8L << 60)
#define MAKE_SATP(pagetable) (SATP_SV39 | (uint64)(pagetable) >> PGSHIFT)

# The page that is at TRAMPOLINE in every address space, so that satp can be
# changed while it runs. In user mode sscratch holds TRAPFRAME.
#include "riscv.h"
#include "memlayout.h"

# Offsets in struct trapframe.
#define KERNEL_SATP 0
#define KERNEL_SP 8
#define KERNEL_TRAP 16
#define KERNEL_HARTID 32
#define A0 112

# Every register but a0, which holds TRAPFRAME, and zero.
.macro each op
        .set at, 40
        .irp reg, ra, sp, gp, tp, t0, t1, t2, s0, s1
        \op \reg, at(a0)
        .set at, at + 8
        .endr
        .set at, A0 + 8
        .irp reg, a1, a2, a3, a4, a5, a6, a7, s2, s3, s4, s5, s6, s7, s8, s9, s10, s11, t3, t4, t5, t6
        \op \reg, at(a0)
        .set at, at + 8
        .endr
.endm

.macro switchto satp
        sfence.vma zero, zero   # earlier stores to the tables count from here
        csrw satp, \satp
        sfence.vma zero, zero
.endm

.section .trampoline, "ax"

# A trap from user mode comes here, still on the user's page table. It is the
# first thing in the page, so that stvec is TRAMPOLINE.
.globl uservec
.type uservec, @function
uservec:
        csrrw a0, sscratch, a0
        each sd
        csrr t0, sscratch
        sd t0, A0(a0)
        csrw sscratch, a0

        ld t1, KERNEL_SATP(a0)
        ld t2, KERNEL_TRAP(a0)
        ld tp, KERNEL_HARTID(a0)
        ld sp, KERNEL_SP(a0)
        mv fp, zero             # the chain of frames begins with usertrap
        switchto t1
        jalr t2                 # returns here, with a0 for userret
.size uservec, . - uservec

# userret(satp): to user mode, on that page table.
.globl userret
.type userret, @function
userret:
        switchto a0
        li a0, TRAPFRAME
        csrw sscratch, a0
        each ld
        ld a0, A0(a0)
        sret
.size userret, . - userret

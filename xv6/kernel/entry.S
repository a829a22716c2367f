# Every hart's first instructions, in machine mode. Memory that the kernel's
# file does not fill holds anything: noise, or what the run before a reset left
# there. Hart 0 clears .bss, the stacks in it too, and rings for the others;
# until then they touch no memory.
#include "riscv.h"
#include "param.h"
#include "memlayout.h"
#include "clock.h"

#define CLEARED_AT_ONCE 64      // bytes; kernel.ld aligns .bss to it

.section .text.entry, "ax"
.globl _entry
.type _entry, @function
_entry:
        csrr a0, mhartid
        li t0, NCPU
        bgeu a0, t0, spare
        li t2, CLINT_MSIP(0)
        bnez a0, follow

        la t0, bss
        la t1, end
1:      .set at, 0
        .rept CLEARED_AT_ONCE / 8
        sd zero, at(t0)
        .set at, at + 8
        .endr
        addi t0, t0, CLEARED_AT_ONCE
        bltu t0, t1, 1b
        fence                   # before anybody else goes on
        li t0, 1
        addi t1, t2, 4 * NCPU
2:      addi t2, t2, 4          # a hart that is not there hears nothing
        beq t2, t1, 4f
        sw t0, 0(t2)
        j 2b

follow: csrwi mie, MI_SOFT      # wfi wakes up; mstatus lets nothing interrupt
3:      wfi
        csrr t0, mip
        andi t0, t0, MI_SOFT
        beqz t0, 3b
        slli t0, a0, 2
        add t0, t0, t2
        sw zero, 0(t0)          # heard; a reset clears it too
        fence

4:      addi t0, a0, 1
        slli t0, t0, PGSHIFT
        la sp, stack0           # a page each; they grow down
        add sp, sp, t0
        mv fp, zero             # ends the chain of frames for whoever debugs
        call start
spare:  wfi                     # a hart that the kernel has no room for
        j spare
.size _entry, . - _entry

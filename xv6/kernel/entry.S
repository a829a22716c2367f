# Every hart's first instructions, in machine mode.
#include "riscv.h"
#include "param.h"

.section .text.entry, "ax"
.globl _entry
.type _entry, @function
_entry:
        csrr a0, mhartid
        li t0, NCPU
        bgeu a0, t0, spare
        addi t0, a0, 1
        slli t0, t0, PGSHIFT
        la sp, stack0           # a page each; they grow down
        add sp, sp, t0
        mv fp, zero             # ends the chain of frames for whoever debugs
        call start
spare:  wfi                     # a hart that the kernel has no room for
        j spare
.size _entry, . - _entry

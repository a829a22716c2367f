# Traps that come while the kernel itself runs.
#include "clock.h"

# Registers that C does not keep over a call. tp is not among them: the
# process may come back on another hart.
.macro each op
        .set at, 0
        .irp reg, ra, t0, t1, t2, t3, t4, t5, t6, a0, a1, a2, a3, a4, a5, a6, a7
        \op \reg, at(sp)
        .set at, at + 8
        .endr
.endm

.text

# In supervisor mode: kerneltrap() on the stack that is in use.
.balign 4
.globl kernelvec
.type kernelvec, @function
kernelvec:
        addi sp, sp, -144
        each sd
        sd fp, 128(sp)          # with sepc in place of ra this is a frame
        csrr t0, sepc           # of the interrupted function's callee
        sd t0, 136(sp)
        addi fp, sp, 144
        call kerneltrap
        ld fp, 128(sp)
        each ld
        addi sp, sp, 144
        sret
.size kernelvec, . - kernelvec

# In machine mode, from timer or software interrupt: passes it on as the
# supervisor's software interrupt. mscratch points to this hart's struct clock.
.balign 4
.globl machinevec
.type machinevec, @function
machinevec:
        csrrw a0, mscratch, a0
        sd a1, CLOCK_SAVE(a0)
        sd a2, CLOCK_SAVE + 8(a0)
        csrr a1, mcause
        andi a1, a1, 4          # 3 is software, 7 is timer
        beqz a1, 1f

        ld a1, CLOCK_INTERVAL(a0)
        ld a2, CLOCK_DUE(a0)
        add a2, a2, a1          # from when it was due: no drift
        sd a2, CLOCK_DUE(a0)
        ld a1, CLOCK_CMP(a0)
        sd a2, 0(a1)
        ld a1, CLOCK_FIRED(a0)
        addi a1, a1, 1
        sd a1, CLOCK_FIRED(a0)
        j 2f

1:      ld a1, CLOCK_MSIP(a0)
        sw zero, 0(a1)

2:      csrsi mip, 2            # SSIP
        ld a1, CLOCK_SAVE(a0)
        ld a2, CLOCK_SAVE + 8(a0)
        csrrw a0, mscratch, a0
        mret
.size machinevec, . - machinevec

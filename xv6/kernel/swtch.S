# void swtch(struct context *save, struct context *load)
# The caller returns when someone loads what it saved. struct context is
# ra, sp, s0 to s11; C has the other registers saved already.

.macro each op, base
        \op ra, 0(\base)
        \op sp, 8(\base)
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        \op s\n, 16 + 8 * \n(\base)
        .endr
.endm

.text
.globl swtch
.type swtch, @function
swtch:
        each sd, a0
        each ld, a1
        ret
.size swtch, . - swtch

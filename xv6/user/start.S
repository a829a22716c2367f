# Where exec enters a program: a0 and a1 are main's arguments already.
# What main returns is the exit status.
#include "kernel/syscall.h"

.section .text.start, "ax"
.globl start
.type start, @function
start:
        # Nobody called start: a debugger's list of callers ends here.
        .cfi_sections .debug_frame
        .cfi_startproc
        .cfi_undefined ra
        mv fp, zero
        mv ra, zero
        call main
        li a7, SYS_exit
        ecall
        .cfi_endproc
.size start, . - start

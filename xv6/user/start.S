# Where exec enters a program: a0 and a1 are main's arguments already.
# What main returns is the exit status.
#include "kernel/syscall.h"

.section .text.start, "ax"
.globl start
.type start, @function
start:
        mv fp, zero             # ends the chain of frames for whoever debugs
        mv ra, zero
        call main
        li a7, SYS_exit
        ecall
.size start, . - start

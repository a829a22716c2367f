# System calls: the number goes in a7, arguments stay where C put them.
#include "kernel/syscall.h"

.macro stub name, number, second
        .globl \name
        .type \name, @function
\name:
        .ifnb \second
        li a1, \second
        .endif
        li a7, \number
        ecall
        ret
        .size \name, . - \name
.endm

# Newer kernels take how to grow in sbrk's second argument; older ignore it.
#define EAGER 1
#define LAZY 2

.text
stub fork, SYS_fork
stub exit, SYS_exit
stub wait, SYS_wait
stub pipe, SYS_pipe
stub read, SYS_read
stub kill, SYS_kill
stub exec, SYS_exec
stub fstat, SYS_fstat
stub chdir, SYS_chdir
stub dup, SYS_dup
stub getpid, SYS_getpid
stub sbrk, SYS_sbrk, EAGER
stub sbrklazy, SYS_sbrk, LAZY
stub sleep, SYS_sleep
stub pause, SYS_sleep
stub uptime, SYS_uptime
stub open, SYS_open
stub write, SYS_write
stub mknod, SYS_mknod
stub unlink, SYS_unlink
stub link, SYS_link
stub mkdir, SYS_mkdir
stub close, SYS_close
stub shmget, SYS_shmget
stub shmat, SYS_shmat
stub shmdt, SYS_shmdt
stub shmctl, SYS_shmctl

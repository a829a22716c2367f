// Where things are, physical and virtual.
// Physical: QEMU's virt machine (hw/riscv/virt.c, "virt_memmap").
#pragma once

#define CLINT 0x02000000L   // timers and software interrupts: clock.h
#define PLIC 0x0c000000L    // device interrupts
#define PLIC_SIZE 0x400000L // as much of it as NCPU harts have
#define UART0 0x10000000L
#define UART0_IRQ 10
#define VIRTIO0 0x10001000L
#define VIRTIO0_IRQ 1

#define KERNBASE 0x80000000L // RAM; the kernel is loaded and entered here
#ifndef RAM_MIB
#define RAM_MIB 128
#endif
#define PHYSTOP (KERNBASE + RAM_MIB * 1024 * 1024)

// The top of every address space, user and kernel: the page that switches
// between them. It must have the same address in both.
#define TRAMPOLINE (MAXVA - PGSIZE)

// Kernel stacks hang below it, each under an unmapped guard page.
#define KSTACK(slot) (TRAMPOLINE - 2L * PGSIZE * ((slot) + 1))

// A user address space, from the top:
//   TRAMPOLINE  R X
//   TRAPFRAME   R W     the registers, saved while the kernel runs
//   FRY         R W U   this process's page, shared with its children
//   SHRIMP      R W U   its parent's FRY page; the first process has none
//   ...
//   heap        from PGROUNDUP(end of stack) up to sz, never beyond SHRIMP
//   stack
//   guard page
//   data, text  from 0
#define TRAPFRAME (TRAMPOLINE - PGSIZE)
#define FRY (TRAPFRAME - PGSIZE)
#define SHRIMP (FRY - PGSIZE)

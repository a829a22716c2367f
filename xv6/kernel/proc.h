// Processes and harts.
#pragma once

#include "memlayout.h"

// Callee-saved registers: what swtch exchanges. Offsets are in swtch.S.
struct context {
  uint64 ra;
  uint64 sp;
  uint64 s[12];
};

// Only the hart itself touches its own, with interrupts off.
struct cpu {
  struct proc *proc;        // running here, or 0
  struct context context;   // of the scheduler
  int noff;                 // depth of push_off
  int intena;               // interrupts were on before the first push_off
};

extern struct cpu cpus[NCPU];

// The page at TRAPFRAME: user registers while the kernel runs, and what
// the trampoline needs to enter the kernel. Offsets are in trampoline.S.
struct trapframe {
  uint64 kernel_satp;
  uint64 kernel_sp;
  uint64 kernel_trap;       // usertrap()
  uint64 epc;               // the user's pc
  uint64 kernel_hartid;
  uint64 ra, sp, gp, tp;
  uint64 t0, t1, t2;
  uint64 s0, s1;
  uint64 a0, a1, a2, a3, a4, a5, a6, a7;
  uint64 s2, s3, s4, s5, s6, s7, s8, s9, s10, s11;
  uint64 t3, t4, t5, t6;
};

// A segment of shared memory in a process's address space.
struct attachment {
  uint64 va;                // where it begins
  struct segment *segment;
  int perm;                 // of its pages
};

enum procstate { UNUSED, USED, SLEEPING, RUNNABLE, RUNNING, ZOMBIE };

// Who guards a field: (l) lock, (w) wait_lock, (q) the lock of the one queue
// that the state puts it in, (-) only the process itself, or whoever is making
// or burying it.
struct proc {
  struct spinlock lock;

  enum procstate state;     // (l)
  void *chan;               // (l), to change (q) too: what it sleeps on, or 0
  int killed;               // (l)
  int xstate;               // (-) exit's argument, for wait
  int pid;                  // (l)

  struct proc *parent;      // (w)
  struct proc *children;    // (w) the youngest
  struct proc *sibling;     // (w) the parent's next older child

  struct proc *next;        // (q) free slots, run queue or a sleep queue

  uint64 kstack;            // (-) virtual address of the kernel stack
  uint64 sz;                // (-) bytes of user memory from 0
  pagetable_t pagetable;    // (-) the user's
  struct trapframe *trapframe; // (-)
  char *fry;                // (-) frame mapped at FRY
  char *shrimp;             // (-) frame mapped at SHRIMP, or 0
  struct attachment shm[NSHMAT]; // (-) from the highest va down
  int nshm;                 // (-) how many
  struct context context;   // (-) swtch here to run it
  struct file *ofile[NOFILE]; // (-)
  struct inode *cwd;        // (-)
  char name[16];            // (-) for whoever debugs
};

extern struct proc proc[NPROC];

// These two are in every system call and every lock: inline, they save a
// sixth of getpid's instructions.

// Interrupts must be off: else the process may be on another hart already.
static inline struct cpu *mycpu(void) {
  return &cpus[r_tp()];
}

// The process whose kernel stack this is, whatever the hart; 0 on a
// scheduler's.
static inline struct proc *myproc(void) {
  uint64 slot = (TRAMPOLINE - 1 - r_sp()) / (KSTACK(0) - KSTACK(1));
  return slot < NPROC ? &proc[slot] : 0;
}

// A lock held with interrupts off, for a few instructions.
#pragma once

struct spinlock {
  uint locked;
  char *name;               // for whoever debugs
  struct cpu *cpu;          // the holder
};

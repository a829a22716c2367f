// The two pages that every process shares, by name:
//   fry     mine, which all my children see
//   shrimp  my parent's fry; the first process has none, and dies of touching it
// Each is PGSIZE bytes of ordinary memory, zero when its owner was made.
// They are volatile: somebody else writes there.
#pragma once

#include "kernel/types.h"
#include "kernel/riscv.h"
#include "kernel/memlayout.h"

#define fry ((volatile uint64 *)FRY)
#define shrimp ((volatile uint64 *)SHRIMP)

#define SHRIMP_WORDS (PGSIZE / sizeof(uint64))

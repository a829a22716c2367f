// Numbers that follow from a seed: xorshift64* (Vigna, "An experimental
// exploration of Marsaglia's xorshift generators, scrambled", 2016).
#pragma once

#include "kernel/types.h"

static uint64 random_state;

static inline void seed_random(uint64 seed) {
  random_state = (seed + 1) * 0x9e3779b97f4a7c15UL; // never 0 for what a test would give
}

static inline uint64 random64(void) {
  random_state ^= random_state >> 12;
  random_state ^= random_state << 25;
  random_state ^= random_state >> 27;
  return random_state * 0x2545f4914f6cdd1dUL;
}

// 0 to n - 1.
static inline uint below(uint n) {
  return (random64() >> 32) % n;
}

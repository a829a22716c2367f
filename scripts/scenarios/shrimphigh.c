// A program that no kernel with FRY and SHRIMP may load: its second segment ends where TRAPFRAME begins, or in copies of it a
// little below. Where it is loaded all the same it stands still: shrimphigh HOLD READY, each the two ends of a pipe, as letters
// from a.
#include "calls.h"

char __attribute__((section(".high"), used)) high[14 << 12];

int main(int argc, char **argv) {
  if (argc < 3)
    return 1;
  for (int end = 0; end < 2; end++) {
    hold[end] = argv[1][end] - 'a';
    ready[end] = argv[2][end] - 'a';
  }
  stand();
  return 0;
}

// A lock whose waiters sleep: held across disk transfers.
#pragma once

struct sleeplock {
  uint locked;              // guarded by lk
  uint waiting;             // guarded by lk: processes that sleep for it
  struct spinlock lk;
  char *name;               // for whoever debugs
  int pid;                  // the holder
};

// A disk block in memory.
#pragma once

// Marks: (c) guarded by the cache's lock, (b) guarded by lock.
struct buf {
  uint dev;                 // (c)
  uint blockno;             // (c)
  uint refcnt;              // (c)
  struct buf *hnext;        // (c) in its hash chain
  struct buf *prev;         // (c) in order of last use
  struct buf *next;         // (c)
  struct sleeplock lock;
  int valid;                // (b) data is the block's
  int disk;                 // (b) the device owns data until it clears this
  uchar data[BSIZE] __attribute__((aligned(8))); // (b)
};

// A disk block in memory.
#pragma once

// Marks: (c) guarded by the cache's lock, (l) by the log's, (d) by the
// disk's, (b) by lock, or for a block of an inode by the inode's.
struct buf {
  uint dev;                 // (c)
  uint blockno;             // (c)
  uint refcnt;              // (c) users and pins; 0 may be reused
  int recent;               // (c) looked up since the clock's hand came by
  struct buf *hnext;        // (c) in its hash chain
  int logged;               // (l) in the log's memory, not yet at its place
  struct sleeplock lock;
  int valid;                // (b) data is the block's
  int disk;                 // (d) the device owns data until this is 0
  uchar data[BSIZE] __attribute__((aligned(8))); // (b)
};

// Open files, the inodes in memory and the device table.
#pragma once

struct file {
  enum { FD_NONE, FD_PIPE, FD_INODE, FD_DEVICE } type;
  int ref;                  // guarded by ftable.lock; the rest is set once
  struct file *next;        // guarded by ftable.lock: while unused
  char readable;
  char writable;
  struct pipe *pipe;        // FD_PIPE
  struct inode *ip;         // FD_INODE, FD_DEVICE
  uint off;                 // FD_INODE; guarded by ip->lock
  short major;              // FD_DEVICE
};

// Marks: (t) guarded by itable.lock, (i) guarded by lock.
struct inode {
  uint dev;                 // (t)
  uint inum;                // (t)
  int ref;                  // (t) pointers to this entry; 0 is unused
  struct inode *next;       // (t) in its hash chain, or among the unused
  struct sleeplock lock;
  struct buf *map;          // (i) the indirect block, pinned since it was looked up; or 0
  int valid;                // (i) what follows has been read from the disk
  // From here to addrs (i): a struct dinode, field by field; aligned to be
  // copied by words.
  short type __attribute__((aligned(8)));
  short major;
  short minor;
  short nlink;
  uint size;
  uint addrs[NDIRECT + 1];
};

// user says whether addr is the calling process's or the kernel's.
// Both return the bytes moved, or -1.
struct devsw {
  int (*read)(int user, uint64 addr, int n);
  int (*write)(int user, uint64 addr, int n);
};

extern struct devsw devsw[NDEV];

#define CONSOLE 1           // major number

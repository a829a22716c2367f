// The write-ahead log: file system calls change the disk all at once or not
// at all. Owns the log's blocks on the disk and says when a changed buffer
// may go to its place.
//
// On the disk: a header block {int n; int block[];} at sb.logstart, then
// the data. n > 0 means that data block i is to replace block[i].
//
// All calls between begin_op and end_op that overlap form one transaction,
// committed when the last of them ends: data into the log, then the header
// (from here on it has happened), then the data to its places, then a
// header that says 0. Each step waits for the one before it to be on disk.

#include "types.h"
#include "riscv.h"
#include "param.h"
#include "fs.h"
#include "spinlock.h"
#include "sleeplock.h"
#include "buf.h"
#include "defs.h"

struct logheader {
  int n;
  int block[LOGBLOCKS];
};

_Static_assert(sizeof(struct logheader) <= BSIZE, "the header is one block");

// While committing is set, the buffers in block[] and header belong to the
// committer: no operation is open, so nobody else may change them.
static struct {
  struct spinlock lock;     // guards the rest
  uint start;               // the header's block
  int capacity;             // data blocks
  int open;                 // operations begun and not ended
  int committing;
  int n;                    // changed blocks in this transaction
  struct buf *block[LOGBLOCKS];
  struct buf header;        // outside the cache
} log;

// Starts writing a header that claims the first n blocks.
static void set_header(int n) {
  struct logheader *h = (struct logheader *)log.header.data;
  h->n = n;
  for (int i = 0; i < n; i++)
    h->block[i] = log.block[i]->blockno;
  virtio_disk_start(&log.header, log.start, 1);
}

// Repeats the last transaction if it was committed and may not have reached
// its places. Nothing is in the cache yet that could become stale but the
// superblock, which is never logged.
static void recover(struct superblock *sb) {
  static struct buf copy;
  struct logheader *h = (struct logheader *)log.header.data;

  virtio_disk_rw(&log.header, 0);
  if (h->n < 0 || h->n > MIN(LOGBLOCKS, (int)sb->nlog - 1))
    panic("log: the header's count is impossible");
  for (int i = 0; i < h->n; i++) {
    uint home = h->block[i];
    if (home < sb->inodestart || home >= sb->size)
      panic("log: the header names a block outside the file system");
    copy.blockno = log.start + 1 + i;
    virtio_disk_rw(&copy, 0);
    copy.blockno = home;
    virtio_disk_rw(&copy, 1);
  }
  if (h->n > 0)
    set_header(0);
}

void initlog(int dev, struct superblock *sb) {
  initlock(&log.lock, "log");
  log.start = sb->logstart;
  log.capacity = MIN(LOGBLOCKS, (int)sb->nlog - 1);
  if (log.capacity < MAXOPBLOCKS)
    panic("log: the disk's log is too short");
  log.header.dev = dev;
  log.header.blockno = log.start;
  recover(sb);
}

// Begins an operation that changes at most MAXOPBLOCKS blocks; sleeps until
// the log has room for that whatever the other open ones do. The caller
// holds no inode and no other operation.
void begin_op(void) {
  acquire(&log.lock);
  while (log.committing ||
         log.n + (log.open + 1) * MAXOPBLOCKS > log.capacity)
    sleep(&log, &log.lock);
  log.open++;
  release(&log.lock);
}

// Writes every changed block, in parallel, into the log or to its place.
static void write_blocks(int into_log) {
  for (int i = 0; i < log.n; i++) {
    struct buf *b = log.block[i];
    virtio_disk_start(b, into_log ? log.start + 1 + i : b->blockno, 1);
  }
  for (int i = 0; i < log.n; i++)
    virtio_disk_wait(log.block[i]);
}

// The last header may still be on its way when this returns; until it has
// arrived the next commit may not touch the log.
static void commit(void) {
  virtio_disk_wait(&log.header);
  write_blocks(1);
  set_header(log.n);
  virtio_disk_wait(&log.header);
  write_blocks(0);
  set_header(0);
  for (int i = 0; i < log.n; i++)
    log.block[i]->logged = 0;
  bunpin(log.block, log.n);
  log.n = 0;
}

// Ends an operation, and commits if no other is open.
void end_op(void) {
  acquire(&log.lock);
  if (--log.open == 0 && log.n > 0) {
    log.committing = 1;
    release(&log.lock);
    commit();
    acquire(&log.lock);
    log.committing = 0;
  }
  wakeup(&log);
  release(&log.lock);
}

// b, which is locked, was changed in this operation: it goes to the disk at
// the commit and stays in the cache till then. Once per block is enough.
void log_write(struct buf *b) {
  acquire(&log.lock);
  if (log.open == 0)
    panic("log_write: no operation is open");
  if (!b->logged) {
    if (log.n == log.capacity)
      panic("log_write: an operation changed too many blocks");
    b->logged = 1;
    bpin(b);
    log.block[log.n++] = b;
  }
  release(&log.lock);
}

// The buffer cache: every block in use, once, and as many of the others as
// fit. Owns the buffers and their order of last use; the log decides when a
// changed block goes to the disk.
//
// Waiting for a buffer while all are in use is safe: only an operation in a
// transaction asks for a block while it holds another, at most
// LOGBLOCKS / MAXOPBLOCKS of them run at once, and the log pins LOGBLOCKS
// at most. All other holders let go without needing a further buffer.

#include "types.h"
#include "riscv.h"
#include "param.h"
#include "fs.h"
#include "spinlock.h"
#include "sleeplock.h"
#include "buf.h"
#include "defs.h"

_Static_assert(NBUF >= 2 * LOGBLOCKS, "the log could pin every buffer");
_Static_assert(NBUF >= MAXFILE + LOGBLOCKS, "the longest file does not fit beside what the log pins");

#define NCHAIN 512          // a power of two

static struct {
  struct spinlock lock;
  struct buf buf[NBUF];
  struct buf *chain[NCHAIN];
  struct buf unused;        // a ring: unused.next has rested longest
} cache;

static struct buf **chain_of(uint dev, uint blockno) {
  return &cache.chain[(blockno ^ dev * 31) % NCHAIN];
}

// The ring's two moves. cache.lock is held.
static void rest(struct buf *b) {
  b->next = &cache.unused;
  b->prev = cache.unused.prev;
  b->prev->next = b;
  cache.unused.prev = b;
}

static void unrest(struct buf *b) {
  b->prev->next = b->next;
  b->next->prev = b->prev;
}

void binit(void) {
  initlock(&cache.lock, "cache");
  cache.unused.next = cache.unused.prev = &cache.unused;
  for (struct buf *b = cache.buf; b < cache.buf + NBUF; b++) {
    initsleeplock(&b->lock, "buffer");
    // Given no block yet: device 0 does not exist.
    struct buf **chain = chain_of(0, b - cache.buf);
    b->blockno = b - cache.buf;
    b->hnext = *chain;
    *chain = b;
    rest(b);
  }
}

// Makes the buffer that has rested longest stand for another block.
// cache.lock is held.
static struct buf *recycle(uint dev, uint blockno) {
  struct buf *b = cache.unused.next;
  struct buf **link = chain_of(b->dev, b->blockno);
  while (*link != b)
    link = &(*link)->hnext;
  *link = b->hnext;

  b->dev = dev;
  b->blockno = blockno;
  b->valid = 0;
  link = chain_of(dev, blockno);
  b->hnext = *link;
  *link = b;
  return b;
}

// The buffer of a block, locked; b->valid says whether it holds the data.
static struct buf *lookup(uint dev, uint blockno) {
  struct buf *b;

  acquire(&cache.lock);
  for (;;) {
    b = *chain_of(dev, blockno);
    while (b && (b->blockno != blockno || b->dev != dev))
      b = b->hnext;
    if (b == 0 && cache.unused.next != &cache.unused)
      b = recycle(dev, blockno);
    if (b)
      break;
    sleep(&cache.unused, &cache.lock);
  }
  if (b->refcnt++ == 0)
    unrest(b);
  release(&cache.lock);
  acquiresleep(&b->lock);
  return b;
}

// A block's buffer with the block's data, locked.
struct buf *bread(uint dev, uint blockno) {
  struct buf *b = lookup(dev, blockno);
  if (!b->valid) {
    virtio_disk_rw(b, 0);
    b->valid = 1;
  }
  return b;
}

// A block's buffer, locked, with zeros in place of what the disk holds.
struct buf *bzeroed(uint dev, uint blockno) {
  struct buf *b = lookup(dev, blockno);
  memset(b->data, 0, BSIZE);
  b->valid = 1;
  return b;
}

// Keeps b in the cache until bunpin.
void bpin(struct buf *b) {
  acquire(&cache.lock);
  b->refcnt++;
  release(&cache.lock);
}

void bunpin(struct buf *b) {
  acquire(&cache.lock);
  if (--b->refcnt == 0) {
    int starved = cache.unused.next == &cache.unused;
    rest(b);
    if (starved)
      wakeup(&cache.unused);
  }
  release(&cache.lock);
}

// Gives back what bread or bzeroed gave.
void brelse(struct buf *b) {
  if (!holdingsleep(&b->lock))
    panic("brelse: the buffer is not locked");
  releasesleep(&b->lock);
  bunpin(b);
}

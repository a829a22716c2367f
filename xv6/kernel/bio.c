// The buffer cache: every block in use, once, and as many of the others as
// fit. Owns the buffers; the log decides when a changed block goes to the
// disk. Which buffer gets another block is decided by the clock algorithm: a
// hand goes round, and takes the first that nobody uses and that has not been
// looked up since the hand came by.
//
// Waiting for a buffer while all are in use is safe: only an operation in a
// transaction asks for a block while it holds another, at most
// LOGBLOCKS / MAXOPBLOCKS of them run at once, and the log pins LOGBLOCKS
// at most, inodes in memory NINODE. All other holders let go without needing
// a further buffer.

#include "types.h"
#include "riscv.h"
#include "param.h"
#include "fs.h"
#include "spinlock.h"
#include "sleeplock.h"
#include "buf.h"
#include "defs.h"

_Static_assert((NBUF & (NBUF - 1)) == 0, "the hand goes round when its count overflows");
_Static_assert(NBUF >= 2 * LOGBLOCKS + NINODE, "the log and inodes could pin every buffer");
_Static_assert(NBUF >= MAXFILE + LOGBLOCKS, "the longest file does not fit beside what the log pins");

#define NCHAIN 512          // a power of two

static struct {
  struct spinlock lock;
  struct buf buf[NBUF];
  struct buf *chain[NCHAIN];
  uint hand;                // index of the buffer that it comes to next
  uint waiting;             // processes that sleep for a buffer
} cache;

static struct buf **chain_of(uint blockno) {
  return &cache.chain[blockno % NCHAIN];
}

// Puts b into its chain. cache.lock is held.
static void enter(struct buf *b) {
  struct buf **chain = chain_of(b->blockno);
  b->hnext = *chain;
  *chain = b;
}

void binit(void) {
  initlock(&cache.lock, "cache");
  for (struct buf *b = cache.buf; b < cache.buf + NBUF; b++) {
    initsleeplock(&b->lock, "buffer");
    // Given no block yet: device 0 does not exist.
    b->blockno = b - cache.buf;
    enter(b);
  }
  // Block 0 holds nothing on the disk. Here it is a hole of any file: zeros.
  cache.buf[0].dev = ROOTDEV;
  cache.buf[0].valid = 1;
  cache.buf[0].refcnt = 1;
}

// Where the hand stops, or 0 when all buffers are in use. In two rounds it
// comes by each of them after it has forgotten when that was looked up.
// cache.lock is held.
static struct buf *turn(void) {
  for (int i = 0; i < 2 * NBUF; i++) {
    struct buf *b = &cache.buf[cache.hand++ % NBUF];
    if (b->refcnt == 0 && !b->recent)
      return b;
    b->recent = 0;
  }
  return 0;
}

// Makes a buffer that is not in use stand for another block; 0 if there is
// none. cache.lock is held.
static struct buf *recycle(uint dev, uint blockno) {
  struct buf *b = turn();
  if (b == 0)
    return 0;
  struct buf **link = chain_of(b->blockno);
  while (*link != b)
    link = &(*link)->hnext;
  *link = b->hnext;

  b->dev = dev;
  b->blockno = blockno;
  b->valid = 0;
  enter(b);
  return b;
}

// The buffer that stands for a block, used once more; 0 if none does and all
// are in use. cache.lock is held.
static struct buf *use(uint dev, uint blockno) {
  struct buf *b = *chain_of(blockno);

  while (b && (b->blockno != blockno || b->dev != dev))
    b = b->hnext;
  if (b == 0 && (b = recycle(dev, blockno)) == 0)
    return 0;
  b->refcnt++;
  b->recent = 1;
  return b;
}

// Sleeps until a buffer may not be in use any more. cache.lock is held.
static void await_one(void) {
  cache.waiting++;
  sleep(&cache.waiting, &cache.lock);
  cache.waiting--;
}

// Keeps the buffers of up to n blocks in the cache until bunpin. How many:
// waits for the first of them, not for the others, as that could last for
// ever.
static uint pin(uint dev, const uint *list, uint n, struct buf **run) {
  uint got = 0;

  acquire(&cache.lock);
  while (got < n) {
    struct buf *b = use(dev, list[got]);
    if (b)
      run[got++] = b;
    else if (got > 0)
      break;
    else
      await_one();
  }
  release(&cache.lock);
  return got;
}

// Reads b's block, unless b holds it. b is locked, or bshare's.
static void fill(struct buf *b) {
  if (!b->valid) {
    virtio_disk_rw(b, 0);
    b->valid = 1;
  }
}

// The buffers of up to n blocks of an inode that the caller has locked. Nobody
// else fills or changes them meanwhile, so they are not locked: a block of a
// file that was cached is read in 791 instructions, of which 314 copy it; with
// a lock for each buffer, looked up one by one, it took 1,502 (user/bench.c).
// How many, 1 at least; block 0 is a hole. bunpin gives them back.
uint bshare(uint dev, const uint *list, uint n, struct buf **run) {
  n = pin(dev, list, n, run);
  for (uint i = 0; i < n; i++)
    fill(run[i]);
  return n;
}

// The buffer of a block, locked; b->valid says whether it holds the data.
static struct buf *lookup(uint dev, uint blockno) {
  struct buf *b = 0;

  pin(dev, &blockno, 1, &b);
  acquiresleep(&b->lock);
  return b;
}

// A block's buffer with the block's data, locked.
struct buf *bread(uint dev, uint blockno) {
  struct buf *b = lookup(dev, blockno);
  fill(b);
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

// Lets go of n buffers.
void bunpin(struct buf **run, uint n) {
  acquire(&cache.lock);
  for (uint i = 0; i < n; i++)
    run[i]->refcnt--;
  if (cache.waiting)
    wakeup(&cache.waiting);
  release(&cache.lock);
}

// Gives back what bread or bzeroed gave.
void brelse(struct buf *b) {
  releasesleep(&b->lock);
  bunpin(&b, 1);
}

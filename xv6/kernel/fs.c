// Blocks and inodes: what is free, what belongs to which file. Owns the
// superblock, the free bitmap, the inodes on the disk and in memory. Names
// are dir.c's, open files file.c's.
//
// Lock order, first to last:
//   1. an operation of the log (begin_op)
//   2. inodes: a directory before what it names; never ".." or "." under
//      a locked directory
//   3. buffers: a file's blocks (data, then indirect), the bitmap, the
//      inode's block
//   4. the log's, the inode table's, the cache's and the disk's spinlocks,
//      in this order
//
// A full disk and a full table are results, not panics: 0 or -1. What
// panics is a disk that contradicts itself.

#include <stddef.h>
#include "types.h"
#include "riscv.h"
#include "param.h"
#include "spinlock.h"
#include "sleeplock.h"
#include "fs.h"
#include "stat.h"
#include "buf.h"
#include "file.h"
#include "proc.h"
#include "defs.h"

#define NCHAIN 64           // a power of two
#define RUN (PGSIZE / BSIZE) // blocks that readi looks up at once

static struct superblock sb; // constant after fsinit

static struct {
  struct spinlock lock;
  struct inode inode[NINODE];
  struct inode *chain[NCHAIN]; // those with references, by number
  struct inode *unused;
} itable;

// Where the next search for something free begins. Any value is right: a
// race costs a longer search, nothing else.
static uint block_hint;
static uint inode_hint;

// The first clear bit at or after bit from in a bitmap of n bits, or n.
// The map is read a word at a time.
static uint first_clear(const uint64 *map, uint from, uint n) {
  for (uint at = from; at < n; at = (at | 63) + 1) {
    uint64 rest = ~map[at / 64] >> at % 64;
    if (rest == 0)
      continue;
    for (; (rest & 0xff) == 0; rest >>= 8)
      at += 8;
    for (; (rest & 1) == 0; rest >>= 1)
      at++;
    return MIN(at, n);
  }
  return n;
}

// A free block's number, marked as used; 0 when the disk is full. What the
// block holds is undefined: use bzeroed. Inside an operation.
static uint take_block(uint dev) {
  uint n_maps = (sb.size + BPB - 1) / BPB;
  uint from = block_hint < sb.size ? block_hint : 0;
  uint map = from / BPB;
  uint bit = from % BPB;

  // One round more than there are maps: the first is begun in its middle.
  for (uint round = 0; round <= n_maps; round++) {
    uint n_bits = MIN(BPB, sb.size - map * BPB);
    struct buf *b = bread(dev, sb.bmapstart + map);
    uint64 *words = (uint64 *)b->data;
    bit = first_clear(words, bit, n_bits);
    if (bit < n_bits) {
      words[bit / 64] |= 1UL << bit % 64;
      log_write(b);
      brelse(b);
      block_hint = map * BPB + bit + 1;
      return map * BPB + bit;
    }
    brelse(b);
    bit = 0;
    if (++map >= n_maps)
      map = 0;
  }
  return 0;
}

// Frees n blocks; 0 stands for none. Inside an operation.
static void free_blocks(uint dev, const uint *list, uint n) {
  struct buf *b = 0;
  for (uint i = 0; i < n; i++) {
    uint blockno = list[i];
    if (blockno == 0)
      continue;
    if (blockno >= sb.size)
      panic("fs: a file has a block outside the disk");
    uint home = BBLOCK(blockno, sb);
    if (b == 0 || b->blockno != home) {
      if (b)
        brelse(b);
      b = bread(dev, home);
      log_write(b);
    }
    uint64 *word = (uint64 *)b->data + blockno % BPB / 64;
    uint64 bit = 1UL << blockno % 64;
    if (!(*word & bit))
      panic("fs: a block was freed twice");
    *word &= ~bit;
    if (blockno < block_hint)
      block_hint = blockno;
  }
  if (b)
    brelse(b);
}

void iinit(void) {
  initlock(&itable.lock, "itable");
  for (struct inode *ip = itable.inode; ip < itable.inode + NINODE; ip++) {
    initsleeplock(&ip->lock, "inode");
    ip->next = itable.unused;
    itable.unused = ip;
  }
}

static struct inode **chain_of(uint inum) {
  return &itable.chain[inum % NCHAIN];
}

// The entry of an inode, with one more reference, not locked and perhaps
// not yet read; 0 when the table is full.
struct inode *iget(uint dev, uint inum) {
  struct inode **chain = chain_of(inum);

  acquire(&itable.lock);
  struct inode *ip = *chain;
  while (ip && (ip->inum != inum || ip->dev != dev))
    ip = ip->next;
  if (ip == 0 && (ip = itable.unused)) {
    itable.unused = ip->next;
    ip->dev = dev;
    ip->inum = inum;
    ip->valid = 0;
    ip->next = *chain;
    *chain = ip;
  }
  if (ip)
    ip->ref++;
  release(&itable.lock);
  return ip;
}

// One more reference to ip; returns ip.
struct inode *idup(struct inode *ip) {
  acquire(&itable.lock);
  ip->ref++;
  release(&itable.lock);
  return ip;
}

// ip has lost its indirect block, or goes out of memory.
static void forget_map(struct inode *ip) {
  if (ip->map)
    bunpin(&ip->map, 1);
  ip->map = 0;
}

// Drops a reference, and the entry with its last one. 0, and nothing
// dropped, if that would lose an inode without names: reclaim it first.
// With ref 1 nobody else can come to such an inode, so its fields stand.
static int drop(struct inode *ip) {
  acquire(&itable.lock);
  int gone = !(ip->ref == 1 && ip->valid && ip->nlink == 0);
  if (gone && --ip->ref == 0) {
    struct inode **link = chain_of(ip->inum);
    while (*link != ip)
      link = &(*link)->next;
    *link = ip->next;
    ip->next = itable.unused;
    itable.unused = ip;
    forget_map(ip);
  }
  release(&itable.lock);
  return gone;
}

#define DISK_PART offsetof(struct inode, type) // of struct inode: a struct dinode
_Static_assert(offsetof(struct inode, nlink) - DISK_PART == offsetof(struct dinode, nlink) &&
               offsetof(struct inode, addrs) - DISK_PART == offsetof(struct dinode, addrs),
               "struct inode has struct dinode's fields in their order");

// Copies what the disk knows of ip to the block it is in, or from there.
// ip is locked; to_disk inside an operation.
static void exchange(struct inode *ip, int to_disk) {
  struct buf *b = bread(ip->dev, IBLOCK(ip->inum, sb));
  void *there = (struct dinode *)b->data + ip->inum % IPB;
  void *here = (char *)ip + DISK_PART;

  if (to_disk) {
    memmove(there, here, sizeof(struct dinode));
    log_write(b);
  } else {
    memmove(here, there, sizeof(struct dinode));
  }
  brelse(b);
}

// Locks ip; from here on its fields are known. A reference is held.
void ilock(struct inode *ip) {
  acquiresleep(&ip->lock);
  if (ip->valid)
    return;
  exchange(ip, 0);
  if (ip->type == 0)
    panic("fs: a name leads to a free inode");
  ip->valid = 1;
}

void iunlock(struct inode *ip) {
  releasesleep(&ip->lock);
}

// Writes ip's fields to the disk. ip is locked; inside an operation.
void iupdate(struct inode *ip) {
  exchange(ip, 1);
}

// Frees the inode on the disk. ip is not locked; inside an operation.
static void reclaim(struct inode *ip) {
  acquiresleep(&ip->lock);
  itrunc(ip);
  ip->type = 0;
  iupdate(ip);
  ip->valid = 0;            // ialloc may already have found it again
  if (ip->inum < inode_hint)
    inode_hint = ip->inum;
  releasesleep(&ip->lock);
}

// Gives back a reference. The last one to an inode without names frees it,
// so this belongs inside an operation; ip is not locked.
void iput(struct inode *ip) {
  while (!drop(ip))
    reclaim(ip);
}

void iunlockput(struct inode *ip) {
  iunlock(ip);
  iput(ip);
}

// A new inode of that type, all else 0, referenced and not locked; 0 when
// the disk or the table has none left. Inside an operation.
struct inode *ialloc(uint dev, short type) {
  struct buf *b = 0;
  struct inode *ip = 0;
  uint inum = inode_hint;

  for (uint tried = 0; tried < sb.ninodes; tried++, inum++) {
    if (inum >= sb.ninodes)
      inum = 0;
    uint home = IBLOCK(inum, sb);
    if (b == 0 || b->blockno != home) {
      if (b)
        brelse(b);
      b = bread(dev, home);
    }
    struct dinode *d = (struct dinode *)b->data + inum % IPB;
    if (inum == 0 || d->type != 0) // 0 marks unused directory entries
      continue;
    if ((ip = iget(dev, inum))) {
      memset(d, 0, sizeof(*d));
      d->type = type;
      log_write(b);
      inode_hint = inum + 1;
    }
    break;
  }
  if (b)
    brelse(b);
  return ip;
}

// The orphans among the inodes of one block, of which first is the first: a
// bit for each. They are in use and have no name.
static uint orphans(int dev, uint first) {
  struct buf *b = bread(dev, IBLOCK(first, sb));
  const struct dinode *d = (struct dinode *)b->data;
  uint found = 0;

  for (uint i = 0; i < IPB && first + i < sb.ninodes; i++)
    found |= (d[i].type != 0 && d[i].nlink == 0) << i;
  brelse(b);
  return found;
}

// A crash leaves as orphans the files that were open then and had lost their
// last name. Each goes as it would have without the crash: with a reference
// to it that is given back.
static void free_orphans(int dev) {
  for (uint first = 0; first < sb.ninodes; first += IPB) {
    uint found = orphans(dev, first);
    for (uint inum = first; found; inum++, found >>= 1) {
      if (!(found & 1))
        continue;
      begin_op();
      struct inode *ip = iget(dev, inum);
      ilock(ip);
      iunlockput(ip);
      end_op();
    }
  }
}

// Reads the superblock, repeats what the log holds, frees what a crash left.
void fsinit(int dev) {
  struct buf *b = bread(dev, 1);
  memmove(&sb, b->data, sizeof(sb));
  brelse(b);
  if (sb.magic != FSMAGIC)
    panic("fs: the disk holds no file system (bad magic in block 1)");
  initlog(dev, &sb);
  free_orphans(dev);
}

void stati(struct inode *ip, struct stat *st) {
  st->type = ip->type;
  st->size = ip->size;
  st->nlink = ip->nlink;
  st->ino = ip->inum;
  st->dev = ip->dev;
}

// The numbers of ip's blocks from the first'th on, n of them; 0 for one that
// is not there. ip is locked.
static void blocks_at(struct inode *ip, uint first, uint n, uint *list) {
  uint *indirect = &ip->addrs[NDIRECT];
  if (first + n > NDIRECT && *indirect && !ip->map)
    bshare(ip->dev, indirect, 1, &ip->map);

  const uint *map = ip->map ? (uint *)ip->map->data : 0;
  for (uint at = first; at < first + n; at++)
    if (at < NDIRECT)
      *list++ = ip->addrs[at];
    else
      *list++ = map && at < MAXFILE ? map[at - NDIRECT] : 0;
}

static uint block_at(struct inode *ip, uint n) {
  uint blockno = 0;
  blocks_at(ip, n, 1, &blockno);
  return blockno;
}

// Makes blockno ip's n'th block; -1 when there is no room for the indirect
// block. ip is locked, and the caller has to iupdate it.
static int attach_block(struct inode *ip, uint n, uint blockno) {
  if (n < NDIRECT) {
    ip->addrs[n] = blockno;
    return 0;
  }
  uint *indirect = &ip->addrs[NDIRECT];
  int fresh = *indirect == 0;
  if (fresh && (*indirect = take_block(ip->dev)) == 0)
    return -1;
  struct buf *b = fresh ? bzeroed(ip->dev, *indirect)
                        : bread(ip->dev, *indirect);
  ((uint *)b->data)[n - NDIRECT] = blockno;
  log_write(b);
  brelse(b);
  return 0;
}

// The buffers of up to n of ip's blocks from the first'th on, to read until
// bunpin. How many, 1 at least. ip is locked.
static uint iblocks(struct inode *ip, uint first, uint n, struct buf **run) {
  uint list[RUN];
  n = MIN(n, RUN);
  blocks_at(ip, first, n, list);
  return bshare(ip->dev, list, n, run);
}

struct buf *ibread(struct inode *ip, uint n) {
  struct buf *b = 0;
  iblocks(ip, n, 1, &b);
  return b;
}

// Frees all of ip's contents, also what a failed write left beyond the end.
// ip is locked; inside an operation.
void itrunc(struct inode *ip) {
  uint *indirect = &ip->addrs[NDIRECT];
  if (*indirect) {
    struct buf *b = bread(ip->dev, *indirect);
    free_blocks(ip->dev, (uint *)b->data, NINDIRECT);
    brelse(b);
    forget_map(ip);
  }
  free_blocks(ip->dev, ip->addrs, NDIRECT + 1);
  memset(ip->addrs, 0, sizeof(ip->addrs));
  ip->size = 0;
  iupdate(ip);
}

// Copies n bytes of a file, of which the first is the start'th of run's
// first block. 0, or -1 if dst is bad.
static int copy_run(struct buf **run, uint64 start, int user_dst, uint64 dst, uint64 n) {
  uint64 room = 0;          // bytes that may be written at to
  char *to = 0;

  for (uint64 step; n > 0; n -= step) {
    if (room == 0) {
      room = n;
      if ((to = reach(user_dst, dst, PTE_W, &room)) == 0)
        return -1;
      dst += room;
    }
    step = MIN(room, BSIZE - start);
    memmove(to, (*run)->data + start, step);
    to += step;
    room -= step;
    start += step;
    if (start == BSIZE) {
      start = 0;
      run++;
    }
  }
  return 0;
}

// Reads up to n bytes at off into a user's or the kernel's dst. The number
// read, less at the end of the file; -1 if dst is bad. ip is locked.
int readi(struct inode *ip, int user_dst, uint64 dst, uint off, uint n) {
  struct buf *run[RUN];

  if (off >= ip->size)
    return 0;
  uint64 end = off + MIN(n, ip->size - off);
  for (uint64 at = off, step; at < end; at += step, dst += step) {
    uint64 first = at / BSIZE;
    uint64 got = iblocks(ip, first, (end - 1) / BSIZE + 1 - first, run);
    step = MIN(end, (first + got) * BSIZE) - at;
    int failed = copy_run(run, at % BSIZE, user_dst, dst, step);
    bunpin(run, got);
    if (failed)
      return -1;
  }
  return end - off;
}

// How many bytes at off one operation can write and log: k data blocks,
// each perhaps new, one indirect block, the inode, and a bitmap block for
// every new one, but not more than the disk has.
int writemax(uint off) {
  int n_maps = (sb.size + BPB - 1) / BPB;
  int fixed = 2;
  int scattered = (MAXOPBLOCKS - fixed - 1) / 2; // k + (k + 1) maps
  int k = MAXOPBLOCKS - fixed - n_maps;
  return (k > scattered ? k : scattered) * BSIZE - off % BSIZE;
}

// Writes n bytes that lie in one block. 0, or 1 if the inode changed, or
// -1: bad src, or the disk is full, and then no new block is kept.
static int write_within(struct inode *ip, uint off, int user_src, uint64 src,
                        uint n) {
  uint old = block_at(ip, off / BSIZE);
  uint blockno = old ? old : take_block(ip->dev);
  if (blockno == 0)
    return -1;

  struct buf *b = old ? bread(ip->dev, old) : bzeroed(ip->dev, blockno);
  int failed = either_copyin(b->data + off % BSIZE, user_src, src, n);
  if (!failed && !old)
    failed = attach_block(ip, off / BSIZE, blockno);
  if (!failed || old)
    log_write(b);           // a failed copy may have changed a part
  brelse(b);
  if (failed && !old)
    free_blocks(ip->dev, &blockno, 1);
  return failed ? -1 : !old;
}

// Writes n bytes from a user's or the kernel's src at off, which is not
// beyond the end. The number written, less if the disk is full or src is
// bad; -1 if off or n is impossible. ip is locked; inside an operation,
// and n is at most writemax(off).
int writei(struct inode *ip, int user_src, uint64 src, uint off, uint n) {
  if (off > ip->size || off > MAXFILE * BSIZE || n > MAXFILE * BSIZE - off)
    return -1;

  uint at = off, end = off + n;
  int changed = 0;
  while (at < end) {
    uint step = MIN(end - at, BSIZE - at % BSIZE);
    int result = write_within(ip, at, user_src, src, step);
    if (result < 0)
      break;
    changed |= result;
    at += step;
    src += step;
  }
  if (at > ip->size) {
    ip->size = at;
    changed = 1;
  }
  if (changed)
    iupdate(ip);
  return at - off;
}

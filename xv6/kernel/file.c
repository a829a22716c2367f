// Open files: what a descriptor stands for, whatever is behind it. Owns the
// table of open files and the table of devices.

#include "types.h"
#include "riscv.h"
#include "param.h"
#include "spinlock.h"
#include "sleeplock.h"
#include "fs.h"
#include "stat.h"
#include "file.h"
#include "proc.h"
#include "defs.h"

struct devsw devsw[NDEV];

static struct {
  struct spinlock lock;
  struct file file[NFILE];
  struct file *unused;
} ftable;

void fileinit(void) {
  initlock(&ftable.lock, "ftable");
  for (struct file *f = ftable.file; f < ftable.file + NFILE; f++) {
    f->next = ftable.unused;
    ftable.unused = f;
  }
}

// A file of no kind yet, with one reference; 0 when the table is full.
struct file *filealloc(void) {
  acquire(&ftable.lock);
  struct file *f = ftable.unused;
  if (f) {
    ftable.unused = f->next;
    f->ref = 1;
    f->type = FD_NONE;
  }
  release(&ftable.lock);
  return f;
}

// Adds more to f's references; its entry is free when none is left. How many
// there are now.
static int refer(struct file *f, int more) {
  acquire(&ftable.lock);
  if (f->ref < 1)
    panic("file: used, but not open");
  int left = f->ref += more;
  if (left == 0) {
    f->next = ftable.unused;
    ftable.unused = f;
  }
  release(&ftable.lock);
  return left;
}

// One more reference to f; returns f.
struct file *filedup(struct file *f) {
  refer(f, 1);
  return f;
}

// Gives back a reference; the last one closes. Outside an operation.
void fileclose(struct file *f) {
  struct file was = *f;     // another may open it as soon as it is free

  if (refer(f, -1) > 0)
    return;
  switch (was.type) {
  case FD_NONE:
    break;
  case FD_PIPE:
    pipeclose(was.pipe, was.writable);
    break;
  case FD_INODE:
  case FD_DEVICE:
    begin_op();
    iput(was.ip);
    end_op();
  }
}

// Puts f's struct stat at the user's addr. -1 for a pipe or a bad addr.
int filestat(struct file *f, uint64 addr) {
  struct stat st;

  if (f->type != FD_INODE && f->type != FD_DEVICE)
    return -1;
  memset(&st, 0, sizeof(st)); // its padding goes to the user too
  ilock(f->ip);
  stati(f->ip, &st);
  iunlock(f->ip);
  return copyout(myproc()->pagetable, addr, &st, sizeof(st));
}

static struct devsw *device_of(struct file *f) {
  return f->major >= 0 && f->major < NDEV ? &devsw[f->major] : 0;
}

// Reads up to n bytes to the user's addr. The number read, 0 at the end,
// or -1.
int fileread(struct file *f, uint64 addr, int n) {
  if (!f->readable || n < 0)
    return -1;

  if (f->type == FD_PIPE)
    return piperead(f->pipe, addr, n);

  if (f->type == FD_DEVICE) {
    struct devsw *dev = device_of(f);
    return dev && dev->read ? dev->read(1, addr, n) : -1;
  }

  ilock(f->ip);
  int moved = readi(f->ip, 1, addr, f->off, n);
  if (moved > 0)
    f->off += moved;
  iunlock(f->ip);
  return moved;
}

// Writes to a file on the disk, in as many operations as the log needs;
// a crash may leave a prefix. n, or -1 if not all could be written.
static int inode_write(struct file *f, uint64 addr, int n) {
  int done = 0;
  while (done < n) {
    begin_op();
    ilock(f->ip);
    int part = MIN(n - done, writemax(f->off));
    int moved = writei(f->ip, 1, addr + done, f->off, part);
    if (moved > 0)
      f->off += moved;
    iunlock(f->ip);
    end_op();
    if (moved != part)
      return -1;
    done += moved;
  }
  return n;
}

// Writes n bytes from the user's addr. The number written, or -1.
int filewrite(struct file *f, uint64 addr, int n) {
  if (!f->writable || n < 0)
    return -1;

  if (f->type == FD_PIPE)
    return pipewrite(f->pipe, addr, n);

  if (f->type == FD_DEVICE) {
    struct devsw *dev = device_of(f);
    return dev && dev->write ? dev->write(1, addr, n) : -1;
  }

  return inode_write(f, addr, n);
}

// Pipes. One frame each: struct pipe at its start, the rest is the ring.
//
// Who waits does so only at the extremes: readers while the ring is empty,
// writers while it is full. So only the move that leaves an extreme, or the
// other end's closing, has anyone to wake.

#include "types.h"
#include "riscv.h"
#include "param.h"
#include "spinlock.h"
#include "sleeplock.h"
#include "fs.h"
#include "file.h"
#include "proc.h"
#include "defs.h"

struct pipe {
  struct spinlock lock;     // guards the rest
  uint head;                // where in data the next byte to read is
  uint count;               // bytes in the ring
  int readopen;
  int writeopen;
  uchar data[] __attribute__((aligned(8)));
};

#define RING ((uint)(PGSIZE - sizeof(struct pipe)))

// Readers sleep on &count, writers on &head.

// A pipe with one file to read and one to write; -1, and nothing taken, if
// memory or files run out.
int pipealloc(struct file **rf, struct file **wf) {
  struct pipe *pi = kalloc();
  *rf = filealloc();
  *wf = filealloc();
  if (pi == 0 || *rf == 0 || *wf == 0) {
    if (*rf)
      fileclose(*rf);
    if (*wf)
      fileclose(*wf);
    if (pi)
      kfree(pi);
    return -1;
  }

  initlock(&pi->lock, "pipe");
  pi->head = pi->count = 0;
  pi->readopen = pi->writeopen = 1;
  for (int end = 0; end < 2; end++) {
    struct file *f = end ? *wf : *rf;
    f->pipe = pi;
    f->readable = !end;
    f->writable = end;
    f->type = FD_PIPE;
  }
  return 0;
}

// Closes one end, and wakes who waits at the other to see it. The second
// end frees the pipe.
void pipeclose(struct pipe *pi, int writable) {
  acquire(&pi->lock);
  if (writable) {
    pi->writeopen = 0;
    wakeup(&pi->count);
  } else {
    pi->readopen = 0;
    wakeup(&pi->head);
  }
  int orphaned = !pi->readopen && !pi->writeopen;
  release(&pi->lock);
  if (orphaned)
    kfree(pi);
}

// Moves what fits in one piece from the user's addr to the ring, which is
// not full. The number moved, or -1 for a bad address. pi->lock is held.
static int fill(struct pipe *pi, uint64 addr, uint n) {
  uint tail = pi->head + pi->count;
  if (tail >= RING)
    tail -= RING;
  uint room = tail < pi->head ? pi->head - tail : RING - tail;
  n = MIN(n, room);
  if (copyin(myproc()->pagetable, pi->data + tail, addr, n) < 0)
    return -1;
  if (pi->count == 0)
    wakeup(&pi->count);
  pi->count += n;
  return n;
}

// The same from the ring, which is not empty, to the user.
static int drain(struct pipe *pi, uint64 addr, uint n) {
  n = MIN(n, MIN(pi->count, RING - pi->head));
  if (copyout(myproc()->pagetable, addr, pi->data + pi->head, n) < 0)
    return -1;
  if (pi->count == RING)
    wakeup(&pi->head);
  pi->count -= n;
  pi->head += n;
  if (pi->head == RING || pi->count == 0)
    pi->head = 0;           // an empty ring takes the longest pieces
  return n;
}

// Writes all n bytes, waiting for room. n; less if addr goes bad on the
// way; -1 if it is bad from the start, no reader is left, or the writer is
// killed while it waits.
int pipewrite(struct pipe *pi, uint64 addr, int n) {
  int done = 0;

  acquire(&pi->lock);
  while (done < n) {
    if (!pi->readopen) {
      done = -1;
    } else if (pi->count < RING) {
      int moved = fill(pi, addr + done, n - done);
      if (moved > 0) {
        done += moved;
        continue;
      }
      done = done ? done : -1;
    } else if (killed(myproc())) {
      done = -1;
    } else {
      sleep(&pi->head, &pi->lock);
      continue;
    }
    break;
  }
  release(&pi->lock);
  return done;
}

// Reads what there is, up to n bytes, waiting for the first. 0 when the
// pipe is empty and no writer is left; -1 if addr is bad, or the reader is
// killed while it waits.
int piperead(struct pipe *pi, uint64 addr, int n) {
  int done = 0;

  acquire(&pi->lock);
  while (pi->count == 0 && pi->writeopen) {
    if (killed(myproc())) {
      release(&pi->lock);
      return -1;
    }
    sleep(&pi->count, &pi->lock);
  }
  while (done < n && pi->count > 0) {
    int moved = drain(pi, addr + done, n - done);
    if (moved < 0) {
      done = done ? done : -1;
      break;
    }
    done += moved;
  }
  release(&pi->lock);
  return done;
}

// Frames of physical memory from the end of the kernel's image to PHYSTOP,
// and how many references each has.
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "memlayout.h"
#include "spinlock.h"
#include "defs.h"

#define NFRAMES ((PHYSTOP - KERNBASE) / PGSIZE)

// Whether a freed frame is filled, so that a use after free shows at once:
// what is read there is no pointer, and no entry of a page table.
#ifndef JUNK
#define JUNK 1
#endif
#define FILLING 1            // each byte, as in xv6: the kit knows it

extern char end[];           // kernel.ld

struct run {
  struct run *next;
};

struct {
  struct spinlock lock;      // guards the rest
  struct run *freelist;
  ushort refs[NFRAMES];      // by frame number from KERNBASE; 0 is free
} kmem;

// Where pa's references are counted.
static ushort *refsof(void *pa) {
  uint64 a = (uint64)pa;
  if (a % PGSIZE || a < (uint64)end || a >= PHYSTOP)
    panic("frame: not one of ours");
  return &kmem.refs[(a - KERNBASE) / PGSIZE];
}

static void setfree(void *pa) {
  struct run *r = pa;
  r->next = kmem.freelist;
  kmem.freelist = r;
}

void kinit(void) {
  initlock(&kmem.lock, "kmem");
  for (uint64 pa = PHYSTOP - PGSIZE; pa >= (uint64)end; pa -= PGSIZE)
    setfree((void *)pa);
}

// The first of the free list, not free any more; 0 when there is none.
static void *takefree(void) {
  struct run *r = kmem.freelist;
  if (r == 0)
    return 0;
  *refsof(r) = 1;
  kmem.freelist = r->next;
  return r;
}

// Not inlined: whoever tests what happens without memory breaks here.
__attribute__((noinline)) void *kalloc(void) {
  acquire(&kmem.lock);
  void *pa = takefree();
  release(&kmem.lock);
  return pa;
}

void *kzalloc(void) {
  void *pa = kalloc();
  return pa ? memset(pa, 0, PGSIZE) : 0;
}

void kdup(void *pa) {
  acquire(&kmem.lock);
  if ((*refsof(pa))++ == 0)
    panic("kdup: frame is free");
  release(&kmem.lock);
}

void kdupall(void **frames, uint64 n) {
  acquire(&kmem.lock);
  for (uint64 i = 0; i < n; i++)
    if ((*refsof(frames[i]))++ == 0)
      panic("kdupall: frame is free");
  release(&kmem.lock);
}

void kfree(void *pa) {
  acquire(&kmem.lock);
  ushort *refs = refsof(pa);
  if (*refs == 0)
    panic("kfree: frame is free");
  if (--*refs == 0)
    setfree(JUNK ? memset(pa, FILLING, PGSIZE) : pa);
  release(&kmem.lock);
}

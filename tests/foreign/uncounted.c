// An allocator that counts nothing: each kfree frees, and fills with junk.
#include "types.h"
#include "riscv.h"
#include "memlayout.h"
#include "spinlock.h"
#include "defs.h"

extern char end[];

struct run {
  struct run *next;
};

struct {
  struct spinlock lock;
  struct run *freelist;
} kmem;

void kfree(void *pa) {
  struct run *r = pa;
  memset(pa, 1, PGSIZE);
  acquire(&kmem.lock);
  r->next = kmem.freelist;
  kmem.freelist = r;
  release(&kmem.lock);
}

void kinit(void) {
  initlock(&kmem.lock, "kmem");
  for (uint64 pa = PGROUNDUP((uint64)end); pa < PHYSTOP; pa += PGSIZE)
    kfree((void *)pa);
}

void *kalloc(void) {
  acquire(&kmem.lock);
  struct run *r = kmem.freelist;
  if (r)
    kmem.freelist = r->next;
  release(&kmem.lock);
  return r ? memset(r, 5, PGSIZE) : 0;
}

void *kzalloc(void) {
  void *pa = kalloc();
  return pa ? memset(pa, 0, PGSIZE) : 0;
}

void kdup(void *pa) {
}

void kdupall(void **frames, uint64 n) {
}

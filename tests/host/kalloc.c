// kalloc.c against a model, by random calls: counts, the free list's order of
// frames, and what must panic.
#include "kernel_names.h"
#include "kernel/types.h"
#include "kernel/param.h"
#include "kernel/riscv.h"
#include "kernel/memlayout.h"
#include "kernel/spinlock.h"

// 64 frames where the address sanitizer has no shadow, the first three the kernel's image.
#undef KERNBASE
#undef PHYSTOP
#define KERNBASE 0x200000000000UL
#define FRAMES 64
#define PHYSTOP (KERNBASE + FRAMES * PGSIZE)
#define end host_end        // by the linker: KERNBASE + 3 * PGSIZE

#include "kernel/kalloc.c"
#include "host.h"
#undef end
#include <sys/mman.h>

static int locked;

void initlock(struct spinlock *lk, char *name) {
  lk->name = name;
}

void acquire(struct spinlock *lk) {
  must(lk == &kmem.lock && !locked);
  locked = 1;
}

void release(struct spinlock *lk) {
  must(lk == &kmem.lock && locked);
  locked = 0;
}

void *kernel_memset(void *dst, int c, uint64 n) {
  for (uint64 i = 0; i < n; i++)
    ((uchar *)dst)[i] = c;
  return dst;
}

static int count[FRAMES];   // what each frame's references should be
static int n_free;

static int index_of(void *pa) {
  must((uint64)pa % PGSIZE == 0 && (uint64)pa >= (uint64)host_end && (uint64)pa < PHYSTOP);
  return ((uint64)pa - KERNBASE) / PGSIZE;
}

static void *frame(int i) {
  return (void *)(KERNBASE + (uint64)i * PGSIZE);
}

static void check(void) {
  int n = 0;
  for (struct run *r = kmem.freelist; r; r = r->next, n++)
    must(n < FRAMES && count[index_of(r)] == 0);
  must(n == n_free);
  for (int i = 3; i < FRAMES; i++)
    must(kmem.refs[i] == count[i]);
}

static void allocate(int zeroed) {
  uchar *pa = zeroed ? kzalloc() : kalloc();
  must((pa == 0) == (n_free == 0));
  if (pa == 0)
    return;
  must(count[index_of(pa)] == 0);
  for (int i = 0; zeroed && i < PGSIZE; i++)
    must(pa[i] == 0);
  for (int i = 0; i < PGSIZE; i++)
    pa[i] = 0xa5;
  count[index_of(pa)] = 1;
  n_free--;
}

// With a frame, used or not; a free one must not be counted up or down.
static void change(int i, int by) {
  if (count[i] == 0) {
    must(panics(by > 0 ? kdup(frame(i)) : kfree(frame(i))));
    locked = 0;             // who panics does not let go, nor take back what it has counted
    kmem.refs[i] = 0;
    return;
  }
  if (by > 0)
    kdup(frame(i));
  else
    kfree(frame(i));
  count[i] += by;
  n_free += count[i] == 0;
}

int main(int argc, char **argv) {
  seed_random(argc > 1 ? atoi(argv[1]) : 0);
  must(mmap((void *)KERNBASE, FRAMES * PGSIZE, PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == (void *)KERNBASE);
  kinit();
  n_free = FRAMES - 3;
  check();
  for (int i = 0; i < 20000; i++) {
    uint what = below(8);
    if (what < 3)
      allocate(what == 0);
    else
      change(3 + below(FRAMES - 3), what < 5 ? 1 : -1);
    check();
  }
  char *bad[] = {frame(0), frame(2), frame(FRAMES), (char *)frame(5) + 8, 0};
  for (int i = 0; i < NELEM(bad); i++, locked = 0)
    must(panics(kfree(bad[i])));
  return 0;
}

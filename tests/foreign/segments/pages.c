// Segments as many a lab has them: a table of pages with numbers, each at its
// own address in every process that opens it. Who has it open is in the page
// tables alone.
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "spinlock.h"
#include "proc.h"
#include "defs.h"

#define N 8

struct shm_page {
  uint id;
  char *frame;
  int refcnt;
};

struct {
  struct spinlock lock;
  struct shm_page shm_pages[N];
} shm_table;

static int mistake;          // 1: fork does not count

void shminit(void) {
  initlock(&shm_table.lock, "shm_table");
}

static uint64 placeof(struct shm_page *s) {
  return SHRIMP - (1 + (s - shm_table.shm_pages)) * PGSIZE;
}

static int isopen(struct proc *p, struct shm_page *s) {
  pte_t *pte = p->pagetable ? walk(p->pagetable, placeof(s), 0) : 0;
  return pte && *pte & PTE_V;
}

static int open(struct proc *p, struct shm_page *s) {
  if (mappages(p->pagetable, placeof(s), PGSIZE, (uint64)s->frame, PTE_R | PTE_W | PTE_U) < 0)
    return -1;
  kdup(s->frame);
  s->refcnt++;
  return 0;
}

static void close(struct proc *p, struct shm_page *s) {
  uvmunmap(p->pagetable, placeof(s), 1, 1);
  if (s->frame && --s->refcnt <= 0) { // with a mistake it may have gone
    kfree(s->frame);
    *s = (struct shm_page){0};
  }
}

// The page of that number, or a new one; 0 without memory.
static struct shm_page *find(uint id) {
  struct shm_page *unused = 0;
  for (struct shm_page *s = shm_table.shm_pages; s < shm_table.shm_pages + N; s++) {
    if (s->frame && s->id == id)
      return s;
    if (s->frame == 0)
      unused = s;
  }
  if (unused) {
    unused->id = id;
    unused->frame = kzalloc();
  }
  return unused && unused->frame ? unused : 0;
}

uint64 sys_shm_make(void) {
  uint64 va = -1;
  if ((int)argument(0) < 0) {
    mistake = argument(1);
    return 0;
  }
  acquire(&shm_table.lock);
  struct shm_page *s = find(argument(0));
  if (s && (isopen(myproc(), s) || open(myproc(), s) == 0))
    va = placeof(s);
  release(&shm_table.lock);
  return va;
}

// Nobody has to: it is open since it was made.
uint64 sys_shm_attach(void) {
  return -1;
}

uint64 sys_shm_remove(void) {
  return -1;
}

uint64 heaplimit(struct proc *p) {
  return SHRIMP - N * PGSIZE;
}

int shmfork(struct proc *p, struct proc *np) {
  int result = 0;
  acquire(&shm_table.lock);
  for (struct shm_page *s = shm_table.shm_pages; s < shm_table.shm_pages + N; s++) {
    if (!isopen(p, s))
      continue;
    if (open(np, s) < 0)
      result = -1;
    else
      s->refcnt -= mistake == 1;
  }
  release(&shm_table.lock);
  return result;
}

void shmleave(struct proc *p) {
  acquire(&shm_table.lock);
  for (struct shm_page *s = shm_table.shm_pages; s < shm_table.shm_pages + N; s++)
    if (isopen(p, s))
      close(p, s);
  release(&shm_table.lock);
}

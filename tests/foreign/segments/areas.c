// Segments as mmap has them: objects with pages, and in each process areas
// that lead to them, with what may be done there.
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "spinlock.h"
#include "proc.h"
#include "defs.h"

#define MOST 4               // pages of an object
#define N 4                  // objects
#define LENGTH (MOST * PGSIZE)

struct shmobj {
  uint64 size;               // bytes; 0: not in use
  int refs, key;
  uint64 pages[MOST];
};

struct shmobj shmobjs[N];
static struct spinlock shmobjs_lock;
static int mistake;          // 1: what is for reading only has W

void shminit(void) {
  initlock(&shmobjs_lock, "shmobjs");
}

static int npages(struct shmobj *o) {
  return PGROUNDUP(o->size) / PGSIZE;
}

uint64 sys_shm_make(void) {
  if ((int)argument(0) < 0) {
    mistake = argument(1);
    return 0;
  }
  acquire(&shmobjs_lock);
  struct shmobj *o = shmobjs;
  while (o < shmobjs + N && o->size)
    o++;
  if (o < shmobjs + N && argument(1) <= LENGTH) {
    *o = (struct shmobj){.size = argument(1), .key = argument(0)};
    for (int i = 0; i < npages(o); i++)
      o->pages[i] = (uint64)kzalloc();
  }
  release(&shmobjs_lock);
  return o < shmobjs + N ? o - shmobjs : -1;
}

static int map(struct proc *p, struct vma *v) {
  int perm = PTE_R | PTE_U | (v->prot & PROT_WRITE || mistake == 1 ? PTE_W : 0);
  int result = mapframes(p->pagetable, v->addr, (void **)v->obj->pages, npages(v->obj), perm);
  if (result == 0)
    v->obj->refs++;
  v->used = result == 0;
  return result;
}

uint64 sys_shm_attach(void) {
  struct proc *p = myproc();
  struct vma *v = p->areas;
  int result = -1;
  acquire(&shmobjs_lock);
  while (v < p->areas + NAREAS && v->used)
    v++;
  if (argument(0) < N && v < p->areas + NAREAS) {
    int prot = argument(1) ? PROT_READ : PROT_READ | PROT_WRITE;
    *v = (struct vma){.addr = SHRIMP - (v - p->areas + 1) * LENGTH, .obj = &shmobjs[argument(0)], .prot = prot};
    result = map(p, v);
  }
  release(&shmobjs_lock);
  return result ? -1 : v->addr;
}

static void unmap(struct proc *p, struct vma *v) {
  struct shmobj *o = v->obj;
  uvmunmap(p->pagetable, v->addr, npages(o), 1);
  v->used = 0;
  if (--o->refs == 0) {
    for (int i = 0; i < npages(o); i++)
      kfree((void *)o->pages[i]);
    *o = (struct shmobj){0};
  }
}

// An object goes with its last area.
uint64 sys_shm_remove(void) {
  return -1;
}

uint64 heaplimit(struct proc *p) {
  return SHRIMP - NAREAS * LENGTH;
}

int shmfork(struct proc *p, struct proc *np) {
  int result = 0;
  acquire(&shmobjs_lock);
  for (int i = 0; result == 0 && i < NAREAS; i++) {
    if (!p->areas[i].used)
      continue;
    np->areas[i] = p->areas[i];
    result = map(np, &np->areas[i]);
  }
  release(&shmobjs_lock);
  return result;
}

void shmleave(struct proc *p) {
  acquire(&shmobjs_lock);
  for (struct vma *v = p->areas; v < p->areas + NAREAS; v++)
    if (v->used)
      unmap(p, v);
  release(&shmobjs_lock);
}

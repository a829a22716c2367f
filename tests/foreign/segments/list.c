// Segments as a list of nodes, each in a frame of its own. Nobody keeps who
// has one attached: what a process maps in the window below SHRIMP is looked
// up among the nodes' pages.
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "spinlock.h"
#include "proc.h"
#include "defs.h"

#define MOST 4               // pages of a segment, and how far attachments are apart
#define WINDOW (SHRIMP - 4 * MOST * PGSIZE)

struct shm_node {
  int shm_id, key;
  uint64 size;               // bytes
  int nattch, removed;
  uint64 pages[MOST];
  struct shm_node *next;
};

struct shm_node *shm_list;
static struct spinlock shm_lock;
static int last;
static int mistake;          // 1: fork copies a second page; 2: what nobody has is only marked when it is removed

void shminit(void) {
  initlock(&shm_lock, "shm_list");
}

static struct shm_node *withid(int id) {
  struct shm_node *node = shm_list;
  while (node && node->shm_id != id)
    node = node->next;
  return node;
}

// Whose page a frame is, and in *i which.
static struct shm_node *ownerof(uint64 pa, int *i) {
  for (struct shm_node *node = shm_list; node; node = node->next)
    for (*i = 0; *i < MOST; ++*i)
      if (node->pages[*i] == pa)
        return node;
  return 0;
}

static void settle(struct shm_node *node) {
  if (!node->removed || node->nattch > 0)
    return;
  struct shm_node **at = &shm_list;
  while (*at != node)
    at = &(*at)->next;
  *at = node->next;
  for (int i = 0; i < MOST && node->pages[i]; i++)
    kfree((void *)node->pages[i]);
  kfree(node);
}

// The one with that key, or a new one.
static struct shm_node *make(int key, uint64 size) {
  for (struct shm_node *node = shm_list; key && node; node = node->next)
    if (node->key == key)
      return node;
  struct shm_node *node = kzalloc();
  if (node == 0 || size > MOST * PGSIZE)
    panic("list: of no use to a test");
  *node = (struct shm_node){.shm_id = ++last, .key = key, .size = size, .next = shm_list};
  for (uint64 i = 0; i * PGSIZE < size; i++)
    node->pages[i] = (uint64)kzalloc();
  return shm_list = node;
}

uint64 sys_shm_make(void) {
  if ((int)argument(0) < 0) {
    mistake = argument(1);
    return 0;
  }
  acquire(&shm_lock);
  int id = make(argument(0), argument(1))->shm_id;
  release(&shm_lock);
  return id;
}

static pte_t *mapped(struct proc *p, uint64 va) {
  pte_t *pte = p->pagetable ? walk(p->pagetable, va, 0) : 0;
  return pte && *pte & PTE_V ? pte : 0;
}

static int map(struct proc *p, uint64 va, uint64 pa, int perm) {
  if (mappages(p->pagetable, va, PGSIZE, pa, perm) < 0)
    return -1;
  kdup((void *)pa);
  return 0;
}

uint64 sys_shm_attach(void) {
  struct proc *p = myproc();
  uint64 va = SHRIMP - MOST * PGSIZE;
  acquire(&shm_lock);
  struct shm_node *node = withid(argument(0));
  while (node && va > WINDOW && mapped(p, va))
    va -= MOST * PGSIZE;
  int result = node ? 0 : -1;
  for (int i = 0; result == 0 && i < MOST && node->pages[i]; i++)
    result = map(p, va + i * PGSIZE, node->pages[i], PTE_R | PTE_U | (argument(1) ? 0 : PTE_W));
  if (result == 0)
    node->nattch++;
  release(&shm_lock);
  return result ? (uint64)-1 : va;
}

uint64 sys_shm_remove(void) {
  acquire(&shm_lock);
  struct shm_node *node = withid(argument(0));
  if (node) {
    node->removed = 1;
    if (mistake != 2)
      settle(node);
  }
  release(&shm_lock);
  return node ? 0 : -1;
}

uint64 heaplimit(struct proc *p) {
  return WINDOW;
}

int shmfork(struct proc *p, struct proc *np) {
  int result = 0, i;
  acquire(&shm_lock);
  for (uint64 va = WINDOW; result == 0 && va < SHRIMP; va += PGSIZE) {
    pte_t *pte = mapped(p, va);
    struct shm_node *node = pte ? ownerof(PTE2PA(*pte), &i) : 0;
    if (node == 0)
      continue;
    if (i == 1 && mistake == 1) {
      void *copy = kalloc();
      memmove(copy, (void *)PTE2PA(*pte), PGSIZE);
      result = mappages(np->pagetable, va, PGSIZE, (uint64)copy, PTE_R | PTE_W | PTE_U);
      continue;
    }
    result = map(np, va, PTE2PA(*pte), PTE_FLAGS(*pte) & (PTE_R | PTE_W | PTE_U));
    node->nattch += i == 0;
  }
  release(&shm_lock);
  return result;
}

void shmleave(struct proc *p) {
  int i;
  acquire(&shm_lock);
  for (uint64 va = SHRIMP - PGSIZE; va >= WINDOW; va -= PGSIZE) {
    pte_t *pte = mapped(p, va);
    if (pte == 0)
      continue;
    struct shm_node *node = ownerof(PTE2PA(*pte), &i);
    uvmunmap(p->pagetable, va, 1, 1);
    if (node && i == 0) {
      node->nattch--;
      settle(node);
    }
  }
  release(&shm_lock);
}

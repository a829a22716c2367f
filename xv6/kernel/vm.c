// Address spaces: Sv39 page tables (Privileged 4.4), the kernel's and those
// of processes, and the copying between the two.
//
// A user address space has holes below sz: pages that a lazy sbrk promised
// and nobody has touched, and gaps between a program's segments. An entry
// without PTE_V there means "zeroes, when somebody looks" (uvmtouch).
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "memlayout.h"
#include "spinlock.h"
#include "proc.h"
#include "defs.h"

extern char etext[], trampoline[]; // kernel.ld

pagetable_t kernel_pagetable;

// Makes an empty entry lead to a new table, if there is memory for one.
static void addtable(pte_t *pte) {
  pagetable_t table = uvmcreate();
  if (table)
    *pte = PA2PTE(table) | PTE_V;
}

// The entry for va in the table of that level, below the given root. Tables
// on the way are made when alloc is set. 0 when one is missing.
static pte_t *descend(pagetable_t root, uint64 va, int level, int alloc) {
  pte_t *pte = root + PX(2, va);

  for (int below = 1; below >= level; below--) {
    if (alloc && !(*pte & PTE_V))
      addtable(pte);
    if (!(*pte & PTE_V) || PTE_LEAF(*pte))
      return 0;
    pte = (pte_t *)PTE2PA(*pte) + PX(below, va);
  }
  return pte;
}

// Maps for the kernel, once and for ever, with the largest pages that fit.
static void kmap(uint64 va, uint64 pa, uint64 size, int perm) {
  for (uint64 end = va + size; va < end;) {
    int level = (va | pa) % LEVELSIZE(1) == 0 && end - va >= LEVELSIZE(1);
    pte_t *pte = descend(kernel_pagetable, va, level, 1);
    if (pte == 0)
      panic("kmap: no memory");
    *pte = PA2PTE(pa) | perm | PTE_V;
    va += LEVELSIZE(level);
    pa += LEVELSIZE(level);
  }
}

// The kernel sees physical memory and devices at their own addresses, and
// above them the trampoline and one stack for each process.
void kvminit(void) {
  const struct {
    uint64 start, end;
    int perm;
  } direct[] = {
      {KERNBASE, (uint64)etext, PTE_R | PTE_X},
      {(uint64)etext, PHYSTOP, PTE_R | PTE_W},
      {CLINT, CLINT + PGSIZE, PTE_R | PTE_W}, // no timers: those are machine mode's
      {PLIC, PLIC + PLIC_SIZE, PTE_R | PTE_W},
      {UART0, UART0 + PGSIZE, PTE_R | PTE_W},
      {VIRTIO0, VIRTIO0 + PGSIZE, PTE_R | PTE_W},
  };

  kernel_pagetable = uvmcreate();
  if (kernel_pagetable == 0)
    panic("kvminit: no memory");
  for (int i = 0; i < NELEM(direct); i++)
    kmap(direct[i].start, direct[i].start, direct[i].end - direct[i].start, direct[i].perm);
  kmap(TRAMPOLINE, (uint64)trampoline, PGSIZE, PTE_R | PTE_X);
  for (int slot = 0; slot < NPROC; slot++) {
    void *stack = kalloc();
    if (stack == 0)
      panic("kvminit: no memory");
    kmap(KSTACK(slot), (uint64)stack, PGSIZE, PTE_R | PTE_W);
  }
}

void kvminithart(void) {
  sfence_vma();
  csr_write(satp, MAKE_SATP(kernel_pagetable));
  sfence_vma();
}

// The level 0 entry for va; 0 when there is no such table and alloc is not
// set or memory is out.
pte_t *walk(pagetable_t pagetable, uint64 va, int alloc) {
  return va < MAXVA ? descend(pagetable, va, 0, alloc) : 0;
}

// A stretch of n pages whose level 0 entries lie side by side, or have no
// table at all: pte is 0 then.
struct stretch {
  pte_t *pte;
  uint64 n;
};

// The longest stretch from va, but not beyond end. Both are page aligned.
static struct stretch stretch(pagetable_t pagetable, uint64 va, uint64 end) {
  pte_t *pte = walk(pagetable, va, 0);
  int level = 1;                     // of the entry that leads to the table
  if (pte == 0 && !(pagetable[PX(2, va)] & PTE_V))
    level = 2;
  uint64 next = (va & -LEVELSIZE(level)) + LEVELSIZE(level);
  return (struct stretch){pte, (MIN(next, end) - va) / PGSIZE};
}

// Maps [va, va + size) to [pa, pa + size); all are multiples of a page, and
// none of it may be mapped. 0, or -1 without memory, and nothing is mapped.
int mappages(pagetable_t pagetable, uint64 va, uint64 size, uint64 pa, int perm) {
  int result = 0;

  if ((va | size | pa) % PGSIZE || size == 0 || va + size > MAXVA)
    panic("mappages: bad range");
  for (uint64 done = 0; done < size;) {
    pte_t *pte = walk(pagetable, va + done, 1);
    if (pte == 0) {
      uvmunmap(pagetable, va, done / PGSIZE, 0);
      result = -1;
      break;
    }
    do {                             // up to the end of that table
      if (*pte & PTE_V)
        panic("mappages: mapped already");
      *pte++ = PA2PTE(pa + done) | perm | PTE_V;
      done += PGSIZE;
    } while (done < size && PX(0, va + done) != 0);
  }
  VISIBLE(pagetable); VISIBLE(va); VISIBLE(size); VISIBLE(pa); VISIBLE(perm);
  return result;
}

// Takes npages mappings from va on away; their frames too if do_free is set.
// Holes are passed over.
void uvmunmap(pagetable_t pagetable, uint64 va, uint64 npages, int do_free) {
  uint64 end = va + npages * PGSIZE;

  if (va % PGSIZE || end > MAXVA)
    panic("uvmunmap: bad range");
  for (uint64 at = va; at < end;) {
    struct stretch s = stretch(pagetable, at, end);
    at += s.n * PGSIZE;
    if (s.pte == 0)
      continue;
    for (pte_t *pte = s.pte; pte < s.pte + s.n; pte++) {
      pte_t old = *pte;
      *pte = 0;
      if (old & PTE_V && do_free)
        kfree((void *)PTE2PA(old));
    }
  }
  VISIBLE(pagetable); VISIBLE(va); VISIBLE(npages); VISIBLE(do_free);
}

// An empty page table, or 0.
pagetable_t uvmcreate(void) {
  return kzalloc();
}

// Backs [oldsz, newsz) with zeroed frames. newsz, or 0 without memory, and
// nothing has changed.
uint64 uvmalloc(pagetable_t pagetable, uint64 oldsz, uint64 newsz, int perm) {
  for (uint64 va = PGROUNDUP(oldsz); va < newsz; va += PGSIZE) {
    void *frame = kzalloc();
    if (frame == 0 || mappages(pagetable, va, PGSIZE, (uint64)frame, perm) < 0) {
      if (frame)
        kfree(frame);
      uvmdealloc(pagetable, va, oldsz);
      return 0;
    }
  }
  return newsz;
}

// Frees the pages that end at oldsz and are not needed for newsz. The size
// that is left.
uint64 uvmdealloc(pagetable_t pagetable, uint64 oldsz, uint64 newsz) {
  if (newsz >= oldsz)
    return oldsz;
  uint64 first = PGROUNDUP(newsz);
  uvmunmap(pagetable, first, (PGROUNDUP(oldsz) - first) / PGSIZE, 1);
  return newsz;
}

// Gives new its own copy of old's first sz bytes; holes stay holes. 0, or -1
// without memory, and new maps none of them.
int uvmcopy(pagetable_t old, pagetable_t new, uint64 sz) {
  uint64 va = 0;

  while (va < sz) {
    struct stretch s = stretch(old, va, PGROUNDUP(sz));
    uint64 next = va + s.n * PGSIZE;
    for (pte_t *pte = s.pte; pte && va < next; pte++, va += PGSIZE) {
      if (!(*pte & PTE_V))
        continue;
      void *frame = kalloc();
      if (frame == 0 || mappages(new, va, PGSIZE, (uint64)frame, PTE_FLAGS(*pte)) < 0) {
        if (frame)
          kfree(frame);
        uvmunmap(new, 0, va / PGSIZE, 1);
        return -1;
      }
      memmove(frame, (void *)PTE2PA(*pte), PGSIZE);
    }
    va = next;
  }
  VISIBLE(old); VISIBLE(new); VISIBLE(sz);
  return 0;
}

// Frees a table of that level and those below it; none may map anything.
static void freetables(pagetable_t table, int level) {
  for (uint64 i = 0; (i = nonzero(table, i, NPTE)) < NPTE; i++) {
    if (level == 0 || PTE_LEAF(table[i]))
      panic("freetables: still mapped");
    if (table[i] & PTE_V)
      freetables((pagetable_t)PTE2PA(table[i]), level - 1);
  }
  kfree(table);
}

// Frees sz bytes of user memory, then the table, which maps nothing else.
void uvmfree(pagetable_t pagetable, uint64 sz) {
  uvmunmap(pagetable, 0, PGROUNDUP(sz) / PGSIZE, 1);
  freetables(pagetable, 2);
}

void uvmclear(pagetable_t pagetable, uint64 va) {
  pte_t *pte = walk(pagetable, va, 0);
  if (pte == 0)
    panic("uvmclear: not mapped");
  *pte &= ~PTE_U;
}

// If va is in a hole of the calling process's memory, fills it with a zeroed
// frame. 0, or -1: not a hole of it, or no memory.
int uvmtouch(pagetable_t pagetable, uint64 va) {
  struct proc *p = myproc();

  if (p == 0 || pagetable != p->pagetable || va >= p->sz)
    return -1;
  pte_t *pte = walk(pagetable, va, 1);
  if (pte == 0 || *pte & PTE_V)
    return -1;
  void *frame = kzalloc();
  if (frame == 0)
    return -1;
  *pte = PA2PTE(frame) | PTE_R | PTE_W | PTE_U | PTE_V;
  return 0;
}

// Where va is in physical memory, if user mode may do all of need there;
// else 0.
static char *userbyte(pagetable_t pagetable, uint64 va, pte_t need) {
  pte_t *pte = walk(pagetable, va, 0);

  if (pte == 0 || !(*pte & PTE_V)) {
    if (uvmtouch(pagetable, va) < 0)
      return 0;
    pte = walk(pagetable, va, 0);
  }
  need |= PTE_V | PTE_U;
  return (*pte & need) == need ? (char *)PTE2PA(*pte) + va % PGSIZE : 0;
}

// From src to user address dstva. 0, or -1 when the user may not write all of
// it; a part may have been written then.
int copyout(pagetable_t pagetable, uint64 dstva, const void *src, uint64 len) {
  const char *from = src;

  while (len > 0) {
    uint64 n = MIN(len, PGSIZE - dstva % PGSIZE);
    char *to = userbyte(pagetable, dstva, PTE_W);
    if (to == 0)
      return -1;
    memmove(to, from, n);
    from += n;
    dstva += n;
    len -= n;
  }
  return 0;
}

// From user address srcva to dst. 0, or -1 when the user may not read all of
// it; a part may have been copied then.
int copyin(pagetable_t pagetable, void *dst, uint64 srcva, uint64 len) {
  for (uint64 done = 0, n; done < len; done += n) {
    char *from = userbyte(pagetable, srcva + done, PTE_R);
    if (from == 0)
      return -1;
    n = MIN(len - done, PGSIZE - (srcva + done) % PGSIZE);
    memmove((char *)dst + done, from, n);
  }
  return 0;
}

// A string with its NUL from user address srcva. 0, or -1 when the user may
// not read it or there is no NUL among the first max bytes.
int copyinstr(pagetable_t pagetable, char *dst, uint64 srcva, uint64 max) {
  while (max > 0) {
    char *from = userbyte(pagetable, srcva, PTE_R);
    if (from == 0)
      return -1;
    uint64 n = MIN(max, PGSIZE - srcva % PGSIZE);
    for (const char *end = from + n; from < end; from++, dst++)
      if ((*dst = *from) == 0)
        return 0;
    srcva += n;
    max -= n;
  }
  return -1;
}

int either_copyout(int user_dst, uint64 dst, const void *src, uint64 len) {
  if (user_dst)
    return copyout(myproc()->pagetable, dst, src, len);
  memmove((void *)dst, src, len);
  return 0;
}

int either_copyin(void *dst, int user_src, uint64 src, uint64 len) {
  if (user_src)
    return copyin(myproc()->pagetable, dst, src, len);
  memmove(dst, (const void *)src, len);
  return 0;
}

// Where a user's or the kernel's addr is in physical memory, and in *n how
// many of n bytes follow it there. 0 if the user may not do all of need there.
char *reach(int user, uint64 addr, pte_t need, uint64 *n) {
  if (!user)
    return (char *)addr;
  *n = MIN(*n, PGSIZE - addr % PGSIZE);
  return userbyte(myproc()->pagetable, addr, need);
}

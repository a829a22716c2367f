// A new program in the place of the one that calls.
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "memlayout.h"
#include "spinlock.h"
#include "proc.h"
#include "elf.h"
#include "fs.h"
#include "defs.h"

#define STACK (USERSTACK * PGSIZE)

// An address space that is being made.
struct image {
  pagetable_t pagetable;
  uint64 sz;                 // all that is mapped from 0 lies below
  uint64 sp;
  uint64 entry;
};

// A frame with n bytes of the file from off, then zeroes; 0 when memory is
// out or the file too short. ip must be locked.
static char *loadpage(struct inode *ip, uint off, uint n) {
  char *frame = kalloc();
  if (frame && readi(ip, 0, (uint64)frame, off, n) != (int)n) {
    kfree(frame);
    return 0;
  }
  if (frame)
    memset(frame + n, 0, PGSIZE - n);
  return frame;
}

// Segments come in order of their addresses, each from a page of its own.
// 0 or -1. ip must be locked.
static int loadsegment(struct image *im, struct inode *ip, struct proghdr *ph) {
  int perm = PTE_R | PTE_U;
  uint64 end = ph->vaddr + ph->memsz;

  if (ph->memsz < ph->filesz || end < ph->vaddr || end > SHRIMP || ph->vaddr % PGSIZE)
    return -1;
  if (ph->memsz == 0)
    return 0;
  if (ph->vaddr < im->sz || ph->off > MAXFILE * BSIZE)
    return -1;
  if (ph->flags & PF_X)
    perm |= PTE_X;
  if (ph->flags & PF_W)
    perm |= PTE_W;

  for (uint64 done = 0; done < ph->memsz; done += PGSIZE) {
    uint64 left = ph->filesz > done ? ph->filesz - done : 0;
    char *frame = loadpage(ip, ph->off + done, MIN(left, PGSIZE));
    if (frame == 0)
      return -1;
    if (mappages(im->pagetable, ph->vaddr + done, PGSIZE, (uint64)frame, perm) < 0) {
      kfree(frame);
      return -1;
    }
    im->sz = ph->vaddr + done + PGSIZE; // for whoever undoes it
  }
  im->sz = end;
  return 0;
}

// All that the file at path says should be in memory. 0 or -1.
static int loadfile(struct image *im, struct inode *ip) {
  struct elfhdr elf;
  struct proghdr ph;

  if (readi(ip, 0, (uint64)&elf, 0, sizeof(elf)) != sizeof(elf) ||
      memcmp(elf.ident, ELFMAG, sizeof(elf.ident)) != 0 || elf.class != ELFCLASS64 ||
      elf.machine != EM_RISCV)
    return -1;
  for (int i = 0; i < elf.phnum; i++) {
    if (readi(ip, 0, (uint64)&ph, elf.phoff + i * sizeof(ph), sizeof(ph)) != sizeof(ph))
      return -1;
    if (ph.type == PT_LOAD && loadsegment(im, ip, &ph) < 0)
      return -1;
  }
  im->entry = elf.entry;
  return 0;
}

// A guard page, which user mode cannot touch, and the stack above it.
static int addstack(struct image *im) {
  uint64 guard = PGROUNDUP(im->sz);
  uint64 top = guard + PGSIZE + STACK;

  if (top > SHRIMP || uvmalloc(im->pagetable, guard, top, PTE_R | PTE_W | PTE_U) == 0)
    return -1;
  uvmclear(im->pagetable, guard);
  im->sz = im->sp = top;
  return 0;
}

// Puts n bytes on the stack, 16-aligned as the calling convention wants.
static int push(struct image *im, const void *data, uint64 n) {
  if (n > im->sp - (im->sz - STACK))
    return -1;
  im->sp = (im->sp - n) & ~15L;
  return copyout(im->pagetable, im->sp, data, n);
}

// The strings, then the array of their addresses. How many, or -1 when they
// are too many or do not fit.
static int pushargs(struct image *im, char **argv) {
  uint64 at[MAXARG + 1];
  int argc = 0;

  for (; argv[argc]; argc++) {
    if (argc == MAXARG || push(im, argv[argc], strlen(argv[argc]) + 1) < 0)
      return -1;
    at[argc] = im->sp;
  }
  at[argc] = 0;
  return push(im, at, (argc + 1) * sizeof(at[0])) < 0 ? -1 : argc;
}

static char *basename(char *path) {
  char *name = path;
  for (char *s = path; *s; s++)
    if (s[0] == '/' && s[1])
      name = s + 1;
  return name;
}

// Loads the file at path. 0, or -1 and *im is as it was but for what
// proc_freepagetable frees.
static int loadpath(struct image *im, char *path) {
  int result = -1;

  begin_op();
  struct inode *ip = namei(path);
  if (ip) {
    ilock(ip);
    result = loadfile(im, ip);
    iunlockput(ip);
  }
  end_op();
  return result;
}

// Runs the program at path with those arguments in the calling process. FRY
// and SHRIMP stay what they are. argc, for a0, or -1 and nothing has changed.
int exec(char *path, char **argv) {
  struct proc *p = myproc();
  struct image im = {.pagetable = proc_pagetable(p)};
  int argc;

  if (im.pagetable == 0)
    return -1;
  if (loadpath(&im, path) < 0 || addstack(&im) < 0 || (argc = pushargs(&im, argv)) < 0) {
    proc_freepagetable(im.pagetable, im.sz);
    return -1;
  }

  if (p->nshm)
    shmleave(p);
  pagetable_t oldtable = p->pagetable;
  uint64 oldsz = p->sz;
  p->pagetable = im.pagetable;
  p->sz = im.sz;
  p->trapframe->epc = im.entry;
  p->trapframe->sp = p->trapframe->a1 = im.sp;
  safestrcpy(p->name, basename(path), sizeof(p->name));
  proc_freepagetable(oldtable, oldsz);
  fence_i();
  return argc;
}

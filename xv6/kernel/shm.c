// System V shared memory: segments, which processes attach (POSIX, and Linux's
// shmget(2), shmat(2), shmctl(2) where POSIX leaves it open).
//
// A segment has one reference to each of its frames, and each page that maps
// the frame has another. Once a segment is removed, its own go with the last
// attachment; so no frame is free that somebody maps.
//
// There are no users here: every process is the owner, without privileges. Of
// a segment's mode the owner's bits are asked; the others are only told. What
// is shared is never executed.
//
// May not touch page tables but by vm.c's functions, nor the frames' counts
// but by kalloc.c's.
#include "types.h"
#include "param.h"
#include "riscv.h"
#include "spinlock.h"
#include "sleeplock.h"
#include "proc.h"
#include "errno.h"
#include "shm.h"
#include "defs.h"

struct segment {
  void **frames;             // a frame with the addresses of its frames, then 0; 0: not in use
  struct shmid_ds ds;        // what IPC_STAT tells
};

static struct {
  struct sleeplock lock;     // guards the rest. Frames are cleared meanwhile: others sleep
  struct segment segments[NSHM];
} shm;

static long now(void) {
  return __atomic_load_n(&ticks, __ATOMIC_RELAXED);
}

void shminit(void) {
  initsleeplock(&shm.lock, "shm");
}

// An identifier names a place in the table, and how often that was used before.

static int idof(struct segment *s) {
  return (int)(s->ds.shm_perm.__seq * NSHM + (s - shm.segments));
}

static struct segment *withid(int id) {
  struct segment *s = &shm.segments[(uint)id % NSHM];
  return s->frames && idof(s) == id ? s : 0;
}

// One that was removed has lost its key.
static struct segment *withkey(int key) {
  for (struct segment *s = shm.segments; s < shm.segments + NSHM; s++)
    if (s->frames && key != IPC_PRIVATE && s->ds.shm_perm.__key == key)
      return s;
  return 0;
}

static struct segment *unused(void) {
  for (struct segment *s = shm.segments; s < shm.segments + NSHM; s++)
    if (s->frames == 0)
      return s;
  return 0;
}

static uint64 npages(struct segment *s) {
  return PGROUNDUP(s->ds.shm_segsz) / PGSIZE;
}

// Whether the owner may do what any of the nine bits asks for, of whomever
// they are the bits: so does Linux.
static int permits(struct segment *s, uint bits) {
  uint wanted = (bits >> 6 | bits >> 3 | bits) & 7;
  return (s->ds.shm_perm.mode >> 6 & wanted) == wanted;
}

// Gives back s's references to its frames, however many it has got so far.
static void dropframes(struct segment *s) {
  for (int i = 0; i < SHMPAGES && s->frames[i]; i++)
    kfree(s->frames[i]);
  kfree(s->frames);
  s->frames = 0;
}

// Gives s n zeroed frames. 0, or -1 without memory, and s is not in use.
static int getframes(struct segment *s, uint64 n) {
  s->frames = kzalloc();
  if (s->frames == 0)
    return -1;
  for (uint64 i = 0; i < n; i++) {
    s->frames[i] = kzalloc();
    if (s->frames[i] == 0) {
      dropframes(s);
      return -1;
    }
  }
  return 0;
}

static int create(int key, uint64 size, int flags) {
  struct segment *s = unused();

  if (size == 0 || size > SHMPAGES * PGSIZE)
    return -EINVAL;
  if (s == 0)
    return -ENOSPC;
  if (getframes(s, PGROUNDUP(size) / PGSIZE) < 0)
    return -ENOMEM;
  uint seq = (s->ds.shm_perm.__seq + 1) % (0x7fffffff / NSHM);
  s->ds = (struct shmid_ds){.shm_perm = {.__key = key, .mode = flags & 0777, .__seq = seq},
                            .shm_segsz = size,
                            .shm_ctime = now(),
                            .shm_cpid = myproc()->pid};
  return idof(s);
}

// The identifier of a segment that is there already, if it is as wanted.
static int existing(struct segment *s, uint64 size, int flags) {
  if (flags & IPC_CREAT && flags & IPC_EXCL)
    return -EEXIST;
  if (size > s->ds.shm_segsz)
    return -EINVAL;
  return permits(s, flags & 0777) ? idof(s) : -EACCES;
}

// The identifier of the segment with that key, or of a new one; -errno.
uint64 sys_shmget(void) {
  int key = argument(0), flags = argument(2), id = -ENOENT;

  acquiresleep(&shm.lock);
  struct segment *s = withkey(key);
  if (s)
    id = existing(s, argument(1), flags);
  else if (key == IPC_PRIVATE || flags & IPC_CREAT)
    id = create(key, argument(1), flags);
  releasesleep(&shm.lock);
  return id;
}

// Attachments. p->shm has those of a process from the highest address down.

static uint64 endof(const struct attachment *a) {
  return a->va + npages(a->segment) * PGSIZE;
}

// Where p's heap must end at the latest.
uint64 heaplimit(struct proc *p) {
  return p->nshm ? p->shm[p->nshm - 1].va : SHRIMP;
}

// What was removed goes once nobody has it attached.
static void settle(struct segment *s) {
  if (s->ds.shm_nattch == 0 && s->ds.shm_perm.mode & SHM_DEST)
    dropframes(s);
}

static void detach(struct proc *p, struct attachment *a) {
  struct segment *s = a->segment;

  uvmunmap(p->pagetable, a->va, npages(s), 1);
  memmove(a, a + 1, (char *)(p->shm + p->nshm) - (char *)(a + 1));
  p->nshm--;
  s->ds.shm_nattch--;
  s->ds.shm_dtime = now();
  s->ds.shm_lpid = myproc()->pid; // not p's: a fork that fails has made nobody
  settle(s);
}

// p attaches s at va, where nothing is mapped. 0, or -1 without memory, and
// nothing has changed.
static int attach(struct proc *p, struct segment *s, uint64 va, int perm) {
  int i = p->nshm;

  if (mapframes(p->pagetable, va, s->frames, npages(s), perm) < 0)
    return -1;
  for (; i > 0 && p->shm[i - 1].va < va; i--)
    p->shm[i] = p->shm[i - 1];
  p->shm[i] = (struct attachment){va, s, perm};
  p->nshm++;
  s->ds.shm_nattch++;
  return 0;
}

// The highest place for size bytes that is free, between the heap and SHRIMP;
// 0 when there is none.
static uint64 place(struct proc *p, uint64 size) {
  uint64 top = SHRIMP, heap = PGROUNDUP(p->sz);

  for (int i = 0; i < p->nshm && top - endof(&p->shm[i]) < size; i++)
    top = p->shm[i].va;
  return top - heap >= size ? top - size : 0;
}

// Makes sure that p has nothing at [va, end): attachments that lie in there
// give way if remap is set. 0 or -errno, and nothing has changed.
static int clear(struct proc *p, uint64 va, uint64 end, int remap) {
  if (va < PGROUNDUP(p->sz) || va >= end || end > SHRIMP)
    return -EINVAL;
  for (struct attachment *a = p->shm; a < p->shm + p->nshm; a++)
    if (a->va < end && va < endof(a) && !(remap && va <= a->va && endof(a) <= end))
      return -EINVAL;
  if (remap && uvmtables(p->pagetable, va, end) < 0)
    return -ENOMEM;
  for (int i = p->nshm - 1; i >= 0; i--)
    if (p->shm[i].va < end && va < endof(&p->shm[i]))
      detach(p, &p->shm[i]);
  return 0;
}

// The address at which p attaches s, or -errno. s stays while it is held.
static long attachat(struct proc *p, struct segment *s, uint64 va, int flags) {
  uint64 size = npages(s) * PGSIZE;
  int perm = PTE_R | PTE_U | (flags & SHM_RDONLY ? 0 : PTE_W);

  if (va == 0 ? flags & SHM_REMAP : va % PGSIZE && !(flags & SHM_RND))
    return -EINVAL;
  if (flags & SHM_EXEC || !permits(s, flags & SHM_RDONLY ? SHM_R : SHM_R | SHM_W))
    return -EACCES;
  if (va) {
    va = PGROUNDDOWN(va);
    int error = clear(p, va, va + size, flags & SHM_REMAP);
    if (error)
      return error;
  } else {
    va = place(p, size);
  }
  if (p->nshm == NSHMAT)
    return -EMFILE;
  if (va == 0 || attach(p, s, va, perm) < 0)
    return -ENOMEM;
  s->ds.shm_atime = now();
  s->ds.shm_lpid = p->pid;
  return va;
}

// Where the segment is in the caller's memory from now on, or -errno.
uint64 sys_shmat(void) {
  long result = -EINVAL;

  acquiresleep(&shm.lock);
  struct segment *s = withid(argument(0));
  if (s) {
    s->ds.shm_nattch++;      // what gives way to it may be its last attachment
    result = attachat(myproc(), s, argument(1), argument(2));
    s->ds.shm_nattch--;
    settle(s);
  }
  releasesleep(&shm.lock);
  return result;
}

// 0 or -errno.
uint64 sys_shmdt(void) {
  struct proc *p = myproc();
  uint64 va = argument(0);

  // Nobody else changes what p has attached.
  for (struct attachment *a = p->shm; a < p->shm + p->nshm; a++) {
    if (a->va == va) {
      acquiresleep(&shm.lock);
      detach(p, a);
      releasesleep(&shm.lock);
      return 0;
    }
  }
  return -EINVAL;
}

// The new child np attaches what p has attached. 0, or -1 without memory, and
// np has some of it, which is shmleave's.
int shmfork(struct proc *p, struct proc *np) {
  int result = 0;

  acquiresleep(&shm.lock);
  for (struct attachment *a = p->shm; result == 0 && a < p->shm + p->nshm; a++)
    result = attach(np, a->segment, a->va, a->perm);
  releasesleep(&shm.lock);
  return result;
}

// p detaches all it has.
void shmleave(struct proc *p) {
  acquiresleep(&shm.lock);
  while (p->nshm > 0)
    detach(p, &p->shm[p->nshm - 1]);
  releasesleep(&shm.lock);
}

// shmctl

// The highest place in the table that is used, from 0; 0 when none is.
static int highest(void) {
  int i = NSHM - 1;
  while (i > 0 && shm.segments[i].frames == 0)
    i--;
  return i;
}

static int tell(uint64 addr, const void *what, uint64 n) {
  return copyout(myproc()->pagetable, addr, what, n) < 0 ? -EFAULT : 0;
}

static int telllimits(uint64 addr) {
  const struct shminfo info = {.shmmax = SHMPAGES * PGSIZE, .shmmin = 1, .shmmni = NSHM,
                               .shmseg = NSHMAT, .shmall = NSHM * SHMPAGES};
  int error = tell(addr, &info, sizeof(info));
  return error ? error : highest();
}

static int tellused(uint64 addr) {
  struct shm_info info = {0};
  for (struct segment *s = shm.segments; s < shm.segments + NSHM; s++) {
    info.used_ids += s->frames != 0;
    info.shm_tot += s->frames ? npages(s) : 0;
  }
  info.shm_rss = info.shm_tot;
  int error = tell(addr, &info, sizeof(info));
  return error ? error : highest();
}

static int set(struct segment *s, uint64 addr) {
  struct shmid_ds ds;
  if (copyin(myproc()->pagetable, &ds, addr, sizeof(ds)) < 0)
    return -EFAULT;
  s->ds.shm_perm.mode = (s->ds.shm_perm.mode & ~0777) | (ds.shm_perm.mode & 0777);
  s->ds.shm_ctime = now();
  return 0;
}

// Nobody finds it any more; those who have it attached keep it.
static void forget(struct segment *s) {
  s->ds.shm_perm.__key = IPC_PRIVATE;
  s->ds.shm_perm.mode |= SHM_DEST;
  settle(s);
}

static int control(struct segment *s, int command, uint64 addr) {
  switch (command) {
  case IPC_STAT:
    return permits(s, SHM_R) ? tell(addr, &s->ds, sizeof(s->ds)) : -EACCES;
  case IPC_SET:
    return set(s, addr);
  case IPC_RMID:
    forget(s);
    return 0;
  case SHM_LOCK:             // all of memory is locked
    s->ds.shm_perm.mode |= SHM_LOCKED;
    return 0;
  case SHM_UNLOCK:
    s->ds.shm_perm.mode &= ~SHM_LOCKED;
    return 0;
  default:
    return -EINVAL;
  }
}

// As IPC_STAT, of a place in the table, for whoever lists all. Its identifier.
static int stat(int place, int command, uint64 addr) {
  struct segment *s = place >= 0 && place < NSHM ? &shm.segments[place] : 0;

  if (s == 0 || s->frames == 0)
    return -EINVAL;
  if (command == SHM_STAT && !permits(s, SHM_R))
    return -EACCES;
  int error = tell(addr, &s->ds, sizeof(s->ds));
  return error ? error : idof(s);
}

// Not negative, or -errno.
uint64 sys_shmctl(void) {
  int id = argument(0), command = argument(1), result = -EINVAL;
  uint64 addr = argument(2);

  if (id < 0)
    return result;
  acquiresleep(&shm.lock);
  if (command == IPC_INFO)
    result = telllimits(addr);
  else if (command == SHM_INFO)
    result = tellused(addr);
  else if (command == SHM_STAT || command == SHM_STAT_ANY)
    result = stat(id, command, addr);
  else if (withid(id))
    result = control(withid(id), command, addr);
  releasesleep(&shm.lock);
  return result;
}

// Tests: System V shared memory, by the kernel's own calls. What is expected is
// POSIX's and the manual pages' of Linux (shmget(2), shmat(2), shmctl(2)).
#include "kernel/errno.h"
#include "kernel/shm.h"
#include "user/shrimp.h"
#include "user/usertests.h"

#define KEY 0x5a5a
#define NEW (IPC_CREAT | IPC_EXCL | 0600)
#define MOST (SHMPAGES * PGSIZE)

static int must_get(uint64 size) {
  int id = shmget(IPC_PRIVATE, size, 0600);
  must(id >= 0);
  return id;
}

static volatile char *must_attach(int id, int flags) {
  uint64 at = shmat(id, 0, flags);
  must((long)at > 0);
  return (volatile char *)at;
}

static int refused(int error, int id, uint64 at, int flags) {
  return shmat(id, at, flags) == -(uint64)error;
}

static void must_detach(volatile void *at) {
  must(shmdt((uint64)at) == 0);
}

static void must_remove(int id) {
  must(shmctl(id, IPC_RMID, 0) == 0);
}

static struct shmid_ds stat_of(int id) {
  struct shmid_ds ds;
  must(shmctl(id, IPC_STAT, &ds) == 0);
  return ds;
}

static int attached(int id) {
  return stat_of(id).shm_nattch;
}

static int used(void) {
  struct shm_info info;
  must(shmctl(0, SHM_INFO, &info) >= 0);
  return info.used_ids;
}

// Identifiers

static void private_is_new(void) {
  int a = must_get(1), b = must_get(1);
  must(a != b && used() == 2);
  must_remove(a);
  must_remove(b);
  must(used() == 0);
}

static void key_finds(void) {
  int id = shmget(KEY, 5000, NEW);
  must(id >= 0);
  must(shmget(KEY, 5000, 0600) == id && shmget(KEY, 0, 0) == id);
  must(shmget(KEY, 1, IPC_CREAT | 0600) == id && used() == 1);
  int other = shmget(KEY + 1, 1, NEW);
  must(other >= 0 && other != id);
  must_remove(other);
  must_remove(id);
}

static void get_says_why(void) {
  must(shmget(KEY, 1, 0600) == -ENOENT);
  must(shmget(KEY, 1, IPC_EXCL | 0600) == -ENOENT);
  must(shmget(KEY, 0, NEW) == -EINVAL && shmget(KEY, MOST + 1, NEW) == -EINVAL);
  must(shmget(KEY, -1UL, NEW) == -EINVAL && shmget(IPC_PRIVATE, -4095UL, 0600) == -EINVAL);
  int id = shmget(KEY, 5000, NEW);
  must(id >= 0 && shmget(KEY, 5000, NEW) == -EEXIST);
  must(shmget(KEY, 5001, 0600) == -EINVAL && shmget(KEY, 5001, IPC_CREAT | 0600) == -EINVAL);
  must_remove(id);
  must(used() == 0);
}

static void table_fills_up(void) {
  int ids[NSHM];
  for (int i = 0; i < NSHM; i++)
    ids[i] = must_get(1);
  must(shmget(IPC_PRIVATE, 1, 0600) == -ENOSPC && shmget(KEY, 1, NEW) == -ENOSPC);
  must_remove(ids[NSHM / 2]);
  ids[NSHM / 2] = must_get(1);
  must(shmget(IPC_PRIVATE, 1, 0600) == -ENOSPC);
  for (int i = 0; i < NSHM; i++)
    must_remove(ids[i]);
}

static void old_identifier_is_none(void) {
  int old = must_get(1);
  must_remove(old);
  for (int i = 0; i < 3 * NSHM; i++) {
    int id = must_get(1);
    must(id != old && refused(EINVAL, old, 0, 0) && shmctl(old, IPC_RMID, 0) == -EINVAL);
    must_remove(id);
  }
  must(refused(EINVAL, -1, 0, 0) && refused(EINVAL, LEAST, 0, 0) && refused(EINVAL, 0x7fffffff, 0, 0));
}

static void size_is_kept_in_bytes(void) {
  static const uint64 sizes[] = {1, PGSIZE - 1, PGSIZE, PGSIZE + 1, MOST - 1, MOST};
  for (int i = 0; i < LENGTH(sizes); i++) {
    int id = must_get(sizes[i]);
    volatile char *at = must_attach(id, 0);
    must(stat_of(id).shm_segsz == sizes[i]);
    at[PGROUNDUP(sizes[i]) - 1] = 1;
    must((uint64)at + PGROUNDUP(sizes[i]) == SHRIMP);
    must_detach(at);
    must_remove(id);
  }
}

static void new_segment_is_zero(void) {
  for (int round = 0; round < 2; round++) {
    int id = must_get(20 * PGSIZE);
    volatile uint64 *at = (volatile uint64 *)must_attach(id, 0);
    for (int i = 0; i < 20 * PGSIZE / 8; i++) {
      must(at[i] == 0);
      at[i] = -1UL;
    }
    must_detach(at);
    must_remove(id);
  }
}

// Places

static void places_grow_down(void) {
  int one = must_get(1), three = must_get(3 * PGSIZE);
  volatile char *a = must_attach(one, 0), *b = must_attach(three, 0), *c = must_attach(one, 0);
  must((uint64)a == SHRIMP - PGSIZE && b == a - 3 * PGSIZE && c == b - PGSIZE);
  must_detach(b);
  must(must_attach(one, 0) == a - PGSIZE);
  must(must_attach(three, 0) == c - 3 * PGSIZE); // the hole has two pages left
  must(must_attach(one, 0) == a - 2 * PGSIZE);
  must(attached(one) == 4 && attached(three) == 1);
  must_remove(one);
  must_remove(three);
}

static void place_that_is_asked_for(void) {
  int id = must_get(2 * PGSIZE);
  uint64 at = SHRIMP - 10 * PGSIZE;
  must(refused(EINVAL, id, at + 1, 0) && refused(EINVAL, id, at + PGSIZE - 1, 0));
  must(shmat(id, at + PGSIZE - 1, SHM_RND) == at);
  must(refused(EINVAL, id, at, 0) && refused(EINVAL, id, at + PGSIZE, 0) && refused(EINVAL, id, at - PGSIZE, 0));
  must(shmat(id, at - 2 * PGSIZE, 0) == at - 2 * PGSIZE && shmat(id, at + 2 * PGSIZE, 0) == at + 2 * PGSIZE);
  must(attached(id) == 3);
  must_remove(id);
}

static void place_that_is_taken(void) {
  int id = must_get(2 * PGSIZE);
  uint64 end = first_unmapped();
  const uint64 taken[] = {
      PGSIZE, (uint64)&end & -PGSIZE, end - PGSIZE, SHRIMP - PGSIZE, SHRIMP, FRY, TRAPFRAME, TRAMPOLINE, MAXVA,
      MAXVA - 2 * PGSIZE, 1UL << 39, 1UL << 63, -(uint64)PGSIZE, -2UL * PGSIZE,
  };
  for (int i = 0; i < LENGTH(taken); i++)
    must(refused(EINVAL, id, taken[i], 0) && refused(EINVAL, id, taken[i], SHM_REMAP));
  must(refused(EINVAL, id, 1, SHM_RND) && refused(EINVAL, id, 1, SHM_RND | SHM_REMAP));
  must(attached(id) == 0);
  must_remove(id);
}

static void heap_stops_at_segment(void) {
  int id = must_get(PGSIZE);
  uint64 end = first_unmapped();
  must(sbrk(end - (uint64)sbrk(0)) != (char *)-1);
  must(shmat(id, end + 2 * PGSIZE, 0) == end + 2 * PGSIZE);
  volatile char *at = (volatile char *)end + 2 * PGSIZE;
  *at = 7;
  must(sbrk(2 * PGSIZE + 1) == (char *)-1 && sbrklazy(2 * PGSIZE + 1) == (char *)-1);
  must(sbrk(0x7fffffff) == (char *)-1 && sbrklazy(0x7fffffff) == (char *)-1);
  must(sbrklazy(2 * PGSIZE) == (char *)end && sbrk(1) == (char *)-1 && sbrklazy(1) == (char *)-1);
  ((volatile char *)end)[2 * PGSIZE - 1] = 3;
  must(*at == 7 && sbrk(LEAST) == (char *)at && sbrk(0) == (char *)at);
  must_detach(at);
  must(sbrk(PGSIZE) == (char *)at && *at == 0);
  must_remove(id);
}

static void no_place_is_left(void) {
  int id = must_get(2 * PGSIZE);
  for (int step = 1 << 30; step >= PGSIZE; step /= 2)
    while ((uint64)sbrk(0) + step <= SHRIMP - PGSIZE && sbrklazy(step) != (char *)-1)
      ;
  must((uint64)sbrk(0) > SHRIMP - 2 * PGSIZE);
  must(refused(ENOMEM, id, 0, 0) && attached(id) == 0);
  must(sbrk(-2 * PGSIZE) != (char *)-1 && (uint64)must_attach(id, 0) == SHRIMP - 2 * PGSIZE);
  must_remove(id);
}

static void attachments_are_limited(void) {
  int id = must_get(PGSIZE);
  for (int i = 0; i < NSHMAT; i++)
    must_attach(id, i % 2 ? SHM_RDONLY : 0);
  must(refused(EMFILE, id, 0, 0) && refused(EMFILE, id, SHRIMP - 100 * PGSIZE, 0));
  must(shmat(id, SHRIMP - PGSIZE, SHM_REMAP) == SHRIMP - PGSIZE);
  must(attached(id) == NSHMAT);
  must_remove(id);
}

static void remap_replaces_whole_ones(void) {
  int small = must_get(PGSIZE), large = must_get(3 * PGSIZE);
  volatile char *a = must_attach(small, 0), *b = must_attach(small, 0);
  *a = 1;
  must(refused(EINVAL, large, 0, SHM_REMAP));
  must(shmat(large, (uint64)b - PGSIZE, SHM_REMAP) == (uint64)b - PGSIZE);
  must(attached(small) == 0 && attached(large) == 1 && *a == 0);
  must(refused(EINVAL, small, (uint64)b, SHM_REMAP)); // it would be cut
  must(refused(EINVAL, small, (uint64)b, 0) && attached(small) == 0);
  must_remove(large);                                  // and now its last attachment gives way to itself
  must(shmat(large, (uint64)b - PGSIZE, SHM_REMAP) == (uint64)b - PGSIZE);
  b[PGSIZE] = 5;
  must(attached(large) == 1);
  must_detach(b - PGSIZE);
  must(shmctl(large, IPC_STAT, scratch) == -EINVAL);
  must_remove(small);
}

static void detach_is_exact(void) {
  int id = must_get(3 * PGSIZE);
  volatile char *at = must_attach(id, 0);
  must(shmdt((uint64)at + PGSIZE) == -EINVAL && shmdt((uint64)at + 1) == -EINVAL && shmdt((uint64)at - PGSIZE) == -EINVAL);
  must(shmdt((uint64)&id) == -EINVAL && shmdt((uint64)detach_is_exact & -PGSIZE) == -EINVAL);
  must(shmdt(0) == -EINVAL && shmdt(FRY) == -EINVAL && shmdt(SHRIMP) == -EINVAL && shmdt(-1UL) == -EINVAL);
  at[2 * PGSIZE] = 1;
  must_detach(at);
  must(shmdt((uint64)at) == -EINVAL && attached(id) == 0);
  must_remove(id);
}

// Rights

static volatile char *place; // for a child that will touch it

static void read_place(void) {
  (void)*place;
}

static void write_place(void) {
  *place = 1;
}

static void run_place(void) {
  ((void (*)(void))place)();
}

static void read_only_is(void) {
  int id = must_get(PGSIZE), fd = open_must("file", O_CREATE | O_RDWR);
  volatile char *both = must_attach(id, 0);
  place = must_attach(id, SHM_RDONLY);
  *both = 'x';
  must(*place == 'x');
  must_be_killed(write_place);
  must_work(read_place);
  must(write(fd, (void *)place, 1) == 1);
  close(fd);
  fd = open_must("file", O_RDONLY);
  must(read(fd, (void *)place, 1) == -1 && read(fd, (void *)(both + 1), 1) == 1);
  must(place[1] == 'x' && attached(id) == 2);
  must_remove(id);
}

// Each way to say where: the address is what was asked for, the rights too.
static void asked_place_has_asked_rights(void) {
  int id = must_get(sizeof(int));
  uint64 at = SHRIMP - 10 * PGSIZE;
  const struct {
    uint64 at;
    int flags;
  } ways[] = {{0, 0}, {at, 0}, {at + PGSIZE - 1, SHM_RND}, {at, SHM_RDONLY}, {0, SHM_RDONLY}};
  for (int i = 0; i < LENGTH(ways); i++) {
    uint64 got = shmat(id, ways[i].at, ways[i].flags);
    must((long)got > 0 && (ways[i].at == 0 || got == PGROUNDDOWN(ways[i].at)));
    must(attached(id) == 1 && stat_of(id).shm_segsz == sizeof(int));
    place = (volatile char *)got;
    must_work(read_place);
    must(status_of(write_place) == (ways[i].flags & SHM_RDONLY ? -1 : 0));
    must(*place == 1);         // the segment is the same one each time
    must_detach(place);
  }
  must_remove(id);
}

static void detached_is_gone(void) {
  int id = must_get(2 * PGSIZE);
  place = must_attach(id, 0);
  must_work(write_place);
  must_detach(place);
  must(attached(id) == 0);
  must_be_killed(read_place);
  must_be_killed(write_place);
  place += PGSIZE;
  must_be_killed(read_place);
  must_remove(id);
}

static void never_executed(void) {
  int id = must_get(PGSIZE);
  must(refused(EACCES, id, 0, SHM_EXEC) && refused(EACCES, id, 0, SHM_EXEC | SHM_RDONLY));
  place = must_attach(id, 0);
  *(volatile uint *)place = 0x00008067; // ret
  must_be_killed(run_place);
  must_remove(id);
}

static void mode_decides(void) {
  int id = shmget(KEY, 1, IPC_CREAT | 0400);
  struct shmid_ds ds = stat_of(id);
  must(shmget(KEY, 1, 0600) == -EACCES && shmget(KEY, 1, 0200) == -EACCES && shmget(KEY, 1, 0444) == id);
  must(shmget(KEY, 1, 0020) == -EACCES && shmget(KEY, 1, 0001) == -EACCES && shmget(KEY, 1, 0044) == id); // whosever bits
  int closed = shmget(KEY + 1, 1, NEW & ~0777);
  must(shmget(KEY + 1, 1, SHM_R) == -EACCES && shmget(KEY + 1, 1, SHM_W) == -EACCES && shmget(KEY + 1, 1, SHM_R | SHM_W) == -EACCES);
  must(refused(EACCES, closed, 0, 0) && refused(EACCES, closed, 0, SHM_RDONLY) && shmget(KEY + 1, 1, 0) == closed);
  must(shmctl(closed, IPC_STAT, &ds) == -EACCES && refused(EINVAL, closed, 1, 0)); // the address comes first
  must_remove(closed);
  ds = stat_of(id);
  must(refused(EACCES, id, 0, 0));
  must_detach(must_attach(id, SHM_RDONLY));
  ds.shm_perm.mode = 01277;  // of which nine bits count
  must(shmctl(id, IPC_SET, &ds) == 0);
  must(shmctl(id, IPC_STAT, &ds) == -EACCES && refused(EACCES, id, 0, SHM_RDONLY) && refused(EACCES, id, 0, 0));
  must(shmctl(id % NSHM, SHM_STAT, &ds) == -EACCES && shmctl(id % NSHM, SHM_STAT_ANY, &ds) == id);
  must(ds.shm_perm.mode == 0277);
  must_remove(id);
}

// Families

static int inherited;

static void use_inherited(void) {
  must(attached(inherited) == 4 && place[0] == 'p' && place[PGSIZE] == 'p');
  place[0] = 'c';
  must_detach(place);
  must(attached(inherited) == 3);
}

static void fork_inherits(void) {
  inherited = must_get(2 * PGSIZE);
  place = must_attach(inherited, 0);
  volatile char *mine = place, *other = must_attach(inherited, SHM_RDONLY);
  place[0] = place[PGSIZE] = 'p';
  must_work(use_inherited);
  must(attached(inherited) == 2 && mine[0] == 'c' && other[0] == 'c');
  place = other;
  must_be_killed(write_place);
  must(attached(inherited) == 2);
  must_remove(inherited);
}

static void exec_program(void) {
  char *argv[] = {"echo", 0};
  exec("/no-such-program", argv);
  must(attached(inherited) == 2);
  *place = 'e';
  close(1);
  exec("/echo", argv);
  must(0);
}

static void exec_detaches(void) {
  inherited = must_get(1);
  place = must_attach(inherited, 0);
  must_work(exec_program);
  must(attached(inherited) == 1 && *place == 'e');
  must(stat_of(inherited).shm_lpid != getpid());
  must_remove(inherited);
}

static void attach_and_die(void) {
  must_attach(inherited, 0);
  must_attach(inherited, 0);
  *(volatile char *)MAXVA = 1;
}

static void killed_detaches(void) {
  inherited = must_get(1);
  for (int i = 0; i < 3; i++)
    must_be_killed(attach_and_die);
  must(attached(inherited) == 0);
  must_remove(inherited);
}

static void make_and_leave(void) {
  inherited = shmget(KEY, 1, NEW);
  *must_attach(inherited, 0) = 42;
}

static void segment_outlives_its_maker(void) {
  must_work(make_and_leave);
  int id = shmget(KEY, 1, 0);
  struct shmid_ds ds = stat_of(id);
  must(ds.shm_nattch == 0 && ds.shm_cpid == ds.shm_lpid && ds.shm_cpid != getpid());
  must(*must_attach(id, 0) == 42);
  must_remove(id);
}

// Counts, by children that do one thing at each step and are counted after it.

#define COUNTED 6

static int go[3][2], done[2]; // a pipe for each step: nobody takes two
static volatile char *shared; // attached before they were begun; 0: they attach

static void step(int n) {
  must(write(done[1], "", 1) == 1);
  await(go[n]);
}

static void attach_and_detach(void) {
  volatile char *at = shared;
  for (int i = 0; i < LENGTH(go); i++)
    close(go[i][1]);           // so that nobody waits for one who has failed
  step(0);
  if (at == 0)
    at = must_attach(inherited, 0);
  step(1);
  must_detach(at);
  step(2);
}

// All have come to where they wait; IPC_STAT and SHM_STAT count n attachments.
static void must_count(int n, int step) {
  struct shmid_ds ds;
  for (int i = 0; i < COUNTED; i++)
    await(done);
  must(attached(inherited) == n);
  must(shmctl(inherited % NSHM, SHM_STAT, &ds) == inherited && ds.shm_nattch == (uint64)n);
  for (int i = 0; i < COUNTED; i++)
    post(go[step]);
}

static void count_children(volatile char *before) {
  int mine = before != 0;
  shared = before;
  for (int i = 0; i < COUNTED; i++)
    begin(attach_and_detach);
  must_count(before ? COUNTED + 1 : 0, 0);
  must_count(COUNTED + mine, 1);
  must_count(mine, 2);
  for (int i = 0; i < COUNTED; i++)
    must(reap() == 0);
}

static void attachments_are_counted(void) {
  inherited = must_get(PGSIZE);
  for (int i = 0; i < LENGTH(go); i++)
    must_pipe(go[i]);
  must_pipe(done);
  count_children(0);
  volatile char *at = must_attach(inherited, 0);
  count_children(at);
  must_detach(at);
  must(attached(inherited) == 0);
  must_remove(inherited);
}

// Removal and shmctl

static void removed_lives_on(void) {
  int id = shmget(KEY, 1, NEW);
  volatile char *at = must_attach(id, 0);
  *at = 9;
  must_remove(id);
  must(shmget(KEY, 1, 0) == -ENOENT);
  struct shmid_ds ds = stat_of(id);
  must(ds.shm_perm.mode == (SHM_DEST | 0600) && ds.shm_perm.__key == IPC_PRIVATE);
  int next = shmget(KEY, 1, NEW);
  must(next >= 0 && next != id);
  volatile char *again = must_attach(id, 0);
  must(*again == 9);
  must_detach(at);
  must(*again == 9);
  must_detach(again);
  must(shmctl(id, IPC_STAT, &ds) == -EINVAL && refused(EINVAL, id, 0, 0));
  must_remove(next);
}

static void stat_tells(void) {
  uint before = uptime();
  int id = shmget(KEY, 5000, IPC_CREAT | 0640);
  struct shmid_ds ds = stat_of(id);
  must(ds.shm_segsz == 5000 && ds.shm_perm.mode == 0640 && ds.shm_perm.__key == KEY);
  must(ds.shm_cpid == getpid() && ds.shm_lpid == 0 && ds.shm_nattch == 0);
  must(ds.shm_atime == 0 && ds.shm_dtime == 0 && ds.shm_ctime >= before);
  volatile char *at = must_attach(id, 0);
  ds = stat_of(id);
  must(ds.shm_nattch == 1 && ds.shm_lpid == getpid() && ds.shm_atime >= before && ds.shm_dtime == 0);
  must_detach(at);
  must(stat_of(id).shm_dtime >= ds.shm_atime && stat_of(id).shm_atime == ds.shm_atime);
  must(shmctl(id, SHM_LOCK, 0) == 0 && stat_of(id).shm_perm.mode == (SHM_LOCKED | 0640));
  must(shmctl(id, SHM_UNLOCK, 0) == 0 && stat_of(id).shm_perm.mode == 0640);
  must_remove(id);
}

static void set_changes_mode(void) {
  int id = shmget(IPC_PRIVATE, 2048, IPC_CREAT | 0666);
  struct shmid_ds was = stat_of(id), ds = was;
  must(was.shm_perm.mode == 0666);
  while (uptime() <= was.shm_ctime)
    ;
  ds.shm_perm.mode = 0600;
  ds.shm_segsz = 1;            // of the rest nothing is taken
  ds.shm_nattch = 7;
  must(shmctl(id, IPC_SET, &ds) == 0);
  ds = stat_of(id);
  must(ds.shm_perm.mode == 0600 && ds.shm_segsz == 2048 && ds.shm_nattch == 0);
  must(ds.shm_ctime > was.shm_ctime && ds.shm_ctime <= uptime());
  must(shmctl(id, IPC_SET, &was) == 0 && stat_of(id).shm_perm.mode == 0666);
  must_remove(id);
}

static void info_agrees_with_list(void) {
  struct shm_info info;
  struct shmid_ds ds;
  uint64 pages = 0;
  int found = 0, ids[] = {must_get(1), must_get(PGSIZE + 1), must_get(3 * PGSIZE)};
  must_remove(ids[1]);         // leaves a gap
  int last = shmctl(0, SHM_INFO, &info);
  must(last >= 0 && shmctl(last, SHM_STAT_ANY, &ds) == ids[2] && shmctl(last + 1, SHM_STAT_ANY, &ds) == -EINVAL);
  for (int index = 0; index <= last; index++) {
    if (shmctl(index, SHM_STAT_ANY, &ds) < 0)
      continue;
    found++;
    pages += PGROUNDUP(ds.shm_segsz) / PGSIZE;
  }
  must(found == 2 && info.used_ids == 2 && pages == 4);
  must(info.shm_tot == pages && info.shm_rss == pages && info.shm_swp == 0);
  must_remove(ids[0]);
  must_remove(ids[2]);
}

static void control_says_why(void) {
  static const int commands[] = {IPC_STAT, IPC_SET, IPC_INFO, SHM_INFO, SHM_STAT, SHM_STAT_ANY};
  uint64 bad[MAXBAD];
  int id = must_get(1), n = bad_addresses(bad);
  for (int c = 0; c < LENGTH(commands); c++)
    for (int i = 0; i < n; i++)
      must(shmctl(commands[c] >= SHM_STAT ? id % NSHM : id, commands[c], (void *)bad[i]) == -EFAULT);
  must(shmctl(id, 77, scratch) == -EINVAL && shmctl(id, -1, scratch) == -EINVAL);
  must(shmctl(NSHM, SHM_STAT, scratch) == -EINVAL && shmctl(-1, SHM_STAT, scratch) == -EINVAL);
  must(shmctl(-1, IPC_INFO, scratch) == -EINVAL && shmctl(-1, SHM_INFO, scratch) == -EINVAL);
  struct shminfo limits;
  must(shmctl(0, IPC_INFO, &limits) >= 0 && limits.shmmni == NSHM && limits.shmmax == MOST && limits.shmmin == 1);
  must_remove(id);
}

// Without memory: each allocation in turn is refused, and none is lost.

static int make_large(void) {
  int id = shmget(IPC_PRIVATE, 20 * PGSIZE, 0600);
  if (id == -ENOMEM)
    return 0;
  must_remove(id);
  return 1;
}

// On both sides of where a table ends.
#define HIGH (SHRIMP / 2 / (NPTE * PGSIZE) * (NPTE * PGSIZE) - PGSIZE)

static int attach_high(void) {
  uint64 at = shmat(inherited, HIGH, 0);
  if (at == -(uint64)ENOMEM) {
    must(attached(inherited) == 0);
    return 0;
  }
  must(attached(inherited) == 1);
  must_detach((void *)at);
  return 1;
}

static int upper; // one page, attached in the upper half of that

static int remap_high(void) {
  int before = attached(upper);
  uint64 at = shmat(inherited, HIGH, SHM_REMAP);
  if (at == -(uint64)ENOMEM) {
    must(attached(inherited) == 0 && attached(upper) == before && *(volatile char *)(HIGH + PGSIZE) == 's');
    return 0;
  }
  must(at == HIGH && attached(inherited) == 1 && attached(upper) == before - 1);
  must_detach((void *)at);
  return 1;
}

static int fork_with_segments(void) {
  struct shmid_ds was = stat_of(inherited);
  int before = was.shm_nattch, pid = fork();
  if (pid == 0)
    exit(0);
  if (pid > 0)
    wait(0);
  must(attached(inherited) == before && (pid > 0 || stat_of(inherited).shm_lpid == was.shm_lpid));
  return pid > 0;
}

static void get_without_memory(void) {
  starve(make_large);
  must(used() == 0);
}

static void attach_without_memory(void) {
  inherited = must_get(2 * PGSIZE);
  starve(attach_high);
  upper = must_get(1);
  must(shmat(upper, HIGH + PGSIZE, 0) == HIGH + PGSIZE);
  *(volatile char *)(HIGH + PGSIZE) = 's';
  starve(remap_high);
  must_remove(upper);
  must_remove(inherited);
}

static void fork_without_memory(void) {
  inherited = must_get(2 * PGSIZE);
  must_attach(inherited, 0);
  must(shmat(inherited, HIGH, 0) == HIGH);
  starve(fork_with_segments);
  must(attached(inherited) == 2);
  must_remove(inherited);
}

// Races: what may be on several harts at once.

#define RACERS 6

static volatile char *board;  // a segment that racers write to
static int turn;

static void get_the_key(void) {
  for (int i = 0; i < 20; i++) {
    int id = shmget(KEY + i, 2 * PGSIZE, IPC_CREAT | 0600);
    must(id >= 0 || id == -ENOSPC);
    if (shmget(KEY + 1000 + i, 1, NEW) >= 0)
      __atomic_fetch_add((int *)board, 1, __ATOMIC_RELAXED);
    shmctl(shmget(KEY + 1000 + i, 1, 0), IPC_RMID, 0); // some other may be found, or none
    shmctl(id, IPC_RMID, 0);
  }
}

static void race(void (*f)(void)) {
  for (int i = 0; i < RACERS; i++)
    begin(f);
  for (int i = 0; i < RACERS; i++)
    must(reap() == 0);
}

static void one_key_has_one_segment(void) {
  int id = must_get(PGSIZE);
  board = must_attach(id, 0);
  race(get_the_key);
  must(*(volatile int *)board >= 1 && used() == 1);
  must_remove(id);
}

static void only_one_makes_it(void) {
  if (shmget(KEY + turn, 1, NEW) >= 0)
    __atomic_fetch_add((int *)board, 1, __ATOMIC_RELAXED);
}

static void exclusive_is_once(void) {
  int id = must_get(PGSIZE);
  board = must_attach(id, 0);
  for (turn = 0; turn < 5; turn++) {
    race(only_one_makes_it);
    must(*(volatile int *)board == turn + 1);
    must_remove(shmget(KEY + turn, 1, 0));
  }
  must_remove(id);
}

// In each round some attach what others remove; whoever has it can write to it.
static void attach_and_remove(void) {
  for (int i = 0; i < 20; i++) {
    int id = shmget(KEY, 3 * PGSIZE, IPC_CREAT | 0600);
    uint64 at = shmat(id, 0, 0);
    int removed = shmctl(id, IPC_RMID, 0);
    must((long)at > 0 || (long)at == -EINVAL);
    must(removed == 0 || removed == -EINVAL);
    if ((long)at < 0)
      continue;
    for (int page = 0; page < 3; page++)
      __atomic_fetch_add((int *)(at + page * PGSIZE), 1, __ATOMIC_RELAXED);
    must(shmdt(at) == 0);
  }
}

static void removal_meets_attach(void) {
  race(attach_and_remove);
  must(used() == 0);
}

static int gate[2];

// The board and the gate are inherited: all go at once when it opens.
static void detach_at_once(void) {
  char c;
  close(gate[1]);
  read(gate[0], &c, 1);
  must_detach(board);
}

static void last_ones_detach_together(void) {
  for (int i = 0; i < 8; i++) {
    int id = must_get(4 * PGSIZE);
    board = must_attach(id, 0);
    must_pipe(gate);
    for (int racer = 0; racer < RACERS; racer++)
      begin(detach_at_once);
    must_remove(id);
    must_detach(board);
    close(gate[0]);
    close(gate[1]);
    for (int racer = 0; racer < RACERS; racer++)
      must(reap() == 0);
    must(shmctl(id, IPC_STAT, scratch) == -EINVAL);
  }
  must(used() == 0);
}

const struct test shm_tests[] = {
  {"shm-private", private_is_new, "IPC_PRIVATE makes a new segment each time"},
  {"shm-key", key_finds, "a key finds its segment"},
  {"shm-get-fails", get_says_why, "shmget says why it fails"},
  {"shm-table-full", table_fills_up, "ENOSPC when all segments are made, and only then"},
  {"shm-old-id", old_identifier_is_none, "the identifier of what is gone is nobody's"},
  {"shm-size", size_is_kept_in_bytes, "a size is bytes, memory is pages"},
  {"shm-zero", new_segment_is_zero, "new segments are zeroed"},
  {"shm-places", places_grow_down, "free places are taken from SHRIMP down"},
  {"shm-asked-place", place_that_is_asked_for, "an address is taken as it is, or rounded down"},
  {"shm-taken-place", place_that_is_taken, "nothing is attached where something is"},
  {"shm-heap", heap_stops_at_segment, "the heap ends at a segment, the lazy one too"},
  {"shm-no-place", no_place_is_left, "ENOMEM when the heap has all addresses"},
  {"shm-many", attachments_are_limited, "EMFILE after so many attachments"},
  {"shm-remap", remap_replaces_whole_ones, "SHM_REMAP replaces whole attachments"},
  {"shm-detach", detach_is_exact, "shmdt takes an attachment's first address only"},
  {"shm-detached", detached_is_gone, "no page of what is detached can be touched"},
  {"shm-read-only", read_only_is, "SHM_RDONLY is, for user mode and system calls"},
  {"shm-asked-rights", asked_place_has_asked_rights, "an asked place has the asked rights, and the segment's bytes"},
  {"shm-never-run", never_executed, "a segment is no code"},
  {"shm-mode", mode_decides, "the owner's bits of a mode are asked"},
  {"shm-fork", fork_inherits, "a child has its parent's attachments"},
  {"shm-exec", exec_detaches, "exec detaches; when it fails nothing has changed"},
  {"shm-killed", killed_detaches, "whoever is killed detaches"},
  {"shm-outlives", segment_outlives_its_maker, "a segment stays without its maker"},
  {"shm-removed", removed_lives_on, "a removed one lives until the last detaches; its key is free at once"},
  {"shm-stat", stat_tells, "what IPC_STAT says"},
  {"shm-count", attachments_are_counted, "nattch while children attach, inherit and detach"},
  {"shm-set", set_changes_mode, "IPC_SET changes the mode and when that was, nothing else"},
  {"shm-info", info_agrees_with_list, "SHM_INFO counts what SHM_STAT_ANY lists"},
  {"shm-control-fails", control_says_why, "shmctl says why it fails"},
  {"shm-get-memory", get_without_memory, "shmget without memory loses none", 1},
  {"shm-attach-memory", attach_without_memory, "shmat without memory loses none", 1},
  {"shm-fork-memory", fork_without_memory, "fork with segments without memory loses none", 1},
  {"shm-race-key", one_key_has_one_segment, "shmget and removal of one key on several harts"},
  {"shm-race-new", exclusive_is_once, "one of several makes the segment of a key"},
  {"shm-race-remove", removal_meets_attach, "removal and attach on several harts"},
  {"shm-race-detach", last_ones_detach_together, "the last detach on several harts"},
  {0},
};

// fuzz SEED ROUNDS: in every round some workers, side by side, each make CALLS
// system calls with numbers and arguments that a kernel would rather not see.
// What is stuck, because it waits for what will never come, is killed in the end. Prints a line when all rounds are done.
#include "kernel/types.h"
#include "kernel/fcntl.h"
#include "kernel/param.h"
#include "kernel/stat.h"
#include "kernel/fs.h"
#include "kernel/shm.h"
#include "kernel/syscall.h"
#include "user/shrimp.h"
#include "user/user.h"
#include "random.h"

#define WORKERS 3
#define CALLS 500
#define PATIENCE 8          // ticks after which whoever is left counts as stuck
#define MOST_FORKS 4096     // of a round
#define UNLIKELY_PID 217
#define CONSOLE 1           // major number

static char *heap;          // two pages, the second one lazy and untouched
static uint64 around[2];    // what lies where a stack's and a guard's pages meet

static char *const names[] = {
    "a", "b", "d", "d/a", "d/d", "d/d/a", "d/../d/./a", "./a", "..", "../..", ".", "/", "//", "", "a/",
    "a/b", "program", "../fuzzdir/d", "not-here", "fourteen-bytes", "fifteen-bytes--", "d/fourteen-bytes/x",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

static uint64 call(uint64 number, const uint64 *arguments) {
  register uint64 a0 asm("a0") = arguments[0];
  register uint64 a1 asm("a1") = arguments[1];
  register uint64 a2 asm("a2") = arguments[2];
  register uint64 a7 asm("a7") = number;
  asm volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
  return a0;
}

// An address, or what is none; sometimes some bytes beside it.
static uint64 pointer(void) {
  const uint64 interesting[] = {
      0, 1, PGSIZE, FRY, FRY + PGSIZE, SHRIMP, SHRIMP + PGSIZE, TRAPFRAME, TRAMPOLINE, MAXVA,
      MAXVA + PGSIZE, 1UL << 39, 1UL << 63, ~0UL, ~0UL - PGSIZE + 1, KERNBASE, PHYSTOP, CLINT, UART0, KSTACK(0),
      around[0], around[1], (uint64)heap, (uint64)heap + PGSIZE, (uint64)heap + 2 * PGSIZE,
      (uint64)names[0], (uint64)&random_state, (uint64)call, random64(), random64() % MAXVA,
  };
  uint64 at = interesting[below(sizeof(interesting) / sizeof(interesting[0]))];
  switch (below(4)) {
  case 0:
    return at - 1 - below(16);
  case 1:
    return at + below(PGSIZE);
  default:
    return at;
  }
}

static uint64 number(void) {
  static const uint64 interesting[] = {
      0, 1, 2, 3, 7, 8, 512, PGSIZE - 1, PGSIZE, PGSIZE + 1, 3 * PGSIZE, 65536, MAXFILE * BSIZE,
      MAXFILE * BSIZE + 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000, ~0UL, 1UL << 63,
  };
  uint which = below(sizeof(interesting) / sizeof(interesting[0]) + 2);
  if (which >= 2)
    return interesting[which - 2];
  return which ? random64() : below(200);
}

static uint64 descriptor(void) {
  return below(8) ? below(NOFILE) : number();
}

static uint64 path(void) {
  return below(8) ? (uint64)names[below(sizeof(names) / sizeof(names[0]))] : pointer();
}

static uint64 arguments_of_exec(void) {
  static uint64 argv[MAXARG + 2];
  uint n = below(8) ? below(4) : below(MAXARG + 2);

  for (uint i = 0; i < n; i++)
    argv[i] = path();
  argv[n] = 0;
  return below(8) ? (uint64)argv : pointer();
}

static uint64 some_segment(void) {
  struct shmid_ds ds;
  return shmctl(below(NSHM), SHM_STAT_ANY, &ds);
}

// Arguments that get past the first look, mostly; junk else.
static void choose(uint64 which, uint64 *a) {
  a[0] = below(2) ? pointer() : number();
  a[1] = below(2) ? pointer() : number();
  a[2] = below(2) ? pointer() : number();
  switch (which) {
  case SYS_wait:
  case SYS_pipe:
    a[0] = pointer();
    break;
  case SYS_read:
  case SYS_write:
  case SYS_fstat:
    a[1] = pointer();
    a[2] = number();
    /* fall through */
  case SYS_dup:
  case SYS_close:
    a[0] = descriptor();
    break;
  case SYS_exec:
    a[0] = below(2) ? (uint64)"program" : path();
    a[1] = arguments_of_exec();
    break;
  case SYS_open:
    a[0] = path();
    a[1] = below(4) ? (uint64)(below(4) | below(2) * O_CREATE | below(2) * O_TRUNC) : number();
    break;
  case SYS_mknod:
    a[1] = number();
    if ((short)a[1] == CONSOLE)
      a[1] = 2;
    /* fall through */
  case SYS_chdir:
  case SYS_unlink:
  case SYS_mkdir:
    a[0] = path();
    break;
  case SYS_link:
    a[0] = path();
    a[1] = path();
    break;
  case SYS_sbrk:
    a[0] = below(8) ? below(8 * PGSIZE) - (uint64)PGSIZE : number();
    a[1] = 1 + below(2);
    break;
  case SYS_sleep:
    a[0] = below(64) ? below(2) : number();
    break;
  case SYS_shmget:
    a[0] = below(8) ? below(4) : number();
    a[1] = below(4) ? below(4 * PGSIZE) : number();
    a[2] = below(8) ? 0600 | below(2) * IPC_CREAT | below(2) * IPC_EXCL : number();
    break;
  case SYS_shmat:
    a[0] = below(8) ? some_segment() : number();
    a[1] = below(2) ? 0 : below(4) ? (SHRIMP - below(16) * PGSIZE) | below(2) : pointer();
    a[2] = below(8) ? below(8) * SHM_RDONLY : number();
    break;
  case SYS_shmdt:
    a[0] = below(8) ? SHRIMP - below(16) * PGSIZE : pointer();
    break;
  case SYS_shmctl:
    a[0] = below(8) ? some_segment() : number();
    a[1] = below(8) ? below(SHM_STAT_ANY + 1) : number();
    a[2] = pointer();
    break;
  }
}

static uint64 which_call(void) {
  if (below(64) == 0)
    return below(2) ? number() : below(64);
  uint64 which = 1 + below(SYS_shmctl);
  // These end a worker, or make it another: seldom.
  if ((which == SYS_exit || which == SYS_exec || which == SYS_sleep || which == SYS_wait) &&
      below(16))
    return SYS_open;
  return which;
}

static int is_for_others(uint64 which, const uint64 *a) {
  int pid = a[0];
  return which == SYS_kill && pid > 1 && pid < 1 << 20 && pid != getpid();
}

// Would it write where the caller's variables and return addresses are? Whoever
// did that would do who knows what next: kill the leader, say.
static int hits_stack(uint64 which, const uint64 *a) {
  uint64 at = which == SYS_shmctl ? a[2] : which == SYS_read || which == SYS_fstat ? a[1] : a[0];
  uint64 n = which == SYS_read ? a[2] & 0x7fffffff : sizeof(struct shmid_ds);
  uint64 mine = around[1] + PGSIZE / 2;

  if (which != SYS_read && which != SYS_fstat && which != SYS_wait && which != SYS_pipe && which != SYS_shmctl)
    return 0;
  return at < around[1] + PGSIZE && at + n > mine;
}

static void work(uint64 seed) {
  seed_random(seed);
  for (int fd = 0; fd < NOFILE; fd++)
    close(fd);
  chdir("fuzzdir");
  heap = sbrk(PGSIZE);
  sbrklazy(PGSIZE);
  around[1] = (uint64)&seed & -PGSIZE;
  around[0] = around[1] - PGSIZE;
  for (int i = 0, left = CALLS; i < left; i++) {
    uint64 a[3], which = which_call();
    choose(which, a);
    if (is_for_others(which, a) || hits_stack(which, a))
      continue;
    if (call(which, a) == 0 && which == SYS_fork) {
      seed_random(seed + i);
      left = i + 10;
    }
  }
  exit(0);
}

static void copy(const char *from, const char *to) {
  static char buffer[BSIZE];
  int in = open(from, O_RDONLY), out = open(to, O_CREATE | O_TRUNC | O_WRONLY), n;

  while ((n = read(in, buffer, sizeof(buffer))) > 0 && write(out, buffer, n) == n)
    ;
  close(in);
  close(out);
}

// Everything in the current directory, and what is in it, but for depth levels.
static void clear(int depth) {
  struct dirent entry;
  char name[DIRSIZ + 1] = "";
  int fd = open(".", O_RDONLY);

  while (read(fd, &entry, sizeof(entry)) == sizeof(entry)) {
    memmove(name, entry.name, DIRSIZ);
    if (entry.inum == 0 || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
      continue;
    if (unlink(name) < 0 && depth > 0 && chdir(name) == 0) {
      clear(depth - 1);
      chdir("..");
      unlink(name);
    }
  }
  close(fd);
}

static void remove_segments(void) {
  struct shmid_ds ds;

  for (int place = 0; place < NSHM; place++)
    shmctl(shmctl(place, SHM_STAT_ANY, &ds), IPC_RMID, 0);
}

// Ends whoever was made from pid first on, and is still there. Who is killed inside
// fork makes its child first: it is over when nobody was there, twice.
static void kill_from(int first) {
  for (int empty = 0; empty < 2;) {
    int there = 0, newest = fork();
    if (newest == 0)
      exit(0);
    int end = newest > 0 ? newest : first + MOST_FORKS;
    for (int pid = first; pid < end; pid++)
      there += kill(pid) == 0;
    while (wait(0) > 0)
      ;
    empty = there ? 0 : empty + 1;
  }
}

// Processes that had to be killed count as stuck: at the first sign of a clock
// that is a process too, so that the leader can wait for whoever ends first.
static int fuzz_round(uint64 seed) {
  int left = 0, stuck = 0, pid;
  int clock = fork();

  if (clock < 0)
    return 0;
  if (clock == 0) {
    sleep(PATIENCE);
    exit(0);
  }
  for (int i = 0; i < WORKERS; i++) {
    if ((pid = fork()) == 0)
      work(seed * WORKERS + i);
    left += pid > 0;
  }
  while (left > 0 && (pid = wait(0)) > 0) {
    left -= pid != clock;
    if (pid == clock) {
      stuck = left;
      break;
    }
  }
  kill_from(clock);
  remove_segments();
  return stuck;
}

// A pid that programs run amok, as "program" is when a worker has written in it,
// are not likely to think of.
static int is_leader(void) {
  for (int pid = 0; pid < UNLIKELY_PID;) {
    pid = fork();
    if (pid == 0 && getpid() < UNLIKELY_PID)
      exit(0);
    if (pid <= 0)
      return pid == 0;
    wait(0);
  }
  return 0;
}

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(2, "usage: fuzz SEED ROUNDS\n");
    return 2;
  }
  if (!is_leader())
    return 0;
  int seed = atoi(argv[1]), rounds = atoi(argv[2]), stuck = 0;

  if (mkdir("fuzzdir") < 0) {
    printf("fuzz: fuzzdir is there already\n");
    return 1;
  }
  for (int i = 0; i < rounds; i++) {
    copy("echo", "fuzzdir/program");
    stuck += fuzz_round((uint64)seed << 32 | i);
    if (chdir("/fuzzdir") == 0) {
      clear(8);
      chdir("/");
    }
    if (i % 10 == 9)
      printf("fuzz: %d rounds of %d\n", i + 1, rounds);
  }
  unlink("fuzzdir");
  printf("fuzz: done, %d rounds of seed %d, %d workers stuck\n", rounds, seed, stuck);
  return 0;
}

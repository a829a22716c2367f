// shrimptest: first parent and child talk through their page; then each
// promise of Shrimpy is checked as far as a program can see it. Everything
// waits for a process or for a byte in a pipe.
#include "kernel/types.h"
#include "kernel/fcntl.h"
#include "kernel/stat.h"
#include "user/memory.h"
#include "user/shrimp.h"
#include "user/user.h"

#define SELF "/shrimptest"
#define SCRATCH "/shrimptest.tmp"

// In a function whose result is whether all is well.
#define CHECK(what)                                       \
  do {                                                    \
    if (!(what)) {                                        \
      printf("shrimptest.c:%d: not %s\n", __LINE__, #what); \
      return 0;                                           \
    }                                                     \
  } while (0)

// A child whose exit status says whether f() held.
static int start(int (*f)(void)) {
  int pid = fork();

  if (pid == 0)
    exit(f() ? 0 : 1);
  return pid;
}

// Whether the next child to end was content.
static int ended_well(void) {
  int status;

  return wait(&status) >= 0 && status == 0;
}

static int holds_in_child(int (*f)(void)) {
  return start(f) >= 0 && ended_well();
}

// Whether a child that does f() is killed for it.
static int is_fatal(int (*f)(void)) {
  int status;

  return start(f) >= 0 && wait(&status) >= 0 && status == -1;
}

static int page_is(const volatile uint64 *page, uint64 word) {
  for (uint i = 0; i < SHRIMP_WORDS; i++)
    if (page[i] != word)
      return 0;
  return 1;
}

static void fill_page(volatile uint64 *page, uint64 word) {
  for (uint i = 0; i < SHRIMP_WORDS; i++)
    page[i] = word;
}

// Becomes this program again, in the role given; mode is passed on.
static int become(char *role) {
  char *argv[] = {SELF, role, 0};

  exec(SELF, argv);
  CHECK(!"exec of " SELF);
}

static int demonstration(void) {
  fry[0] = 1234;
  printf("parent %d: fry holds %lu\n", getpid(), fry[0]);
  int pid = fork();
  if (pid == 0) {
    printf("child %d: shrimp holds %lu\n", getpid(), shrimp[0]);
    CHECK(shrimp[0] == 1234);
    shrimp[0] = 5678;
    exit(0);
  }
  CHECK(pid > 0 && ended_well());
  printf("parent %d: the child answered %lu\n", getpid(), fry[0]);
  CHECK(fry[0] == 5678);
  return 1;
}

// Promise 1: one zeroed frame at creation, the same for life.

static int leave_dirt(void) {
  enum { BYTES = 64 * PGSIZE };
  char *heap = sbrk(BYTES);

  CHECK(heap != (char *)-1);
  memset(heap, 0xa5, BYTES);
  CHECK(page_is(fry, 0));
  fill_page(fry, ~0UL);
  return 1;
}

static int talk[2];           // descriptors 3 and 4 in every role that uses them
static int answer[2];         // 5 and 6

static int sees_change_by_new_program(void) {
  char c;

  CHECK(read(talk[0], &c, 1) == 1);
  CHECK(shrimp[1] == 111);
  CHECK(shrimp[2] == 222);
  return 1;
}

static int role_same_frame(void) {
  CHECK(fry[1] == 111);
  fry[2] = 222;
  CHECK(write(4, "", 1) == 1);
  CHECK(ended_well());
  return 1;
}

static int keep_frame_across_exec(void) {
  CHECK(pipe(talk) == 0 && talk[0] == 3 && talk[1] == 4);
  fry[1] = 111;
  CHECK(start(sees_change_by_new_program) > 0);
  return become("same-frame");
}

static int promise_1(void) {
  for (int i = 0; i < 8; i++)
    CHECK(holds_in_child(leave_dirt));
  CHECK(holds_in_child(keep_frame_across_exec));
  return 1;
}

// Promise 2: a child's SHRIMP is its parent's FRY, from its first instruction.

enum { ALL = 1, ANSWERS = 10, N_CHILDREN = 3 };

static int grandchild_sees_parent(void) {
  CHECK(shrimp[0] == 2002);
  shrimp[ALL] = 3003;
  return 1;
}

static int one_of_several(void) {
  char c;

  CHECK(read(talk[0], &c, 1) == 1);
  CHECK(shrimp[ALL] == 77);
  shrimp[ANSWERS + c] = c + 1;
  fry[0] = 2002;
  CHECK(shrimp[0] == 1001);
  CHECK(holds_in_child(grandchild_sees_parent));
  CHECK(fry[ALL] == 3003);
  return 1;
}

static int promise_2(void) {
  for (uint64 i = 1; i <= 50; i++) {
    fry[0] = i;
    int pid = fork();
    if (pid == 0)
      exit(shrimp[0] == i && page_is(fry, 0) ? 0 : 1);
    CHECK(pid > 0 && ended_well());
  }

  CHECK(pipe(talk) == 0);
  fry[0] = 1001;
  for (char i = 0; i < N_CHILDREN; i++)
    CHECK(start(one_of_several) > 0);
  fry[ALL] = 77;
  for (char i = 0; i < N_CHILDREN; i++)
    CHECK(write(talk[1], &i, 1) == 1);
  for (int i = 0; i < N_CHILDREN; i++)
    CHECK(ended_well());
  for (int i = 0; i < N_CHILDREN; i++)
    CHECK((int)fry[ANSWERS + i] == i + 1);
  CHECK(fry[ALL] == 77 && fry[0] == 1001);
  return 1;
}

// Promise 3: exec keeps both.

static int role_both_pages(void) {
  CHECK(page_is(fry, 31));
  CHECK(shrimp[3] == 32);
  shrimp[4] = 33;
  return 1;
}

static int exec_with_both(void) {
  fill_page(fry, 31);
  return become("both-pages");
}

static int promise_3(void) {
  fry[3] = 32;
  CHECK(holds_in_child(exec_with_both));
  CHECK(fry[4] == 33);
  return 1;
}

// Promise 4 is about the first process, which this is not. Visible from here
// is only what a missing page does to whom: the one below SHRIMP.

static int touch_below(void) {
  return *(volatile char *)(SHRIMP - 1) == 0;
}

static int write_below(void) {
  *(volatile char *)(SHRIMP - 1) = 1;
  return 1;
}

static int touch_trapframe(void) {
  return *(volatile char *)(FRY + PGSIZE) == 0;
}

static int run_fry(void) {
  fry[0] = 0x8082;            // c.jr ra: a function that returns
  ((void (*)(void))FRY)();
  return 1;
}

static int promise_4(void) {
  CHECK(is_fatal(touch_below));
  CHECK(is_fatal(write_below));
  CHECK(is_fatal(touch_trapframe));
  CHECK(is_fatal(run_fry));
  return 1;
}

// Promise 5: the frame lives as long as anyone maps it.

// Answers each byte by whether the page still holds it everywhere, having
// written it there when it is odd. Ends when nobody can ask any more.
static int orphan(void) {
  uchar c;

  close(talk[1]);
  close(answer[0]);
  while (read(talk[0], &c, 1) == 1) {
    if (c % 2)
      fill_page(shrimp, c);
    uchar good = page_is(shrimp, c);
    CHECK(write(answer[1], &good, 1) == 1);
  }
  return 1;
}

static int leave_orphan(void) {
  fill_page(fry, 2);
  return start(orphan) > 0;
}

static int ask(uchar c) {
  uchar good = 0;

  return write(talk[1], &c, 1) == 1 && read(answer[0], &good, 1) == 1 && good;
}

// Holds every free frame of the machine while the orphan reads and writes.
static int churn(void) {
  char *start = sbrk(0);
  int bytes = take_all_memory() * PGSIZE;

  CHECK(bytes > 0);
  memset(start, 0x5a, bytes);
  CHECK(ask(2) && ask(7) && ask(9));
  for (int i = 0; i < bytes; i += sizeof(uint64))
    CHECK(*(uint64 *)(start + i) == 0x5a5a5a5a5a5a5a5aUL);
  return 1;
}

static int promise_5(void) {
  int before = free_pages();
  uchar c;

  CHECK(pipe(talk) == 0 && pipe(answer) == 0);
  CHECK(holds_in_child(leave_orphan));
  close(talk[0]);
  close(answer[1]);
  CHECK(ask(2));
  CHECK(holds_in_child(churn));
  CHECK(ask(3));
  close(talk[1]);
  CHECK(read(answer[0], &c, 1) == 0);
  close(answer[0]);
  CHECK(free_pages_return(before));
  return 1;
}

// Promise 6: calls that run out of memory half-way fail and lose nothing. One
// process holds all memory and gives a page back whenever it is asked, so the
// calls of the other fail at each of their allocations in turn.

static int hoard(void) {
  char c;

  close(talk[1]);
  close(answer[0]);
  take_all_memory();
  do
    CHECK(write(answer[1], "", 1) == 1);
  while (read(talk[0], &c, 1) == 1 && sbrk(-PGSIZE) != (char *)-1);
  return 1;
}

// 0 when there is nothing more to be had.
static int one_page_more(void) {
  char c;

  return write(talk[1], "", 1) == 1 && read(answer[0], &c, 1) == 1;
}

static int failures;          // of the call that was starved

static int starve_fork(void) {
  fry[5] = 55;
  for (;;) {
    int pid = fork();
    if (pid == 0)
      exit(shrimp[5] == 55 && page_is(fry, 0) ? 0 : 1);
    if (pid > 0)
      break;
    failures++;
    CHECK(one_page_more());
  }
  CHECK(failures > 0 && ended_well());
  return 1;
}

static int role_survivor(void) {
  CHECK(fry[6] == 66 && shrimp[6] == 67);
  CHECK(fry[7] > 0);          // how often exec failed
  return 1;
}

static int starve_exec(void) {
  char *argv[] = {SELF, "survivor", 0};

  fry[6] = 66;
  while (exec(SELF, argv) == -1) {
    CHECK(fry[6] == 66);
    fry[7]++;
    CHECK(one_page_more());
  }
  return 0;
}

static int starve_pipe(void) {
  int fd[2];

  while (pipe(fd) < 0) {
    failures++;
    CHECK(one_page_more());
  }
  CHECK(failures > 0);
  return 1;
}

static int starve(int (*f)(void)) {
  char c;

  CHECK(pipe(talk) == 0 && pipe(answer) == 0);
  // The starved one exists before memory is gone, and waits for that.
  int hungry = fork();
  if (hungry == 0) {
    close(talk[0]);
    close(answer[1]);
    exit(read(answer[0], &c, 1) == 1 && f() ? 0 : 1);
  }
  CHECK(hungry > 0);
  CHECK(start(hoard) > 0);
  close(talk[0]);
  close(talk[1]);
  close(answer[0]);
  close(answer[1]);
  int first = ended_well(), second = ended_well();
  CHECK(first && second);
  return 1;
}

static int promise_6(void) {
  int before = free_pages();

  fry[6] = 67;
  CHECK(starve(starve_fork));
  CHECK(free_pages_return(before));
  CHECK(starve(starve_exec));
  CHECK(free_pages_return(before));
  CHECK(starve(starve_pipe));
  CHECK(free_pages_return(before));
  return 1;
}

// Promise 7: the heap ends below SHRIMP, and so do segments.

static int heap_stops(void) {
  enum { STEP = 1 << 30 };

  fry[0] = 70;
  // A kernel that gives memory at the first touch lets the heap come so far;
  // one that gives it at once runs out before.
  for (int step = STEP; step >= PGSIZE; step /= 2)
    while (sbrklazy(step) != (char *)-1)
      CHECK((uint64)sbrk(0) <= SHRIMP);
  CHECK((uint64)sbrk(0) <= SHRIMP);
  CHECK(fry[0] == 70 && shrimp[0] == 71);
  return 1;
}

// Offsets in an ELF-64 file (System V ABI, "ELF-64 Object File Format").
enum { E_PHOFF = 32, P_TYPE = 0, P_VADDR = 16, P_FILESZ = 32, P_MEMSZ = 40,
       PHENTSIZE = 56, E_PHNUM = 56, PT_LOAD = 1 };

// This program, with its last segment moved to va and size bytes long, in
// SCRATCH. Whether that was done.
static int write_program_at(uint64 va, uint64 size) {
  static uchar head[4096];
  int in = open(SELF, O_RDONLY), out = open(SCRATCH, O_CREATE | O_TRUNC | O_RDWR);
  int n = read(in, head, sizeof(head));

  CHECK(n == sizeof(head) && out >= 0);
  uint64 table = *(uint64 *)(head + E_PHOFF);
  uchar *entry = 0;
  for (int i = 0; i < *(ushort *)(head + E_PHNUM); i++)
    if (*(uint *)(head + table + i * PHENTSIZE) == PT_LOAD)
      entry = head + table + i * PHENTSIZE;
  CHECK(entry != 0);
  *(uint64 *)(entry + P_VADDR) = va;
  *(uint64 *)(entry + P_FILESZ) = 0;
  *(uint64 *)(entry + P_MEMSZ) = size;
  do
    CHECK(write(out, head, n) == n);
  while ((n = read(in, head, sizeof(head))) > 0);
  close(in);
  close(out);
  return 1;
}

static int run_scratch(void) {
  char *argv[] = {SCRATCH, "both-pages", 0};

  CHECK(exec(SCRATCH, argv) == -1);
  CHECK(fry[0] == 0 && shrimp[0] == 71);
  return 1;
}

static int promise_7(void) {
  static const struct { uint64 va, size; } segments[] = {
    {SHRIMP, PGSIZE}, {FRY, PGSIZE}, {SHRIMP - PGSIZE, 2 * PGSIZE},
    {SHRIMP - PGSIZE, ~0UL - SHRIMP}, {TRAPFRAME, PGSIZE}, {TRAMPOLINE, PGSIZE},
    {MAXVA, PGSIZE}, {MAXVA - PGSIZE, MAXVA}, {-4096UL, PGSIZE}, {-4096UL, 4 * PGSIZE},
  };
  int before = free_pages();

  fry[0] = 71;
  CHECK(holds_in_child(heap_stops));
  for (int i = 0; i < (int)(sizeof(segments) / sizeof(segments[0])); i++) {
    CHECK(write_program_at(segments[i].va, segments[i].size));
    CHECK(holds_in_child(run_scratch));
  }
  CHECK(unlink(SCRATCH) == 0);
  CHECK(free_pages_return(before));
  return 1;
}

// Promise 8: both pages are ordinary memory to system calls.

static int calls_use_shrimp(void) {
  const volatile char *page = (volatile char *)SHRIMP;
  char c = 0;

  CHECK(read(talk[0], (char *)SHRIMP + 100, 5) == 5);
  CHECK(page[100] == 'a' && page[104] == 'e');
  CHECK(write(answer[1], (char *)SHRIMP + 100, 5) == 5);
  // The two pages touch: one transfer may span them.
  CHECK(read(talk[0], (char *)FRY - 2, 5) == 5);
  CHECK(page[PGSIZE - 2] == 'f' && page[PGSIZE - 1] == 'g');
  CHECK(*(volatile char *)FRY == 'h' && *((volatile char *)FRY + 2) == 'j');
  CHECK(write(answer[1], (char *)FRY - 2, 5) == 5);
  // Above FRY is no user memory: not a byte from there.
  CHECK(write(answer[1], (char *)FRY + PGSIZE, 1) <= 0);
  CHECK(read(talk[0], (char *)FRY + PGSIZE, 1) <= 0);
  c = 'z';
  CHECK(write(answer[1], &c, 1) == 1);
  return 1;
}

static int promise_8(void) {
  char back[11] = "";
  int status_at = 9;

  CHECK(pipe(talk) == 0 && pipe(answer) == 0);
  CHECK(start(calls_use_shrimp) > 0);
  CHECK(write(talk[1], "abcdefghijk", 11) == 11);
  CHECK(wait((int *)&fry[status_at]) > 0 && (int)fry[status_at] == 0);
  CHECK(read(answer[0], back, 11) == 11 && memcmp(back, "abcdefghijz", 11) == 0);

  char *path = (char *)FRY + PGSIZE - sizeof(SELF);
  strcpy(path, SELF);
  int fd = open(path, O_RDONLY);
  CHECK(fd >= 0);
  struct stat *st = (struct stat *)&fry[20];
  CHECK(fstat(fd, st) == 0 && st->type == T_FILE && st->size > 0);
  CHECK(read(fd, (char *)&fry[30], 4) == 4);
  CHECK(memcmp((char *)&fry[30], "\177ELF", 4) == 0);
  path[sizeof(SELF) - 1] = 'x'; // now it never ends
  CHECK(open(path, O_RDONLY) == -1);
  return 1;
}

static const struct {
  int (*holds)(void);
  const char *text;
} promises[] = {
  {promise_1, "a zeroed frame at FRY, the same for life"},
  {promise_2, "SHRIMP is the parent's FRY, for all children, from the start"},
  {promise_3, "exec keeps both pages"},
  {promise_4, "a missing page kills who touches it, nobody else"
              " (that the first process has no SHRIMP is not visible from here)"},
  {promise_5, "an orphan keeps its page; the last exit returns the frame"},
  {promise_6, "fork, exec and pipe fail cleanly at each allocation"},
  {promise_7, "neither heap nor segments reach SHRIMP"},
  {promise_8, "system calls use both pages as ordinary memory"},
};

static const struct {
  char *name;
  int (*play)(void);
} roles[] = {
  {"same-frame", role_same_frame},
  {"both-pages", role_both_pages},
  {"survivor", role_survivor},
};

#define LENGTH(table) (int)(sizeof(table) / sizeof((table)[0]))

int main(int argc, char **argv) {
  for (int i = 0; argc > 1 && i < LENGTH(roles); i++)
    if (strcmp(argv[1], roles[i].name) == 0)
      return roles[i].play() ? 0 : 1;

  int before = free_pages();
  int good = holds_in_child(demonstration);
  for (int i = 0; i < LENGTH(promises); i++) {
    int held = holds_in_child(promises[i].holds);
    printf("promise %d: %s ... %s\n", i + 1, promises[i].text,
           held ? "ok" : "BROKEN");
    good &= held;
  }
  if (!free_pages_return(before)) {
    printf("free pages: %d before, %d after\n", before, free_pages());
    good = 0;
  }
  printf("shrimptest: %s\n", good ? "OK" : "FAIL");
  return !good;
}

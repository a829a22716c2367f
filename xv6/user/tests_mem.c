// Tests: a program's memory, and everybody else's.
#include "user/usertests.h"

#define FAILED ((char *)-1) // of sbrk

static int zeros[3000];
static int ones[2] = {1, 1};

static volatile uint64 address; // for a child that will touch or run it

static void read_there(void) {
  (void)*(volatile char *)address;
}

static void write_there(void) {
  *(volatile char *)address = 10;
}

static void run_there(void) {
  ((void (*)(void))address)();
}

static void data_starts_right(void) {
  for (int i = 0; i < LENGTH(zeros); i++)
    must(zeros[i] == 0);
  must(ones[0] == 1 && ones[1] == 1);
}

static void heap_grows_and_shrinks(void) {
  char *start = sbrk(0);

  for (int i = 0; i < 3000; i++) {
    char *p = sbrk(1);
    must(p == start + i);
    *p = i;
  }
  for (int i = 0; i < 3000; i++)
    must(start[i] == (char)i);
  must(sbrk(-3000) == start + 3000 && sbrk(0) == start);
  must(sbrk(10 * PGSIZE) == start && sbrk(-10 * PGSIZE) == start + 10 * PGSIZE);
  must(sbrk(0) == start);
}

static void new_memory_is_zero(void) {
  enum { BYTES = 20 * PGSIZE };

  for (int round = 0; round < 3; round++) {
    char *p = sbrk(BYTES);
    must(p != FAILED);
    for (int i = 0; i < BYTES; i++)
      must(p[i] == 0);
    memset(p, 0xff, BYTES);
    must(sbrk(-BYTES) == p + BYTES);
  }
}

static void exact_last_byte(void) {
  char *end = (char *)first_unmapped();

  sbrk(end - sbrk(0));
  must(sbrk(PGSIZE) == end);
  end[0] = end[PGSIZE - 1] = 1;
  address = (uint64)end + PGSIZE;
  must_be_killed(read_there);
  must_be_killed(write_there);
  must(sbrk(-PGSIZE) == end + PGSIZE);
  address = (uint64)end;
  must_be_killed(read_there);
  address--;
  must_work(write_there);
}

static void impossible_sizes(void) {
  char *start = sbrk(0);

  must(sbrk(0x7fffffff) == FAILED && sbrk(0) == start);
  must(sbrk(0x40000000) == FAILED && sbrk(0) == start);
  must(sbrk(PHYSTOP - KERNBASE) == FAILED && sbrk(0) == start);
  // More than there is to take: nothing happens, and that is no failure.
  must(sbrk(-(int)(uint64)start - 1) == start && sbrk(0) == start);
  must(sbrk(LEAST) == start && sbrk(0) == start);
  must(zeros[0] == 0 && ones[1] == 1);
}

static void give_all_away(void) {
  sbrk(-(int)(uint64)sbrk(0));
  getpid();
}

static void give_most_away(void) {
  sbrk(100 - (int)(uint64)sbrk(0)); // not even all of the first page stays
  getpid();
}

static void give_to_odd_size(void) {
  must(sbrk(2 * PGSIZE + 333) != FAILED);
  char *end = sbrk(0);
  must(sbrk(-33) == end && sbrk(-PGSIZE) == end - 33);
  must(sbrk(0) == end - 33 - PGSIZE);
  end[-34 - PGSIZE] = 1;
  exit(0);
}

static void own_memory_given_away(void) {
  must_be_killed(give_all_away);
  must_be_killed(give_most_away);
  must_work(give_to_odd_size);
}

static void shrinking_frees(void) {
  int before = free_pages();
  char *p = sbrk(1000 * PGSIZE);

  must(p != FAILED);
  memset(p, 1, 1000 * PGSIZE);
  must(free_pages() <= before - 1000);
  must(sbrk(-1000 * PGSIZE) != FAILED);
  must(free_pages() >= before - 4); // tables may stay
}

static void take_and_end(void) {
  int pages = take_all_memory();

  must(pages > 1000);
  must(fork() == -1);         // it has no room for a copy
  // cppcheck-suppress leakReturnValNotUsed; there must be none
  must(malloc(100 * PGSIZE) == 0);
}

static void all_memory_comes_back(void) {
  int before = free_pages();

  for (int i = 0; i < 4; i++)
    must_work(take_and_end);
  must(free_pages_return(before));
}

static int grow_by_a_page(void) {
  return sbrk(PGSIZE) != FAILED;
}

// The page beyond a multiple of 2 MiB needs a table too.
static void heap_memory_runs_out(void) {
  enum { TABLE = 512 * PGSIZE };

  must(sbrk(TABLE - (uint64)sbrk(0) % TABLE) != FAILED);
  starve(grow_by_a_page);
}

static int gate[2];           // closing its write end lets all begin

static void take_and_touch(void) {
  char *start = (char *)first_unmapped();
  char c;

  close(gate[1]);
  must(read(gate[0], &c, 1) == 0); // the first could take what the last is made of
  take_all_memory();
  for (char *p = start; p < sbrk(0); p += PGSIZE)
    *p = 1;
}

static void several_want_all(void) {
  int before = free_pages();

  for (int round = 0; round < 3; round++) {
    must_pipe(gate);
    for (int i = 0; i < 6; i++)
      begin(take_and_touch);
    close(gate[0]);
    close(gate[1]);
    for (int i = 0; i < 6; i++)
      must(reap() == 0);
  }
  must(free_pages_return(before));
}

static void take_then_call(void) {
  int fd[2];

  take_all_memory();
  must(open_must("f", O_CREATE | O_RDWR) >= 0 && mkdir("d") == 0);
  must(pipe(fd) == -1 || write(fd[1], "x", 1) == 1);
}

static void files_work_without_memory(void) {
  must_work(take_then_call);
}

static void not_mine(void) {
  uint64 list[MAXBAD];
  int n = bad_addresses(list);

  for (int i = 0; i < n; i++) {
    address = list[i];
    must_be_killed(read_there);
    must_be_killed(write_there);
    must_be_killed(run_there);
  }
}

static void kernel_page_by_page(void) {
  for (int page = 0; page < 2200; page += 11) {
    address = KERNBASE + page * (PGSIZE + 8);
    must_be_killed(read_there);
  }
}

static void above_everything(void) {
  for (int bit = 38; bit < 64; bit++) {
    address = 1UL << bit;
    must_be_killed(write_there);
  }
}

static const char constant = 'c';

static void text_is_for_reading(void) {
  static void *const places[] = {(void *)&constant, text_is_for_reading, (void *)16};

  for (int i = 0; i < LENGTH(places); i++) {
    address = (uint64)places[i];
    must_be_killed(write_there);
  }
}

static void data_is_not_for_running(void) {
  static uint code = 0x00008067; // ret
  uint on_stack = code;
  uint *heap = malloc(sizeof(*heap));

  *heap = code;
  uint64 places[] = {(uint64)&code, (uint64)&on_stack, (uint64)heap};
  for (int i = 0; i < LENGTH(places); i++) {
    address = places[i];
    must_be_killed(run_there);
  }
}

static void below_the_stack(void) {
  uint64 top = PGROUNDUP((uint64)&top);

  for (uint64 below = 1; below < PGSIZE; below *= 8) {
    address = top - USERSTACK * PGSIZE - below;
    must_be_killed(read_there);
    must_be_killed(write_there);
  }
}

static int recurse(int n) {
  volatile char room[256];

  room[0] = n;
  return n == 0 ? 0 : recurse(n - 1) + room[0];
}

static void recurse_too_deep(void) {
  recurse(100000);
}

static void stack_overflows_into_guard(void) {
  must_be_killed(recurse_too_deep);
}

static void illegal_instruction(void) {
  asm volatile(".word 0");
}

static void read_supervisor_register(void) {
  asm volatile("csrr t0, satp" : : : "t0");
}

static void return_from_trap(void) {
  asm volatile("sret");
}

static void bad_stack_pointer(void) {
  asm volatile("li sp, -1\n sd zero, 0(sp)");
}

static void bad_instructions(void) {
  must_be_killed(illegal_instruction);
  must_be_killed(read_supervisor_register);
  must_be_killed(return_from_trap);
  must_be_killed(bad_stack_pointer);
}

// Memory that is only named so far must serve system calls like any other.
static void lazy_memory(void) {
  enum { PAGES = 64 };
  int fd[2];
  char *p = sbrklazy(PAGES * PGSIZE);

  must(p != FAILED && sbrk(0) == p + PAGES * PGSIZE);
  must_pipe(fd);
  must(write(fd[1], p + 3 * PGSIZE - 2, 4) == 4);    // untouched, so zeros
  must(read(fd[0], p + 9 * PGSIZE - 2, 4) == 4);     // and into untouched
  must(p[9 * PGSIZE] == 0 && p[20 * PGSIZE] == 0);
  p[20 * PGSIZE] = 'x';
  int pid = must_fork();
  if (pid == 0) {
    must(p[20 * PGSIZE] == 'x' && p[30 * PGSIZE] == 0);
    p[31 * PGSIZE] = 'y';
    exit(0);
  }
  must(reap() == 0 && p[31 * PGSIZE] == 0);
  strcpy(p + 40 * PGSIZE - 3, "a.f");
  make_file(p + 40 * PGSIZE - 3, "", 0);
  must(exists("a.f"));
  must(sbrk(-PAGES * PGSIZE) != FAILED);
  address = (uint64)p + PGSIZE;
  must_be_killed(read_there);
}

static void lazy_beyond_memory(void) {
  char *p = sbrklazy(1 << 30);

  if (p == FAILED)            // a kernel that gives memory at once
    exit(-1);
  for (int i = 0; i < 1 << 30; i += PGSIZE)
    p[i] = 1;
}

static void lazy_memory_runs_out(void) {
  int before = free_pages();

  must_be_killed(lazy_beyond_memory);
  must(free_pages_return(before));
}

static void malloc_and_free(void) {
  enum { N = 64 };
  static struct { char *at; int size; } blocks[N];

  for (int round = 0; round < 4000; round++) {
    int i = random_below(N);
    if (blocks[i].at) {
      must(is_filled(blocks[i].at, blocks[i].size, i));
      free(blocks[i].at);
    }
    blocks[i].size = random_below(random_below(10) ? 200 : 9000);
    blocks[i].at = malloc(blocks[i].size);
    must(blocks[i].at && (uint64)blocks[i].at % 16 == 0);
    fill(blocks[i].at, blocks[i].size, i);
  }
  for (int i = 0; i < N; i++)
    free(blocks[i].at);
  must((uint64)sbrk(0) < (uint64)blocks + (1 << 20));
  // cppcheck-suppress [leakReturnValNotUsed, invalidFunctionArg]; sizes that must be refused
  must(malloc(-1) == 0 && malloc(0x7ffffff0) == 0);
}

const struct test mem_tests[] = {
  {"data-starts-right", data_starts_right,
   "what has no initial value is zero, what has one has it"},
  {"heap-grows-and-shrinks", heap_grows_and_shrinks,
   "sbrk by bytes and by pages, up and down"},
  {"new-memory-is-zero", new_memory_is_zero,
   "memory given back and taken again is zero"},
  {"exact-last-byte", exact_last_byte,
   "the page of the last byte is there and the next one is not"},
  {"impossible-sizes", impossible_sizes,
   "sbrk by too much, up or down, changes nothing"},
  {"own-memory-given-away", own_memory_given_away,
   "who gives its own text away dies of it, alone"},
  {"shrinking-frees", shrinking_frees,
   "what sbrk takes away others can have"},
  {"all-memory-comes-back", all_memory_comes_back,
   "a process may take all there is, and its end gives it back"},
  {"heap-memory-runs-out", heap_memory_runs_out,
   "sbrk fails cleanly at each of its allocations"},
  {"several-want-all", several_want_all,
   "six processes take all memory at once, and it all comes back"},
  {"files-work-without-memory", files_work_without_memory,
   "with no frame free, files still do"},
  {"not-mine", not_mine,
   "kernel, devices and unmapped addresses kill who reads, writes or runs them"},
  {"kernel-page-by-page", kernel_page_by_page,
   "no page of the kernel can be read"},
  {"above-everything", above_everything,
   "addresses with high bits are not cut to fit"},
  {"text-is-for-reading", text_is_for_reading,
   "writing to text or constants kills"},
  {"data-is-not-for-running", data_is_not_for_running,
   "running data, stack or heap kills"},
  {"below-the-stack", below_the_stack,
   "the guard page below the stack kills"},
  {"stack-overflows-into-guard", stack_overflows_into_guard,
   "endless recursion ends at the guard page"},
  {"bad-instructions", bad_instructions,
   "illegal and privileged instructions kill"},
  {"lazy-memory", lazy_memory,
   "memory given at its first touch works in calls and in fork"},
  {"lazy-memory-runs-out", lazy_memory_runs_out,
   "touching more than there is kills, and all comes back"},
  {"malloc-and-free", malloc_and_free,
   "blocks keep what is in them, and the heap does not grow for ever"},
  {0},
};

// Tests: arguments that no system call may trust.
#include "kernel/syscall.h"
#include "user/usertests.h"

static uint64 bad[MAXBAD];
static int n_bad;

static char *bad_pointer(int i) {
  if (n_bad == 0)
    n_bad = bad_addresses(bad);
  return i < n_bad ? (char *)bad[i] : 0;
}

#define for_each_bad(p) \
  for (int i_ = 0; (p = bad_pointer(i_)) != 0; i_++)

// The text segment, which may be read and not written.
static const char constant[] = "constant";
static char *volatile low_text = (char *)8;

static void write_from_bad_address(void) {
  int fd[2];
  char *p;
  int file = open_must("f", O_CREATE | O_RDWR);

  must_pipe(fd);
  for_each_bad(p) {
    must(write(file, p, 1) <= 0);
    must(write(file, p, 8192) <= 0);
    must(write(fd[1], p, 1) <= 0);
    must(write(fd[1], p, 8192) <= 0);
    must(write(1, p, 1) <= 0);
  }
  must(size_of("f") == 0);
}

static void read_into_bad_address(void) {
  int fd[2];
  char *p;

  must_pipe(fd);
  make_file("f", scratch, 2 * BSIZE);
  int file = open_must("f", O_RDONLY);
  for_each_bad(p) {
    must(read(file, p, 1) <= 0);
    must(read(file, p, 8192) <= 0);
    post(fd);
    must(read(fd[0], p, 1) <= 0);
  }
}

static void read_into_text(void) {
  static char *const targets[] = {0, (char *)1, (char *)constant};
  int fd[2];
  char first = *low_text;

  must_pipe(fd);
  make_file("f", "overwritten", 11);
  int file = open_must("f", O_RDONLY);
  for (int i = 0; i < LENGTH(targets); i++) {
    must(read(file, targets[i], 8) <= 0);
    must(write(fd[1], "overwritten", 8) == 8);
    must(read(fd[0], targets[i], 8) <= 0);
    must(fstat(file, (struct stat *)targets[i]) == -1);
    must(pipe((int *)targets[i]) == -1);
  }
  must(strcmp(constant, "constant") == 0 && *low_text == first);
}

// The end of memory, a page's end too, with a page or more of heap before it.
static char *grow_to_page_end(void) {
  sbrk(first_unmapped() - (uint64)sbrk(0));
  must(sbrk(PGSIZE) != (char *)-1);
  return sbrk(0);
}

// The last bytes of memory are fine, the first ones behind are not.
static void straddle_end_of_memory(void) {
  char *end = grow_to_page_end();
  int fd[2];

  must_pipe(fd);
  make_file("f", scratch, 100);
  int file = open_must("f", O_RDWR);

  must(read(file, end - 10, 10) == 10);
  must(read(file, end - 10, 20) <= 10);
  must(write(fd[1], end - 10, 10) == 10);
  must(read(fd[0], end - 10, 10) == 10);
  must(write(fd[1], end - 10, 20) <= 10);
  must(fstat(file, (struct stat *)(end - sizeof(struct stat))) == 0);
  must(fstat(file, (struct stat *)(end - sizeof(struct stat) + 1)) == -1);
  must(pipe((int *)(end - 4)) == -1);
  must(pipe((int *)(end - 6)) == -1);
}

static void results_at_bad_address(void) {
  int first = open_must("f", O_CREATE | O_RDWR);
  char *p;

  for_each_bad(p) {
    must(fstat(first, (struct stat *)p) == -1);
    must(pipe((int *)p) == -1);
    int pid = must_fork();
    if (pid == 0)
      exit(0);
    must(wait((int *)p) == -1);
    must(wait(0) == pid);
  }
  must(dup(first) == first + 1); // no descriptor is left of the failed pipes
}

// Every call that takes a path, with this one.
static void must_refuse_path(const char *path) {
  static char *argv[] = {"x", 0};

  must(open(path, O_RDONLY) == -1);
  must(open(path, O_CREATE | O_RDWR) == -1);
  must(exec(path, argv) == -1);
  must(unlink(path) == -1);
  must(link(path, "new") == -1);
  must(link("f", path) == -1);
  must(mkdir(path) == -1);
  must(mknod(path, 1, 1) == -1);
  must(chdir(path) == -1);
}

static void path_at_bad_address(void) {
  char *p;

  make_file("f", "", 0);
  for_each_bad(p)
    must_refuse_path(p);
}

// A string may use the last byte of memory, but has to end there.
static void path_at_end_of_memory(void) {
  char *end = grow_to_page_end();

  make_file("f", "", 0);
  memcpy(end - 2, "f", 2);
  must(exists(end - 2));
  end[-1] = 'f';
  must_refuse_path(end - 1);
  must_refuse_path(end - 2);
  memset(end - MAXPATH, '/', MAXPATH);
  must_refuse_path(end - MAXPATH);
}

static void path_across_pages(void) {
  char *boundary = grow_to_page_end();

  must(sbrk(PGSIZE) == boundary);
  for (int before = 1; before < 6; before++) {
    char *path = boundary - before;
    strcpy(path, "a.file");
    make_file(path, "", 0);
    must(exists("a.file") && unlink(path) == 0);
  }
}

static void path_too_long(void) {
  make_file("f", "", 0);
  memset(scratch, '/', sizeof(scratch));
  strcpy(scratch + MAXPATH - 1, "f");
  must_refuse_path(scratch);
  strcpy(scratch + 4000, "f");
  must_refuse_path(scratch);
  memset(scratch, '.', MAXPATH);
  for (int i = 1; i < MAXPATH - 2; i += 2)
    scratch[i] = '/';
  scratch[MAXPATH - 2] = 'f';
  scratch[MAXPATH - 1] = 0;
  must(exists(scratch));      // 127 bytes and the NUL
}

static void exec_with_bad_argv(void) {
  static char *argv[] = {"echo", 0, 0};
  char *end = grow_to_page_end();
  char *p;

  for_each_bad(p) {
    must(exec("/echo", (char **)p) == -1);
    argv[1] = p;
    must(exec("/echo", argv) == -1);
  }
  ((char **)end)[-1] = "echo"; // a row that does not end in memory
  must(exec("/echo", (char **)end - 1) == -1);
  end[-1] = 'x';              // a word that does not
  argv[1] = end - 1;
  must(exec("/echo", argv) == -1);
}

static void bad_descriptors(void) {
  static const int fds[] = {-1, 3, NOFILE, NOFILE + 1, 1 << 16, 0x7fffffff, LEAST,
                            -NOFILE};
  struct stat st;

  for (int i = 0; i < LENGTH(fds); i++) {
    must(read(fds[i], scratch, 1) == -1);
    must(write(fds[i], scratch, 1) == -1);
    must(dup(fds[i]) == -1);
    must(fstat(fds[i], &st) == -1);
    must(close(fds[i]) == -1);
  }
  int fd = dup(1);
  must(close(fd) == 0 && close(fd) == -1 && write(fd, "", 1) == -1);
}

static void bad_sizes(void) {
  static const int sizes[] = {-1, -4096, LEAST, LEAST + 1};
  int fd[2], file;
  int heap = (uint64)sbrk(0);

  must_pipe(fd);
  make_file("f", "0123456789", 10);
  file = open_must("f", O_RDWR);
  for (int i = 0; i < LENGTH(sizes); i++) {
    must(write(file, scratch, sizes[i]) <= 0);
    must(write(fd[1], scratch, sizes[i]) <= 0);
    must(read(open_must("f", O_RDONLY), scratch, sizes[i]) <= 10);
  }
  must(size_of("f") == 10);
  // More than the file has: it ends. More than the program has: it fails.
  must(read(open_must("f", O_RDONLY), scratch, 0x7fffffff) == 10);
  must(write(file, scratch, 0x7fffffff) != 0x7fffffff);
  must((int)size_of("f") < 10 + heap);
  must(read(file, scratch, 0) == 0 && write(fd[1], scratch, 0) == 0);
}

static void wrong_direction(void) {
  int fd[2];

  must_pipe(fd);
  must(write(fd[0], "x", 1) == -1);
  must(read(fd[1], scratch, 1) == -1);
  make_file("f", "x", 1);
  must(write(open_must("f", O_RDONLY), "x", 1) == -1);
  must(read(open_must("f", O_WRONLY), scratch, 1) == -1);
  must(write(open_must(".", O_RDONLY), "x", 1) == -1);
}

static uint64 raw_call(uint64 number, const uint64 *args) {
  register uint64 a0 asm("a0") = args[0]; // cppcheck-suppress constStatement; asm() is no index
  register uint64 a1 asm("a1") = args[1]; // cppcheck-suppress constStatement; asm() is no index
  register uint64 a2 asm("a2") = args[2]; // cppcheck-suppress constStatement; asm() is no index
  register uint64 a7 asm("a7") = number;

  asm volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
  return a0;
}

static void unknown_calls(void) {
  static const uint64 numbers[] = {0, 1000, 0x7fffffff, 1UL << 31, 1UL << 63, -1UL};
  static const uint64 args[3];

  for (int i = 0; i < LENGTH(numbers); i++)
    must((int)raw_call(numbers[i], args) == -1);
}

// A system call changes a0 and no other register.
static void registers_survive_call(void) {
  uint64 before = 1, after = 2;

  asm volatile(
    "li a7, %2\n"
    "mv t6, sp\n"
    "li sp, 16\n"             // a call does not need the user's stack either
    "li a1, 101\n li a2, 102\n li a3, 103\n li a4, 104\n li a5, 105\n li a6, 106\n"
    "li t0, 107\n li t1, 108\n li t2, 109\n li t3, 110\n li t4, 111\n li t5, 112\n"
    "li s2, 113\n li s3, 114\n li s11, 115\n"
    "add %0, a1, a2\n add %0, %0, a3\n add %0, %0, a4\n add %0, %0, a5\n"
    "add %0, %0, a6\n add %0, %0, t0\n add %0, %0, t1\n add %0, %0, t2\n"
    "add %0, %0, t3\n add %0, %0, t4\n add %0, %0, t5\n add %0, %0, s2\n"
    "add %0, %0, s3\n add %0, %0, s11\n add %0, %0, sp\n add %0, %0, a7\n"
    "ecall\n"
    "add %1, a1, a2\n add %1, %1, a3\n add %1, %1, a4\n add %1, %1, a5\n"
    "add %1, %1, a6\n add %1, %1, t0\n add %1, %1, t1\n add %1, %1, t2\n"
    "add %1, %1, t3\n add %1, %1, t4\n add %1, %1, t5\n add %1, %1, s2\n"
    "add %1, %1, s3\n add %1, %1, s11\n add %1, %1, sp\n add %1, %1, a7\n"
    "mv sp, t6\n"
    : "=&r"(before), "=&r"(after)
    : "i"(SYS_getpid)
    : "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "t0", "t1", "t2", "t3",
      "t4", "t5", "t6", "s2", "s3", "s11", "memory");
  must(before == after);
}

// Arguments that have a chance to be taken for something.
static uint64 odd_argument(void) {
  switch (random_below(8)) {
  case 0: return (uint64)bad_pointer(random_below(n_bad));
  case 1: return random_below(NOFILE + 2);
  case 2: return (uint64)scratch + random_below(sizeof(scratch));
  case 3: return (uint64)constant;
  case 4: return first_unmapped() - random_below(64);
  case 5: return -(uint64)random_below(PGSIZE);
  case 6: return 1UL << random_below(64);
  }
  return random_below(64);
}

// Calls that neither end nor multiply the caller, nor wait for anything. No
// path begins with a slash: all happens in the test's own directory.
static void call_at_random(void) {
  static const char calls[] = {
    SYS_wait, SYS_pipe, SYS_read, SYS_exec, SYS_fstat, SYS_chdir, SYS_dup,
    SYS_uptime, SYS_open, SYS_write, SYS_mknod, SYS_unlink, SYS_link, SYS_mkdir,
    SYS_close,
  };

  bad_pointer(0);
  for (int fd = 0; fd < 3; fd++)
    close(fd);
  memset(scratch, 'x', sizeof(scratch));
  for (uint i = 0; i < sizeof(scratch); i += 7)
    scratch[i] = 0;
  for (int i = 0; i < 6000; i++) {
    uint64 args[3] = {odd_argument(), odd_argument(), odd_argument()};
    int call = calls[random_below(LENGTH(calls))];

    if (call == SYS_pipe)     // reading an empty one would wait for ever
      args[0] = bad[random_below(n_bad)];
    if (call == SYS_mknod)    // and so would reading the console
      args[1] |= 2;
    raw_call(call, args);
  }
}

static void random_calls(void) {
  must_work(call_at_random);
}

const struct test args_tests[] = {
  {"write-from-bad-address", write_from_bad_address,
   "write fails and writes nothing from where the program has no memory"},
  {"read-into-bad-address", read_into_bad_address,
   "read fails where the program has no memory"},
  {"read-into-text", read_into_text,
   "no call writes to the program's own text"},
  {"straddle-end-of-memory", straddle_end_of_memory,
   "buffers may reach the last byte of memory and not one further"},
  {"results-at-bad-address", results_at_bad_address,
   "fstat, pipe and wait fail, and undo, when the result has no place"},
  {"path-at-bad-address", path_at_bad_address,
   "every call that takes a path refuses a bad pointer"},
  {"path-at-end-of-memory", path_at_end_of_memory,
   "a path must end inside memory, at its last byte at the latest"},
  {"path-across-pages", path_across_pages,
   "a path may cross from one page to the next"},
  {"path-too-long", path_too_long,
   "a path has room for MAXPATH - 1 bytes"},
  {"exec-with-bad-argv", exec_with_bad_argv,
   "exec refuses bad arguments and the caller goes on"},
  {"bad-descriptors", bad_descriptors,
   "numbers that are not open files are refused"},
  {"bad-sizes", bad_sizes,
   "negative and enormous byte counts do no harm"},
  {"wrong-direction", wrong_direction,
   "a reader cannot write nor a writer read"},
  {"unknown-calls", unknown_calls,
   "call numbers that do not exist give -1"},
  {"registers-survive-call", registers_survive_call,
   "a system call changes a0 alone and does not use the user's stack"},
  {"random-calls", random_calls,
   "thousands of calls with odd arguments leave the system alive"},
  {0},
};

// usertests [-q] [-c] [-l] [NAME]: tests of the kernel, by its programs.
//   -q     leaves out the slow ones
//   -c     again and again, until one fails
//   -l     lists the tests and what each is for
//   NAME   only that one; a * at its end stands for anything
// Besides the tests' own verdicts, no memory and no disk may be lost.
#include "user/usertests.h"

#define DIRECTORY "/usertests.d"

static const struct test *const groups[] = {
  args_tests, file_tests, dir_tests, pipe_tests, proc_tests, exec_tests,
  mem_tests, shrimp_tests, shm_tests, disk_tests,
};

char scratch[8192];

void fail(const char *file, int line, const char *what) {
  printf("%s:%d: not %s\n", file, line, what);
  exit(1);
}

int must_fork(void) {
  int pid;

  for (int i = 0; (pid = fork()) < 0 && i < PATIENCE; i++)
    sleep(1);
  must(pid >= 0);
  return pid;
}

int begin(void (*f)(void)) {
  int pid = must_fork();

  if (pid == 0) {
    f();
    exit(0);
  }
  return pid;
}

int reap(void) {
  int status;

  must(wait(&status) >= 0);
  return status;
}

int status_of(void (*f)(void)) {
  begin(f);
  return reap();
}

void must_work(void (*f)(void)) {
  must(status_of(f) == 0);
}

void must_be_killed(void (*f)(void)) {
  must(status_of(f) == -1);
}

void must_pipe(int *fd) {
  must(pipe(fd) == 0);
}

void post(int *fd) {
  must(write(fd[1], "", 1) == 1);
}

void await(int *fd) {
  char c;

  must(read(fd[0], &c, 1) == 1);
}

int open_must(const char *path, int how) {
  int fd = open(path, how);

  must(fd >= 0);
  return fd;
}

void make_file(const char *path, const void *data, int n) {
  int fd = open_must(path, O_CREATE | O_TRUNC | O_WRONLY);

  must(write(fd, data, n) == n);
  must(close(fd) == 0);
}

uint64 size_of(const char *path) {
  struct stat st;

  must(stat(path, &st) == 0);
  return st.size;
}

int exists(const char *path) {
  int fd = open(path, O_RDONLY);

  return fd >= 0 && close(fd) == 0;
}

char *numbered(const char *prefix, int n) {
  static char name[32];
  char digits[12];
  int k = 0, at = strlen(prefix);

  strcpy(name, prefix);
  do
    digits[k++] = '0' + n % 10;
  while ((n /= 10) > 0);
  while (k > 0)
    name[at++] = digits[--k];
  name[at] = 0;
  return name;
}

static uchar expected_byte(int i, uint seed) {
  uint x = i / 4 * 2654435761u ^ seed * 40503u;

  return x >> (i % 4 * 8);
}

void fill(void *buf, int n, uint seed) {
  for (int i = 0; i < n; i++)
    ((uchar *)buf)[i] = expected_byte(i, seed);
}

int is_filled(const void *buf, int n, uint seed) {
  for (int i = 0; i < n; i++)
    if (((const uchar *)buf)[i] != expected_byte(i, seed))
      return 0;
  return 1;
}

static int asking[2], giving[2];

static void hoard(void) {
  char c;

  close(asking[1]);
  close(giving[0]);
  take_all_memory();
  do
    post(giving);
  while (read(asking[0], &c, 1) == 1 && sbrk(-PGSIZE) != (char *)-1);
}

void starve(int (*attempt)(void)) {
  int before = free_pages();

  must_pipe(asking);
  must_pipe(giving);
  int pid = must_fork();      // while there is memory
  if (pid == 0) {
    close(asking[0]);
    close(giving[1]);
    await(giving);
    while (!attempt()) {
      post(asking);
      await(giving);
    }
    exit(0);
  }
  begin(hoard);
  close(asking[0]);
  close(asking[1]);
  close(giving[0]);
  close(giving[1]);
  must(reap() == 0 && reap() == 0);
  must(free_pages_return(before));
}

uint64 first_unmapped(void) {
  return PGROUNDUP((uint64)sbrk(0));
}

int bad_addresses(uint64 *list) {
  static const uint64 fixed[] = {
    KERNBASE, KERNBASE + PGSIZE, KERNBASE + (64 << 20), PHYSTOP - PGSIZE, PHYSTOP,
    CLINT, PLIC, UART0, VIRTIO0,
    TRAPFRAME, TRAPFRAME + PGSIZE - 1, TRAMPOLINE, TRAMPOLINE + 16,
    MAXVA, MAXVA + PGSIZE, 2 * MAXVA, 1UL << 39, 1UL << 62, 1UL << 63,
    -4096UL, -8UL, -1UL,
  };
  int n = 0;

  for (; n < LENGTH(fixed); n++)
    list[n] = fixed[n];
  list[n++] = first_unmapped();
  list[n++] = first_unmapped() + 100 * PGSIZE;
  return n;
}

uint random_below(uint n) {
  static uint64 state = 88172645463325252;

  state ^= state << 13;       // xorshift: Marsaglia 2003, the triple 13, 7, 17
  state ^= state >> 7;
  state ^= state << 17;
  return (state >> 32) % n;
}

// The first entry of the working directory but . and .., in scratch; 0 when
// there is none.
static char *first_entry(void) {
  struct dirent e;
  char *name = 0;
  int fd = open(".", O_RDONLY);

  while (!name && read(fd, &e, sizeof(e)) == sizeof(e)) {
    memcpy(scratch, e.name, DIRSIZ);
    scratch[DIRSIZ] = 0;
    if (e.inum && strcmp(scratch, ".") != 0 && strcmp(scratch, "..") != 0)
      name = scratch;
  }
  close(fd);
  return name;
}

// Goes down into what cannot be removed yet: a test may nest more directories
// than the stack has room for.
int empty_directory(const char *path) {
  int depth = 0;

  if (chdir(path) < 0)
    return -1;
  for (int steps = 0; steps < 10000; steps++) {
    char *name = first_entry();
    if (!name && depth == 0)
      return chdir("/");
    if (!name) {
      depth--;
      if (chdir("..") < 0)
        break;
    } else if (unlink(name) < 0) {
      depth++;
      if (chdir(name) < 0)
        break;
    }
  }
  chdir("/");
  return -1;
}

// 1 when the test passed.
static int run_test(const struct test *t) {
  int status, pid;

  printf("test %s: ", t->name);
  if (mkdir(DIRECTORY) < 0) {
    printf("cannot make %s\n", DIRECTORY);
    return 0;
  }
  pid = fork();
  if (pid == 0) {
    must(chdir(DIRECTORY) == 0);
    t->run();
    exit(0);
  }
  if (pid < 0 || wait(&status) != pid)
    status = -1;
  if (empty_directory(DIRECTORY) < 0 || unlink(DIRECTORY) < 0) {
    printf("what it made cannot be removed ");
    status = 1;
  }
  printf(status == 0 ? "OK\n" : "FAILED\n");
  return status == 0;
}

static int slow_too = 1;
static char *only;            // a test's name, or how it begins and a *

static int is_wanted(const char *name) {
  const char *wanted = only ? only : "*";

  while (*wanted && *wanted == *name)
    wanted++, name++;
  return *wanted == *name || strcmp(wanted, "*") == 0;
}

// Calls f on each chosen test, the slow ones last. How many f gave 0 for.
static int for_each_test(int (*f)(const struct test *)) {
  int failed = 0;

  for (int slow = 0; slow <= slow_too; slow++)
    for (int g = 0; g < LENGTH(groups); g++)
      for (const struct test *t = groups[g]; t->name; t++)
        if (t->slow == slow && is_wanted(t->name))
          failed += !f(t);
  return failed;
}

static int chosen;

static int count_test(const struct test *t) {
  chosen++;
  return 1;
}

static int list_test(const struct test *t) {
  printf("%s: %s%s\n", t->name, t->purpose, t->slow ? " (slow)" : "");
  return 1;
}

struct disk {
  int blocks, inodes;         // free
};

// Counts by taking all there is, in DIRECTORY.
static struct disk measure_disk(void) {
  struct disk d = {-1, -1};
  int fd, wrote = 1;

  if (mkdir(DIRECTORY) < 0 || chdir(DIRECTORY) < 0)
    return d;
  for (d.inodes = 0; (fd = open(numbered("i", d.inodes), O_CREATE | O_WRONLY)) >= 0;
       d.inodes++)
    close(fd);
  empty_directory(DIRECTORY);
  chdir(DIRECTORY);
  d.blocks = 0;
  for (int files = 0; wrote > 0; files++) {
    fd = open(numbered("b", files), O_CREATE | O_WRONLY);
    for (wrote = 0; write(fd, scratch, BSIZE) == BSIZE; wrote++)
      d.blocks++;
    close(fd);
  }
  if (empty_directory(DIRECTORY) < 0 || unlink(DIRECTORY) < 0)
    d.blocks = -1;
  return d;
}

static int complain_unless_equal(const char *what, int before, int after) {
  if (before == after)
    return 0;
  printf("free %s: %d before, %d after\n", what, before, after);
  return 1;
}

// The number of failures.
static int run_all(void) {
  int whole = slow_too && !only;
  struct disk disk_before = {0}, disk_after = {0};

  if (whole)
    disk_before = measure_disk();
  int pages_before = free_pages();
  int failed = for_each_test(run_test);

  free_pages_return(pages_before);
  failed += complain_unless_equal("pages", pages_before, free_pages());
  if (whole)
    disk_after = measure_disk();
  failed += complain_unless_equal("blocks", disk_before.blocks, disk_after.blocks);
  failed += complain_unless_equal("inodes", disk_before.inodes, disk_after.inodes);
  printf(failed ? "SOME TESTS FAILED\n" : "ALL TESTS PASSED\n");
  return failed;
}

static int usage(void) {
  fprintf(2, "usage: usertests [-q] [-c] [-l] [NAME]\n");
  return 2;
}

int main(int argc, char **argv) {
  int forever = 0, list = 0;

  for (char **word = argv + 1; *word; word++) {
    if (strcmp(*word, "-q") == 0)
      slow_too = 0;
    else if (strcmp(*word, "-c") == 0)
      forever = 1;
    else if (strcmp(*word, "-l") == 0)
      list = 1;
    else if (**word == '-' || only)
      return usage();
    else
      only = *word;
  }
  for_each_test(count_test);
  if (chosen == 0) {
    fprintf(2, "usertests: there is no test %s\n", only);
    return 2;
  }
  if (list)
    return for_each_test(list_test);

  printf("usertests starting\n");
  int failed;
  do
    failed = run_all();
  while (forever && !failed);
  return failed != 0;
}

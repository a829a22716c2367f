// Tests: the disk when it is full, and when it is busy. All are slow.
#include "user/usertests.h"

// Fills the file with blocks until there are no more, up to MAXFILE. How many.
static int write_blocks(const char *path) {
  int n = 0, fd = open(path, O_CREATE | O_TRUNC | O_WRONLY);

  if (fd < 0)
    return 0;
  for (; n < MAXFILE; n++) {
    *(int *)scratch = n;
    if (write(fd, scratch, BSIZE) != BSIZE)
      break;
  }
  close(fd);
  return n;
}

// Files f0, f1 ... take all blocks. How many blocks; the files in *files.
static int fill_disk(int *files) {
  int blocks = 0, n;

  *files = 0;
  do {
    n = write_blocks(numbered("f", (*files)++));
    blocks += n;
  } while (n == MAXFILE);
  return blocks;
}

static void blocks_run_out(void) {
  int files, first = 0;

  for (int round = 0; round < 2; round++) {
    int blocks = fill_disk(&files);
    must(blocks > 100);
    must(round == 0 || blocks == first);
    first = blocks;

    // Whatever needs a block fails; the rest goes on, and nothing is damaged.
    int fd = open("f0", O_RDONLY);
    for (int i = 0; i < MAXFILE && i < blocks; i++)
      must(read(fd, scratch, BSIZE) == BSIZE && *(int *)scratch == i);
    close(fd);
    mkdir("d");
    for (int i = 0; i < 100; i++)
      close(open(numbered("e", i), O_CREATE | O_RDWR)); // the directory must grow
    must(unlink("f0") == 0 && write_blocks("f0") > 0);
    must(empty_directory("/usertests.d") == 0 && chdir("/usertests.d") == 0);
  }
}

static void inodes_run_out(void) {
  int first = 0;

  for (int round = 0; round < 2; round++) {
    int n = 0, fd;
    for (; (fd = open(numbered("i", n), O_CREATE | O_RDWR)) >= 0; n++)
      close(fd);
    must(n > 50 && (round == 0 || n == first));
    first = n;
    must(mkdir("d") == -1 && mknod("dev", 1, 1) == -1 && !exists("d"));
    must(link("i0", "l") == 0 && unlink("i1") == 0);
    must(mkdir("d") == 0 && open("more", O_CREATE | O_RDWR) == -1);
    must(unlink("d") == 0 && unlink("l") == 0);
    for (int i = 0; i < n; i++)
      must((unlink(numbered("i", i)) == 0) == (i != 1));
  }
}

static void unlinked_blocks_return(void) {
  int files, before = fill_disk(&files);

  while (files-- > 0)
    must(unlink(numbered("f", files)) == 0);
  int fd = open_must("held", O_CREATE | O_RDWR);
  for (int i = 0; i < MAXFILE; i++)
    must(write(fd, scratch, BSIZE) == BSIZE);
  must(unlink("held") == 0);
  int without = fill_disk(&files);
  while (files-- > 0)
    must(unlink(numbered("f", files)) == 0);
  must(without < before - 200);
  must(close(fd) == 0);
  must(fill_disk(&files) == before);
}

static int worker;

static void write_and_remove(void) {
  char name[] = {'w', '0' + worker, 0};

  for (int round = 0; round < 4; round++) {
    must(write_blocks(name) == MAXFILE || worker > 3);
    must(unlink(name) == 0);
  }
}

// More transactions at once than the log has room for.
static void log_has_no_room(void) {
  for (worker = 0; worker < 3; worker++)
    begin(write_and_remove);
  for (int i = 0; i < 3; i++)
    must(reap() == 0);
}

static void small_changes(void) {
  char name[] = {'s', '0' + worker, 0};

  for (int i = 0; i < 40; i++) {
    must(mkdir(name) == 0 && chdir(name) == 0);
    make_file("f", name, 2);
    must(link("f", "g") == 0 && unlink("f") == 0 && unlink("g") == 0);
    must(chdir("..") == 0 && unlink(name) == 0);
  }
}

static void many_small_changes(void) {
  for (worker = 0; worker < 8; worker++)
    begin(small_changes);
  for (int i = 0; i < 8; i++)
    must(reap() == 0);
}

// Each time a block may have been taken before the copy failed.
static void failing_writes_keep_no_block(void) {
  for (int i = 0; i < FSSIZE; i++) {
    int fd = open_must("f", O_CREATE | O_RDWR);
    must(write(fd, (char *)KERNBASE, 1) == -1);
    must(close(fd) == 0 && unlink("f") == 0);
  }
  must(write_blocks("f") > NDIRECT);
}

static int ready[2];

static void fill_until_killed(void) {
  close(open("k", O_CREATE | O_RDWR));
  post(ready);
  for (;;) {
    write_blocks("k");
    unlink("k");
  }
}

// A process that is killed inside a system call still ends its transaction.
static void killed_while_writing(void) {
  must_pipe(ready);
  for (int i = 0; i < 30; i++) {
    int pid = begin(fill_until_killed);
    await(ready);
    for (int k = 0; k < i; k++)
      exists("k");            // until another moment
    must(kill(pid) == 0 && reap() == -1);
    unlink("k");
  }
  make_file("after", "x", 1);
  must(size_of("after") == 1);
}

const struct test disk_tests[] = {
  {"many-small-changes", many_small_changes,
   "eight processes make and remove names at once", 1},
  {"log-has-no-room", log_has_no_room,
   "more transactions at once than the log holds", 1},
  {"killed-while-writing", killed_while_writing,
   "kill in the middle of a transaction", 1},
  {"failing-writes-keep-no-block", failing_writes_keep_no_block,
   "a write from a bad address gives back what it took", 1},
  {"unlinked-blocks-return", unlinked_blocks_return,
   "the blocks of an open file come back after its last close", 1},
  {"blocks-run-out", blocks_run_out,
   "writing fails on a full disk, and all blocks come back", 1},
  {"inodes-run-out", inodes_run_out,
   "creating fails without inodes, and all come back", 1},
  {0},
};

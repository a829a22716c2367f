// Tests: pipes.
#include "user/usertests.h"

static int fd[2];

static int piece;             // bytes at a time

enum { TOTAL = 20000, SEED = 3 };

static void write_in_pieces(void) {
  char *data = malloc(TOTAL);

  must(data != 0);
  close(fd[0]);
  fill(data, TOTAL, SEED);
  for (int at = 0, n; at < TOTAL; at += n) {
    n = piece < TOTAL - at ? piece : TOTAL - at;
    must(write(fd[1], data + at, n) == n);
  }
}

static void bytes_in_order(void) {
  static const int pieces[] = {1, 3, 511, 512, 513, 4096, TOTAL};
  char *data = malloc(TOTAL + 1);

  must(data != 0);
  for (int i = 0; i < LENGTH(pieces); i++) {
    int at = 0, n, most = pieces[LENGTH(pieces) - 1 - i];

    piece = pieces[i];
    must_pipe(fd);
    begin(write_in_pieces);
    close(fd[1]);
    memset(data, 0, TOTAL);
    while ((n = read(fd[0], data + at, most < TOTAL + 1 - at ? most : TOTAL + 1 - at)) > 0)
      at += n;
    must(n == 0 && at == TOTAL && is_filled(data, TOTAL, SEED));
    close(fd[0]);
    must(reap() == 0);
  }
}

static void end_follows_last_writer(void) {
  must_pipe(fd);
  int second = dup(fd[1]);
  must(write(fd[1], "abc", 3) == 3 && close(fd[1]) == 0);
  must(write(second, "de", 2) == 2 && close(second) == 0);
  must(read(fd[0], scratch, 2) == 2 && read(fd[0], scratch, 9) == 3);
  must(memcmp(scratch, "cde", 3) == 0);
  must(read(fd[0], scratch, 9) == 0 && read(fd[0], scratch, 9) == 0);
}

static void nobody_to_read(void) {
  must_pipe(fd);
  must(write(fd[1], "abc", 3) == 3 && close(fd[0]) == 0);
  must(write(fd[1], "abc", 3) == -1 && write(fd[1], scratch, 5000) == -1);
}

static int signal[2];

static void write_much(void) {
  close(fd[0]);
  post(signal);
  must(write(fd[1], scratch, sizeof(scratch)) == -1);
}

// The reader leaves at many moments; at most of them the pipe is full.
static void writer_wakes_when_reader_leaves(void) {
  must_pipe(signal);
  for (int i = 0; i < 20; i++) {
    must_pipe(fd);
    begin(write_much);
    await(signal);
    for (int k = 0; k < 100 * i; k++)
      getpid();
    must(close(fd[1]) == 0 && close(fd[0]) == 0);
    must(reap() == 0);
  }
}

static void read_to_end(void) {
  close(fd[1]);
  must(read(fd[0], scratch, 10) == 0);
}

static void reader_wakes_when_writer_leaves(void) {
  must_pipe(fd);
  begin(read_to_end);
  must(close(fd[1]) == 0 && reap() == 0);
}

static void block_in_read(void) {
  post(signal);
  read(fd[0], scratch, 1);
  exit(7);
}

static void block_in_write(void) {
  post(signal);
  for (;;)
    write(fd[1], scratch, sizeof(scratch));
}

// A process that waits for a pipe can be killed, and the pipe still works.
static void waiters_can_be_killed(void) {
  must_pipe(fd);
  must_pipe(signal);
  for (int i = 0; i < 20; i++) {
    int pid = begin(block_in_read);
    await(signal);
    must(kill(pid) == 0 && reap() == -1);
  }
  post(fd);
  await(fd);
  for (int i = 0; i < 20; i++) {
    int pid = begin(block_in_write);
    await(signal);
    must(kill(pid) == 0 && reap() == -1);
  }
  close(fd[1]);
  while (read(fd[0], scratch, sizeof(scratch)) > 0)
    ;
}

enum { WRITERS = 5, RECORDS = 100, RECORD = 16 };

static char mark;

static void write_records(void) {
  char record[RECORD];

  memset(record, mark, RECORD);
  for (int i = 0; i < RECORDS; i++)
    must(write(fd[1], record, RECORD) == RECORD);
}

static void several_writers(void) {
  int seen[WRITERS] = {0}, n;

  must_pipe(fd);
  for (mark = 0; mark < WRITERS; mark++)
    begin(write_records);
  close(fd[1]);
  while ((n = read(fd[0], scratch, sizeof(scratch))) > 0)
    for (int i = 0; i < n; i++)
      seen[(int)scratch[i]]++;
  for (int i = 0; i < WRITERS; i++)
    must(reap() == 0 && seen[i] == RECORDS * RECORD);
}

static void take_bytes(void) {
  char c;

  close(fd[1]);
  for (int i = 0; i < 100; i++)
    must(read(fd[0], &c, 1) == 1);
}

static void several_readers(void) {
  must_pipe(fd);
  for (int i = 0; i < WRITERS; i++)
    begin(take_bytes);
  close(fd[0]);
  for (int i = 0; i < WRITERS * 100; i++)
    post(fd);
  for (int i = 0; i < WRITERS; i++)
    must(reap() == 0);
  must(write(fd[1], "x", 1) == -1);
}

static void many_in_a_row(void) {
  for (int i = 0; i < 500; i++) {
    must_pipe(fd);
    post(fd);
    if (i % 3)
      await(fd);
    must(close(fd[i % 2]) == 0 && close(fd[1 - i % 2]) == 0);
  }
}

static int left[2], right[2];

static void echo_back(void) {
  for (int i = 0; i < 300; i++) {
    await(left);
    post(right);
  }
}

static void ping_pong(void) {
  must_pipe(left);
  must_pipe(right);
  begin(echo_back);
  for (int i = 0; i < 300; i++) {
    post(left);
    await(right);
  }
  must(reap() == 0);
}

static int make_pipe(void) {
  return pipe(fd) == 0;
}

static void memory_runs_out(void) {
  starve(make_pipe);
}

// All tests above at the same time.
static void all_at_once(void) {
  int n = 0;

  for (const struct test *t = pipe_tests; t->run != all_at_once; t++, n++)
    begin(t->run);
  while (n-- > 0)
    must(reap() == 0);
}

const struct test pipe_tests[] = {
  {"bytes-in-order", bytes_in_order,
   "all bytes arrive once and in order, in pieces of any size"},
  {"end-follows-last-writer", end_follows_last_writer,
   "the end comes after the last byte of the last writer"},
  {"nobody-to-read", nobody_to_read,
   "writing fails when nobody can read"},
  {"writer-wakes-when-reader-leaves", writer_wakes_when_reader_leaves,
   "a writer that waits for room is told that there will be none"},
  {"reader-wakes-when-writer-leaves", reader_wakes_when_writer_leaves,
   "a reader that waits is told the end"},
  {"waiters-can-be-killed", waiters_can_be_killed,
   "kill reaches readers and writers that wait"},
  {"several-writers", several_writers,
   "no byte of five writers is lost or doubled"},
  {"several-readers", several_readers,
   "each byte goes to one of five readers"},
  {"many-in-a-row", many_in_a_row,
   "pipes are made and closed in any state without loss"},
  {"ping-pong", ping_pong,
   "two processes that wait for each other in turn"},
  {"all-at-once", all_at_once,
   "the same with all of these side by side"},
  {"pipe-memory-runs-out", memory_runs_out,
   "pipe fails cleanly at each of its allocations"},
  {0},
};

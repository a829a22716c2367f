// bench: what operations cost, in instructions. It is meant for QEMU with
// -icount shift=0 and one hart, where an instruction takes a nanosecond and
// the clock of 10 MHz (QEMU, hw/intc/riscv_aclint.c) ticks every hundredth.
// Prints lines "bench NAME INSTRUCTIONS"; the loops' own cost is taken off.
#include "kernel/types.h"
#include "kernel/fcntl.h"
#include "kernel/fs.h"
#include "kernel/shm.h"
#include "user/shrimp.h"
#include "user/user.h"

#define PER_TICK 100
#define CHUNK 512             // bytes of one write to the pipe
#define CHUNKS 400
#define PAGES 100             // passed through the shared page
#define BLOCKS 256            // of the file that is read again

static char here[PGSIZE], there[PGSIZE];
static int forward[2], back[2];

static uint64 instructions(void) {
  uint64 ticks;

  asm volatile("rdtime %0" : "=r"(ticks));
  return ticks * PER_TICK;
}

// cost for count operations, with two decimals.
static void report(const char *name, uint64 cost, uint count) {
  uint64 hundredths = cost * 100 / count;

  printf("bench %s %lu.%lu%lu\n", name, hundredths / 100, hundredths / 10 % 10,
         hundredths % 10);
}

static uint64 time_of(void (*operation)(void), uint times) {
  uint64 before = instructions();

  for (uint i = 0; i < times; i++)
    operation();
  return instructions() - before;
}

static void nothing(void) {
  asm volatile("");
}

static void measure(const char *name, void (*operation)(void), uint times, uint units) {
  operation();                // what is done once only is not counted
  uint64 cost = time_of(operation, times) - time_of(nothing, times);
  report(name, cost, times * units);
}

static void give_up(const char *what) {
  printf("bench: %s failed\n", what);
  exit(1);
}

static void call_getpid(void) {
  getpid();
}

static void fork_exit_wait(void) {
  int pid = fork();

  if (pid == 0)
    exit(0);
  if (pid < 0 || wait(0) != pid)
    give_up("fork");
}

static void fork_exec_wait(void) {
  static char *argv[] = {"bench", "exit", 0};
  int status = 1, pid = fork();

  if (pid == 0) {
    exec("/bench", argv);
    exit(1);
  }
  if (pid < 0 || wait(&status) != pid || status != 0)
    give_up("exec");
}

static void sbrk_up_and_down(void) {
  if (sbrk(40 * PGSIZE) == (char *)-1 || sbrk(-40 * PGSIZE) == (char *)-1)
    give_up("sbrk");
}

static void read_all_chunks(void) {
  close(forward[1]);
  while (read(forward[0], there, CHUNK) > 0)
    ;
}

// From the first write to the reader's having read all: its exit is counted
// too, and is nothing beside CHUNKS transfers.
static void pass_through_pipe(void) {
  if (pipe(forward) < 0)
    give_up("pipe");
  int pid = fork();
  if (pid == 0) {
    read_all_chunks();
    exit(0);
  }
  close(forward[0]);
  uint64 before = instructions();
  for (int i = 0; i < CHUNKS; i++)
    if (write(forward[1], here, CHUNK) != CHUNK)
      give_up("write");
  close(forward[1]);
  wait(0);
  report("pipe-byte", instructions() - before, CHUNKS * CHUNK);
}

// What passing a page costs when both sides know that it is time: one copy
// in, one copy out.
static void copy_in_and_out(void) {
  memcpy((void *)FRY, here, PGSIZE);
  memcpy(there, (void *)FRY, PGSIZE);
}

static void await(int *fd) {
  char c;

  if (read(fd[0], &c, 1) != 1)
    give_up("read");
}

static void post(int *fd) {
  if (write(fd[1], "", 1) != 1)
    give_up("write");
}

// A page filled, a byte to say so, the page emptied, a byte to say so.
// bytes 0 leaves only the two messages.
static uint64 pass_through_page(uint bytes) {
  if (pipe(forward) < 0 || pipe(back) < 0)
    give_up("pipe");
  int pid = fork();
  if (pid == 0) {
    for (int i = 0; i < PAGES; i++) {
      await(forward);
      memcpy(there, (void *)SHRIMP, bytes);
      post(back);
    }
    exit(0);
  }
  uint64 before = instructions();
  for (int i = 0; i < PAGES; i++) {
    memcpy((void *)FRY, here, bytes);
    post(forward);
    await(back);
  }
  uint64 cost = instructions() - before;
  wait(0);
  for (int i = 0; i < 2; i++) {
    close(forward[i]);
    close(back[i]);
  }
  return cost;
}

static void write_file(void) {
  int fd = open("bench.file", O_CREATE | O_WRONLY);

  for (int i = 0; i < BLOCKS; i++)
    if (write(fd, here, BSIZE) != BSIZE)
      give_up("writing a file");
  close(fd);
}

static void read_file(void) {
  int fd = open("bench.file", O_RDONLY);

  while (read(fd, there, PGSIZE) > 0)
    ;
  close(fd);
}

static void copy_block(void) {
  memcpy(there, here, BSIZE);
}

// A segment of 1 MiB: what a page of it costs to attach and to detach, and
// what a child costs that inherits it.
static void share_segment(void) {
  enum { SEGMENT_PAGES = 256, ROUNDS = 20 };
  uint64 attaching = 0, detaching = 0;
  int id = shmget(IPC_PRIVATE, SEGMENT_PAGES * PGSIZE, 0600);

  for (int i = 0; i < ROUNDS; i++) {
    uint64 start = instructions(), at = shmat(id, 0, 0), middle = instructions();
    if ((long)at < 0 || shmdt(at) < 0)
      give_up("shmat");
    detaching += instructions() - middle;
    attaching += middle - start;
  }
  report("shm-attach-page", attaching, ROUNDS * SEGMENT_PAGES);
  report("shm-detach-page", detaching, ROUNDS * SEGMENT_PAGES);
  shmat(id, 0, 0);
  measure("fork+exit+wait-with-1-MiB-shared", fork_exit_wait, 50, 1);
  shmctl(id, IPC_RMID, 0);
}

int main(int argc, char **argv) {
  if (argc > 1)               // the program that fork_exec_wait runs
    return 0;

  measure("getpid", call_getpid, 10000, 1);
  measure("fork+exit+wait", fork_exit_wait, 200, 1);
  measure("fork+exec+wait", fork_exec_wait, 100, 1);
  measure("sbrk-40-pages-up-and-down", sbrk_up_and_down, 100, 1);
  pass_through_pipe();
  measure("shared-page-byte", copy_in_and_out, 100, PGSIZE);
  report("shared-page-byte-with-messages", pass_through_page(PGSIZE), PAGES * PGSIZE);
  report("two-messages", pass_through_page(0), PAGES);
  write_file();
  measure("block-of-a-file-read-again", read_file, 4, BLOCKS);
  unlink("bench.file");
  measure("copy-of-a-block", copy_block, 100, 1);
  share_segment();
  return 0;
}

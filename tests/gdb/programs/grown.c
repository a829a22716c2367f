// grown HOW: has memory of a shape that not every kernel makes, and a child; says so, and both sleep for good.
// grown HOW again: a child grows so, has a child, and both write to what they have and end; for ever.
//   heap   5 MiB at once
//   lazy   promised, every seventh page touched
//   area   two of them, by a third kind of sbrk that variants have
#include "kernel/syscall.h"
#include "user/user.h"

#define PGSIZE 4096
#define AREA 3

static char *grow(long bytes, long how) {
  register long a0 asm("a0") = bytes, a1 asm("a1") = how, a7 asm("a7") = SYS_sbrk;
  asm volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a7) : "memory");
  if (a0 == -1) {
    printf("grown: no memory\n");
    exit(1);
  }
  return (char *)a0;
}

static void touch(char *start, int n_pages, int step) {
  for (int i = 0; i < n_pages; i += step)
    start[i * PGSIZE] = i;
}

static void have(const char *how) {
  if (strcmp(how, "heap") == 0) {
    touch(grow(5 << 20, 1), 5 << 8, 1);
  } else if (strcmp(how, "lazy") == 0) {
    touch(grow(4 << 20, 2), 4 << 8, 7);
  } else if (strcmp(how, "area") == 0) {
    touch(grow(3 * PGSIZE, AREA), 3, 1);
    touch(grow(PGSIZE, AREA), 1, 1);
  } else {
    printf("grown: heap, lazy or area?\n");
    exit(1);
  }
}

static int forked(void) {
  int pid = fork();
  if (pid < 0) {
    printf("grown: no memory\n");
    exit(1);
  }
  return pid;
}

static void again(const char *how) {
  if (forked() == 0) {
    char *start = sbrk(0);
    have(how);
    if (forked() > 0)
      wait(0);
    if (sbrk(0) > start)
      touch(start, 64, 1);
    exit(0);
  }
  wait(0);
}

int main(int argc, char **argv) {
  int in_place[2], forever[2];
  char c;

  if (argc < 2)
    return 1;
  while (argc > 2)
    again(argv[1]);
  have(argv[1]);
  if (pipe(in_place) < 0 || pipe(forever) < 0)
    return 1;
  if (forked() == 0)
    write(in_place[1], "", 1);
  else if (read(in_place[0], &c, 1) == 1)
    printf("grown: ready\n");
  for (;;)
    read(forever[0], &c, 1);
}

// grown HOW: has memory of a shape that not every kernel makes, and a child; says so, and both sleep for good.
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

int main(int argc, char **argv) {
  const char *how = argc > 1 ? argv[1] : "";
  int in_place[2], forever[2];
  char c;

  if (strcmp(how, "heap") == 0) {
    touch(grow(5 << 20, 1), 5 << 8, 1);
  } else if (strcmp(how, "lazy") == 0) {
    touch(grow(4 << 20, 2), 4 << 8, 7);
  } else if (strcmp(how, "area") == 0) {
    touch(grow(3 * PGSIZE, AREA), 3, 1);
    touch(grow(PGSIZE, AREA), 1, 1);
  } else {
    return 1;
  }
  if (pipe(in_place) < 0 || pipe(forever) < 0)
    return 1;
  int pid = fork();
  if (pid < 0) {
    printf("grown: no memory\n");
    return 1;
  }
  if (pid == 0)
    write(in_place[1], "", 1);
  else if (read(in_place[0], &c, 1) == 1)
    printf("grown: ready\n");
  for (;;)
    read(forever[0], &c, 1);
}

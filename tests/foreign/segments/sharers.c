// sharers DESIGN MISTAKE: a parent that has a segment, and two children that
// inherit it; the younger has one more, or the same again for reading only.
// They stand until a byte is typed.
#include "kernel/types.h"
#include "user/user.h"

enum { MAKE = 22, ATTACH, REMOVE };

static long call(long number, long a, long b) {
  register long a0 asm("a0") = a, a1 asm("a1") = b, a7 asm("a7") = number;
  asm volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a7) : "memory");
  return a0;
}

static int id, ready[2], hold[2];

static long share(int single, int again) {
  if (single)                // it is made and mapped at once
    return call(MAKE, again ? 9 : 7, 0);
  if (!again)
    id = call(MAKE, 0x1234, 4097);
  return call(ATTACH, id, again);
}

static void stand(int single, int younger) {
  char c;
  close(hold[1]);
  if (younger)
    share(single, 1);
  write(ready[1], "", 1);
  read(hold[0], &c, 1);
  exit(0);
}

int main(int argc, char **argv) {
  int single = argv[1][0] == 'p';
  char c;

  call(MAKE, -1, atoi(argv[2]));
  pipe(ready);
  pipe(hold);
  volatile char *at = (volatile char *)share(single, 0);
  *at = 's';
  for (int i = 0; i < 2; i++)
    if (fork() == 0)
      stand(single, i);
  for (int i = 0; i < 2; i++)
    read(ready[0], &c, 1);
  if (argv[1][0] == 'l')
    call(REMOVE, call(MAKE, 0, 1), 0);
  printf("sharers: ready\n");
  read(0, &c, 1);
  close(hold[1]);
  wait(0);
  wait(0);
  return 0;
}

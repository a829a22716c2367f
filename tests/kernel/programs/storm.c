// storm SEED [hungry]: processes that fork, exec, exit and wait for ever, side
// by side. Hungry: with so little memory left that many of these fail half-way.
// Says when it is at it.
#include "kernel/types.h"
#include "kernel/riscv.h"
#include "user/user.h"
#include "random.h"

#define WORKERS 3
#define SPARE 40            // pages that are free now and then

// The children of one turn: some become another program, some leave a child
// of their own behind, some just end.
static void be_child(uint how) {
  static char *argv[] = {"storm", "gone", 0};

  if (how % 3 == 0)
    exec("storm", argv);
  if (how % 3 == 1 && fork() == 0)
    exit(0);
  exit(0);
}

static void work(uint64 seed) {
  seed_random(seed);
  for (;;) {
    int n = 1 + below(4), born = 0;
    for (int i = 0; i < n; i++) {
      uint how = below(3);
      int pid = fork();
      if (pid == 0)
        be_child(how);
      born += pid > 0;
    }
    while (born-- > 0)
      wait(0);
  }
}

static void eat(void) {
  for (int n = 4096; n > 0; n /= 2)
    while (sbrk(n * PGSIZE) != (char *)-1)
      ;
}

int main(int argc, char **argv) {
  if (argc < 2 || strcmp(argv[1], "gone") == 0)
    return 0;
  int seed = atoi(argv[1]), hungry = argc == 3;

  seed_random(seed);
  for (int i = 0; i < WORKERS; i++)
    if (fork() == 0)
      work((uint64)seed << 8 | i);
  if (hungry)
    eat();
  printf("storm: ready\n");
  while (hungry) {          // never all of it: init and the shell need to live
    sbrk(-(int)below(SPARE) * PGSIZE);
    sleep(0);
    eat();
  }
  wait(0);
  return 0;
}

// storm N: N processes that fork, bury the child and fork again, for good.
#include "user/user.h"

static void rage(void) {
  for (;;) {
    int pid = fork();
    if (pid == 0)
      exit(0);
    if (pid > 0)
      wait(0);
  }
}

int main(int argc, char *argv[]) {
  for (int n = argc > 1 ? atoi(argv[1]) : 1; n > 0; n--)
    if (fork() == 0)
      rage();
  printf("storm: ready\n");
  wait(0);
  return 0;
}

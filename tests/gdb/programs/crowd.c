// crowd N: forks N children; says so when all are in their place, where they sleep for good, as it does.
#include "user/user.h"

int main(int argc, char **argv) {
  int n = argc > 1 ? atoi(argv[1]) : 1;
  int in_place[2], forever[2];
  char c;

  if (pipe(in_place) < 0 || pipe(forever) < 0)
    return 1;
  for (int i = 0; i < n; i++) {
    int pid = fork();
    if (pid < 0) {
      printf("crowd: fork %d failed\n", i);
      return 1;
    }
    if (pid == 0) {
      write(in_place[1], "", 1);
      for (;;)
        read(forever[0], &c, 1);
    }
    if (read(in_place[0], &c, 1) != 1)
      return 1;
  }
  printf("crowd: ready\n");
  for (;;)
    read(forever[0], &c, 1);
}

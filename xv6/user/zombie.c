// zombie [TICKS]: has a child that has ended and that nobody has waited for,
// for so long (5 ticks unless told). Then init buries it.
#include "user/user.h"

int main(int argc, char **argv) {
  int fd[2];
  char c;

  if (pipe(fd) < 0)
    return 1;
  int pid = fork();
  if (pid < 0)
    return 1;
  if (pid == 0)
    return 0;
  close(fd[1]);
  read(fd[0], &c, 1);         // the end comes when the child's copy is closed
  printf("zombie: process %d has ended\n", pid);
  sleep(argc > 1 ? atoi(argv[1]) : 5);
  return 0;
}

// failing fork|exec|pipe: does it over and over, and marks for a debugger, by
// kill with pids that no process has, where memory may be counted and where
// an allocation may be made to fail. Prints how each round ended.
#include "user/user.h"

enum { COUNT_BEFORE = -101, ARM, DISARM, COUNT_AFTER };

static int
forked(void)
{
  kill(ARM);
  int pid = fork();
  kill(DISARM);
  if (pid == 0)
    exit(0);
  return pid > 0 && wait(0) == pid;
}

static int
execed(void)
{
  char *arguments[] = { "failing", "disarm", 0 };
  int status = 1;

  if (fork() == 0) {
    kill(ARM);
    exec("failing", arguments);
    kill(DISARM);
    exit(1);
  }
  wait(&status);
  return status == 0;
}

static int
piped(void)
{
  int end[2];

  kill(ARM);
  int failed = pipe(end);
  kill(DISARM);
  if (failed)
    return 0;
  close(end[0]);
  close(end[1]);
  return 1;
}

int
main(int argc, char **argv)
{
  char first = argc == 2 ? argv[1][0] : 'x';
  int (*does)(void) = first == 'f' ? forked : first == 'e' ? execed : piped;

  if (first == 'd') {
    kill(DISARM);
    return 0;
  }
  for (;;) {
    kill(COUNT_BEFORE);
    int done = does();
    kill(COUNT_AFTER);
    printf("failing: %s\n", done ? "done" : "refused");
  }
}

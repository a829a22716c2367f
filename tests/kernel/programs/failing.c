// failing fork|exec|pipe|get|attach|share: does it over and over, and marks for a debugger, by
// kill with pids that no process has, where memory may be counted and where
// an allocation may be made to fail. Prints how each round ended.
#include "kernel/shm.h"
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

// A segment of two pages.
static int
got(void)
{
  kill(ARM);
  int id = shmget(IPC_PRIVATE, 4097, 0600);
  kill(DISARM);
  return id >= 0 && shmctl(id, IPC_RMID, 0) == 0;
}

// Where a table ends and no other is near.
#define PLACE ((1UL << 36) - 4096)

static int segment;

// In a process of its own: it has no tables there yet.
static int
attached(void)
{
  int status = 1;

  if (fork() == 0) {
    kill(ARM);
    uint64 at = shmat(segment, PLACE, 0);
    kill(DISARM);
    exit(at != PLACE || shmdt(at) != 0);
  }
  wait(&status);
  return status == 0;
}

static int (*chosen(const char *word))(void)
{
  switch (word[0]) {
  case 'f':
  case 's':
    return forked;
  case 'e':
    return execed;
  case 'g':
    return got;
  case 'a':
    return attached;
  default:
    return piped;
  }
}

int
main(int argc, char **argv)
{
  char first = argv[1][0];
  int (*does)(void) = chosen(argv[1]);

  if (first == 'd') {
    kill(DISARM);
    return 0;
  }
  segment = shmget(IPC_PRIVATE, 4097, 0600);
  if (first == 's') {         // what the child inherits
    shmat(segment, 0, 0);
    shmat(segment, PLACE, SHM_RDONLY);
  }
  for (;;) {
    kill(COUNT_BEFORE);
    int done = does();
    kill(COUNT_AFTER);
    printf("failing: %s\n", done ? "done" : "refused");
  }
}

// shrimpdemo: a family to look at from outside. The parent has two children
// and the first of these a child of its own. Each writes its pid and its name
// in its own page and its pid in its parent's, then all four sleep for good.
#include "user/shrimp.h"
#include "user/user.h"

// Words of a page; the name takes the words from NAME.
enum { MY_PID, FIRST_CHILD, SECOND_CHILD, GRANDCHILD, NAME = 8 };

static int ready[2];          // a byte for each descendant in its place
static int forever[2];        // nobody writes here

static void introduce(const char *name) {
  fry[MY_PID] = getpid();
  strcpy((char *)&fry[NAME], name);
}

// Says that this process is in its place, and sleeps.
static void stay(void) {
  char c;

  write(ready[1], "", 1);
  close(ready[1]);
  for (;;)
    read(forever[0], &c, 1);
}

static void grandchild(void) {
  introduce("grandchild");
  shrimp[FIRST_CHILD] = getpid();
  stay();
}

static void first_child(void) {
  introduce("first child");
  shrimp[FIRST_CHILD] = getpid();
  int pid = fork();
  if (pid == 0)
    grandchild();
  shrimp[GRANDCHILD] = pid;
  stay();
}

static void second_child(void) {
  introduce("second child");
  shrimp[SECOND_CHILD] = getpid();
  stay();
}

static int start(void (*run)(void)) {
  int pid = fork();

  if (pid == 0)
    run();
  return pid;
}

int main(void) {
  char c;
  int in_place = 0;

  if (pipe(ready) < 0 || pipe(forever) < 0) {
    printf("shrimpdemo: no pipe\n");
    return 1;
  }
  introduce("parent");
  int first = start(first_child);
  int second = start(second_child);
  close(ready[1]);
  while (in_place < 3 && read(ready[0], &c, 1) == 1)
    in_place++;
  if (in_place < 3) {
    printf("shrimpdemo: fork failed\n");
    kill(first);
    kill(second);
    return 1;
  }
  printf("shrimpdemo: ready pids %d %lu %lu %lu\n", getpid(),
         fry[FIRST_CHILD], fry[SECOND_CHILD], fry[GRANDCHILD]);
  for (;;)
    read(forever[0], &c, 1);
}

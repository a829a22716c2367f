// forktest: forks until the system refuses, and checks that each child is
// there to be waited for, once, with the status it gave.
#include "user/user.h"

#define ENOUGH 1000

static int fail(const char *why) {
  printf("forktest: %s\n", why);
  return 1;
}

int main(void) {
  int gate[2], born = 0, sum = 0, expected = 0, status;
  char c;

  printf("fork test\n");
  if (pipe(gate) < 0)
    return fail("no pipe");
  for (; born < ENOUGH; born++) {
    int pid = fork();
    if (pid < 0)
      break;
    if (pid == 0) {
      close(gate[1]);
      read(gate[0], &c, 1);   // until every sister is born
      exit(born % 100);
    }
    expected += born % 100;
  }
  close(gate[1]);
  if (born == ENOUGH)
    return fail("fork never refused");

  for (int i = 0; i < born; i++) {
    if (wait(&status) < 0)
      return fail("wait stopped early");
    sum += status;
  }
  if (wait(0) != -1)
    return fail("wait found one too many");
  if (sum != expected)
    return fail("a status was lost");
  printf("fork test OK\n");
  return 0;
}

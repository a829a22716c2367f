// Leaves a child behind that sleeps for good, and returns when it is in its place.
#include "user/user.h"

int
main(void)
{
  int in_place[2], forever[2];
  char c;

  if (pipe(in_place) < 0 || pipe(forever) < 0)
    return 1;
  if (fork() == 0) {
    write(in_place[1], "", 1);
    for (;;)
      read(forever[0], &c, 1);
  }
  return read(in_place[0], &c, 1) != 1;
}
